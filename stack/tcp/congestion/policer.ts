import type { Millis } from '../../base/bytes';
import type { Connection } from '../connection';

/** In round trips: the shortest and longest interval looked at, and how long its rate is believed. */
const ROUNDS_MIN = 4;
const ROUNDS_MAX = 16;
const ROUNDS_BELIEVED = 48;
/** Lost for each delivered: more than links lose by themselves. */
export const LOSS_RATIO = 50 / 256;
const SAME_RATIO = 1 / 8;
/** Bytes a millisecond. */
const SAME_BYTES = 0.5;

/**
 * Finds token-bucket policers for BBR: two intervals between losses in a row, with many losses each and the same rate, show
 * that this rate is all that is let through. Rates are packets a millisecond.
 */
export class PolicerSampler {
  /** The rate; in force while `using`. */
  rate = 0;
  using = false;
  private sampling = false;
  private rounds = 0;
  private lastAt: Millis = 0;
  private lastDelivered = 0;
  private lastLost = 0;

  reset(c: Connection): void {
    this.rate = 0;
    this.using = false;
    this.sampling = false;
    this.startInterval(c);
  }

  private startInterval(c: Connection): void {
    this.lastAt = c.deliveredAt;
    this.lastDelivered = c.delivered;
    this.lastLost = c.lost;
    this.rounds = 0;
  }

  /** An acknowledgment, or a timeout. Returns true when the rate was believed for long enough and is to be probed again. */
  sample(c: Connection, losses: number, appLimited: boolean, roundStart: boolean, probing: boolean): boolean {
    if (this.using) {
      if (!probing || !roundStart || ++this.rounds < ROUNDS_BELIEVED) return false;
      this.reset(c);
      return true;
    }
    // The first loss says that the bucket is empty.
    if (!this.sampling) {
      if (losses === 0) return false;
      this.startInterval(c);
      this.sampling = true;
    }
    if (appLimited) {
      this.reset(c);
      return false;
    }
    if (roundStart) this.rounds++;
    if (this.rounds < ROUNDS_MIN) return false;
    if (this.rounds > ROUNDS_MAX) this.reset(c);
    else if (losses > 0) this.endInterval(c);
    return false;
  }

  private endInterval(c: Connection): void {
    const lost = c.lost - this.lastLost;
    const delivered = c.delivered - this.lastDelivered;
    const time = c.deliveredAt - this.lastAt;
    if (delivered <= 0 || lost < LOSS_RATIO * delivered || time < 1) return;
    const rate = delivered / time;
    if (this.rate > 0) {
      const difference = Math.abs(rate - this.rate);
      if (difference <= SAME_RATIO * this.rate || difference * c.mss <= SAME_BYTES) {
        this.rate = (rate + this.rate) / 2;
        this.using = true;
        this.rounds = 0;
        return;
      }
    }
    this.rate = rate;
    this.startInterval(c);
  }
}
