import { AsyncLocalStorage } from 'node:async_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server, Socket } from '../../../net';
import { closed, fieldsOf, type Kit, once, pass, recordBoth, turns } from './both';

/** Both modules must leave the same log; what is in it is Node's business. */
function agrees(title: string, scenario: (kit: Kit) => Promise<void>): void {
  test(title, async () => {
    const { node, ours } = await recordBoth(scenario);
    expect(node.length).toBeGreaterThan(0);
    expect(ours).toEqual(node);
  });
}

const attempt = (kit: Kit, title: string, task: () => unknown): void => {
  try {
    const result = task();
    kit.log(title, 'returns', typeof result);
  } catch (error) {
    kit.log(title, 'throws', error);
  }
};

/** A connected pair whose events are logged; the server's end is `s`, the client's `c`. */
async function pair(
  kit: Kit,
  options: object = {},
  serverOptions: object = {},
): Promise<{ c: Socket; s: Socket; server: Server }> {
  let s!: Socket;
  const server = await kit.listen((socket) => {
    kit.log('server.connection');
    s = kit.watch('s', socket);
  }, serverOptions);
  const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', ...options }));
  await once(c, 'connect');
  // From here on scenarios run in a timer's turn, where the order of a loop's phases is simplest.
  await pass(1);
  return { c, s, server };
}

/** Bytes that neither a kernel nor we buffer whole. */
const MANY = 12_000_000;

describe('opening', () => {
  agrees('by address', async (kit) => {
    const { c, s } = await pair(kit);
    kit.log(c.remoteAddress, c.remotePort === s.localPort, c.remoteFamily, c.localAddress, c.localFamily);
    kit.log(s.remoteAddress, s.remotePort === c.localPort, s.remoteFamily, s.localAddress, s.localFamily);
    kit.log(JSON.stringify(Object.keys(c.address())), c.readyState, c.pending, c.connecting);
  });

  agrees('by name: lookup comes first', async (kit) => {
    const { c } = await pair(kit, { host: 'localhost', family: 4 });
    kit.log(c.remoteAddress);
  });

  agrees('over IPv6', async (kit) => {
    const { c, s } = await pair(kit, { host: '::1' });
    kit.log(c.remoteAddress, c.remoteFamily, s.remoteAddress, s.remoteFamily, JSON.stringify(s.address()));
  });

  agrees('an IPv4-only server', async (kit) => {
    const server = await kit.listen(
      (s) => kit.log(s.remoteAddress, s.localAddress, s.remoteFamily),
      {},
      { host: '127.0.0.1' },
    );
    kit.log(JSON.stringify(server.address()));
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    await once(c, 'ready');
    const six = kit.watch('six', kit.net.connect(kit.port(server), '::1'));
    await once(six, 'close');
  });

  agrees('an IPv6-only server', async (kit) => {
    const server = await kit.listen(() => {}, {}, { host: '::', ipv6Only: true });
    const four = kit.watch('four', kit.net.connect(kit.port(server), '127.0.0.1'));
    await once(four, 'close');
    const six = kit.watch('six', kit.net.connect(kit.port(server), '::1'));
    await once(six, 'ready');
  });

  agrees('0.0.0.0 and :: mean this machine', async (kit) => {
    const server = await kit.listen(() => {});
    for (const host of ['0.0.0.0', '::']) {
      const c = kit.watch('c', kit.net.connect(kit.port(server), host));
      await once(c, 'ready');
      kit.log(c.remoteAddress, c.localAddress);
    }
  });

  agrees('every 127.x.y.z is local', async (kit) => {
    const server = await kit.listen((s) => kit.log(s.remoteAddress, s.localAddress));
    const c = kit.net.connect({ port: kit.port(server), host: '127.0.0.5', localAddress: '127.0.0.9' });
    await once(kit.watch('c', c), 'ready');
    kit.log(c.localAddress, c.remoteAddress);
  });

  agrees('refused', async (kit) => {
    const server = await kit.listen();
    const port = kit.port(server);
    server.close();
    await once(server, 'close');
    const c = kit.watch('c', kit.net.connect(port, '127.0.0.1'));
    kit.log(c.readyState, c.pending, c.connecting);
    await once(c, 'close');
    kit.log(c.readyState, c.pending, c.connecting, c.destroyed, c.remoteAddress, JSON.stringify(c.address()));
  });

  agrees('refused with a local port: the message names it', async (kit) => {
    const server = await kit.listen();
    const port = kit.port(server);
    server.close();
    await once(server, 'close');
    const c = kit.watch(
      'c',
      kit.net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1', localPort: 46_001 }),
    );
    await once(c, 'close');
  });

  agrees('a local address that is not ours', async (kit) => {
    const server = await kit.listen();
    const c = kit.watch(
      'c',
      kit.net.connect({ port: kit.port(server), host: '127.0.0.1', localAddress: '203.0.113.7' }),
    );
    await once(c, 'close');
  });

  agrees('a local address of the other family', async (kit) => {
    const server = await kit.listen();
    const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', localAddress: '::1' }));
    await once(c, 'close');
  });

  agrees('a local port that a server has', async (kit) => {
    const server = await kit.listen();
    const options = { port: kit.port(server), host: '127.0.0.1', localPort: kit.port(server) };
    await once(kit.watch('c', kit.net.connect(options)), 'close');
  });

  agrees('the same four-tuple twice', async (kit) => {
    const server = await kit.listen();
    const options = { port: kit.port(server), host: '127.0.0.1', localPort: 46_007 };
    const first = kit.watch('first', kit.net.connect(options));
    await once(first, 'ready');
    await once(kit.watch('second', kit.net.connect(options)), 'close');
  });

  agrees('a name that does not exist, by a lookup of the caller', async (kit) => {
    const lookup = (name: string, _options: unknown, done: (error: Error) => void): void => {
      done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }));
    };
    await once(
      kit.watch('c', kit.net.connect({ port: 80, host: 'nowhere.invalid', lookup: lookup as never })),
      'close',
    );
  });

  agrees('a lookup that gives no address', async (kit) => {
    const lookup = (_name: string, _options: unknown, done: (error: null, ...found: unknown[]) => void): void =>
      done(null, 'elsewhere', 4);
    await once(
      kit.watch('c', kit.net.connect({ port: 80, host: 'x.test', family: 4, lookup: lookup as never })),
      'close',
    );
    const odd = (_name: string, _options: unknown, done: (error: null, ...found: unknown[]) => void): void =>
      done(null, '127.0.0.1', 5);
    await once(kit.watch('c', kit.net.connect({ port: 80, host: 'x.test', family: 4, lookup: odd as never })), 'close');
  });

  agrees('several addresses: the families take turns', async (kit) => {
    const server = await kit.listen(() => {}, {}, { host: '127.0.0.1' });
    const found = ['::1', '127.0.0.2', '127.0.0.1'].map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    const lookup = (_name: string, _options: unknown, done: (error: null, all: unknown) => void): void =>
      done(null, found);
    const c = kit.net.connect({
      port: kit.port(server),
      host: 'x.test',
      lookup: lookup as never,
      autoSelectFamily: true,
    });
    const events = [
      'lookup',
      'connectionAttempt',
      'connectionAttemptFailed',
      'connectionAttemptTimeout',
      'connect',
      'error',
      'close',
    ];
    await once(kit.watch('c', c, events), 'connect');
    kit.log(JSON.stringify(c.autoSelectFamilyAttemptedAddresses));
  });

  agrees('several addresses, all refused', async (kit) => {
    const found = ['127.0.0.3', '::1'].map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const lookup = (_name: string, _options: unknown, done: (error: null, all: unknown) => void): void =>
      done(null, found);
    const c = kit.net.connect({ port: 9, host: 'x.test', lookup: lookup as never });
    c.on('error', (error: AggregateError) => kit.log(error.constructor.name, ...error.errors));
    await once(kit.watch('c', c), 'close');
  });

  agrees('destroyed at once', async (kit) => {
    const server = await kit.listen(() => kit.log('connection'));
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.destroy();
    await once(c, 'close');
    await turns();
  });

  agrees('destroyed while the connection is on its way', async (kit) => {
    const server = await kit.listen((s) => s.on('error', () => {}));
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'), ['connect', 'error', 'close']);
    process.nextTick(() => process.nextTick(() => c.destroy()));
    await once(c, 'close');
    await turns();
  });

  agrees('destroyed in the lookup', async (kit) => {
    const c = kit.watch('c', kit.net.connect({ port: 80, host: 'localhost' }));
    c.once('lookup', () => c.destroy());
    await once(c, 'close');
  });

  agrees('a socket used again after it closed', async (kit) => {
    const server = await kit.listen((s) => s.end('hello'));
    const c = kit.watch('c', new kit.net.Socket());
    c.connect(kit.port(server), '127.0.0.1');
    await once(c, 'close');
    c.connect(kit.port(server), '127.0.0.1');
    await once(c, 'close');
    kit.log(c.bytesRead, c.bytesWritten);
  });

  agrees('an abort before, and after', async (kit) => {
    const server = await kit.listen(() => {});
    const aborted = kit.watch(
      'aborted',
      kit.net.connect({ port: kit.port(server), host: '127.0.0.1', signal: AbortSignal.abort() }),
    );
    await once(aborted, 'close');
    const controller = new AbortController();
    const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', signal: controller.signal }));
    await once(c, 'ready');
    controller.abort();
    await once(c, 'close');
  });

  agrees('wrong arguments', async (kit) => {
    const { net } = kit;
    const options: Record<string, unknown>[] = [
      {},
      { port: 70_000 },
      { port: -1 },
      { port: 'x y' },
      { port: null },
      { port: {} },
      { port: 80, localAddress: 'here' },
      { port: 80, host: '127.0.0.1', localPort: 'x' },
      { port: 80, autoSelectFamily: 'yes' },
      { port: 80, autoSelectFamilyAttemptTimeout: -5 },
      { port: 80, host: 'x.test', lookup: 'dns' },
      { port: 80, host: 'localhost', hints: 4711 },
      { port: 80, host: 'localhost', family: 5 },
      { port: 80, keepAliveInitialDelay: 'x' },
      { port: 80, objectMode: true },
      { port: 80, signal: 'x' },
    ];
    for (const given of options) {
      attempt(kit, `connect ${JSON.stringify(given)}`, () => {
        const c = net.connect(given as never);
        c.on('error', () => {});
        c.destroy();
      });
    }
    attempt(kit, 'connect()', () => (net.connect as () => unknown)());
    for (const value of [undefined, null, 'x', -1, Number.NaN, Number.POSITIVE_INFINITY, {}]) {
      attempt(kit, `setTimeout ${value}`, () => new net.Socket().setTimeout(value as never));
    }
    attempt(kit, 'setTimeout callback', () => new net.Socket().setTimeout(10, 'x' as never).destroy());
    for (const value of ['x', 1, Symbol.iterator])
      attempt(kit, `createServer ${String(value)}`, () => net.createServer(value as never));
    attempt(kit, 'keepAliveInitialDelay', () => net.createServer({ keepAliveInitialDelay: 'x' } as never));
    attempt(kit, 'highWaterMark', () => net.createServer({ highWaterMark: 'x' } as never));
    attempt(kit, 'setDefaultAutoSelectFamily', () => net.setDefaultAutoSelectFamily('x' as never));
    attempt(kit, 'setDefaultAutoSelectFamilyAttemptTimeout', () =>
      net.setDefaultAutoSelectFamilyAttemptTimeout('x' as never),
    );
  });
});

describe('reading and writing', () => {
  agrees('there and back, then both end', async (kit) => {
    const { c, s } = await pair(kit);
    s.on('data', (chunk) => s.write(chunk));
    c.write('hello');
    await once(c, 'data');
    c.end();
    await closed(c, s);
    kit.log(c.bytesRead, c.bytesWritten, s.bytesRead, s.bytesWritten, c.readyState, c.destroyed);
  });

  agrees('end with text: data, then end', async (kit) => {
    const { c, s } = await pair(kit);
    c.end('bye', () => kit.log('end callback'));
    await closed(c, s);
  });

  agrees('data and the end of it come in different turns', async (kit) => {
    const { c, s } = await pair(kit);
    s.on('data', () => setImmediate(() => kit.log('one turn later')));
    c.end('bye');
    await closed(c, s);
  });

  agrees('written before the connection is open', async (kit) => {
    const server = await kit.listen((socket) => kit.watch('s', socket, ['data', 'end']));
    const c = kit.net.connect(kit.port(server), '127.0.0.1');
    c.write('one', () => kit.log('written one'));
    c.write('two', () => kit.log('written two'));
    c.end('three', () => kit.log('ended'));
    kit.log(c.bytesWritten, c.bufferSize, c.writableLength);
    await once(kit.watch('c', c), 'close');
    kit.log(c.bytesWritten, c.bufferSize);
  });

  agrees('written before, and destroyed', async (kit) => {
    const server = await kit.listen(() => {});
    const c = kit.watch('c', kit.net.connect(kit.port(server), '127.0.0.1'));
    c.write('one', (error) => kit.log('callback', error));
    c.destroy();
    await once(c, 'close');
  });

  agrees('a socket that never connected', async (kit) => {
    const c = kit.watch('c', new kit.net.Socket());
    kit.log(
      c.readyState,
      c.pending,
      c.bytesRead,
      c.bytesWritten,
      c.bufferSize,
      c.remoteAddress,
      JSON.stringify(c.address()),
    );
    c.write('x', (error) => kit.log('callback', error));
    await once(c, 'close');
  });

  agrees('several writes while corked arrive as one', async (kit) => {
    const { c, s } = await pair(kit);
    c.cork();
    for (const word of ['a', 'b', 'c']) c.write(word, () => kit.log('written', word));
    c.write('\u00e4\u00f6', 'latin1');
    c.write('00ff', 'hex');
    c.uncork();
    await once(s, 'data');
    c.end();
    await closed(c, s);
    kit.log(s.bytesRead);
  });

  agrees('text that is large: drain, and the callbacks in order', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    let got = 0;
    s.on('data', (chunk) => (got += chunk.length));
    kit.log(
      c.write(Buffer.alloc(MANY), () => kit.log('written 1')),
      c.writableNeedDrain,
    );
    kit.log(c.write('x', () => kit.log('written 2')));
    kit.log(c.bytesWritten === MANY + 1, c.writableLength);
    await once(c, 'drain');
    c.end();
    await closed(c, s);
    kit.log(got === MANY + 1);
  });

  agrees('a reader that pauses holds the writer', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.pause();
    c.write(Buffer.alloc(MANY), () => kit.log('written'));
    await turns(20);
    kit.log('writer waits', c.writableLength > 0, s.isPaused());
    let got = 0;
    s.on('data', (chunk) => (got += chunk.length));
    s.resume();
    c.end();
    await closed(c, s);
    kit.log(got);
  });

  agrees('pause in the middle of data', async (kit) => {
    const { c, s } = await pair(kit);
    s.once('data', () => {
      s.pause();
      setTimeout(() => {
        kit.log('resumed');
        s.resume();
      }, 20);
    });
    c.end('abc');
    await closed(c, s);
  });

  agrees('read by hand', async (kit) => {
    const { c, s } = await pair(kit);
    s.removeAllListeners('data');
    s.on('readable', () => {
      for (let chunk = s.read(2); chunk !== null; chunk = s.read(2)) kit.log('read', chunk);
    });
    c.end('abcdef');
    await closed(c, s);
  });

  agrees('setEncoding', async (kit) => {
    const { c, s } = await pair(kit);
    s.setEncoding('utf8');
    c.write(Buffer.from('\u20ac').subarray(0, 1));
    await turns();
    c.end(Buffer.from('\u20ac').subarray(1));
    await closed(c, s);
  });

  agrees('with a buffer of the caller', async (kit) => {
    const server = await kit.listen((s) => s.end('abcdefghij'));
    const buffer = Buffer.alloc(4);
    const callback = function (this: unknown, n: number, into: Uint8Array): boolean {
      kit.log('onread', n, Buffer.from(into.subarray(0, n)), into === buffer, this === c);
      return true;
    };
    const c: Socket = kit.net.connect({ port: kit.port(server), host: '127.0.0.1', onread: { buffer, callback } });
    await once(kit.watch('c', c), 'close');
    kit.log(c.bytesRead);
  });

  agrees('with buffers from a function, paused by false', async (kit) => {
    const server = await kit.listen((s) => s.end('abcdefgh'));
    let made = 0;
    const onread = {
      buffer: () => Buffer.alloc(3, ++made),
      callback(n: number, into: Uint8Array): boolean {
        kit.log('onread', n, Buffer.from(into.subarray(0, n)));
        if (n === 3) setTimeout(() => c.resume(), 5);
        return n !== 3;
      },
    };
    const c: Socket = kit.net.connect({ port: kit.port(server), host: '127.0.0.1', onread });
    await once(kit.watch('c', c), 'close');
    kit.log('made', made);
  });

  agrees('half-open on both sides', async (kit) => {
    const { c, s } = await pair(kit, { allowHalfOpen: true }, { allowHalfOpen: true });
    c.end('question');
    await once(s, 'end');
    kit.log(s.readyState, c.readyState);
    s.write('answer');
    await once(c, 'data');
    s.end();
    await closed(c, s);
  });

  agrees("a write after the peer's end", async (kit) => {
    const { c, s } = await pair(kit);
    s.end();
    await once(c, 'end');
    c.write('late', (error) => kit.log('callback', error));
    await once(c, 'close');
    await turns();
  });

  agrees('a write after end, and after destroy', async (kit) => {
    const { c, s } = await pair(kit, { allowHalfOpen: true });
    c.end();
    c.write('late', (error) => kit.log('callback', error));
    await closed(c, s);
    c.write('later', (error) => kit.log('callback', error));
    await turns();
  });

  agrees('chunks that are no text', async (kit) => {
    const { c } = await pair(kit);
    for (const chunk of [null, undefined, 5, {}, []])
      attempt(kit, `write ${JSON.stringify(chunk)}`, () => c.write(chunk as never));
    attempt(kit, 'encoding', () => c.write('x', 'klingon' as never));
  });

  agrees('an empty write', async (kit) => {
    const { c, s } = await pair(kit);
    kit.log(
      c.write('', () => kit.log('written')),
      c.write(Buffer.alloc(0)),
    );
    await turns();
    c.end();
    await closed(c, s);
  });
});

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
    const server = await kit.listen(
      (s) => {
        setTimeout(() => s.end('bye'), 10);
        setTimeout(() => s.destroy(), 30);
      },
      { pauseOnConnect: true },
    );
    const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', allowHalfOpen: true }));
    c.write('unread');
    await once(c, 'end');
    await pass(40);
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
