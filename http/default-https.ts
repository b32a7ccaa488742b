/** `tapwire/https`: what `require('https')` gives, on the default host: Node's own TLS over its connections. */
import { net } from '../net';
import type * as agent from './agent';
import { createHttps } from './https';

export { createHttps, type HttpsModule } from './https';

/** The module on the default host. */
export const https = createHttps(net);

export const Agent = https.Agent;
export const Server = https.Server;
export const createServer = https.createServer;
export const get = https.get;
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
