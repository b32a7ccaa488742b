import { ack, blackhole, coalesce, delay, down, drop, fin, req, rst, stall, syn, synAck, tlsRecord } from '../index';
import { plain } from './keepalive';
import { nextOf, type Pool, type Scenario, type Stage, type StageWire } from './scenario';

const patient = { keepAliveTimeout: 3_600_000 };

/** Failures of opening connections, and of what lies between the hosts. */
export const paths: readonly Scenario[] = [
  {
    id: 'pod-dies-before-endpoints-update',
    number: 13,
    title: 'A pod is gone before the others know',
    seen: ['taskcluster/taskcluster#6716', 'kubernetes/kubernetes#38456', 'daichirata/gcsproxy#62'],
    picture: 'Connections that exist are answered by RST; new ones, too, while the address still routes there.',
    node: '"read ECONNRESET" on the open connection, "connect ECONNREFUSED" on new ones.',
    cope: 'Server: keep listening for some seconds after SIGTERM (preStop sleep). Client: retry ECONNREFUSED, it was never processed.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: read ECONNRESET (reused)',
        'GET /3: connect ECONNREFUSED 10.0.0.2:80 (not reused)',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: read ECONNRESET',
        'GET /3: fetch failed: connect ECONNREFUSED 10.0.0.2:80',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      await wire.clock.settle();
      wire.do(down('server', 'rst'));
      await ask({ path: '/2' });
      await ask({ path: '/3' });
    },
  },
  {
    id: 'listener-closed-with-unaccepted',
    number: 14,
    title: 'A listener closes with connections that it never accepted',
    seen: [],
    picture:
      'The kernel shook hands and acknowledged the request; the program never saw it; closing the listener sends RST.',
    node: 'The client is connected, has written, and reads ECONNRESET.',
    cope: 'A reset without a response byte may or may not have been processed: here it was not.',
    expect: {
      http: ['GET /: read ECONNRESET (not reused)', 'requests handled: 0'],
      fetch: ['GET /: fetch failed: read ECONNRESET', 'requests handled: 0'],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve(plain);
      wire.do(stall('server', 2000));
      wire.clock.at(500, () => origin.close());
      await ask();
      say(`requests handled: ${origin.handled.length}`);
    },
  },
  {
    id: 'conntrack-invalid-host-answers-rst',
    number: 15,
    title: 'conntrack calls a late segment INVALID; the host answers it with a reset',
    seen: ['kubernetes/kubernetes#74839', 'kubernetes/kubernetes#117924', 'moby/libnetwork#2275'],
    picture:
      'A segment of S is passed on without address translation. C’s host knows no such connection and resets S; C goes on waiting.',
    node: 'Server: clientError "read ECONNRESET". Client: hangs until its own timeout, then "socket hang up"; with the keep-alive probes of an agent it meets the reset of a server that knows nothing any more, after a second.',
    cope: 'net.netfilter.nf_conntrack_tcp_be_liberal=1, or drop INVALID. Clients: always a timeout.',
    expect: {
      http: ['GET /: socket hang up [ECONNRESET] (not reused)', 'server: read ECONNRESET'],
      fetch: ['GET /: the client gave up', 'server: read ECONNRESET'],
    },
    async play({ wire, serve, ask, say }) {
      const origin = await serve((_, response) => {
        // The request has been acknowledged by then.
        void wire.clock.sleep(100).then(() => response.write('x'));
      });
      wire.on({ dir: 's2c', len: [1, 65_535], nth: 1 }).do(drop(), rst({ to: 's' }));
      origin.server.on('clientError', () => {});
      await ask({ timeout: 10_000, fresh: true });
      say(`server: ${origin.clientErrors[0]?.message ?? 'nothing'}`);
    },
  },
  {
    id: 'conntrack-table-full',
    number: 16,
    title: 'The connection table of a node is full: new SYNs vanish',
    seen: ['kubernetes/kubernetes#18604'],
    picture: 'Connections that exist work. A SYN beyond the table is lost, again and again.',
    node: '"connect ETIMEDOUT" when the kernel has sent its last SYN: more than two minutes.',
    cope: 'A connect timeout of your own; keep-alive, so that few connections are opened.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /new: connect ETIMEDOUT 10.0.0.2:80 (not reused)',
        'given up after 127 s',
        'GET /2: 200, 10 bytes',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /new: fetch failed: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
        'given up after 10 s',
        'GET /2: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      wire.middlebox({ ports: 1, label: 'conntrack' });
      await ask({ path: '/1' });
      say(await refused(wire, ask));
      await ask({ path: '/2' });
    },
  },
  {
    id: 'ipvs-forgets-after-900s',
    number: 17,
    title: 'IPVS forgets a connection after 900 s and drops what comes for it',
    seen: ['moby/moby#31208', 'moby/moby#37822'],
    picture: 'The next request is retransmitted into the void; nobody answers.',
    node: 'http: nothing, until the program’s timeout, or "read ETIMEDOUT" after a quarter of an hour. fetch: UND_ERR_HEADERS_TIMEOUT after five minutes. With the probes that the clients send unless they are told not to, the box does not forget.',
    cope: 'TCP keep-alive below 900 s (http.Agent probes every second, fetch every minute; sockets of your own do not unless asked).',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: read ETIMEDOUT (reused)',
        'told after 945 s',
        'GET /3: 200, 10 bytes',
        'GET /4: 200, 10 bytes',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: Headers Timeout Error [UND_ERR_HEADERS_TIMEOUT]',
        'told after 300 s',
        'GET /3: 200, 10 bytes',
        'GET /4: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      wire.middlebox({ idle: 900_000, expired: 'blackhole', label: 'ipvs' });
      await forgotten(wire, 1_000_000, ask, say);
    },
  },
  {
    id: 'nat-gateway-resets-after-350s',
    number: 18,
    title: 'A NAT gateway or network load balancer answers RST after 350 s of silence',
    seen: ['encode/httpx#2975', 'istio/istio#36499', 'kubernetes/ingress-nginx#5695'],
    picture: 'C’s next segment is answered by a reset of the box. S is never told and keeps a half-open connection.',
    node: '"read ECONNRESET" at once; the server leaks a socket until its own timeout. Not with the probes that http.Agent sends each second and fetch each minute.',
    cope: 'Keep-alive probes below 350 s, or an agent timeout below it. Servers: an idle timeout.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: read ECONNRESET (reused)',
        'told after 0 s',
        'GET /3: 200, 10 bytes',
        'GET /4: 200, 10 bytes',
        'server side: ESTABLISHED',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: read ECONNRESET',
        'told after 0 s',
        'GET /3: 200, 10 bytes',
        'GET /4: 200, 10 bytes',
        'server side: ESTABLISHED',
      ],
    },
    async play({ wire, serve, ask, say }) {
      await serve(plain, patient);
      wire.middlebox({ idle: 350_000, expired: 'rst-sender', label: 'nat gateway' });
      await forgotten(wire, 400_000, ask, say);
      say(`server side: ${wire.engine.conns[0]!.stateOf('s', wire.clock.now())}`);
    },
  },
  {
    id: 'silent-nat-drop-no-timeout',
    number: 19,
    title: 'Silence from the second request on, and a client without a timeout',
    seen: ['golang/go#30702', 'nodejs/undici#5396'],
    picture: 'C: request, retransmitted after 0.2, 0.4, 0.8 s …; nothing comes back.',
    node: 'http: no event for about a quarter of an hour, then "read ETIMEDOUT". fetch: UND_ERR_HEADERS_TIMEOUT after its five minutes.',
    cope: 'Every request has a timeout.',
    expect: {
      http: [
        'GET /1: 200, 10 bytes',
        'GET /2: read ETIMEDOUT (reused)',
        'GET /3: socket hang up [ECONNRESET] (not reused)',
      ],
      fetch: [
        'GET /1: 200, 10 bytes',
        'GET /2: fetch failed: Headers Timeout Error [UND_ERR_HEADERS_TIMEOUT]',
        'GET /3: the client gave up',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain, patient);
      await ask({ path: '/1' });
      wire.on(req(2)).do(blackhole('c2s'));
      await ask({ path: '/2' });
      wire.on(req(nextOf(wire))).do(blackhole('c2s'));
      await ask({ path: '/3', timeout: 5000 });
    },
  },
  {
    id: 'snat-port-exhaustion',
    number: 20,
    title: 'The NAT has no port left',
    seen: ['microsoft/azure-container-apps#517', 'dotnet/runtime#35508'],
    picture: 'As many connections as the NAT has ports work; the SYN of the next is dropped.',
    node: 'http: "connect ETIMEDOUT". fetch: UND_ERR_CONNECT_TIMEOUT after its ten seconds.',
    cope: 'Keep-alive and a limit on sockets (maxSockets, connections).',
    expect: {
      http: ['16 requests: 200', 'GET /new: connect ETIMEDOUT 10.0.0.2:80 (not reused)', 'given up after 127 s'],
      fetch: [
        '16 requests: 200',
        'GET /new: fetch failed: Connect Timeout Error (attempted address: 10.0.0.2:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
        'given up after 10 s',
      ],
    },
    async play({ wire, serve, client, say, ask }) {
      await serve(plain, patient);
      wire.nat({ ports: 16 });
      const many = Array.from({ length: 16 }, (_, i) => client.ask({ path: `/${i}` }));
      const statuses = new Set((await wire.run(Promise.all(many))).map(({ status }) => status));
      say(`16 requests: ${[...statuses].join(', ')}`);
      say(await refused(wire, ask));
    },
  },
  {
    id: 'ephemeral-ports-gone',
    number: 21,
    title: 'The client has no port left',
    seen: [],
    picture: 'No packet at all: connect fails at once.',
    node: '"connect EADDRNOTAVAIL 10.0.0.2:80 - Local (0.0.0.0:0)": the suffix only when connect fails in the call itself.',
    cope: 'Keep-alive; net.ipv4.ip_local_port_range; connections closed by the server leave TIME-WAIT there.',
    wire: { clientPorts: [40_000, 40_003] },
    expect: {
      http: [
        '4 requests: 200',
        'GET /new: connect EADDRNOTAVAIL 10.0.0.2:80 - Local (0.0.0.0:0) (not reused)',
        'given up after 0 s',
      ],
      fetch: [
        '4 requests: 200',
        'GET /new: fetch failed: connect EADDRNOTAVAIL 10.0.0.2:80 - Local (0.0.0.0:0)',
        'given up after 0 s',
      ],
    },
    async play({ wire, serve, client, say, ask }) {
      await serve(plain, patient);
      const four = [1, 2, 3, 4].map((i) => client.ask({ path: `/${i}` }));
      const statuses = new Set((await wire.run(Promise.all(four))).map(({ status }) => status));
      say(`4 requests: ${[...statuses].join(', ')}`);
      say(await refused(wire, ask));
    },
  },
  {
    id: 'accept-then-reset',
    number: 37,
    title: 'The connection is accepted, and reset',
    seen: ['nodejs/node#46781', 'golang/go#13667'],
    picture: 'SYN, SYN-ACK, ACK, RST; the reset may come before the client’s program hears that it is connected.',
    node: 'Together with the SYN-ACK: "connect ECONNRESET ip:port". A wake-up later: connected, then "read ECONNRESET".',
    cope: 'Both are safe to retry while no byte was written. A client that writes as soon as it is connected, as these do, cannot know whether the server took the request: here it did.',
    expect: {
      http: [
        'GET /1: connect ECONNRESET 10.0.0.2:80 (not reused)',
        'GET /2: read ECONNRESET (not reused)',
        'GET /3: 200, 10 bytes',
      ],
      fetch: [
        'GET /1: fetch failed: connect ECONNRESET 10.0.0.2:80',
        'GET /2: fetch failed: read ECONNRESET',
        'GET /3: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      wire
        .on(synAck())
        .times(1)
        .do(coalesce(), rst({ to: 'c' }));
      await ask({ path: '/1' });
      wire
        .on(ack())
        .times(1)
        .do(rst({ to: 'c' }));
      // Not over the connection of a client that has tried again by itself.
      await ask({ path: '/2', fresh: true });
      await ask({ path: '/3' });
    },
  },
  {
    id: 'cut-during-tls-handshake',
    number: 38,
    title: 'The connection is cut during the TLS handshake',
    seen: ['nodejs/node#19456', 'nodejs/node#35824'],
    picture: 'C: ClientHello; S: FIN, or RST.',
    node: 'FIN: "Client network socket disconnected before secure TLS connection was established", ECONNRESET. RST: "read ECONNRESET".',
    cope: 'Retry: nothing of the request was sent.',
    expect: {
      http: [
        'GET /fin: Client network socket disconnected before secure TLS connection was established [ECONNRESET] (not reused)',
        'GET /rst: read ECONNRESET (not reused)',
      ],
      fetch: [
        'GET /fin: fetch failed: Client network socket disconnected before secure TLS connection was established [ECONNRESET]',
        'GET /rst: fetch failed: read ECONNRESET',
      ],
    },
    async play({ wire, ask }) {
      await wire.peer(() => {}, { port: 443 });
      for (const [path, action] of [
        ['/fin', fin({ to: 'c' })],
        ['/rst', rst({ to: 'c' })],
      ] as const) {
        const rule = wire.on(tlsRecord(1, 'c2s')).do(action);
        await ask({ path, secure: true, fresh: true, timeout: 3000 });
        rule.off();
        await wire.clock.settle();
      }
    },
  },
  {
    id: 'happy-eyeballs-250ms',
    number: 39,
    title: 'The one address that answers needs more than 250 ms, and is given up for one that does not',
    seen: ['nodejs/node#54359', 'nodejs/undici#2777', 'microsoft/playwright#42255'],
    picture:
      'SYN to the first address; 250 ms later it is given up, SYN to the second, where nobody answers. The last address has no such limit: the other way round it connects.',
    node: 'http: AggregateError with an empty message, code ETIMEDOUT, the reasons in `errors`, when the kernel gives the last address up after two minutes. fetch: its connect timeout of ten seconds comes first.',
    cope: 'net.setDefaultAutoSelectFamilyAttemptTimeout(1000) where round trips are long; print error.errors.',
    wire: { timers: 'global' },
    expect: {
      http: [
        'GET /handshake-of-240-ms-first: 200, 10 bytes',
        'GET /handshake-of-260-ms-first: AggregateError [ETIMEDOUT] (not reused)',
        'GET /handshake-of-260-ms-last: 200, 10 bytes',
      ],
      fetch: [
        'GET /handshake-of-240-ms-first: 200, 10 bytes',
        'GET /handshake-of-260-ms-first: fetch failed: Connect Timeout Error (attempted addresses: 10.0.0.2:80, 10.0.0.9:80, timeout: 10000ms) [UND_ERR_CONNECT_TIMEOUT]',
        'GET /handshake-of-260-ms-last: 200, 10 bytes',
      ],
    },
    async play({ wire, serve, ask }) {
      await serve(plain);
      const server = wire.addresses.server;
      const nobody = '10.0.0.9';
      for (const [ms, addresses] of [
        [240, [server, nobody]],
        [260, [server, nobody]],
        [260, [nobody, server]],
      ] as const) {
        const rule = wire.on(syn()).do(delay(ms - 20));
        const place = addresses[0] === server ? 'first' : 'last';
        await ask({ path: `/handshake-of-${ms}-ms-${place}`, pool: { addresses } });
        rule.off();
      }
    },
  },
  {
    id: 'accept-backlog-overflow',
    number: 40,
    title: 'More connections at once than the backlog holds',
    seen: ['nodejs/node#55330'],
    picture:
      'S’s program is busy. A backlog of n takes n + 1; further SYNs are dropped silently and sent again after a second.',
    node: 'A second of latency for no visible reason, or "connect ETIMEDOUT".',
    cope: 'A larger backlog (server.listen({ backlog }), somaxconn); a loop that is never blocked for long.',
    expect: {
      http: ['7 requests: 200', 'SYNs sent more than once: yes'],
      fetch: ['7 requests: 200', 'SYNs sent more than once: yes'],
    },
    async play({ wire, serve, say, client }) {
      await serve(plain, { ...patient, backlog: 2 });
      wire.do(stall('server', 1500));
      const get = (i: number): Promise<{ status: number | null }> => client.ask({ path: `/${i}`, fresh: true });
      const first = [1, 2, 3].map(get);
      await wire.clock.advance(100);
      const all = await wire.run(Promise.all([...first, ...[4, 5, 6, 7].map(get)]));
      const statuses = new Set(all.map(({ status }) => status));
      say(`7 requests: ${[...statuses].join(', ')}`);
      const sent = wire.trace().entries.filter(({ kind, flags }) => kind === 'sent' && flags === 'S');
      say(`SYNs sent more than once: ${sent.length > 7 ? 'yes' : 'no'}`);
    },
  },
];

/** A request on a connection of its own that cannot be had; says after how many seconds that was known. */
async function refused(wire: StageWire, ask: Stage['ask']): Promise<string> {
  const began = wire.clock.now();
  await ask({ path: '/new', fresh: true });
  return `given up after ${Math.floor((wire.clock.now() - began) / 1000)} s`;
}

/** A kept connection that is silent for `ms`, and then asked again: without probes of TCP, and with those of the client. */
async function forgotten(wire: StageWire, ms: number, ask: Stage['ask'], say: (line: string) => void): Promise<void> {
  const silent: Pool = { probes: false, idle: 3_600_000 };
  await ask({ path: '/1', pool: silent });
  await wire.clock.advance(ms);
  const began = wire.clock.now();
  await ask({ path: '/2', pool: silent });
  say(`told after ${Math.round((wire.clock.now() - began) / 1000)} s`);
  const probing: Pool = { idle: 3_600_000 };
  await ask({ path: '/3', pool: probing });
  await wire.clock.advance(ms);
  await ask({ path: '/4', pool: probing });
}
