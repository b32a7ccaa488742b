import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createNet } from '../../../net';
import { AckMeter } from '../../../net/acknowledged';
import { createHost, type Host } from '../../../net/host';
import { seqDiff } from '../../../stack/tcp/seq';

let host: Host;
beforeEach(() => {
  host = createHost({ devices: [] });
});
afterEach(() => host.close());

/** Bytes that the connection accepted on `port` has got, in order. */
function receivedOn(port: number): number {
  const c = [...host.stack.tcp.connections].find(({ localPort }) => localPort === port)!;
  return seqDiff(c.rcvNxt, c.irs) - 1;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('what the peer acknowledged is what it has, not what it was sent, and more is told', async () => {
  const net = createNet(host);
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection');
  const socket = net.connect({ port, host: '127.0.0.1' });
  const meter = new AckMeter(socket);
  await once(socket, 'connect');
  const [peer] = await accepted;
  expect([meter.isExact, meter.written, meter.acknowledged]).toEqual([true, 0, 0]);
  let told = 0;
  meter.watch(() => told++);
  const total = 32 * 1024 * 1024;
  socket.write(Buffer.alloc(total));
  expect([meter.written, meter.acknowledged]).toEqual([total, 0]);
  // The peer's window closes: both sides come to rest with the same number.
  await until(() => receivedOn(port) > 100_000 && meter.acknowledged === receivedOn(port));
  expect(meter.acknowledged).toBeLessThan(total);
  const before = told;
  expect(before).toBeGreaterThan(0);
  peer.resume();
  await until(() => meter.acknowledged === total);
  expect(told).toBeGreaterThan(before);
  meter.watch(null);
  const after = told;
  socket.end('more');
  await once(peer, 'end');
  await until(() => meter.acknowledged === total + 4);
  expect(told).toBe(after);
  server.close();
});

test('what is known when a connection breaks remains what is known', async () => {
  const net = createNet(host);
  const server = net.createServer((peer) => peer.once('data', () => peer.resetAndDestroy())).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  const meter = new AckMeter(socket);
  const total = 32 * 1024 * 1024;
  socket.write(Buffer.alloc(total));
  expect([meter.written, meter.acknowledged]).toEqual([0, 0]);
  await once(socket, 'connect');
  expect(meter.isExact).toBe(true);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.on('close', resolve));
  expect(meter.written).toBe(total);
  expect(meter.acknowledged).toBeLessThan(total);
  server.close();
});

test('of a socket that is none of ours, what was handed on', () => {
  const meter = new AckMeter({ bytesWritten: 7, _handle: {} });
  expect([meter.isExact, meter.written, meter.acknowledged]).toEqual([false, 7, 7]);
});
