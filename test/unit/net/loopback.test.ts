import { memoryPair } from '../../../device/memory';
import { createNet, type Net, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { once, turns } from './both';

let host: Host;
let net: Net;
beforeEach(() => {
  const [device] = memoryPair();
  host = createHost({ devices: [{ device, addresses: ['10.0.0.1/24', 'fd00::1/64'] }], seed: 1, poison: true });
  net = createNet(host);
});
afterEach(() => host.close());

const wire = (): number => host.devices[0]!.counters.txFrames;

async function connect(address: string, local?: string): Promise<{ c: Socket; s: Socket }> {
  let s!: Socket;
  const server = net.createServer((socket) => (s = socket)).listen(7000, '::');
  const c = net.connect({ port: 7000, host: address, localAddress: local });
  await once(c, 'ready');
  server.close();
  return { c, s };
}

test.each([
  ['127.0.0.1', '127.0.0.1', '::ffff:127.0.0.1'],
  ['127.1.2.3', '127.0.0.1', '::ffff:127.0.0.1'],
  ['::1', '::1', '::1'],
  ['10.0.0.1', '10.0.0.1', '::ffff:10.0.0.1'],
  ['fd00::1', 'fd00::1', 'fd00::1'],
])('to %s a host speaks from %s, and not over the wire', async (address, source, seen) => {
  const { c, s } = await connect(address);
  expect(c.localAddress).toBe(source);
  expect(s.remoteAddress).toBe(seen);
  c.end('text');
  expect(String(await new Promise((resolve) => s.on('data', resolve)))).toBe('text');
  expect(wire()).toBe(0);
});

test('from any of its addresses', async () => {
  const { c, s } = await connect('127.0.0.1', '10.0.0.1');
  expect(s.remoteAddress).toBe('::ffff:10.0.0.1');
  c.write('text');
  await once(s, 'readable');
  expect(wire()).toBe(0);
});

test('a host without loopback has only its devices', async () => {
  const bare = createHost({ devices: [], loopback: false });
  const c = createNet(bare).connect(7000, '127.0.0.1');
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => c.on('error', resolve));
  expect(error.message).toBe('connect ENETUNREACH 127.0.0.1:7000 - Local (0.0.0.0:0)');
  bare.close();
});

test('a reader that stops holds the writer, and no memory is lost when it goes on', async () => {
  const { c, s } = await connect('127.0.0.1');
  const total = 100_000_000;
  const chunk = Buffer.alloc(1_000_000, 'x');
  let written = 0;
  const write = (): void => {
    while (written < total) {
      written += chunk.length;
      if (!c.write(chunk)) return void c.once('drain', write);
    }
    c.end();
  };
  write();
  await turns(50);
  expect(written).toBeLessThan(total / 4);
  let got = 0;
  s.on('data', (bytes) => (got += bytes.length));
  await once(s, 'end');
  expect(got).toBe(total);
  await Promise.all([once(c, 'close'), once(s, 'close')]);
  await turns();
  expect(host.stack.slabs.pinned()).toBe(0);
  expect(host.stack.blocks.inUse).toBe(0);
});

test('an application may keep what it was given', async () => {
  const { c, s } = await connect('127.0.0.1');
  const kept: Buffer[] = [];
  s.on('data', (bytes) => kept.push(bytes));
  const sent: Buffer[] = [];
  for (let i = 0; i < 400; i++) {
    const piece = Buffer.alloc(1 + ((i * 7919) % 30_000), i);
    sent.push(piece);
    c.write(piece);
    if (i % 9 === 0) await turns(1);
  }
  c.end();
  await once(s, 'end');
  expect(Buffer.concat(kept).equals(Buffer.concat(sent))).toBe(true);
});

test('the same seed gives the same connection', async () => {
  const hashes = new Set<string>();
  for (let run = 0; run < 2; run++) {
    const one = createHost({ devices: [], seed: 7, trace: true });
    const here = createNet(one);
    here.createServer((s) => s.end('x')).listen(7000);
    const c = here.connect(7000, '127.0.0.1').resume();
    await once(c, 'close');
    // Time is real here; ports and sequence numbers are the seed's.
    hashes.add(`${c.remotePort} ${one.stack.random.below(1 << 30)}`);
    one.close();
  }
  expect(hashes.size).toBe(1);
});
