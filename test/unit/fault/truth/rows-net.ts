/** Fault catalogue §3: connecting, listening, established connections, and what closing sends. */
import type net from 'node:net';
import type { RawPeer } from './raw-peer';
import {
  closed,
  differing,
  errorWords,
  established,
  HOST,
  listen,
  opened,
  PEER,
  type Row,
  settled,
  type TruthWorld,
} from './world';

/** A connection attempt whose SYN is met with this. */
const connecting = (name: string, answer: (peer: RawPeer) => void, code: string, errno: number): Row => ({
  name,
  said: [`error(connect ${code} ${PEER}:PORT ${errno} connect ${PEER} PORT)`, 'close(true)'],
  async run(world, port) {
    const peer = world.peer(port);
    const { socket, events } = opened(world, port);
    const over = closed(socket);
    await world.wait(peer.syn());
    answer(peer);
    await world.wait(over);
    return events;
  },
});

const thrown = (make: () => unknown): string => {
  try {
    make();
    return 'nothing thrown';
  } catch (error) {
    return `${(error as Error).name} ${errorWords(error)}`;
  }
};

const told = (emitter: net.Socket | net.Server): Promise<string> =>
  new Promise((resolve) => void emitter.once('error', (error) => resolve(errorWords(error))));

/** A row about an established connection: what the peer does, and what the socket tells within `forMs` or till its close. */
const standing = (
  name: string,
  said: readonly string[],
  play: (given: { socket: net.Socket; events: string[]; peer: RawPeer; world: TruthWorld }) => Promise<void> | void,
  more: { forMs?: number; options?: object; kernel?: Row['kernel']; flags?: boolean } = {},
): Row => ({
  name,
  said,
  kernel: more.kernel,
  async run(world, port) {
    const given = await established(world, port, more.options);
    const over = closed(given.socket);
    const before = given.peer.flags.length;
    await play({ ...given, world });
    await world.wait(more.forMs === undefined ? over : world.sleep(more.forMs));
    await world.sleep(60);
    const sent = given.peer.flags.slice(before);
    const events = [...given.events];
    given.socket.destroy();
    return [...events, ...(more.flags === true ? [`sent ${sent.join(' ')}`] : [])];
  },
});

const RESET = ['connect', 'error(read ECONNRESET -104 read)', 'close(true)'];

export const connectRows: readonly Row[] = [
  connecting('SYN answered by RST,ACK', (peer) => peer.refuse(), 'ECONNREFUSED', -111),
  connecting('SYN answered by ICMP 3/0', (peer) => peer.icmp(3, 0), 'ENETUNREACH', -101),
  connecting('SYN answered by ICMP 3/1', (peer) => peer.icmp(3, 1), 'EHOSTUNREACH', -113),
  connecting('SYN answered by ICMP 3/2', (peer) => peer.icmp(3, 2), 'ENOPROTOOPT', -92),
  connecting('SYN answered by ICMP 3/3', (peer) => peer.icmp(3, 3), 'ECONNREFUSED', -111),
  connecting('SYN answered by ICMP 3/13', (peer) => peer.icmp(3, 13), 'EHOSTUNREACH', -113),
  connecting('SYN answered by ICMP 11/0', (peer) => peer.icmp(11, 0), 'EHOSTUNREACH', -113),
  connecting('SYN lost, and lost again (tcp_syn_retries 1)', () => {}, 'ETIMEDOUT', -110),
  connecting(
    'SYN,ACK and RST in one wake-up',
    (peer) => {
      peer.synAck();
      peer.rst();
    },
    'ECONNRESET',
    -104,
  ),
  {
    name: 'no route',
    said: ['connect ENETUNREACH 203.0.113.1:80 - Local (0.0.0.0:0) -101 connect 203.0.113.1 PORT'],
    run: async (world) => [await world.wait(told(world.connect({ host: '203.0.113.1', port: 80 })))],
  },
  {
    name: 'a local address that is not ours',
    said: ['bind EADDRNOTAVAIL 10.55.0.1 -99 bind 10.55.0.1'],
    run: async (world, port) => [
      await world.wait(told(world.connect({ host: PEER, port, localAddress: '10.55.0.1' }))),
    ],
  },
  {
    name: 'a local port that is in use',
    said: [`bind EADDRINUSE ${HOST}:PORT -98 bind ${HOST} PORT`],
    async run(world, port) {
      const server = world.createServer({}, () => {});
      await world.wait(new Promise<void>((resolve) => server.listen(port, HOST, resolve)));
      const socket = world.connect({ host: PEER, port: 80, localAddress: HOST, localPort: port });
      const said = await world.wait(told(socket));
      server.close();
      return [said];
    },
  },
  {
    name: 'a path that does not exist',
    said: ['connect ENOENT /nowhere/at/all.sock -2 connect /nowhere/at/all.sock'],
    run: async (world) => [await world.wait(told(world.connect({ path: '/nowhere/at/all.sock' })))],
  },
  {
    name: 'several addresses, all refused: AggregateError without a message',
    said: [`'' ECONNREFUSED of connect ECONNREFUSED ${PEER}:PORT, connect ECONNREFUSED 10.0.0.3:PORT`],
    async run(world, port) {
      const peer = world.peer(port);
      let refused = 0;
      peer.onSegment = () => {
        // A frame that comes is answered in a turn of its own.
        refused++;
        peer.refuse();
      };
      const lookup = (_: string, __: object, done: (error: null, list: object[]) => void): void =>
        done(null, [
          { address: PEER, family: 4 },
          { address: '10.0.0.3', family: 4 },
        ]);
      const socket = world.connect({ host: 'two.test', port, lookup, autoSelectFamily: true } as never);
      const said = await world.wait(told(socket));
      return refused >= 2 ? [said] : [`${refused} SYNs`];
    },
  },
  {
    name: 'a port out of range',
    said: ['RangeError Port should be >= 0 and < 65536. Received type number (65536). ERR_SOCKET_BAD_PORT'],
    run: async (world) => [thrown(() => world.connect({ host: PEER, port: 65_536 }))],
  },
];

/** When SYNs that nobody answers are sent, to the nearest second, within eight. */
const timetable = (name: string, seconds: string, more: Pick<Row, 'wire' | 'settings'>): Row => ({
  name,
  said: [`SYNs at ${seconds} s`],
  ...more,
  async run(world, port) {
    const peer = world.peer(port);
    const times: number[] = [];
    peer.onSegment = () => void times.push(world.now());
    const { socket } = opened(world, port);
    await world.wait(peer.syn());
    // The seventh second's has come, or the next one: what is later is not looked at.
    await world.wait(peer.until(() => times.at(-1)! - times[0]! > 6500));
    socket.destroy();
    return [`SYNs at ${times.map((at) => Math.round((at - times[0]!) / 1000)).join(', ')} s`];
  },
});

/** SYNs that are never answered, over a longer time than the other rows have. */
export const patientRows: readonly Row[] = [
  timetable('SYN lost: sent again with doubled waits (tcp_syn_linear_timeouts 0, as before Linux 6.5)', '0, 1, 3, 7', {
    settings: { tcp_syn_retries: 6, tcp_syn_linear_timeouts: 0 },
    wire: { profile: 'linux-node20' },
  }),
  timetable('SYN lost: sent again, with the constants of Linux from 6.5 on', '0, 1, 2, 3, 4, 5, 7', {
    settings: { tcp_syn_retries: 6 },
    wire: { profile: 'linux-6.5' },
  }),
];

export const listenRows: readonly Row[] = [
  {
    name: 'listen: address in use',
    said: [`listen EADDRINUSE: address already in use ${HOST}:PORT -98 listen ${HOST} PORT`],
    async run(world, port) {
      const first = world.createServer({}, () => {});
      await world.wait(new Promise<void>((resolve) => first.listen(port, HOST, resolve)));
      const second = world.createServer({}, () => {});
      const said = told(second);
      second.listen(port, HOST);
      const words = await world.wait(said);
      first.close();
      return [words];
    },
  },
  {
    name: 'listen: an address that is not ours',
    said: ['listen EADDRNOTAVAIL: address not available 10.55.0.1:PORT -99 listen 10.55.0.1 PORT'],
    async run(world, port) {
      const server = world.createServer({}, () => {});
      const said = told(server);
      server.listen(port, '10.55.0.1');
      return [await world.wait(said)];
    },
  },
];

export const establishedRows: readonly Row[] = [
  standing('exact RST in ESTABLISHED', RESET, ({ peer }) => peer.rst()),
  standing('RST inside the window but not exact: a challenge ACK', ['connect', 'sent A'], ({ peer }) => peer.rst(100), {
    forMs: 800,
    flags: true,
  }),
  standing('RST outside of the window: nothing', ['connect', 'sent '], ({ peer }) => peer.rst(0x1000_0000), {
    forMs: 800,
    flags: true,
  }),
  standing('SYN on a connection that stands: a challenge ACK', ['connect', 'sent A'], ({ peer }) => peer.straySyn(), {
    forMs: 800,
    flags: true,
  }),
  differing(
    standing('data and RST in one wake-up', ['connect', 'data', 'end', 'close(false)'], ({ peer }) => {
      peer.send('bye');
      peer.rst();
    }),
    { resetBehindText: ['connect', 'data', ...RESET.slice(1)] },
  ),
  standing('data, and RST a wake-up later', ['connect', 'data', ...RESET.slice(1)], async ({ peer, world }) => {
    peer.send('bye');
    await settled(world, peer);
    peer.rst();
  }),
  {
    ...standing('FIN: Node ends its side', ['connect', 'end', 'close(false)', 'sent FA'], ({ peer }) => peer.fin(), {
      flags: true,
    }),
    // The delayed acknowledgment of the FIN.
    busy: ['connect', 'end', 'close(false)', 'sent A FA'],
  },
  standing(
    'write with a RST that waits unread',
    ['connect', 'error(write ECONNRESET -104 write)', 'close(true)'],
    async ({ socket, peer, world }) => {
      await world.unseen(() => peer.rst());
      socket.write('late');
    },
  ),
  standing(
    'RST in CLOSE-WAIT: silent until a write, which is EPIPE',
    ['connect', 'end', 'error(write EPIPE -32 write)', 'close(true)'],
    async ({ socket, peer, world }) => {
      peer.fin();
      await settled(world, peer);
      peer.rst();
      await world.sleep(100);
      socket.write('x');
    },
    { options: { allowHalfOpen: true } },
  ),
  standing(
    'write after end()',
    ['connect', 'error(write after end ERR_STREAM_WRITE_AFTER_END)', 'close(true)'],
    ({ socket }) => {
      socket.end();
      socket.write('x');
    },
  ),
  standing(
    'write after destroy()',
    ['connect', 'callback Cannot call write after a stream was destroyed ERR_STREAM_DESTROYED', 'close(false)'],
    ({ socket, events }) => {
      socket.destroy();
      socket.write('x', (error) => void events.push(`callback ${errorWords(error)}`));
    },
  ),
  standing(
    'data that is never acknowledged (tcp_retries2 3)',
    ['connect', 'error(read ETIMEDOUT -110 read)', 'close(true)'],
    ({ socket, peer }) => {
      peer.mute();
      socket.write('into the void');
    },
  ),
  standing(
    'the same with ICMP host unreachable for each',
    ['connect', 'error(read EHOSTUNREACH -113 read)', 'close(true)'],
    ({ socket, peer }) => {
      peer.mute();
      peer.onSegment = (segment) => {
        if (segment.length > 0) peer.icmp(3, 1);
      };
      socket.write('into the void');
    },
  ),
  standing(
    'keep-alive probes unanswered: ten, a second apart, and RST',
    ['connect', 'error(read ETIMEDOUT -110 read)', 'close(true)', `sent ${'A '.repeat(10)}RA`],
    ({ socket, peer }) => {
      peer.mute();
      socket.setKeepAlive(true, 1000);
    },
    { flags: true },
  ),
  standing(
    'zero window: only the timeout that was asked for',
    ['connect', 'timeout'],
    ({ socket, peer }) => {
      peer.window = 0;
      peer.ack();
      socket.setTimeout(700);
      socket.once('timeout', () => socket.setTimeout(0));
      socket.write(Buffer.alloc(100_000));
    },
    { forMs: 2000 },
  ),
];

/** What the program calls, and what that puts on the wire. */
const closing = (
  name: string,
  said: readonly string[],
  play: (given: { socket: net.Socket; peer: RawPeer; world: TruthWorld }) => Promise<void> | void,
  options: object = {},
): Row => ({
  name,
  said,
  async run(world, port) {
    const server = world.createServer(options, (socket) => {
      listen(socket, events, ['data', 'end']);
      accepted(socket);
    });
    const events: string[] = [];
    let accepted: (socket: net.Socket) => void = () => {};
    const come = new Promise<net.Socket>((resolve) => {
      accepted = resolve;
    });
    await world.wait(new Promise<void>((resolve) => server.listen(port, HOST, resolve)));
    const peer = world.client(port);
    await world.wait(peer.dial(PEER, port, HOST, port));
    const socket = await world.wait(come);
    const before = peer.flags.length;
    await play({ socket, peer, world });
    await world.sleep(150);
    server.close();
    socket.destroy();
    return [...events, `sent ${peer.flags.slice(before).join(' ')}`];
  },
});

export const closingRows: readonly Row[] = [
  {
    ...closing('end(): data, FIN', ['sent FPA'], ({ socket }) => {
      socket.write('bye');
      socket.end();
    }),
    kernel: { said: ['sent PA FA'], why: 'ours sends once for all calls of a turn, the kernel at each call' },
  },
  closing('destroy(), nothing unread: FIN', ['close(false)', 'sent FA'], ({ socket }) => void socket.destroy()),
  closing(
    'destroy() with unread bytes in the kernel: RST',
    ['close(false)', 'sent A RA'],
    async ({ socket, peer, world }) => {
      peer.send('unread');
      await settled(world, peer);
      socket.destroy();
    },
    { pauseOnConnect: true },
  ),
  {
    ...closing(
      'end() and destroy() with unread bytes in the kernel: data, FIN, RST',
      ['close(false)', 'sent A FPA RA'],
      async ({ socket, peer, world }) => {
        peer.send('unread');
        await settled(world, peer);
        socket.end('bye');
        await world.sleep(60);
        socket.destroy();
      },
      { pauseOnConnect: true },
    ),
    kernel: { said: ['close(false)', 'sent A PA FA RA'], why: 'as above: once for all calls of a turn' },
  },
  closing(
    'resetAndDestroy(): RST, and no error here',
    ['close(false)', 'sent RA'],
    ({ socket }) => void socket.resetAndDestroy(),
  ),
  closing(
    'data after both sides closed is answered by RST',
    ['close(false)', 'sent FA R'],
    async ({ socket, peer, world }) => {
      socket.destroy();
      await world.sleep(60);
      peer.send('too late');
    },
  ),
  ...(['lower', 'higher'] as const).map(
    (which): Row => ({
      name: `TIME-WAIT: a SYN with a ${which} number`,
      said: which === 'lower' ? ['TIME-WAIT', 'A'] : ['TIME-WAIT', 'SA'],
      async run(world, port) {
        const server = world.createServer({}, (socket) => {
          socket.on('error', () => {});
          socket.end();
        });
        await world.wait(new Promise<void>((resolve) => server.listen(port, HOST, resolve)));
        const peer = world.client(port);
        await world.wait(peer.dial(PEER, port, HOST, port));
        await world.wait(peer.until(() => peer.flags.some((flags) => flags.includes('F'))));
        peer.fin();
        await world.sleep(60);
        const before = peer.flags.length;
        peer.syn2(which === 'lower' ? -500 : 500_000);
        await world.sleep(100);
        server.close();
        return ['TIME-WAIT', peer.flags.slice(before).join(' ')];
      },
    }),
  ),
];
