import { Writable } from 'node:stream';
import { createNet, type DirectConsumer, type Net, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';

let host: Host;
let net: Net;
beforeEach(() => {
  host = createHost({ devices: [], seed: 1, poison: true });
  net = createNet(host);
});
afterEach(() => host.close());

/** Keeps what it got, and takes at most `appetite` bytes a call. */
class Recorder implements DirectConsumer {
  readonly events: string[] = [];
  text = '';
  appetite = Number.POSITIVE_INFINITY;
  onText(bytes: Uint8Array, at: number, end: number): number {
    const used = Math.min(end - at, this.appetite);
    this.text += Buffer.from(bytes.subarray(at, at + used)).toString('latin1');
    this.events.push(`text ${end - at}`);
    return used;
  }
  onEnd(): void {
    this.events.push('end');
  }
  onRoom(): void {
    this.events.push('room');
  }
  onError(error: Error): void {
    this.events.push(error.message);
  }
  onClosed(): void {
    this.events.push('closed');
  }
  onDetached(): void {
    this.events.push('detached');
  }
}

/** A connected pair; the server's end has `recorder` attached since its 'connection' event. */
async function pair(recorder: Recorder): Promise<{ client: Socket; server: Socket }> {
  let accepted: Socket | null = null;
  const listener = net.createServer((socket) => {
    accepted = socket;
    expect(socket.attachDirect(recorder)).toBe(true);
  });
  listener.listen(7000);
  const client = net.connect(7000, '127.0.0.1');
  await once(client, 'connect');
  listener.close();
  return { client, server: accepted! };
}

const once = (socket: Socket, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()));

async function turns(n = 4): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
}

/** Waits for the condition itself: how many turns of the loop it takes is the machine's affair. Jest's time-out is the bound. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1);
}

test('text is lent in place and never goes through the stream', async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  client.write('GET / HTTP/1.1\r\n\r\n');
  await until(() => recorder.text === 'GET / HTTP/1.1\r\n\r\n');
  expect(server.readableLength).toBe(0);
  expect(server.bytesRead).toBe(18);
  client.destroy();
  await once(server, 'close');
});

test('what the consumer leaves is held until it resumes, and closes the window behind it', async () => {
  const recorder = new Recorder();
  recorder.appetite = 3;
  const { client, server } = await pair(recorder);
  client.write('abcdefgh');
  await until(() => recorder.events.length > 0);
  expect(recorder.events).toEqual(['text 8']);
  recorder.appetite = Number.POSITIVE_INFINITY;
  server.resumeDirect();
  await until(() => recorder.text === 'abcdefgh');
  expect(recorder.events).toEqual(['text 8', 'text 5']);
  client.destroy();
  await once(server, 'close');
});

test('bytes are encoded straight into the send buffer', async () => {
  const { client, server } = await pair(new Recorder());
  const got: Buffer[] = [];
  client.on('data', (chunk) => got.push(chunk));
  expect(server.directWritable).toBe(true);
  expect(server.directReserve(5)).toBe(true);
  server.directMemory.set(Buffer.from('hello'), server.directAt);
  server.directCommit(5);
  expect(server.directSend(Buffer.from('[, world]'), 1, 7)).toBe(7);
  await until(() => Buffer.concat(got).toString() === 'hello, world');
  expect(server.bytesWritten).toBe(12);
  client.destroy();
  await once(server, 'close');
});

test('a full send buffer says no, and then that there is room', async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  const block = new Uint8Array(60_000);
  let sent = 0;
  for (let taken = 60_000; taken === 60_000; sent += taken) taken = server.directSend(block, 0, 60_000);
  expect(server.directReserve(2000)).toBe(false);
  let got = 0;
  client.on('data', (chunk) => (got += chunk.length));
  await until(() => got === sent && recorder.events.includes('room'));
  expect(recorder.events).toEqual(['room']);
  client.destroy();
  await once(server, 'close');
});

test('a write that waits goes first', async () => {
  const { client, server } = await pair(new Recorder());
  client.pause();
  server.write(Buffer.alloc(8_000_000));
  expect(server.directWritable).toBe(false);
  let got = 0;
  client.on('data', (chunk) => (got += chunk.length));
  client.resume();
  await until(() => got === 8_000_000 && server.directWritable);
  client.destroy();
  await once(server, 'close');
});

test.each<[string, (socket: Socket, got: (text: string) => void) => void]>([
  ["a 'data' listener", (socket, got) => socket.on('data', (chunk) => got(String(chunk)))],
  ["a 'readable' listener", (socket, got) => socket.on('readable', () => got(String(socket.read() ?? '')))],
  [
    'pipe()',
    (socket, got) =>
      socket.pipe(
        new Writable({
          write(chunk, _encoding, done) {
            got(String(chunk));
            done();
          },
        }),
      ),
  ],
])('%s takes the socket back as a stream, with what was held', async (_, want) => {
  const recorder = new Recorder();
  recorder.appetite = 2;
  const { client, server } = await pair(recorder);
  client.write('abcdef');
  await until(() => recorder.events.length > 0);
  let rest = '';
  want(server, (text) => {
    rest += text;
  });
  expect(recorder.events).toEqual(['text 6', 'detached']);
  client.write('ghi');
  await until(() => recorder.text + rest === 'abcdefghi');
  client.destroy();
  await once(server, 'close');
});

test('read() takes the socket back as well', async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  expect(server.read()).toBe(null);
  expect(recorder.events).toEqual(['detached']);
  client.write('abc');
  await until(() => server.readableLength === 3);
  expect(String(server.read())).toBe('abc');
  client.destroy();
  server.destroy();
  await once(server, 'close');
});

test("the peer's FIN, then the close", async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  const closed = once(server, 'close').then(() => recorder.events.push("'close'"));
  server.on('end', () => recorder.events.push("'end'"));
  client.end('bye');
  await closed;
  expect(recorder.events).toEqual(['text 3', 'end', "'end'", 'closed', "'close'"]);
});

test("a reset is told before the socket's own 'error'", async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  server.on('error', (error) => recorder.events.push(`'error' ${error.message}`));
  client.resetAndDestroy();
  await once(server, 'close');
  expect(recorder.events).toEqual(['read ECONNRESET', "'error' read ECONNRESET", 'closed']);
});

test('a client attaches before it is connected', async () => {
  net.createServer((socket) => socket.end('hi')).listen(7000);
  const client = net.connect(7000, '127.0.0.1');
  const recorder = new Recorder();
  expect(client.attachDirect(recorder)).toBe(true);
  expect(client.directWritable).toBe(false);
  await once(client, 'close');
  expect(recorder.events).toEqual(['text 2', 'end', 'closed']);
});

test('pause() and resume() hold and release the text', async () => {
  const recorder = new Recorder();
  const { client, server } = await pair(recorder);
  server.pause();
  client.write('abc');
  await turns();
  expect(recorder.text).toBe('');
  server.resume();
  await until(() => recorder.text === 'abc');
  client.destroy();
  await once(server, 'close');
});

test('a socket that already streams cannot be attached', async () => {
  const { client, server } = await pair(new Recorder());
  client.on('data', () => {});
  expect(client.attachDirect(new Recorder())).toBe(false);
  server.destroy();
  await once(client, 'close');
  expect(client.attachDirect(new Recorder())).toBe(false);
});

test('nothing is left behind in the stack', async () => {
  const { client, server } = await pair(new Recorder());
  client.write('abc');
  client.end();
  await once(server, 'close');
  const { blocks, tcp } = host.stack;
  await until(() => blocks.inUse === 0 && tcp.store.inUse === 0 && tcp.connections.size === 0);
});

/** Ends the connection while it looks at what it was given. */
class Closer extends Recorder {
  server: Socket | null = null;
  before: (() => void) | null = null;
  override onText(bytes: Uint8Array, at: number, end: number): number {
    const { server } = this;
    this.server = null;
    this.before?.();
    this.before = null;
    server?.destroy();
    return super.onText(bytes, at, end);
  }
}

test('whoever ends the connection while he reads has what he was given, whatever comes meanwhile, and the rest of the read', async () => {
  const recorder = new Closer();
  const { client, server } = await pair(recorder);
  recorder.server = server;
  // More comes over the same link before he has looked at his text.
  recorder.before = () => client.write('z'.repeat(30_000));
  client.on('error', () => {});
  client.setNoDelay(true);
  client.write('a'.repeat(40_000));
  await new Promise(process.nextTick);
  client.write('b'.repeat(10_000));
  await once(server, 'close');
  expect(recorder.text).toBe(`${'a'.repeat(40_000)}${'b'.repeat(10_000)}`);
  expect(server.bytesRead).toBe(50_000);
});
