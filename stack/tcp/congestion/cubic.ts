import type { Millis } from '../../base/bytes';
import type { AckSample } from '../ack-sample';
import type { Connection, RecoveryState } from '../connection';
import { isWindowUsed } from '../window-use';
import { additiveIncrease, Controller, slowStart } from './control';
import { HyStart, HyStartPlusPlus, NoHyStart, type SlowStartExit } from './hystart';

/** RFC 9438 with Linux's constants and arithmetic: beta 717/1024, C 0.4 (410/1024), time in units of 1/1024 s. */
const SCALE = 1024;
const BETA = 717;
const C_SCALED = 410;
/** The packets that Reno acknowledges for one more, relative to the window, in eighths: 3 (1 - beta) / (1 + beta). */
const FRIENDLY_SCALE = Math.floor((8 * (SCALE + BETA)) / 3 / (SCALE - BETA));
const TICK = 2 ** 40;
/** At least so long passes between two evaluations at the same window. */
const SAME_WINDOW_MS = 31;
/** While no capacity is known: 5 % a round trip. */
const UNKNOWN_COUNT_MAX = 20;
const NEVER_GROWS = 100;
/** Delays right after a recovery are those of its queue. */
const AFTER_RECOVERY_MS = 1000;

/** Which way slow start is ended early. */
export type SlowStartExitName = 'linux' | 'rfc9406' | 'off';

/** CUBIC (RFC 9438), as Linux has it: the window follows a cubic function of the time since the last reduction. */
export class Cubic extends Controller {
  readonly name = 'cubic';
  /** Packets acknowledged for one more. */
  private count = 0;
  private lastMax = 0;
  private lastWindow = 0;
  private lastAt: Millis = 0;
  private origin = 0;
  /** Time to reach `origin`, in 1/1024 s. */
  private k = 0;
  private minDelay: Millis = 0;
  /** When the current growth began, or -1. */
  private epoch: Millis = -1;
  private ackedInEpoch = 0;
  /** The window that Reno would have. */
  private renoWindow = 0;
  private readonly exit: SlowStartExit;

  constructor(exit: SlowStartExitName) {
    super();
    this.exit = exit === 'linux' ? new HyStart() : exit === 'rfc9406' ? new HyStartPlusPlus() : new NoHyStart();
  }

  override start(c: Connection, now: Millis): void {
    this.forget();
    this.exit.reset(c, now);
  }

  private forget(): void {
    this.count = this.lastMax = this.lastWindow = this.lastAt = 0;
    this.origin = this.k = this.minDelay = this.ackedInEpoch = this.renoWindow = 0;
    this.epoch = -1;
    this.exit.forget();
  }

  acknowledged(c: Connection, acked: number, now: Millis): void {
    if (!isWindowUsed(c)) return;
    if (c.cwnd < c.ssthresh) {
      acked = slowStart(c, this.exit.growth(c, acked));
      if (acked === 0) return;
    }
    this.update(c.cwnd, acked, Math.floor(now));
    additiveIncrease(c, this.count, acked);
  }

  /** RFC 9438 §4.2 to §4.5: how many packets must be acknowledged for the window to grow by one. */
  private update(cwnd: number, acked: number, now: Millis): void {
    this.ackedInEpoch += acked;
    if (this.lastWindow === cwnd && now - this.lastAt <= SAME_WINDOW_MS) return;
    // The function is evaluated once a millisecond; Reno's window counts every packet.
    if (this.epoch < 0 || now !== this.lastAt) this.follow(cwnd, acked, now);
    this.keepUpWithReno(cwnd);
    // At most one packet for every two: 1.5 times a round trip.
    this.count = Math.max(this.count, 2);
  }

  private follow(cwnd: number, acked: number, now: Millis): void {
    this.lastWindow = cwnd;
    this.lastAt = now;
    if (this.epoch < 0) this.beginEpoch(cwnd, acked, now);
    const elapsed = Math.floor(((now - this.epoch + Math.ceil(this.minDelay)) * SCALE) / 1000);
    const distance = Math.abs(elapsed - this.k);
    const change = Math.floor((C_SCALED * distance * distance * distance) / TICK);
    const target = elapsed < this.k ? this.origin - change : this.origin + change;
    this.count = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : NEVER_GROWS * cwnd;
    if (this.lastMax === 0 && this.count > UNKNOWN_COUNT_MAX) this.count = UNKNOWN_COUNT_MAX;
  }

  private beginEpoch(cwnd: number, acked: number, now: Millis): void {
    this.epoch = now;
    this.ackedInEpoch = acked;
    this.renoWindow = cwnd;
    if (this.lastMax <= cwnd) {
      this.k = 0;
      this.origin = cwnd;
    } else {
      this.k = Math.floor(Math.cbrt((TICK / C_SCALED) * (this.lastMax - cwnd)));
      this.origin = this.lastMax;
    }
  }

  /** RFC 9438 §4.3: never slower than Reno would be. */
  private keepUpWithReno(cwnd: number): void {
    const perPacket = Math.floor((cwnd * FRIENDLY_SCALE) / 8);
    if (perPacket > 0 && this.ackedInEpoch > perPacket) {
      const packets = Math.ceil(this.ackedInEpoch / perPacket) - 1;
      this.ackedInEpoch -= packets * perPacket;
      this.renoWindow += packets;
    }
    if (this.renoWindow <= cwnd) return;
    const most = Math.floor(cwnd / (this.renoWindow - cwnd));
    if (this.count > most) this.count = most;
  }

  override sampled(c: Connection, s: AckSample, now: Millis): void {
    if (s.rtt < 0) return;
    if (this.epoch >= 0 && Math.floor(now) - this.epoch < AFTER_RECOVERY_MS) return;
    const delay = Math.max(s.rtt, 0.001);
    if (this.minDelay === 0 || this.minDelay > delay) this.minDelay = delay;
    if (c.cwnd >= c.ssthresh) return;
    this.exit.minRtt = this.minDelay;
    this.exit.sampled(c, s, now);
  }

  /** RFC 9438 §4.6 and §4.7, fast convergence: a window that did not reach the last one leaves room for others. */
  threshold(c: Connection): number {
    this.epoch = -1;
    this.lastMax = c.cwnd < this.lastMax ? Math.floor((c.cwnd * (SCALE + BETA)) / (2 * SCALE)) : c.cwnd;
    return Math.max(Math.floor((c.cwnd * BETA) / SCALE), 2);
  }

  override stateChanges(c: Connection, state: RecoveryState, now: Millis): void {
    if (state !== 'Loss') return;
    this.forget();
    this.exit.reset(c, now);
  }

  /** RFC 9438 §4.2: time in which the application sent nothing is no time to grow in. */
  override resumes(c: Connection, now: Millis): void {
    const idle = Math.floor(now) - Math.floor(c.lastTextSentAt);
    if (this.epoch >= 0 && idle > 0) this.epoch = Math.min(this.epoch + idle, Math.floor(now));
  }
}
