import type { Socket } from 'node:net';
import * as kernel from 'node:net';
import { type Forward, startForward } from '../../../tools/forward';

// From the kernel to the kernel: what counts here is how ends and failures travel.

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function forwarded(answer: (socket: Socket) => void): Promise<Forward> {
  const server = kernel.createServer({ allowHalfOpen: true }, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as kernel.AddressInfo;
  const from = { host: '127.0.0.1', port: 0, over: kernel };
  const forward = await startForward(from, { host: '127.0.0.1', port, over: kernel });
  closers.push(() => {
    server.close();
    forward.stop();
    forward.cut();
  });
  return forward;
}

const dial = (forward: Forward): Socket => {
  const socket = kernel.connect({ ...forward.at, allowHalfOpen: true });
  closers.push(() => socket.destroy());
  return socket;
};

const event = (socket: Socket, name: string): Promise<unknown> =>
  new Promise((resolve) => socket.once(name, (value: unknown) => resolve(value)));

/** Everything up to the other side's end; this side may go on. */
function text(socket: Socket): Promise<string> {
  let all = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    all += chunk;
  });
  return new Promise((resolve) => socket.once('end', () => resolve(all)));
}

test('bytes both ways, and a direction that ends while the other goes on', async () => {
  const forward = await forwarded((socket) => {
    // Answers only after the client's end.
    void text(socket).then((got) => socket.end(`got ${got}`));
  });
  const socket = dial(forward);
  socket.end('all of it');
  expect(await text(socket)).toBe('got all of it');
});

test('a megabyte there and back', async () => {
  const forward = await forwarded((socket) => socket.pipe(socket));
  const socket = dial(forward);
  const body = 'tapwire!'.repeat(131_072);
  socket.end(body);
  expect((await text(socket)) === body).toBe(true);
});

test('a reset by the server reaches the client as a reset', async () => {
  const forward = await forwarded((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const socket = dial(forward);
  socket.write('x');
  expect(await event(socket, 'error')).toMatchObject({ code: 'ECONNRESET' });
});

test('a reset by the client reaches the server', async () => {
  let told: (error: unknown) => void = () => {};
  const failed = new Promise((resolve) => {
    told = resolve;
  });
  const forward = await forwarded((socket) => {
    socket.on('error', told);
    socket.write('x');
  });
  const socket = dial(forward);
  await event(socket, 'data');
  socket.resetAndDestroy();
  expect(await failed).toMatchObject({ code: 'ECONNRESET' });
});

test('nobody at the other side: the client is refused in its own way', async () => {
  const free = kernel.createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port } = free.address() as kernel.AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const forward = await startForward(
    { host: '127.0.0.1', port: 0, over: kernel },
    { host: '127.0.0.1', port, over: kernel },
  );
  closers.push(() => forward.stop());
  expect(await event(dial(forward), 'error')).toMatchObject({ code: 'ECONNRESET' });
});

test('what is carried is counted and can be cut', async () => {
  const forward = await forwarded((socket) => {
    socket.on('error', () => {});
    socket.write('hello');
  });
  const socket = dial(forward);
  await event(socket, 'data');
  expect(forward.count).toBe(1);
  forward.stop();
  forward.cut();
  // Not an end: what was lost must not look complete.
  expect(await event(socket, 'error')).toMatchObject({ code: 'ECONNRESET' });
  expect(forward.count).toBe(0);
});

test('a taken port is named with its cure', async () => {
  const forward = await forwarded(() => {});
  const again = startForward({ ...forward.at, over: kernel }, { host: '127.0.0.1', port: 1, over: kernel });
  const next = forward.at.port < 65_535 ? forward.at.port + 1 : 8077;
  await expect(again).rejects.toThrow(
    `127.0.0.1:${forward.at.port} is taken by another program. Stop it, or choose another port: --forward 127.0.0.1:${next}`,
  );
});

test('an address that is not ours is named with its cure', async () => {
  const elsewhere = startForward(
    { host: '192.0.2.1', port: 8077, over: kernel },
    { host: '127.0.0.1', port: 1, over: kernel },
  );
  await expect(elsewhere).rejects.toThrow(
    '192.0.2.1:8077 is not an address of this machine: try --forward 127.0.0.1:8077',
  );
});
