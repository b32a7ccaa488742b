import type http from 'node:http';
import type { Socket } from '../../net';
import { coalesce, fin, freeze, idle, inject, reboot, req, res, rst, stall } from '../index';
import { arrange } from '../race';
import type { Outcome, Pool, Scenario } from './scenario';

/** A plain server: ten bytes for everybody. */
export const plain: http.RequestListener = (_, response) => response.end('0123456789');
/** Agents would close a second before a Keep-Alive hint; this one gives none that is short. */
const patient = { keepAliveTimeout: 3_600_000 };

/** Failures of connections that are kept: a close or a reset meets the next request. */
export const keepAlive: readonly Scenario[] = [
  {
    id: 'keepalive-fin-crosses-request',
    number: 1,
    title: 'The server closes an idle connection while the client writes its next request',
    seen: ['nodejs/node#20256', 'nodejs/node#52649', 'nodejs/node#47130', 'golang/go#22158'],
    picture:
      'The idle timeout of the server ends in the very moment in which the client sends. S: FIN, into FIN-WAIT; at the same time C: request. The request meets a closed socket, which answers with RST.',
    node: 'The FIN is read first: the parser sees the end of input before any response, so the request fails with "socket hang up", code ECONNRESET, without errno and syscall; reusedSocket is true.',
    cope: 'Retry once on a new connection when the method is idempotent, the socket was reused and no byte of a response came. Close idle connections before the server does: agent timeout below its keepAliveTimeout.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET] (reused)'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      arrange(
        wire,
        wire
          .on(idle(500))
          .times(1)
          .do(fin({ to: 'c' })),
        req(2),
        'second',
      );
      await wire.clock.advance(600);
      await ask({ path: '/2' });
    },
  },
  {
    id: 'keepalive-fin-waits-busy-client',
    number: 2,
    title: 'A FIN waits in the kernel while the client is busy; then it writes',
    seen: ['nodejs/node#47130', 'nodejs/undici#3492'],
    picture:
      'C’s event loop is blocked. S: FIN, which C’s kernel acknowledges (CLOSE-WAIT). C writes its request before it polls; S: RST.',
    node: 'The write succeeds, then the FIN is read: "socket hang up", reusedSocket true. The time of the FIN was long before the request: no timer of the pool can help a loop that does not run.',
    cope: 'Retry as above. Look for what blocks the loop (perf_hooks.monitorEventLoopDelay).',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET] (reused)'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      wire.do(stall('client', 400));
      wire.clock.at(wire.clock.now() + 150, fin({ to: 'c' }));
      await wire.clock.advance(250);
      await ask({ path: '/2' });
    },
  },
  {
    id: 'keepalive-rst-waits-busy-client',
    number: 3,
    title: 'A RST waits while the client is busy; then it writes',
    seen: [],
    picture:
      'As before, but a firewall or a crash sends RST. The pending error is consumed by the first system call: C’s write.',
    node: '"write ECONNRESET", errno -104, syscall write, reusedSocket true.',
    cope: 'Treat read and write ECONNRESET alike when deciding about a retry.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: write ECONNRESET (reused)'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: write ECONNRESET'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      wire.do(stall('client', 400));
      wire.clock.at(wire.clock.now() + 150, rst({ to: 'c' }));
      await wire.clock.advance(250);
      await ask({ path: '/2' });
    },
  },
  {
    id: 'queued-request-inherits-dying-socket',
    number: 4,
    title: 'With maxSockets reached, a queued request gets a socket that is already closed',
    seen: ['nodejs/node#47130'],
    picture:
      'The last byte of response 1 and FIN come in one wake-up. The agent hands the socket to the request that waits, which writes in CLOSE-WAIT.',
    node: '"socket hang up" with reusedSocket false: the socket came straight from the queue, so "retry if reusedSocket" misses this one.',
    cope: 'Do not rely on reusedSocket alone: count the responses of a socket yourself, or retry idempotent requests without any response byte.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET] (not reused)', 'connections opened: 1'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      wire.on(res(1).end()).do(coalesce(), fin({ to: 'c' }));
      await Promise.all(['/1', '/2'].map((path) => ask({ path, queued: true })));
      say(`connections opened: ${wire.engine.conns.length}`);
    },
  },
  {
    id: 'frozen-runtime-dead-pool',
    number: 5,
    title: 'A suspended function wakes up with a pool of dead connections',
    seen: ['aws/aws-sdk-js-v3#1196', 'openhab/openhab-alexa#269'],
    picture:
      'An hour passes for the world, nothing for C. The server closed long ago, so FINs wait; or a box on the way has forgotten the flow and answers RST.',
    node: '"socket hang up" or "read ECONNRESET", reusedSocket true.',
    cope: 'Before first use after a pause, drop idle connections that are older than the server’s keep-alive time by the wall clock.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET] (reused)'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: other side closed [UND_ERR_SOCKET]'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, { keepAliveTimeout: 5000 });
      await ask({ path: '/1' });
      wire.do(freeze('client', 3_600_000));
      await ask({ path: '/2' });
    },
  },
  {
    id: 'retry-takes-next-stale-socket',
    number: 6,
    title: 'The retry takes the next stale connection of the pool',
    seen: ['aws/aws-sdk-js-v3#3905'],
    picture: 'Every pooled connection was reset while the client was busy. Each attempt takes another one of them.',
    node: 'As many ECONNRESET as there are pooled connections, before one attempt opens a new one.',
    cope: 'Let the retry open a fresh connection (agent: false, or clear the pool of the origin after the first reset).',
    expect: {
      http: [
        '3 requests: 200, 200, 200',
        'GET /4: write ECONNRESET (reused)',
        'GET /5: write ECONNRESET (reused)',
        'GET /6: write ECONNRESET (reused)',
      ],
      fetch: [
        '3 requests: 200, 200, 200',
        'GET /4: fetch failed: write ECONNRESET',
        'GET /5: fetch failed: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
        'GET /6: fetch failed: write ECONNRESET',
      ],
    },
    newer: {
      fetchReadsFirst: {
        fetch: [
          '3 requests: 200, 200, 200',
          'GET /4: fetch failed: write ECONNRESET',
          'GET /5: fetch failed: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
          'GET /6: fetch failed: read ECONNRESET',
        ],
      },
    },
    async play({ wire, serve, ask, client, say }) {
      await serve(plain, patient);
      const made = await wire.run(Promise.all(['/1', '/2', '/3'].map((path) => client.ask({ path }))));
      say(`3 requests: ${made.map(({ status }) => status).join(', ')}`);
      wire.do(stall('client', 60_000));
      wire.do(reboot('server'));
      await wire.clock.advance(100);
      for (const path of ['/4', '/5', '/6']) await ask({ path });
    },
  },
  {
    id: 'lb-idle-longer-than-server',
    number: 7,
    title: 'A load balancer keeps connections for 60 s, Node for 5 s: 502',
    seen: ['nodejs/node#27363', 'OpenCTI-Platform/opencti#17648', 'growthbook/growthbook-proxy#134'],
    picture:
      'S closes at keepAliveTimeout (and a second of grace). The balancer, here the client with a pool that keeps connections for 60 s, writes in that moment: FIN and request cross. A tenth of a second earlier it is answered, and later it knows that the connection is closed.',
    node: 'The server’s program sees nothing at all. http: "socket hang up"; fetch: "other side closed". A balancer tells its own client 502.',
    cope: 'Set server.keepAliveTimeout above the balancer’s idle time (65 s for 60 s), and headersTimeout above that.',
    // Long enough that every client has written before the FIN comes.
    wire: { rtt: 100 },
    expect: {
      http: [
        'GET /: 200, 10 bytes',
        'GET /at-5.9-s: 200, 10 bytes',
        'GET /: 200, 10 bytes',
        'GET /at-6-s: socket hang up [ECONNRESET] (reused)',
        'GET /: 200, 10 bytes',
        'GET /at-6.1-s: 200, 10 bytes',
      ],
      fetch: [
        'GET /: 200, 10 bytes',
        'GET /at-5.9-s: 200, 10 bytes',
        'GET /: 200, 10 bytes',
        'GET /at-6-s: fetch failed: other side closed [UND_ERR_SOCKET]',
        'GET /: 200, 10 bytes',
        'GET /at-6.1-s: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask, faulty }) {
      // A hint would make some clients close in time; a balancer has none.
      const handler: http.RequestListener = (_, response) => {
        response.setHeader('Keep-Alive', 'timeout=62');
        response.end('0123456789');
      };
      await serve(handler, { keepAliveTimeout: faulty ? 5000 : 65_000 });
      for (const at of [5.9, 6, 6.1]) {
        const pool: Pool = { idle: 60_000 };
        await ask({ path: '/', pool });
        const answered = wire.engine.exchanges.list.at(-1)!.conn.activeAt;
        // From when the server sent its response, by the server's clock.
        await wire.clock.advance(answered + at * 1000 - wire.clock.now());
        await ask({ path: `/at-${at}-s`, pool });
      }
    },
  },
  {
    id: 'headers-timeout-across-idle-gap',
    number: 8,
    title: 'headersTimeout counted across the idle gap between two requests',
    seen: ['nodejs/node#27363'],
    picture:
      'Old servers started the clock of a request’s headers with the last response: a request after a long gap was cut.',
    node: '"socket hang up", reusedSocket true, although keepAliveTimeout was not over. Fixed since: the same client asks a server of today below, which answers after any gap.',
    cope: 'Sweep idle gaps in a test of your own server: in virtual time that costs nothing.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: 200, 10 bytes',
        'GET /3: socket hang up [ECONNRESET] (reused)',
        'the server of today, after 70 s: 200',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: 200, 10 bytes',
        'GET /3: fetch failed: other side closed [UND_ERR_SOCKET]',
        'the server of today, after 70 s: 200',
      ],
    },
    async play({ wire, serve, ask, say, faulty, client }) {
      // The server of old: it looks at the clock of the last response when the next head is there.
      await wire.peer(async (peer) => {
        for (let answered = 0; (await peer.readUntil('\r\n\r\n')) !== null; answered = wire.clock.now()) {
          if (faulty && answered > 0 && wire.clock.now() - answered > 2000) return peer.end();
          peer.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789');
        }
      });
      for (const [path, gapMs] of [
        ['/1', 1500],
        ['/2', 2500],
        ['/3', 0],
      ] as const) {
        await ask({ path });
        await wire.clock.advance(gapMs);
      }
      await serve(plain, { port: 8080, keepAliveTimeout: 3_600_000, headersTimeout: 5000 });
      const get = (): Promise<Outcome> => wire.run(client.ask({ port: 8080, path: '/' }));
      await get();
      await wire.clock.advance(70_000);
      say(`the server of today, after 70 s: ${(await get()).status}`);
    },
  },
  {
    id: 'server-timer-beats-pending-request',
    number: 9,
    title: 'The server’s idle timer fires while the next request lies unread in its kernel',
    seen: ['nodejs/node#43456'],
    picture:
      'S’s loop is blocked past keepAliveTimeout. Timers run before polling: the socket is destroyed with unread bytes, so the kernel sends RST.',
    node: 'Server: socket timeout and close(false), no request event. Client: "read ECONNRESET", reusedSocket true.',
    cope: 'Server: keep the loop free; keepAliveTimeout far above the longest block. Client: such a request was not processed, but it cannot know that.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET (reused)', 'the handler ran for /2: 0 times'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: read ECONNRESET', 'the handler ran for /2: 0 times'],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve(
        (_, response) => {
          response.setHeader('Keep-Alive', 'timeout=60');
          response.end('0123456789');
        },
        { keepAliveTimeout: 1000 },
      );
      await ask({ path: '/1' });
      wire.on(req(2).line()).do(stall('server', 2500));
      await ask({ path: '/2' });
      say(`the handler ran for /2: ${origin.count('/2')} times`);
    },
  },
  {
    id: 'agent-ignores-keepalive-hint',
    number: 10,
    title: 'The agent keeps an idle connection past the server’s Keep-Alive hint',
    seen: ['nodejs/node#52653'],
    picture:
      'S says timeout=3, and closes a second later than that. An http.Agent that has no timeout of its own never looks at the hint; one that has closes a second before it; fetch and undici close two seconds before it, whatever they were told.',
    node: '`new Agent({ keepAlive: true })` without `timeout` keeps the socket; with `timeout: 60000` it closes at 2 s. fetch, with or without `keepAliveTimeout: 60000`, at 1 s.',
    cope: 'Give the agent a timeout: only then does it heed the hint.',
    expect: {
      http: ['told to keep it for 60 s: FIN of the client after 2.0 s', 'told nothing: FIN of the server after 4.0 s'],
      fetch: ['told to keep it for 60 s: FIN of the client after 1.0 s', 'told nothing: FIN of the client after 1.0 s'],
    },
    async play({ wire, serve, say, client, faulty }) {
      await serve(plain, { keepAliveTimeout: faulty ? 3000 : 3_600_000 });
      for (const [name, pool] of [
        ['told to keep it for 60 s', { idle: 60_000 }],
        ['told nothing', {}],
      ] as const satisfies readonly (readonly [string, Pool])[]) {
        await wire.run(client.ask({ pool }));
        const began = wire.clock.now();
        await wire.clock.advance(10_000);
        const closed = wire
          .trace()
          .delivered()
          .find((entry) => entry.at > began && entry.flags.includes('F'));
        const seconds = (((closed?.at ?? 0) - began) / 1000).toFixed(1);
        say(
          `${name}: ${closed === undefined ? 'nobody closes' : `FIN of the ${closed.dir === 'c2s' ? 'client' : 'server'} after ${seconds} s`}`,
        );
      }
    },
  },
  {
    id: 'pool-timer-kills-assigned-socket',
    number: 11,
    title: 'The pool’s idle timer closes a socket that was just handed to a request',
    seen: ['node-modules/agentkeepalive#23', 'nodejs/package-maintenance#187'],
    picture: 'C’s own FIN or RST goes out with a request in flight.',
    node: 'http: "socket hang up"; fetch: "closed". Caused at home: no segment of the server ended it. The wire shows who did. The pools of http and fetch stop their timers; here a program closes the sockets of its pool.',
    cope: 'A pool stops its timer before it hands a socket out. Test at T-1 ms, T and T+1 ms of the timer.',
    wire: { rtt: 100 },
    expect: {
      http: [
        'request at 960 ms: socket hang up [ECONNRESET], the FIN is of the client',
        'request at 1010 ms: 200',
        'with a timer that looks first, at 960 ms: 200',
      ],
      fetch: [
        'request at 960 ms: fetch failed: closed [UND_ERR_SOCKET], the FIN is of the client',
        'request at 1010 ms: 200',
        'with a timer that looks first, at 960 ms: 200',
      ],
    },
    async play({ wire, serve, say, client, faulty }) {
      await serve(plain, patient);
      for (const [name, ms, forgetful] of [
        ['request at 960 ms', 960, faulty],
        ['request at 1010 ms', 1010, faulty],
        ['with a timer that looks first, at 960 ms', 960, false],
      ] as const) {
        const sockets: Socket[] = [];
        const pool: Pool = { onSocket: (socket) => void sockets.push(socket) };
        await wire.run(client.ask({ path: '/', pool }));
        const [socket] = sockets;
        const written = socket!.bytesWritten;
        wire.clock.at(wire.clock.now() + 1000, () => {
          if (forgetful || socket!.bytesWritten === written) socket!.destroy();
        });
        await wire.clock.advance(ms);
        const before = wire.trace().entries.length;
        const { status, error } = await wire.run(client.ask({ path: '/', pool }));
        await wire.clock.advance(100);
        const closed = wire
          .trace()
          .entries.slice(before)
          .find(({ kind, flags }) => kind === 'sent' && flags.includes('F'));
        const who = closed === undefined ? '' : `, the FIN is of the ${closed.dir === 'c2s' ? 'client' : 'server'}`;
        say(`${name}: ${error === null ? status : `${error}${who}`}`);
      }
    },
  },
  {
    id: 'graceful-shutdown-closes-idle',
    number: 12,
    title: 'A server that shuts down gracefully closes idle connections',
    seen: ['gajus/http-terminator#22', 'gajus/http-terminator#48', 'nodejs/undici#3492'],
    picture: 'server.close(): FIN on every idle connection. A request that is on its way meets a closed socket: RST.',
    node: 'As keepalive-fin-crosses-request. Before it closes, a server should answer with Connection: close for a while.',
    cope: 'Server: first stop being announced, then answer with Connection: close, then close. Client: retry.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: socket hang up [ECONNRESET] (reused)',
        'the handler ran for /2: 0 times',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: other side closed [UND_ERR_SOCKET]',
        'the handler ran for /2: 0 times',
      ],
    },
    async play({ wire, serve, ask, say, faulty }) {
      const origin = await serve(plain, patient);
      await ask({ path: '/1' });
      await wire.clock.settle();
      if (faulty) wire.clock.at(wire.clock.now() + 5, () => origin.server.closeIdleConnections());
      await ask({ path: '/2' });
      say(`the handler ran for /2: ${origin.count('/2')} times`);
    },
  },
  {
    id: 'proxy-upstream-reset-before-headers',
    number: 22,
    title: 'A proxy’s upstream resets before headers (Envoy: 503 UC)',
    seen: ['envoyproxy/envoy#1979', 'envoyproxy/envoy#14981', 'istio/istio#55138'],
    picture: 'keepalive-fin-crosses-request, with a proxy as the client: it must answer for it.',
    node: 'A proxy on Node sees "socket hang up" and answers 502 unless it retries once on a fresh connection.',
    cope: 'Proxies retry idempotent requests once when a reused connection ended before a response byte.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: socket hang up [ECONNRESET] (reused)', 'GET /2: 200, 10 bytes'],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: other side closed [UND_ERR_SOCKET]',
        'GET /2: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      arrange(
        wire,
        wire
          .on(idle(500))
          .times(1)
          .do(fin({ to: 'c' })),
        req(2),
        'second',
      );
      await wire.clock.advance(600);
      await ask({ path: '/2' });
      await ask({ path: '/2', fresh: true });
    },
  },
  {
    id: 'nginx-104-from-node-upstream',
    number: 23,
    title: 'nginx says "104: Connection reset by peer" of a Node upstream',
    seen: ['kubernetes/ingress-nginx#11244', 'kubernetes/ingress-nginx#3099'],
    picture: 'The same race with nginx as the client: RST in answer to its request.',
    node: 'Here the client plays nginx: "read ECONNRESET".',
    cope: 'keepalive_timeout of the upstream block below server.keepAliveTimeout; proxy_next_upstream for idempotent requests.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET (reused)'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: read ECONNRESET'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      wire.on(req(2).end()).do(rst({ to: 'c' }));
      await ask({ path: '/2' });
    },
  },
  {
    id: 'reset-or-eof-lottery',
    number: 36,
    title: 'ECONNRESET or end of file: which one a test sees is a matter of microseconds',
    seen: ['elastic/kibana#162947', 'Mygod/slipstream-rust#86', 'connectrpc/connect-es#1780'],
    picture: 'The peer closes while the client writes: FIN then RST, read together or apart.',
    node: 'FIN read first: "socket hang up". RST alone: "read ECONNRESET". RST before the write: "write ECONNRESET".',
    cope: 'Assert the family of errors, or fix the order, as here.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /fin: socket hang up [ECONNRESET] (reused)',
        'GET /2: 200, 10 bytes',
        'GET /rst: read ECONNRESET (reused)',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /fin: fetch failed: other side closed [UND_ERR_SOCKET]',
        'GET /2: 200, 10 bytes',
        'GET /rst: fetch failed: read ECONNRESET',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      wire.on(req(2).end()).do(fin({ to: 'c' }));
      wire.on(req(4).end()).do(rst({ to: 'c' }));
      for (const path of ['/1', '/fin', '/2', '/rst']) await ask({ path });
    },
  },
  {
    id: 'unsolicited-response-on-idle-socket',
    number: 46,
    title: 'A response that nobody asked for comes on an idle connection',
    seen: ['oven-sh/bun#42128', 'nodejs/undici#5400', 'aio-libs/aiohttp#13656'],
    picture: 'S (or an attacker in front of it) sends a second response while the pool holds the connection.',
    node: 'With a free loop the bytes are discarded. With a loop that is blocked they are read after the next request was written: they become its response.',
    cope: 'A pool that gets bytes on an idle connection closes it; better still, it looks before it writes.',
    expect: {
      http: ['GET /a: 200, 10 bytes', 'GET /b: 200, 10 bytes', 'GET /c: 408, 0 bytes'],
      fetch: ['GET /a: 200, 10 bytes', 'GET /b: 200, 10 bytes', 'GET /c: 408, 0 bytes'],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      const stale = inject('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n', { as: 's2c' });
      await ask({ path: '/a' });
      wire.do(stale);
      await wire.clock.advance(1000);
      await ask({ path: '/b' });
      wire.do(stall('client', 400));
      wire.do(stale);
      await wire.clock.advance(100);
      await ask({ path: '/c' });
    },
  },
  {
    id: 'transparent-retry-of-other-runtimes',
    number: 49,
    title: 'Other runtimes retry by themselves where Node reports',
    seen: ['denoland/deno#31932', 'denoland/deno#34370'],
    picture: 'keepalive-fin-crosses-request; then a new SYN, if the client tries again.',
    node: 'Neither http nor fetch retries: the second connection is there only if the program asks again.',
    cope: 'Know what your client does: count SYNs.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'GET /2: read ECONNRESET (reused)', 'connections opened: 1'],
      fetch: ['GET /1: 200, 10 bytes', 'GET /2: fetch failed: read ECONNRESET', 'connections opened: 1'],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      wire
        .on(req(2).end())
        .times(1)
        .do(rst({ to: 'c' }));
      await ask({ path: '/2' });
      await wire.clock.advance(1000);
      say(`connections opened: ${wire.engine.conns.length}`);
    },
  },
  {
    id: 'peer-rebooted-half-open',
    number: 50,
    title: 'The peer was rebooted and knows nothing of the connection',
    seen: ['moby/moby#34867', 'sidorares/node-mysql2#897'],
    picture:
      'S has lost its state. The next thing that C sends (a keep-alive probe, a second later) is answered by RST.',
    node: '"read ECONNRESET" on the idle socket; http.Agent drops it and nobody sees an error but who listens on the socket. fetch probes after a minute only: its next request meets the reset.',
    cope: 'Enable TCP keep-alive on connections of your own; listen for error while idle.',
    expect: {
      http: ['GET /1: 200, 10 bytes', 'socket: read ECONNRESET', 'GET /2: 200, 10 bytes', 'connections opened: 2'],
      fetch: [
        'GET /1: 200, 10 bytes',
        'socket: read ECONNRESET',
        'GET /2: fetch failed: read ECONNRESET',
        'connections opened: 1',
      ],
    },
    newer: { guardedPool: { http: ['GET /1: 200, 10 bytes', 'GET /2: 200, 10 bytes', 'connections opened: 2'] } },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      const pool: Pool = {
        onSocket: (socket) => void socket.on('error', ({ message }: Error) => say(`socket: ${message}`)),
      };
      await ask({ path: '/1', pool });
      await wire.clock.advance(100);
      wire.do(reboot('server'));
      await wire.clock.advance(5000);
      await ask({ path: '/2', pool });
      say(`connections opened: ${wire.engine.conns.length}`);
    },
  },
];
