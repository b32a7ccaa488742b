import type { Side } from './conn';
import { dirFrom, type Flow } from './flow';
import type { Dir } from './match';
import type { Medium } from './medium';
import { ACK, RST, type Segment, SYN } from './segment';
import type { Trace } from './trace';

/** How segments leave the engine: in the order of their lane, in the numbers of their receiver. */
export class Departures {
  constructor(
    private readonly medium: Medium,
    private readonly trace: Trace,
    /** Windows that a rule has set, of hosts. */
    private readonly windows: Readonly<Record<Side, number | null>>,
  ) {}

  /** A segment that its sender sent goes on: its numbers are shifted for what was put into the streams. */
  pass(flow: Flow, dir: Dir, seg: Segment, delayMs = 0, label = ''): void {
    const pieces = this.splitAtInsertions(flow, dir, seg);
    for (const piece of pieces) {
      const mapped = this.mapped(flow, dir, piece);
      flow.lanes[dir].enter(() => this.leave(flow, dir, mapped, 'delivered', label), delayMs);
    }
  }

  private splitAtInsertions(flow: Flow, dir: Dir, seg: Segment): Segment[] {
    const from = flow.conn.sender(dir);
    if (from.insertions.length === 0 || seg.length === 0) return [seg];
    const begin = from.offset(seg.seq);
    const pieces: Segment[] = [];
    let done = 0;
    for (const { at } of from.insertions) {
      const cut = at - begin;
      if (cut <= done || cut >= seg.length) continue;
      pieces.push(seg.slice(done, cut));
      done = cut;
    }
    pieces.push(done === 0 ? seg : seg.slice(done, seg.length));
    return pieces;
  }

  /** In the numbers of the receiver. */
  mapped(flow: Flow, dir: Dir, seg: Segment): Segment {
    const { conn } = flow;
    const from = conn.sender(dir);
    const to = conn.receiver(dir);
    const forgedFin = flow.played !== null && dir !== dirFrom(flow.played);
    const host = this.windows[conn.sideOf(dir === 'c2s' ? 'c' : 's')];
    if (from.insertions.length === 0 && to.insertions.length === 0 && !forgedFin && host === null) return seg;
    const made = seg.copy();
    if (!made.has(SYN)) made.seq = from.wireSeq(from.offset(seg.seq));
    if (made.has(ACK) && !made.has(SYN)) {
      const limit = (to.isn + 1 + Math.min(to.sent, flow.cutAt) + (to.finSent >= 0 && !forgedFin ? 1 : 0)) | 0;
      const own = to.ownSeq(seg.ack);
      made.ack = ((own - limit) | 0) > 0 ? limit : own;
      made.mapSack((edge) => to.ownSeq(edge));
    }
    if (host !== null && !made.has(RST)) made.window = Math.min(0xffff, made.has(SYN) ? host : host >>> from.scale);
    return made.seal();
  }

  leave(flow: Flow, dir: Dir, seg: Segment, kind: 'delivered' | 'forged' | 'answered', label: string): void {
    const { conn } = flow;
    const now = this.medium.now();
    const to = conn.sideOf(dir === 'c2s' ? 's' : 'c');
    conn.delivers(dir, seg, now);
    const forged = kind !== 'delivered';
    this.trace.segment(
      now,
      forged ? 'forged' : 'delivered',
      to,
      conn,
      dir,
      seg,
      kind === 'answered' ? `${label}answer for the peer` : label,
    );
    this.medium.deliver(to, seg.frame);
  }

  /** A segment that nobody sent, made at the very moment when it leaves. */
  forged(flow: Flow, dir: Dir, make: () => Segment | null, kind: 'forged' | 'answered', label = ''): void {
    const send = (): void => {
      const seg = make();
      if (seg !== null) this.leave(flow, dir, seg, kind, label);
    };
    // A gate holds what the hosts sent, not what a rule sends.
    if (flow.lanes[dir].gates.size > 0) this.medium.at(this.medium.now() + this.medium.wakeGapMs, send);
    else flow.lanes[dir].enter(send);
  }
}
