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

export const _connectionListener = http._connectionListener;
export const METHODS = http.METHODS;
export const STATUS_CODES = http.STATUS_CODES;
export const maxHeaderSize = http.maxHeaderSize;
export const Agent = http.Agent;
export type Agent = agent.Agent;
export const ClientRequest = http.ClientRequest;
export type ClientRequest = clientRequest.ClientRequest;
export const Server = http.Server;
export type Server = server.Server;
export const createServer = http.createServer;
export const get = http.get;
export const request = http.request;
export const setMaxIdleHTTPParsers = http.setMaxIdleHTTPParsers;
export const validateHeaderName = http.validateHeaderName;
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
