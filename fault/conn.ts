import type { Bytes, Millis } from '../stack/base/bytes';
import { Coverage, Reassembly } from './coverage';
import type { Exchange, Exchanges } from './exchanges';
import type { Dir, EndName, TcpState } from './match';
import { type MessageMap, StreamReader } from './messages';
import { ACK, FIN, RST, type Segment, SYN } from './segment';

/** An end of the wire, as a middlebox between two devices sees it. */
export type Side = 'left' | 'right';
export const otherSide = (side: Side): Side => (side === 'left' ? 'right' : 'left');

const OPTION_WINDOW_SCALE = 3;
const TIME_WAIT_MS = 60_000;
const TLS_HEADER = 5;

/** Bytes that were put into a direction, before the original byte at `at`. */
interface Insertion {
  readonly at: number;
  readonly bytes: number;
}

/**
 * One end of a connection as an observer in the middle sees it: what it sent (offsets from 0 count text; SYN is before
 * them) and what was delivered to it.
 */
export class End {
  state: TcpState = 'CLOSED';
  /** Its initial sequence number, and whether it is known. */
  isn = 0;
  known = false;
  scale = 0;
  /** Behind the last byte of text that it sent. */
  sent = 0;
  /** Offset of the FIN that it sent; -1: none. */
  finSent = -1;
  /** What its peer's stream brought to it, in the numbers that it sees. */
  readonly got = new Coverage();
  finGot = false;
  /** The last acknowledgment number and window that it sent. */
  lastAck = 0;
  lastWindow = 65_535;
  /** The last segment that it sent, a template for forging. */
  last: Segment | null = null;
  /** Text of its own that was put into its stream by rules. */
  readonly insertions: Insertion[] = [];
  readonly text = new Reassembly();
  readonly reader: StreamReader;
  /** Behind each TLS record of its stream, as far as it was read; null: it is no TLS. */
  tls: number[] | null = [];
  private tlsAt = 0;
  private tlsHead: number[] = [];
  timeWaitAt: Millis = 0;

  constructor(reader: StreamReader) {
    this.reader = reader;
  }

  /** The offset of a sequence number of its own, near what it sent last. */
  offset(seq: number): number {
    return this.sent + ((seq - ((this.isn + 1 + this.sent) | 0)) | 0);
  }
  /** The number on the wire, insertions counted, of an offset of its own. */
  wireSeq(offset: number): number {
    return (this.isn + 1 + offset + this.insertedBefore(offset)) | 0;
  }
  insertedBefore(offset: number): number {
    let bytes = 0;
    for (const insertion of this.insertions) if (insertion.at <= offset) bytes += insertion.bytes;
    return bytes;
  }
  /** The end's own number for one on the wire: what its peer acknowledges, told to it. */
  ownSeq(wire: number): number {
    if (this.insertions.length === 0) return wire;
    let offset = this.sent + ((wire - this.wireSeq(this.sent)) | 0) + this.insertedBefore(this.sent);
    let shift = 0;
    for (const { at, bytes } of this.insertions) {
      if (offset - shift <= at) break;
      offset = Math.max(offset, 0);
      shift += Math.min(bytes, offset - shift - at);
    }
    return (this.isn + 1 + offset - shift) | 0;
  }
  /** What the end expects next, as it numbers its peer's stream. */
  rcvNxt(peer: End): number {
    return (peer.isn + 1 + this.got.next + (this.finGot ? 1 : 0)) | 0;
  }
  /** The next number that the end would send, as it counts itself. */
  ownNxt(): number {
    return (this.isn + 1 + this.sent + (this.finSent >= 0 ? 1 : 0)) | 0;
  }
  /** The same as its peer sees it. */
  sndNxt(): number {
    return (this.wireSeq(this.sent) + (this.finSent >= 0 ? 1 : 0)) | 0;
  }

  readTls(b: Bytes, at: number, end: number): void {
    const records = this.tls;
    if (records === null) return;
    for (let p = at; p < end; ) {
      if (this.tlsAt > 0) {
        const step = Math.min(this.tlsAt, end - p);
        this.tlsAt -= step;
        p += step;
        if (this.tlsAt === 0) records.push(this.text.next - (end - p));
        continue;
      }
      this.tlsHead.push(b[p++]!);
      if (this.tlsHead.length < TLS_HEADER) continue;
      const [type, major, , high, low] = this.tlsHead as [number, number, number, number, number];
      this.tlsHead = [];
      this.tlsAt = high * 256 + low;
      if (type < 20 || type > 24 || major !== 3 || this.tlsAt === 0) {
        this.tls = null;
        return;
      }
    }
    if (records.length > 4096) this.tls = null;
  }
}

/** What a segment brought, as its sender meant it. */
export interface Seen {
  /** Offsets of its text. */
  readonly from: number;
  readonly to: number;
  /** Some of the text was never sent before. */
  readonly fresh: boolean;
  /** A keep-alive probe: nothing new, one before the next number. */
  readonly probe: boolean;
  readonly fin: boolean;
  readonly handshake: 'syn' | 'syn-ack' | 'ack' | null;
}

/** A TCP connection, watched. `c` is the end that opened it (or, seen too late for that, the one on the left). */
export class Conn {
  readonly c: End;
  readonly s: End;
  /** When text last passed. */
  activeAt: Millis;
  openedAt: Millis;
  /** Requests answered. */
  served = 0;
  /** Requests that began. */
  asked = 0;
  /** The latest of them. */
  readonly exchanges: Exchange[] = [];
  handshakeDone = false;
  /** Both ends are done with it, or one was reset. */
  over = false;
  /** Segments seen, by direction. */
  readonly counts: Record<Dir, number> = { c2s: 0, s2c: 0 };

  constructor(
    readonly id: number,
    readonly opener: Side,
    readonly key: string,
    now: Millis,
    log: Exchanges,
  ) {
    this.openedAt = this.activeAt = now;
    const listener = log.listener(this);
    this.c = new End(new StreamReader('req', listener));
    this.s = new End(new StreamReader('res', listener));
  }

  dirFrom(side: Side): Dir {
    return side === this.opener ? 'c2s' : 's2c';
  }
  sideOf(end: EndName): Side {
    return end === 'c' ? this.opener : otherSide(this.opener);
  }
  sender(dir: Dir): End {
    return dir === 'c2s' ? this.c : this.s;
  }
  receiver(dir: Dir): End {
    return dir === 'c2s' ? this.s : this.c;
  }
  /** The exchange under way, or null between two. */
  get open(): Exchange | null {
    return this.exchanges.find((exchange) => exchange.outcome === 'open') ?? null;
  }
  messages(side: 'req' | 'res'): readonly MessageMap[] {
    return (side === 'req' ? this.c : this.s).reader.messages;
  }

  stateOf(end: EndName, now: Millis): TcpState {
    const e = this[end];
    if (e.state === 'TIME-WAIT' && now - e.timeWaitAt >= TIME_WAIT_MS) e.state = 'CLOSED';
    return e.state;
  }

  // ── an end sent a segment: it has come to the middle ──

  sees(dir: Dir, seg: Segment, now: Millis): Seen {
    const end = this.sender(dir);
    this.counts[dir]++;
    if (seg.has(SYN)) return this.seesSyn(end, dir, seg);
    if (!end.known) {
      end.known = true;
      end.isn = (seg.seq - 1) | 0;
    }
    const from = end.offset(seg.seq);
    const to = from + seg.length;
    const fresh = to > end.sent && seg.length > 0;
    const probe = seg.length <= 1 && from === end.sent - 1 && !seg.has(FIN) && !seg.has(RST);
    if (seg.has(ACK)) {
      end.lastAck = seg.ack;
      end.lastWindow = seg.window;
    }
    end.last = seg;
    const third = dir === 'c2s' && !this.handshakeDone && seg.has(ACK) && !seg.has(RST) && this.s.known;
    if (third) this.handshakeDone = true;
    if (fresh) {
      end.sent = to;
      this.activeAt = now;
      this.readText(end, from, seg);
    }
    if (seg.has(FIN) && end.finSent < 0) {
      end.finSent = to;
      end.state = end.state === 'CLOSE-WAIT' ? 'LAST-ACK' : 'FIN-WAIT-1';
      end.reader.finish();
    }
    if (third && end.state === 'SYN-SENT') end.state = 'ESTABLISHED';
    if (seg.has(RST)) this.gaveUp(dir === 'c2s' ? 'c' : 's');
    return { from, to, fresh, probe, fin: seg.has(FIN), handshake: third ? 'ack' : null };
  }

  private seesSyn(end: End, dir: Dir, seg: Segment): Seen {
    end.known = true;
    end.isn = seg.seq;
    const at = seg.option(OPTION_WINDOW_SCALE);
    end.scale = at < 0 ? 0 : Math.min(14, seg.frame[at + 2]!);
    end.last = seg;
    end.lastWindow = seg.window;
    if (seg.has(ACK)) end.lastAck = seg.ack;
    if (end.state === 'CLOSED' || end.state === 'LISTEN') end.state = dir === 'c2s' ? 'SYN-SENT' : 'SYN-RECEIVED';
    if (seg.length > 0) {
      end.sent = seg.length;
      this.readText(end, 0, seg);
    }
    const handshake = dir === 'c2s' ? 'syn' : 'syn-ack';
    return { from: 0, to: seg.length, fresh: seg.length > 0, probe: false, fin: seg.has(FIN), handshake };
  }

  private readText(end: End, from: number, seg: Segment): void {
    end.text.add(from, seg.frame, seg.textAt, seg.end, (b, at, stop) => {
      end.reader.read(b, at, stop);
      end.readTls(b, at, stop);
    });
  }

  // ── a segment, as it now is, leaves for an end ──

  delivers(dir: Dir, seg: Segment, now: Millis): void {
    const to = this.receiver(dir);
    const from = this.sender(dir);
    if (seg.has(RST)) {
      const exact = seg.seq === to.rcvNxt(from) || to.state === 'SYN-SENT';
      if (exact) this.resets(to);
      return;
    }
    if (seg.has(SYN)) {
      if (dir === 'c2s' && to.state === 'CLOSED' && !to.known) to.state = 'LISTEN';
      if (dir === 's2c' && to.state === 'SYN-SENT') to.state = 'ESTABLISHED';
      if (seg.length > 0) to.got.add(0, seg.length);
      return;
    }
    if (to.state === 'SYN-RECEIVED') to.state = 'ESTABLISHED';
    const offset = to.got.next + ((seg.seq - ((from.isn + 1 + to.got.next) | 0)) | 0);
    to.got.add(offset, offset + seg.length);
    if (seg.has(ACK) && to.finSent >= 0 && ((seg.ack - to.ownNxt()) | 0) >= 0) this.finAcknowledged(to, now);
    if (seg.has(FIN) && !to.finGot && to.got.next >= offset + seg.length) this.finArrives(to, now);
  }

  private resets(end: End): void {
    end.state = 'CLOSED';
    end.reader.finish();
    this.over = true;
    for (const exchange of this.exchanges) if (exchange.outcome === 'open') exchange.outcome = 'cut';
  }

  private finArrives(end: End, now: Millis): void {
    end.finGot = true;
    if (end.state === 'ESTABLISHED' || end.state === 'SYN-RECEIVED') end.state = 'CLOSE-WAIT';
    else if (end.state === 'FIN-WAIT-1') end.state = 'CLOSING';
    else if (end.state === 'FIN-WAIT-2') this.waits(end, now);
    if (this.c.finGot && this.s.finGot) this.ends();
    // Nothing more can come for the request that is open.
    if (end === this.c)
      for (const exchange of this.exchanges) if (exchange.outcome === 'open') exchange.outcome = 'cut';
  }

  private finAcknowledged(end: End, now: Millis): void {
    if (end.state === 'FIN-WAIT-1') end.state = 'FIN-WAIT-2';
    else if (end.state === 'CLOSING') this.waits(end, now);
    else if (end.state === 'LAST-ACK') end.state = 'CLOSED';
  }

  private waits(end: End, now: Millis): void {
    end.state = 'TIME-WAIT';
    end.timeWaitAt = now;
  }

  private ends(): void {
    this.over = true;
    for (const exchange of this.exchanges) if (exchange.outcome === 'open') exchange.outcome = 'cut';
  }

  /** An end sent a reset and knows the connection no more. */
  gaveUp(end: EndName): void {
    this[end].state = 'CLOSED';
    this.ends();
  }
}
