import { type Constructor, inherit, methods } from './construct';
import { headersSent, invalidArgValue, invalidChar, invalidStatusCode, socketAssigned } from './errors';
import type { IncomingMessage } from './incoming';
import { OutgoingMessage } from './outgoing';
import { tellEnded } from './outgoing-end';
import { CHUNKED } from './outgoing-head';
import type { OutgoingOptions, WriteCallback } from './outgoing-message';
import { STATUS_CODES } from './status-codes';
import type { MessageSocket } from './transport';
import { hasInvalidChar, linkHeaderValue, validateObject } from './validators';

/** Where a response belongs: the connection that serves its request. */
export interface ResponseOwner {
  /** All of the response was handed to the connection. */
  responseWritten(response: ServerResponse): void;
}

/** The response to a request, as a server's listener gets it. */
export interface ServerResponse extends OutgoingMessage {
  req: IncomingMessage;
  statusCode: number;
  /** Undefined until the head is rendered: the standard phrase is used. */
  statusMessage: string | undefined;
  _sent100: boolean;
  _expect_continue: boolean;
  _owner: ResponseOwner | null;

  assignSocket(socket: MessageSocket): void;
  detachSocket(socket: MessageSocket): void;
  writeContinue(callback?: WriteCallback): void;
  writeProcessing(callback?: WriteCallback): void;
  writeEarlyHints(hints: Record<string, unknown>, callback?: WriteCallback): void;
  writeHead(statusCode: number, reason?: unknown, headers?: unknown): this;
  writeHeader(statusCode: number, reason?: unknown, headers?: unknown): this;
}

/** @param req the request it answers: its method and version decide what the response may be */
export const ServerResponse = function (this: ServerResponse, req: IncomingMessage, options?: OutgoingOptions): void {
  (OutgoingMessage as unknown as { call(self: object, options?: OutgoingOptions): void }).call(this, options);
  if (req.method === 'HEAD') this._hasBody = false;
  this.req = req;
  this.sendDate = true;
  this._owner = null;
  if (req.httpVersionMajor! < 1 || req.httpVersionMinor! < 1) {
    this.useChunkedEncodingByDefault = CHUNKED.test(req.headers['te'] as string);
    this.shouldKeepAlive = false;
  }
} as unknown as Constructor<ServerResponse, [req: IncomingMessage, options?: OutgoingOptions]>;
inherit(ServerResponse, OutgoingMessage);

const defaults: Partial<ServerResponse> = {
  statusCode: 200,
  statusMessage: undefined,
  _sent100: false,
  _expect_continue: false,
};
Object.assign(ServerResponse.prototype, defaults);

/** A socket that an application assigned closed: its response ends with it. */
function assignedSocketClosed(this: MessageSocket): void {
  (this._httpMessage as ServerResponse | null)?._emitClose();
}

/** "HTTP/1.1 200 OK CR LF" for every code, made once. */
const statusLines: string[] = [];

function writeHead(this: ServerResponse, statusCode: number, reason?: unknown, headers?: unknown): ServerResponse {
  if (this._header) throw headersSent('write');
  const status = statusCode | 0;
  if (status < 100 || status > 999) throw invalidStatusCode(statusCode);

  if (typeof reason === 'string') {
    this.statusMessage = reason;
  } else {
    if (!this.statusMessage) this.statusMessage = STATUS_CODES[status] ?? 'unknown';
    headers ??= reason;
  }
  if (this.statusCode !== status || !Object.hasOwn(this, 'statusCode')) this.statusCode = status;

  let fields = headers;
  if (this._outHeaders !== null) {
    addToHeaders(this, headers);
    fields = this._outHeaders;
  }
  const standard = this.statusMessage === STATUS_CODES[status];
  if (!standard && hasInvalidChar(this.statusMessage)) throw invalidChar('statusMessage');
  const line = standard
    ? (statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`)
    : `HTTP/1.1 ${status} ${this.statusMessage}\r\n`;

  // RFC 9110 §15.2, §15.3.5, §15.4.5: these end with their head.
  if (status === 204 || status === 304 || status < 200) this._hasBody = false;
  // Who expected 100 and got a final status may still send the body: what follows cannot be told from it.
  if (this._expect_continue && !this._sent100) this.shouldKeepAlive = false;
  this._storeHeader(line, fields as Record<string, unknown>, standard);
  return this;
}

/** Headers given to `writeHead` win over those set before. */
function addToHeaders(response: ServerResponse, headers: unknown): void {
  if (Array.isArray(headers)) {
    if (headers.length % 2 !== 0) throw invalidArgValue('headers', headers);
    for (let i = 0; i < headers.length; i += 2) if (headers[i]) response.setHeader(headers[i], headers[i + 1]);
  } else if (headers) {
    for (const name of Object.keys(headers)) {
      if (name) response.setHeader(name, (headers as Record<string, unknown>)[name]);
    }
  }
}

methods(ServerResponse.prototype, {
  assignSocket(socket: MessageSocket) {
    if (socket._httpMessage) throw socketAssigned();
    socket._httpMessage = this;
    // Our own connections tell their response themselves.
    if (this._owner === null) socket.on('close', assignedSocketClosed);
    this.socket = socket;
    if (this._eventsCount > 0) this.emit('socket', socket);
    if (this._wroteWhole) return;
    if (this.outputSize > 0 || this.outputData.length > 0 || this.finished || this._needDrain || this._corked > 0) {
      this._flush();
    }
  },

  detachSocket(socket: MessageSocket) {
    if (this._owner === null) socket.removeListener('close', assignedSocketClosed);
    socket._httpMessage = null;
    this.socket = null;
  },

  writeContinue(callback?: WriteCallback) {
    this._writeRaw('HTTP/1.1 100 Continue\r\n\r\n', 'ascii', callback);
    this._sent100 = true;
  },

  writeProcessing(callback?: WriteCallback) {
    this._writeRaw('HTTP/1.1 102 Processing\r\n\r\n', 'ascii', callback);
  },

  writeEarlyHints(hints: Record<string, unknown>, callback?: WriteCallback) {
    validateObject(hints, 'hints');
    if (hints['link'] === null || hints['link'] === undefined) return;
    const link = linkHeaderValue(hints['link']);
    if (link.length === 0) return;
    let head = `HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\n`;
    for (const name of Object.keys(hints)) if (name !== 'link') head += `${name}: ${hints[name]}\r\n`;
    this._writeRaw(`${head}\r\n`, 'ascii', callback);
  },

  _implicitHeader() {
    this.writeHead(this.statusCode);
  },

  writeHead: writeHead as ServerResponse['writeHead'],
  writeHeader: writeHead as ServerResponse['writeHead'],

  _written() {
    const owner = this._owner;
    if (!tellEnded(this)) return;
    if (owner !== null) owner.responseWritten(this);
    if (this._eventsCount > 0) this.emit('finish');
  },
});
