import type * as http from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { decodersFor } from './decoding';
import type { Exchange } from './exchange';
import type { ResponseHead } from './response-head';

const HIGH_WATER = 64 * 1024;

/** Told how a response's body ended. */
export interface BodyOwner {
  /** It was cut short. */
  bodyBroke(error: unknown): void;
  /** The application does not want the rest. */
  bodyDestroyed(): void;
  /** Nothing more will be emitted. */
  bodyClosed(): void;
}

/**
 * A response: a Readable of its body. `headers` is as Node has it; 'aborted' is emitted when the request is aborted while
 * the body comes.
 */
export class IncomingMessage extends Readable {
  /** Bytes of the body so far, decoded. */
  private received = 0;
  private finished = false;
  private broken = false;
  private over = false;
  /** What undoes the body's codings, the last one applied first. */
  private readonly decoders: readonly Duplex[];
  /** What the body is read from: the last decoder, or the message itself. */
  private readonly source: Readable;

  constructor(
    private readonly message: http.IncomingMessage,
    private readonly head: ResponseHead,
    exchange: Exchange,
    private readonly owner: BodyOwner,
    decodes: boolean,
  ) {
    super({ highWaterMark: HIGH_WATER, emitClose: true, autoDestroy: true });
    message.on('end', () => {
      this.finished = true;
      exchange.finish();
    });
    this.decoders = decodes ? decodersFor(String(head.headers['content-encoding'] ?? '')) : [];
    this.source = this.connect();
    this.source.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      if (!this.push(chunk)) this.source.pause();
      this.emit('download-progress', this.received);
    });
    this.source.pause();
    this.source.on('end', () => this.push(null));
    const broke = (): void => {
      if (this.finished || this.broken) return;
      this.broken = true;
      owner.bodyBroke(exchange.error ?? new Error('aborted'));
    };
    // It may have broken while nobody had asked for it: before credentials came, say.
    if (message.destroyed && !message.readableEnded && !message.complete) process.nextTick(broke);
    message.on('close', broke);
    this.once('close', () => {
      this.over = true;
      owner.bodyClosed();
    });
  }

  /** Puts the decoders behind the message. Gives what the body is read from. */
  private connect(): Readable {
    let last: Readable = this.message;
    for (const decoder of this.decoders) {
      decoder.on('error', (error) => {
        if (!this.destroyed) this.owner.bodyBroke(error);
      });
      last = last.pipe(decoder);
    }
    return last;
  }

  get statusCode(): number {
    return this.head.statusCode;
  }
  get statusMessage(): string {
    return this.head.statusMessage;
  }
  get httpVersion(): string {
    return this.message.httpVersion;
  }
  get httpVersionMajor(): number {
    return this.message.httpVersionMajor;
  }
  get httpVersionMinor(): number {
    return this.message.httpVersionMinor;
  }
  /** By lower-case name; set-cookie is a list, other repeated fields are joined, singletons keep the first value. */
  get headers(): Record<string, string | string[]> {
    return this.head.headers;
  }
  /** Names and values in turn, as received. */
  get rawHeaders(): string[] {
    return this.head.rawHeaders;
  }
  /** @throws Error always */
  get trailers(): never {
    throw new Error('HTTP trailers are not supported');
  }
  /** @throws Error always */
  get rawTrailers(): never {
    throw new Error('HTTP trailers are not supported');
  }

  /** The whole body has come, read and decoded or not. */
  get isComplete(): boolean {
    return this.finished;
  }

  /** 'close' was emitted: there is nothing more to tell. */
  get isOver(): boolean {
    return this.over;
  }

  /** True while it can still break: it was not read to its end. */
  get isLive(): boolean {
    return !this.destroyed && !this.readableEnded;
  }

  override _read(): void {
    this.source.resume();
  }

  /** An error is told only where somebody listens: a response cut short is not the end of a program. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.finished) this.owner.bodyDestroyed();
    for (const decoder of this.decoders) decoder.destroy();
    callback(this.listenerCount('error') === 0 ? null : error);
  }
}
