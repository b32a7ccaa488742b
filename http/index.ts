/**
 * `tapwire/http`: what `require('http')` gives, on the default host, which is in memory unless the program chose another.
 * `createHttp` makes the same module for any other net module.
 */
import { net } from '../net';
import type * as agent from './agent';
import type * as clientRequest from './client-request';
import { createHttp } from './module';
import type * as server from './server';

export type { AgentOptions } from './agent';
export { IncomingMessage } from './incoming';
export { createHttp, type HttpModule, type HttpOptions, type NetModule, type Request } from './module';
export { OutgoingMessage } from './outgoing';
export type { HttpProfile, HttpProfileName } from './profiles';
export type { RequestOptions } from './request-options';
export type { RequestListener, ServerOptions } from './server';
export { ServerResponse } from './server-response';

/** The module on the default host. */
export const http = createHttp(net);

/** Node's undocumented way to serve HTTP on any Duplex: a server's 'connection' listener. */
export const _connectionListener = http._connectionListener;
/** Methods that the parser takes, sorted. */
export const METHODS = http.METHODS;
/** Reason phrases by status code (RFC 9110 §15, and what Node knows beside). */
export const STATUS_CODES = http.STATUS_CODES;
/** Bytes of a head that are read unless a server or request says otherwise; --max-http-header-size sets it. */
export const maxHeaderSize = http.maxHeaderSize;
/** Keeps connections for further requests. On the default host; see AgentOptions. */
export const Agent = http.Agent;
export type Agent = agent.Agent;
/** A request under way; `request` makes one. */
export const ClientRequest = http.ClientRequest;
export type ClientRequest = clientRequest.ClientRequest;
/** An HTTP server; `createServer` makes one. */
export const Server = http.Server;
export type Server = server.Server;
/** Makes a server. @throws TypeError or RangeError for a bad option, as Node's */
export const createServer = http.createServer;
/** `request` with method GET, ended at once. @throws as `request` */
export const get = http.get;
/** Begins a request; what goes wrong later is its 'error'. @throws TypeError for a bad URL, method, path or header */
export const request = http.request;
/** How many idle parsers are kept for reuse. @throws RangeError below 1 */
export const setMaxIdleHTTPParsers = http.setMaxIdleHTTPParsers;
/** @throws TypeError ERR_INVALID_HTTP_TOKEN when the name is no token (RFC 9110 §5.1) */
export const validateHeaderName = http.validateHeaderName;
/** @throws TypeError ERR_HTTP_INVALID_HEADER_VALUE or ERR_INVALID_CHAR (RFC 9110 §5.5) */
export const validateHeaderValue = http.validateHeaderValue;

/** The agent of requests that name none; can be replaced. */
export declare let globalAgent: Agent;
Object.defineProperty(exports, 'globalAgent', {
  get: () => http.globalAgent,
  set: (agent: Agent) => {
    http.globalAgent = agent;
  },
  enumerable: true,
});
