import { type Millis, NEVER } from '../../base/bytes';
import { type AckSample, MAYBE_DELAYED } from '../ack-sample';
import type { Connection, RecoveryState } from '../connection';
import { Controller } from './control';
import { LOSS_RATIO, PolicerSampler } from './policer';
import { WindowedMax } from './windowed-max';

/** What BBR is doing: filling the pipe, emptying the queue that this made, cruising, looking for a shorter round trip. */
type Mode = 'startup' | 'drain' | 'probe-bandwidth' | 'probe-rtt';

/** 2/ln 2: the smallest gain that doubles the rate each round trip; its inverse empties the queue in one. */
const HIGH_GAIN = 739 / 256;
const DRAIN_GAIN = 88 / 256;
const CWND_GAIN = 2;
/** Each phase lasts a round trip: more, then less, then what is estimated. */
const CYCLE = [1.25, 0.75, 1, 1, 1, 1, 1, 1] as const;
/** A cycle begins anywhere but in the phase that sends less. */
const CYCLE_STARTS = 7;
const BANDWIDTH_ROUNDS = 10;
const MIN_RTT_MS = 10_000;
const PROBE_RTT_MS = 200;
const CWND_MIN = 4;
/** Startup is over when the rate grew by less than a quarter for three round trips. */
const FULL_GROWTH = 1.25;
const FULL_ROUNDS = 3;
/** A little below the estimate, so that queues drain. */
const PACING_MARGIN = 0.99;
const AGGREGATION_ROUNDS = 5;
const AGGREGATION_MAX_MS = 100;
const AGGREGATION_EPOCH_MAX = 1 << 20;
/** Below 1.2 Mbit/s (in bytes a millisecond) frames are single segments. */
const SMALL_RATE = 150;
const FRAME_BYTES_MAX = 65_536 - 320;

/**
 * BBR version 1, as Linux has it: models the path by its bottleneck rate (the maximum delivery rate of the last round trips)
 * and its shortest round trip, paces at that rate and keeps about twice their product in flight. Losses move it little.
 * Rates are packets a millisecond.
 */
export class Bbr extends Controller {
  readonly name = 'bbr';
  override get controlsWindow(): boolean {
    return true;
  }
  private mode: Mode = 'startup';
  private pacingGain = HIGH_GAIN;
  private cwndGain = HIGH_GAIN;
  private readonly maxRate = new WindowedMax(BANDWIDTH_ROUNDS);
  private readonly policer = new PolicerSampler();
  private rounds = 0;
  private roundStart = false;
  /** `delivered` that ends the round. */
  private roundEnd = 0;
  private minRtt: Millis = NEVER;
  private minRttAt: Millis = 0;
  private probeRttUntil: Millis = -1;
  private probeRttRoundDone = false;
  private cycle = 0;
  private cycleAt: Millis = 0;
  private fullRate = 0;
  private fullRounds = 0;
  private full = false;
  private roundLost = 0;
  private roundDelivered = 0;
  private priorCwnd = 0;
  private recovering = false;
  private conserving = false;
  private restarted = false;
  private rttSeen = false;
  // How many more packets ACKs report than the rate explains: what receivers and links aggregate.
  private epochAt: Millis = 0;
  private epochAcked = 0;
  private extra = 0;
  private extraBefore = 0;
  private extraRounds = 0;

  override start(c: Connection, now: Millis): void {
    this.roundEnd = c.delivered;
    this.minRttAt = this.epochAt = now;
    this.maxRate.reset(0, 0);
    this.policer.reset(c);
    this.startRate(c);
  }

  // Losses do not concern it beyond what `control` does.
  acknowledged(): void {}

  threshold(c: Connection): number {
    this.saveCwnd(c);
    return c.ssthresh;
  }

  override restored(c: Connection): number {
    this.fullRate = this.fullRounds = 0;
    this.policer.reset(c);
    return c.cwnd;
  }

  override stateChanges(c: Connection, state: RecoveryState): void {
    if (state !== 'Loss') return;
    this.recovering = true;
    this.fullRate = 0;
    this.roundStart = true;
    this.policer.sample(c, 1, false, true, this.mode === 'probe-bandwidth');
  }

  override resumes(c: Connection, now: Millis): void {
    // The handshake's round trip is measured just after `start` when the peer opened.
    if (!this.rttSeen && c.srtt > 0) this.startRate(c);
    if (c.appLimited === 0) return;
    this.restarted = true;
    this.epochAt = now;
    this.epochAcked = 0;
    if (this.mode === 'probe-bandwidth') this.setPacing(c, 1);
    else if (this.mode === 'probe-rtt') this.endProbeRtt(c, now);
  }

  override segmentsMax(c: Connection): number {
    const least = c.pacingRate < SMALL_RATE ? 1 : 2;
    const bytes = Math.min(c.pacingRate, FRAME_BYTES_MAX);
    return Math.min(Math.max(Math.floor(bytes / c.mss), least), 127);
  }

  override control(c: Connection, s: AckSample, now: Millis): void {
    this.updateRate(c, s, now);
    this.updateAggregation(c, s, now);
    if (this.mode === 'probe-bandwidth' && this.phaseIsOver(c, s, now)) this.nextPhase(now);
    this.checkFull(c, s);
    this.checkDrain(c, now);
    this.updateMinRtt(c, s, now);
    this.updateGains();
    this.setPacing(c, this.pacingGain);
    this.setCwnd(c, s);
  }

  /** The bottleneck's rate in bytes a second, the shortest round trip in microseconds (0: unknown), and the gains. */
  override beliefs(c: Connection): Readonly<Record<string, number>> {
    return {
      bandwidth: Math.round(this.rate * c.mss * 1000),
      minRtt: this.minRtt === NEVER ? 0 : Math.round(this.minRtt * 1000),
      pacingGain: this.pacingGain,
      cwndGain: this.cwndGain,
    };
  }

  private get rate(): number {
    return this.policer.using ? this.policer.rate : this.maxRate.value;
  }

  // ── the model ──

  private updateRate(c: Connection, s: AckSample, now: Millis): void {
    this.roundStart = false;
    if (s.rateDelivered < 0 || s.interval <= 0) return;
    if (s.sentDelivered >= this.roundEnd) {
      this.roundEnd = c.delivered;
      this.rounds++;
      this.roundStart = true;
      this.conserving = false;
    }
    const probing = this.mode === 'probe-bandwidth';
    if (this.policer.sample(c, s.lost, s.appLimited, this.roundStart, probing)) this.beginProbing(c, now);
    const rate = s.rateDelivered / s.interval;
    // What the application did not send says nothing of what the network could carry, unless it is more than known.
    if (!s.appLimited || rate >= this.maxRate.value) this.maxRate.add(this.rounds, rate);
  }

  private updateAggregation(c: Connection, s: AckSample, now: Millis): void {
    if (s.delivered <= 0 || s.rateDelivered < 0 || s.interval <= 0) return;
    if (this.roundStart && ++this.extraRounds >= AGGREGATION_ROUNDS) {
      this.extraRounds = 0;
      this.extraBefore = this.extra;
      this.extra = 0;
    }
    let expected = this.rate * (now - this.epochAt);
    if (this.epochAcked <= expected || this.epochAcked + s.delivered >= AGGREGATION_EPOCH_MAX) {
      this.epochAcked = 0;
      this.epochAt = now;
      expected = 0;
    }
    this.epochAcked += s.delivered;
    const extra = Math.min(Math.floor(this.epochAcked - expected), c.cwnd);
    if (extra > this.extra) this.extra = extra;
  }

  private phaseIsOver(c: Connection, s: AckSample, now: Millis): boolean {
    const long = now - this.cycleAt > this.minRtt;
    if (this.pacingGain === 1) return long;
    const inFlight = this.inNetwork(c, s.priorInFlight, now);
    // More: until it is there, or lost. Less: until the queue is gone.
    if (this.pacingGain > 1)
      return long && (s.lost > 0 || inFlight >= this.target(c, this.maxRate.value, this.pacingGain));
    return long || inFlight <= this.target(c, this.maxRate.value, 1);
  }

  private nextPhase(now: Millis): void {
    this.cycle = (this.cycle + 1) % CYCLE.length;
    this.cycleAt = now;
  }

  private beginProbing(c: Connection, now: Millis): void {
    this.mode = 'probe-bandwidth';
    this.cycle = CYCLE.length - 1 - c.tcp.random.below(CYCLE_STARTS);
    this.nextPhase(now);
  }

  private checkFull(c: Connection, s: AckSample): void {
    if (this.full || !this.roundStart) return;
    const overfilled = this.endLossRound(c);
    if (s.appLimited && !overfilled) return;
    if (this.maxRate.value >= this.fullRate * FULL_GROWTH) {
      this.fullRate = this.maxRate.value;
      this.fullRounds = 0;
    } else if (++this.fullRounds >= FULL_ROUNDS) {
      this.full = true;
    }
  }

  /**
   * Whether so much was lost in the round that ends that no sender was the limit, whatever the samples say: a path that
   * holds more than the send buffer may would otherwise be flooded for ever, since a sender whose buffer is full counts as
   * limited by its application.
   */
  private endLossRound(c: Connection): boolean {
    const lost = c.lost - this.roundLost;
    const delivered = c.delivered - this.roundDelivered;
    this.roundLost = c.lost;
    this.roundDelivered = c.delivered;
    return lost > LOSS_RATIO * delivered;
  }

  private checkDrain(c: Connection, now: Millis): void {
    if (this.mode === 'startup' && this.full) {
      this.mode = 'drain';
      c.ssthresh = Math.max(this.target(c, this.maxRate.value, 1), 2);
    }
    if (this.mode === 'drain' && this.inNetwork(c, c.inFlight, now) <= this.target(c, this.maxRate.value, 1)) {
      this.beginProbing(c, now);
    }
  }

  private updateMinRtt(c: Connection, s: AckSample, now: Millis): void {
    const expired = now - this.minRttAt > MIN_RTT_MS;
    if (s.rtt >= 0 && (s.rtt < this.minRtt || (expired && (s.flags & MAYBE_DELAYED) === 0))) {
      this.minRtt = Math.max(s.rtt, 0.001);
      this.minRttAt = now;
    }
    if (expired && !this.restarted && this.mode !== 'probe-rtt') {
      this.saveCwnd(c);
      this.mode = 'probe-rtt';
      this.probeRttUntil = -1;
    }
    if (this.mode === 'probe-rtt') this.inProbeRtt(c, now);
    if (s.rateDelivered > 0) this.restarted = false;
  }

  /** Four packets in flight for 200 ms and a round trip: queues are empty then. */
  private inProbeRtt(c: Connection, now: Millis): void {
    c.appLimited = Math.max(c.delivered + c.inFlight, 1);
    if (this.probeRttUntil < 0) {
      if (c.inFlight > CWND_MIN) return;
      this.probeRttUntil = now + PROBE_RTT_MS;
      this.probeRttRoundDone = false;
      this.roundEnd = c.delivered;
    } else {
      if (this.roundStart) this.probeRttRoundDone = true;
      if (this.probeRttRoundDone) this.endProbeRtt(c, now);
    }
  }

  private endProbeRtt(c: Connection, now: Millis): void {
    if (this.probeRttUntil < 0 || now <= this.probeRttUntil) return;
    this.minRttAt = now;
    c.cwnd = Math.max(c.cwnd, this.priorCwnd);
    if (this.full) this.beginProbing(c, now);
    else this.mode = 'startup';
  }

  private updateGains(): void {
    switch (this.mode) {
      case 'startup':
        this.pacingGain = this.cwndGain = HIGH_GAIN;
        return;
      case 'drain':
        this.pacingGain = DRAIN_GAIN;
        this.cwndGain = HIGH_GAIN;
        return;
      case 'probe-bandwidth':
        this.pacingGain = this.policer.using ? 1 : CYCLE[this.cycle]!;
        this.cwndGain = CWND_GAIN;
        return;
      case 'probe-rtt':
        this.pacingGain = this.cwndGain = 1;
    }
  }

  // ── what follows from it ──

  /** Packets that `gain` times the path holds. */
  private product(c: Connection, rate: number, gain: number): number {
    if (this.minRtt === NEVER) return c.tcp.profile.initialWindow;
    return Math.ceil(rate * this.minRtt * gain);
  }

  /** Room for frames on their way between us and the link, and at the receiver. */
  private roundUp(c: Connection, cwnd: number): number {
    cwnd += 3 * this.segmentsMax(c);
    cwnd += cwnd & 1;
    return this.mode === 'probe-bandwidth' && this.cycle === 0 ? cwnd + 2 : cwnd;
  }

  private target(c: Connection, rate: number, gain: number): number {
    return this.roundUp(c, this.product(c, rate, gain));
  }

  /** Of `inFlight`, what will be in the network when pacing lets the next frame go. */
  private inNetwork(c: Connection, inFlight: number, now: Millis): number {
    const wait = Math.max(0, c.pacingNext - now);
    if (this.pacingGain > 1) inFlight += this.segmentsMax(c);
    return Math.max(0, inFlight - Math.floor(this.rate * wait));
  }

  /** Before there is a rate: the window in a round trip. */
  private startRate(c: Connection): void {
    const rtt = c.srtt > 0 ? c.srtt : 1;
    this.rttSeen = c.srtt > 0;
    this.minRtt = Math.min(this.minRtt, c.minRtt);
    c.pacingRate = (c.cwnd / rtt) * c.mss * HIGH_GAIN * PACING_MARGIN;
  }

  private setPacing(c: Connection, gain: number): void {
    if (!this.rttSeen && c.srtt > 0) this.startRate(c);
    const rate = this.rate * c.mss * gain * PACING_MARGIN;
    if (this.full || rate > c.pacingRate) c.pacingRate = Math.max(rate, Number.MIN_VALUE);
  }

  private saveCwnd(c: Connection): void {
    const undisturbed = !this.recovering && this.mode !== 'probe-rtt';
    this.priorCwnd = undisturbed ? c.cwnd : Math.max(this.priorCwnd, c.cwnd);
  }

  private setCwnd(c: Connection, s: AckSample): void {
    if (s.delivered > 0 && !this.conserve(c, s)) {
      let { cwnd } = c;
      const goal = this.roundUp(c, this.product(c, this.rate, this.cwndGain) + this.aggregated());
      if (this.full) cwnd = Math.min(cwnd + s.delivered, goal);
      else if (cwnd < goal || c.delivered < c.tcp.profile.initialWindow) cwnd += s.delivered;
      c.cwnd = Math.max(cwnd, CWND_MIN);
    }
    if (this.mode === 'probe-rtt') c.cwnd = Math.min(c.cwnd, CWND_MIN);
  }

  private aggregated(): number {
    if (!this.full) return 0;
    return Math.floor(Math.min(Math.max(this.extra, this.extraBefore), this.rate * AGGREGATION_MAX_MS));
  }

  /** In the first round of a recovery as much goes out as arrives; after it the window is what it was. */
  private conserve(c: Connection, s: AckSample): boolean {
    const recovering = c.recovery === 'Recovery' || c.recovery === 'Loss';
    let { cwnd } = c;
    if (s.lost > 0) cwnd = Math.max(cwnd - s.lost, 1);
    if (c.recovery === 'Recovery' && !this.recovering) {
      this.conserving = true;
      this.roundEnd = c.delivered;
      cwnd = c.inFlight + s.delivered;
    } else if (this.recovering && !recovering) {
      cwnd = Math.max(cwnd, this.priorCwnd);
      this.conserving = false;
    }
    this.recovering = recovering;
    c.cwnd = this.conserving ? Math.max(cwnd, c.inFlight + s.delivered) : cwnd;
    return this.conserving;
  }
}
