import timersModule from 'node:timers';
import { promisify } from 'node:util';
import { time } from '../net/time';
import type { Millis } from '../stack/base/bytes';
import { TURN_MS } from './loop';
import type { Happening, Scheduler } from './scheduler';

/** What the timers need of their world. */
export interface TimerWorld {
  readonly scheduler: Scheduler;
}

type Callback = (...args: unknown[]) => void;

/** Wall-clock time when a world begins: the first millisecond of this century. */
const DATE_EPOCH_MS = 946_684_800_000;
const DELAY_MAX = 0x7fffffff;

/** Like Node's Timeout: what setTimeout and setInterval return. */
class VirtualTimeout {
  private happening: Happening | null = null;
  private referenced = true;

  constructor(
    private readonly world: TimerWorld,
    private readonly callback: Callback,
    private readonly delayMs: Millis,
    private readonly repeats: boolean,
    private readonly args: unknown[],
  ) {
    this.arm();
  }

  private arm(): void {
    const { scheduler } = this.world;
    this.happening = scheduler.at(scheduler.now + this.delayMs, () => {
      this.happening = null;
      if (this.repeats) this.arm();
      this.callback(...this.args);
    });
  }

  refresh(): this {
    this.close();
    this.arm();
    return this;
  }

  close(): this {
    if (this.happening !== null) this.world.scheduler.cancel(this.happening);
    this.happening = null;
    return this;
  }

  ref(): this {
    this.referenced = true;
    return this;
  }

  unref(): this {
    this.referenced = false;
    return this;
  }

  hasRef(): boolean {
    return this.referenced;
  }

  [Symbol.toPrimitive](): number {
    return 0;
  }
}

const delayOf = (ms: unknown): Millis => {
  const n = Number(ms);
  return n >= 1 && n <= DELAY_MAX ? Math.trunc(n) : 1;
};

/** What a world replaces, by name, in the global object, in node:timers and in what the sockets go by. */
type Replaced = Record<string, unknown>;

/**
 * The timers, Date and performance.now of Node, on a world's clock, for programs that use them directly. Ticks and promises
 * need no replacement: the world runs them between events.
 */
export class VirtualTimers {
  private readonly originals: { object: Replaced; name: string; own: PropertyDescriptor | undefined }[] = [];

  constructor(private readonly world: TimerWorld) {}

  install(): void {
    const timers = this.functions();
    for (const [name, value] of Object.entries(timers)) {
      this.replace(globalThis as unknown as Replaced, name, value);
      this.replace(timersModule as unknown as Replaced, name, value);
      if (name in time) this.replace(time, name, value);
    }
    const now = (): number => this.world.scheduler.now;
    for (const object of [globalThis as unknown as Replaced, time]) this.replace(object, 'Date', this.date());
    for (const object of [performance as unknown as Replaced, time]) this.replace(object, 'now', now);
  }

  uninstall(): void {
    for (const { object, name, own } of this.originals.splice(0).reverse()) {
      if (own === undefined) delete object[name];
      else Object.defineProperty(object, name, own);
    }
  }

  private replace(object: Replaced, name: string, value: unknown): void {
    this.originals.push({ object, name, own: Object.getOwnPropertyDescriptor(object, name) });
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: true });
  }

  private functions(): Replaced {
    const { world } = this;
    const clear = (timer: unknown): void => {
      if (timer instanceof VirtualTimeout) timer.close();
    };
    const setTimeout = (callback: Callback, ms?: unknown, ...args: unknown[]): VirtualTimeout =>
      new VirtualTimeout(world, callback, delayOf(ms), false, args);
    const setImmediate = (callback: Callback, ...args: unknown[]): VirtualTimeout =>
      new VirtualTimeout(world, callback, TURN_MS, false, args);
    Object.defineProperty(setTimeout, promisify.custom, {
      value: (ms?: number, value?: unknown) => new Promise((resolve) => setTimeout(() => resolve(value), ms)),
    });
    Object.defineProperty(setImmediate, promisify.custom, {
      value: (value?: unknown) => new Promise((resolve) => setImmediate(() => resolve(value))),
    });
    return {
      setTimeout,
      setInterval: (callback: Callback, ms?: unknown, ...args: unknown[]) =>
        new VirtualTimeout(world, callback, delayOf(ms), true, args),
      setImmediate,
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    };
  }

  private date(): unknown {
    const { scheduler } = this.world;
    const Real = Date;
    const now = (): number => DATE_EPOCH_MS + Math.floor(scheduler.now);
    // A function, because Date may be called without `new`; the prototype is Date's own, so `instanceof` holds both ways.
    function VirtualDate(...args: unknown[]): unknown {
      if (new.target === undefined) return new Real(now()).toString();
      return Reflect.construct(Real, args.length === 0 ? [now()] : args, new.target);
    }
    VirtualDate.prototype = Real.prototype;
    Object.setPrototypeOf(VirtualDate, Real);
    VirtualDate.now = now;
    return VirtualDate;
  }
}
