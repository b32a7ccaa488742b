import diagnostics from 'node:diagnostics_channel';
import nodeNet from 'node:net';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Millis } from '../stack/base/bytes';
import { rootContext } from './context';
import { nextTick, time } from './time';

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
  /** Calls `task` at the end of this turn, behind what `setImmediate` brings, where libuv closes handles. Default: `later`. */
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

/** Node's own class, even if this project's takes its place later. */
const NodeSocket = nodeNet.Socket;

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
    time.setImmediate(() => raise(error));
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
  if (nobody) time.setImmediate(() => raise(error));
}

function raise(error: unknown): never {
  throw error;
}

/** Then Node warns of whatever runs as an immediate. */
const inDomain = (): boolean => (process as { domain?: unknown }).domain != null;

/** What sockets of ours are made of, and no doing of the program's, with what Node calls its kind. */
export const ownMeans = new Map<object, string>();

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
    if (on) {
      this.receiver.ref();
      ownMeans.set(this.receiver, 'MessagePort');
    } else {
      this.receiver.unref();
      ownMeans.delete(this.receiver);
    }
  }
}

/** Calls a task and what it leaves behind; what it throws harms nobody else. */
function call(task: () => void): void {
  try {
    task();
    runTicks();
  } catch (error) {
    uncaught(error);
  }
}

/** Turns in the phase of the loop in which libuv tells of sockets. */
class PollPhase {
  private bells: { readonly nextRound: Doorbell; readonly turn: Doorbell } | null = null;
  private tasks: (() => void)[] = [];
  private inside = false;
  private holding = false;

  add(task: () => void, hold: boolean): void {
    this.tasks.push(task);
    if (hold) this.hold(true);
    if (!this.inside) this.wired().turn.ring();
  }

  /**
   * Message ports are never collected, nor what hangs on them: all that a program loaded that only loaded this. So they are
   * made when they are first needed, or asked for.
   */
  wired(): { readonly nextRound: Doorbell; readonly turn: Doorbell } {
    if (this.bells === null) {
      // Made first: libuv looks at it first, and so at what rings it during a turn only in its next round.
      const nextRound = new Doorbell(() => this.round());
      this.bells = { nextRound, turn: new Doorbell(() => this.run()) };
    }
    return this.bells;
  }

  private run(): void {
    const { tasks } = this;
    this.tasks = [];
    this.inside = true;
    for (const task of tasks) call(task);
    this.inside = false;
    if (this.tasks.length > 0) this.wired().nextRound.ring();
    else this.hold(false);
  }

  private round(): void {
    if (this.tasks.length > 0) this.wired().turn.ring();
    else this.hold(false);
  }

  private hold(on: boolean): void {
    if (on === this.holding) return;
    this.holding = on;
    const { turn, nextRound } = this.wired();
    turn.hold(on);
    nextRound.hold(on);
  }
}

/** What Node has for a TCP socket; one that is made and closed costs no descriptor. */
type LibuvHandle = { close(done: () => void): void };
const TCP = 'TCPSocketWrap';
type LibuvHandleClass = new (type: number) => LibuvHandle;

/**
 * The class has no name that programs can reach: it is taken from a socket that never finds out where to. Null when
 * somebody would be told of that socket.
 */
function libuvHandleClass(): LibuvHandleClass | null {
  if (diagnostics.channel('net.client.socket').hasSubscribers) return null;
  const socket = new NodeSocket();
  socket.connect({ port: 1, host: 'localhost', lookup: () => {} });
  const { _handle: handle } = socket as unknown as { _handle: LibuvHandle | null };
  ownMeans.set(socket, TCP);
  socket.once('close', () => ownMeans.delete(socket));
  socket.destroy();
  return typeof handle?.close === 'function' ? (handle.constructor as LibuvHandleClass) : null;
}

/** The same phase by a message port, which costs some microseconds more. */
function closePort(done: () => void): void {
  const { port1 } = new MessageChannel();
  ownMeans.set(port1, 'MessagePort');
  port1.once('close', () => {
    ownMeans.delete(port1);
    done();
  });
  port1.close();
}

function closeHandle(handleClass: LibuvHandleClass, done: () => void): void {
  const handle = new handleClass(0);
  ownMeans.set(handle, TCP);
  handle.close(() => {
    ownMeans.delete(handle);
    done();
  });
}

/**
 * Turns in the phase in which libuv calls back for handles that were closed: behind the immediates of the turn of the loop
 * in which it is asked for. The one way there is to close a handle.
 */
class ClosePhase {
  private tasks: (() => void)[] = [];
  private handleClass: LibuvHandleClass | null | undefined;

  add(task: () => void): void {
    if (this.tasks.push(task) > 1) return;
    if (this.handleClass === undefined) this.handleClass = rootContext.runInAsyncScope(libuvHandleClass);
    const { handleClass } = this;
    const done = (): void => this.run();
    rootContext.runInAsyncScope(() => (handleClass === null ? closePort(done) : closeHandle(handleClass, done)));
  }

  private run(): void {
    const { tasks } = this;
    this.tasks = [];
    for (const task of tasks) call(task);
  }
}

const pollPhase = new PollPhase();
const closePhase = new ClosePhase();

/** Makes what the loop needs now: a program that watches what is made (`async_hooks`) is not told of it later. */
export const makeReady = (): void => void pollPhase.wired();

/** Node's event loop. Its timers never keep the process alive: devices and sockets decide that. */
export const nodeLoop: Loop = {
  now: () => time.now(),
  timer: (at, task) => time.setTimeout(task, Math.max(0, at - time.now())).unref(),
  clear: (timer) => {
    ownMeans.delete(timer as object);
    time.clearTimeout(timer as NodeJS.Timeout);
  },
  soon: (task) => nextTick(task),
  // Inside a domain, Node warns of each program that uses setImmediate: the warning is not for ours.
  later: (task) => (inDomain() ? time.setTimeout(task, 0) : time.setImmediate(task)),
  poll: (task, hold) => pollPhase.add(task, hold),
  close: (task) => closePhase.add(task),
  between: () => runTicks(),
  failed: uncaught,
  // A timer that never matters: sockets in memory have no descriptor that the loop could wait for.
  hold: () => {
    const timer = time.setInterval(() => {}, 0x7fffffff);
    ownMeans.set(timer, 'Timeout');
    return timer;
  },
};
