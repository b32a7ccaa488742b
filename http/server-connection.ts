import { AsyncResource } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { entryEnds, observers } from '../net/observed';
import { EXTRA_FIELDS_ARE_REFUSED } from '../net/running-node';
import { defineFlags } from '../stack/base/flags';
import { HEAD_GOES_ON, HEAD_NO_UPGRADE, HEAD_UPGRADE, type HttpReader } from './connection';
import { connectionReset, endFailure, parseFailure, socketEncoding } from './errors';
import { closeSoon, finishSoon } from './finish-queue';
import { METHOD_CONNECT } from './grammar';
import type { Head } from './head';
import { fieldValue } from './head-strings';
import type { Idle } from './idle-list';
import { dumpUnread } from './incoming';
import { DESTROYED_BY_US, MESSAGE_FLAGS, MessageConnection } from './message-connection';
import { ERRORS, type ParseError } from './parse-errors';
import type { ReaderPool } from './reader-pool';
import { clock, type Served } from './served';
import type { Server } from './server';
import { connectionFailed } from './server-failure';
import { type Asked, newRequest, newResponse } from './server-messages';
import type { ResponseOwner, ServerResponse } from './server-response';
import { sendWhole } from './shared';
import type { MessageSocket, MessageWriter } from './transport';

const requestStart = diagnostics.channel('http.server.request.start');
const responseFinish = diagnostics.channel('http.server.response.finish');

const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;
/** What a connection may wait beyond the time that it advertises, so that the client is the one who closes. */
export const KEEP_ALIVE_SLACK_MS = 1000;
/** Requests of one connection that may wait for their answers; no more are read until some are answered. */
const UNANSWERED_MAX = 1000;

/**
 * One connection of a server: reads requests, hands each to the application with its response, and keeps the responses
 * in order. Between requests it holds neither a reader nor a message.
 */
export class ServerConnection extends MessageConnection implements MessageWriter, ResponseOwner, Idle {
  declare incoming: Asked | null;
  /** When the message being read began, or the connection if none has yet: `clock`; 0 between messages. */
  messageStart: number;
  declare headRead: boolean;
  previous: ServerConnection | null = null;
  next: ServerConnection | null = null;
  idlePrevious: Idle | null = null;
  idleNext: Idle | null = null;
  idleSince = -1;
  /** Requests not answered yet, the oldest first. */
  private oldest: Asked | null = null;
  private newest: Asked | null = null;
  private unanswered = 0;
  /** The response that may write: all before it are written. */
  private turn: ServerResponse | null = null;
  /** Bytes that responses hold whose turn has not come. */
  private outgoingData = 0;
  private requestsCount = 0;
  declare private keepAliveTimeoutSet: boolean;
  declare private began: boolean;
  declare private hearsClose: boolean;
  /** As in Node, one for all requests of a connection: it begins where the server was told of the connection. */
  protected readonly scope = new AsyncResource('HTTPINCOMINGMESSAGE', DESTROYED_BY_US);

  constructor(
    /** What it shares with others of its server. */
    private readonly shared: Served,
    socket: MessageSocket,
  ) {
    super(socket);
    this.messageStart = clock();
  }

  get server(): Server {
    return this.shared.server;
  }

  protected get pool(): ReaderPool {
    return this.shared.pool;
  }

  // ── bytes in ──

  protected get blocked(): boolean {
    return this.socket._paused === true;
  }

  protected paused(reader: HttpReader): void {
    if (reader.idle && !reader.paused) {
      this.reader = null;
      this.pool.give(reader);
    } else if (this.began) {
      this.messageStart = clock();
    }
    this.began = false;
  }

  listen(): void {
    const { socket } = this;
    this.attach();
    this.ticks = this.direct && socket._stackHost !== undefined;
    // Node's connections always listen, and programs count; without a stream there is nothing to hear.
    if (this.direct) EventEmitter.prototype.on.call(socket, 'data', onData);
    else socket.on('data', onData);
  }

  /** The peer sends no more. */
  ended(): void {
    this.readLast();
    const { reader, server, socket } = this;
    // Node says nothing of what lacks to such a body.
    if (reader !== null && reader.error === null && !reader.asksInVain) {
      reader.finish();
      // Set by `finish`.
      if ((reader.error as ParseError | null) !== null) {
        connectionFailed.call(socket, endFailure(reader.error!));
        return;
      }
    }
    const last = this.newest;
    if (server.httpAllowHalfOpen && last !== null) last._response._last = true;
    else socket.end();
  }

  protected refused(error: Error): void {
    this.scope.runInAsyncScope(connectionFailed, this.socket, error);
  }

  /** HTTP ends here: the socket goes to whoever takes the upgrade, with what he was already sent. */
  protected leave(rest: Buffer): void {
    const { server, socket } = this;
    const request = this.incoming!;
    this.release();
    stopListening(socket);
    const event = request.method === 'CONNECT' ? 'connect' : 'upgrade';
    if (event === 'connect' && server.listenerCount(event) === 0) {
      socket.destroy();
      return;
    }
    (socket as unknown as { readableFlowing: boolean | null }).readableFlowing = null;
    this.call(server.emit, server, event, request, socket, rest);
  }

  // ── what the reader reads ──

  override onBegin(): void {
    this.began = true;
    this.headRead = false;
  }

  onHead(head: Head): number {
    this.headRead = true;
    if (EXTRA_FIELDS_ARE_REFUSED && this.shared.headersMax > 0 && head.fieldCount > this.shared.headersMax) {
      this.dropReader();
      this.call(connectionFailed, this.socket, parseFailure(ERRORS.headerOverflow, 0, Buffer.alloc(0)));
      return HEAD_GOES_ON;
    }
    if (this.idleSince >= 0 || this.keepAliveTimeoutSet) this.stopWaiting();
    const request = newRequest(head, this.shared, this.socket);
    request._reader = this;
    this.incoming = request;
    if (head.upgrade) {
      request.upgrade = head.method === METHOD_CONNECT || this.server.listenerCount('upgrade') > 0;
      if (request.upgrade) return HEAD_UPGRADE;
    } else {
      request.upgrade = false;
    }
    const response = newResponse(request, this.shared, this.socket, head.keepAlive);
    response._owner = this;
    response._writer = this.direct ? this : null;
    if (requestStart.hasSubscribers) this.publish(requestStart, request);
    if (this.oldest === null) {
      this.oldest = this.newest = request;
      this.turn = response;
      this.hearClose();
      response.assignSocket(this.socket);
    } else {
      this.newest!._behind = request;
      this.newest = request;
      if (this.turn === null) this.turn = response;
    }
    this.unanswered++;
    this.pauseIfBehind();
    this.offer(request, response, head);
    return head.upgrade ? HEAD_NO_UPGRADE : HEAD_GOES_ON;
  }

  /** The response hears of the socket's end behind whoever listened before there was one, as in Node. */
  private hearClose(): void {
    if (this.hearsClose) return;
    this.hearsClose = true;
    this.socket.on('close', onCloseResponse);
  }

  /** Tells subscribers in the request's context: what they enter there stays for the request. */
  private publish(channel: diagnostics.Channel, request: Asked): void {
    const { server, socket } = this;
    const message = { request, response: request._response, socket, server };
    this.scope.runInAsyncScope(channel.publish, channel, message, undefined);
  }

  /** Gives the request to the application, or answers it for the application. */
  private offer(request: Asked, response: ServerResponse, head: Head): void {
    const { server } = this;
    if (head.versionMajor === 1 && head.versionMinor === 1) {
      // RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400.
      if (head.hostCount === 0 && server.requireHostHeader) {
        response.writeHead(400, ['Connection', 'close']);
        response.end();
        return;
      }
      if (server.maxRequestsPerSocket > 0) {
        this.requestsCount++;
        response.maxRequestsOnConnectionReached = server.maxRequestsPerSocket <= this.requestsCount;
        if (server.maxRequestsPerSocket < this.requestsCount) {
          this.call(server.emit, server, 'dropRequest', request, this.socket);
          response.writeHead(503);
          response.end();
          return;
        }
      }
      if (head.expectField >= 0) {
        this.expectation(request, response, fieldValue(head, request._text, head.expectField));
        return;
      }
    }
    this.call(server.emit, server, 'request', request, response);
  }

  private expectation(request: Asked, response: ServerResponse, value: string): void {
    const { server } = this;
    if (CONTINUE.test(value)) {
      response._expect_continue = true;
      if (server.listenerCount('checkContinue') > 0) {
        this.call(server.emit, server, 'checkContinue', request, response);
      } else {
        response.writeContinue();
        this.call(server.emit, server, 'request', request, response);
      }
    } else if (server.listenerCount('checkExpectation') > 0) {
      this.call(server.emit, server, 'checkExpectation', request, response);
    } else {
      response.writeHead(417);
      response.end();
    }
  }

  override onComplete(): void {
    const request = this.incoming;
    this.messageStart = 0;
    this.began = false;
    super.onComplete();
    if (request?._dumped && !request._opened) this.incoming = null;
  }

  // ── holding back and going on ──

  /** Whoever does not take answers gets no further requests read. */
  private pauseIfBehind(): void {
    const { socket } = this;
    if (socket._paused) return;
    const behind = this.outgoingData >= socket.writableHighWaterMark || this.unanswered >= UNANSWERED_MAX;
    if (!behind && !socket.writableNeedDrain) return;
    socket._paused = true;
    this.reader?.pause();
  }

  /** A response that waits for its turn holds more, or less. */
  pendingData(amount: number): void {
    this.outgoingData += amount;
    this.drained();
  }

  /** The socket has room, or responses hold less. */
  drained(): void {
    const { socket } = this;
    const behind = this.outgoingData > socket.writableHighWaterMark || this.unanswered >= UNANSWERED_MAX;
    if (socket._paused && !behind) {
      socket._paused = false;
      socket._httpMessage ??= null;
      this.goOn();
    }
    const response = socket._httpMessage as ServerResponse | null;
    if (response && !response.finished && response._needDrain) {
      response._needDrain = false;
      response.emit('drain');
    }
  }

  // ── responses out ──

  mayWrite(response: ServerResponse): boolean {
    const { socket } = this;
    if (this.turn !== response || !this.direct || socket.write !== this.shared.write) return false;
    if (!socket.directWritable) return false;
    return response.socket === socket || response !== this.oldest?._response;
  }

  writeWhole(text: string, body: Uint8Array | null, tail: string): boolean {
    if (!sendWhole(this.socket, text, body, tail)) return false;
    this.turn = (this.turn!.req as Asked)._behind?._response ?? null;
    return true;
  }

  responseWritten(response: ServerResponse): void {
    const { socket } = this;
    const request = response.req as Asked;
    if (responseFinish.hasSubscribers) this.publish(responseFinish, request);
    if (observers.http !== null) {
      const { statusCode, statusMessage } = response;
      entryEnds('http', response, { res: { statusCode, statusMessage, headers: response.getHeaders() } });
    }
    this.unlink(request);
    dumpUnread(request);
    response.detachSocket(socket);
    if (this.incoming === request) this.forgetIncoming(request);
    closeSoon(response, response._eventsCount > 0);
    if (response._last) {
      if (typeof socket.destroySoon === 'function') socket.destroySoon();
      else socket.end();
    } else if (this.oldest === null) {
      this.startWaiting();
    } else {
      this.nextResponse(this.oldest._response);
    }
    if (socket._paused) this.drained();
    // Nobody reads what is left of the request: it must not keep the next one from coming.
    if (this.full && request._dumped) this.wantMore();
  }

  /** An answered request is let go of once it has ended. */
  private forgetIncoming(request: Asked): void {
    if (request._opened ? request.readableEnded : request.complete) this.incoming = null;
    else if (request._opened) request.on('end', onRequestEnd);
  }

  private nextResponse(response: ServerResponse): void {
    if (this.turn === null && !response._wroteWhole) this.turn = response;
    response.assignSocket(this.socket);
    if (response._wroteWhole) finishSoon(response, response._eventsCount > 0);
  }

  private unlink(request: Asked): void {
    if (this.turn === request._response) this.turn = request._behind?._response ?? null;
    let before: Asked | null = null;
    for (let r = this.oldest; r !== null; before = r, r = r._behind) {
      if (r !== request) continue;
      if (before === null) this.oldest = r._behind;
      else before._behind = r._behind;
      if (this.newest === r) this.newest = before;
      this.unanswered--;
      return;
    }
  }

  // ── timeouts ──

  /** All is answered: the next request has to come in time. */
  private startWaiting(): void {
    const { server, socket } = this;
    if (!server.keepAliveTimeout || typeof socket.setTimeout !== 'function') return;
    const wait = server.keepAliveTimeout + KEEP_ALIVE_SLACK_MS;
    if (socket.timeout) {
      // The socket has a timer of its own, which waits from now on for this.
      socket.setTimeout(wait);
    } else {
      socket.timeout = wait;
      server._waiting(wait).add(this);
    }
    this.keepAliveTimeoutSet = true;
  }

  private stopWaiting(): void {
    const { server, socket } = this;
    if (this.idleSince >= 0) {
      server._waiting(socket.timeout!).remove(this);
      socket.timeout = 0;
    }
    if (!this.keepAliveTimeoutSet) return;
    this.keepAliveTimeoutSet = false;
    if (server.timeout || socket.timeout) socket.setTimeout!(server.timeout || 0);
  }

  idleExpired(): void {
    this.socket.emit('timeout');
  }

  /** A head or a message takes longer than it may; `now` is the `clock`. */
  expired(now: number, headersTimeout: number, requestTimeoutMs: number): boolean {
    if (this.messageStart === 0) return false;
    const lasts = (now - this.messageStart) | 0;
    if (!this.headRead && headersTimeout > 0 && lasts > headersTimeout) return true;
    return requestTimeoutMs > 0 && lasts > requestTimeoutMs;
  }

  // ── the end ──

  /** No message is being read. A connection that has sent nothing yet does not count: its first request may be on its way. */
  get isIdle(): boolean {
    // Of one that began in the text that is being read there is no time yet.
    return this.messageStart === 0 && !this.began;
  }

  /** The socket closed: whatever was not answered is aborted. */
  closed(): void {
    this.readLast();
    this.release();
    for (let request = this.oldest; request !== null; request = request._behind) {
      request.destroy(connectionReset('aborted'));
    }
    this.oldest = this.newest = null;
  }

  /** Lets go of the socket and of all that was kept for it. */
  private release(): void {
    const { server, socket } = this;
    server._connectionGone(this);
    if (this.idleSince >= 0) server._waiting(socket.timeout!).remove(this);
    this.dropReader();
    if (socket.parser === this) socket.parser = null;
    this.detach();
    this.free();
  }

  /** `socket.parser.free()`: called once nothing is read any more, as Node calls it, so that programs can hear of that. */
  free(): void {
    this.scope.emitDestroy();
  }

  /** `socket.parser.close()`: there is nothing left to give back. */
  close(): void {}
}

defineFlags(ServerConnection.prototype, ['headRead', 'keepAliveTimeoutSet', 'began', 'hearsClose'], MESSAGE_FLAGS);

function onRequestEnd(this: Asked): void {
  const connection = this._reader as ServerConnection;
  if (connection.incoming === this) connection.incoming = null;
}

// ── listeners: one function for all sockets, which know their connection ──

const connectionOf = (socket: MessageSocket): ServerConnection | null =>
  socket.parser instanceof ServerConnection ? socket.parser : null;

function onData(this: MessageSocket, chunk: Buffer): void {
  connectionOf(this)?.onData(chunk);
}

function onEnd(this: MessageSocket): void {
  connectionOf(this)?.ended();
}

function onClose(this: MessageSocket): void {
  connectionOf(this)?.closed();
}

/** A response ends with its socket. */
function onCloseResponse(this: MessageSocket): void {
  (this._httpMessage as ServerResponse | null | undefined)?._emitClose();
}

function onDrain(this: MessageSocket): void {
  connectionOf(this)?.drained();
}

/** Whoever listens to a timeout decides; else the connection is given up. */
function onTimeout(this: MessageSocket): void {
  const request = connectionOf(this)?.incoming;
  const byRequest = request && !request.complete && request.emit('timeout', this);
  const response = this._httpMessage as ServerResponse | null | undefined;
  const byResponse = response?.emit('timeout', this);
  const byServer = (this.server as Server).emit('timeout', this);
  if (!byRequest && !byResponse && !byServer) this.destroy();
}

function refuseEncoding(): never {
  throw socketEncoding();
}

function stopListening(socket: MessageSocket): void {
  socket.removeListener('data', onData);
  socket.removeListener('end', onEnd);
  socket.removeListener('close', onClose);
  socket.removeListener('close', onCloseResponse);
  socket.removeListener('drain', onDrain);
  socket.removeListener('error', connectionFailed);
  socket.removeListener('timeout', onTimeout);
  Reflect.deleteProperty(socket, 'setEncoding');
}

/** Serves a socket from now on. */
export function serve(connection: ServerConnection): void {
  const { socket } = connection;
  socket.parser = connection;
  socket._paused = false;
  socket.on('timeout', onTimeout);
  connection.listen();
  socket.on('error', connectionFailed);
  socket.on('end', onEnd);
  socket.on('close', onClose);
  socket.on('drain', onDrain);
  (socket as unknown as { setEncoding: unknown }).setEncoding = refuseEncoding;
}
