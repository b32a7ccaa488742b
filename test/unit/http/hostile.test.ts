import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROFILES } from '../../../stack/tcp/profile';
import { Lab, type Peer, until } from './hostile-lab';

/*
 * Peers that mean no good. For each: what they can take is bounded (slots, blocks, pieces, bytes that the server holds), and
 * somebody polite is answered meanwhile.
 */

jest.setTimeout(240_000);

const labs: Lab[] = [];
afterEach(() => {
  for (const lab of labs.splice(0)) lab.close();
});

function lab(...options: ConstructorParameters<typeof Lab>): Lab {
  const made = new Lab(...options);
  labs.push(made);
  return made;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test('slowloris: ten thousand heads that never end hold no received bytes, and are given up in time', async () => {
  const l = lab();
  const server = await l.serve(undefined, { headersTimeout: 0, requestTimeout: 0, connectionsCheckingInterval: 20 });
  const peers = await l.peers(10_000);
  for (const piece of ['GET / HTTP/1.1\r\n', 'Host: a\r\n', 'X-1: b\r\n', 'X-']) {
    for (const peer of peers) peer.send(piece);
    await until(() => l.held.sendBytes === 0 && peers.every((peer) => peer.connection.sendBuffer.bytes === 0));
    await expect(l.ask()).resolves.toBe('200 ok');
  }
  await until(() => l.held.sendBlocks === 0);
  const { connectionsTotal, receiveNodes, sendBlocks, slabs } = l.held;
  expect(connectionsTotal).toBeGreaterThanOrEqual(10_000);
  expect({ receiveNodes, sendBlocks, pinned: slabs.pinned }).toEqual({ receiveNodes: 0, sendBlocks: 0, pinned: 0 });

  server.headersTimeout = 1;
  await until(() => peers.every((peer) => peer.ended));
  expect(peers.filter((peer) => peer.received.startsWith('HTTP/1.1 408 Request Timeout\r\n')).length).toBe(10_000);
  server.headersTimeout = 0;
  await expect(l.ask()).resolves.toBe('200 ok');
});

test.each([
  ['a name that does not end', 'GET / HTTP/1.1\r\nHost: a\r\n', 'x'],
  ['a value that does not end', 'GET / HTTP/1.1\r\nHost: ', 'x'],
  ['fields without end', 'GET / HTTP/1.1\r\nHost: a\r\n', 'a: b\r\n'],
  ['a target that does not end', 'GET /', 'x'],
])('header bombs: %s gets a 431 after so many bytes', async (_, head, flood) => {
  const l = lab();
  await l.serve();
  const peers = await l.peers(50);
  for (const peer of peers) {
    peer.send(head);
    peer.pourOut(flood);
  }
  await until(() => peers.every((peer) => peer.ended));
  expect(peers.filter((peer) => !peer.received.startsWith('HTTP/1.1 431 '))).toEqual([]);
  // 16 KiB of head, and what the peer's window let it send before it heard.
  expect(Math.max(...peers.map((peer) => peer.connection.bytesAcked))).toBeLessThan(256 * 1024);
  await expect(l.ask()).resolves.toBe('200 ok');
  await until(() => l.held.connectionsTotal === 0);
  expect(l.held).toMatchObject({ receiveNodes: 0, sendBlocks: 0 });
});

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';

test('endless chunk extensions and endless trailers are refused', async () => {
  const l = lab();
  await l.serve((request, response) => {
    request.resume();
    if (request.url === '/polite') response.end('ok');
  });
  const peers = await l.peers(60);
  peers.forEach((peer, i) => {
    peer.send(POST + ['1;', '1;a=b\r\nx\r\n1;', '0\r\n'][i % 3]!);
    peer.pourOut(i % 3 === 2 ? 'a: b\r\n' : 'ext=ension;');
  });
  await until(() => peers.every((peer) => peer.ended));
  const statuses = peers.map((peer) => peer.received.slice(9, 12));
  expect(new Set(statuses.filter((_, i) => i % 3 !== 2))).toEqual(new Set(['413']));
  expect(new Set(statuses.filter((_, i) => i % 3 === 2))).toEqual(new Set(['431']));
  expect(Math.max(...peers.map((peer) => peer.connection.bytesAcked))).toBeLessThan(256 * 1024);
  await expect(l.ask()).resolves.toBe('200 ok');
});

test('endless chunks that nobody reads fill one stream buffer and one receive buffer, no more', async () => {
  const l = lab();
  const held: IncomingMessage[] = [];
  await l.serve((request, response) => {
    if (request.url === '/polite') response.end('ok');
    else held.push(request);
  });
  const peers = await l.peers(20);
  const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
  for (const peer of peers) {
    peer.send(POST);
    peer.pourOut(chunk);
  }
  await until(() => held.length === 20);
  // Opened, so that its body comes in; never read.
  for (const request of held) request.pause().on('data', () => {});
  for (const request of held) request.pause();
  await until(() => peers.every((peer) => peer.connection.sndWnd < peer.connection.mss));
  for (let i = 0; i < 5; i++) await expect(l.ask()).resolves.toBe('200 ok');
  const before = peers.map((peer) => peer.connection.bytesAcked);
  await expect(l.ask()).resolves.toBe('200 ok');
  expect(peers.map((peer) => peer.connection.bytesAcked)).toEqual(before);
  expect(Math.max(...held.map((request) => request.readableLength))).toBeLessThan(16_384 + 65_536);
  const limits = [...l.server.stack.tcp.connections].map((c) => c.charged - c.receiveLimit);
  expect(Math.max(...limits)).toBeLessThanOrEqual(65_536);
});

test('endless chunks that somebody reads leave nothing behind', async () => {
  const l = lab();
  let read = 0;
  await l.serve((request, response) => {
    if (request.url === '/polite') return response.end('ok');
    request.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    return undefined;
  });
  const [peer] = await l.peers(1);
  peer!.send(POST);
  peer!.pourOut('1\r\nx\r\n');
  await until(() => read > 200_000);
  await expect(l.ask()).resolves.toBe('200 ok');
  peer!.reset();
  await until(() => l.held.connectionsTotal === 0);
  expect(l.held).toMatchObject({ receiveNodes: 0, sendBlocks: 0 });
});

test('ten thousand stalled downloads take the send memory that there is, and leave some for others', async () => {
  const sendBytesMax = 32 << 20;
  const l = lab({ limits: { sendBytesMax } }, { profile: smallWindows() });
  const body = Buffer.alloc(200_000, 'x');
  const writing: ServerResponse[] = [];
  await l.serve((request, response) => {
    if (request.url === '/polite') return response.end('ok');
    writing.push(response);
    return response.end(body);
  });
  const peers = await l.peers(10_000, false);
  for (const peer of peers) peer.send('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => writing.length === 10_000);
  for (let i = 0; i < 5; i++) await expect(l.ask()).resolves.toBe('200 ok');
  expect(l.server.stack.blocks.bytesInUse).toBeLessThanOrEqual(sendBytesMax);
  expect(l.server.stack.blocks.bytesInUse).toBeGreaterThan(sendBytesMax / 2);
  // Those who begin to read get all of it.
  for (const peer of peers.slice(0, 20)) {
    peer.reads = true;
    peer.read();
  }
  await until(() => peers.slice(0, 20).every((peer) => peer.receivedBytes > body.length));
  await l.reset(peers);
  await until(() => l.held.connectionsTotal === 0);
  expect(l.held.sendBlocks).toBe(0);
});

test('bodies that nobody reads take the receive memory that there is, and leave some for others', async () => {
  const l = lab({ limits: { slabsMax: 16 } });
  const held: IncomingMessage[] = [];
  await l.serve((request, response) => {
    if (request.url === '/polite') response.end('ok');
    else held.push(request);
  });
  const peers = await l.peers(400);
  for (const peer of peers) {
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n');
    peer.pourOut('x');
  }
  await until(() => held.length === 400);
  for (const request of held) request.pause();
  for (let i = 0; i < 5; i++) await expect(l.ask()).resolves.toBe('200 ok');
  expect(l.held.slabs.total).toBeLessThanOrEqual(16);
  await l.reset(peers);
  await until(() => l.held.connectionsTotal === 0);
  // What had come before the RST can still be read, until the application gives it up.
  for (const request of held) request.destroy();
  await until(() => l.held.receiveNodes === 0);
  expect(l.held.slabs.pinned).toBe(0);
});

test('idle hoarders hold a connection each and nothing else, and lose it in time', async () => {
  const l = lab();
  const server = await l.serve(undefined, { keepAliveTimeout: 100 });
  const peers = await l.peers(5000);
  server.keepAliveTimeout = 60_000;
  for (const peer of peers) peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => peers.every((peer) => peer.received.endsWith('ok')));
  await until(() => l.held.sendBlocks === 0);
  expect(l.held).toMatchObject({ connectionsTotal: 5000, receiveNodes: 0, segmentsInFlight: 0, sendBytes: 0 });
  await expect(l.ask()).resolves.toBe('200 ok');
  server.keepAliveTimeout = 1;
  for (const peer of peers) peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => peers.every((peer) => peer.ended));
  await expect(l.ask()).resolves.toBe('200 ok');
});

test('a server that limits its connections closes the others at once', async () => {
  const l = lab();
  const server = await l.serve();
  server.maxConnections = 100;
  const peers = await l.peers(300);
  await until(() => peers.filter((peer) => peer.ended).length >= 200);
  const open = peers.filter((peer) => !peer.ended);
  expect(open.length).toBe(100);
  open[0]!.reset();
  await until(() => l.held.connections['ESTABLISHED'] === 99);
  await expect(l.ask()).resolves.toBe('200 ok');
});

test('a flood of pipelined requests whose answers nobody reads is read no further', async () => {
  const l = lab({}, { profile: smallWindows() });
  let requests = 0;
  const body = 'y'.repeat(500);
  await l.serve((request, response) => {
    if (request.url !== '/polite') requests++;
    response.end(request.url === '/polite' ? 'ok' : body);
  });
  const peers = await l.peers(4, false);
  for (const peer of peers) peer.pourOut('GET /flood HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => peers.every((peer) => peer.connection.sndWnd < peer.connection.mss));
  for (let i = 0; i < 5; i++) await expect(l.ask()).resolves.toBe('200 ok');
  const before = requests;
  for (let i = 0; i < 5; i++) await expect(l.ask()).resolves.toBe('200 ok');
  expect(requests).toBe(before);
  // A thousand unanswered, and the answers that lie in send buffers.
  expect(requests / peers.length).toBeLessThan(5000);
  const limit = sum([...l.server.stack.tcp.connections].map((c) => c.sendLimit));
  expect(l.held.sendBytes).toBeLessThanOrEqual(2 * limit);
  // Whoever reads again is served further.
  const [first] = peers as [Peer];
  const from = requests;
  first.reads = true;
  first.read();
  await until(() => requests > from + 10_000);
  await l.reset(peers);
  await until(() => l.held.connectionsTotal === 0);
});

/** The attacker's own windows are small, so that little memory is enough to stall on. */
function smallWindows(): NonNullable<ConstructorParameters<typeof Lab>[1]>['profile'] {
  return { ...PROFILES['linux']!, receiveBufferInitial: 4096, receiveBufferMax: 4096 };
}
