import type { Address } from '../base/address';
import type { Bytes, Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { NONE, type Slab } from '../base/memory';
import { type Random, Secret } from '../base/random';
import { type Connection, READABLE } from './connection';
import type { Segment } from './header';
import type { Listener } from './listener';
import { announcedMss, headersOf } from './options';
import { appendText } from './reassembler';
import { resendWithoutBlame } from './recovery';
import { markLost } from './scoreboard';
import { seqAdd } from './seq';
import type { Settings } from './settings';
import type { Tcp } from './tcp';

/** TCP Fast Open (RFC 7413): text in the SYN, guarded by a cookie that the server gave out before. */

/** Bits of `TcpProfile.fastOpen`, as in Linux's tcp_fastopen. */
export const FAST_OPEN_CLIENT = 1;
export const FAST_OPEN_SERVER = 2;
/** Send text in SYNs without any cookie; take it without any. Only where addresses cannot be forged. */
export const FAST_OPEN_CLIENT_NO_COOKIE = 4;
export const FAST_OPEN_SERVER_NO_COOKIE = 0x200;
/** Every listener takes Fast Open, as many as its backlog. */
export const FAST_OPEN_ALL_LISTENERS = 0x400;

/** What middleboxes may add to a SYN: left free. */
const OPTION_SPACE = 40;
const SERVERS_MAX = 1024;
const COOKIE_BYTES = 8;
/** How long a reset Fast Open connection counts against the listener's limit (RFC 7413 §5.1). */
const RESET_COUNTS_MS: Millis = 60_000;
/** The pause after a black hole doubles up to so many times. */
const PAUSE_DOUBLINGS_MAX = 6;

const REQUEST = new Uint8Array(0);

/** What a connection remembers of opening fast. */
export class FastOpening {
  /** The option of our first SYN or SYN-ACK: null none, empty a request. */
  cookie: Bytes | null = null;
  /** ... under the experimental number of the drafts (kind 254, F989). */
  experimental = false;
  /** Text that our SYN may carry, and did. */
  textMax = 0;
  text = 0;
  /** The other side took the SYN's text: TCPI_OPT_SYN_DATA. */
  textAcked = false;
  /** The server took the cookie: the application has the connection before the handshake ends. */
  child = false;
}

/** RFC 7413 §4.1.3: what earlier connections to a server left. */
interface Remembered {
  mss: number;
  cookie: Bytes | null;
  experimental: boolean;
  /** The server ignored the option: 1, try the experimental one next; 2, that was tried as well. */
  triedExperimental: 0 | 1 | 2;
}

/** The Fast Open state of a stack: cookies of servers, our own key, and whether the network swallows such SYNs. */
export class FastOpen {
  private readonly servers = new Map<string, Remembered>();
  private readonly own: Secret[];
  private pausedUntil: Millis = -1;
  private pauses = 0;
  /** Times the network had to be taken for a black hole. */
  blackholes = 0;

  constructor(random: Random) {
    this.own = [Secret.from(random)];
  }

  /** The keys that cookies are made and checked with, four words each: the first makes them, all are good. */
  setKeys(keys: readonly (readonly number[])[]): void {
    this.own.splice(0, this.own.length, ...keys.map((words) => new Secret(words)));
  }

  get keys(): readonly Secret[] {
    return this.own;
  }

  recall(server: Address): Remembered | null {
    return this.servers.get(server.toString()) ?? null;
  }

  /** Notes what a SYN-ACK told. The one that was told longest ago makes room. */
  remember(server: Address): Remembered {
    const key = server.toString();
    const known = this.servers.get(key) ?? { mss: 0, cookie: null, experimental: false, triedExperimental: 0 };
    this.servers.delete(key);
    if (this.servers.size >= SERVERS_MAX) this.servers.delete(this.servers.keys().next().value!);
    this.servers.set(key, known);
    return known;
  }

  /** Forgets every server. */
  forget(): void {
    this.servers.clear();
  }

  isPaused(now: Millis): boolean {
    return now < this.pausedUntil;
  }

  /** SYNs that carry more than usual vanish (RFC 7413 §4.1.3.1): ordinary ones for a while, for all servers. */
  pause(ms: Millis, now: Millis): void {
    this.blackholes++;
    if (ms <= 0) return;
    this.pausedUntil = now + ms * 2 ** Math.min(this.pauses, PAUSE_DOUBLINGS_MAX);
    this.pauses++;
  }

  worked(): void {
    this.pauses = 0;
  }
}

// ── client ──

const needsNoCookie = (tcp: Tcp, settings: Settings): boolean =>
  settings.fastOpenWithoutCookie || (tcp.profile.fastOpen & FAST_OPEN_CLIENT_NO_COOKIE) !== 0;

/** Whether a SYN to this server may carry text now: there is a cookie, or none is needed. */
export function mayOpenFast(tcp: Tcp, server: Address, settings: Settings, now: Millis): boolean {
  const { fastOpen, profile } = tcp;
  if ((profile.fastOpen & FAST_OPEN_CLIENT) === 0 || fastOpen.isPaused(now)) return false;
  return needsNoCookie(tcp, settings) || fastOpen.recall(server)?.cookie != null;
}

/**
 * The connection, just made by `connect` and given its settings, opens fast: its SYN asks for a cookie, or carries one and as much text as this
 * returns, in bytes, from what `send` is given before the SYN goes.
 */
export function beginFastOpen(tcp: Tcp, c: Connection, settings: Settings, now: Millis): number {
  const f = new FastOpening();
  c.fast = f;
  if (tcp.fastOpen.isPaused(now)) return 0;
  const known = tcp.fastOpen.recall(c.remote);
  if (!needsNoCookie(tcp, settings)) {
    f.cookie = known?.cookie ?? REQUEST;
    f.experimental = known?.cookie == null ? known?.triedExperimental === 1 : known.experimental;
    if (known?.cookie == null) return 0;
  }
  const announced = known !== null && known.mss > 0 ? known.mss : announcedMss(c);
  const mss = c.userMss > 0 ? Math.min(announced, c.userMss) : announced;
  f.textMax = Math.max(0, Math.min(c.path.mtu - headersOf(c), mss) - OPTION_SPACE);
  return f.textMax;
}

/** The SYN-ACK has come and is accounted for: what it says of cookies, and the SYN's text that it did not take. */
export function synAckAnswers(tcp: Tcp, c: Connection, f: FastOpening, seg: Segment, now: Millis): void {
  const known = tcp.fastOpen.remember(c.remote);
  if (seg.mss > 0) known.mss = seg.mss;
  // An unsolicited cookie is nobody's promise.
  if (f.cookie !== null) {
    if (seg.cookieBytes > 0) {
      known.cookie = seg.bytes.slice(seg.cookieAt, seg.cookieAt + seg.cookieBytes);
      known.experimental = seg.cookieExperimental;
    } else if (c.totalRetransmits === 0 && f.text === 0 && seg.cookieBytes < 0) {
      const tried = f.experimental ? 2 : 1;
      if (tried > known.triedExperimental && known.cookie === null) known.triedExperimental = tried;
    }
  }
  if (f.text === 0) return;
  if (c.packetsOut > 0) {
    // The SYN only, or less than all, was taken: the rest goes again at once.
    for (let record = c.sent.head; record !== NONE; record = tcp.sent.next(record)) {
      markLost(tcp, c, record, 'fast-open', now);
    }
    return resendWithoutBlame(tcp, c, now);
  }
  f.textAcked = true;
  tcp.fastOpen.worked();
  // SYN and text were one packet.
  if (c.delivered > 1) c.delivered--;
}

/** A SYN of ours had to be repeated, or was given up (`expired`): is it Fast Open that the network does not like? */
export function fastOpenTimedOut(tcp: Tcp, c: Connection, timeouts: number, expired: boolean, now: Millis): void {
  const f = c.fast;
  if (f === null || c.passive || (f.cookie === null && f.text === 0)) return;
  if (timeouts === 2 || (timeouts < 2 && expired)) tcp.fastOpen.pause(tcp.profile.fastOpenPauseMs, now);
}

// ── server ──

/**
 * A SYN for a listener: null when it has nothing to do with Fast Open. With `child` the cookie is good, and the connection
 * goes to the application at once; otherwise the answer may carry a cookie for the next time.
 */
export function answerFastOpen(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  d: Datagram,
  now: Millis,
): FastOpening | null {
  const flags = tcp.profile.fastOpen;
  if ((flags & FAST_OPEN_SERVER) === 0 || (seg.textBytes === 0 && seg.cookieBytes < 0)) return null;
  if (!hasRoom(listener, flags, now)) return null;
  const f = new FastOpening();
  f.experimental = seg.cookieExperimental;
  if ((flags & FAST_OPEN_SERVER_NO_COOKIE) !== 0 || listener.settings?.fastOpenWithoutCookie === true) {
    f.child = true;
    return f;
  }
  if (seg.cookieBytes < 0) return null;
  const keys = listener.fastOpenKeys ?? tcp.fastOpen.keys;
  const good = cookieFor(keys[0]!, d);
  if (matches(good, seg)) {
    f.child = true;
    return f;
  }
  // A cookie of the key before is still good; the client gets a new one.
  f.child = keys.slice(1).some((key) => matches(cookieFor(key, d), seg));
  f.cookie = good;
  return f;
}

/** RFC 7413 §5.1: so many may be pending, those that were reset lately included. */
function hasRoom(listener: Listener, flags: number, now: Millis): boolean {
  const resets = listener.fastOpenResets;
  while (resets.length > 0 && resets[0]! <= now) resets.shift();
  const all = (flags & FAST_OPEN_ALL_LISTENERS) !== 0;
  const most = listener.fastOpenMax > 0 ? listener.fastOpenMax : all ? listener.backlog : 0;
  return listener.fastOpenPending + resets.length < most;
}

/** A pending Fast Open connection was reset: it keeps its place for a while. */
export function noteFastOpenReset(listener: Listener, now: Millis): void {
  listener.fastOpenResets.push(now + RESET_COUNTS_MS);
}

function matches(cookie: Bytes, seg: Segment): boolean {
  if (seg.cookieBytes !== cookie.length) return false;
  let difference = 0;
  for (let i = 0; i < cookie.length; i++) difference |= cookie[i]! ^ seg.bytes[seg.cookieAt + i]!;
  return difference === 0;
}

const swap = (word: number): number => (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);

const half = new Int32Array(2);

/** SipHash of both addresses, as Linux makes it, so that servers that share a key honour each other's cookies. */
function cookieFor(key: Secret, d: Datagram): Bytes {
  if (d.family === 4) key.hash64([swap(d.s3), swap(d.d3)], half);
  else key.hash64([d.s0, d.s1, d.s2, d.s3, d.d0, d.d1, d.d2, d.d3].map(swap), half);
  const cookie = new Uint8Array(COOKIE_BYTES);
  for (let i = 0; i < COOKIE_BYTES; i++) cookie[i] = half[i >> 2]! >>> (8 * (i & 3));
  return cookie;
}

/** The SYN's text goes to the application, and the connection with it (RFC 7413 §4.2.2). */
export function acceptChild(
  tcp: Tcp,
  c: Connection,
  f: FastOpening,
  listener: Listener,
  seg: Segment,
  slab: Slab,
): void {
  const bytes = Math.min(seg.textBytes, c.rcvWnd);
  if (bytes > 0) {
    appendText(c, tcp.store, slab, seg.textAt, bytes);
    c.dataSegmentsIn++;
    f.textAcked = true;
    tcp.signal(c, READABLE);
  }
  c.rcvWup = c.rcvNxt;
  c.rcvEdge = seqAdd(c.rcvNxt, c.rcvWnd);
  listener.fastOpenPending++;
  if (tcp.trace.on) tcp.trace.add('accept', c.openedAt, c.id, listener.port);
  listener.accepted.push(c);
  tcp.signalListener(listener);
}
