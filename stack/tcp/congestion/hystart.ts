import { type Millis, NEVER } from '../../base/bytes';
import type { AckSample } from '../ack-sample';
import type { Connection } from '../connection';
import { SSTHRESH_INFINITE } from '../prr';
import { type Seq, seqAfter } from '../seq';

/** When slow start has found the capacity before it loses packets for it. */
export interface SlowStartExit {
  /** A new round trip, or slow start, begins. */
  reset(c: Connection, now: Millis): void;
  /** An acknowledgment in slow start with a round-trip time sample, `s.rtt`. May set `c.ssthresh` to end it. */
  sampled(c: Connection, s: AckSample, now: Millis): void;
  /** How much of `acked` may grow the window. */
  growth(c: Connection, acked: number): number;
  /** After a timeout nothing is known any more: slow start may be ended again. */
  forget(c: Connection): void;
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

/**
 * HyStart as Linux's CUBIC has it: the length of the ACK train, or a growth of the delay, ends slow start. What it
 * remembers stands in the connection, and there it stays as it was while the window is small.
 */
export class HyStart implements SlowStartExit {
  forget(c: Connection): void {
    c.slowStartFound = false;
  }

  reset(c: Connection, now: Millis): void {
    c.roundStart = c.roundLastAck = now;
    c.roundEnd = c.sndNxt;
    c.roundRtt = NEVER;
    c.roundSamples = 0;
  }

  sampled(c: Connection, s: AckSample, now: Millis): void {
    if (c.slowStartFound) return;
    if (seqAfter(c.sndUna, c.roundEnd)) this.reset(c, now);
    if (c.cwnd < WINDOW_MIN) return;
    train(c, now);
    delay(c, s);
  }

  growth(_c: Connection, acked: number): number {
    return acked;
  }
}

function train(c: Connection, now: Millis): void {
  if (now - c.roundLastAck > TRAIN_GAP) return;
  c.roundLastAck = now;
  let limit = c.minDelay + trainSlack(c);
  // Paced packets are spread over half a round trip anyway.
  if (c.pacingRate === NEVER) limit /= 2;
  if (now - c.roundStart > limit) exit(c);
}

function delay(c: Connection, s: AckSample): void {
  if (s.rtt < c.roundRtt) c.roundRtt = s.rtt;
  if (c.roundSamples < SAMPLES_MIN) c.roundSamples++;
  else if (c.roundRtt > c.minDelay + delayThreshold(c.minDelay)) exit(c);
}

function exit(c: Connection): void {
  c.slowStartFound = true;
  c.ssthresh = c.cwnd;
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
/** §4.3, L: of one acknowledgment no more counts where packets are not paced, or what it lets out is a burst. */
const UNPACED_GROWTH_MAX = 8;

/** HyStart++ (RFC 9406): a growth of the delay slows slow start down; only if it lasts is it ended. */
export class HyStartPlusPlus implements SlowStartExit {
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
    // §4.3: for the first slow start only; later ones know from their threshold where to end.
    if (c.ssthresh < SSTHRESH_INFINITE) return this.forget();
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

  growth(c: Connection, acked: number): number {
    const counted = c.pacingRate === NEVER ? Math.min(acked, UNPACED_GROWTH_MAX) : acked;
    if (this.rounds === 0) return counted;
    this.credit += counted;
    const packets = Math.floor(this.credit / CSS_GROWTH_DIVISOR);
    this.credit -= packets * CSS_GROWTH_DIVISOR;
    return packets;
  }
}

/** Slow start ends with a loss. */
export class NoHyStart implements SlowStartExit {
  reset(): void {}
  sampled(): void {}
  forget(): void {}
  growth(_c: Connection, acked: number): number {
    return acked;
  }
}
