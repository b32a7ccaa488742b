import type { World } from '../sim/world';
import { type Millis, NEVER } from '../stack/base/bytes';

const realImmediate = setImmediate;

/** A leap of the clock over more than this waits until the real event loop has nothing to do at once. */
const LEAP_MS = 10;
/** Turns of the real event loop before a leap: programs that hop through setImmediate get to their next call. */
const GRACE_TURNS = 4;
/** Turns of the real event loop with nothing left to happen before who waits for a promise is told so. */
const IDLE_TURNS = 100;
/** Turns before the clock leaps over a silence because somebody waits for a promise, who may only need the real loop. */
const SILENCE_TURNS = 25;
/** What comes within this time is not waited for: acknowledgments on their way, delayed ones. */
const HORIZON_MS = 45;

/** Somebody waits for a moment. */
interface Target {
  readonly at: Millis;
  readonly done: () => void;
}

/**
 * Runs a virtual world while a test awaits: as long as something is under way that must end by itself, time passes; when all
 * is quiet it stands still until it is told to go on. Never runs inside of a call of the test.
 */
export class Driver {
  private running = false;
  private stopped = false;
  private targets: Target[] = [];
  private conditions: { test: () => boolean; done: () => void }[] = [];
  private readonly held = new Set<object>();
  /** So many things that take real time are under way. */
  private preparing = 0;
  private grace = 0;
  private idleTurns = 0;
  private mayLeap = false;
  private lastProgress: Millis = 0;
  private progressMark = '';
  private failure: Error | null = null;

  constructor(
    private readonly world: World,
    private readonly isBusy: () => boolean,
    /** Changes when something was achieved: patience begins anew. */
    private readonly progress: () => string,
    private readonly patienceMs: Millis,
  ) {
    const { scheduler } = world;
    const at = scheduler.at.bind(scheduler);
    scheduler.at = (when, task) => {
      this.poke();
      return at(when, task);
    };
  }

  /** Something may have changed: looks soon. */
  poke(): void {
    if (this.running || this.stopped) return;
    this.running = true;
    realImmediate(() => void this.drive());
  }

  private async drive(): Promise<void> {
    try {
      while (!this.stopped && this.wanted()) {
        await this.world.run(() => this.pause());
        this.settleTargets();
        this.grace++;
        if (this.grace >= GRACE_TURNS) this.mayLeap = true;
        if (!this.wanted()) break;
        if (this.world.scheduler.nextAt === NEVER && this.targets.length === 0 && this.isStuck()) break;
      }
    } catch (error) {
      this.failure = error as Error;
      this.stopped = true;
      const waiting = [...this.targets.splice(0), ...this.conditions.splice(0)];
      for (const { done } of waiting) done();
      // Nobody waits who could be told: what nobody catches is told as Node does.
      if (waiting.length === 0) {
        realImmediate(() => {
          throw error;
        });
      }
    } finally {
      this.running = false;
    }
  }

  /** Nothing is left to happen. A program that hops through the real loop gets some turns to cause something. */
  private isStuck(): boolean {
    if (this.conditions.length === 0) return true;
    if (this.preparing > 0) this.idleTurns = 0;
    if (++this.idleTurns < IDLE_TURNS) return false;
    for (const { done } of this.conditions.splice(0)) done();
    return true;
  }

  private settleTargets(): void {
    // One moment at a time: who waited for the first may do something before the second.
    const target = this.targets.reduce<Target | null>(
      (first, t) => (first === null || t.at < first.at ? t : first),
      null,
    );
    if (target !== null) this.settle(target);
    for (const condition of [...this.conditions]) {
      if (!condition.test()) continue;
      this.conditions.splice(this.conditions.indexOf(condition), 1);
      condition.done();
    }
  }

  private settle(target: Target): void {
    const { scheduler } = this.world;
    if (scheduler.nextAt > target.at && (this.mayLeap || target.at - scheduler.now <= LEAP_MS))
      scheduler.now = Math.max(scheduler.now, target.at);
    if (scheduler.now < target.at || scheduler.nextAt <= target.at) return;
    this.targets.splice(this.targets.indexOf(target), 1);
    this.mayLeap = false;
    this.grace = 0;
    target.done();
  }

  private wanted(): boolean {
    return this.targets.length > 0 || this.conditions.length > 0 || this.held.size > 0 || this.isAlive();
  }

  /** Asked before every event: whether the world must stand still now. */
  private pause(): boolean {
    const { scheduler } = this.world;
    if (this.conditions.some(({ test }) => test())) return true;
    const next = scheduler.nextAt;
    if (next === NEVER) return true;
    const limit = this.targets.reduce((most, { at }) => Math.max(most, at), -1);
    const free = this.conditions.length > 0 || this.held.size > 0 || next <= limit || this.isAlive();
    if (!free) return true;
    const soonest = this.targets.reduce((least, { at }) => Math.min(least, at), NEVER);
    if (next > soonest) return true;
    if (next - scheduler.now > LEAP_MS) {
      const silence = next > limit && !this.isAlive();
      if (!this.mayLeap || (silence && this.grace < SILENCE_TURNS)) return true;
      this.mayLeap = false;
      this.grace = 0;
    }
    return false;
  }

  /** Something goes on that ends by itself, and has not waited for longer than patience lasts. */
  private isAlive(): boolean {
    const { scheduler } = this.world;
    const soon = scheduler.nextAt - scheduler.now <= HORIZON_MS || this.world.inTheAir > 0;
    const mark = this.progress();
    if (mark !== this.progressMark) {
      this.progressMark = mark;
      this.lastProgress = scheduler.now;
    }
    return soon || (this.isBusy() && scheduler.now - this.lastProgress < this.patienceMs);
  }

  /** Time passes until the clock shows `at`. */
  reach(at: Millis): Promise<void> {
    return this.wait((done) => this.targets.push({ at, done }));
  }

  /** Time passes until `test()` is true after an event, or nothing is left to happen. */
  until(test: () => boolean): Promise<void> {
    return this.wait((done) => this.conditions.push({ test, done }));
  }

  private async wait(register: (done: () => void) => void): Promise<void> {
    if (this.failure !== null) throw this.failure;
    if (this.stopped) throw new Error('the wire is closed');
    await new Promise<void>((resolve) => {
      this.idleTurns = 0;
      register(resolve);
      this.poke();
    });
    if (this.failure !== null) throw this.failure;
  }

  /** Time passes, over silences too, until what is returned is called. */
  hold(): () => void {
    const key = {};
    this.held.add(key);
    this.poke();
    return () => void this.held.delete(key);
  }

  /** What takes real time, however long, before anything can happen here: until then nobody is told that nothing will. */
  async prepare<T>(work: Promise<T>): Promise<T> {
    this.preparing++;
    try {
      return await work;
    } finally {
      this.preparing--;
    }
  }

  stop(): void {
    this.stopped = true;
    for (const { done } of [...this.targets.splice(0), ...this.conditions.splice(0)]) done();
  }
}
