import { type Bytes, type Millis, NEVER } from '../stack/base/bytes';
import { Random } from '../stack/base/random';
import type { Stack } from '../stack/stack';
import { RunningHash } from './hash';
import { type Fate, Link, type WireObserver } from './link';
import type { LinkOptions } from './link-options';
import type { LoopWorld } from './loop';
import { Scheduler } from './scheduler';
import type { SimDevice } from './sim-device';
import { SimHost, type SimHostOptions } from './sim-host';
import { VirtualTimers } from './virtual-timers';

/** What a world may be told. Everything has a default. */
export interface WorldOptions {
  /** Everything random in the world comes from it. Default 1. */
  readonly seed?: number;
  /**
   * Programs in the world use promises, ticks and streams (Node-shaped sockets): between two events everything that they
   * left behind runs. Default true. Without it the world is a plain function call, and `runSync` is allowed.
   */
  readonly ticks?: boolean;
  /** Called for every stack that did something, after every event. Throws when something is wrong. */
  readonly check?: (stack: Stack, host: SimHost) => void;
  /** Told of every frame, for captures and logs. */
  readonly wire?: WireObserver;
  /** What every host's clock shows when the world begins, in milliseconds. Default 1,000,000. */
  readonly epochMs?: Millis;
  /** More events than this in one run are a loop that never ends. Default 50 million. */
  readonly eventsMax?: number;
  /** setTimeout, setInterval, setImmediate, Date and performance.now tell the world's time until `close`. Default false. */
  readonly timers?: boolean;
}

/** Events between two looks at the real event loop, so that Ctrl-C and a test's own limit work. */
const EVENTS_PER_SLICE = 5000;
const EPOCH_MS = 1_000_000;

const FATES: readonly Fate[] = ['sent', 'delivered', 'lost', 'blocked', 'too-big', 'queue-full', 'no-host'];

const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback;
const realImmediate = setImmediate;

/**
 * A world of its own: one clock, one list of events, one seed; links, and hosts that run real stacks on them. What happens
 * in it depends on the seed and on the program alone, so `hash()` of two runs is equal.
 *
 *     const world = createWorld({ seed: 7 });
 *     const wire = world.link({ delayMs: 20, lossPpm: 50_000 });
 *     const a = world.host('a', { link: wire, address: '10.0.0.1/24' });
 *     const b = world.host('b', { link: wire, address: '10.0.0.2/24' });
 *     ...
 *     await world.run(60_000);
 */
export class World implements LoopWorld {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly seed: number;
  readonly hosts: SimHost[] = [];
  readonly links: Link[] = [];
  readonly options: WorldOptions;
  readonly ticks: boolean;
  readonly epochMs: Millis;
  private readonly wireHash = new RunningHash();
  private soonTasks: (() => void)[] = [];
  private readonly touched = new Set<SimHost>();
  private running = false;
  private readonly timers: VirtualTimers | null;

  constructor(options: WorldOptions = {}) {
    this.options = options;
    this.seed = options.seed ?? 1;
    this.random = new Random(this.seed);
    this.ticks = options.ticks ?? true;
    this.epochMs = options.epochMs ?? EPOCH_MS;
    if (this.ticks && runTicks === undefined) throw new Error('this Node cannot drain its ticks on demand');
    this.timers = options.timers === true ? new VirtualTimers(this) : null;
    this.timers?.install();
  }

  /** Milliseconds since the world began. */
  get now(): Millis {
    return this.scheduler.now;
  }

  // ── building ──

  /** A new link, with nothing attached. */
  link(options: LinkOptions = {}): Link {
    const name = options.name ?? `link-${this.links.length + 1}`;
    const link = new Link(this.scheduler, this.random.fork(), this.observe, name, options);
    this.links.push(link);
    return link;
  }

  /** A new host: a stack and its driver on a virtual event loop, attached to one link or several. */
  host(name: string, options: SimHostOptions): SimHost {
    const host = new SimHost(this, name, options, this.hosts.length + 1, this.random.int32() >>> 0);
    host.loop.ran = () => this.touched.add(host);
    this.hosts.push(host);
    return host;
  }

  private readonly observe: WireObserver = (link, from, fate, frame) => {
    const hash = this.wireHash;
    hash.addTime(this.scheduler.now);
    hash.add(FATES.indexOf(fate));
    hash.addText(from.name);
    if (fate === 'sent' || fate === 'delivered') hash.addBytes(frame);
    this.options.wire?.(link, from, fate, frame);
  };

  /** Has `task` done at `ms` of the world's time, outside every host. */
  at(ms: Millis, task: () => void): void {
    this.scheduler.at(ms, task);
  }

  // ── running ──

  soon(task: () => void): void {
    if (this.ticks) process.nextTick(task);
    else this.soonTasks.push(task);
  }

  drain(): void {
    if (this.ticks) return runTicks!();
    while (this.soonTasks.length > 0) {
      const tasks = this.soonTasks;
      this.soonTasks = [];
      for (const task of tasks) task();
    }
  }

  /** The next event and all that it leaves to be done at once. False when there is no event. */
  private step(): boolean {
    if (!this.scheduler.step()) return false;
    this.drain();
    this.inspect();
    return true;
  }

  private inspect(): void {
    if (this.touched.size === 0) return;
    const { check } = this.options;
    if (check !== undefined) for (const host of this.touched) if (!host.isDown) check(host.stack, host);
    this.touched.clear();
  }

  /**
   * Runs until the world's clock shows `until` milliseconds, until `until()` is true after an event, or until nothing is
   * left to happen. Returns whether the time or the condition was reached. For worlds without ticks.
   */
  runSync(until: Millis | (() => boolean)): boolean {
    if (this.ticks) throw new Error('a world with ticks runs asynchronously: await world.run()');
    this.drain();
    this.inspect();
    return this.slice(until, this.options.eventsMax ?? 50_000_000) ?? this.tooMany();
  }

  private tooMany(): never {
    throw new Error(`${this.options.eventsMax ?? 50_000_000} events and no end: the world stands at ${this.now} ms`);
  }

  /** At most `events` events. Null: there are more. */
  private slice(until: Millis | (() => boolean), events: number): boolean | null {
    const isTime = typeof until === 'number';
    for (let i = 0; i < events; i++) {
      if (isTime) {
        if (this.scheduler.nextAt > until) {
          this.scheduler.now = Math.max(this.scheduler.now, until);
          return true;
        }
      } else if (until()) {
        return true;
      }
      if (!this.step()) return isTime ? true : until();
    }
    return null;
  }

  /** Like `runSync`, for every world: promises and ticks of the program run between the events. */
  run(until: Millis | (() => boolean)): Promise<boolean> {
    if (this.running) return Promise.reject(new Error('the world runs already'));
    this.running = true;
    const eventsMax = this.options.eventsMax ?? 50_000_000;
    let events = 0;
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          // What the caller left behind comes first; from here no promise job is on the stack, so ticks can be run.
          this.drain();
          this.inspect();
          const done = this.slice(until, EVENTS_PER_SLICE);
          events += EVENTS_PER_SLICE;
          if (done === null && events >= eventsMax) this.tooMany();
          if (done === null) return void realImmediate(turn);
          this.running = false;
          resolve(done);
        } catch (error) {
          this.running = false;
          reject(error as Error);
        }
      };
      realImmediate(turn);
    });
  }

  /** Runs until `promise` is settled and returns what it gives. Throws when nothing is left that could settle it. */
  async until<T>(promise: PromiseLike<T>, withinMs: Millis = NEVER): Promise<T> {
    let settled = false;
    const end = this.now + withinMs;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    await this.run(() => settled || this.now >= end);
    if (!settled) throw new Error(`the promise is not settled at ${this.now} ms, and ${this.waitingText()}`);
    return promise;
  }

  private waitingText(): string {
    return this.scheduler.nextAt === NEVER
      ? 'nothing is left to happen'
      : `the next event is at ${this.scheduler.nextAt} ms`;
  }

  /**
   * Runs until all is quiet: no frame is on its way, nothing that was sent waits for its acknowledgment, no host has
   * anything to do at once. What remains are timers of silence: keep-alive, TIME-WAIT, timeouts of the program.
   */
  async settled(withinMs: Millis = 3_600_000): Promise<void> {
    const end = this.now + withinMs;
    const quiet = await this.run(() => this.isQuiet || this.now >= end);
    if (!quiet || !this.isQuiet) throw new Error(`the world is not quiet after ${withinMs} ms`);
  }

  /** See `settled`. */
  get isQuiet(): boolean {
    const soonest = this.scheduler.nextAt - this.now;
    return soonest > 0.1 && this.inTheAir === 0 && this.hosts.every((host) => host.isQuiet);
  }

  /** Frames between hosts. */
  get inTheAir(): number {
    return this.links.reduce((sum, link) => sum + link.inTheAir, 0);
  }

  // ── looking ──

  /** A hash over every frame on every wire and every event in every stack, with their times. */
  hash(): string {
    const hash = new RunningHash();
    hash.addText(this.wireHash.toString());
    for (const host of this.hosts) hash.addText(host.stack.trace.hash());
    return hash.toString();
  }

  device(name: string): SimDevice {
    for (const link of this.links) {
      const found = link.ends.find((end) => end.name === name);
      if (found !== undefined) return found;
    }
    throw new RangeError(`there is no device ${name}`);
  }

  /** Ends every host and gives the real timers back. */
  close(): void {
    for (const host of this.hosts) host.close();
    this.timers?.uninstall();
  }
}

/** A world without hosts, at time 0. The same seed and the same calls give the same run. */
export function createWorld(options: WorldOptions = {}): World {
  return new World(options);
}

export type { Bytes };
