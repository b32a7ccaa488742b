import type { Millis } from '../../base/bytes';
import type { AckSample } from '../ack-sample';
import type { Connection, RecoveryState } from '../connection';
import { isWindowUsed } from '../window-use';
import { additiveIncrease, Controller, slowStart } from './control';
import type { SlowStartExit } from './hystart';

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

/** How the window grows after a reduction: what CUBIC remembers of a connection once its first slow start is over. */
export class CubicGrowth {
  /** Packets acknowledged for one more. */
  count = 0;
  lastMax = 0;
  lastWindow = 0;
  lastAt: Millis = 0;
  origin = 0;
  /** Time to reach `origin`, in 1/1024 s. */
  k = 0;
  /** When the current growth began, or -1. */
  epoch: Millis = -1;
  ackedInEpoch = 0;
  /** The window that Reno would have. */
  renoWindow = 0;
}

/**
 * CUBIC (RFC 9438), as Linux has it: the window follows a cubic function of the time since the last reduction. What it
 * remembers stands in the connection, so that one controller may serve all.
 */
export class Cubic extends Controller {
  constructor(private readonly exit: SlowStartExit) {
    super();
  }

  get name(): string {
    return 'cubic';
  }

  override start(c: Connection, now: Millis): void {
    this.forget(c);
    this.exit.reset(c, now);
  }

  private forget(c: Connection): void {
    c.growth = null;
    c.minDelay = 0;
    this.exit.forget(c);
  }

  acknowledged(c: Connection, acked: number, now: Millis): void {
    if (!isWindowUsed(c)) return;
    if (c.cwnd < c.ssthresh) {
      acked = slowStart(c, this.exit.growth(c, acked));
      if (acked === 0) return;
    }
    const growth = (c.growth ??= new CubicGrowth());
    update(c, growth, acked, Math.floor(now));
    additiveIncrease(c, growth.count, acked);
  }

  override sampled(c: Connection, s: AckSample, now: Millis): void {
    if (s.rtt < 0) return;
    const epoch = epochOf(c);
    if (epoch >= 0 && Math.floor(now) - epoch < AFTER_RECOVERY_MS) return;
    const delay = Math.max(s.rtt, 0.001);
    if (c.minDelay === 0 || c.minDelay > delay) c.minDelay = delay;
    if (c.cwnd < c.ssthresh) this.exit.sampled(c, s, now);
  }

  /** RFC 9438 §4.6 and §4.7, fast convergence: a window that did not reach the last one leaves room for others. */
  threshold(c: Connection): number {
    const growth = (c.growth ??= new CubicGrowth());
    growth.epoch = -1;
    growth.lastMax = c.cwnd < growth.lastMax ? Math.floor((c.cwnd * (SCALE + BETA)) / (2 * SCALE)) : c.cwnd;
    return Math.max(Math.floor((c.cwnd * BETA) / SCALE), 2);
  }

  override stateChanges(c: Connection, state: RecoveryState, now: Millis): void {
    if (state !== 'Loss') return;
    this.forget(c);
    this.exit.reset(c, now);
  }

  /** RFC 9438 §4.2: time in which the application sent nothing is no time to grow in. */
  override resumes(c: Connection, now: Millis): void {
    const epoch = epochOf(c);
    const idle = Math.floor(now) - Math.floor(c.lastTextSentAt);
    if (epoch >= 0 && idle > 0) c.growth!.epoch = Math.min(epoch + idle, Math.floor(now));
  }
}

const epochOf = (c: Connection): Millis => (c.growth === null ? -1 : c.growth.epoch);

/** RFC 9438 §4.2 to §4.5: how many packets must be acknowledged for the window to grow by one. */
function update(c: Connection, g: CubicGrowth, acked: number, now: Millis): void {
  const { cwnd } = c;
  g.ackedInEpoch += acked;
  if (g.lastWindow === cwnd && now - g.lastAt <= SAME_WINDOW_MS) return;
  // The function is evaluated once a millisecond; Reno's window counts every packet.
  if (g.epoch < 0 || now !== g.lastAt) follow(c, g, acked, now);
  keepUpWithReno(g, cwnd);
  // At most one packet for every two: 1.5 times a round trip.
  g.count = Math.max(g.count, 2);
}

function follow(c: Connection, g: CubicGrowth, acked: number, now: Millis): void {
  const { cwnd } = c;
  g.lastWindow = cwnd;
  g.lastAt = now;
  if (g.epoch < 0) beginEpoch(g, cwnd, acked, now);
  const elapsed = Math.floor(((now - g.epoch + Math.ceil(c.minDelay)) * SCALE) / 1000);
  const distance = Math.abs(elapsed - g.k);
  const change = Math.floor((C_SCALED * distance * distance * distance) / TICK);
  const target = elapsed < g.k ? g.origin - change : g.origin + change;
  g.count = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : NEVER_GROWS * cwnd;
  if (g.lastMax === 0 && g.count > UNKNOWN_COUNT_MAX) g.count = UNKNOWN_COUNT_MAX;
}

function beginEpoch(g: CubicGrowth, cwnd: number, acked: number, now: Millis): void {
  g.epoch = now;
  g.ackedInEpoch = acked;
  g.renoWindow = cwnd;
  if (g.lastMax <= cwnd) {
    g.k = 0;
    g.origin = cwnd;
  } else {
    g.k = Math.floor(Math.cbrt((TICK / C_SCALED) * (g.lastMax - cwnd)));
    g.origin = g.lastMax;
  }
}

/** RFC 9438 §4.3: never slower than Reno would be. */
function keepUpWithReno(g: CubicGrowth, cwnd: number): void {
  const perPacket = Math.floor((cwnd * FRIENDLY_SCALE) / 8);
  if (perPacket > 0 && g.ackedInEpoch > perPacket) {
    const packets = Math.ceil(g.ackedInEpoch / perPacket) - 1;
    g.ackedInEpoch -= packets * perPacket;
    g.renoWindow += packets;
  }
  if (g.renoWindow <= cwnd) return;
  const most = Math.floor(cwnd / (g.renoWindow - cwnd));
  if (g.count > most) g.count = most;
}
