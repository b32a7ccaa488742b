import { ACK, FIN, type Packet, RST, SYN, type Tcp } from './packet';

/** What the history of a connection says about one of its segments. */
export interface SegmentView {
  /** The connection's number, from 1, in order of first appearance. */
  flow: number;
  /** True when the segment's sender opened the connection (or was seen first). */
  fromOpener: boolean;
  /** What to subtract for relative numbers; null when it cannot be known yet. */
  seqBase: number | null;
  ackBase: number | null;
  /** "retransmission", "out of order", "gap of 1460 bytes", "duplicate ack 2", … */
  notes: string[];
}

/** A connection, for tables of them. */
export interface Flow {
  number: number;
  source: string;
  sport: number;
  destination: string;
  dport: number;
  packets: number;
  /** Text bytes from the opener and towards it, retransmissions included. */
  bytes: [number, number];
  retransmissions: number;
  firstMs: number;
  lastMs: number;
  closed: '' | 'fin' | 'rst';
}

interface Gap {
  from: number;
  to: number;
  sinceMs: number;
}

/** One direction of a connection as one capture point sees it. */
class Half {
  known = false;
  /** The sequence number after the highest seen. */
  next = 0;
  acked = false;
  ack = 0;
  window = -1;
  /** -1: no SYN was seen, so the scale is unknown. */
  scale = -1;
  duplicates = 0;
  /** A sum over the last SACK blocks sent: whether the next ones are news. */
  sack = 0;
  /** The last segment was a keep-alive or a probe of a zero window. */
  probed = false;
  readonly gaps: Gap[] = [];
}

/** What one capture point saw of a connection: two points see the same segment twice, which is no retransmission. */
class Point {
  readonly halves: readonly [Half, Half] = [new Half(), new Half()];
  synMs = -1;
  synAckSeen = false;
  rttMs = -1;
}

class Connection {
  readonly bases: [number | null, number | null] = [null, null];
  readonly points = new Map<string, Point>();
  readonly finSeen: [boolean, boolean] = [false, false];
  /** A SYN that does not fit: a new connection if the other side answers it. */
  otherSyn = -1;

  constructor(
    readonly opener: string,
    readonly flow: Flow,
  ) {}
}

/** Connections remembered at once; the oldest is forgotten first, so a SYN flood costs no memory. */
const CONNECTIONS_MAX = 50_000;
const GAPS_MAX = 64;
/** A missing segment that comes this soon was overtaken; later it was sent again. Used until the RTT is known. */
const REORDER_MS = 3;

const diff = (a: number, b: number): number => (a - b) | 0;

/**
 * Follows TCP connections from the outside: relative sequence numbers, and what each segment is in the light of those
 * before it. Never answers differently for the same packets in the same order.
 */
export class FlowTracker {
  private readonly connections = new Map<string, Connection>();
  private count = 0;
  /** Connections in order of appearance; at most `flowsMax` are kept for tables. */
  readonly flows: Flow[] = [];

  constructor(readonly flowsMax = CONNECTIONS_MAX) {}

  /** Takes the next packet; null when it is not a whole TCP segment. `point` names where it was captured. */
  observe(p: Packet, timeMs: number, point = ''): SegmentView | null {
    const { ip, tcp } = p;
    if (ip === null || tcp === null || !tcp.whole || tcp.checksum === 'bad') return null;
    const from = `${ip.source} ${tcp.sport}`;
    const to = `${ip.destination} ${tcp.dport}`;
    const connection = this.find(p, from, to, timeMs);
    const side = from === connection.opener ? 0 : 1;
    setBases(connection, tcp, side);
    let seen = connection.points.get(point);
    if (seen === undefined) connection.points.set(point, (seen = new Point()));
    const notes = judge(seen, side, tcp, timeMs);
    account(connection, side, tcp, timeMs, notes);
    return {
      flow: connection.flow.number,
      fromOpener: side === 0,
      seqBase: connection.bases[side],
      ackBase: connection.bases[1 - side]!,
      notes,
    };
  }

  /** Bases of the connection that `p` belongs to, without changing anything: for a packet that an ICMP error quotes. */
  lookUp(p: Packet): SegmentView | null {
    const { ip, tcp } = p;
    if (ip === null || tcp === null) return null;
    const from = `${ip.source} ${tcp.sport}`;
    const connection = this.connections.get(keyOf(from, `${ip.destination} ${tcp.dport}`));
    if (connection === undefined) return null;
    const side = from === connection.opener ? 0 : 1;
    return {
      flow: connection.flow.number,
      fromOpener: side === 0,
      seqBase: connection.bases[side],
      ackBase: connection.bases[1 - side]!,
      notes: [],
    };
  }

  private find(p: Packet, from: string, to: string, timeMs: number): Connection {
    const key = keyOf(from, to);
    const found = this.connections.get(key);
    if (found !== undefined && !beginsAnew(found, from === found.opener ? 0 : 1, p.tcp!)) return found;
    const answered = found !== undefined && (p.tcp!.flags & ACK) !== 0;
    if (this.connections.size >= CONNECTIONS_MAX) {
      this.connections.delete(this.connections.keys().next().value as string);
    }
    this.connections.delete(key);
    // The answer of a connection whose SYN did not fit the old one comes from its other end.
    const swap = answered || (found === undefined && (p.tcp!.flags & (SYN | ACK)) === (SYN | ACK));
    const created = new Connection(swap ? to : from, newFlow(++this.count, p, swap, timeMs));
    this.connections.set(key, created);
    if (this.flows.length < this.flowsMax) this.flows.push(created.flow);
    return created;
  }
}

function keyOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

function newFlow(number: number, p: Packet, swap: boolean, timeMs: number): Flow {
  const { ip, tcp } = p;
  return {
    number,
    source: swap ? ip!.destination : ip!.source,
    sport: swap ? tcp!.dport : tcp!.sport,
    destination: swap ? ip!.source : ip!.destination,
    dport: swap ? tcp!.sport : tcp!.dport,
    packets: 0,
    bytes: [0, 0],
    retransmissions: 0,
    firstMs: timeMs,
    lastMs: timeMs,
    closed: '',
  };
}

/**
 * Whether a SYN opens another connection on the same ports: when the old one has ended, or when the other side answers
 * it. A SYN into a living connection may be an attack (RFC 5961 §4) and must not disturb the numbers.
 */
function beginsAnew(c: Connection, side: 0 | 1, tcp: Tcp): boolean {
  if ((tcp.flags & SYN) === 0) return false;
  const base = c.bases[side];
  if ((tcp.flags & ACK) !== 0) {
    return c.otherSyn >= 0 && tcp.ack === (c.otherSyn + 1) >>> 0 && tcp.seq !== base;
  }
  if (base === null || tcp.seq === base) return false;
  if (c.flow.closed !== '') return true;
  c.otherSyn = tcp.seq;
  return false;
}

function setBases(c: Connection, tcp: Tcp, side: 0 | 1): void {
  const other = (1 - side) as 0 | 1;
  if ((tcp.flags & SYN) !== 0) {
    if (c.bases[side] === null) c.bases[side] = tcp.seq;
    if ((tcp.flags & ACK) !== 0 && c.bases[other] === null) c.bases[other] = (tcp.ack - 1) >>> 0;
    return;
  }
  // Without a SYN the first byte seen is number 1. A reset may carry any number, so it founds nothing.
  if ((tcp.flags & RST) !== 0) return;
  if (c.bases[side] === null) c.bases[side] = (tcp.seq - 1) >>> 0;
  if ((tcp.flags & ACK) !== 0 && c.bases[other] === null) c.bases[other] = (tcp.ack - 1) >>> 0;
}

function account(c: Connection, side: 0 | 1, tcp: Tcp, timeMs: number, notes: string[]): void {
  const { flow } = c;
  flow.packets++;
  flow.bytes[side] += tcp.length;
  flow.lastMs = timeMs;
  if (notes.some((note) => note.endsWith('retransmission'))) flow.retransmissions++;
  if ((tcp.flags & RST) !== 0) flow.closed = 'rst';
  if ((tcp.flags & FIN) !== 0) c.finSeen[side] = true;
  if (flow.closed === '' && c.finSeen[0] && c.finSeen[1]) flow.closed = 'fin';
}

function judge(point: Point, side: 0 | 1, tcp: Tcp, timeMs: number): string[] {
  const me = point.halves[side];
  const peer = point.halves[1 - side]!;
  const notes: string[] = [];
  if ((tcp.flags & RST) !== 0) return notes;
  measureRtt(point, tcp, timeMs);
  judgeText(me, peer, tcp, timeMs, point.rttMs, notes);
  if ((tcp.flags & ACK) !== 0) judgeAck(me, peer, tcp, notes);
  const wscale = tcp.options.find((o) => o.kind === 'wscale');
  if ((tcp.flags & SYN) !== 0) me.scale = wscale?.kind === 'wscale' ? Math.min(wscale.shift, 14) : 0;
  return notes;
}

/** The handshake's round trip, wherever the capture point is: from the SYN to the ACK of the SYN-ACK. */
function measureRtt(point: Point, tcp: Tcp, timeMs: number): void {
  if (point.rttMs >= 0) return;
  const kind = tcp.flags & (SYN | ACK);
  if (kind === SYN) point.synMs = timeMs;
  else if (kind === (SYN | ACK)) point.synAckSeen = true;
  else if (kind === ACK && point.synAckSeen && point.synMs >= 0) point.rttMs = timeMs - point.synMs;
}

/** Is the segment's place in the sequence space new, old or too far on? */
function judgeText(me: Half, peer: Half, tcp: Tcp, timeMs: number, rttMs: number, notes: string[]): void {
  const bytes = tcp.length + ((tcp.flags & SYN) !== 0 ? 1 : 0) + ((tcp.flags & FIN) !== 0 ? 1 : 0);
  const end = (tcp.seq + bytes) >>> 0;
  me.probed = false;
  if (!me.known) {
    me.known = true;
    me.next = end;
    return;
  }
  const ahead = diff(tcp.seq, me.next);
  const control = (tcp.flags & (SYN | FIN)) !== 0;
  const allAcked = peer.acked && diff(peer.ack, me.next) >= 0;
  if (!control && bytes <= 1 && ahead === -1 && (allAcked || (bytes === 0 && peer.window === 0))) {
    notes.push(peer.window === 0 ? 'zero-window probe' : 'keep-alive');
    me.probed = true;
  } else if (!control && bytes === 1 && ahead === 0 && peer.window === 0) {
    notes.push('zero-window probe');
    me.probed = true;
  } else if (ahead > 0) {
    notes.push(`gap of ${ahead} bytes`);
    me.gaps.push({ from: me.next, to: tcp.seq, sinceMs: timeMs });
    if (me.gaps.length > GAPS_MAX) me.gaps.shift();
  } else if (ahead < 0 && bytes > 0) {
    notes.push(nameOld(me, peer, tcp.seq, end, timeMs, rttMs));
  }
  if (!me.probed && diff(end, me.next) > 0) me.next = end;
}

/** A segment that begins before the highest byte seen: late, or sent again. */
function nameOld(me: Half, peer: Half, from: number, end: number, timeMs: number, rttMs: number): string {
  for (let i = 0; i < me.gaps.length; i++) {
    const gap = me.gaps[i]!;
    if (diff(from, gap.from) < 0 || diff(end, gap.to) > 0) continue;
    const rest: Gap[] = [];
    if (from !== gap.from) rest.push({ from: gap.from, to: from, sinceMs: gap.sinceMs });
    if (end !== gap.to) rest.push({ from: end, to: gap.to, sinceMs: gap.sinceMs });
    me.gaps.splice(i, 1, ...rest);
    return timeMs - gap.sinceMs < (rttMs > 0 ? rttMs : REORDER_MS) ? 'out of order' : 'retransmission';
  }
  return peer.acked && diff(peer.ack, end) >= 0 ? 'spurious retransmission' : 'retransmission';
}

/** What acknowledgment and window say. */
function judgeAck(me: Half, peer: Half, tcp: Tcp, notes: string[]): void {
  if (peer.known && diff(tcp.ack, peer.next) > 0) {
    // A probe's byte that found room is not news; anything else is a byte that the capture missed.
    if (!(peer.probed && diff(tcp.ack, peer.next) === 1)) notes.push('acks bytes not captured');
    peer.next = tcp.ack;
  }
  const pure = tcp.length === 0 && (tcp.flags & (SYN | FIN)) === 0;
  const same = me.acked && tcp.ack === me.ack;
  const sack = tcp.options.find((o) => o.kind === 'sack');
  const blocks = sack?.kind === 'sack' ? sack.blocks : [];
  if (reportsDuplicate(blocks, tcp.ack)) notes.push('d-sack');
  else if (pure && same && notes.length === 0) judgeRepeatedAck(me, peer, tcp, sackSum(blocks) !== me.sack, notes);
  me.sack = sackSum(blocks);
  if (!same) me.duplicates = 0;
  if (tcp.window === 0 && (tcp.flags & (SYN | FIN)) === 0) notes.push('zero window');
  if (notes.length === 0 && tcp.length > 0 && peer.acked && peer.scale >= 0 && me.scale >= 0 && peer.window > 0) {
    if (diff(me.next, peer.ack) === peer.window * 2 ** peer.scale) notes.push('window full');
  }
  me.acked = true;
  me.ack = tcp.ack;
  me.window = tcp.window;
}

/** A first block below the acknowledgment, or inside the second block, names a duplicate (RFC 2883 §4). */
function reportsDuplicate(blocks: readonly [number, number][], ack: number): boolean {
  const [first, second] = blocks;
  if (first === undefined) return false;
  if (diff(first[1], ack) <= 0) return true;
  return second !== undefined && diff(first[0], second[0]) >= 0 && diff(first[1], second[1]) <= 0;
}

function sackSum(blocks: readonly [number, number][]): number {
  let total = 0;
  for (const [left, right] of blocks) total = (Math.imul(total, 31) + Math.imul(left, 17) + right) | 0;
  return total;
}

function judgeRepeatedAck(me: Half, peer: Half, tcp: Tcp, newSack: boolean, notes: string[]): void {
  const outstanding = diff(peer.next, tcp.ack) > 0;
  // One that newly acknowledges selectively counts even when the window moved as well (RFC 6675 §2).
  if (outstanding && (tcp.window === me.window || newSack)) {
    notes.push(`duplicate ack ${++me.duplicates}`);
  } else if (tcp.window !== me.window) {
    if (tcp.window !== 0) notes.push('window update');
  } else if (peer.probed && tcp.window !== 0) {
    notes.push('keep-alive ack');
  }
}
