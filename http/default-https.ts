/** `tapwire/https`: what `require('https')` gives, on the default host: Node's own TLS over its connections. */
import { net } from '../net';
import type * as agent from './agent';
import { createHttps } from './https';

export { createHttps, type HttpsModule } from './https';

/** The module on the default host. */
export const https = createHttps(net);

/** Keeps secured connections, and sessions of TLS, for further requests. */
export const Agent = https.Agent;
/** An HTTPS server; `createServer` makes one. */
export const Server = https.Server;
/** Makes a server; its options are tls.createServer's and http.createServer's. */
export const createServer = https.createServer;
/** `request` with method GET, ended at once. @throws as `request` */
export const get = https.get;
/** Begins a request over TLS; a certificate that is refused is its 'error'. @throws TypeError for a bad URL, method, path or header */
export const request = https.request;

/** The agent of requests that name none; can be replaced. */
export declare let globalAgent: agent.Agent;
Object.defineProperty(exports, 'globalAgent', {
  get: () => https.globalAgent,
  set: (other: agent.Agent) => {
    https.globalAgent = other as typeof https.globalAgent;
  },
  enumerable: true,
});
