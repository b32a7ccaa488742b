import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import nodeNet from 'node:net';
import { Duplex } from 'node:stream';
import { inherits } from 'node:util';
import * as module from '../../../net';
import { createNet, net, type Server, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { once, turns } from './both';

let host: Host;
beforeEach(() => {
  host = createHost({ devices: [], seed: 1 });
});
afterEach(() => host.close());

/** What later versions of Node have besides: docs/differences.md. */
const LATER = ['setTypeOfService', 'getTypeOfService', 'BoundSocket'];
/** What takes more arguments there. */
const GROWN = Number(process.versions.node.split('.')[0]) >= 24 ? ['setKeepAlive'] : [];

describe('classes of the older kind', () => {
  test('work without new', () => {
    const { Socket: SocketClass, Server: ServerClass } = net as unknown as {
      Socket: () => Socket;
      Server: () => Server;
    };
    expect(SocketClass()).toBeInstanceOf(net.Socket);
    expect(SocketClass()).toBeInstanceOf(Duplex);
    expect(ServerClass()).toBeInstanceOf(net.Server);
    expect(ServerClass()).toBeInstanceOf(EventEmitter);
    expect([net.Socket.name, net.Server.name]).toEqual(['Socket', 'Server']);
  });

  test('are inherited with class and with util.inherits', async () => {
    class Modern extends net.Socket {
      readonly extra = 1;
    }
    function Old(this: Socket): void {
      (net.Socket as unknown as { call(self: Socket): void }).call(this);
    }
    inherits(Old as never, net.Socket as never);
    for (const socket of [new Modern(), new (Old as unknown as { new (): Socket })()]) {
      expect(socket).toBeInstanceOf(net.Socket);
      expect(socket.readyState).toBe('open');
      socket.destroy();
      await once(socket, 'close');
    }
  });

  test('have the names that Node has', () => {
    const named = (object: object): string[] => Object.getOwnPropertyNames(object);
    // Symbols and what depends on a descriptor aside.
    const missing = (theirs: object, ours: object): string[] => named(theirs).filter((name) => !(name in ours));
    expect(missing(nodeNet.Socket.prototype, new net.Socket())).toEqual(
      LATER.filter((name) => name in nodeNet.Socket.prototype),
    );
    expect(missing(nodeNet.Server.prototype, new net.Server())).toEqual(['_setupWorker']);
    expect(missing(nodeNet, net).filter((name) => !LATER.includes(name))).toEqual(['_createServerHandle']);
    expect(Object.keys(module).sort()).toContain('createNet');
  });

  test('take as many arguments as those of Node', () => {
    const own = createNet(host);
    expect([net.Socket.length, net.Server.length]).toEqual([nodeNet.Socket.length, nodeNet.Server.length]);
    expect([own.Socket.length, own.Server.length]).toEqual([nodeNet.Socket.length, nodeNet.Server.length]);
    for (const name of ['Socket', 'Server'] as const) {
      const counts = (prototype: object): Record<string, number> => {
        const all = Object.entries(Object.getOwnPropertyDescriptors(prototype));
        // Internal ones are called by Node alone.
        const called = all.filter(([key, { value }]) => !key.startsWith('_') && typeof value === 'function');
        return Object.fromEntries(called.map(([key, { value }]) => [key, (value as () => void).length]));
      };
      expect(counts(net[name].prototype)).toMatchObject(
        Object.fromEntries(
          Object.entries(counts(nodeNet[name].prototype)).filter(([key]) => ![...LATER, ...GROWN].includes(key)),
        ),
      );
    }
  });

  test('of different hosts share one implementation', () => {
    const one = createNet(host);
    const two = createNet(host);
    expect(new one.Socket()).toBeInstanceOf(net.Socket);
    expect(new one.Socket()).not.toBeInstanceOf(two.Socket);
    expect(one.Socket.prototype.write).toBe(net.Socket.prototype.write);
  });

  test("leave the kernel's handles to Node's own", async () => {
    const server = nodeNet.createServer().listen(0);
    const { _handle: handle } = server as unknown as { _handle: never };
    const socket = new net.Socket({ handle, manualStart: true });
    expect(socket).toBeInstanceOf(nodeNet.Socket);
    expect(socket).not.toBeInstanceOf(net.Socket);
    server.close();
    await new Promise((resolve) => server.on('close', resolve));
  });
});

test("a server's sockets are of its module's class", async () => {
  const own = createNet(host);
  let accepted: Socket | null = null;
  own.createServer((socket) => (accepted = socket)).listen(7000);
  const c = own.connect(7000, '127.0.0.1');
  await once(c, 'ready');
  expect(accepted).toBeInstanceOf(own.Socket);
  expect(c).toBeInstanceOf(own.Socket);
  c.destroy();
});

test('channels tell of sockets and of listening', async () => {
  const own = createNet(host);
  const told: string[] = [];
  const names = [
    'net.client.socket',
    'net.server.socket',
    'tracing:net.server.listen:asyncStart',
    'tracing:net.server.listen:asyncEnd',
    'tracing:net.server.listen:error',
  ];
  const listeners = names.map((name) => {
    const listener = (message: unknown): void => void told.push(`${name} ${Object.keys(message as object)}`);
    diagnostics.subscribe(name, listener);
    return (): void => void diagnostics.unsubscribe(name, listener);
  });
  const server = own.createServer().listen(7000);
  const second = own.createServer().on('error', () => {});
  second.listen(7000);
  const c = own.connect(7000, '127.0.0.1');
  await once(c, 'ready');
  await turns();
  for (const stop of listeners) stop();
  c.destroy();
  server.close();
  expect(told).toEqual([
    'tracing:net.server.listen:asyncStart server,options',
    'tracing:net.server.listen:asyncEnd server',
    'tracing:net.server.listen:asyncStart server,options',
    'net.client.socket socket',
    'tracing:net.server.listen:error server,error',
    'net.server.socket socket',
  ]);
});

test('an address that does not answer gives way to the next', async () => {
  const own = createNet(host);
  own.createServer().listen(7000);
  // Nobody is at 10.9.9.9: the route leads to a link with no one on it.
  const [device] = require('../../../device/memory').memoryPair();
  const lone = createHost({ devices: [{ device, addresses: ['10.9.9.1/24'] }], seed: 1 });
  const here = createNet(lone);
  here.createServer().listen(7000);
  const events: string[] = [];
  const lookup = (_: string, __: object, done: (error: null, found: object[]) => void): void =>
    process.nextTick(done, null, [
      { address: '10.9.9.9', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
  const c = here.connect({ port: 7000, host: 'x.test', lookup: lookup as never, autoSelectFamilyAttemptTimeout: 20 });
  for (const event of ['connectionAttempt', 'connectionAttemptTimeout', 'connect'])
    c.on(event, (address) => events.push(`${event} ${address ?? ''}`));
  await once(c, 'ready');
  expect(events).toEqual([
    'connectionAttempt 10.9.9.9',
    'connectionAttemptTimeout 10.9.9.9',
    'connectionAttempt 127.0.0.1',
    'connect ',
  ]);
  expect(lone.stack.tcp.connections.size).toBe(2);
  c.destroy();
  lone.close();
});
