import type { Address } from '../base/address';
import { type Bytes, type Millis, NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import type { Connection, ConnectionOwner } from './connection';
import { abortWithReset } from './lifecycle';
import { Listener } from './listener';
import { announcedMss, effectiveMss } from './options';
import { discardText } from './reassembler';
import { NODE_COST } from './receive-store';
import { initialWindow, textTaken } from './receive-window';
import { seqAdd, seqDiff } from './seq';
import type { Tcp } from './tcp';
import type { TimeWait } from './time-wait';
import { moveBeyond } from './without-connection';

/** Why an OPEN was refused, by Linux's and Node's names. */
export type OpenError = 'EADDRINUSE' | 'EADDRNOTAVAIL' | 'ENETUNREACH' | 'EINVAL' | 'ENOBUFS';

// ── §3.10.1 OPEN ──

/**
 * Passive OPEN. `address` null listens on every local address of `family` (0: both). Port 0 picks a free one. Returns why
 * not: EADDRINUSE, EADDRNOTAVAIL.
 */
export function listen(
  tcp: Tcp,
  address: Address | null,
  family: 0 | 4 | 6,
  port: number,
  backlog: number,
): Listener | OpenError {
  if (address !== null && !tcp.paths.isLocal(address)) return 'EADDRNOTAVAIL';
  if (port === 0) {
    const free = freePort(tcp, (candidate) => !listenConflicts(tcp, address, family, candidate));
    if (free === 0) return 'EADDRINUSE';
    port = free;
  } else if (listenConflicts(tcp, address, family, port)) {
    return 'EADDRINUSE';
  }
  const listener = new Listener(address, family, port, Math.max(1, backlog));
  tcp.addListener(listener);
  return listener;
}

function listenConflicts(tcp: Tcp, address: Address | null, family: 0 | 4 | 6, port: number): boolean {
  const mine = address === null ? family : address.family;
  return tcp.listenersOn(port).some((other) => {
    const theirs = other.address === null ? other.family : other.address.family;
    if (mine !== 0 && theirs !== 0 && mine !== theirs) return false;
    return address === null || other.address === null || address.equals(other.address);
  });
}

/** RFC 6056 §3.3.1: a random start, then the next free one. 0 when the range is exhausted. */
function freePort(tcp: Tcp, isFree: (port: number) => boolean): number {
  const [low, high] = tcp.profile.ephemeralPorts;
  const count = high - low + 1;
  const start = tcp.random.below(count);
  for (let i = 0; i < count; i++) {
    const port = low + ((start + i) % count);
    if (isFree(port)) return port;
  }
  return 0;
}

/** CLOSE of a listener: what nobody accepted yet is reset, as Linux does. */
export function closeListener(tcp: Tcp, listener: Listener, now: Millis): void {
  if (listener.closed) return;
  listener.closed = true;
  tcp.removeListener(listener);
  for (const c of listener.accepted.splice(0)) {
    discardText(c, tcp.store);
    abortWithReset(tcp, c, now);
  }
  for (const c of [...tcp.connections]) {
    if (c.listener === listener && c.state === 'SYN-RECEIVED' && c.owner === null) tcp.remove(c, now);
  }
}

/**
 * Active OPEN. `local` null and `localPort` 0 let the stack choose. Refused for group and unspecified addresses
 * (MUST-46): EINVAL; without a route, and to all hosts of a subnet: ENETUNREACH; without a free port: EADDRNOTAVAIL.
 */
export function connect(
  tcp: Tcp,
  remote: Address,
  remotePort: number,
  local: Address | null,
  localPort: number,
  owner: ConnectionOwner,
  now: Millis,
): Connection | OpenError {
  if (remote.isMulticast || remote.isLimitedBroadcast || remote.isUnspecified) return 'EINVAL';
  // As Linux has it: there is no route for a connection to everybody.
  if (tcp.paths.isBroadcast(remote)) return 'ENETUNREACH';
  if (local?.isUnspecified) local = null;
  if (local !== null && !tcp.paths.isLocal(local)) return 'EADDRNOTAVAIL';
  const path = tcp.paths.pathTo(remote, local);
  if (path === null) return 'ENETUNREACH';
  if (tcp.connections.size >= tcp.limits.connectionsMax) return 'ENOBUFS';
  const taken = (port: number): boolean =>
    tcp.connections.lookup(path.local, port, remote, remotePort) !== null ||
    tcp.timeWaits.lookup(path.local, port, remote, remotePort) !== null;
  let waiting: TimeWait | null = null;
  if (localPort === 0) {
    localPort = freePort(tcp, (port) => !taken(port) && tcp.listenersOn(port).length === 0);
    if (localPort === 0) return 'EADDRNOTAVAIL';
  } else if (tcp.connections.lookup(path.local, localPort, remote, remotePort) !== null) {
    return 'EADDRINUSE';
  } else {
    waiting = tcp.timeWaits.lookup(path.local, localPort, remote, remotePort);
  }
  const c = tcp.newConnection(path.local, localPort, remote, remotePort, path, null, now);
  if (waiting !== null) {
    // Whatever of the old connection is still on its way must not look like the new one's (RFC 9293 §3.4.3).
    moveBeyond(c, waiting);
    tcp.timeWaits.remove(waiting);
  }
  c.owner = owner;
  c.timestamps = tcp.profile.timestamps;
  c.rcvScale = Math.max(0, tcp.profile.windowScale);
  c.peerMss = announcedMss(c);
  effectiveMss(c);
  c.rcvWnd = initialWindow(c);
  tcp.counters.activeOpens++;
  if (tcp.trace.on) tcp.trace.add('call-open', now, c.id, remotePort);
  tcp.enter(c, 'SYN-SENT', now);
  c.synDue = true;
  tcp.wantsOutput(c);
  return c;
}

// ── §3.10.2 SEND ──

/** What a write says of what follows it: more at once, so a small rest may wait (MSG_MORE). */
export const MORE = 1;
/** ... nothing that may share a segment with it (MSG_EOR). */
export const END_OF_RECORD = 2;

/**
 * Copies bytes into the send buffer and returns how many it took. Fewer than asked: the rest may be sent after WRITABLE.
 * 0 when the connection's sending side is closed. `flags`: MORE, END_OF_RECORD.
 */
export function send(tcp: Tcp, c: Connection, bytes: Bytes, at: number, count: number, flags = 0): number {
  if (c.finQueued || c.state === 'CLOSED') return 0;
  const room = Math.min(count, c.sendSpace);
  const taken = room > 0 ? c.sendBuffer.append(bytes, at, room) : 0;
  c.more = (flags & MORE) !== 0;
  c.pushing = false;
  if ((flags & END_OF_RECORD) !== 0 && taken === count && taken > 0) {
    if (c.recordEnds === null) c.recordEnds = [];
    c.recordEnds.push(c.sendBuffer.end);
  }
  if (taken < count) c.wantsRoom = true;
  if (taken > 0) tcp.wantsOutput(c);
  return taken;
}

/**
 * Room for encoding straight into the send buffer: at least `wanted` contiguous bytes at `c.sendBuffer.tailMemory`,
 * `tailAt`, or false. `sent(n)` must follow.
 */
export function reserve(c: Connection, wanted: number): boolean {
  if (c.finQueued || c.state === 'CLOSED' || c.sendSpace < wanted) return false;
  return c.sendBuffer.reserveWhole(wanted) >= wanted;
}

export function commit(tcp: Tcp, c: Connection, bytes: number): void {
  c.sendBuffer.commit(bytes);
  tcp.wantsOutput(c);
}

// ── §3.10.3 RECEIVE ──

/** A piece of received text where it lies: valid until `consume` or the end of the call that got it. */
export class Text {
  bytes: Bytes = new Uint8Array(0);
  at = 0;
  end = 0;
  /** Number of the slab, for `keepView`. */
  slab = NONE;
}

/** The first contiguous piece of unread text, in place; false when there is none. */
export function peek(tcp: Tcp, c: Connection, into: Text): boolean {
  const node = c.readHead;
  if (node === NONE) return false;
  const store = tcp.store;
  const slab = store.slab(node);
  into.bytes = slab.bytes;
  into.at = store.at(node);
  into.end = into.at + store.bytes(node);
  into.slab = slab.id;
  return true;
}

/**
 * `text` goes to the application as a view and may be kept for ever: its slab is not written again. False when this
 * stack's slabs must not leave; copy then.
 */
export function keepView(tcp: Tcp, text: Text): boolean {
  if (!tcp.store.slabs.viewsMayLeave) return false;
  tcp.store.slabs.slabs[text.slab]!.escaped = true;
  return true;
}

/** The application is done with the first `count` bytes of unread text. */
export function consume(tcp: Tcp, c: Connection, count: number, now: Millis): void {
  const store = tcp.store;
  let left = count;
  while (left > 0 && c.readHead !== NONE) {
    const node = c.readHead;
    const bytes = store.bytes(node);
    if (bytes > left) {
      store.trimFront(node, left);
      c.charged -= left;
      c.readable -= left;
      left = 0;
      break;
    }
    c.readHead = store.next(node);
    if (c.readHead === NONE) c.readTail = NONE;
    c.charged -= bytes + NODE_COST;
    c.readable -= bytes;
    left -= bytes;
    store.release(node);
  }
  textTaken(tcp, c, count - left, now);
}

/**
 * How much unread text stands before the urgent octet, the one before the peer's urgent pointer (RFC 6093 §3.1): 0 when it
 * is the next, more than `c.readable` when it is still to come, -1 when nothing is urgent any more (MUST-33).
 */
export function urgentOffset(c: Connection): number {
  return c.urgentIn ? Math.max(-1, seqDiff(c.rcvUp, c.copied) - 1) : -1;
}

/** The octet of unread text at `offset`, or -1 when it has not arrived in order yet. */
export function octetAt(tcp: Tcp, c: Connection, offset: number): number {
  const { store } = tcp;
  for (let node = c.readHead; node !== NONE; node = store.next(node)) {
    const bytes = store.bytes(node);
    if (offset < bytes) return store.memory(node)[store.at(node) + offset]!;
    offset -= bytes;
  }
  return -1;
}

// ── §3.10.4 CLOSE ──

/** Closes the sending direction: a FIN goes out behind what was written. Receiving goes on. */
export function shutdown(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.finQueued) return;
  if (tcp.trace.on) tcp.trace.add('call-close', now, c.id);
  switch (c.state) {
    case 'SYN-SENT':
    case 'CLOSED':
      return;
    case 'SYN-RECEIVED':
      break;
    case 'ESTABLISHED':
      tcp.enter(c, 'FIN-WAIT-1', now);
      break;
    case 'CLOSE-WAIT':
      tcp.enter(c, 'LAST-ACK', now);
      break;
    default:
      return;
  }
  c.finQueued = true;
  tcp.wantsOutput(c);
}

/**
 * The application lets go of the connection altogether. With text unread, or with linger 0, the peer is told by a RST
 * that its data was lost (SHLD-3); otherwise what was written is still delivered, then a FIN.
 */
export function close(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.orphaned) return;
  c.orphaned = true;
  const lost = c.readable > 0 || c.oooNodes > 0;
  discardText(c, tcp.store);
  if (c.state === 'CLOSED') return;
  if (c.state === 'SYN-SENT') return tcp.remove(c, now);
  if (lost || c.linger === 0) return abortWithReset(tcp, c, now);
  shutdown(tcp, c, now);
  c.wantsRoom = false;
  // Nobody resets an orphan that waits for the peer's FIN, so the state ends by itself.
  if (c.state === 'FIN-WAIT-2') {
    if (c.finWait2 < 0) return abortWithReset(tcp, c, now);
    c.lingerAt = now + c.finWait2;
  }
  tcp.deadlines.update(c, c.nextDeadline());
}

// ── §3.10.5 ABORT ──

/** A RST to the peer; everything unsent and unread is dropped. */
export function abort(tcp: Tcp, c: Connection, now: Millis): void {
  if (tcp.trace.on) tcp.trace.add('call-abort', now, c.id);
  c.orphaned = true;
  discardText(c, tcp.store);
  abortWithReset(tcp, c, now);
}

// ── options ──

/** Nagle's algorithm off or on (MUST-17). Switching it off sends what was held back, even by a cork. */
export function setNoDelay(tcp: Tcp, c: Connection, on: boolean): void {
  c.noDelay = on;
  if (!on) return;
  c.more = false;
  c.pushing = true;
  tcp.wantsOutput(c);
}

/** RFC 9293 §3.8.4; off by default (MUST-25). Times in milliseconds. */
export function setKeepAlive(
  tcp: Tcp,
  c: Connection,
  on: boolean,
  idle: Millis,
  interval: Millis,
  probes: number,
  now: Millis,
): void {
  c.keepAlive = on;
  if (idle > 0) c.keepAliveIdle = idle;
  if (interval > 0) c.keepAliveInterval = interval;
  if (probes > 0) c.keepAliveProbes = probes;
  c.probesSent = 0;
  c.keepAliveAt = on && c.synchronized ? Math.max(c.lastReceivedAt, c.lastSentAt, c.openedAt) + c.keepAliveIdle : NEVER;
  if (c.keepAliveAt < now) c.keepAliveAt = now;
  tcp.deadlines.update(c, c.nextDeadline());
}

/** How many octets of what the peer called urgent have not been read yet, arrived or not; 0: none (MUST-33). */
export const urgentLeft = (c: Connection): number => (c.urgentIn ? Math.max(0, seqDiff(c.rcvUp, c.copied)) : 0);

/** URG: the octets written so far end urgent text; SND.UP is the octet after it (RFC 6093, MUST-30, 31). */
export function markUrgent(c: Connection): void {
  c.urgentOut = true;
  c.sndUp = seqAdd(c.sendBuffer.end, 0);
}
