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
  /** Calls `task` after what `poll` and `setImmediate` bring next, where libuv closes handles. Default: `later`. */
  close?(task: () => void): void;
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

/** Then Node warns of whatever runs as an immediate. */
const inDomain = (): boolean => (process as { domain?: unknown }).domain != null;

/** A message to oneself: the one way into the poll phase of Node's loop that needs no descriptor. */
class Doorbell {
  private readonly sender: MessagePort;
  private readonly receiver: MessagePort;
  private rung = false;

  constructor(answer: () => void) {
    const { port1, port2 } = rootContext.runInAsyncScope(() => new MessageChannel());
    this.sender = port1;
    this.receiver = port2;
    port2.on('message', () => {
      this.rung = false;
      answer();
    });
    port1.unref();
    port2.unref();
  }

  ring(): void {
    if (this.rung) return;
    this.rung = true;
    this.sender.postMessage(null);
  }

  /** Whether the process waits for the message. */
  hold(on: boolean): void {
    if (on) this.receiver.ref();
    else this.receiver.unref();
  }
}

/**
 * Turns in the phases of the loop in which libuv tells of sockets and closes handles, so that a program sees its own
 * timers and immediates where it would with sockets of a kernel.
 */
class Phases {
  /** Made first: libuv looks at it first, and so at what rings it during a turn only in its next round. */
  private readonly nextRound = new Doorbell(() => this.round());
  private readonly turn = new Doorbell(() => this.run());
  private tasks: (() => void)[] = [];
  private closings: (() => void)[] = [];
  /** Those whose turn has ended: they run next, as immediates or in the next round. */
  private due: (() => void)[] = [];
  private dueInRound = false;
  private inside = false;
  private holding = false;

  poll(task: () => void, hold: boolean): void {
    this.tasks.push(task);
    if (hold) this.hold(true);
    if (!this.inside) this.turn.ring();
  }

  close(task: () => void): void {
    this.closings.push(task);
    this.hold(true);
    if (!this.inside) this.turn.ring();
  }

  private run(): void {
    const { tasks } = this;
    this.tasks = [];
    this.inside = true;
    for (const task of tasks) this.call(task);
    this.inside = false;
    if (this.closings.length > 0) this.closeSoon();
    if (this.tasks.length > 0) this.nextRound.ring();
    this.rest();
  }

  /** Handles close behind the program's own immediates. */
  private closeSoon(): void {
    this.due = this.due.concat(this.closings);
    this.closings = [];
    if (inDomain()) {
      this.dueInRound = true;
      this.nextRound.ring();
    } else {
      setImmediate(() => this.finish());
    }
  }

  private round(): void {
    if (this.dueInRound) this.finish();
    if (this.tasks.length > 0) this.turn.ring();
    this.rest();
  }

  private finish(): void {
    const { due } = this;
    this.due = [];
    this.dueInRound = false;
    for (const task of due) this.call(task);
    this.rest();
  }

  private rest(): void {
    if (this.tasks.length + this.closings.length + this.due.length === 0) this.hold(false);
  }

  private call(task: () => void): void {
    try {
      task();
      runTicks();
    } catch (error) {
      uncaught(error);
    }
  }

  private hold(on: boolean): void {
    if (on === this.holding) return;
    this.holding = on;
    this.turn.hold(on);
    this.nextRound.hold(on);
  }
}

const phases = new Phases();

/** Node's event loop. Its timers never keep the process alive: devices and sockets decide that. */
export const nodeLoop: Loop = {
  now: () => performance.now(),
  timer: (at, task) => setTimeout(task, Math.max(0, at - performance.now())).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
  soon: (task) => process.nextTick(task),
  // Inside a domain, Node warns of each program that uses setImmediate: the warning is not for ours.
  later: (task) => (inDomain() ? setTimeout(task, 0) : setImmediate(task)),
  poll: (task, hold) => phases.poll(task, hold),
  close: (task) => phases.close(task),
  between: () => runTicks(),
  failed: uncaught,
  // A timer that never matters: sockets in memory have no descriptor that the loop could wait for.
  hold: () => setInterval(() => {}, 0x7fffffff),
};
