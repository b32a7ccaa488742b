import nodeDgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import { createDgram, type Dgram, type DgramOptions, type Socket } from '../../../net/dgram';
import { createHost } from '../../../net/host';
import { fieldsOf, pass, turns } from './both';

/* The same scenarios over Node's own dgram and ours must leave the same log. */

interface Kit {
  dgram: Dgram;
  log(...words: unknown[]): void;
  /** A socket whose events are logged under a name; closed at the end of the scenario. */
  open(name: string, type: DgramOptions | 'udp4' | 'udp6', events?: readonly string[]): Socket;
  /** The same, bound to an address. */
  bound(name: string, address?: string, type?: 'udp4' | 'udp6'): Promise<Socket>;
}

const EVENTS = ['listening', 'message', 'connect', 'error', 'close'] as const;

function shown(word: unknown): string {
  if (word instanceof Uint8Array) return word.length <= 40 ? `'${Buffer.from(word)}'` : `${word.length} bytes`;
  if (typeof word === 'object' && word !== null) return 'message' in word ? fieldsOf(word) : JSON.stringify(word);
  return String(word);
}

async function record(dgram: Dgram, scenario: (kit: Kit) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const sockets: Socket[] = [];
  const ports: string[] = [];
  let over = false;
  const log = (...words: unknown[]): void => {
    if (over) return;
    lines.push(
      words
        .map(shown)
        .join(' ')
        .replace(/\b(?<![.\d])[1-9]\d{4}\b(?! bytes)/g, (port) => {
          if (!ports.includes(port)) ports.push(port);
          return `PORT${ports.indexOf(port)}`;
        }),
    );
  };
  const open: Kit['open'] = (name, type, events = EVENTS) => {
    const socket = dgram.createSocket(type);
    sockets.push(socket);
    for (const event of events) socket.on(event, (...args: unknown[]) => log(`${name}.${event}`, ...args));
    return socket;
  };
  const bound: Kit['bound'] = async (name, address = '127.0.0.1', type = address.includes(':') ? 'udp6' : 'udp4') => {
    const socket = open(name, type, ['message', 'error', 'close']);
    socket.bind(0, address);
    await once(socket, 'listening');
    return socket;
  };
  try {
    await scenario({ dgram, log, open, bound });
  } finally {
    over = true;
    for (const socket of sockets) {
      try {
        socket.close();
      } catch {
        // Closed by the scenario.
      }
    }
    await turns(3);
  }
  return lines;
}

const once = (socket: EventEmitter, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()));

function agrees(title: string, scenario: (kit: Kit) => Promise<void>): void {
  test(title, async () => {
    const node = await record(nodeDgram as unknown as Dgram, scenario);
    const host = createHost({ devices: [], poison: true });
    const ours = await record(createDgram(host), scenario);
    host.close();
    expect(node.length).toBeGreaterThan(0);
    expect(ours).toEqual(node);
  });
}

const attempt = (kit: Kit, title: string, task: () => unknown): void => {
  try {
    const result = task();
    kit.log(title, 'returns', typeof result === 'object' ? 'an object' : result);
  } catch (error) {
    kit.log(title, 'throws', error);
  }
};

const portOf = (socket: Socket): number => socket.address().port;

describe('opening', () => {
  agrees('bind in all its forms', async (kit) => {
    const forms: [string, unknown[]][] = [
      ['()', []],
      ['(port)', [0]],
      ['(null)', [null]],
      ['(port, address)', [0, '127.0.0.1']],
      ['(port, callback)', [0, () => kit.log('callback')]],
      ['(callback)', [() => kit.log('callback')]],
      ['(port, address, callback)', [0, '127.0.0.2', () => kit.log('callback')]],
      ['(options)', [{ port: 0, address: '127.0.0.1' }]],
      ['(options, callback)', [{ port: 0 }, () => kit.log('callback')]],
      ['(port, empty)', [0, '']],
      ['(port, undefined, callback)', [0, undefined, () => kit.log('callback')]],
      ['(options without address)', [{ port: 0, exclusive: true }]],
    ];
    for (const [title, args] of forms) {
      const socket = kit.open(title, 'udp4');
      kit.log(title, socket.bind(...args) === socket);
      await once(socket, 'listening');
      const { address, family, port } = socket.address();
      kit.log(address, family, port > 0, Object.keys(socket.address()));
      socket.close();
      await once(socket, 'close');
    }
  });

  agrees('when it listens', async (kit) => {
    const socket = kit.open('s', 'udp4');
    process.nextTick(() => kit.log('tick'));
    socket.bind(0, '127.0.0.1', () => kit.log('callback'));
    process.nextTick(() => kit.log('tick after'));
    setImmediate(() => kit.log('immediate'));
    kit.log('called');
    await pass(5);
  });

  agrees('IPv6, and both families on one socket', async (kit) => {
    const six = await kit.bound('six', '::1');
    kit.log(six.address().address, six.address().family);
    const both = await kit.bound('both', '::');
    kit.log(both.address().address);
    const four = await kit.bound('four');
    four.send('to both', portOf(both), '127.0.0.1');
    six.send('to both as well', portOf(both), '::1');
    await pass(10);
    both.send('back', portOf(four), '::ffff:127.0.0.1');
    await pass(10);
  });

  agrees('IPv6 only', async (kit) => {
    const socket = kit.open('six', { type: 'udp6', ipv6Only: true });
    socket.bind(0);
    await once(socket, 'listening');
    const four = await kit.bound('four');
    four.send('not heard', portOf(socket), '127.0.0.1');
    const six = await kit.bound('sender', '::1');
    six.send('heard', portOf(socket), '::1');
    await pass(10);
    // The same port is free for IPv4.
    const other = kit.open('other', 'udp4');
    other.bind(portOf(socket));
    await pass(5);
  });

  agrees('a port that is taken', async (kit) => {
    const first = await kit.bound('first');
    const second = kit.open('second', 'udp4');
    second.bind(portOf(first), '127.0.0.1', () => kit.log('never'));
    await pass(5);
    // It may be tried again.
    second.bind(0, '127.0.0.1', () => kit.log('bound'));
    await pass(5);
  });

  agrees('a shared port', async (kit) => {
    const first = kit.open('first', { type: 'udp4', reuseAddr: true }, ['message', 'error']);
    first.bind(0, '127.0.0.1');
    await once(first, 'listening');
    const second = kit.open('second', { type: 'udp4', reuseAddr: true }, ['message', 'error']);
    second.bind(portOf(first), '127.0.0.1');
    await once(second, 'listening');
    const third = kit.open('third', 'udp4');
    third.bind(portOf(first), '127.0.0.1');
    await pass(5);
    const sender = await kit.bound('sender');
    sender.send('whose?', portOf(first), '127.0.0.1');
    await pass(10);
  });

  agrees('an address that is not ours, or none at all', async (kit) => {
    for (const [type, address] of [
      ['udp4', '203.0.113.5'],
      ['udp4', '::1'],
      ['udp6', '127.0.0.1'],
      ['udp6', '2001:db8::5'],
    ] as const) {
      kit.open(`${type} ${address}`, type).bind(0, address);
      await pass(10);
    }
  });

  agrees('bound twice', async (kit) => {
    const socket = kit.open('s', 'udp4');
    socket.bind(0, '127.0.0.1');
    attempt(kit, 'while binding', () => socket.bind(0));
    await once(socket, 'listening');
    attempt(kit, 'when bound', () => socket.bind(0));
    await pass(5);
  });

  agrees('names are found by the caller’s function', async (kit) => {
    const lookup = (name: string, family: number, done: (e: Error | null, a: string, f: number) => void): void => {
      kit.log('lookup', name, family);
      setImmediate(() =>
        done(name === 'nowhere' ? Object.assign(new Error('not found'), { code: 'ENOTFOUND' }) : null, '127.0.0.1', 4),
      );
    };
    const socket = kit.open('s', { type: 'udp4', lookup: lookup as never });
    socket.bind(0, 'here');
    await once(socket, 'listening');
    kit.log(socket.address().address);
    socket.send('x', portOf(socket), 'me', (error) => kit.log('sent', error));
    await pass(10);
    socket.send('x', 9, 'nowhere', (error) => kit.log('sent', error));
    await pass(10);
    socket.send('x', 9, 'nowhere');
    await pass(10);
    const other = kit.open('other', { type: 'udp4', lookup: lookup as never });
    other.bind(0, 'nowhere');
    await pass(10);
  });

  agrees('localhost', async (kit) => {
    const socket = kit.open('s', 'udp4');
    socket.bind(0, 'localhost');
    await once(socket, 'listening');
    kit.log(socket.address().address);
    socket.send('x', portOf(socket), 'localhost');
    await once(socket, 'message');
    socket.send('y', portOf(socket));
    await once(socket, 'message');
  });

  agrees('wrong arguments of createSocket', async (kit) => {
    for (const type of [undefined, null, 'udp5', 'UDP4', {}, { type: 'x' }, 4, []]) {
      attempt(kit, JSON.stringify(type) ?? 'undefined', () => kit.dgram.createSocket(type as never));
    }
    for (const [key, value] of [
      ['recvBufferSize', 'x'],
      ['recvBufferSize', -1],
      ['recvBufferSize', 1.5],
      ['sendBufferSize', {}],
      ['lookup', 'x'],
      ['signal', 'x'],
      ['signal', {}],
    ] as const) {
      attempt(kit, key, () => kit.dgram.createSocket({ type: 'udp4', [key]: value } as never).close());
    }
    await turns();
  });
});

describe('sending', () => {
  agrees('send in all its forms', async (kit) => {
    const receiver = await kit.bound('receiver');
    const sender = await kit.bound('sender');
    const port = portOf(receiver);
    const done = (error: Error | null, bytes?: number): void => kit.log('sent', error, bytes);
    const view = new Uint16Array([0x6161, 0x6262]);
    const forms: unknown[][] = [
      ['text', port, '127.0.0.1', done],
      ['text', port, '127.0.0.1'],
      ['text', port, done],
      ['text', port],
      [Buffer.from('buffer'), port, '127.0.0.1', done],
      [Buffer.from('offset'), 1, 3, port, '127.0.0.1', done],
      [Buffer.from('offset'), 1, 3, port, done],
      [Buffer.from('offset'), 0, 6, port],
      ['string offset', 7, 6, port, '127.0.0.1', done],
      [view, port, '127.0.0.1', done],
      [view, 1, 2, port, '127.0.0.1', done],
      [new DataView(view.buffer), port, '127.0.0.1', done],
      [['a', Buffer.from('b'), view], port, '127.0.0.1', done],
      [[], port, '127.0.0.1', done],
      ['', port, '127.0.0.1', done],
      ['no address', port, null, done],
      ['empty address', port, '', done],
      ['port as text', String(port), '127.0.0.1', done],
    ];
    for (const args of forms) {
      kit.log('form', args.length);
      (sender.send as (...args: unknown[]) => void)(...args);
      await pass(4);
    }
  });

  agrees('when the callback comes', async (kit) => {
    const receiver = await kit.bound('receiver');
    const sender = await kit.bound('sender');
    process.nextTick(() => kit.log('tick'));
    sender.send('x', portOf(receiver), '127.0.0.1', () => kit.log('sent'));
    process.nextTick(() => kit.log('tick after'));
    setImmediate(() => kit.log('immediate'));
    kit.log('called');
    await pass(10);
  });

  agrees('an unbound socket binds itself, and keeps the order', async (kit) => {
    const receiver = await kit.bound('receiver');
    const sender = kit.open('sender', 'udp4', ['listening', 'error', 'close']);
    for (const text of ['one', 'two', 'three'])
      sender.send(text, portOf(receiver), '127.0.0.1', () => kit.log('sent', text));
    kit.log('called');
    await once(sender, 'listening');
    kit.log(sender.address().address);
    await pass(10);
  });

  agrees('many in one turn arrive all, in order', async (kit) => {
    const receiver = kit.open('receiver', 'udp4', []);
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const seen: number[] = [];
    receiver.on('message', (message: Buffer) => seen.push(message.readUInt16BE()));
    const sender = await kit.bound('sender');
    let sent = 0;
    for (let i = 0; i < 150; i++) {
      const text = Buffer.alloc(500);
      text.writeUInt16BE(i);
      sender.send(text, portOf(receiver), '127.0.0.1', (error, bytes) => {
        if (error === null && bytes === 500) sent++;
      });
    }
    await pass(40);
    kit.log(
      sent,
      seen.length,
      seen.every((n, i) => n === i),
    );
  });

  agrees('the largest there can be, and more', async (kit) => {
    const receiver = await kit.bound('receiver');
    const sender = await kit.bound('sender');
    for (const bytes of [65_507, 65_508, 70_000]) {
      sender.send(Buffer.alloc(bytes), portOf(receiver), '127.0.0.1', (error, n) => kit.log('sent', error, n));
      await pass(10);
    }
    const six = await kit.bound('six', '::1');
    for (const bytes of [65_527, 65_528]) {
      six.send(Buffer.alloc(bytes), portOf(six), '::1', (error, n) => kit.log('sent', error, n));
      await pass(10);
    }
  });

  agrees('errors are told to the callback only', async (kit) => {
    const sender = await kit.bound('sender');
    const tries: [string, number][] = [
      ['255.255.255.255', 9],
      ['::1', 9],
    ];
    for (const [address, port] of tries) {
      sender.send('x', port, address, (error) => kit.log('sent', error));
      sender.send('x', port, address);
      await pass(5);
    }
  });

  agrees('nobody listens: an unconnected socket hears nothing', async (kit) => {
    const sender = await kit.bound('sender');
    const gone = await kit.bound('gone');
    const port = portOf(gone);
    gone.close();
    await pass(5);
    sender.send('x', port, '127.0.0.1', (error, n) => kit.log('sent', error, n));
    await pass(10);
    sender.send('x', port, '127.0.0.1', (error, n) => kit.log('sent', error, n));
    await pass(10);
  });

  agrees('wrong arguments of send', async (kit) => {
    const sender = await kit.bound('sender');
    const given: unknown[][] = [
      [],
      ['x'],
      ['x', 0],
      ['x', -1, '127.0.0.1'],
      ['x', 65_536, '127.0.0.1'],
      ['x', 'y', '127.0.0.1'],
      ['x', 9, 5],
      ['x', 9, {}],
      ['x', 9, true],
      [5, 9, '127.0.0.1'],
      [null, 9, '127.0.0.1'],
      [{}, 9, '127.0.0.1'],
      [['x', 5], 9, '127.0.0.1'],
      [Buffer.alloc(3), 4, 1, 9, '127.0.0.1'],
      [Buffer.alloc(3), 1, 3, 9, '127.0.0.1'],
      [Buffer.alloc(3), 0, 3, 0, '127.0.0.1'],
      [[1], 9],
      [undefined, 9],
    ];
    for (const args of given)
      attempt(kit, JSON.stringify(args), () => (sender.send as (...a: unknown[]) => void)(...args));
    await pass(5);
  });

  agrees('sendto', async (kit) => {
    const receiver = await kit.bound('receiver');
    const sender = await kit.bound('sender');
    sender.sendto(Buffer.from('hello'), 1, 3, portOf(receiver), '127.0.0.1', (error, n) => kit.log('sent', error, n));
    await pass(5);
    const wrong: unknown[][] = [
      [Buffer.alloc(1)],
      [Buffer.alloc(1), 0],
      [Buffer.alloc(1), 0, 1],
      [Buffer.alloc(1), 0, 1, 9],
    ];
    for (const args of wrong) attempt(kit, 'sendto', () => (sender.sendto as (...a: unknown[]) => void)(...args));
  });
});

describe('connected', () => {
  agrees('both ways, and the peer’s only', async (kit) => {
    const server = await kit.bound('server');
    const client = kit.open('client', 'udp4');
    client.connect(portOf(server), '127.0.0.1', () => kit.log('callback'));
    await once(client, 'connect');
    kit.log(client.remoteAddress(), client.address().address);
    client.send('hello', (error, n) => kit.log('sent', error, n));
    client.send(Buffer.from('offset'), 1, 2, (error, n) => kit.log('sent', error, n));
    client.send(['a', 'b']);
    await pass(10);
    server.send('back', portOf(client), '127.0.0.1');
    const stranger = await kit.bound('stranger');
    stranger.send('not heard', portOf(client), '127.0.0.1');
    await pass(10);
  });

  agrees('a port that nobody listens on: the error comes when reading', async (kit) => {
    const gone = await kit.bound('gone');
    const port = portOf(gone);
    gone.close();
    const client = kit.open('client', 'udp4');
    client.connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.send('x', (error, n) => kit.log('sent', error, n));
    await pass(10);
    client.send('y', (error, n) => kit.log('sent', error, n));
    await pass(10);
  });

  agrees('connect, disconnect, connect elsewhere', async (kit) => {
    const [one, two] = [await kit.bound('one'), await kit.bound('two')];
    const client = kit.open('client', 'udp4');
    attempt(kit, 'remoteAddress', () => client.remoteAddress());
    attempt(kit, 'disconnect', () => client.disconnect());
    client.connect(portOf(one));
    attempt(kit, 'connect while connecting', () => client.connect(portOf(two)));
    await once(client, 'connect');
    attempt(kit, 'connect when connected', () => client.connect(portOf(two)));
    attempt(kit, 'send with a port', () => client.send('x', portOf(two)));
    attempt(kit, 'send with an address', () => client.send('x', portOf(two), '127.0.0.1'));
    client.disconnect();
    attempt(kit, 'remoteAddress', () => client.remoteAddress());
    attempt(kit, 'send without a port', () => client.send('x'));
    client.connect(portOf(two));
    await once(client, 'connect');
    client.send('to two');
    await pass(10);
  });

  agrees('wrong arguments of connect', async (kit) => {
    const client = kit.open('client', 'udp4');
    for (const args of [[], [0], [-1], [65_536], ['x'], [9, 5], [9, null], [9, {}]]) {
      attempt(kit, JSON.stringify(args), () => (client.connect as (...a: unknown[]) => void)(...args));
      await pass(3);
    }
  });

  agrees('connect fails: the callback, or an error event', async (kit) => {
    const lookup = (_name: string, _family: number, done: (e: Error | null, a: string, f: number) => void): void =>
      done(_name === 'bad' ? Object.assign(new Error('not found'), { code: 'ENOTFOUND' }) : null, '127.0.0.1', 4);
    const client = kit.open('client', { type: 'udp4', lookup: lookup as never });
    client.connect(9, 'bad', (error?: Error) => kit.log('callback', error));
    await pass(5);
    client.connect(9, 'bad');
    await pass(5);
    client.connect(9, 'good', (error?: Error) => kit.log('callback', error));
    await pass(5);
    const four = kit.open('four', 'udp4');
    four.connect(9, '::1', (error?: Error) => kit.log('callback', error));
    await pass(5);
  });
});

describe('life', () => {
  agrees('close, once and twice', async (kit) => {
    const socket = await kit.bound('s');
    kit.log(socket.close(() => kit.log('callback')) === socket);
    kit.log('called');
    await once(socket, 'close');
    for (const call of [
      'close',
      'address',
      'remoteAddress',
      'bind',
      'setTTL',
      'setBroadcast',
      'getRecvBufferSize',
    ] as const) {
      attempt(kit, call, () => (socket[call] as (...a: unknown[]) => unknown)(1));
    }
    attempt(kit, 'send', () => socket.send('x', 9, '127.0.0.1'));
    attempt(kit, 'ref', () => socket.ref());
    attempt(kit, 'unref', () => socket.unref());
    await pass(5);
  });

  agrees('close before binding is done, and with something to send', async (kit) => {
    const socket = kit.open('s', 'udp4');
    socket.bind(0, '127.0.0.1');
    socket.close();
    await pass(5);
    const receiver = await kit.bound('receiver');
    const sender = kit.open('sender', 'udp4');
    sender.send('x', portOf(receiver), '127.0.0.1', (error, n) => kit.log('sent', error, n));
    sender.close();
    await pass(10);
    const never = kit.open('never', 'udp4');
    never.close(() => kit.log('callback'));
    await pass(5);
  });

  agrees('a message listener that closes', async (kit) => {
    const socket = kit.open('s', 'udp4', ['message', 'close']);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('message', () => socket.close());
    const sender = await kit.bound('sender');
    for (let i = 0; i < 3; i++) sender.send(`${i}`, portOf(socket), '127.0.0.1');
    await pass(10);
  });

  agrees('messages and promises take turns', async (kit) => {
    const socket = kit.open('s', 'udp4', ['message']);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('message', () => {
      process.nextTick(() => kit.log('tick'));
      void Promise.resolve().then(() => kit.log('promise'));
    });
    const sender = await kit.bound('sender');
    for (let i = 0; i < 3; i++) sender.send(`${i}`, portOf(socket), '127.0.0.1');
    await pass(10);
  });

  agrees('an AbortSignal closes it', async (kit) => {
    const controller = new AbortController();
    const socket = kit.open('s', { type: 'udp4', signal: controller.signal });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    controller.abort();
    kit.log('aborted');
    await pass(5);
    kit.open('late', { type: 'udp4', signal: AbortSignal.abort() });
    await pass(5);
    const closed = new AbortController();
    const other = kit.open('other', { type: 'udp4', signal: closed.signal });
    other.close();
    await pass(5);
    closed.abort();
    await pass(5);
  });

  agrees('disposed of', async (kit) => {
    const socket = await kit.bound('s');
    await socket[Symbol.asyncDispose]();
    kit.log('disposed');
    await socket[Symbol.asyncDispose]();
    kit.log('twice');
  });

  agrees('what it is made of', async (kit) => {
    const socket = kit.open('s', 'udp4');
    kit.log(socket instanceof EventEmitter, socket instanceof kit.dgram.Socket, socket.type);
    const names = [
      'bind',
      'connect',
      'disconnect',
      'send',
      'sendto',
      'close',
      'address',
      'remoteAddress',
      'ref',
      'unref',
    ];
    names.push('setTTL', 'setBroadcast', 'setMulticastTTL', 'setMulticastLoopback', 'setMulticastInterface');
    names.push('addMembership', 'dropMembership', 'addSourceSpecificMembership', 'dropSourceSpecificMembership');
    names.push('setRecvBufferSize', 'setSendBufferSize', 'getRecvBufferSize', 'getSendBufferSize');
    names.push('getSendQueueSize', 'getSendQueueCount');
    for (const name of names) kit.log(name, typeof (socket as unknown as Record<string, unknown>)[name]);
    kit.log(socket.ref() === socket, socket.unref() === socket);
    const heard = kit.dgram.createSocket('udp4', (message) => kit.log('heard', message));
    heard.bind(0, '127.0.0.1');
    await once(heard, 'listening');
    heard.send('x', portOf(heard), '127.0.0.1');
    await once(heard, 'message');
    heard.close();
  });
});

describe('options', () => {
  agrees('of a socket that is not bound', async (kit) => {
    const socket = kit.open('s', 'udp4');
    attempt(kit, 'address', () => socket.address());
    attempt(kit, 'setTTL', () => socket.setTTL(4));
    attempt(kit, 'setBroadcast', () => socket.setBroadcast(true));
    attempt(kit, 'setMulticastTTL', () => socket.setMulticastTTL(4));
    attempt(kit, 'setMulticastLoopback', () => socket.setMulticastLoopback(true));
    attempt(kit, 'setMulticastInterface', () => socket.setMulticastInterface('127.0.0.1'));
    for (const name of ['getRecvBufferSize', 'getSendBufferSize'] as const) attempt(kit, name, () => socket[name]());
    for (const name of ['setRecvBufferSize', 'setSendBufferSize'] as const)
      attempt(kit, name, () => socket[name](5000));
    attempt(kit, 'getSendQueueSize', () => socket.getSendQueueSize());
  });

  agrees('values, right and wrong', async (kit) => {
    const socket = await kit.bound('s');
    for (const value of [1, 255, 0, 256, -1, 1.5, 'x', undefined, null]) {
      attempt(kit, `setTTL ${value}`, () => socket.setTTL(value as never));
      attempt(kit, `setMulticastTTL ${value}`, () => socket.setMulticastTTL(value as never));
    }
    for (const value of [true, false, 1, 'x']) {
      attempt(kit, `setBroadcast ${value}`, () => socket.setBroadcast(value as never));
      attempt(kit, `setMulticastLoopback ${value}`, () => socket.setMulticastLoopback(value as never));
    }
    for (const value of ['127.0.0.1', '203.0.113.1', '::1', 'x', 5, '0.0.0.0']) {
      attempt(kit, `setMulticastInterface ${value}`, () => socket.setMulticastInterface(value as never));
    }
  });

  agrees('buffer sizes, as Linux gives them', async (kit) => {
    const socket = await kit.bound('s');
    for (const size of [0, 1, 1000, 5000, 65_536, -1, 1.5, 'x', undefined, Infinity]) {
      attempt(kit, `setRecvBufferSize ${size}`, () => socket.setRecvBufferSize(size as never));
      attempt(kit, `getRecvBufferSize`, () => socket.getRecvBufferSize() / 1000);
      attempt(kit, `setSendBufferSize ${size}`, () => socket.setSendBufferSize(size as never));
      attempt(kit, `getSendBufferSize`, () => socket.getSendBufferSize() / 1000);
    }
    const other = kit.open('other', { type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 12_000 });
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    kit.log(other.getRecvBufferSize() / 1000, other.getSendBufferSize() / 1000);
    kit.log(other.getSendQueueSize(), other.getSendQueueCount());
  });

  agrees('membership: wrong arguments', async (kit) => {
    const socket = await kit.bound('s');
    for (const args of [
      [],
      [''],
      ['x'],
      ['10.0.0.1'],
      ['::1'],
      ['ff02::1'],
      ['224.0.0.114', 'x'],
      ['224.0.0.114', '203.0.113.1'],
    ]) {
      attempt(kit, `addMembership ${JSON.stringify(args)}`, () =>
        (socket.addMembership as (...a: unknown[]) => void)(...args),
      );
      attempt(kit, `dropMembership ${JSON.stringify(args)}`, () =>
        (socket.dropMembership as (...a: unknown[]) => void)(...args),
      );
    }
  });

  agrees('groups on the loopback interface', async (kit) => {
    const socket = kit.open('s', 'udp4', ['message', 'error']);
    socket.bind(0, '0.0.0.0');
    await once(socket, 'listening');
    socket.addMembership('224.0.0.114', '127.0.0.1');
    attempt(kit, 'twice', () => socket.addMembership('224.0.0.114', '127.0.0.1'));
    const sender = await kit.bound('sender');
    sender.setMulticastInterface('127.0.0.1');
    sender.send('to the group', portOf(socket), '224.0.0.114');
    await pass(10);
    socket.dropMembership('224.0.0.114', '127.0.0.1');
    attempt(kit, 'twice', () => socket.dropMembership('224.0.0.114', '127.0.0.1'));
    sender.send('nobody’s', portOf(socket), '224.0.0.114');
    await pass(10);
  });
});
