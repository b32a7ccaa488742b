import type * as http from 'node:http';
import type * as https from 'node:https';
import type * as net from 'node:net';
import type { Host } from '../net/host';

/** Node's net, http and https, on a stack; typed as Node types them, for code that does not care which it is given. */
export interface Modules {
  readonly net: Pick<typeof net, 'connect' | 'createServer'>;
  readonly http: Pick<typeof http, 'createServer' | 'request'>;
  readonly https: Pick<typeof https, 'request'>;
}

/** The modules of one host, each loaded when it is asked for. */
export function modulesOf(host: Host): Modules {
  const { createNet } = require('../net') as typeof import('../net');
  const stackNet = createNet(host) as unknown as typeof net;
  return {
    net: stackNet,
    get http() {
      const { createHttp } = require('../http') as typeof import('../http');
      return createHttp(stackNet) as unknown as Modules['http'];
    },
    get https() {
      const { createHttps } = require('../http/https') as typeof import('../http/https');
      return createHttps(stackNet) as unknown as Modules['https'];
    },
  };
}
