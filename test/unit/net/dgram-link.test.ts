import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { memoryPair } from '../../../device/memory';
import { createDgram, type Socket } from '../../../net/dgram';
import { createHost, type Host } from '../../../net/host';
import { createNet } from '../../../net/index';
import { pass } from './both';

/* dgram over a link: two hosts in memory. What both modules have in common is in the other files. */

const hosts: Host[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) {
    try {
      socket.close();
    } catch {
      // Closed by the test.
    }
  }
  for (const host of hosts.splice(0)) host.close();
});

function twoHosts(options: Parameters<typeof memoryPair>[0] = {}): [Host, Host] {
  const [a, b] = memoryPair(options);
  const one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24', 'fd00::1/64'] }], seed: 1, poison: true });
  const two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24', 'fd00::2/64'] }], seed: 2, poison: true });
  hosts.push(one, two);
  return [one, two];
}

async function bound(host: Host, port: number, address: string, type: 'udp4' | 'udp6' = 'udp4'): Promise<Socket> {
  const socket = createDgram(host).createSocket(type);
  sockets.push(socket);
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return socket;
}

const message = (socket: Socket): Promise<[Buffer, { address: string; port: number; family: string; size: number }]> =>
  new Promise((resolve) => socket.once('message', (text, from) => resolve([text, from])));

describe.each(['ip', 'ethernet'] as const)('a link of type %s', (linkType) => {
  test('there and back, both families', async () => {
    const [one, two] = twoHosts({ linkType });
    for (const [type, here, there] of [
      ['udp4', '10.0.0.1', '10.0.0.2'],
      ['udp6', 'fd00::1', 'fd00::2'],
    ] as const) {
      const server = await bound(two, 7, there, type);
      server.on('message', (text, from) => server.send(`re: ${text}`, from.port, from.address));
      const client = await bound(one, 5000, here, type);
      client.send('hello', 7, there);
      const [text, from] = await message(client);
      expect([text.toString(), from]).toEqual([
        're: hello',
        { address: there, family: type === 'udp4' ? 'IPv4' : 'IPv6', port: 7, size: 9 },
      ]);
    }
  });

  test('60 KB in fragments', async () => {
    const [one, two] = twoHosts({ linkType });
    const server = await bound(two, 7, '10.0.0.2');
    const client = await bound(one, 5000, '10.0.0.1');
    const text = Buffer.from(Uint8Array.from({ length: 60_000 }, (_, i) => (i * 7) & 255));
    client.send(text, 7, '10.0.0.2');
    const [received] = await message(server);
    expect(received.equals(text)).toBe(true);
    // The application may keep it: it is memory of its own.
    await pass(5);
    expect(received.equals(text)).toBe(true);
  });

  test('a closed port is told to who is connected', async () => {
    const [one] = twoHosts({ linkType });
    const client = await bound(one, 5000, '10.0.0.1');
    await new Promise<void>((resolve) => client.connect(9, '10.0.0.2', resolve));
    client.send('x');
    const error = await new Promise<Error>((resolve) => client.once('error', resolve));
    expect({ ...error, message: error.message }).toEqual({
      message: 'recvmsg ECONNREFUSED',
      errno: -111,
      code: 'ECONNREFUSED',
      syscall: 'recvmsg',
    });
  });

  test('to everybody: with permission only', async () => {
    const [one, two] = twoHosts({ linkType });
    const server = await bound(two, 7, '0.0.0.0');
    const client = await bound(one, 5000, '10.0.0.1');
    for (const address of ['255.255.255.255', '10.0.0.255']) {
      const refused = await new Promise<Error | null>((resolve) => client.send('x', 7, address, resolve));
      expect(refused?.message).toBe(`send EACCES ${address}:7`);
      client.setBroadcast(true);
      client.send(address, 7, address);
      expect((await message(server))[0].toString()).toBe(address);
      client.setBroadcast(false);
    }
  });

  test('groups: who joined hears', async () => {
    const [one, two] = twoHosts({ linkType });
    for (const [type, any, group] of [
      ['udp4', '0.0.0.0', '239.1.2.3'],
      ['udp6', '::', 'ff05::123'],
    ] as const) {
      const member = await bound(two, 7, any, type);
      const client = await bound(one, 5000, any, type);
      const seen: string[] = [];
      member.on('message', (text) => seen.push(text.toString()));
      // What is sent to the member alone comes after what was sent to the group before.
      const toGroup = async (text: string): Promise<void> => {
        const mark = `after ${text}`;
        client.send(text, 7, group);
        client.send(mark, 7, type === 'udp4' ? '10.0.0.2' : 'fd00::2');
        while (!seen.includes(mark)) await pass(1);
      };
      await toGroup('too early');
      member.addMembership(group);
      await toGroup('joined');
      member.dropMembership(group);
      await toGroup('left');
      expect(seen.filter((text) => !text.startsWith('after'))).toEqual(['joined']);
      member.close();
      client.close();
    }
  });
});

test('a link that pushes back: all datagrams are sent in the end, their callbacks in order', async () => {
  const [one, two] = twoHosts({ queueFrames: 8 });
  const server = await bound(two, 7, '10.0.0.2');
  server.setRecvBufferSize(4_000_000);
  const client = await bound(one, 5000, '10.0.0.1');
  client.setSendBufferSize(4000);
  const seen: number[] = [];
  server.on('message', (text) => seen.push(text.readUInt16BE()));
  const done: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const text = Buffer.alloc(1000);
    text.writeUInt16BE(i);
    client.send(text, 7, '10.0.0.2', () => done.push(i));
  }
  // The address is looked up first, as every name is.
  await new Promise(process.nextTick);
  expect(client.getSendQueueCount()).toBeGreaterThan(1000);
  expect(client.getSendQueueSize()).toBe(client.getSendQueueCount() * 1000);
  for (let i = 0; i < 500 && seen.length < 2000; i++) await pass(4);
  const numbers = String(Array.from({ length: 2000 }, (_, i) => i));
  expect([done.length, String(done) === numbers]).toEqual([2000, true]);
  expect([seen.length, String(seen) === numbers]).toEqual([2000, true]);
  expect(client.getSendQueueCount()).toBe(0);
});

test('a link that pushes back is no link that loses: TCP has nothing to send twice', async () => {
  const [one, two] = twoHosts({ queueFrames: 8 });
  const server = createNet(two).createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(7, '10.0.0.2', resolve));
  const client = createNet(one).connect(7, '10.0.0.2');
  client.end(Buffer.alloc(3_000_000, 0x55));
  let received = 0;
  for await (const chunk of client) received += (chunk as Buffer).length;
  expect(received).toBe(3_000_000);
  const [there, back] = [one, two].map((host) => host.devices[0]!.counters);
  expect([there!.txErrors, back!.txErrors]).toEqual([0, 0]);
  // Whatever was sent arrived. (A machine that stands still for longer than a retransmission timer makes it send a little.)
  expect([there!.txFrames, back!.txFrames]).toEqual([back!.rxFrames, there!.rxFrames]);
  expect(Math.max(...[one, two].map((host) => host.stack.tcp.counters.retransmitted))).toBeLessThan(10);
  server.close();
});

test('what waits when the socket closes is told so', async () => {
  const [one] = twoHosts({ queueFrames: 1 });
  const client = await bound(one, 5000, '10.0.0.1');
  client.setSendBufferSize(4000);
  const codes: (string | undefined)[] = [];
  for (let i = 0; i < 1000; i++) {
    client.send(Buffer.alloc(1000), 7, '10.0.0.2', (error) =>
      codes.push((error as NodeJS.ErrnoException | null)?.code),
    );
  }
  await new Promise(process.nextTick);
  client.close();
  await pass(5);
  expect(codes).toHaveLength(1000);
  expect([codes[0], codes[999]]).toEqual([undefined, 'ECANCELED']);
});

test('a reader too slow for its buffer loses the rest, and no memory', async () => {
  const [one, two] = twoHosts();
  const server = await bound(two, 7, '10.0.0.2');
  server.setRecvBufferSize(10_000);
  const client = await bound(one, 5000, '10.0.0.1');
  for (let i = 0; i < 200; i++) client.send(Buffer.alloc(1000), 7, '10.0.0.2');
  await pass(20);
  expect(two.stack.drops.counts['udp-queue-full']).toBeGreaterThan(100);
});

test('UDP and TCP ports do not disturb each other', async () => {
  const [one, two] = twoHosts();
  const server = createNet(two).createServer((socket) => socket.end('tcp'));
  await new Promise<void>((resolve) => server.listen(7, '10.0.0.2', resolve));
  const udp = await bound(two, 7, '10.0.0.2');
  udp.on('message', (_text, from) => udp.send('udp', from.port, from.address));
  const client = await bound(one, 5000, '10.0.0.1');
  client.send('x', 7, '10.0.0.2');
  expect((await message(client))[0].toString()).toBe('udp');
  const socket = createNet(one).connect(7, '10.0.0.2');
  const text = await new Promise<string>((resolve) =>
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  expect(text).toBe('tcp');
  server.close();
});

/** Runs a program over the stack in a process of its own and returns what it prints; fails when it does not end by itself. */
function run(program: string): string {
  const root = join(__dirname, '..', '..', '..');
  const script = `
    const { createHost } = require('${root}/net/host.ts');
    const { createDgram } = require('${root}/net/dgram.ts');
    const dgram = createDgram(createHost({ devices: [] }));
    ${program}`;
  return execFileSync(process.execPath, ['-r', join(root, 'test/typescript.cjs'), '-e', script], {
    encoding: 'utf8',
    timeout: 20_000,
  });
}

describe('a process lives as long as a socket listens', () => {
  test.each([
    ['never bound', "dgram.createSocket('udp4');", ''],
    [
      'closed',
      "const s = dgram.createSocket('udp4'); s.bind(0, '127.0.0.1', () => { console.log('bound'); s.close(); });",
      'bound\n',
    ],
    [
      'unref',
      "const s = dgram.createSocket('udp4'); s.bind(0, '127.0.0.1', () => { console.log('bound'); s.unref(); });",
      'bound\n',
    ],
    [
      'until a message closes it',
      `const s = dgram.createSocket('udp4'); s.bind(0, '127.0.0.1', () => s.send('x', s.address().port, '127.0.0.1'));
       s.on('message', (m) => { console.log(String(m)); s.close(); });`,
      'x\n',
    ],
  ])('%s', (_name, program, printed) => {
    expect(run(program)).toBe(printed);
  });

  test('and is held by one that does', () => {
    const program =
      "const s = dgram.createSocket('udp4'); s.bind(0, '127.0.0.1'); setTimeout(() => { console.log('alive'); process.exit(); }, 300).unref();";
    expect(run(program)).toBe('alive\n');
  });
});
