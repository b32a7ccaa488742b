import { EventEmitter } from 'node:events';
import { pass } from './both';
import { agrees, attempt, once, portOf } from './dgram-both';

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
