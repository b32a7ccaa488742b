/** undici's dispatchers, whose time limits undici itself measures on the real clock, with these on another clock. */
import type { Duplex } from 'node:stream';
import type { Loop } from '../net/loop';
import type { Millis } from '../stack/base/bytes';
import type { UndiciConnector } from './adapters';

/** A clock that runs tasks: the loop of a host, whose program may stand still. */
export type TaskClock = Pick<Loop, 'now' | 'timer' | 'clear'>;

/** undici's options for its time limits, in milliseconds; 0 switches `headersTimeout` and `bodyTimeout` off. */
export interface DispatchTimes {
  /** From a request until the head of its response is there. Default 300,000. */
  readonly headersTimeout?: Millis;
  /** Between two pieces of a response's body. Default 300,000. */
  readonly bodyTimeout?: Millis;
  /** For how long an idle connection is kept when the server gives no hint. Default 4,000. */
  readonly keepAliveTimeout?: Millis;
  /** For how long at most when the server gives one. Default 600,000. */
  readonly keepAliveMaxTimeout?: Millis;
  /** How much earlier than the server says. Default 2,000. */
  readonly keepAliveTimeoutThreshold?: Millis;
}

const DEFAULTS: Required<DispatchTimes> = {
  headersTimeout: 300_000,
  bodyTimeout: 300_000,
  keepAliveTimeout: 4000,
  keepAliveMaxTimeout: 600_000,
  keepAliveTimeoutThreshold: 2000,
};

/** The longest that a timer of Node's can be: undici's own never end before a wire's. */
const NEVER_MS = 0x7fffffff;

/** At most so much passes between two looks of undici's at its limits for heads and bodies. */
const TICK_MS = 500;

/** What undici's own classes are told, so that its timers of the real clock do nothing. */
export const WITHOUT_TIMES = {
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: NEVER_MS,
  keepAliveMaxTimeout: NEVER_MS,
  // A hint less this much: as long as a timer can be, whatever the hint is.
  keepAliveTimeoutThreshold: -NEVER_MS,
};

type Method = (...args: never[]) => unknown;
/** undici's handlers: those of `onConnect` … and the newer ones of `onRequestStart` … */
type Handler = Record<string, unknown>;
interface Dispatching {
  dispatch(options: object, handler: object): boolean;
}

const BEGINNINGS = ['onConnect', 'onRequestStart'];
const PROGRESS = ['onBodySent', 'onRequestSent', 'onHeaders', 'onResponseStart', 'onData', 'onResponseData'];
const HEADS = new Set(['onHeaders', 'onResponseStart']);
const BODIES = new Set(['onData', 'onResponseData']);
const ENDS = ['onComplete', 'onResponseEnd'];
const FAILURES = ['onError', 'onResponseError'];
const OTHERS = ['onResponseStarted', 'onUpgrade', 'onRequestUpgrade', 'onInfo'];

function undiciError(name: string, message: string, code: string): Error {
  return Object.assign(new Error(message), { name, code });
}

/** The seconds of "Keep-Alive: timeout=5", as milliseconds; null: no such field. */
function hintOf(headers: unknown): Millis | null {
  const pairs: string[] = [];
  if (Array.isArray(headers)) for (const item of headers) pairs.push(Buffer.from(item as Buffer).toString('latin1'));
  else
    for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>))
      pairs.push(name, String(value));
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i]!.toLowerCase() !== 'keep-alive') continue;
    const seconds = /timeout=(\d+)/.exec(pairs[i + 1]!)?.[1];
    return seconds === undefined ? null : Number(seconds) * 1000;
  }
  return null;
}

/** Time limits of one dispatcher. */
class Times {
  private readonly limits: Required<DispatchTimes>;
  private readonly idle = new Map<Duplex, unknown>();
  /** The socket whose bytes undici is looking at: what a handler is told comes from it. */
  private reading: Duplex | null = null;

  constructor(
    private readonly clock: TaskClock,
    limits: DispatchTimes,
  ) {
    this.limits = { ...DEFAULTS, ...withoutUndefined(limits) };
  }

  /** Looks at what undici reads and writes. */
  watch(socket: Duplex): void {
    const read = socket.read.bind(socket);
    socket.read = (size?: number): unknown => {
      this.reading = socket;
      return read(size);
    };
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = ((...args: unknown[]): boolean => {
      this.busy(socket);
      return write(...args);
    }) as Duplex['write'];
    socket.once('close', () => this.busy(socket));
    this.rest(socket, this.limits.keepAliveTimeout);
  }

  private busy(socket: Duplex): void {
    const timer = this.idle.get(socket);
    if (timer !== undefined) this.clock.clear(timer);
    this.idle.delete(socket);
  }

  /** Closes the socket when it is idle for so long. */
  private rest(socket: Duplex, ms: Millis): void {
    this.busy(socket);
    const close = (): void => {
      this.idle.delete(socket);
      socket.destroy(undiciError('InformationalError', 'socket idle timeout', 'UND_ERR_INFO'));
    };
    if (ms <= 0) process.nextTick(close);
    else this.idle.set(socket, this.clock.timer(this.clock.now() + ms, close));
  }

  private restAfter(hint: Millis | null): void {
    const socket = this.reading;
    if (socket === null || socket.destroyed) return;
    const { keepAliveTimeout, keepAliveMaxTimeout, keepAliveTimeoutThreshold } = this.limits;
    this.rest(
      socket,
      hint === null ? keepAliveTimeout : Math.min(hint - keepAliveTimeoutThreshold, keepAliveMaxTimeout),
    );
  }

  /** A handler that is told what the limits of its request say. */
  handler(inner: Handler): Handler {
    const { clock, limits } = this;
    let abort: (error: Error) => void = () => {};
    let timer: unknown = null;
    let hint: Millis | null = null;
    let headIsThere = false;
    const stop = (): void => {
      if (timer !== null) clock.clear(timer);
      timer = null;
    };
    const wait = (): void => {
      stop();
      const ms = headIsThere ? limits.bodyTimeout : limits.headersTimeout;
      if (ms <= 0) return;
      const due = clock.now() + ms;
      timer = clock.timer(due, () => {
        timer = null;
        // undici counts turns of its loop: what passed while the program stood still is not noticed.
        if (clock.now() - due > TICK_MS) return wait();
        abort(
          headIsThere
            ? undiciError('BodyTimeoutError', 'Body Timeout Error', 'UND_ERR_BODY_TIMEOUT')
            : undiciError('HeadersTimeoutError', 'Headers Timeout Error', 'UND_ERR_HEADERS_TIMEOUT'),
        );
      });
    };
    const made: Handler = Object.create(inner) as Handler;
    const before = (names: readonly string[], look: (name: string, args: unknown[]) => void): void => {
      for (const name of names) {
        const method = inner[name];
        if (typeof method !== 'function') continue;
        made[name] = (...args: unknown[]): unknown => {
          look(name, args);
          return Reflect.apply(method as Method, inner, args as never[]);
        };
      }
    };
    before(BEGINNINGS, (_, [first]) => {
      abort =
        typeof first === 'function'
          ? (first as typeof abort)
          : (error) => (first as { abort(e: Error): void }).abort(error);
      wait();
    });
    before(PROGRESS, (name, args) => {
      if (HEADS.has(name)) {
        const [status, headers] = name === 'onHeaders' ? args : [args[1], args[2]];
        headIsThere = Number(status) >= 200;
        hint = hintOf(headers);
      } else if (BODIES.has(name)) headIsThere = true;
      wait();
    });
    before(ENDS, () => {
      stop();
      this.restAfter(hint);
    });
    before(FAILURES, stop);
    before(OTHERS, () => {});
    return made;
  }
}

function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}

/**
 * A dispatcher of undici's, or of the built-in fetch: `Agent` is its class. Its connections come from `connector`; its time
 * limits are measured on `clock`.
 */
export function timedDispatcher<T extends object>(
  Agent: new (options: object) => T,
  connector: UndiciConnector,
  clock: TaskClock,
  options: DispatchTimes & { readonly connections?: number; readonly pipelining?: number } = {},
): T {
  const { connections, pipelining } = options;
  const times = new Times(clock, options);
  const connect: UndiciConnector = (to, callback) =>
    connector(to, (error, socket) => {
      if (socket !== null) times.watch(socket);
      callback(error, socket);
    });
  const given = withoutUndefined({ connections, pipelining });
  const agent = new Agent({ ...given, ...WITHOUT_TIMES, connect }) as T & Dispatching;
  const dispatch = agent.dispatch.bind(agent);
  agent.dispatch = (what, handler) => dispatch(what, times.handler(handler as Handler));
  return agent;
}
