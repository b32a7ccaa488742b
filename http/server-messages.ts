import { entryBegins, observers } from '../net/observed';
import { keepOffsets } from './field-offsets';
import { METHODS } from './grammar';
import type { Head } from './head';
import { headText, targetOf } from './head-strings';
import type { IncomingMessage } from './incoming';
import type { Served } from './served';
import type { ServerResponse } from './server-response';
import { keptFields, versionText } from './shared';
import type { MessageSocket } from './transport';

/** A request, with what its connection knows about it. */
export interface Asked extends IncomingMessage {
  _response: ServerResponse;
  /** The request behind it on the same connection. */
  _behind: Asked | null;
}

/** The request that `head` begins. */
export function newRequest(head: Head, { server, headersMax: max }: Served, socket: MessageSocket): Asked {
  const request = new server._IncomingMessage(socket) as Asked;
  const text = headText(head);
  request._text = text;
  const { fieldCount } = head;
  request._headersMax = max > 0 && max < fieldCount ? max : fieldCount;
  keepOffsets(head, keptFields(fieldCount, max), request);
  request.httpVersionMajor = head.versionMajor;
  request.httpVersionMinor = head.versionMinor;
  request.httpVersion = versionText(head.versionMajor, head.versionMinor);
  request.method = METHODS[head.method]!;
  request.url = targetOf(head, text);
  if (server.joinDuplicateHeaders) request.joinDuplicateHeaders = true;
  request._behind = null;
  return request;
}

/** The response to `request`; `keepAlive`: the connection may stay open behind it, as far as the client goes. */
export function newResponse(
  request: Asked,
  { server }: Served,
  socket: MessageSocket,
  keepAlive: boolean,
): ServerResponse {
  const response = new server._ServerResponse(request, {
    highWaterMark: socket.writableHighWaterMark,
    rejectNonStandardBodyWrites: server.rejectNonStandardBodyWrites,
  });
  response._keepAliveTimeout = server.keepAliveTimeout;
  if (server.maxRequestsPerSocket) response._maxRequestsPerSocket = server.maxRequestsPerSocket;
  response.shouldKeepAlive = keepAlive;
  if (!server._profile.emptyWrites) response._skipsEmptyWrites = true;
  if (server._uniqueHeaders !== null) response._uniqueHeaders = server._uniqueHeaders;
  request._response = response;
  if (observers.http !== null) {
    const { method, url, headers } = request;
    entryBegins(response, 'HttpRequest', { req: { method, url, headers } });
  }
  return response;
}
