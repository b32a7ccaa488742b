/** Fault catalogue §3: how the order of arrival changes what http.request and fetch report. */
import type { RawPeer } from './raw-peer';
import { asked, differing, fetched, LENGTH, listen, type Row, settled, type TruthWorld, UNTIL_CLOSE } from './world';

type Script = (peer: RawPeer, world: TruthWorld) => Promise<void> | void;

/** A GET on a fresh connection, and what the peer does when it has come. */
const get = (name: string, said: readonly string[], answer: Script, kernel?: Row['kernel']): Row => ({
  name: `http.request: ${name}`,
  said,
  kernel,
  async run(world, port) {
    const peer = world.peer(port);
    const outcome = asked(world, port);
    await world.wait(peer.accept().then(() => peer.request()));
    await answer(peer, world);
    return outcome;
  },
});

const fetching = (
  name: string,
  said: readonly string[],
  answer: Script,
  init: RequestInit = {},
  kernel?: Row['kernel'],
): Row => ({
  name: `fetch: ${name}`,
  said,
  kernel,
  async run(world, port) {
    const peer = world.peer(port);
    const outcome = fetched(world, port, init);
    await world.wait(peer.accept().then(() => peer.request()));
    await answer(peer, world);
    return outcome;
  },
});

const together =
  (text: string, end: 'fin' | 'rst'): Script =>
  (peer) => {
    peer.send(text);
    peer[end]();
  };
const apart =
  (text: string, end: 'fin' | 'rst'): Script =>
  async (peer, world) => {
    peer.send(text);
    await settled(world, peer);
    peer[end]();
  };

const HANG_UP = [
  'req.error(ECONNRESET: socket hang up)',
  'sock.end',
  'req.close',
  'sock.close(false)',
  'socket hang up ECONNRESET reused false',
];
const RESET = [
  'req.error(read ECONNRESET)',
  'sock.error(read ECONNRESET)',
  'req.close',
  'sock.close(true)',
  'read ECONNRESET -104 read reused false',
];
const ABORTED = [
  'req.response(200)',
  'sock.end',
  'res.aborted',
  'req.close',
  'sock.close(false)',
  'res.error(ECONNRESET: aborted)',
  'res.close',
  'aborted ECONNRESET reused false',
];
const CUT_BY_RESET = [
  'req.response(200)',
  'req.error(read ECONNRESET)',
  'sock.error(read ECONNRESET)',
  'res.aborted',
  'req.close',
  'sock.close(true)',
  'res.error(ECONNRESET: aborted)',
  'res.close',
  'read ECONNRESET -104 read reused false',
];
const LAST_CUT_BY_RESET = [
  'req.response(200)',
  'req.error(read ECONNRESET)',
  'sock.error(read ECONNRESET)',
  'res.end',
  'res.close',
  'req.close',
  'sock.close(true)',
  'read ECONNRESET -104 read reused false',
];
const HEAD = 'HTTP/1.1 200 OK\r\nCont';

export const requestRows: readonly Row[] = [
  get('nothing, FIN', HANG_UP, (peer) => peer.fin()),
  get('nothing, RST', RESET, (peer) => peer.rst()),
  get('part of the head, FIN', HANG_UP, apart(HEAD, 'fin')),
  get('part of the head, RST apart', RESET, apart(HEAD, 'rst')),
  differing(get('part of the head, RST together', HANG_UP, together(HEAD, 'rst')), { resetBehindText: RESET }),
  get('part of a Content-Length body, FIN', ABORTED, apart(`${LENGTH}0123`, 'fin')),
  get('part of a Content-Length body, FIN together', ABORTED, together(`${LENGTH}0123`, 'fin')),
  get('part of a Content-Length body, RST apart', CUT_BY_RESET, apart(`${LENGTH}0123`, 'rst')),
  differing(get('part of a Content-Length body, RST together', ABORTED, together(`${LENGTH}0123`, 'rst')), {
    resetBehindText: CUT_BY_RESET,
  }),
  get(
    'until close, cut by FIN',
    [
      'req.response(200)',
      'sock.end',
      'res.end',
      'res.close',
      'req.close',
      'sock.close(false)',
      'success 0123 complete true',
    ],
    apart(`${UNTIL_CLOSE}0123`, 'fin'),
  ),
  get('until close, cut by RST apart', LAST_CUT_BY_RESET, apart(`${UNTIL_CLOSE}0123`, 'rst')),
  differing(
    get(
      'until close, cut by RST together: success, no error',
      [
        'req.response(200)',
        'sock.end',
        'res.end',
        'res.close',
        'req.close',
        'sock.close(false)',
        'success 0123 complete true',
      ],
      together(`${UNTIL_CLOSE}0123`, 'rst'),
    ),
    { resetBehindText: LAST_CUT_BY_RESET },
  ),
  get(
    'no HTTP at all',
    [
      'req.error(HPE_INVALID_CONSTANT: Parse Error: Expected HTTP/, RTSP/ or ICE/)',
      'req.close',
      'sock.close(false)',
      'Parse Error: Expected HTTP/, RTSP/ or ICE/ HPE_INVALID_CONSTANT reused false',
    ],
    (peer) => peer.send('SSH-2.0-OpenSSH\r\n'),
  ),
  get(
    'bytes behind the response, in its segment',
    [
      'req.response(200)',
      'req.error(HPE_INVALID_CONSTANT: Parse Error: Expected HTTP/, RTSP/ or ICE/)',
      'res.end',
      'req.close',
      'res.close',
      'sock.close(false)',
      'Parse Error: Expected HTTP/, RTSP/ or ICE/ HPE_INVALID_CONSTANT reused false',
    ],
    (peer) => peer.send(`${LENGTH}0123456789junk`),
  ),
];

/** Two requests on one connection, the second in the queue of an agent with one socket. */
const queued = (name: string, second: string, end: 'fin' | 'rst'): Row => ({
  name: `http.request: complete, ${name}, and a request in the queue of maxSockets 1`,
  said: ['success 0123456789 complete true', second],
  async run(world, port) {
    const peer = world.peer(port);
    const agent = world.agent({ keepAlive: true, maxSockets: 1 });
    const both = Promise.all([asked(world, port, { agent }), asked(world, port, { agent })]);
    await world.wait(peer.accept().then(() => peer.request()));
    peer.send(`${LENGTH}0123456789`);
    peer[end]();
    const said = await world.wait(both);
    agent.destroy();
    return said.map((events) => events.at(-1)!);
  },
});

/** A second request on a kept connection. */
const second = (
  name: string,
  said: string,
  play: (peer: RawPeer, world: TruthWorld, ask: () => Promise<string[]>) => Promise<string[]>,
): Row => ({
  name: `http.request: kept connection, ${name}`,
  said: ['success 0123456789 complete true', said],
  async run(world, port) {
    const peer = world.peer(port);
    const agent = world.agent({ keepAlive: true });
    const ask = (): Promise<string[]> => asked(world, port, { agent });
    const first = ask();
    await world.wait(peer.accept().then(() => peer.request()));
    peer.send(`${LENGTH}0123456789`);
    const one = await first;
    await world.sleep(100);
    const two = await play(peer, world, ask);
    agent.destroy();
    return [one.at(-1)!, two.at(-1)!];
  },
});

const droppedWith = (events: readonly string[]): string[] => [
  'success 0123456789 complete true',
  ...events,
  'free sockets 0',
  'SYNs 2',
  'success 0123456789 complete true',
];
const IDLE_DESTROYED = droppedWith(['close(false)']);

/** A kept connection that ends while nobody uses it, and what comes next. */
const idleEnd = (end: 'fin' | 'rst', events: readonly string[]): Row => ({
  name: `http.request: kept connection, ${end.toUpperCase()} while idle: the pool drops it, the next request opens another`,
  said: droppedWith(events),
  async run(world, port) {
    const peer = world.peer(port);
    const agent = world.agent({ keepAlive: true });
    const told: string[] = [];
    agent.on('free', (socket: import('node:net').Socket) => listen(socket, told));
    const first = asked(world, port, { agent });
    await world.wait(peer.accept().then(() => peer.request()));
    peer.send(`${LENGTH}0123456789`);
    const one = await first;
    await world.sleep(100);
    peer[end]();
    await world.sleep(200);
    const free = Object.values(agent.freeSockets).flat().length;
    // Another connection, to another peer on the same port.
    const other = world.peer(port);
    const again = asked(world, port, { agent });
    await world.wait(other.accept().then(() => other.request()));
    other.send(`${LENGTH}0123456789`);
    const two = await again;
    agent.destroy();
    return [one.at(-1)!, ...told, `free sockets ${free}`, `SYNs ${1 + other.count('S')}`, two.at(-1)!];
  },
});

/** A response that nobody asked for on a kept connection that nobody uses. */
const unsolicited: Row = {
  name: 'http.request: kept connection, an unsolicited response while idle is discarded',
  said: ['success 0123456789 complete true', 'success 0123456789 complete true', 'on the same connection'],
  async run(world, port) {
    const peer = world.peer(port);
    const agent = world.agent({ keepAlive: true });
    const first = asked(world, port, { agent });
    await world.wait(peer.accept().then(() => peer.request()));
    peer.send(`${LENGTH}0123456789`);
    const one = await first;
    await world.sleep(100);
    peer.send('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n');
    await world.sleep(100);
    const over = peer.flags.some((flags) => /[FR]/.test(flags));
    const other = over ? world.peer(port) : peer;
    const second = asked(world, port, { agent });
    await world.wait(over ? other.accept().then(() => other.request()) : peer.request(2));
    other.send(`${LENGTH}0123456789`);
    const two = await second;
    agent.destroy();
    return [one.at(-1)!, two.at(-1)!, `on ${over ? 'another' : 'the same'} connection`];
  },
};

export const keepAliveRows: readonly Row[] = [
  differing(idleEnd('rst', ['error(read ECONNRESET -104 read)', 'close(true)']), { guardedPool: IDLE_DESTROYED }),
  differing(idleEnd('fin', ['end', 'close(false)']), { guardedPool: IDLE_DESTROYED }),
  queued('FIN together', 'socket hang up ECONNRESET reused false', 'fin'),
  queued('RST together', 'write ECONNRESET -104 write reused false', 'rst'),
  second('RST in answer to request 2', 'read ECONNRESET -104 read reused true', async (peer, world, ask) => {
    const said = ask();
    await world.wait(peer.request(2));
    peer.rst();
    return said;
  }),
  second('FIN in answer to request 2', 'socket hang up ECONNRESET reused true', async (peer, world, ask) => {
    const said = ask();
    await world.wait(peer.request(2));
    peer.fin();
    return said;
  }),
  second('FIN unread when request 2 is written', 'socket hang up ECONNRESET reused true', async (peer, world, ask) => {
    await world.unseen(() => peer.fin());
    return ask();
  }),
  second(
    'RST unread when request 2 is written',
    'write ECONNRESET -104 write reused true',
    async (peer, world, ask) => {
      await world.unseen(() => peer.rst());
      return ask();
    },
  ),
  differing(unsolicited, { guardedPool: [...unsolicited.said.slice(0, 2), 'on another connection'] }),
  second(
    'an unsolicited response unread when request 2 is written becomes its response',
    'success stale complete true',
    async (peer, world, ask) => {
      await world.unseen(() => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale'));
      return ask();
    },
  ),
];

/** An upload that is not done when the server has answered. */
const uploading = (name: string, said: readonly string[], answer: Script): Row => ({
  name: `http.request: an upload that goes on, ${name}`,
  said,
  async run(world, port) {
    const peer = world.peer(port);
    // More in one write than the kernel takes: it is under way when the answer comes.
    const onRequest = (made: { write(body: Buffer): void }): void => made.write(Buffer.alloc(20_000_000));
    const outcome = asked(world, port, { method: 'POST', headers: { 'Content-Length': 20_000_000 }, onRequest });
    await world.wait(peer.accept().then(() => peer.request()));
    peer.mute();
    await world.sleep(60);
    await answer(peer, world);
    return outcome;
  },
});

const TOO_LARGE = 'HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno';

export const uploadRows: readonly Row[] = [
  differing(
    uploading(
      '413 and FIN',
      [
        'req.response(413)',
        'res.end',
        'res.close',
        'sock.end',
        'req.close',
        'sock.error(write ETIMEDOUT)',
        'sock.close(true)',
        'success no complete true',
      ],
      (peer) => {
        peer.fin(TOO_LARGE);
      },
    ),
    {
      node24: [
        'req.response(413)',
        'res.end',
        'res.close',
        'sock.end',
        'req.error(write ETIMEDOUT)',
        'sock.error(write ETIMEDOUT)',
        'req.close',
        'sock.close(true)',
        'write ETIMEDOUT -110 write reused false',
      ],
    },
  ),
  differing(
    uploading(
      '413, FIN, and RST later',
      [
        'req.response(413)',
        'res.end',
        'res.close',
        'sock.end',
        'req.close',
        'sock.error(write EPIPE)',
        'sock.close(true)',
        'success no complete true',
      ],
      async (peer, world) => {
        peer.fin(TOO_LARGE);
        await settled(world, peer);
        peer.rst();
      },
    ),
    {
      node24: [
        'req.response(413)',
        'res.end',
        'res.close',
        'sock.end',
        'req.error(write EPIPE)',
        'sock.error(write EPIPE)',
        'req.close',
        'sock.close(true)',
        'write EPIPE -32 write reused false',
      ],
    },
  ),
  differing(
    uploading(
      '413 and RST together',
      [
        'req.response(413)',
        'res.end',
        'res.close',
        'sock.end',
        'req.close',
        'sock.error(write ECONNRESET)',
        'sock.close(true)',
        'success no complete true',
      ],
      together(TOO_LARGE, 'rst'),
    ),
    {
      resetBehindText: [
        'req.response(413)',
        'res.end',
        'res.close',
        'req.error(write ECONNRESET)',
        'sock.error(write ECONNRESET)',
        'req.close',
        'sock.close(true)',
        'write ECONNRESET -104 write reused false',
      ],
    },
  ),
  uploading(
    '413, and RST later',
    [
      'req.response(413)',
      'res.end',
      'res.close',
      'req.error(read ECONNRESET)',
      'sock.error(read ECONNRESET)',
      'req.close',
      'sock.close(true)',
      'read ECONNRESET -104 read reused false',
    ],
    apart(TOO_LARGE, 'rst'),
  ),
  uploading(
    'RST unanswered',
    [
      'req.error(read ECONNRESET)',
      'sock.error(read ECONNRESET)',
      'req.close',
      'sock.close(true)',
      'read ECONNRESET -104 read reused false',
    ],
    (peer) => peer.rst(),
  ),
  ...(['FIN, and RST later', 'RST together', 'RST later'] as const).map(
    (how): Row =>
      fetching(
        `an upload that goes on, 413 and ${how}`,
        ['status 413', 'body no'],
        async (peer, world) => {
          peer.mute();
          await world.sleep(60);
          if (how === 'RST together') return together(TOO_LARGE, 'rst')(peer, world);
          if (how === 'RST later') return apart(TOO_LARGE, 'rst')(peer, world);
          peer.fin(TOO_LARGE);
          await settled(world, peer);
          peer.rst();
        },
        { method: 'POST', body: Buffer.alloc(20_000_000) },
      ),
  ),
  {
    name: 'http.request: the timeout option, and nothing comes',
    said: [
      'req.timeout',
      'req.error(ECONNRESET: socket hang up)',
      'req.close',
      'sock.close(false)',
      'socket hang up ECONNRESET reused false',
    ],
    async run(world, port) {
      const peer = world.peer(port);
      const outcome = asked(world, port, { timeout: 500 });
      await world.wait(peer.accept());
      return outcome;
    },
  },
];

export const fetchRows: readonly Row[] = [
  {
    name: 'fetch: connection refused',
    said: ['fetch failed: connect ECONNREFUSED 10.0.0.2:PORT -111 connect 10.0.0.2 PORT'],
    async run(world, port) {
      const peer = world.peer(port);
      const outcome = fetched(world, port);
      await world.wait(peer.syn());
      peer.refuse();
      return outcome;
    },
  },
  fetching('nothing, FIN', ['fetch failed: other side closed UND_ERR_SOCKET'], (peer) => peer.fin()),
  fetching('nothing, RST', ['fetch failed: read ECONNRESET -104 read'], (peer) => peer.rst()),
  fetching(
    'Content-Length body cut by FIN',
    ['status 200', 'terminated: other side closed UND_ERR_SOCKET'],
    apart(`${LENGTH}0123`, 'fin'),
  ),
  fetching(
    'Content-Length body cut by RST apart',
    ['status 200', 'terminated: read ECONNRESET -104 read'],
    apart(`${LENGTH}0123`, 'rst'),
  ),
  differing(
    fetching(
      'Content-Length body cut by RST together',
      ['status 200', 'terminated: other side closed UND_ERR_SOCKET'],
      together(`${LENGTH}0123`, 'rst'),
    ),
    { resetBehindText: ['status 200', 'terminated: read ECONNRESET -104 read'] },
  ),
  fetching('until close, cut by FIN: success', ['status 200', 'body 0123'], apart(`${UNTIL_CLOSE}0123`, 'fin')),
  fetching('until close, cut by RST apart: success', ['status 200', 'body 0123'], apart(`${UNTIL_CLOSE}0123`, 'rst')),
  fetching(
    'until close, cut by RST together: success',
    ['status 200', 'body 0123'],
    together(`${UNTIL_CLOSE}0123`, 'rst'),
  ),
];
