import { EventEmitter } from 'node:events';
import { getDefaultHighWaterMark, Stream } from 'node:stream';
import { MESSAGES_COUNT_CORKS } from '../net/running-node';
import { type Constructor, inherit, methods } from './construct';
import { headersSent, invalidArgType, methodNotImplemented, streamCannotPipe } from './errors';
import { nothing, send, writeBody, writeRaw } from './outgoing-body';
import { end, tellEnded } from './outgoing-end';
import { type HeadersArgument, renderHead } from './outgoing-head';
import { headerName, OutgoingHeaders } from './outgoing-headers';
import type { Chunk, OutgoingMessage as Message, OutgoingOptions, WriteCallback } from './outgoing-message';
import { defineState } from './outgoing-state';
import { flushWhole } from './outgoing-whole';
import type { MessageSocket } from './transport';
import { validateString } from './validators';

export type OutgoingMessage = Message;

const emitters = EventEmitter as unknown as { usingDomains?: boolean; call(self: object): void };

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

defineState(OutgoingMessage.prototype);
