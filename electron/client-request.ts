import type * as http from 'node:http';
import { Writable } from 'node:stream';
import { asNetError, type NetError } from './errors';
import type { Exchange } from './exchange';
import { type BodyOwner, IncomingMessage } from './incoming-message';
import type { RequestSpec } from './options';
import type { UploadProgress } from './progress';
import type { Redirect } from './redirects';
import type { ResponseHead } from './response-head';
import type { ElectronModules } from './session-types';
import { type AuthInfo, type LoginCallback, Transaction, type TransactionOwner } from './transaction';
import { Upload } from './upload';

/** What the events of a `ClientRequest` bring. */
export interface ClientRequestEvents {
  response: [response: IncomingMessage];
  login: [info: AuthInfo, callback: LoginCallback];
  redirect: [statusCode: number, method: string, redirectUrl: string, responseHeaders: Record<string, string[]>];
  'upload-progress': [position: number, total: number];
  finish: [];
  abort: [];
  error: [error: Error];
  close: [];
}

// biome-ignore lint/suspicious/noExplicitAny: as Node types it
type Listener = (...args: any[]) => void;

const INACTIVE: UploadProgress = { active: false, started: false, current: 0, total: 0 };

/**
 * An HTTP request, as a Writable of its body. `net.request` makes it.
 *
 * Without `chunkedEncoding` the body is gathered and goes out with its length after `end()`; with it, it goes out as it is
 * written. 'close' is the last event, of the request and of its response.
 */
export class ClientRequest extends Writable {
  private readonly upload = new Upload();
  private readonly transaction: Transaction;
  private response: IncomingMessage | null = null;
  private chunkedSet = false;
  private written = false;
  private started = false;
  /** What is to come are the last events. */
  private ending = false;
  private abortWanted = false;
  private abortTold = false;
  private closeTold = false;
  private pendingRedirect: (() => void) | null = null;
  private progressTold = 0;

  constructor(
    modules: ElectronModules,
    private readonly spec: RequestSpec,
    listener?: (response: IncomingMessage) => void,
  ) {
    // 'close' comes after the response's, which only this knows.
    super({ autoDestroy: false, emitClose: false, decodeStrings: true });
    this.transaction = new Transaction(modules, spec, this.upload, this.asOwner());
    if (listener !== undefined) this.once('response', listener);
  }

  // ── events, typed ──

  override on<E extends keyof ClientRequestEvents>(event: E, listener: (...args: ClientRequestEvents[E]) => void): this;
  override on(event: string | symbol, listener: Listener): this;
  override on(event: string | symbol, listener: Listener): this {
    return super.on(event, listener);
  }

  override once<E extends keyof ClientRequestEvents>(
    event: E,
    listener: (...args: ClientRequestEvents[E]) => void,
  ): this;
  override once(event: string | symbol, listener: Listener): this;
  override once(event: string | symbol, listener: Listener): this {
    return super.once(event, listener);
  }

  override addListener<E extends keyof ClientRequestEvents>(
    event: E,
    listener: (...args: ClientRequestEvents[E]) => void,
  ): this;
  override addListener(event: string | symbol, listener: Listener): this;
  override addListener(event: string | symbol, listener: Listener): this {
    return super.addListener(event, listener);
  }

  // ── before the first write ──

  /** Whether the body is sent in chunks, as it is written. */
  get chunkedEncoding(): boolean {
    return this.upload.chunked;
  }
  /** @throws Error after the first write, and the second time */
  set chunkedEncoding(chunked: boolean) {
    if (this.isFrozen) throw new Error('chunkedEncoding can only be set before the request is started');
    if (this.chunkedSet) throw new Error('chunkedEncoding can only be set once');
    this.chunkedSet = true;
    this.upload.chunked = Boolean(chunked);
  }

  private get isFrozen(): boolean {
    return this.written || this.started || this.ending;
  }

  /**
   * Sets a field; its name goes out as it is spelled here.
   * @throws TypeError, Error for what cannot stand in a head, and after the first write
   */
  setHeader(name: string, value: unknown): void {
    const { headers } = this.spec;
    if (!this.isFrozen) {
      headers.set(name, value);
      return;
    }
    // What is wrong with the arguments is said first.
    headers.clone().set(name, value);
    throw new Error("Can't set headers after they are sent");
  }

  /** A field's value, as it was given: Electron's types say text. @throws Error without a name */
  // biome-ignore lint/suspicious/noExplicitAny: text where text was set, a number where that was
  getHeader(name: string): any {
    if (name === undefined || name === null) throw new Error('`name` is required for getHeader(name)');
    return this.spec.headers.get(String(name));
  }

  /** @throws Error without a name, and after the first write */
  removeHeader(name: string): void {
    if (name === undefined || name === null) throw new Error('`name` is required for removeHeader(name)');
    if (this.isFrozen) throw new Error("Can't remove headers after they are sent");
    this.spec.headers.remove(String(name));
  }

  // ── the body ──

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of Writable
  override write(chunk: any, ...rest: any[]): boolean {
    this.written = true;
    const tooLate = this.writableEnded && !this.destroyed;
    const more = super.write(chunk, ...(rest as []));
    // The stream emits the error; there is no saying what the body should have been.
    if (tooLate) this.endEvents(null);
    return more;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of Writable
  override end(...all: any[]): this {
    const [chunk] = all;
    const writes = chunk !== undefined && chunk !== null && typeof chunk !== 'function';
    const tooLate = writes && this.writableEnded && !this.destroyed;
    super.end(...(all as []));
    if (tooLate) this.endEvents(null);
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.written = true;
    this.upload.write(chunk, callback);
    if (this.upload.chunked) this.start();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.upload.end();
    this.start();
    callback();
  }

  private start(): void {
    if (this.started || this.ending) return;
    this.started = true;
    this.transaction.start();
  }

  /** How much of the body the server has: bytes that its TCP acknowledged, which a kernel does not tell. */
  getUploadProgress(): UploadProgress {
    if (!this.started || this.ending) return { ...INACTIVE };
    const { bytes } = this.upload;
    const started = bytes > 0 && this.transaction.uploadBegan;
    if (!started) return { ...INACTIVE, active: true };
    return { active: true, started, current: this.transaction.uploadedBytes, total: bytes };
  }

  // ── control ──

  /** Continues a redirect. @throws Error outside of a 'redirect' event */
  followRedirect(): void {
    if (this.pendingRedirect === null) {
      throw new Error('followRedirect() called, but was not waiting for a redirect');
    }
    this.pendingRedirect();
  }

  /** Cancels the request: 'abort', on a response under way 'aborted', and 'close'. Nothing after 'close'. */
  abort(): void {
    if (this.closeTold || this.abortWanted) return;
    this.abortWanted = true;
    this.endEvents(null);
  }

  /** Ends the request with an error, or, without one, as `abort` does. */
  override destroy(error?: Error): this {
    if (error === undefined || error === null) this.abort();
    else this.endEvents(error);
    return this;
  }

  // ── what the network tells ──

  private asOwner(): TransactionOwner {
    return {
      login: (info, callback) => this.listenerCount('login') > 0 && this.emit('login', info, callback),
      redirect: (redirect, headers) => this.redirected(redirect, headers),
      responded: (exchange, message, head) => this.responded(exchange, message, head),
      uploaded: () => this.progressed(),
      failed: (error) => this.endEvents(error),
    };
  }

  private redirected({ statusCode, method, url }: Redirect, headers: Record<string, string[]>): boolean {
    let follows = this.spec.redirect !== 'manual';
    this.pendingRedirect = () => {
      follows = true;
    };
    try {
      this.emit('redirect', statusCode, method, url.href, headers);
    } finally {
      this.pendingRedirect = null;
    }
    return follows;
  }

  private progressed(): void {
    const current = this.transaction.uploadedBytes;
    if (current === this.progressTold || this.ending) return;
    this.progressTold = current;
    this.emit('upload-progress', current, this.upload.bytes);
  }

  private responded(exchange: Exchange, message: http.IncomingMessage, head: ResponseHead): void {
    const owner: BodyOwner = {
      bodyBroke: (error) => this.endEvents(asNetError(error, 'body', exchange.framing)),
      bodyDestroyed: () => this.endEvents(null),
      bodyClosed: () => this.endEvents(null),
    };
    const response = new IncomingMessage(message, head, exchange, owner, this.spec.session.contentDecoding);
    this.response = response;
    if (!this.emit('response', response)) response.resume();
  }

  // ── the last events ──

  /** Lets go of the network, and emits what is left to be told: in a tick of its own. */
  private endEvents(error: Error | null): void {
    if (this.ending) return;
    this.ending = true;
    if (this.response?.isComplete) this.transaction.complete(error?.message ?? null);
    else this.transaction.close(error?.message);
    super.destroy();
    process.nextTick(() => this.tellEnd(error as NetError | null));
  }

  private tellEnd(error: NetError | null): void {
    const { response } = this;
    if (error === null) this.tellAbort();
    if (response === null || response.isOver) {
      this.tellClose(error);
      return;
    }
    if (this.abortWanted && error === null && response.isLive) response.emit('aborted');
    response.once('close', () => process.nextTick(() => this.tellClose(error)));
    response.destroy(error ?? undefined);
  }

  private tellAbort(): void {
    if (!this.abortWanted || this.abortTold) return;
    this.abortTold = true;
    this.emit('abort');
  }

  private tellClose(error: NetError | null): void {
    if (error !== null) {
      // Whatever a listener throws, 'close' comes.
      process.nextTick(() => this.tellClose(null));
      this.emit('error', error);
      return;
    }
    this.tellAbort();
    this.closeTold = true;
    this.emit('close');
  }
}
