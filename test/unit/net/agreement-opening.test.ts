import { agrees, attempt, pair } from './agree';
import { once, turns } from './both';

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

  agrees('port 0: nobody listens there', async (kit) => {
    for (const host of ['127.0.0.1', '::1', '0.0.0.0']) {
      const c = kit.watch('c', kit.net.connect(0, host));
      await once(c, 'close');
    }
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
