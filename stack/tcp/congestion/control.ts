import type { Millis } from '../../base/bytes';
import type { AckSample } from '../ack-sample';
import type { Connection, RecoveryState } from '../connection';

/**
 * A congestion controller. What it has to remember of a connection stands there or, if much, in an object of its own.
 * Loss recovery decides what was delivered and lost; the controller decides how much may be in flight (`c.cwnd`,
 * `c.ssthresh`, in packets) and, if it paces, how fast (`c.pacingRate`). Nothing here allocates per acknowledgment.
 */
export interface CongestionControl {
  readonly name: string;
  /** It sets cwnd itself on every acknowledgment (`control`), in recovery as well; PRR and `acknowledged` are not used. */
  readonly controlsWindow: boolean;
  /** The connection is established. */
  start(c: Connection, now: Millis): void;
  /** `acked` packets were delivered while nothing is being reduced: slow start or congestion avoidance. */
  acknowledged(c: Connection, acked: number, now: Millis): void;
  /** Every acknowledgment, before the above: `s.acked` packets left the scoreboard; `s.rtt` is -1 without a sample. */
  sampled(c: Connection, s: AckSample, now: Millis): void;
  /** A congestion event: the new slow start threshold, in packets (RFC 5681 §3.1, equation 4 or the like). */
  threshold(c: Connection, now: Millis): number;
  /** The reduction was needless: the window to return to. */
  restored(c: Connection, now: Millis): number;
  /** The recovery state is about to change; `c.recovery` is still the old one. */
  stateChanges(c: Connection, state: RecoveryState, now: Millis): void;
  /** The retransmission timer went off. */
  timedOut(c: Connection, now: Millis): void;
  /** A reduction (CWR or Recovery) is over. */
  reduced(c: Connection, now: Millis): void;
  /** Text goes out with nothing in flight; `c.lastTextSentAt` is when the last did before. */
  resumes(c: Connection, now: Millis): void;
  /** After a long pause cwnd starts again. */
  restarts(c: Connection, now: Millis): void;
  /** Only with `controlsWindow`: an acknowledgment, complete with its rate sample. */
  control(c: Connection, s: AckSample, now: Millis): void;
  /** Packets that one super-segment may have. */
  segmentsMax(c: Connection): number;
  /** What it believes, by name, for those who look (Linux's TCP_CC_INFO); null: nothing that tcpInfo does not say. */
  beliefs(c: Connection): Readonly<Record<string, number>> | null;
}

/** What most controllers do not care about. */
export abstract class Controller implements CongestionControl {
  abstract readonly name: string;
  get controlsWindow(): boolean {
    return false;
  }
  abstract acknowledged(c: Connection, acked: number, now: Millis): void;
  abstract threshold(c: Connection, now: Millis): number;
  start(_c: Connection, _now: Millis): void {}
  sampled(_c: Connection, _s: AckSample, _now: Millis): void {}
  restored(c: Connection, _now: Millis): number {
    return Math.max(c.cwnd, c.priorCwnd);
  }
  stateChanges(_c: Connection, _state: RecoveryState, _now: Millis): void {}
  timedOut(_c: Connection, _now: Millis): void {}
  reduced(_c: Connection, _now: Millis): void {}
  resumes(_c: Connection, _now: Millis): void {}
  restarts(_c: Connection, _now: Millis): void {}
  control(_c: Connection, _s: AckSample, _now: Millis): void {}
  segmentsMax(_c: Connection): number {
    return Number.POSITIVE_INFINITY;
  }
  beliefs(_c: Connection): Readonly<Record<string, number>> | null {
    return null;
  }
}

/** RFC 5681 §3.1, slow start: grows by what was acknowledged, to ssthresh at most. Returns what is left of `acked`. */
export function slowStart(c: Connection, acked: number): number {
  const cwnd = Math.min(c.cwnd + acked, c.ssthresh);
  const left = acked - (cwnd - c.cwnd);
  c.cwnd = cwnd;
  return left;
}

/** Additive increase: one packet for every `window` acknowledged. */
export function additiveIncrease(c: Connection, window: number, acked: number): void {
  // Credit from a larger window counts as one packet only.
  if (c.cwndCredit >= window) {
    c.cwndCredit = 0;
    c.cwnd++;
  }
  c.cwndCredit += acked;
  if (c.cwndCredit >= window) {
    const packets = Math.floor(c.cwndCredit / window);
    c.cwndCredit -= packets * window;
    c.cwnd += packets;
  }
}
