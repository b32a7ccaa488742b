import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server, Socket } from '../../../net';
import { agrees, MANY, pair } from './agree';
import { closed, fieldsOf, once, pass, turns } from './both';

describe('closing', () => {
  agrees('destroy: the peer reads the end', async (kit) => {
    const { c, s } = await pair(kit);
    c.destroy();
    kit.log(c.destroyed, c.readyState, JSON.stringify(c.address()), c.remoteAddress);
    await closed(c, s);
  });

  agrees('destroy with an error', async (kit) => {
    const { c, s } = await pair(kit);
    c.destroy(new Error('enough'));
    await closed(c, s);
  });

  agrees('destroySoon sends what was written', async (kit) => {
    const { c, s } = await pair(kit);
    c.write('last words');
    c.destroySoon();
    await closed(c, s);
  });

  agrees('resetAndDestroy: the peer reads ECONNRESET', async (kit) => {
    const { c, s } = await pair(kit);
    c.resetAndDestroy();
    await closed(c, s);
  });

  agrees('resetAndDestroy by the server', async (kit) => {
    const { c, s } = await pair(kit);
    s.resetAndDestroy();
    await closed(c, s);
  });

  agrees('resetAndDestroy before, while and after connecting', async (kit) => {
    const idle = kit.watch('idle', new kit.net.Socket());
    idle.resetAndDestroy();
    await once(idle, 'close');
    const server = await kit.listen((s) => kit.watch('s', s));
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.resetAndDestroy();
    await once(c, 'close');
    c.resetAndDestroy();
    await turns();
  });

  agrees('text that was never read: a reset', async (kit) => {
    const server = await kit.listen((s) => setTimeout(() => s.destroy(), 10), { pauseOnConnect: true });
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.write('unread');
    await once(c, 'close');
  });

  agrees('ended, then destroyed with text unread', async (kit) => {
    const sockets: Socket[] = [];
    const server = await kit.listen(
      (s) => {
        sockets.push(s);
        setTimeout(() => s.end('bye'), 10);
      },
      { pauseOnConnect: true },
    );
    const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', allowHalfOpen: true }));
    c.write('unread');
    await once(c, 'end');
    const s = sockets[0]!;
    s.destroy();
    await once(s, 'close');
    await pass(10);
    c.write('late', (error) => kit.log('callback', error));
    await once(c, 'close');
  });

  agrees('text and a reset in one wake-up read as text and its end', async (kit) => {
    const { c, s } = await pair(kit);
    s.write('text');
    s.resetAndDestroy();
    await closed(c, s);
  });

  agrees('the first write to a peer that is gone succeeds, the second fails', async (kit) => {
    const { c, s } = await pair(kit, { allowHalfOpen: true });
    s.destroy();
    await once(c, 'end');
    c.write('one', (error) => kit.log('one', error));
    await pass(10);
    c.write('two', (error) => kit.log('two', error));
    await once(c, 'close');
  });

  agrees('a reset that nobody reads shows when writing', async (kit) => {
    let s!: Socket;
    const server = await kit.listen((socket) => (s = kit.watch('s', socket)), { pauseOnConnect: true });
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    await once(c, 'ready');
    await pass(5);
    s.pause();
    c.resetAndDestroy();
    await pass(5);
    kit.log('nothing yet', s.destroyed);
    s.write('x', (error) => kit.log('callback', error));
    await once(s, 'close');
  });

  agrees('a write that waits fails with the reset', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.pause();
    c.write(Buffer.alloc(MANY), (error) => kit.log('written', error));
    await pass(10);
    s.resetAndDestroy();
    await once(c, 'close');
  });

  agrees('destroyed while a write waits', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.pause();
    s.on('error', () => {});
    c.write(Buffer.alloc(MANY), (error) => kit.log('written', error));
    c.write('more', (error) => kit.log('written more', error));
    await pass(10);
    c.destroy();
    await once(c, 'close');
    s.destroy();
    await once(s, 'close');
  });

  agrees('end() and destroy() in one turn', async (kit) => {
    const { c, s } = await pair(kit);
    c.write('text', (error) => kit.log('written', error));
    c.end(() => kit.log('ended'));
    c.destroy();
    await closed(c, s);
  });

  agrees('both destroy at once', async (kit) => {
    const { c, s } = await pair(kit);
    c.destroy();
    s.destroy();
    await closed(c, s);
  });

  agrees('both reset at once', async (kit) => {
    const { c, s } = await pair(kit);
    c.resetAndDestroy();
    s.resetAndDestroy();
    await closed(c, s);
  });
});

describe('time', () => {
  agrees('an idle socket: timeout, nothing else', async (kit) => {
    const { c } = await pair(kit);
    c.setTimeout(20, () => kit.log('callback'));
    kit.log(c.timeout);
    await once(c, 'timeout');
    kit.log(c.destroyed, c.timeout);
    await pass(40);
  });

  agrees('a timeout that activity puts off, and one that is taken back', async (kit) => {
    // Without a delay: else writes join while an acknowledgment is on its way.
    const { c, s } = await pair(kit, { noDelay: true });
    // Far above the pauses: a machine that stands still for a while is no idle socket.
    c.setTimeout(400);
    s.setTimeout(200);
    s.setTimeout(0);
    for (let i = 0; i < 20; i++) {
      await pass(25);
      c.write('.');
      await once(s, 'data');
    }
    kit.log('still quiet');
    await once(c, 'timeout');
    kit.log(s.timeout);
  });

  agrees('a timeout after the socket is gone', async (kit) => {
    const { c, s } = await pair(kit);
    c.setTimeout(10);
    c.destroy();
    await closed(c, s);
    await pass(20);
    c.setTimeout(5);
    kit.log(c.timeout);
  });

  agrees('a timeout while connecting is one of the options', async (kit) => {
    const c = kit.watch('c', kit.net.connect({ port: 80, host: 'x.test', timeout: 10, lookup: (() => {}) as never }));
    kit.log(c.timeout);
    await once(c, 'timeout');
    c.destroy();
    await once(c, 'close');
  });

  agrees('options are chained', async (kit) => {
    const { c } = await pair(kit, { noDelay: true, keepAlive: true, keepAliveInitialDelay: 2500 });
    const before = [
      c.setNoDelay(),
      c.setNoDelay(false),
      c.setKeepAlive(true, 1000),
      c.setKeepAlive(),
      c.setTimeout(5),
      c.ref(),
      c.unref(),
      c.pause(),
      c.resume(),
    ];
    kit.log(before.every((result) => result === c));
    c.setTimeout(0);
    c.ref();
  });
});

describe('contexts', () => {
  agrees('a store follows connections, sockets and their callbacks', async (kit) => {
    const storage = new AsyncLocalStorage<string>();
    const where = (what: string) => (): void => kit.log(what, storage.getStore());
    let server!: Server;
    await storage.run('server', async () => {
      server = await kit.listen((s) => {
        where('connection')();
        kit.watch('s', s, []);
        s.on('data', where('s.data'));
        s.on('end', where('s.end'));
        s.on('close', where('s.close'));
      });
    });
    await storage.run('client', async () => {
      const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'), []);
      for (const event of ['connect', 'data', 'end', 'close']) c.on(event, where(`c.${event}`));
      storage.run('writer', () => c.write('x', where('written')));
      await once(c, 'connect');
      c.end();
      await once(c, 'close');
    });
  });
});

test('an error shows all of its fields', () => {
  expect(fieldsOf(Object.assign(new Error('x'), { errno: -1, code: 'E' }))).toBe('Error: x errno=-1 code=E');
});
