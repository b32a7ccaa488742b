import type nodeHttp from 'node:http';
import nodeNet from 'node:net';
import { memoryPair } from '../../../device/memory';
import { createHttp, type NetModule } from '../../../http';
import { createNet, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { once } from './both';

/* An accepted socket has no stream until somebody looks: nobody must be able to tell. */

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

function twoHosts(): [Host, Host] {
  const [a, b] = memoryPair();
  const one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
  const two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2 });
  hosts.push(one, two);
  return [one, two];
}

const isMade = (socket: unknown): boolean => (socket as { _streamOptions: unknown })._streamOptions === null;

const ASKED = [
  'destroyed',
  'readable',
  'readableEncoding',
  'readableEnded',
  'readableFlowing',
  'readableLength',
  'writable',
  'writableCorked',
  'writableEnded',
  'writableFinished',
  'writableHighWaterMark',
  'writableLength',
  'writableNeedDrain',
] as const;

test('what it says of itself before is what Node says, and what it says once the stream is there', async () => {
  const seen = await new Promise<unknown[]>((resolve) => {
    const server = nodeNet.createServer((socket) => {
      resolve(ASKED.map((name) => socket[name]).concat([socket.isPaused()]));
      socket.destroy();
      server.close();
    });
    server.listen(0, '127.0.0.1', () => nodeNet.connect((server.address() as nodeNet.AddressInfo).port, '127.0.0.1'));
  });
  const [one, two] = twoHosts();
  const accepted = new Promise<Socket>((resolve) => createNet(two).createServer(resolve).listen(7000));
  createNet(one).connect(7000, '10.0.0.2');
  const socket = await accepted;
  const all = (): unknown[] => [...ASKED.map((name) => socket[name as keyof Socket]), socket.isPaused()];
  expect(all()).toEqual(seen);
  expect(isMade(socket)).toBe(false);
  const { _readableState } = socket as unknown as { _readableState: { needReadable: boolean; reading: boolean } };
  expect(isMade(socket)).toBe(true);
  expect([_readableState.reading, _readableState.needReadable]).toEqual([true, true]);
  expect(all()).toEqual(seen);
});

test('text, its end and errors come as to any stream, whenever it is made', async () => {
  const [one, two] = twoHosts();
  createNet(two)
    .createServer((socket) => {
      // After a while of nothing.
      setImmediate(() => socket.pipe(socket));
    })
    .listen(7000);
  const client = createNet(one).connect(7000, '10.0.0.2');
  let back = '';
  client.on('data', (chunk) => {
    back += chunk;
  });
  client.write('a');
  client.end('b'.repeat(100_000));
  await once(client, 'close');
  expect(back).toBe(`a${'b'.repeat(100_000)}`);
});

test('a connection that HTTP serves in place never has one, until a handler wants the socket', async () => {
  const [one, two] = twoHosts();
  const sockets: Socket[] = [];
  const server = (createHttp(createNet(two) as unknown as NetModule) as unknown as typeof nodeHttp).createServer(
    (request, response) => {
      sockets.push(request.socket as unknown as Socket);
      if (request.url === '/stream') request.socket.cork();
      response.end('ok');
      if (request.url === '/stream') request.socket.uncork();
    },
  );
  server.listen(80);
  const client = createNet(one).connect(80, '10.0.0.2');
  let text = '';
  client.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  const ask = async (path: string): Promise<void> => {
    text = '';
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    while (!text.endsWith('ok')) await once(client, 'data');
  };
  await ask('/');
  await ask('/again');
  expect(sockets.map(isMade)).toEqual([false, false]);
  await ask('/stream');
  expect(isMade(sockets[0])).toBe(true);
  await ask('/after');
  client.destroy();
});
