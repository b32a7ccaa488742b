import { AsyncResource } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { entryEnds, observers } from '../net/observed';
import type { ClientRequest } from './client-request';
import { HEAD_GOES_ON, HEAD_NO_BODY, HEAD_NO_UPGRADE, HEAD_UPGRADE } from './connection';
import { connectionReset } from './errors';
import { keepOffsets } from './field-offsets';
import type { Head } from './head';
import { headText, reasonOf } from './head-strings';
import { IncomingMessage } from './incoming';
import { DESTROYED_BY_US, MessageConnection } from './message-connection';
import { isInsecure, maxHeaderSize } from './options';
import { type ReaderPool, readerPool } from './reader-pool';
import { keptFields, sendWhole, versionText } from './shared';
import type { MessageSocket, MessageWriter } from './transport';

const requestError = diagnostics.channel('http.client.request.error');
const responseFinish = diagnostics.channel('http.client.response.finish');

/** 1xx but for 101: the response proper is still to come. */
const isInformational = (status: number): boolean => status >= 100 && status < 200 && status !== 101;

/** A socket that requests are sent on. */
export interface ClientSocket extends MessageSocket {
  _httpMessage?: ClientRequest | null;
  /** Ours, once a request was sent on the socket. */
  _httpConnection?: ClientConnection;
}

/**
 * One connection of a client: sends a request, reads its response, and then may wait for another request. What it reads
 * while no request is under way belongs to nobody, and ends the connection.
 */
export class ClientConnection extends MessageConnection implements MessageWriter {
  declare readonly socket: ClientSocket;
  request: ClientRequest | null = null;
  protected scope!: AsyncResource;
  protected pool!: ReaderPool;
  /** The socket's own `write`; an application that puts another in its place wants to see every write. */
  private readonly socketWrite: unknown;

  constructor(socket: ClientSocket) {
    super(socket);
    this.socketWrite = socket.write;
  }

  /** The next request on this connection is `request`. */
  begin(request: ClientRequest): void {
    const { socket } = this;
    this.request = request;
    this.incoming = null;
    this.full = false;
    this.pool = readerPool('response', request.maxHeaderSize || maxHeaderSize, isInsecure(request.insecureHTTPParser));
    this.scope = new AsyncResource('HTTPCLIENTREQUEST', DESTROYED_BY_US);
    socket.parser = this;
    socket._httpMessage = request;
    request.parser = this;
    socket.on('error', onError);
    this.attach();
    if (!this.direct) socket.on('data', onData);
    request._writer = this.direct ? this : null;
    socket.on('end', onEnd);
    socket.on('close', onClose);
    socket.on('drain', onDrain);
  }

  // ── bytes in ──

  override onText(bytes: Uint8Array, at: number, end: number): number {
    if (this.request !== null && this.socket.parser === this) return super.onText(bytes, at, end);
    this.socket.destroy();
    return end - at;
  }

  protected get blocked(): boolean {
    return false;
  }

  protected paused(): void {
    const { incoming } = this;
    if (incoming?.complete && !isInformational(incoming.statusCode!)) this.doneReading();
  }

  override onDetached(): void {
    if (!this.direct) return;
    super.onDetached();
    if (this.request === null) return;
    this.request._writer = null;
    if (this.socket.parser === this) this.socket.on('data', onData);
  }

  /** The response is complete: what comes now is not for it. */
  private doneReading(): void {
    const { socket } = this;
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('drain', onDrain);
    this.free();
  }

  /** Gives the reader back; the socket stays as it is. */
  free(): void {
    const { request, socket } = this;
    this.dropReader();
    if (request?.parser === this) this.scope.emitDestroy();
    if (request !== null) request.parser = null;
    if (socket.parser === this) socket.parser = null;
  }

  protected refused(error: Error): void {
    const { socket } = this;
    const request = this.request!;
    this.free();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.destroy();
    socket._hadError = true;
    this.call(emitError, undefined, request, error);
  }

  /** HTTP ends here: the socket goes to whoever asked for the upgrade, with what the server already sent. */
  protected leave(rest: Buffer): void {
    const { socket } = this;
    const request = this.request!;
    const response = this.incoming!;
    request.res = response;
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('drain', onDrain);
    request._forgetTimeout(socket);
    this.free();
    const event = request.method === 'CONNECT' ? 'connect' : 'upgrade';
    if (request.listenerCount(event) === 0) {
      socket.destroy();
      return;
    }
    request.upgradeOrConnect = true;
    socket.emit('agentRemove');
    socket.removeListener('close', onClose);
    socket.removeListener('error', onError);
    socket._httpMessage = null;
    this.request = null;
    this.detach();
    (socket as unknown as { readableFlowing: boolean | null }).readableFlowing = null;
    this.scope.runInAsyncScope(handOver, undefined, request, event, response, socket, rest);
  }

  // ── what the reader reads ──

  onHead(head: Head): number {
    const request = this.request!;
    if (request.res !== null) {
      // A second response to one request.
      this.incoming = newResponse(head, this, request);
      this.socket.destroy();
      return HEAD_GOES_ON;
    }
    const response = newResponse(head, this, request);
    this.incoming = response;
    if (head.upgrade || request.method === 'CONNECT') {
      response.upgrade = true;
      request.res = response;
      return HEAD_UPGRADE;
    }
    if (isInformational(head.status)) {
      this.call(inform, undefined, request, response);
      return HEAD_NO_BODY;
    }
    if (!head.keepAlive && !request.upgradeOrConnect) request.shouldKeepAlive = false;
    if (responseFinish.hasSubscribers) responseFinish.publish({ request, response });
    if (observers.http !== null) {
      const { statusCode, statusMessage, headers } = response;
      entryEnds('http', request, { res: { statusCode, statusMessage, headers } });
    }
    request.res = response;
    this.call(offerResponse, undefined, request, response);
    if (request.method === 'HEAD') return HEAD_NO_BODY | HEAD_NO_UPGRADE;
    if (head.status === 304) {
      response.complete = true;
      return HEAD_NO_BODY | HEAD_NO_UPGRADE;
    }
    return HEAD_GOES_ON;
  }

  // ── bytes out ──

  mayWrite(request: ClientRequest): boolean {
    const { socket } = this;
    if (!this.direct || socket._httpMessage !== request || socket.write !== this.socketWrite) return false;
    return socket.directWritable!;
  }

  writeWhole(text: string, body: Uint8Array | null, tail: string): boolean {
    return sendWhole(this.socket, text, body, tail);
  }

  // ── what becomes of the socket ──

  /** The server sends no more: a body without length is complete, anything else was cut short. */
  ended(): void {
    this.readLast();
    const { reader, request, socket } = this;
    if (request !== null && request.res === null && !socket._hadError) {
      socket._hadError = true;
      emitError(request, connectionReset('socket hang up'));
    }
    if (reader !== null && socket.parser === this) reader.finish();
    this.free();
    socket.destroy();
  }

  failed(error: Error): void {
    this.readLast();
    const { request, reader, socket } = this;
    if (request !== null) {
      socket._hadError = true;
      emitError(request, error);
    }
    if (reader !== null && socket.parser === this) reader.finish();
    this.free();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.destroy();
  }

  closed(): void {
    this.readLast();
    const { socket } = this;
    const request = this.request!;
    const { reader } = this;
    const response = request.res;
    request.destroyed = true;
    if (response !== null) {
      if (!response.complete) response.destroy(connectionReset('aborted'));
      request._emitClose();
      if (!response.aborted && response.readable) response.push(null);
    } else {
      if (!socket._hadError) {
        socket._hadError = true;
        emitError(request, connectionReset('socket hang up'));
      }
      request._emitClose();
    }
    // What was not sent never will be.
    request.outputData.length = 0;
    if (reader !== null && socket.parser === this) reader.finish();
    this.free();
  }

  /** The socket goes back to its agent: nothing on it is this request's any more. */
  letGo(): void {
    const { socket } = this;
    socket.removeListener('close', onClose);
    socket.removeListener('error', onError);
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    this.request = null;
  }
}

function newResponse(head: Head, connection: ClientConnection, request: ClientRequest): IncomingMessage {
  const response = new IncomingMessage(connection.socket);
  const text = headText(head);
  const { fieldCount } = head;
  const max = typeof request.maxHeadersCount === 'number' ? request.maxHeadersCount : 1000;
  response._text = text;
  response._headersMax = max > 0 && max < fieldCount ? max : fieldCount;
  keepOffsets(head, keptFields(fieldCount, max), response);
  response.httpVersionMajor = head.versionMajor;
  response.httpVersionMinor = head.versionMinor;
  response.httpVersion = versionText(head.versionMajor, head.versionMinor);
  response.statusCode = head.status;
  response.statusMessage = head.reasonBytes === 0 ? '' : reasonOf(head, text);
  response.upgrade = head.upgrade;
  response.joinDuplicateHeaders = request.joinDuplicateHeaders;
  response._reader = connection;
  return response;
}

function inform(request: ClientRequest, response: IncomingMessage): void {
  if (response.statusCode === 100) request.emit('continue');
  const { statusCode, statusMessage, httpVersion, httpVersionMajor, httpVersionMinor, headers, rawHeaders } = response;
  request.emit('information', {
    statusCode,
    statusMessage,
    httpVersion,
    httpVersionMajor,
    httpVersionMinor,
    headers,
    rawHeaders,
  });
}

/** Without a listener nobody can read the response: it goes nowhere. */
function offerResponse(request: ClientRequest, response: IncomingMessage): void {
  request._expectEnd(response);
  if (request.aborted || !request.emit('response', response)) response._dump();
}

function handOver(
  request: ClientRequest,
  event: string,
  response: IncomingMessage,
  socket: ClientSocket,
  rest: Buffer,
): void {
  request.emit(event, response, socket, rest);
  request.destroyed = true;
  request._emitClose();
}

/** 'error' on a request, and on its diagnostics channel. */
export function emitError(request: ClientRequest, error: Error): void {
  if (requestError.hasSubscribers) requestError.publish({ request, error });
  request.emit('error', error);
}

/** The connection that a socket is used by, made when it is used first. */
export function connectionOf(socket: ClientSocket): ClientConnection {
  let connection = socket._httpConnection;
  if (connection === undefined) {
    connection = new ClientConnection(socket);
    Object.defineProperty(socket, '_httpConnection', { value: connection, configurable: true });
  }
  return connection;
}

// ── listeners: one function for all sockets ──

function onData(this: ClientSocket, chunk: Buffer): void {
  this._httpConnection!.onData(chunk);
}

function onEnd(this: ClientSocket): void {
  this._httpConnection!.ended();
}

function onError(this: ClientSocket, error: Error): void {
  this._httpConnection!.failed(error);
}

function onClose(this: ClientSocket): void {
  this._httpConnection!.closed();
}

function onDrain(this: ClientSocket): void {
  const request = this._httpMessage;
  if (request && !request.finished && request._needDrain) {
    request._needDrain = false;
    request.emit('drain');
  }
}
