import type * as http from 'node:http';
import type * as net from 'node:net';
import type { Host } from '../net/host';

/** Node's http and net, on a stack. Loaded when they are asked for. */
export interface Modules {
  readonly http: Pick<typeof http, 'createServer' | 'request' | 'get' | 'Agent'>;
  readonly net: Pick<typeof net, 'connect' | 'createServer'>;
}

/** The modules of one host. */
export function modulesOf(host: Host): Modules {
  const { createHttp } = require('../http') as { createHttp(host: Host): Modules['http'] };
  const { createNet } = require('../net') as { createNet(host: Host): Modules['net'] };
  return { http: createHttp(host), net: createNet(host) };
}
