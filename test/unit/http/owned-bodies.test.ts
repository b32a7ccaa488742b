import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createHost, memoryPair, type TapwireHost } from '../../../index';
import { SLAB_BYTES } from '../../../stack/base/memory';

/* Who owns the pieces of a body: an application may keep them for ever, whether they were copied or left where they lay. */

jest.setTimeout(60_000);

/** A device that checks sums itself, so that received text stands in memory of JavaScript's, which may leave. */
const OFFLOADS = { checksum: true, tso4: false, tso6: false };
const BYTES = 4 << 20;
const hosts: TapwireHost[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

function pair(mtu: number): [client: TapwireHost, server: TapwireHost] {
  const [a, b] = memoryPair({ mtu, offloads: OFFLOADS });
  hosts.push(createHost({ device: a, addresses: '10.0.0.1/24' }), createHost({ device: b, addresses: '10.0.0.2/24' }));
  return [hosts[0]!, hosts[1]!];
}

/** Bytes of which no two pieces are alike. */
function text(seed: number): Buffer {
  const bytes = Buffer.alloc(BYTES);
  for (let at = 0; at < BYTES; at += 4) bytes.writeInt32LE(Math.imul(at + seed, 0x9e3779b1), at);
  return bytes;
}

/** The memory that the stack receives into. */
const isReceived = (pieces: readonly Buffer[]): boolean[] =>
  pieces.map((piece) => piece.buffer.byteLength === SLAB_BYTES);

async function uploads(mtu: number): Promise<Buffer[][]> {
  const [client, server] = pair(mtu);
  const pieces: Buffer[][] = [];
  const listening = server.http.createServer((request, response) => {
    const own: Buffer[] = [];
    pieces.push(own);
    request.on('data', (piece: Buffer) => own.push(piece));
    request.on('end', () => response.end());
  });
  listening.listen(0);
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const agent = new client.http.Agent({ keepAlive: true });
  for (const seed of [1, 2, 3]) {
    const request = client.http.request({ host: '10.0.0.2', port, method: 'POST', agent });
    request.end(text(seed));
    const [response] = await once(request, 'response');
    await once(response.resume(), 'end');
  }
  agent.destroy();
  return pieces;
}

test('large pieces stay where they were received, and nothing is ever written over them', async () => {
  const pieces = await uploads(65_535);
  const large = pieces.flat().filter((piece) => piece.length >= 16_384);
  expect(large.length).toBeGreaterThan(50);
  expect(isReceived(large)).not.toContain(false);
  expect(pieces.map((own, i) => Buffer.concat(own).equals(text(i + 1)))).toEqual([true, true, true]);
});

test('small pieces are copied: who keeps one does not keep the memory around it', async () => {
  const pieces = await uploads(1500);
  expect(isReceived(pieces.flat())).not.toContain(true);
  expect(pieces.map((own, i) => Buffer.concat(own).equals(text(i + 1)))).toEqual([true, true, true]);
});

test('a response’s body is the client’s in the same way', async () => {
  const [client, server] = pair(65_535);
  const listening = server.http.createServer((request, response) => response.end(text(Number(request.url!.slice(1)))));
  listening.listen(0);
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const bodies: Buffer[][] = [];
  for (const seed of [7, 8]) {
    const [response] = await once(client.http.get({ host: '10.0.0.2', port, path: `/${seed}` }), 'response');
    const own: Buffer[] = [];
    response.on('data', (piece: Buffer) => own.push(piece));
    await once(response, 'end');
    bodies.push(own);
  }
  expect(isReceived(bodies.flat())).toContain(true);
  expect(bodies.map((own, i) => Buffer.concat(own).equals(text(7 + i)))).toEqual([true, true]);
});
