import { memoryPair } from '../../../device/memory';
import { createHttp } from '../../../http/module';
import { createNet, type Net, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { WRITES_ARE_CANCELED } from '../../../net/running-node';

/* A host that is closed is a machine without power: whoever still holds a socket of it must not hang, nor bring the process down. */

let one: Host;
let two: Host;
let net: Net;
beforeEach(() => {
  const [a, b] = memoryPair();
  one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1, poison: true });
  two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2, poison: true });
  net = createNet(one);
});
afterEach(() => {
  one.close();
  two.close();
});

const closed = (socket: Socket): Promise<boolean> => new Promise((resolve) => socket.once('close', resolve));

async function connected(onServer: (socket: Socket) => void = () => {}): Promise<Socket> {
  createNet(two).createServer(onServer).listen(7000);
  const socket = net.connect(7000, '10.0.0.2');
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

test('its sockets are destroyed, without an error', async () => {
  const socket = await connected();
  one.close();
  expect(socket.destroyed).toBe(true);
  expect(await closed(socket)).toBe(false);
});

test('nothing can be reached from it any more', async () => {
  one.close();
  const socket = net.connect(7000, '10.0.0.2');
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve));
  expect(error.code).toBe('ENETUNREACH');
});

test('what waits to be written ends as when a socket is destroyed, and what is written afterwards fails', async () => {
  const socket = await connected((peer) => peer.pause());
  const outcomes: Promise<string | undefined>[] = [];
  const write = (bytes: number): void => {
    const done = new Promise<string | undefined>((resolve) =>
      socket.write(Buffer.alloc(bytes), (error) => resolve((error as NodeJS.ErrnoException | null)?.code)),
    );
    outcomes.push(done);
  };
  socket.on('error', () => {});
  write(20_000_000);
  one.close();
  write(1);
  expect(await Promise.all(outcomes)).toEqual([WRITES_ARE_CANCELED ? 'ECANCELED' : undefined, 'ERR_STREAM_DESTROYED']);
});

test('text that nobody has read is gone; reading does no harm', async () => {
  const socket = await connected((peer) => peer.write('text'));
  socket.on('readable', () => {});
  while (socket.readableLength === 0) await new Promise(setImmediate);
  one.close();
  expect(() => socket.read()).not.toThrow();
});

test('a response that comes too late ends nowhere, and the request hears of it', async () => {
  const http = { server: createHttp(createNet(two) as never), client: createHttp(net as never) };
  let late: (() => unknown) | null = null;
  http.server.createServer((_, res) => (late = () => res.end('late'))).listen(80);
  const request = http.client.get('http://10.0.0.2/');
  while (late === null) await new Promise(setImmediate);
  two.close();
  expect(late).not.toThrow();
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => request.once('error', resolve));
  one.close();
  expect((await failed).code).toBe('ECONNRESET');
});
