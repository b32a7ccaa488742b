import type { Millis } from '../base/bytes';
import type { Connection } from './connection';

/**
 * A congestion controller. Loss recovery decides what was delivered and lost; the controller decides how much may be in
 * flight. One object serves all connections that use it: per-connection state lives on what `start` returns.
 */
export interface CongestionControl {
  readonly name: string;
  /** The connection is established. */
  start(c: Connection, now: Millis): void;
  /** `acked` packets left the network in order while not recovering from loss: slow start or congestion avoidance. */
  acknowledged(c: Connection, acked: number, rtt: Millis, now: Millis): void;
  /** A congestion event: the new slow start threshold, in packets (RFC 5681 §3.1, equation 4 or the like). */
  threshold(c: Connection, now: Millis): number;
  /** The recovery turned out to be spurious, or its state changed. */
  undo(c: Connection, now: Millis): void;
}

/** RFC 5681 and 6582. */
export class Reno implements CongestionControl {
  readonly name = 'reno';
  private readonly credits = new WeakMap<Connection, number>();

  start(): void {}

  acknowledged(c: Connection, acked: number): void {
    if (c.cwnd < c.ssthresh) {
      const grown = Math.min(c.cwnd + acked, c.ssthresh);
      acked -= grown - c.cwnd;
      c.cwnd = grown;
      if (acked === 0) return;
    }
    const credit = (this.credits.get(c) ?? 0) + acked;
    const steps = Math.floor(credit / c.cwnd);
    c.cwnd += steps;
    this.credits.set(c, credit - steps * c.cwnd);
  }

  threshold(c: Connection): number {
    return Math.max(c.cwnd >> 1, 2);
  }

  undo(): void {}
}
