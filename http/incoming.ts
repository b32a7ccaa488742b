import { EventEmitter } from 'node:events';
import { finished, Readable } from 'node:stream';
import { nextTick } from '../net/time';
import { accessors, type Constructor, inherit, methods } from './construct';
import type { CodedError } from './errors';
import type { FieldOffsets } from './field-offsets';
import { addDistinct, addHeader, headersFrom, type IncomingHeaders, rawHeadersFrom } from './incoming-headers';
import type { MessageReader, MessageSocket } from './transport';

/** How far a message has come while no stream exists for it. */
const MORE_TO_COME = 0;
/** Complete; whoever opens the stream finds its end. */
const ENDED = 1;
/** Complete, and nobody wanted it: a stream opened now is over and closed. */
const GONE = 2;

interface ReadableStateLike {
  readingMore: boolean;
  ended: boolean;
  endEmitted: boolean;
  reading: boolean;
  sync: boolean;
  destroyed: boolean;
  closed: boolean;
  closeEmitted: boolean;
  resumeScheduled: boolean;
}
const ReadableState = (Readable as unknown as { ReadableState: new (...a: unknown[]) => ReadableStateLike })
  .ReadableState;
const emitters = EventEmitter as unknown as { usingDomains?: boolean; call(self: object): void };

/**
 * A message received: a request on a server, a response on a client. It is a Readable of its body. Most requests have no
 * body and nobody asks for one, so the stream's state is made when it is first touched; the header fields are made from
 * one text when they are first asked for.
 */
export interface IncomingMessage extends Readable, FieldOffsets {
  socket: MessageSocket;
  /** Alias of `socket`. */
  connection: MessageSocket;
  client: MessageSocket;
  httpVersionMajor: number | null;
  httpVersionMinor: number | null;
  httpVersion: string | null;
  /** True once the whole message was received and read. */
  complete: boolean;
  headers: IncomingHeaders;
  /** Every value of a name, in a list. */
  headersDistinct: Record<string, string[]>;
  /** Names and values in turn, as received. */
  rawHeaders: string[];
  trailers: IncomingHeaders;
  trailersDistinct: Record<string, string[]>;
  rawTrailers: string[];
  joinDuplicateHeaders: boolean | undefined;
  aborted: boolean;
  upgrade: boolean | null;
  /** Requests. */
  url: string;
  method: string | null;
  /** Responses. */
  statusCode: number | null;
  statusMessage: string | null;
  /** Responses: the request that it answers. */
  req?: unknown;
  _consuming: boolean;
  _dumped: boolean;

  _addHeaderLines(headers: string[], n: number): void;
  _addHeaderLine(field: string, value: string, dest: IncomingHeaders): void;
  _addHeaderLineDistinct(field: string, value: string, dest: Record<string, string[]>): void;
  _dump(): void;
  setTimeout(msecs: number, callback?: () => void): this;

  // Internal; plain names, since express and others put these objects on prototypes of their own.
  /** The head as text: what all strings are cut from. */
  _text: string;
  /** How many fields `headers` takes in (maxHeadersCount). */
  _headersMax: number;
  _headers: IncomingHeaders | null;
  _distinct: Record<string, string[]> | null;
  _raw: string[] | null;
  _trailers: IncomingHeaders | null;
  _trailersDistinct: Record<string, string[]> | null;
  _rawTrailers: string[] | null;
  /** True once the stream exists. */
  _opened: boolean;
  _state: ReadableStateLike | null;
  _stage: number;
  /** The connection of ours that the message comes from; null when it comes from elsewhere. */
  _reader: MessageReader | null;
}

const NO_FIELDS = new Int32Array(0);

/** @param socket what `message.socket` becomes; its high water mark is the message's */
export const IncomingMessage = function (this: IncomingMessage, socket: MessageSocket): void {
  if (emitters.usingDomains) emitters.call(this);
  this.socket = socket;
  this.httpVersionMajor = null;
  this.httpVersionMinor = null;
  this.httpVersion = null;
  this.complete = false;
  this.joinDuplicateHeaders = false;
  this.aborted = false;
  this.upgrade = null;
  this.url = '';
  this.method = null;
  this.statusCode = null;
  this.statusMessage = null;
  this.client = socket;
  this._consuming = false;
  this._dumped = false;
  this._text = '';
  this._fields = NO_FIELDS;
  this._fieldsAt = 0;
  this._fieldCount = 0;
  this._headersMax = 0;
  this._headers = null;
  this._raw = null;
  this._opened = false;
  this._state = null;
  this._stage = MORE_TO_COME;
  this._reader = null;
} as unknown as Constructor<IncomingMessage, [socket: MessageSocket]>;
inherit(IncomingMessage, Readable);

const defaults: Partial<IncomingMessage> = {
  _distinct: null,
  _trailers: null,
  _trailersDistinct: null,
  _rawTrailers: null,
};
Object.assign(IncomingMessage.prototype, defaults);

/** Makes the stream that a message is, in the state that the message has come to. */
function openStream(message: IncomingMessage): ReadableStateLike {
  const state = new ReadableState({ highWaterMark: message.socket?.readableHighWaterMark }, message, false);
  state.readingMore = true;
  setState(message, state);
  if (message._stage === ENDED) {
    message.push(null);
  } else if (message._stage === GONE) {
    state.sync = false;
    state.ended = state.endEmitted = true;
    state.destroyed = state.closed = state.closeEmitted = true;
  }
  if (message._dumped && message._stage !== GONE) Readable.prototype.resume.call(message);
  return state;
}

function setState(message: IncomingMessage, state: ReadableStateLike): void {
  message._state = state;
  message._opened = true;
}

/** The message is complete: its stream, if one exists, ends. */
export function completeMessage(message: IncomingMessage): void {
  message.complete = true;
  if (message._opened) message.push(null);
  else message._stage = message._dumped ? GONE : ENDED;
}

/** The trailer section came. What was made of trailers before is made anew, in the same object. */
export function addTrailers(message: IncomingMessage, raw: string[]): void {
  message._rawTrailers = raw;
  message._trailersDistinct = null;
  if (message._trailers !== null) addLines(message, raw, message._trailers, raw.length);
}

/** The message has been answered: unless somebody reads it, what is left of it goes nowhere. */
export function dumpUnread(message: IncomingMessage): void {
  if (message._opened) {
    const state = (message as unknown as { _readableState: ReadableStateLike })._readableState;
    if (!message._consuming && !state.resumeScheduled) message._dump();
  } else if (!message._dumped) {
    message._dumped = true;
    if (message._stage === ENDED) message._stage = GONE;
  }
}

accessors(IncomingMessage.prototype, {
  _readableState: {
    get(this: IncomingMessage) {
      if (this._opened) return this._state;
      // express and others make prototypes of prototypes: those are no messages.
      return Object.hasOwn(this, '_opened') ? openStream(this) : undefined;
    },
    set(this: IncomingMessage, state: ReadableStateLike) {
      setState(this, state);
    },
  },
  connection: {
    get(this: IncomingMessage) {
      return this.socket;
    },
    set(this: IncomingMessage, socket: MessageSocket) {
      this.socket = socket;
    },
  },
  rawHeaders: {
    get(this: IncomingMessage) {
      return (this._raw ??= rawHeadersFrom(this._text, this));
    },
    set(this: IncomingMessage, raw: string[]) {
      this._raw = raw;
    },
    enumerable: true,
  },
  rawTrailers: {
    get(this: IncomingMessage) {
      return (this._rawTrailers ??= []);
    },
    set(this: IncomingMessage, raw: string[]) {
      this._rawTrailers = raw;
    },
    enumerable: true,
  },
  headers: {
    get(this: IncomingMessage) {
      return (this._headers ??= makeHeaders(this));
    },
    set(this: IncomingMessage, headers: IncomingHeaders) {
      this._headers = headers;
    },
  },
  headersDistinct: {
    get(this: IncomingMessage) {
      return (this._distinct ??= distinctOf(this, this.rawHeaders, this._headersMax * 2));
    },
    set(this: IncomingMessage, headers: Record<string, string[]>) {
      this._distinct = headers;
    },
  },
  trailers: {
    get(this: IncomingMessage) {
      return (this._trailers ??= linesOf(this, this._rawTrailers, Infinity));
    },
    set(this: IncomingMessage, trailers: IncomingHeaders) {
      this._trailers = trailers;
    },
  },
  trailersDistinct: {
    get(this: IncomingMessage) {
      return (this._trailersDistinct ??= distinctOf(this, this._rawTrailers, Infinity));
    },
    set(this: IncomingMessage, trailers: Record<string, string[]>) {
      this._trailersDistinct = trailers;
    },
  },
});

/** From the text where possible; through `_addHeaderLine` when an application has its own. */
function makeHeaders(message: IncomingMessage): IncomingHeaders {
  if (message._raw === null && message._addHeaderLine === addHeaderLine) {
    return headersFrom(message._text, message, message._headersMax, message.joinDuplicateHeaders === true);
  }
  return linesOf(message, message.rawHeaders, message._headersMax * 2);
}

function linesOf(message: IncomingMessage, raw: string[] | null, max: number): IncomingHeaders {
  const headers: IncomingHeaders = {};
  if (raw === null) return headers;
  addLines(message, raw, headers, Math.min(raw.length, max));
  return headers;
}

function addLines(message: IncomingMessage, raw: string[], to: IncomingHeaders, n: number): void {
  for (let i = 0; i < n; i += 2) message._addHeaderLine(raw[i]!, raw[i + 1]!, to);
}

function distinctOf(message: IncomingMessage, raw: string[] | null, max: number): Record<string, string[]> {
  const headers: Record<string, string[]> = Object.create(null);
  if (raw === null) return headers;
  const n = Math.min(raw.length, max);
  for (let i = 0; i < n; i += 2) message._addHeaderLineDistinct(raw[i]!, raw[i + 1]!, headers);
  return headers;
}

function addHeaderLine(this: IncomingMessage, field: string, value: string, dest: IncomingHeaders): void {
  addHeader(dest, field, value, this.joinDuplicateHeaders === true);
}

/** An error is told only where somebody listens: a message cut short is not the end of a program. */
function settle(message: IncomingMessage, error: Error | null, callback: (error?: Error | null) => void): void {
  if (message.listenerCount('error') === 0) callback();
  else callback(error);
}

methods(IncomingMessage.prototype, {
  setTimeout(msecs: number, callback?: () => void) {
    if (callback) this.on('timeout', callback);
    this.socket.setTimeout!(msecs);
    return this;
  },

  /** The body comes by itself; all there is to do is to let it come. */
  _read() {
    if (!this._consuming) {
      (this as unknown as { _readableState: ReadableStateLike })._readableState.readingMore = false;
      this._consuming = true;
    }
    const { socket } = this;
    if (!socket?.readable) return;
    if (this._reader !== null) this._reader.wantMore();
    else if (!socket._paused) socket.resume();
  },

  _destroy(error: Error | null, callback: (error?: Error | null) => void) {
    if (!this.readableEnded || !this.complete) {
      this.aborted = true;
      this.emit('aborted');
    }
    const { socket } = this;
    if (!socket || socket.destroyed || !this.aborted) {
      nextTick(settle, this, error, callback);
      return;
    }
    // The message ends when its connection has.
    socket.destroy(error ?? undefined);
    const stop = finished(socket, (failure) => {
      const own = (failure as CodedError | null)?.code === 'ERR_STREAM_PREMATURE_CLOSE' ? null : failure;
      stop();
      nextTick(settle, this, own || error, callback);
    });
  },

  /** Takes `n` strings, names and values in turn: headers, or trailers once the message is complete. */
  _addHeaderLines(lines: string[], n: number) {
    if (!lines || lines.length === 0) return;
    if (this.complete) {
      addTrailers(this, lines);
    } else {
      this._raw = lines;
      this._headersMax = n >> 1;
      if (this._headers !== null) addLines(this, lines, this._headers, n);
    }
  },

  _addHeaderLine: addHeaderLine,

  _addHeaderLineDistinct(field: string, value: string, dest: Record<string, string[]>) {
    addDistinct(dest, field, value);
  },

  /** Lets the rest of the body go nowhere. */
  _dump() {
    if (this._dumped) return;
    if (!this._opened) {
      dumpUnread(this);
      return;
    }
    this._dumped = true;
    // What waits must not reach listeners that did not ask for it in time.
    this.removeAllListeners('data');
    this.resume();
  },
});
