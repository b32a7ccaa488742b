import type { AsyncResource } from 'node:async_hooks';
import { nextTick } from '../net/time';
import { defineFlags } from '../stack/base/flags';
import type { HttpHandler, HttpReader } from './connection';
import { type HttpParseError, parseFailure } from './errors';
import type { Head } from './head';
import { headText, rawHeadersOf } from './head-strings';
import { addTrailers, completeMessage, type IncomingMessage } from './incoming';
import type { ReaderPool } from './reader-pool';
import type { DirectConsumer, MessageReader, MessageSocket, SocketReader } from './transport';

/** Node's deprecated domains: whoever is entered when an error is thrown gets it. */
interface Domain {
  enter(): void;
}
const domains = process as unknown as { domain?: Domain | null };

/** What an application threw, while it is on its way to be thrown again; an object, since anything can be thrown. */
interface Thrown {
  readonly error: unknown;
  readonly domain: Domain | null | undefined;
}

/** The resource of a message ends with it, not with the garbage collector. */
export const DESTROYED_BY_US = { requireManualDestroy: true };

type Task = (...args: never[]) => unknown;

/**
 * What connections of servers and clients have in common: bytes come in, in place from a socket of our stack or else as a
 * stream, and become messages. Holds a reader only while a message is being read.
 *
 * Application code runs in the middle of reading. Where it throws, the reader is stopped first, what is left is kept, and
 * only then is the error thrown on, so that the next request is read whatever became of this one.
 */
export abstract class MessageConnection implements DirectConsumer, HttpHandler, MessageReader, SocketReader {
  /** The message that is being read, or was last. */
  incoming: IncomingMessage | null = null;
  /** Booleans: `FLAGS`. */
  bits = 0;
  /** Text comes in place from a socket of our stack, not through a stream. */
  declare direct: boolean;
  reader: HttpReader | null = null;
  /** The message's stream is full. */
  declare protected full: boolean;
  /** Bytes of ours that wait to be read, before any that the socket holds. */
  private held: Buffer | null = null;
  declare private reading: boolean;
  private thrown: Thrown | null = null;
  /** Ticks and promises run behind each piece of a body, though the end of the message came with it. */
  declare protected ticks: boolean;

  constructor(readonly socket: MessageSocket) {}

  /** HTTP ended with the message just read; `rest` are the bytes behind it. */
  protected abstract leave(rest: Buffer): void;
  protected abstract refused(error: HttpParseError): void;
  /** All that came is read, and the reader stopped where it is. */
  protected abstract paused(reader: HttpReader): void;
  /** More must not be read, for reasons beside the message's stream. */
  protected abstract get blocked(): boolean;
  protected abstract readonly pool: ReaderPool;
  /** The async context in which all that concerns the message being read runs. */
  protected abstract readonly scope: AsyncResource;
  abstract onHead(head: Head): number;

  // ── bytes in ──

  onText(bytes: Uint8Array, at: number, end: number): number {
    if (this.held !== null) return 0;
    const used = this.read(bytes, at, end);
    if (this.thrown !== null) {
      this.keep(bytes, at + used, end);
      this.throwAgain();
    }
    return used;
  }

  private read(bytes: Uint8Array, at: number, end: number): number {
    const reader = (this.reader ??= this.pool.take(this));
    // What was wrong has been told, and was the end.
    if (reader.error !== null && this.socket.destroyed) return end - at;
    this.reading = true;
    const stop = reader.read(bytes, at, end);
    this.reading = false;
    if (this.reader !== reader) return end - at;
    if (reader.error !== null) {
      this.refused(parseFailure(reader.error, reader.errorAt - at, Buffer.from(bytes.subarray(at, end))));
      return end - at;
    }
    if (reader.receiving === 'upgraded') {
      this.leave(Buffer.from(bytes.subarray(stop, end)));
      return end - at;
    }
    this.paused(reader);
    return stop - at;
  }

  /** Bytes from a stream. */
  onData(chunk: Buffer): void {
    if (this.reading || this.held !== null) {
      this.held = this.held === null ? chunk : Buffer.concat([this.held, chunk]);
      return;
    }
    const used = this.read(chunk, 0, chunk.length);
    if (used < chunk.length) this.holdBefore(chunk.subarray(used));
    if (this.thrown !== null) this.throwAgain();
    if (this.held !== null) this.readHeld();
  }

  /** Reads what was held back, then lets the socket go on. */
  readHeld(): void {
    while (this.held !== null && !this.full && !this.blocked) {
      const chunk = this.held;
      if (this.socket.parser !== this) return;
      this.held = null;
      const used = this.read(chunk, 0, chunk.length);
      if (used < chunk.length) this.holdBefore(chunk.subarray(used));
      if (this.thrown !== null) this.throwAgain();
      // The reader stands still although nobody is full: by `socket.parser.pause()`.
      if (used === 0) break;
    }
    if (this.socket.parser !== this) return;
    if (this.held === null && !this.full && !this.blocked) this.flow();
    else if (!this.direct) this.socket.pause();
  }

  /** The socket has no more: what was held back is read now, however full the message's stream is, as if never held. */
  protected readLast(): void {
    while (this.held !== null && !this.reading && this.socket.parser === this) {
      const chunk = this.held;
      this.held = null;
      this.full = false;
      this.reader?.resume();
      const used = this.read(chunk, 0, chunk.length);
      if (used < chunk.length) this.holdBefore(chunk.subarray(used));
      if (this.thrown !== null) this.throwAgain();
      if (used === 0) return;
    }
  }

  private flow(): void {
    if (this.direct) this.socket.resumeDirect!();
    else this.socket.resume();
  }

  private holdBefore(chunk: Buffer): void {
    this.held = this.held === null ? chunk : Buffer.concat([chunk, this.held]);
  }

  private keep(bytes: Uint8Array, at: number, end: number): void {
    if (at < end) this.holdBefore(Buffer.from(bytes.subarray(at, end)));
  }

  /** Calls the application in the message's context; what it throws stops the reader. */
  protected call(task: Task, self: unknown, a?: unknown, b?: unknown, c?: unknown, d?: unknown): unknown {
    return this.scope.runInAsyncScope(this.guard, this, task, self, a, b, c, d);
  }

  /** Where Node reads in place, too, ticks and promises run behind each piece of a body. */
  private runTicks(): void {
    try {
      this.socket._stackHost!.loop.between();
    } catch (error) {
      this.caught(error);
    }
    if (!this.full || !this.socket.destroyed) return;
    this.full = false;
    this.reader?.resume();
  }

  private caught(error: unknown): void {
    if (!this.reading) throw error;
    const loop = this.direct ? this.socket._stackHost?.loop : undefined;
    if (loop?.failed !== undefined) {
      loop.failed(error);
      return;
    }
    this.thrown ??= { error, domain: domains.domain };
    this.reader?.pause();
  }

  private guard(task: Task, self: unknown, a: unknown, b: unknown, c: unknown, d: unknown): unknown {
    const run = task as (...args: unknown[]) => unknown;
    try {
      // Listeners count their arguments.
      return d === undefined ? run.call(self, a, b, c) : run.call(self, a, b, c, d);
    } catch (error) {
      this.caught(error);
      return undefined;
    }
  }

  private throwAgain(): void {
    const { error, domain } = this.thrown!;
    this.thrown = null;
    nextTick(goOn, this);
    domain?.enter();
    throw error;
  }

  // The socket's own events tell these.
  onEnd(): void {}
  onRoom(): void {}
  onError(): void {}
  onClosed(): void {}

  /** Somebody listens to the socket's data: he and we both get it now. */
  onDetached(): void {
    if (!this.direct) return;
    this.direct = false;
    this.ticks = false;
    if (this.socket.parser === this && !this.full && !this.blocked) this.socket.resume();
  }

  /** Begins to take what the socket receives, in place if it can. */
  protected attach(): void {
    const { socket } = this;
    if (this.direct) return;
    this.direct = typeof socket.attachDirect === 'function' && socket.attachDirect(this);
  }

  /** Text goes to the socket's stream from now on. */
  protected detach(): void {
    if (!this.direct) return;
    this.direct = false;
    this.socket.detachDirect!();
  }

  /** Gives the reader back, in whatever state. */
  protected dropReader(): void {
    const { reader } = this;
    this.reader = null;
    this.held = null;
    this.thrown = null;
    if (reader !== null) this.pool.discard(reader);
  }

  // ── what the reader reads ──

  onBegin(): void {}

  onBody(bytes: Uint8Array, at: number, end: number): void {
    const message = this.incoming;
    if (message !== null && !message._dumped) {
      const chunk = this.direct ? this.ownPiece(bytes, at, end) : (bytes.subarray(at, end) as Buffer);
      // Of one that is destroyed nothing more will come, and what has come is read to its end.
      if (this.call(message.push, message, chunk) === false && !this.socket.destroyed) this.holdOff();
    }
    if (this.ticks) this.runTicks();
  }

  /** What a stream gave us is ours to keep; what lies in a packet only if its memory is left alone from now on. */
  private ownPiece(bytes: Uint8Array, at: number, end: number): Buffer {
    return this.socket.directView!(bytes, at, end) ?? Buffer.from(bytes.subarray(at, end));
  }

  onTrailers(head: Head): void {
    if (this.incoming !== null) addTrailers(this.incoming, rawHeadersOf(head, headText(head)));
  }

  onComplete(): void {
    const message = this.incoming;
    this.full = false;
    if (message === null) return;
    if (message._opened) this.call(completeMessage, undefined, message);
    else completeMessage(message);
  }

  // ── holding back and going on ──

  holdOff(): void {
    this.full = true;
    this.reader?.pause();
    // A stream would tell by itself.
    if (this.direct && this.socket.listenerCount('pause') > 0) this.socket.emit('pause');
  }

  wantMore(): void {
    if (!this.full) return;
    this.full = false;
    this.goOn();
  }

  /** `socket.parser.pause()`. */
  pause(): void {
    this.reader?.pause();
  }

  resume(): void {
    this.goOn();
  }

  goOn(): void {
    const { reader } = this;
    if (this.full || this.blocked || this.socket.parser !== this) return;
    reader?.resume();
    if (this.reading) return;
    if (this.direct && this.held === null) this.socket.resumeDirect!();
    else nextTick(readHeld, this);
  }
}

/** Behind them, those of a derived class. */
export const MESSAGE_FLAGS = defineFlags(MessageConnection.prototype, ['direct', 'full', 'reading', 'ticks']);

function goOn(connection: MessageConnection): void {
  connection.goOn();
}

function readHeld(connection: MessageConnection): void {
  connection.readHeld();
}
