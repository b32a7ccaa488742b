import type { Stream } from 'node:stream';
import type { Finishable } from './finish-queue';
import type { HeadersArgument } from './outgoing-head';
import type { OutgoingHeaders } from './outgoing-headers';
import type { MessageSocket, MessageWriter } from './transport';

export interface OutgoingOptions {
  /** Bytes that a message without a socket may hold before `write` answers false. Default: that of streams. */
  highWaterMark?: number;
  /** Throw when a body is written to a message that must not have one, instead of ignoring it. */
  rejectNonStandardBodyWrites?: boolean;
}

export type WriteCallback = (error?: Error | null) => void;
export type Chunk = string | Uint8Array;

/** What waits until the message has the socket for itself. */
export interface QueuedData {
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
