import { EventEmitter } from 'node:events';
import { getDefaultHighWaterMark, Stream } from 'node:stream';
import { deprecate } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { END_CALLS_BACK_FIRST, MESSAGES_COUNT_CORKS } from '../net/running-node';
import { accessors, type Constructor, inherit, methods } from './construct';
import {
  bodyNotAllowed,
  contentLengthMismatch,
  headersSent,
  invalidArgType,
  methodNotImplemented,
  streamAlreadyFinished,
  streamCannotPipe,
  streamDestroyed,
  streamNullValues,
  streamWriteAfterEnd,
} from './errors';
import { type Finishable, finishSoon } from './finish-queue';
import { type HeadersArgument, renderHead } from './outgoing-head';
import { headerName, OutgoingHeaders } from './outgoing-headers';
import type { MessageSocket, MessageWriter } from './transport';
import { validateString } from './validators';

export interface OutgoingOptions {
  /** Bytes that a message without a socket may hold before `write` answers false. Default: that of streams. */
  highWaterMark?: number;
  /** Throw when a body is written to a message that must not have one, instead of ignoring it. */
  rejectNonStandardBodyWrites?: boolean;
}

export type WriteCallback = (error?: Error | null) => void;
export type Chunk = string | Uint8Array;

interface QueuedData {
  data: Chunk;
  encoding: BufferEncoding | null | undefined;
  callback: WriteCallback | null | undefined;
}

/**
 * A message to send: a response on a server, a request on a client. Its head is rendered when the first of the body, or
 * the end, is written; until it has the socket for itself, what is written waits in `outputData`.
 */
export interface OutgoingMessage extends Stream, Finishable {
  outputData: QueuedData[];
  /** Characters and bytes in `outputData`: about what is queued. */
  outputSize: number;
  writable: boolean;
  destroyed: boolean;
  chunkedEncoding: boolean;
  shouldKeepAlive: boolean;
  maxRequestsOnConnectionReached: boolean;
  useChunkedEncodingByDefault: boolean;
  sendDate: boolean;
  strictContentLength: boolean;
  /** `end` was called. */
  finished: boolean;
  socket: MessageSocket | null;
  connection: MessageSocket | null;
  readonly errored: Error | null | undefined;
  readonly closed: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly writableLength: number;
  readonly writableHighWaterMark: number;
  readonly writableCorked: number;
  readonly writableObjectMode: boolean;
  readonly writableNeedDrain: boolean;
  readonly headersSent: boolean;
  /** EventEmitter's: names with listeners; above 0, somebody listens. */
  readonly _eventsCount: number;
  // Those that subclasses have and rendering looks at.
  statusCode?: number;
  agent?: unknown;

  _last: boolean;
  _defaultKeepAlive: boolean;
  _removedConnection: boolean;
  _removedContLen: boolean;
  _removedTE: boolean;
  _contentLength: number | null;
  _hasBody: boolean;
  _trailer: string;
  _headerSent: boolean;
  _closed: boolean;
  /** The rendered head; null until then. */
  _header: string | null;
  _headIsAscii: boolean;
  _keepAliveTimeout: number;
  _maxRequestsPerSocket: number;
  _onPendingData(amount: number): void;
  _outHeaders: OutgoingHeaders | null;
  _uniqueHeaders: Set<string> | null;
  _bytesWritten: number;
  _needDrain: boolean;
  _corked: number;
  /** How often it was corked, whoever holds what is written meanwhile; only counted where Node does. */
  _corks: number;
  /** Callbacks of `end`, where Node calls them before 'finish'. */
  _endCallbacks: WriteCallback[] | null;
  /** 'finish' was told, or is. */
  _flushed: boolean;
  _errored: Error | null | undefined;
  _highWaterMark: number;
  _rejectsBodies: boolean;
  /** To write nothing does nothing, as Node 14's documentation says. */
  _skipsEmptyWrites: boolean;
  /** All of it went out at once, without a stream between. */
  _wroteWhole: boolean;
  /** Our connection, when bytes may go to it without a stream between. */
  _writer: MessageWriter | null;

  cork(): void;
  uncork(): void;
  setTimeout(msecs: number, callback?: (socket: MessageSocket) => void): this;
  destroy(error?: Error): this;
  setHeader(name: string, value: unknown): this;
  setHeaders(headers: unknown): this;
  appendHeader(name: string, value: unknown): this;
  getHeader(name: string): unknown;
  getHeaderNames(): string[];
  getRawHeaderNames(): string[];
  getHeaders(): Record<string, unknown>;
  hasHeader(name: string): boolean;
  removeHeader(name: string): void;
  addTrailers(headers: object): void;
  flushHeaders(): void;
  write(chunk: Chunk, encoding?: BufferEncoding | null | WriteCallback, callback?: WriteCallback): boolean;
  end(
    chunk?: Chunk | null | WriteCallback,
    encoding?: BufferEncoding | null | WriteCallback,
    callback?: WriteCallback,
  ): this;
  pipe<T>(destination?: T): T;
  _implicitHeader(): void;
  _renderHeaders(): Record<string, unknown>;
  _storeHeader(firstLine: string, headers?: HeadersArgument, ascii?: boolean): void;
  _send(data: Chunk, encoding?: BufferEncoding | null, callback?: WriteCallback | null, bytes?: number): boolean;
  _writeRaw(data: Chunk, encoding?: BufferEncoding | null, callback?: WriteCallback | null, bytes?: number): boolean;
  _finish(): void;
  _flush(): void;
  _flushOutput(socket: MessageSocket): boolean | undefined;
  _outputSent(): void;
}

export function nothing(): void {}

const CRLF = Buffer.from('\r\n');
const emitters = EventEmitter as unknown as { usingDomains?: boolean; call(self: object): void };
/** Accessors of Node 0.x that are still asked for. */
const DEPRECATED = ['OutgoingMessage.prototype._headers is deprecated', 'DEP0066'] as const;
const NAMES_DEPRECATED = ['OutgoingMessage.prototype._headerNames is deprecated', 'DEP0066'] as const;
/** A whole message up to this size goes out in one piece without a stream between. */
const WHOLE_MAX = 16_000;

/** The base of ServerResponse and ClientRequest. */
export const OutgoingMessage = function (this: OutgoingMessage, options?: OutgoingOptions): void {
  if (emitters.usingDomains) emitters.call(this);
  this.outputData = [];
  this.outputSize = 0;
  this.writable = true;
  this.destroyed = false;
  this._last = false;
  this.chunkedEncoding = false;
  this.shouldKeepAlive = true;
  this.useChunkedEncodingByDefault = true;
  this.sendDate = false;
  this._contentLength = null;
  this._hasBody = true;
  this._needDrain = false;
  this.finished = false;
  this._headerSent = false;
  this._headIsAscii = false;
  this._closed = false;
  this.socket = null;
  this._header = null;
  this._outHeaders = null;
  this._keepAliveTimeout = 0;
  this._writer = null;
  this._highWaterMark = options?.highWaterMark ?? getDefaultHighWaterMark(false);
  if (options?.rejectNonStandardBodyWrites) this._rejectsBodies = true;
} as unknown as Constructor<OutgoingMessage, [options?: OutgoingOptions]>;
inherit(OutgoingMessage, Stream);

/** What few messages ever change stands on the prototype, and costs the others nothing. */
const defaults: Partial<OutgoingMessage> = {
  maxRequestsOnConnectionReached: false,
  _defaultKeepAlive: true,
  _removedConnection: false,
  _removedContLen: false,
  _removedTE: false,
  strictContentLength: false,
  _bytesWritten: 0,
  _trailer: '',
  _corked: 0,
  _corks: 0,
  _endCallbacks: null,
  _flushed: false,
  _wroteWhole: false,
  _maxRequestsPerSocket: 0,
  _onPendingData: nothing,
  _errored: null,
  _rejectsBodies: false,
  _skipsEmptyWrites: false,
  _uniqueHeaders: null,
};
Object.assign(OutgoingMessage.prototype, defaults);

const byteLength = (chunk: Chunk, encoding?: BufferEncoding | null): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding ?? undefined) : chunk.byteLength;

/** Tells a write that came too late: its callback, and 'error' while the message lives. */
function refuseWrite(message: OutgoingMessage, error: Error, callback: WriteCallback): void {
  if (!message.destroyed) process.nextTick(tellRefused, message, error, callback);
}

function tellRefused(message: OutgoingMessage, error: Error, callback: WriteCallback): void {
  callback(error);
  if (typeof message.emit === 'function' && !message.destroyed) message.emit('error', error);
}

/** The length announced must come true only where the application asked for that, and where there is one. */
function announcesLength(message: OutgoingMessage): boolean {
  return (
    message.strictContentLength &&
    message._contentLength != null &&
    message._hasBody &&
    !message._removedContLen &&
    !message.chunkedEncoding &&
    !message.hasHeader('transfer-encoding')
  );
}

/** Why a chunk cannot be written. @throws TypeError when it is none */
function whyNot(message: OutgoingMessage, chunk: unknown): Error | null {
  if (chunk === null) throw streamNullValues();
  if (typeof chunk !== 'string' && !isUint8Array(chunk)) {
    throw invalidArgType('chunk', ['string', 'Buffer', 'Uint8Array'], chunk);
  }
  if (message.finished) return streamWriteAfterEnd();
  return message.destroyed ? streamDestroyed('write') : null;
}

/** The head, when there is none, and the checks before a piece of the body. False: the body is not to be sent. */
function beginBody(message: OutgoingMessage, chunk: Chunk, encoding: BufferEncoding | null, last: boolean): boolean {
  if (message.strictContentLength) {
    const sent = message._bytesWritten + byteLength(chunk, encoding);
    const wanted = message._contentLength;
    if (announcesLength(message) && (last ? sent !== wanted : sent > wanted!)) {
      throw contentLengthMismatch(sent, wanted!);
    }
    message._bytesWritten = sent;
  }
  if (!message._header) {
    if (last) message._contentLength = byteLength(chunk, encoding);
    message._implicitHeader();
  }
  if (message._hasBody) return true;
  if (message._rejectsBodies) throw bodyNotAllowed();
  return false;
}

function writeBody(
  message: OutgoingMessage,
  chunk: Chunk,
  encoding: BufferEncoding | null,
  callback: WriteCallback,
  last: boolean,
): boolean {
  const error = whyNot(message, chunk);
  if (error !== null) {
    if (message.destroyed) process.nextTick(callback, error);
    else refuseWrite(message, error, callback);
    return false;
  }
  if (message._skipsEmptyWrites && !last && chunk.length === 0) return true;
  if (!beginBody(message, chunk, encoding, last)) {
    process.nextTick(callback);
    return true;
  }
  const { socket } = message;
  if (!last && socket && !socket.writableCorked) {
    // Pieces written in one tick leave together.
    socket.cork();
    process.nextTick(uncorkSocket, socket);
  }
  if (!message.chunkedEncoding || chunk.length === 0) return message._send(chunk, encoding, callback);
  const bytes = byteLength(chunk, encoding);
  message._send(bytes.toString(16), 'latin1', null);
  message._send(CRLF, null, null);
  message._send(chunk, encoding, null, bytes);
  return message._send(CRLF, null, callback);
}

function uncorkSocket(socket: MessageSocket): void {
  socket.uncork();
}

/** Node's encodings in which the bytes of text can be written with its head as one text. */
const isPlain = (encoding: unknown): boolean => encoding == null || encoding === 'utf8' || encoding === 'utf-8';

/**
 * Sends the head and the whole body in one piece, when nothing of the message was sent and its connection takes bytes
 * directly. False when that cannot be; nothing was sent then, though the head may be rendered.
 */
function endWhole(message: OutgoingMessage, chunk: Chunk | null, encoding: BufferEncoding | null): boolean {
  const writer = message._writer!;
  if (message._headerSent || message.outputSize !== 0 || message.destroyed || !writer.mayWrite(message)) return false;
  if (message._send !== send || message._writeRaw !== writeRaw) return false;
  if (message._corked !== 0 || message.strictContentLength) return false;
  if (chunk !== null) {
    if (chunk.length > WHOLE_MAX || (typeof chunk === 'string' && !isPlain(encoding))) return false;
    if (!beginBody(message, chunk, encoding, true)) chunk = null;
  } else if (!message._header) {
    message._contentLength = 0;
    message._implicitHeader();
  }
  // writeHead may be an application's own and may have sent, or ended, the message.
  if (message._headerSent || message.finished || !message._headIsAscii) return false;
  return message._hasBody && message.chunkedEncoding
    ? writeChunked(writer, message, chunk)
    : writeText(writer, message._header!, chunk, '');
}

/** A body known in full, in a message that was announced as chunked: one chunk, or none, and the last one. */
function writeChunked(writer: MessageWriter, message: OutgoingMessage, chunk: Chunk | null): boolean {
  if (message._trailer !== '') return false;
  if (chunk === null) return writeText(writer, `${message._header}0\r\n\r\n`, null, '');
  const head = `${message._header}${byteLength(chunk).toString(16)}\r\n`;
  return writeText(writer, head, chunk, '\r\n0\r\n\r\n');
}

function writeText(writer: MessageWriter, head: string, chunk: Chunk | null, tail: string): boolean {
  if (chunk === null) return writer.writeWhole(head, null, '');
  return typeof chunk === 'string'
    ? writer.writeWhole(head + chunk + tail, null, '')
    : writer.writeWhole(head, chunk, tail);
}

/** What waited for the socket is one text, such as a whole request: it needs no stream either. */
function flushWhole(message: OutgoingMessage, { data, encoding, callback }: QueuedData): boolean {
  const writer = message._writer!;
  if (typeof data !== 'string' || data.length > WHOLE_MAX || !message._headIsAscii || !writer.mayWrite(message)) {
    return false;
  }
  if (!isPlain(encoding) && (encoding !== 'latin1' || Buffer.byteLength(data) !== data.length)) return false;
  if (!writer.writeWhole(data, null, '')) return false;
  if (callback) process.nextTick(callback);
  return true;
}

function end(
  this: OutgoingMessage,
  chunk?: Chunk | null | WriteCallback,
  encoding?: BufferEncoding | null | WriteCallback,
  callback?: WriteCallback,
): OutgoingMessage {
  if (typeof chunk === 'function') {
    callback = chunk;
    chunk = null;
    encoding = null;
  } else if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  if (this.finished) {
    endAgain(this, chunk, callback);
    return this;
  }
  const body = chunk ? chunk : null;
  const how = (encoding as BufferEncoding) ?? null;
  if (this._writer !== null && (body === null || typeof body === 'string' || isUint8Array(body))) {
    if (endWhole(this, body, how)) {
      this._headerSent = true;
      this._wroteWhole = true;
      if (typeof callback === 'function') callWhenEnded(this, callback);
      this.finished = true;
      this._finish();
      // One that is ahead of its turn finishes once it has the socket.
      if (this.socket !== null) finishSoon(this, this._eventsCount > 0);
      return this;
    }
    if (this.finished) return this;
  }
  endInPieces(this, body, how, callback);
  return this;
}

function callWhenEnded(message: OutgoingMessage, callback: WriteCallback): void {
  if (!END_CALLS_BACK_FIRST) message.once('finish', callback as () => void);
  else if (message._endCallbacks === null) message._endCallbacks = [callback];
  else message._endCallbacks.push(callback);
}

/** All is written, or the socket failed: callbacks of `end` hear of it where they come first. False: 'finish' is not told. */
export function tellEnded(message: OutgoingMessage): boolean {
  const { socket, _endCallbacks: callbacks } = message;
  const failed = socket?._hadError === true;
  message._flushed = !failed;
  if (callbacks === null) return !failed;
  message._endCallbacks = null;
  const error = failed ? (message.errored ?? socket.errored ?? streamDestroyed('end')) : null;
  // Called as Node calls them: `this` is the list.
  for (let i = 0; i < callbacks.length; i++) callbacks[i]!(error);
  return !failed;
}

/** `end` after `end`: the callback still hears when all is written; a further chunk is refused. */
function endAgain(message: OutgoingMessage, chunk: unknown, callback: WriteCallback | undefined): void {
  if (chunk) {
    refuseWrite(message, streamWriteAfterEnd(), typeof callback === 'function' ? callback : nothing);
  } else if (typeof callback === 'function') {
    if (!message.writableFinished) callWhenEnded(message, callback);
    else callback(streamAlreadyFinished('end'));
  }
}

function endInPieces(
  message: OutgoingMessage,
  chunk: Chunk | null,
  encoding: BufferEncoding | null,
  callback: WriteCallback | undefined,
): void {
  const { socket } = message;
  if (socket && (chunk !== null || !message._header)) socket.cork();
  if (chunk !== null) {
    writeBody(message, chunk, encoding, nothing, true);
  } else if (!message._header) {
    message._contentLength = 0;
    message._implicitHeader();
  }
  if (typeof callback === 'function') callWhenEnded(message, callback);
  if (announcesLength(message) && message._bytesWritten !== message._contentLength) {
    throw contentLengthMismatch(message._bytesWritten, message._contentLength!);
  }
  const written = writtenOf.bind(undefined, message);
  if (message._hasBody && message.chunkedEncoding) message._send(`0\r\n${message._trailer}\r\n`, 'latin1', written);
  else if (!message._headerSent || message.writableLength || chunk !== null) message._send('', 'latin1', written);
  else process.nextTick(written);

  if (message.socket) {
    // However often it was corked, the end lets everything out.
    const state = (message.socket as unknown as { _writableState?: { corked: number } })._writableState;
    if (state) state.corked = 1;
    message.socket.uncork();
  }
  if (message._corked !== 0) message._corked = 0;
  if (MESSAGES_COUNT_CORKS) message._corks = 0;
  message.finished = true;
  if (message.outputData.length === 0 && message.socket && message.socket._httpMessage === message) message._finish();
}

function writtenOf(message: OutgoingMessage): void {
  message._written();
}

/** The head goes out with the first piece of the body, in one write where that is text. */
function send(
  this: OutgoingMessage,
  data: Chunk,
  encoding?: BufferEncoding | null,
  callback?: WriteCallback | null,
  bytes?: number,
): boolean {
  if (!this._headerSent && this._header !== null) {
    if (typeof data === 'string' && (isPlain(encoding) || encoding === 'latin1')) {
      data = this._header + data;
    } else {
      const header = this._header;
      this.outputData.unshift({ data: header, encoding: 'latin1', callback: null });
      this.outputSize += header.length;
      this._onPendingData(header.length);
    }
    this._headerSent = true;
  }
  return this._writeRaw(data, encoding, callback, bytes);
}

function writeRaw(
  this: OutgoingMessage,
  data: Chunk,
  encoding?: BufferEncoding | null | WriteCallback,
  callback?: WriteCallback | null,
): boolean {
  const { socket } = this;
  if (socket?.destroyed) return false;
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  if (socket && socket._httpMessage === this && socket.writable) {
    if (this.outputData.length > 0) this._flushOutput(socket);
    return socket.write(data, encoding as BufferEncoding, callback as WriteCallback);
  }
  this.outputData.push({ data, encoding, callback });
  this.outputSize += data.length;
  this._onPendingData(data.length);
  return this.outputSize < this._highWaterMark;
}

methods(OutgoingMessage.prototype, {
  _renderHeaders() {
    if (this._header) throw headersSent('render');
    const headers: Record<string, unknown> = {};
    const set = this._outHeaders;
    if (set !== null) for (let i = 0; i < set.names.length; i++) headers[set.names[i]!.text] = set.values[i];
    return headers;
  },

  cork() {
    if (MESSAGES_COUNT_CORKS) this._corks++;
    if (this.socket) this.socket.cork();
    else this._corked++;
  },

  uncork() {
    if (MESSAGES_COUNT_CORKS) this._corks--;
    if (this.socket) this.socket.uncork();
    else if (this._corked) this._corked--;
  },

  setTimeout(msecs: number, callback?: (socket: MessageSocket) => void) {
    if (callback) this.on('timeout', callback);
    if (this.socket) this.socket.setTimeout!(msecs);
    else this.once('socket', (socket: MessageSocket) => socket.setTimeout!(msecs));
    return this;
  },

  destroy(error?: Error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this._errored = error;
    if (this.socket) this.socket.destroy(error);
    else this.once('socket', (socket: MessageSocket) => socket.destroy(error));
    return this;
  },

  setHeader(name: string, value: unknown) {
    if (this._header) throw headersSent('set');
    const known = headerName(name);
    known.check(value);
    (this._outHeaders ??= new OutgoingHeaders()).set(known, value);
    return this;
  },

  setHeaders(headers: unknown) {
    if (this._header) throw headersSent('set');
    const source = headers as Map<string, unknown> | undefined;
    if (!source || Array.isArray(source) || typeof source.keys !== 'function' || typeof source.get !== 'function') {
      throw invalidArgType('headers', ['Headers', 'Map'], headers);
    }
    // Headers lists each cookie by itself: they have to become one header with a list.
    const cookies: unknown[] = [];
    for (const [name, value] of source) {
      if (name !== 'set-cookie') this.setHeader(name, value);
      else if (Array.isArray(value)) cookies.push(...value);
      else cookies.push(value);
    }
    if (cookies.length > 0) this.setHeader('set-cookie', cookies);
    return this;
  },

  appendHeader(name: string, value: unknown) {
    if (this._header) throw headersSent('append');
    const known = headerName(name);
    known.check(value);
    (this._outHeaders ??= new OutgoingHeaders()).append(known, value);
    return this;
  },

  getHeader(name: string) {
    validateString(name, 'name');
    return this._outHeaders === null ? undefined : this._outHeaders.get(name);
  },

  getHeaderNames() {
    return this._outHeaders === null ? [] : this._outHeaders.lowerNames();
  },

  getRawHeaderNames() {
    return this._outHeaders === null ? [] : this._outHeaders.rawNames();
  },

  getHeaders() {
    return this._outHeaders === null ? Object.create(null) : this._outHeaders.toObject();
  },

  hasHeader(name: string) {
    validateString(name, 'name');
    return this._outHeaders?.has(name) ?? false;
  },

  removeHeader(name: string) {
    validateString(name, 'name');
    if (this._header) throw headersSent('remove');
    const lower = name.toLowerCase();
    // Those that are sent by default are not, once an application took them away.
    if (lower === 'connection') this._removedConnection = true;
    else if (lower === 'content-length') this._removedContLen = true;
    else if (lower === 'transfer-encoding') this._removedTE = true;
    else if (lower === 'date') this.sendDate = false;
    this._outHeaders?.remove(lower);
  },

  flushHeaders() {
    if (!this._header) this._implicitHeader();
    this._send('');
  },

  _implicitHeader() {
    throw methodNotImplemented('_implicitHeader()');
  },

  _storeHeader(firstLine: string, headers?: HeadersArgument, ascii = false) {
    renderHead(this, firstLine, ascii, headers);
  },

  _send: send,
  _writeRaw: writeRaw as OutgoingMessage['_writeRaw'],

  write(chunk: Chunk, encoding?: BufferEncoding | null | WriteCallback, callback?: WriteCallback) {
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = null;
    }
    const told = typeof callback === 'function' ? callback : nothing;
    const room = writeBody(this, chunk, encoding ?? null, told, false);
    if (!room) this._needDrain = true;
    return room;
  },

  end: end as OutgoingMessage['end'],

  _finish() {
    this.emit('prefinish');
  },

  _written() {
    if (!tellEnded(this)) return;
    this.emit('finish');
  },

  _emitClose() {
    if (this._closed) return;
    this.destroyed = true;
    this._closed = true;
    this.emit('close');
  },

  /** The message got the socket, or its socket has room again: what waits goes out. */
  _flush() {
    const { socket } = this;
    if (!socket?.writable) return;
    const room = this._flushOutput(socket);
    if (this.finished) {
      this._finish();
    } else if (room && this._needDrain) {
      this._needDrain = false;
      this.emit('drain');
    }
  },

  _flushOutput(socket: MessageSocket) {
    while (this._corked) {
      this._corked--;
      socket.cork();
    }
    const waiting = this.outputData;
    if (waiting.length === 0) return undefined;
    let room = waiting.length === 1 && this._writer !== null && flushWhole(this, waiting[0]!);
    if (room) {
      this._outputSent();
      return true;
    }
    socket.cork();
    for (const { data, encoding, callback } of waiting) {
      room = socket.write(data, encoding as BufferEncoding, callback as WriteCallback);
    }
    socket.uncork();
    this._outputSent();
    return room;
  },

  _outputSent() {
    this.outputData = [];
    this._onPendingData(-this.outputSize);
    this.outputSize = 0;
  },

  /** A message is for writing only. */
  pipe<T>(destination?: T) {
    this.emit('error', streamCannotPipe());
    return destination as T;
  },
});

(OutgoingMessage.prototype as unknown as Record<symbol, unknown>)[EventEmitter.captureRejectionSymbol] = function (
  this: OutgoingMessage,
  error: Error,
): void {
  this.destroy(error);
};

accessors(OutgoingMessage.prototype, {
  errored: {
    get(this: OutgoingMessage) {
      return this._errored;
    },
  },
  closed: {
    get(this: OutgoingMessage) {
      return this._closed;
    },
  },
  writableFinished: {
    get(this: OutgoingMessage) {
      if (END_CALLS_BACK_FIRST) return this._flushed;
      return this.finished && this.outputSize === 0 && (!this.socket || this.socket.writableLength === 0);
    },
  },
  writableObjectMode: { get: () => false },
  writableLength: {
    get(this: OutgoingMessage) {
      return this.outputSize + (this.socket ? this.socket.writableLength : 0);
    },
  },
  writableHighWaterMark: {
    get(this: OutgoingMessage) {
      return this.socket ? this.socket.writableHighWaterMark : this._highWaterMark;
    },
  },
  writableCorked: {
    get(this: OutgoingMessage) {
      if (MESSAGES_COUNT_CORKS) return this._corks;
      return this._corked + (this.socket ? this.socket.writableCorked : 0);
    },
  },
  writableEnded: {
    get(this: OutgoingMessage) {
      return this.finished;
    },
  },
  writableNeedDrain: {
    get(this: OutgoingMessage) {
      return !this.destroyed && !this.finished && this._needDrain;
    },
  },
  headersSent: {
    get(this: OutgoingMessage) {
      return Boolean(this._header);
    },
    enumerable: true,
  },
  _headers: {
    get: deprecate(
      function (this: OutgoingMessage) {
        return this.getHeaders();
      },
      ...DEPRECATED,
    ),
    set: deprecate(
      function (this: OutgoingMessage, headers: object | null | undefined) {
        if (headers == null) {
          this._outHeaders = null;
        } else if (typeof headers === 'object') {
          const set = new OutgoingHeaders();
          for (const name of Object.keys(headers))
            set.set(headerName(name), (headers as Record<string, unknown>)[name]);
          this._outHeaders = set;
        }
      },
      ...DEPRECATED,
    ),
  },
  _headerNames: {
    get: deprecate(
      function (this: OutgoingMessage) {
        return this._outHeaders === null ? null : this._outHeaders.spellings();
      },
      ...NAMES_DEPRECATED,
    ),
    set: deprecate(
      function (this: OutgoingMessage, spellings: Record<string, string> | null) {
        if (typeof spellings === 'object' && spellings !== null) this._outHeaders?.respell(spellings);
      },
      ...NAMES_DEPRECATED,
    ),
  },
  connection: {
    get(this: OutgoingMessage) {
      return this.socket;
    },
    set(this: OutgoingMessage, socket: MessageSocket | null) {
      this.socket = socket;
    },
  },
});
