import { pass } from './both';
import { agrees, attempt, once, portOf } from './dgram-both';

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
