import nodeHttps from 'node:https';
import nodeTls, { type TLSSocket } from 'node:tls';
import { createHttps, tlsOf } from '../../../http/https';
import { MODULES } from './exchange';
import { event, soon, textOf, until } from './rows/bench';
import { cert, key } from './tls-identity';

const stackNet = MODULES['our http and net'].net;
const ours = createHttps(stackNet) as unknown as typeof nodeHttps;
const tls = tlsOf(stackNet);
const SIDES: [string, typeof nodeHttps][] = [
  ['Node', nodeHttps],
  ['ours', ours],
];

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function serve(
  https: typeof nodeHttps,
  handler: (req: Parameters<Parameters<typeof nodeHttps.createServer>[1] & object>[0], res: never) => void,
  options: nodeHttps.ServerOptions = {},
): Promise<{ server: nodeHttps.Server; port: number }> {
  const server = https.createServer({ key, cert, ...options }, handler as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    https.globalAgent.destroy();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, port: (server.address() as { port: number }).port };
}

const get = async (https: typeof nodeHttps, options: nodeHttps.RequestOptions) => {
  const request = https.get({ host: '127.0.0.1', servername: 'localhost', ca: cert, ...options });
  const response = new Promise<Parameters<typeof textOf>[0]>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  const res = await response;
  return { request, res, text: await textOf(res) };
};

describe.each(SIDES)('https (%s)', (_side, https) => {
  test('serves and asks, over one kept connection', async () => {
    const { port } = await serve(https, (req, res: { end(text: string): void }) => {
      res.end(`${req.method} ${req.url} ${(req.socket as TLSSocket).encrypted} ${req.socket.remoteAddress}`);
    });
    const agent = new https.Agent({ keepAlive: true });
    closing.push(async () => agent.destroy());
    const first = await get(https, { port, agent, path: '/1' });
    expect(first.text).toBe('GET /1 true 127.0.0.1');
    await until(() => Object.keys(agent.freeSockets).length > 0);
    const second = await get(https, { port, agent, path: '/2' });
    expect([second.text, second.request.reusedSocket]).toEqual(['GET /2 true 127.0.0.1', true]);
    const socket = first.res.socket ?? second.request.socket;
    expect((socket as TLSSocket).authorized).toBe(true);
  });

  test('a large body both ways', async () => {
    const { port } = await serve(https, (req, res: never) => void req.pipe(res));
    const body = Buffer.alloc(3_000_000, 'abc');
    const request = https.request({ host: '127.0.0.1', port, method: 'POST', ca: cert, servername: 'localhost' });
    request.end(body);
    const [res] = (await event(request, 'response')) as [Parameters<typeof textOf>[0]];
    expect((await textOf(res)) === body.toString('latin1')).toBe(true);
  });

  test('what the socket tells, in its order', async () => {
    const { port } = await serve(https, (_req, res: { end(text: string): void }) => res.end('x'));
    const events: string[] = [];
    const request = https.get({ host: '127.0.0.1', port, ca: cert, servername: 'localhost', agent: false });
    request.on('socket', (socket) => {
      events.push(`socket ${socket.connecting}`);
      for (const name of ['connect', 'ready', 'secureConnect', 'close']) socket.on(name, () => events.push(name));
    });
    request.on('response', (res) => {
      events.push('response');
      res.resume();
    });
    await event(request, 'close');
    await until(() => events.includes('close'));
    expect(events).toEqual(['socket true', 'connect', 'ready', 'secureConnect', 'response', 'close']);
  });

  test('H-265 the certificate of a client', async () => {
    const { port } = await serve(
      https,
      (req, res: { end(text: string): void }) => {
        const socket = req.socket as TLSSocket;
        res.end(`${socket.authorized} ${socket.getPeerCertificate().subject.CN}`);
      },
      { requestCert: true, ca: cert },
    );
    expect((await get(https, { port, key, cert })).text).toBe('true localhost');
    await expect(get(https, { port, agent: false })).rejects.toThrow();
  });

  test('a certificate that is not trusted, a connection refused, what is not TLS', async () => {
    const { server, port } = await serve(https, (_req, res: { end(): void }) => res.end());
    await expect(get(https, { port, ca: [] })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await expect(get(https, { port: 1 })).rejects.toMatchObject({ code: 'ECONNREFUSED', port: 1, syscall: 'connect' });
    // The clients before this one failed as well, and the server hears of it whenever it does.
    const failed = new Promise<Error>((resolve) => {
      server.on('clientError', (error: Error & { code?: string }) => {
        if (error.code !== 'ECONNRESET') resolve(error);
      });
    });
    const plain = (https === nodeHttps ? MODULES.node.net : stackNet).connect(port, '127.0.0.1');
    plain.on('error', () => {});
    plain.write('GET / HTTP/1.1\r\n\r\n');
    expect(await failed).toMatchObject({ code: 'ERR_SSL_HTTP_REQUEST' });
    plain.destroy();
  });

  test('sessions are used again', async () => {
    const { port } = await serve(https, (_req, res: { end(): void }) => res.end());
    const agent = new https.Agent({ maxCachedSessions: 5 });
    const reused: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      const { request } = await get(https, { port, agent });
      reused.push((request.socket as TLSSocket).isSessionReused());
      await soon(30);
    }
    expect(reused).toEqual([false, true]);
  });

  test('the wrong protocol', () => {
    expect(() => https.request({ protocol: 'http:' })).toThrow('Protocol "http:" not supported. Expected "https:"');
  });
});

describe('tls over our sockets', () => {
  test('connect, and servers, without HTTP', async () => {
    const server = tls.createServer({ key, cert }, (socket: TLSSocket) => void socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' });
    expect(socket).toBeInstanceOf(nodeTls.TLSSocket);
    await event(socket, 'secureConnect');
    expect([socket.authorized, socket.remoteAddress, socket.remotePort, socket.encrypted]).toEqual([
      true,
      '127.0.0.1',
      port,
      true,
    ]);
    socket.write('echo');
    expect(String((await event(socket, 'data'))[0])).toBe('echo');
    socket.end();
    await event(socket, 'close');
    await new Promise((resolve) => server.close(resolve));
  });

  test.each([
    ['Node', nodeTls],
    ['ours', tls],
  ] as [string, typeof nodeTls][])(
    'options that make other streams of sockets do not count (%s)',
    async (_side, module) => {
      const server = module.createServer({ key, cert }, (socket) => void socket.pipe(socket));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      for (const option of [{ encoding: 'binary' }, { objectMode: true }, { readableObjectMode: true }]) {
        const to: object = { host: '127.0.0.1', port, ca: cert, servername: 'localhost', ...option };
        const socket = module.connect(to);
        socket.write('echo');
        expect((await event(socket, 'data'))[0]).toEqual(Buffer.from('echo'));
        socket.end();
        await event(socket, 'close');
      }
      await new Promise((resolve) => server.close(resolve));
    },
  );

  test('a socket that is connected already can be secured', async () => {
    const server = tls.createServer({ key, cert }, (socket: TLSSocket) => void socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const raw = stackNet.connect((server.address() as { port: number }).port, '127.0.0.1');
    await event(raw, 'connect');
    const socket = tls.connect({ socket: raw, ca: cert, servername: 'localhost' });
    expect(String((await event(socket, 'data'))[0])).toBe('hello');
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('tls over our sockets, in the details in which a stream is less than a socket', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });
  const listen = async (onSecure: (socket: TLSSocket) => void): Promise<number> => {
    const server = tls.createServer({ key, cert }, onSecure);
    server.listen(0, '127.0.0.1');
    await event(server, 'listening');
    closing.push(() => server.close());
    return (server.address() as { port: number }).port;
  };

  test('options are checked before anything connects', () => {
    expect(() => tls.connect({ minDHSize: 0 })).toThrow(/minDHSize/);
    expect(() => tls.connect({ ciphers: 'none-such', port: 1 })).toThrow(/no cipher match/i);
    expect(() => tls.connect({})).toThrow('The "options" or "port" or "path" argument must be specified');
  });

  test('a half-open one goes on when the peer has ended', async () => {
    let heard = '';
    const served = new Promise<void>((resolve) => {
      void listen((socket) => {
        socket.end('bye');
        socket.on('data', (chunk) => (heard += chunk)).on('end', resolve);
      }).then((port) => {
        const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost', allowHalfOpen: true });
        expect(socket.allowHalfOpen).toBe(true);
        socket.resume().on('end', () => setTimeout(() => socket.end('not yet'), 20));
      });
    });
    await served;
    expect(heard).toBe('not yet');
  });

  test.each([
    ['memory', () => Buffer.alloc(4)],
    ['a function', () => () => Buffer.alloc(4)],
  ])('onread puts the text into %s', async (_what, make) => {
    const port = await listen((socket) => void socket.end('hello world'));
    let text = '';
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      text += Buffer.from(buffer.subarray(0, bytes)).toString();
      return true;
    };
    const onread = { buffer: make(), callback };
    const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost', onread });
    socket.on('data', () => (text += 'data'));
    await event(socket, 'end');
    expect(text).toBe('hello world');
    await event(socket, 'close');
  });

  test('a socket that nobody has connected yet can be secured, and one made of nothing connects itself', async () => {
    const port = await listen((socket) => void socket.end('hello'));
    const raw = new stackNet.Socket();
    const socket = tls.connect({ socket: raw, ca: cert, servername: 'localhost' });
    expect(socket.connecting).toBe(true);
    raw.connect(port, '127.0.0.1');
    expect(String((await event(socket, 'data'))[0])).toBe('hello');
    await event(socket, 'close');
    const own = new tls.TLSSocket(undefined as never, { rejectUnauthorized: false } as never);
    own.connect(port, '127.0.0.1', () => own.write('x'));
    expect(String((await event(own, 'data'))[0])).toBe('hello');
    await event(own, 'close');
  });

  test('when the socket below is gone, so is the secured one before anybody hears of it', async () => {
    let below!: Promise<boolean>;
    const server = tls.createServer({ key, cert });
    const secure = event(server, 'secureConnection') as Promise<[TLSSocket]>;
    const plain = stackNet.createServer((raw) => {
      server.emit('connection', raw);
      below = event(raw, 'close').then(async () => (await secure)[0].destroyed);
    });
    plain.listen(0, '127.0.0.1');
    await event(plain, 'listening');
    const { port } = plain.address() as { port: number };
    const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' }).on('error', () => {});
    await secure;
    socket.destroy();
    expect(await below).toBe(true);
    plain.close();
  });

  test('a client that asks for new handshakes without end is refused, and does no harm', async () => {
    const server = tls.createServer({ key, cert, maxVersion: 'TLSv1.2' }, (socket: TLSSocket) => {
      socket.on('error', (error: Error & { code?: string }) => {
        codes.push(error.code);
        socket.destroy();
      });
      socket.on('data', () => socket.write('answer'));
    });
    const codes: unknown[] = [];
    server.listen(0, '127.0.0.1');
    await event(server, 'listening');
    closing.push(() => server.close());
    const { port } = server.address() as { port: number };
    const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' });
    let renegotiations = 0;
    const again = (): void => {
      renegotiations++;
      socket.renegotiate({}, (error) => void (error === null && setImmediate(again)));
    };
    socket.once('data', again).on('error', () => {});
    socket.write('ask');
    await event(socket, 'close');
    await until(() => codes.length > 0);
    expect(codes).toEqual(['ERR_TLS_SESSION_ATTACK']);
    expect(renegotiations).toBeLessThan(10);
  });
});
