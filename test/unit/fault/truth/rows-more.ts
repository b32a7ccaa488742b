/** Fault catalogue §3: names, limits, datagrams, queues, TIME-WAIT and timers. */
import type dgram from 'node:dgram';
import http from 'node:http';
import type net from 'node:net';
import type { RawPeer } from './raw-peer';
import {
  asked,
  closed,
  differing,
  errorWords,
  established,
  fetched,
  HOST,
  LENGTH,
  listen,
  PEER,
  type Row,
  SHORT_WAITS,
  type TruthWorld,
} from './world';

const OK = `${LENGTH}0123456789`;
const SUCCESS = 'success 0123456789 complete true';

/** Anything that may fail. */
interface Failing {
  once(event: 'error', listener: (error: Error) => void): unknown;
}

const failure = (emitter: Failing): Promise<Error> => new Promise((resolve) => void emitter.once('error', resolve));

/** Every event of a socket that cannot even begin, with the name that its error is about. */
async function inVain(world: TruthWorld, socket: net.Socket, isReal = false): Promise<string[]> {
  const events = listen(socket);
  const failed = failure(socket);
  const over = closed(socket);
  const error = await (isReal ? failed : world.wait(failed));
  await world.wait(over);
  const { hostname } = error as Error & { hostname?: string };
  return hostname === undefined ? events : [...events, `hostname ${hostname}`];
}

/** Time passes until it is so. */
async function until(world: TruthWorld, test: () => boolean): Promise<void> {
  while (!test()) await world.sleep(20);
}

export const refusedRows: readonly Row[] = [
  {
    name: 'a name that is none',
    said: ['error(getaddrinfo ENOTFOUND a..b -3008 getaddrinfo)', 'close(true)', 'hostname a..b'],
    // The real resolver says so, without asking anybody: that takes real time.
    run: (world) => inVain(world, world.connect({ host: 'a..b', port: 80 }), true),
  },
  {
    name: 'a name, and no server of names answers',
    said: ['error(getaddrinfo EAI_AGAIN name.test -3001 getaddrinfo)', 'close(true)', 'hostname name.test'],
    run: (world) => inVain(world, world.connect({ host: 'name.test', port: 80, lookup: world.lookup })),
  },
  {
    name: 'no port left',
    said: [`error(connect EADDRNOTAVAIL ${PEER}:PORT - Local (0.0.0.0:0) -99 connect ${PEER} PORT)`, 'close(true)'],
    async run(world, port) {
      world.peer(port);
      const sockets: net.Socket[] = [];
      world.scarce('ports', () => {
        for (let i = 0; i < 2; i++) sockets.push(world.connect({ host: PEER, port }));
      });
      const said = await inVain(world, sockets[1]!);
      sockets[0]!.on('error', () => {}).destroy();
      return said;
    },
  },
  {
    name: 'no descriptor left',
    said: [`error(connect ENOBUFS ${PEER}:PORT - Local (0.0.0.0:0) -105 connect ${PEER} PORT)`, 'close(true)'],
    kernel: {
      said: [
        `error(connect EMFILE ${PEER}:PORT - Local (undefined:undefined) -24 connect ${PEER} PORT)`,
        'close(true)',
      ],
      why: 'ours has no descriptors; what it runs out of is its limit on connections',
    },
    async run(world, port) {
      let socket: net.Socket | null = null;
      world.scarce('descriptors', () => {
        socket = world.connect({ host: PEER, port });
      });
      return inVain(world, socket!);
    },
  },
  {
    name: 'listen: a port of the privileged',
    said: ['listening'],
    kernel: {
      said: [`listen EACCES: permission denied ${HOST}:80 -13 listen ${HOST} PORT`],
      why: 'ours knows no users: whoever has the device may have every port',
    },
    async run(world) {
      const server = world.createServer({}, () => {});
      const said = new Promise<string>((resolve) => {
        server.once('error', (error) => resolve(errorWords(error)));
        server.once('listening', () => resolve('listening'));
      });
      world.asNobody(() => server.listen(80, HOST));
      const words = await world.wait(said);
      server.close();
      return [words];
    },
  },
];

/** A datagram socket, what its callbacks are given, and its errors. */
function datagrams(world: TruthWorld): { socket: dgram.Socket; said: string[]; sent: (error: Error | null) => void } {
  const socket = world.createUdp();
  const said: string[] = [];
  socket.on('error', (error) => said.push(`error(${errorWords(error)})`));
  return { socket, said, sent: (error) => said.push(`sent ${error === null ? 'null' : errorWords(error)}`) };
}

const udp = (
  name: string,
  said: readonly string[],
  play: (socket: dgram.Socket, sent: (error: Error | null) => void, port: number) => void,
): Row => ({
  name: `UDP: ${name}`,
  said,
  async run(world, port) {
    const { socket, said: told, sent } = datagrams(world);
    play(socket, sent, port);
    await until(world, () => told.length >= said.length);
    // Nothing more comes.
    await world.sleep(150);
    socket.close();
    return told;
  },
});

export const datagramRows: readonly Row[] = [
  udp(
    'port unreachable, connected: sent, and an error later',
    ['sent null', 'error(recvmsg ECONNREFUSED -111 recvmsg)'],
    (socket, sent, port) => socket.connect(port, PEER, () => socket.send('x', sent)),
  ),
  udp('port unreachable, not connected: sent, and nothing', ['sent null'], (socket, sent, port) =>
    socket.send('x', port, PEER, sent),
  ),
  udp('no route', ['sent send ENETUNREACH 203.0.113.1:PORT -101 send 203.0.113.1 PORT'], (socket, sent, port) =>
    socket.send('x', port, '203.0.113.1', sent),
  ),
  udp('longer than a datagram', [`sent send EMSGSIZE ${PEER}:PORT -90 send ${PEER} PORT`], (socket, sent, port) =>
    socket.send(Buffer.alloc(70_000), port, PEER, sent),
  ),
];

/** A server on a port of HOST. */
async function served(world: TruthWorld, port: number): Promise<net.Server> {
  const server = world.createServer({}, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  await world.wait(new Promise<void>((resolve) => server.listen(port, HOST, resolve)));
  return server;
}

/** Three connections to a queue that holds two; nobody accepts. */
const crowded = (name: string, said: readonly string[], more: Pick<Row, 'wire' | 'settings'>): Row => ({
  name,
  said,
  ...more,
  async run(world, port) {
    const server = world.createServer({}, (socket) => void socket.on('error', () => {}));
    await world.wait(new Promise<void>((resolve) => server.listen({ port, host: HOST, backlog: 1 }, resolve)));
    const peers = [0, 30, 60].map((off) => world.client(port + off));
    await world.unaccepted(async () => {
      // The last one's handshake begins first and ends last.
      await peers[2]!.dial(PEER, port + 60, HOST, port, false);
      await peers[0]!.dial(PEER, port, HOST, port);
      await peers[1]!.dial(PEER, port + 30, HOST, port);
      peers[2]!.ack();
    });
    const last = peers[2]!;
    await world.wait(last.until(() => last.flags.length > 1));
    const lines = peers.map((peer) => peer.flags.join(' '));
    for (const peer of peers) peer.rst();
    server.close();
    return lines;
  },
});

export const queueRows: readonly Row[] = [
  crowded('the ACK of a handshake finds the queue full: as if it were lost', ['SA', 'SA', 'SA SA'], {
    wire: { profile: { ...SHORT_WAITS } },
  }),
  crowded('the same with tcp_abort_on_overflow 1: reset', ['SA', 'SA', 'SA R'], {
    wire: { profile: { ...SHORT_WAITS, abortOnOverflow: true } },
    settings: { tcp_abort_on_overflow: 1 },
  }),
  {
    name: 'the program is gone with text in front of a closed window: the orphan goes on probing',
    said: ['SYN, and nothing after the end'],
    kernel: { said: ['probes after the end'], why: 'ours is in the process: what ends with it does not go on' },
    async run(world, port) {
      const peer = world.peer(port);
      peer.window = 0;
      const gone = world.exiting(port, 'held');
      await world.wait(peer.accept());
      await world.wait(gone);
      const before = peer.flags.length;
      const more = peer.until(() => peer.flags.length > before);
      await world.wait(Promise.race([more, world.sleep(20_000)]));
      const after = [...new Set(peer.flags.slice(before))].join(' ');
      peer.rst();
      return [
        after === 'A' ? 'probes after the end' : after === '' ? 'SYN, and nothing after the end' : `sent ${after}`,
      ];
    },
  },
  {
    name: 'a listener that closes resets the connections in its queue',
    said: ['SA RA', 'SA RA'],
    async run(world, port) {
      const server = await served(world, port);
      const peers = [world.client(port), world.client(port + 50)];
      await world.unaccepted(async () => {
        await Promise.all(peers.map((peer, i) => peer.dial(PEER, port + 50 * i, HOST, port)));
      });
      server.close();
      await world.wait(Promise.all(peers.map((peer) => peer.until(() => peer.count('RA') > 0))));
      return peers.map((peer) => peer.flags.join(' '));
    },
  },
  {
    name: 'TIME-WAIT: a RST ends it, and what comes later is answered by RST',
    said: ['RST: nothing', 'text: R'],
    async run(world, port) {
      const server = await served(world, port);
      const peer = world.client(port);
      await world.wait(peer.dial(PEER, port, HOST, port));
      await world.wait(peer.until(() => peer.flags.some((flags) => flags.includes('F'))));
      peer.fin();
      await world.wait(peer.taken());
      const before = peer.flags.length;
      peer.rst();
      await world.sleep(60);
      const then = peer.flags.length;
      peer.send('late');
      await world.wait(peer.until(() => peer.flags.length > then));
      await world.sleep(60);
      server.close();
      const words = (from: number, to?: number): string => peer.flags.slice(from, to).join(' ') || 'nothing';
      return [`RST: ${words(before, then)}`, `text: ${words(then)}`];
    },
  },
  {
    name: 'zero window: what a closed socket still has to send is probed for',
    said: ['connect', 'close(false)', 'probes afterwards', 'no RST'],
    async run(world, port) {
      const { socket, events, peer } = await established(world, port);
      peer.window = 0;
      peer.ack();
      await world.sleep(60);
      socket.write('held');
      await world.sleep(60);
      socket.destroy();
      await world.sleep(60);
      const before = peer.flags.length;
      await world.wait(peer.until(() => peer.flags.slice(before).some((flags) => flags !== 'PA')));
      const after = peer.flags.slice(before);
      // So that it ends.
      peer.rst();
      return [
        ...events,
        after.includes('A') ? 'probes afterwards' : `sent ${after.join(' ')}`,
        after.some((flags) => flags.includes('R')) ? 'RST' : 'no RST',
      ];
    },
  },
];

/** A kept connection after one request. */
async function kept(world: TruthWorld, port: number): Promise<{ peer: RawPeer; agent: http.Agent; events: string[] }> {
  const peer = world.peer(port);
  const agent = world.agent({ keepAlive: true });
  const events: string[] = [];
  agent.on('free', (socket: net.Socket) => listen(socket, events));
  const first = asked(world, port, { agent });
  await world.wait(peer.accept().then(() => peer.request()));
  peer.send(OK);
  const told = await first;
  if (told.at(-1) !== SUCCESS) throw new Error(told.join(', '));
  await world.sleep(100);
  return { peer, agent, events };
}

const DEAD = ['sent A A A A A A A A A A RA', 'free sockets 0'];

export const agentRows: readonly Row[] = [
  differing(
    {
      name: 'http.Agent: a kept connection whose peer is dead is probed each second, and dropped',
      said: ['error(read ETIMEDOUT -110 read)', 'close(true)', ...DEAD],
      async run(world, port) {
        const { peer, agent, events } = await kept(world, port);
        peer.mute();
        const before = peer.flags.length;
        await world.wait(peer.until(() => peer.flags.at(-1) === 'RA'));
        await until(world, () => events.some((event) => event.startsWith('close')));
        const free = Object.values(agent.freeSockets).flat().length;
        agent.destroy();
        return [...events, `sent ${peer.flags.slice(before).join(' ')}`, `free sockets ${free}`];
      },
    },
    { guardedPool: ['close(false)', ...DEAD] },
  ),
  {
    name: 'http.Agent: on a reused connection its own listeners are told before the request',
    said: ['sock.error(read ECONNRESET)', 'req.error(read ECONNRESET)', 'sock.close(true)', 'req.close'],
    async run(world, port) {
      const { peer, agent, events } = await kept(world, port);
      events.length = 0;
      const order: string[] = [];
      const note = (name: string) => (detail: unknown) =>
        order.push(
          `${name}(${detail instanceof Error || typeof detail === 'object' ? (detail as Error).message : detail})`,
        );
      const [socket] = Object.values(agent.freeSockets).flat() as net.Socket[];
      socket!.on('error', note('sock.error')).on('close', note('sock.close'));
      const request = http.get({ host: PEER, port, agent });
      request.on('error', note('req.error')).on('close', () => order.push('req.close'));
      const over = new Promise<void>((resolve) => void request.on('close', () => resolve()));
      await world.wait(peer.request(2));
      peer.rst();
      await world.wait(over);
      await world.sleep(60);
      agent.destroy();
      return order;
    },
  },
  {
    name: 'http.Agent: the 5 s of the default agent are told of a slow response, too',
    said: ['req.timeout', 'sock.timeout', 'res.end'],
    async run(world, port) {
      const peer = world.peer(port);
      const agent = world.agent({ keepAlive: true, timeout: 5000, scheduling: 'lifo' });
      const said: string[] = [];
      const request = http.get({ host: PEER, port, agent }, (response) => {
        response.resume().on('end', () => said.push('res.end'));
      });
      request.on('timeout', () => said.push('req.timeout')).on('error', (error) => said.push(errorWords(error)));
      request.on('socket', (socket) => socket.on('timeout', () => said.push('sock.timeout')));
      const over = new Promise<void>((resolve) => void request.on('close', () => resolve()));
      await world.wait(peer.accept().then(() => peer.request()));
      await world.sleep(5500);
      peer.send(OK);
      await world.wait(over);
      agent.destroy();
      return said;
    },
  },
];

/** What a pool of fetch does with a connection on which nothing is asked any more. */
const pooled = (name: string, hint: string, said: readonly string[]): Row => ({
  name: `fetch: ${name}`,
  said: ['status 200', 'body 0123456789', ...said],
  async run(world, port) {
    const peer = world.peer(port);
    const outcome = fetched(world, port);
    await world.wait(peer.accept().then(() => peer.request()));
    peer.send(OK.replace('\r\n\r\n', `\r\nConnection: keep-alive${hint}\r\n\r\n`));
    const told = await outcome;
    const began = world.now();
    await world.wait(peer.until(() => peer.flags.some((flags) => flags.includes('F'))));
    return [...told, world.now() - began < 2500 ? 'FIN at once' : 'FIN seconds later'];
  },
});

const noRetry = (method: 'GET' | 'POST'): Row => ({
  name: `fetch: ${method} is not tried again`,
  said: ['fetch failed: other side closed UND_ERR_SOCKET', 'SYNs 1'],
  async run(world, port) {
    const peer = world.peer(port);
    const outcome = fetched(world, port, method === 'GET' ? {} : { method, body: 'x' });
    await world.wait(peer.accept().then(() => peer.request()));
    peer.fin();
    const told = await outcome;
    await world.sleep(200);
    return [...told, `SYNs ${peer.count('S')}`];
  },
});

export const poolRows: readonly Row[] = [
  pooled('the pool closes what is idle for 4 s', '', ['FIN seconds later']),
  pooled('a hint of 2 s closes at once', '\r\nKeep-Alive: timeout=2', ['FIN at once']),
  noRetry('GET'),
  noRetry('POST'),
  differing(
    {
      name: 'fetch: RST unread when the second request is written',
      said: ['status 200', 'body 0123456789', 'fetch failed: write ECONNRESET -104 write'],
      async run(world, port) {
        const peer = world.peer(port);
        const first = fetched(world, port);
        await world.wait(peer.accept().then(() => peer.request()));
        peer.send(OK);
        const told = await first;
        await world.sleep(100);
        await world.unseen(() => peer.rst());
        return [...told, ...(await fetched(world, port))];
      },
    },
    { fetchReadsFirst: ['status 200', 'body 0123456789', 'fetch failed: read ECONNRESET -104 read'] },
  ),
  {
    name: 'fetch: nothing answers for 10 s',
    said: [
      `fetch failed: Connect Timeout Error (attempted address: ${PEER}:PORT, timeout: 10000ms) UND_ERR_CONNECT_TIMEOUT`,
    ],
    wire: { profile: 'linux-node20' },
    settings: { tcp_syn_retries: 6 },
    async run(world, port) {
      world.peer(port);
      return fetched(world, port);
    },
  },
];

/** A server, and a raw client that is connected to it. */
async function dialled(
  world: TruthWorld,
  port: number,
  options: http.ServerOptions,
  handler: http.RequestListener = (_, response) => response.end('0123456789'),
): Promise<{ peer: RawPeer; server: http.Server; over: () => void }> {
  const server = world.createHttpServer(options, handler);
  await world.wait(new Promise<void>((resolve) => server.listen(port, HOST, resolve)));
  const peer = world.client(port);
  await world.wait(peer.dial(PEER, port, HOST, port));
  const over = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { peer, server, over };
}

const isOver = (peer: RawPeer): boolean => peer.flags.some((flags) => flags.includes('F'));

const STALLED: http.ServerOptions = { headersTimeout: 700, requestTimeout: 10_000, connectionsCheckingInterval: 500 };

export const serverTimerRows: readonly Row[] = [
  {
    name: 'http.Server: a head that stalls gets 408 after headersTimeout, when connections are next looked at',
    said: ['HTTP/1.1 408 Request Timeout|Connection: close|| 51 bytes', 'not before its time', 'FIN'],
    wire: { timers: 'global' },
    async run(world, port) {
      const began = world.now();
      const { peer, over } = await dialled(world, port, STALLED);
      peer.send('GET / HT');
      await world.wait(peer.until(() => isOver(peer)));
      const took = world.now() - began;
      over();
      return [
        `${peer.received.replace(/\r\n/g, '|')} ${peer.received.length} bytes`,
        took >= 690 ? 'not before its time' : `after ${took} ms`,
        'FIN',
      ];
    },
  },
  {
    name: 'http.Server: a head that stalls, and somebody listens',
    said: ['clientError Request timeout ERR_HTTP_REQUEST_TIMEOUT writable true'],
    wire: { timers: 'global' },
    async run(world, port) {
      const { peer, server, over } = await dialled(world, port, STALLED);
      const said: string[] = [];
      const come = new Promise<void>((resolve) => {
        server.on('clientError', (error: Error, socket) => {
          said.push(`clientError ${errorWords(error)} writable ${socket.writable}`);
          socket.destroy();
          resolve();
        });
      });
      peer.send('GET / HT');
      await world.wait(come);
      await world.sleep(60);
      over();
      return said;
    },
  },
  {
    name: 'http.Server: a listener for timeout keeps connections open beyond keepAliveTimeout',
    said: ['Keep-Alive: timeout=1', 'timeout', 'still open'],
    wire: { timers: 'global' },
    async run(world, port) {
      const { peer, server, over } = await dialled(world, port, {});
      server.keepAliveTimeout = 1000;
      const said: string[] = [];
      const come = new Promise<void>((resolve) => {
        server.on('timeout', () => {
          said.push('timeout');
          resolve();
        });
      });
      await world.sleep(60);
      peer.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      await world.wait(come);
      await world.sleep(500);
      said.unshift(/Keep-Alive: \S+/.exec(peer.received)?.[0] ?? 'no hint');
      said.push(isOver(peer) ? 'closed' : 'still open');
      over();
      return said;
    },
  },
];
