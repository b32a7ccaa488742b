import { clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Millis } from '../stack/base/bytes';
import { rootContext } from './context';

/** What a host needs of the world outside its stack: the time, one timer, and "soon". A simulator offers its own. */
export interface Loop {
  now(): Millis;
  /** Calls `task` once at `at` or as soon after as can be. Returns what `clear` takes. */
  timer(at: Millis, task: () => void): unknown;
  clear(timer: unknown): void;
  /** Calls `task` when the code that runs now is done, before the next event. */
  soon(task: () => void): void;
  /** Calls `task` in a later turn of the loop, after other events had their chance. */
  later(task: () => void): void;
  /**
   * Calls `task` where the loop next tells of input and output, before what `setImmediate` was asked for: at once after
   * timers, a turn later when called from such a place. `hold`: the process waits for it. Default: `later`.
   */
  poll?(task: () => void, hold: boolean): void;
  /**
   * Runs what one callback left behind (process.nextTick, promise jobs) before the next callback of the same turn, as
   * Node does between any two I/O callbacks.
   */
  between(): void;
  /**
   * An application's callback, or what it left behind, threw `error`: hands it to whoever handles such errors, so that the
   * callbacks after it have their turn all the same. Default: it is thrown on.
   */
  failed?(error: unknown): void;
  /** Keeps the process alive until what it returns is given to `clear`. A virtual clock has no process to keep. */
  hold?(): unknown;
}

const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback ?? ((): void => {});

const domains = process as unknown as { domain?: object | null };

interface FatalProcess {
  _fatalException?: (error: unknown) => boolean;
}

/**
 * Does for a callback what Node does when one of its own throws: 'uncaughtException' and domains first. When nobody
 * handles it the process ends, in a turn of its own.
 *
 * It cannot be left to the exception to find its way out: ticks that ran between two callbacks leave their asynchronous
 * context open when they throw, and Node aborts when it meets that. Its own handler is what closes such contexts.
 */
function uncaught(error: unknown): void {
  const fatal = (process as FatalProcess)._fatalException;
  if (fatal === undefined) {
    setImmediate(() => raise(error));
    return;
  }
  if (process.hasUncaughtExceptionCaptureCallback() || process.listenerCount('uncaughtException') > 0) {
    fatal(error);
    return;
  }
  let nobody = false;
  const listener = (): void => {
    nobody = true;
  };
  process.on('uncaughtException', listener);
  try {
    fatal(error);
  } finally {
    process.off('uncaughtException', listener);
  }
  if (nobody) setImmediate(() => raise(error));
}

function raise(error: unknown): never {
  throw error;
}

/**
 * Turns in the loop's poll phase, where libuv tells of sockets. JavaScript has one way to get there that needs no
 * descriptor: a message to oneself.
 */
class PollPhase {
  private sender: MessagePort | null = null;
  private receiver: MessagePort | null = null;
  private tasks: (() => void)[] = [];
  private inside = false;
  private asked = false;

  ask(task: () => void, hold: boolean): void {
    this.tasks.push(task);
    if (hold) this.open().ref();
    if (this.asked) return;
    this.asked = true;
    // A message sent from inside would arrive in the same phase still.
    if (this.inside && hold) setImmediate(() => this.send());
    else this.send();
  }

  private open(): MessagePort {
    if (this.receiver === null) {
      const { port1, port2 } = rootContext.runInAsyncScope(() => new MessageChannel());
      this.sender = port1;
      this.receiver = port2;
      port2.on('message', () => this.run());
      port1.unref();
      port2.unref();
    }
    return this.receiver!;
  }

  private send(): void {
    this.open();
    this.sender!.postMessage(null);
  }

  private run(): void {
    const { tasks } = this;
    this.tasks = [];
    this.asked = false;
    this.receiver!.unref();
    this.inside = true;
    for (const task of tasks) {
      try {
        task();
        runTicks();
      } catch (error) {
        uncaught(error);
      }
    }
    this.inside = false;
  }
}

const pollPhase = new PollPhase();

/** Node's event loop. Its timers never keep the process alive: devices and sockets decide that. */
export const nodeLoop: Loop = {
  now: () => performance.now(),
  timer: (at, task) => setTimeout(task, Math.max(0, at - performance.now())).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
  soon: (task) => process.nextTick(task),
  // Inside a domain, Node warns of each program that uses setImmediate: the warning is not for ours.
  later: (task) => (domains.domain ? setTimeout(task, 0) : setImmediate(task)),
  poll: (task, hold) => pollPhase.ask(task, hold),
  between: () => runTicks(),
  failed: uncaught,
  // A timer that never matters: sockets in memory have no descriptor that the loop could wait for.
  hold: () => setInterval(() => {}, 0x7fffffff),
};
