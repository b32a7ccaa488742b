import { type Millis, NEVER } from '../../base/bytes';
import type { AckSample } from '../ack-sample';
import type { Connection } from '../connection';
import { type Seq, seqAfter } from '../seq';

/** When slow start has found the capacity before it loses packets for it. */
export interface SlowStartExit {
  /** A new round trip, or slow start, begins. */
  reset(c: Connection, now: Millis): void;
  /** The shortest round trip known: set before `sampled`, as a field, since arguments with a fraction are boxed. */
  minRtt: Millis;
  /** An acknowledgment in slow start with a round-trip time sample, `s.rtt`. May set `c.ssthresh` to end it. */
  sampled(c: Connection, s: AckSample, now: Millis): void;
  /** How much of `acked` may grow the window. */
  growth(c: Connection, acked: number): number;
  /** After a timeout nothing is known any more: slow start may be ended again. */
  forget(): void;
}

/** Below so many packets both are off: short flights tell nothing. */
const WINDOW_MIN = 16;
const SAMPLES_MIN = 8;
const DELAY_MIN: Millis = 4;
const DELAY_MAX: Millis = 16;
/** ACKs closer than this belong to one train. */
const TRAIN_GAP: Millis = 2;
/** What a sender's own batching may add to a train: four maximal super-segments at the pacing rate, 1 ms at most. */
const TRAIN_SLACK_BYTES = 4 * 65_536;

const delayThreshold = (delay: Millis): Millis => Math.min(Math.max(delay / 8, DELAY_MIN), DELAY_MAX);

/** HyStart as Linux's CUBIC has it: the length of the ACK train, or a growth of the delay, ends slow start. */
export class HyStart implements SlowStartExit {
  minRtt: Millis = 0;
  private found = false;
  private roundStart: Millis = 0;
  private roundEnd = 0 as Seq;
  private lastAck: Millis = 0;
  private roundRtt: Millis = NEVER;
  private samples = 0;

  forget(): void {
    this.found = false;
  }

  reset(c: Connection, now: Millis): void {
    this.roundStart = this.lastAck = now;
    this.roundEnd = c.sndNxt;
    this.roundRtt = NEVER;
    this.samples = 0;
  }

  sampled(c: Connection, s: AckSample, now: Millis): void {
    if (this.found) return;
    if (seqAfter(c.sndUna, this.roundEnd)) this.reset(c, now);
    if (c.cwnd < WINDOW_MIN) return;
    this.train(c, now);
    this.delay(c, s);
  }

  private train(c: Connection, now: Millis): void {
    if (now - this.lastAck > TRAIN_GAP) return;
    this.lastAck = now;
    let limit = this.minRtt + trainSlack(c);
    // Paced packets are spread over half a round trip anyway.
    if (c.pacingRate === NEVER) limit /= 2;
    if (now - this.roundStart > limit) this.exit(c);
  }

  private delay(c: Connection, s: AckSample): void {
    if (s.rtt < this.roundRtt) this.roundRtt = s.rtt;
    if (this.samples < SAMPLES_MIN) this.samples++;
    else if (this.roundRtt > this.minRtt + delayThreshold(this.minRtt)) this.exit(c);
  }

  private exit(c: Connection): void {
    this.found = true;
    c.ssthresh = c.cwnd;
  }

  growth(_c: Connection, acked: number): number {
    return acked;
  }
}

/** Linux's pacing rate in slow start is twice the window a round trip, else 1.2 times. */
function trainSlack(c: Connection): Millis {
  if (c.srtt === 0) return 0;
  const factor = c.cwnd < c.ssthresh / 2 ? 2 : 1.2;
  const rate = (factor * Math.max(c.cwnd, c.packetsOut) * c.mss) / c.srtt;
  return Math.min(1, TRAIN_SLACK_BYTES / rate);
}

const CSS_ROUNDS = 5;
const CSS_GROWTH_DIVISOR = 4;

/** HyStart++ (RFC 9406): a growth of the delay slows slow start down; only if it lasts is it ended. */
export class HyStartPlusPlus implements SlowStartExit {
  minRtt: Millis = 0;
  private roundEnd = 0 as Seq;
  private lastRoundRtt: Millis = NEVER;
  private roundRtt: Millis = NEVER;
  private samples = 0;
  /** Conservative slow start: rounds left, 0 in ordinary slow start; and the delay that began it. */
  private rounds = 0;
  private baseline: Millis = NEVER;
  /** Acknowledged packets that have not grown the window yet. */
  private credit = 0;

  forget(): void {
    this.rounds = 0;
    this.credit = 0;
    this.roundRtt = this.lastRoundRtt = NEVER;
  }

  reset(c: Connection): void {
    this.roundEnd = c.sndNxt;
    this.lastRoundRtt = this.roundRtt;
    this.roundRtt = NEVER;
    this.samples = 0;
  }

  sampled(c: Connection, s: AckSample): void {
    if (!seqAfter(this.roundEnd, c.sndUna)) {
      // §4.3: five rounds of it, and slow start is over.
      if (this.rounds > 0 && --this.rounds === 0) c.ssthresh = c.cwnd;
      this.reset(c);
    }
    if (s.rtt < this.roundRtt) this.roundRtt = s.rtt;
    if (++this.samples < SAMPLES_MIN) return;
    if (this.rounds > 0) {
      // §4.3: the delay has gone again, so it was jitter.
      if (this.roundRtt < this.baseline) this.rounds = 0;
    } else if (this.lastRoundRtt !== NEVER && this.roundRtt >= this.lastRoundRtt + delayThreshold(this.lastRoundRtt)) {
      this.baseline = this.roundRtt;
      this.rounds = CSS_ROUNDS;
    }
  }

  growth(_c: Connection, acked: number): number {
    if (this.rounds === 0) return acked;
    this.credit += acked;
    const packets = Math.floor(this.credit / CSS_GROWTH_DIVISOR);
    this.credit -= packets * CSS_GROWTH_DIVISOR;
    return packets;
  }
}

/** Slow start ends with a loss. */
export class NoHyStart implements SlowStartExit {
  minRtt: Millis = 0;
  reset(): void {}
  sampled(): void {}
  forget(): void {}
  growth(_c: Connection, acked: number): number {
    return acked;
  }
}
