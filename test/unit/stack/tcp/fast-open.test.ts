import * as calls from '../../../../stack/tcp/calls';
import type { Connection } from '../../../../stack/tcp/connection';
import {
  FAST_OPEN_ALL_LISTENERS,
  FAST_OPEN_CLIENT,
  FAST_OPEN_SERVER,
  FAST_OPEN_SERVER_NO_COOKIE,
} from '../../../../stack/tcp/fast-open';
import type { Listener } from '../../../../stack/tcp/listener';
import { LINUX } from '../../../../stack/tcp/profile';
import * as f from '../ip/frames';
import { Lab } from '../ip/lab';
import { everywhere } from './grounds';
import type { Harness } from './harness';

const REQUEST = [34, 2, 1, 1];
const COOKIE = 'FO 0011223344556677';

/** A listener that takes Fast Open, so many at a time. */
class Server {
  readonly lab: Lab;
  readonly listener: Listener;

  constructor(
    readonly v6: boolean,
    most = 2,
    fastOpen = FAST_OPEN_SERVER,
    seed = 1,
  ) {
    this.lab = new Lab({ config: { profile: { ...LINUX, fastOpen }, seed } });
    const listener = calls.listen(this.lab.stack.tcp, null, 0, 80, 16);
    if (typeof listener === 'string') throw new Error(listener);
    listener.fastOpenMax = most;
    this.listener = listener;
  }

  /** Text of 100 bytes in a SYN with `options`, or none. Returns the options of the SYN-ACK and what it acknowledges. */
  syn(options: number[], fields: f.TcpFields = {}): { readonly options: number[]; readonly acked: number } {
    this.rx({ options: [2, 4, ...f.word(1000), ...options], text: f.bytesOf(100), ...fields });
    const [answer, ...rest] = this.lab.take();
    expect([answer!.bytes[this.tcpAt + 13], rest]).toEqual([f.SYN | f.ACK, []]);
    const view = new DataView(answer!.bytes.buffer, answer!.bytes.byteOffset + this.tcpAt);
    return { options: [...answer!.bytes.subarray(this.tcpAt + 24)], acked: view.getUint32(8) - 1001 };
  }

  rx(fields: f.TcpFields): void {
    const { v6 } = this;
    const segment = f.tcp({ v6, ...fields });
    this.lab.rx(v6 ? f.ip6(f.TCP, segment, { from: fields.from }) : f.ip4(f.TCP, segment, { from: fields.from }));
  }

  private get tcpAt(): number {
    return this.v6 ? 40 : 20;
  }

  /** The cookie that it gives to `from`, as an option. */
  cookieOf(from?: string): number[] {
    const { options, acked } = this.syn(REQUEST, { from, sport: 4000, text: [] });
    expect([options.slice(0, 2), options.slice(10), acked]).toEqual([[34, 10], [1, 1], 0]);
    this.rx({ from, sport: 4000, seq: 1001, flags: f.RST });
    return options;
  }

  /** The newest connection that an application can have. */
  get child(): Connection {
    return this.listener.accepted.at(-1)!;
  }
}

describe.each([
  ['IPv4', false],
  ['IPv6', true],
])('RFC 7413: Fast Open, the server, %s', (_name, v6) => {
  const neighbor = v6 ? 'fd00::3' : '10.0.0.3';

  test('§4.1.2: who asks gets a cookie: his own, always the same, and another one of another server', () => {
    const server = new Server(v6);
    const cookie = server.cookieOf();
    expect(server.cookieOf()).toEqual(cookie);
    expect(server.cookieOf(neighbor)).not.toEqual(cookie);
    expect(new Server(v6, 2, FAST_OPEN_SERVER, 2).cookieOf()).not.toEqual(cookie);
  });

  test('§4.2.2: with it the text of the SYN is the application’s before the handshake ends, which may answer', () => {
    const server = new Server(v6);
    expect(server.syn(server.cookieOf())).toEqual({ options: [], acked: 100 });
    expect([server.listener.accepted.length, server.child.readable, server.child.state]).toEqual([
      1,
      100,
      'SYN-RECEIVED',
    ]);
    calls.send(server.lab.stack.tcp, server.child, new Uint8Array(10), 0, 10);
    expect(server.lab.sent()).toEqual([expect.stringContaining(' P. ')]);
  });

  test.each([
    ['a cookie with one wrong bit', (cookie: number[]) => cookie.map((byte, i) => (i === 9 ? byte ^ 1 : byte))],
    ['half a cookie', (cookie: number[]) => [34, 6, ...cookie.slice(2, 6), 1, 1]],
    ['more than a cookie', (cookie: number[]) => [34, 14, ...cookie.slice(2, 10), 0, 0, 0, 0, 1, 1]],
    ['somebody else’s cookie', (_: number[], server: Server) => server.cookieOf(neighbor)],
    ['a request', () => REQUEST],
  ])('§4.2.2: %s: the text is not taken, a good cookie comes back', (_title, wrong) => {
    const server = new Server(v6);
    const cookie = server.cookieOf();
    expect(server.syn(wrong(cookie, server))).toEqual({ options: cookie, acked: 0 });
    expect(server.listener.accepted).toEqual([]);
  });

  test('without the option, or switched off, text in a SYN is not taken, and no cookie is given', () => {
    expect(new Server(v6).syn([])).toEqual({ options: [], acked: 0 });
    expect(new Server(v6, 2, FAST_OPEN_CLIENT).syn(REQUEST)).toEqual({ options: [], acked: 0 });
    expect(new Server(v6, 0).syn(REQUEST)).toEqual({ options: [], acked: 0 });
    expect(new Server(v6, 0, FAST_OPEN_SERVER | FAST_OPEN_ALL_LISTENERS).syn(REQUEST).options).toHaveLength(12);
    expect(new Server(v6, 2, FAST_OPEN_SERVER | FAST_OPEN_SERVER_NO_COOKIE).syn([]).acked).toBe(100);
  });

  test('a SYN that comes again is answered again; its text is there once', () => {
    const server = new Server(v6);
    const cookie = server.cookieOf();
    server.syn(cookie);
    expect(server.syn(cookie).acked).toBe(100);
    expect([server.listener.accepted.length, server.child.readable]).toEqual([1, 100]);
  });

  test('§5.1: cookies replayed from many ports open so many at a time; what was reset counts for a minute', () => {
    const server = new Server(v6, 3);
    const cookie = server.cookieOf();
    const taken = (sport: number): boolean => server.syn(cookie, { sport }).acked === 100;
    expect([1, 2, 3, 4, 5].map((n) => taken(5000 + n))).toEqual([true, true, true, false, false]);
    expect(server.listener.accepted).toHaveLength(3);
    // One is established: it does not count any more. One is reset: it does.
    server.rx({ sport: 5001, seq: 1101, ack: server.listener.accepted[0]!.sndNxt, flags: f.ACK });
    server.rx({ sport: 5002, seq: 1101, flags: f.RST });
    expect([6, 7].map((n) => taken(5000 + n))).toEqual([true, false]);
    server.lab.after(61_000).sent();
    expect(server.listener.accepted.filter(({ state }) => state === 'SYN-RECEIVED').length).toBeLessThanOrEqual(2);
    expect(taken(6000)).toBe(true);
  });

  test('a handshake that never ends is given up, its memory with it', () => {
    const server = new Server(v6);
    server.syn(server.cookieOf());
    const { child } = server;
    server.lab.after(300_000).sent();
    expect([child.state, child.error, server.listener.fastOpenPending]).toEqual(['CLOSED', 'ETIMEDOUT', 0]);
    expect(server.lab.stack.tcp.connections.size).toBe(0);
  });
});

everywhere('RFC 7413: Fast Open, the client', (g) => {
  const ANSWER = `ack 1 win 65535 <mss 1000,nop,nop,sackOK,${COOKIE},nop,nop>`;
  const first = (t: Harness): string => / <(.*)>/.exec(t.drain()[0]!)![1]!;

  /** A client that has a cookie of the server, its connection over. */
  function client(): Harness {
    const t = g.harness({ profile: { fastOpen: FAST_OPEN_CLIENT, timestamps: false } });
    expect(t.connectFast(500)).toBe(0);
    t.tx('S 0:0(0) <mss *,nop,nop,sackOK,nop,wscale 8,FO,nop,nop>'.replace('*', String(1500 - g.headers)));
    t.rx(`S. ${g.syn} ${ANSWER}`).tx('. 1:1(0) ack 1').abort().drain();
    return t;
  }

  test('§4.1.1: the first SYN asks for a cookie, and carries no text; by default none asks', () => {
    client();
    expect(first(g.harness().connect())).not.toContain('FO');
  });

  test('§4.2.1: the next one has the cookie, and as much text as fits the server’s MSS', () => {
    const t = client();
    expect(t.connectFast(5000)).toBe(960);
    const [syn] = t.drain();
    expect(syn).toContain('(960)');
    expect(syn).toContain(COOKIE);
  });

  test('§4.1.3: without an answer it is repeated plain: no text, no cookie', () => {
    const t = client();
    t.connectFast(100);
    t.drain();
    const [again] = t.after(1000).drain();
    expect(again).toContain('(0)');
    expect(again).not.toContain('FO');
  });

  test('§4.1.3.1: a network that swallows such SYNs is noticed: plain ones for a while', () => {
    const t = client();
    t.connectFast(100);
    t.after(4000).abort().drain();
    expect(t.connectFast(100)).toBe(0);
    expect(first(t)).not.toContain('FO');
    t.abort().after(3_600_000).drain();
    expect(t.connectFast(100)).toBe(100);
    expect(first(t)).toContain('FO');
  });
});
