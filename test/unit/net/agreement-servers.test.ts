import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from '../../../net';
import { agrees, attempt, pair } from './agree';
import { closed, once, pass, turns } from './both';

describe('servers', () => {
  agrees('listening, addresses, closing', async (kit) => {
    const server = kit.net.createServer();
    for (const event of ['listening', 'close', 'error']) server.on(event, (...args) => kit.log(event, ...args));
    kit.log(server.listening, server.address());
    server.listen(0, () => kit.log('callback'));
    kit.log(server.listening, JSON.stringify(server.address()), server._connectionKey);
    attempt(kit, 'listen again', () => server.listen(0));
    await once(server, 'listening');
    server.close((error) => kit.log('closed', error));
    kit.log(server.listening, server.address());
    await once(server, 'close');
    server.close((error) => kit.log('closed again', error));
    await once(server, 'close');
    server.listen(0);
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  });

  agrees('a port that is taken', async (kit) => {
    const server = await kit.listen();
    const port = kit.port(server);
    for (const options of [
      { port },
      { port, host: '127.0.0.1' },
      { port, host: '0.0.0.0' },
      { port, host: '::1' },
      { port, host: '::', ipv6Only: true },
    ]) {
      const second = kit.net.createServer();
      second.on('error', (error) => kit.log('error', error, second.listening));
      second.on('listening', () => kit.log('listening'));
      second.listen(options);
      await turns(4);
      second.close();
    }
  });

  agrees('an address that is not ours', async (kit) => {
    const server = kit.net.createServer();
    server.on('error', (error) => kit.log('error', error));
    server.listen(0, '203.0.113.9');
    await turns(4);
  });

  agrees('different addresses share a port', async (kit) => {
    const one = await kit.listen((s) => s.end('one'), {}, { host: '127.0.0.1' });
    await kit.listen((s) => s.end('two'), {}, { host: '127.0.0.2', port: kit.port(one) });
    for (const host of ['127.0.0.1', '127.0.0.2']) {
      await once(kit.watch(host, kit.net.connect(kit.port(one), host)), 'close');
    }
  });

  agrees('the port is free again when the server is closed', async (kit) => {
    const server = await kit.listen((s) => s.end('x'));
    const port = kit.port(server);
    const c = kit.watch('c', kit.net.connect(port, '127.0.0.1'));
    await once(c, 'close');
    server.close();
    await once(server, 'close');
    await kit.listen(() => {}, {}, { port });
    kit.log('listens again');
  });

  agrees("'close' waits for the last connection", async (kit) => {
    const { c, s, server } = await pair(kit);
    server.on('close', () => kit.log('server.close'));
    server.close(() => kit.log('callback'));
    server.getConnections((error, n) => kit.log('connections', error, n));
    await turns();
    c.end();
    await closed(c, s, server);
  });

  agrees('connections beyond the limit are dropped', async (kit) => {
    const server = await kit.listen((s) => {
      kit.log('connection');
      kit.watch('s', s);
    });
    server.maxConnections = 1;
    server.on('drop', (data) =>
      kit.log('drop', JSON.stringify(Object.keys(data ?? {})), data?.localAddress, data?.remoteFamily),
    );
    const first = kit.watch('first', kit.net.connect(kit.port(server), '127.0.0.1'));
    await once(first, 'connect');
    const second = kit.watch('second', kit.net.connect(kit.port(server), '127.0.0.1'));
    await once(second, 'close');
    server.getConnections((error, n) => kit.log('connections', error, n));
    await turns();
  });

  agrees('sockets that begin paused', async (kit) => {
    let s!: Socket;
    const server = await kit.listen(
      (socket) => {
        s = kit.watch('s', socket);
        kit.log(socket.isPaused(), socket.readableFlowing);
      },
      { pauseOnConnect: true },
    );
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.end('text');
    await pass(10);
    kit.log('nothing read', s.bytesRead);
    s.resume();
    await closed(c, s);
  });

  agrees('an aborted listen', async (kit) => {
    const controller = new AbortController();
    const server = await kit.listen(() => {}, {}, { signal: controller.signal });
    server.on('close', () => kit.log('close'));
    controller.abort();
    await once(server, 'close');
    const never = kit.net.createServer();
    never.on('listening', () => kit.log('listening'));
    never.listen({ port: 0, signal: AbortSignal.abort() });
    await once(never, 'close');
    kit.log(never.listening);
  });

  agrees('closed before it listens', async (kit) => {
    const server = kit.net.createServer();
    server.on('listening', () => kit.log('listening'));
    server.on('close', () => kit.log('close'));
    server.listen(0, '127.0.0.1');
    server.close();
    await pass(20);
  });

  agrees('wrong arguments of listen', async (kit) => {
    const given: unknown[][] = [
      [{}],
      [{ host: 'x' }],
      [-1],
      [65_536],
      ['1e9'],
      [{ port: 'x y' }],
      [{ port: true }],
      [{ port: {} }],
      [true],
      [{ port: 0, signal: 'x' }],
    ];
    for (const args of given) {
      attempt(kit, `listen ${JSON.stringify(args)}`, () => {
        const server = kit.net.createServer();
        server.on('error', () => {});
        server.listen(...args);
        server.close();
      });
    }
    await turns();
  });

  agrees('disposed of', async (kit) => {
    const server = await kit.listen();
    server.on('close', () => kit.log('close'));
    await server[Symbol.asyncDispose]();
    kit.log(server.listening);
    await server[Symbol.asyncDispose]();
    kit.log('twice');
  });

  agrees('options of the server reach its sockets', async (kit) => {
    const options = { allowHalfOpen: true, highWaterMark: 1000 };
    const { s, server } = await pair(kit, {}, options);
    kit.log(
      s.allowHalfOpen,
      s.readableHighWaterMark,
      s.writableHighWaterMark,
      s.server === server,
      s._server === server,
    );
  });

  agrees('a rejected connection listener', async (kit) => {
    const server = await kit.listen(undefined, { captureRejections: true });
    (server as unknown as Record<symbol, boolean>)[Symbol.for('nodejs.rejection') as never] ??= false;
    kit.log(typeof (server as unknown as Record<symbol, unknown>)[Symbol.for('nodejs.rejection')]);
  });
});

describe('paths', () => {
  const path = join(tmpdir(), `tapwire-${process.pid}.sock`);

  agrees('a path in the file system', async (kit) => {
    let s!: Socket;
    const server = kit.net.createServer((socket) => {
      kit.log('connection', socket.remoteAddress, JSON.stringify(socket.address()));
      s = kit.watch('s', socket);
    });
    server.listen(path);
    kit.log(server.listening);
    await once(server, 'listening');
    kit.log(server.address() === path);
    const c = kit.watch('c', kit.net.connect(path));
    await once(c, 'ready');
    await pass(5);
    s.on('data', (chunk) => s.end(chunk));
    c.write('there and back');
    await closed(c, s);
    kit.log(c.bytesRead, c.bytesWritten, s.bytesRead, s.bytesWritten);
    server.close();
    await once(server, 'close');
  });

  agrees('a path where nobody listens', async (kit) => {
    const c = kit.watch('c', kit.net.connect({ path: `${path}.none` }));
    await once(c, 'close');
    attempt(kit, 'path', () => kit.net.connect({ path: 5 } as never));
  });

  agrees('a path where nobody may', async (kit) => {
    const server = kit.net.createServer();
    server.on('error', (error) => kit.log('error', error));
    server.listen('/nowhere/at/all.sock');
    await pass(5);
    kit.log(server.listening);
  });
});
