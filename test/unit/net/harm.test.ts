import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createNet, type Net, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { once, turns } from './both';

/** What a program would get as 'uncaughtException'. */
let thrown: string[];
let host: Host;
let net: Net;

beforeEach(() => {
  thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => void thrown.push(error.message));
  host = createHost({ devices: [], seed: 1, poison: true });
  net = createNet(host);
});
afterEach(() => {
  process.setUncaughtExceptionCaptureCallback(null);
  host.close();
});

const fail = (what: string): never => {
  throw new Error(what);
};

/** `n` clients connect, say their number and end; the server's sockets go to `serve`. */
async function clients(n: number, serve: (socket: Socket, number: number) => void): Promise<void> {
  let accepted = 0;
  const server = net.createServer((socket) => serve(socket, accepted++)).listen(7000);
  const sockets = Array.from({ length: n }, (_, i) => net.connect(7000, '127.0.0.1').end(`text ${i}`));
  for (const socket of sockets) socket.resume().on('error', () => {});
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
  server.close();
  await once(server, 'close');
  await turns();
}

describe('an application that throws harms nobody else', () => {
  test("in 'connection': the other connections are accepted", async () => {
    const served: number[] = [];
    await clients(4, (socket, number) => {
      served.push(number);
      socket.resume();
      if (number === 1) fail('in connection');
    });
    expect(served).toEqual([0, 1, 2, 3]);
    expect(thrown).toEqual(['in connection']);
  });

  test.each(['data', 'end', 'close'])("in '%s': the others hear theirs", async (event) => {
    const heard: number[] = [];
    await clients(4, (socket, number) => {
      socket.resume();
      socket.on(event, () => {
        heard.push(number);
        // What should have ended the socket's own side did not get that far.
        if (event === 'end') socket.destroy();
        if (number === 1) fail(`in ${event}`);
      });
    });
    expect(heard.sort()).toEqual([0, 1, 2, 3]);
    expect(thrown).toEqual([`in ${event}`]);
  });

  test("in 'ready': who reads then hears what the server says", async () => {
    net.createServer((socket) => socket.end('hello')).listen(7000);
    const c = net.connect(7000, '127.0.0.1').on('ready', () => fail('in ready'));
    let got = '';
    c.on('data', (chunk) => (got += chunk));
    await once(c, 'close');
    expect(got).toBe('hello');
    expect(thrown).toEqual(['in ready']);
  });

  test("in 'connect': the others connect, and the socket can still be written to and closed", async () => {
    const texts: string[] = [];
    net
      .createServer((socket) => {
        let text = '';
        socket.on('data', (chunk) => (text += chunk)).on('end', () => texts.push(text));
      })
      .listen(7000);
    const c = net.connect(7000, '127.0.0.1', () => fail('in connect'));
    const other = net.connect(7000, '127.0.0.1').end('other').resume();
    await once(other, 'close');
    c.write('late');
    c.destroySoon();
    await once(c, 'close');
    while (texts.length < 2) await turns();
    expect(texts.sort()).toEqual(['late', 'other']);
    expect(thrown).toEqual(['in connect']);
  });

  test('in the middle of its text: the rest of it comes', async () => {
    let got = 0;
    let times = 0;
    await clients(1, (socket) => {
      socket.on('data', (chunk) => {
        got += chunk.length;
        if (times++ === 0) fail('once');
      });
    });
    expect(got).toBe(6);
    const total = 3_000_000;
    got = times = 0;
    const server = net.createServer((socket) => {
      socket.on('data', (chunk) => {
        got += chunk.length;
        if (times++ % 3 === 0) fail('again');
      });
    });
    server.listen(7001);
    const c = net.connect(7001, '127.0.0.1').resume();
    c.end(Buffer.alloc(total));
    await once(c, 'close');
    expect(got).toBe(total);
    expect(thrown.length).toBe(1 + Math.ceil(times / 3));
  });

  test('in what a callback left behind: a tick, a promise', async () => {
    const heard: string[] = [];
    await clients(4, (socket, number) => {
      socket.on('data', (chunk) => {
        heard.push(String(chunk));
        if (number === 1) process.nextTick(() => fail('in a tick'));
        if (number === 2) queueMicrotask(() => fail('in a microtask'));
      });
    });
    expect(heard.sort()).toEqual(['text 0', 'text 1', 'text 2', 'text 3']);
    expect(thrown).toEqual(['in a tick', 'in a microtask']);
  });

  test('in a callback that waits for room', async () => {
    const server = net.createServer((socket) => setTimeout(() => socket.resume(), 5)).listen(7000);
    const c = net.connect(7000, '127.0.0.1');
    await once(c, 'ready');
    c.write(Buffer.alloc(9_000_000), () => fail('when written'));
    const drained = once(c, 'drain');
    await drained;
    c.end();
    await once(c.resume(), 'close');
    expect(thrown).toEqual(['when written']);
    server.close();
  });

  test('nothing is left behind', async () => {
    await clients(8, (socket, number) => {
      socket.on('data', () => fail('x'));
      if (number % 2) fail('y');
    });
    expect(host.stack.tcp.connections.size).toBe(0);
    expect(host.stack.tcp.store.inUse).toBe(0);
    expect(host.stack.blocks.inUse).toBe(0);
  });
});

test('sockets that are closed can be forgotten, whatever the host still knows', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const seen: WeakRef<Socket>[] = [];
  await (async () => {
    await clients(20, (socket) => {
      seen.push(new WeakRef(socket));
      socket.setTimeout(60_000);
      socket.resume();
    });
  })();
  for (let i = 0; i < 10 && seen.some((ref) => ref.deref() !== undefined); i++) {
    await turns();
    collect();
  }
  expect(seen.filter((ref) => ref.deref() !== undefined).length).toBe(0);
});
