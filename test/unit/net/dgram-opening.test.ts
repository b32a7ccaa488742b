import { pass, turns } from './both';
import { agrees, attempt, once, portOf } from './dgram-both';

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
