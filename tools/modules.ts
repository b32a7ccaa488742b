import type * as http from 'node:http';
import type * as net from 'node:net';
import type { Host } from '../net/host';

/** Node's net and http, on a stack; typed as Node types them, for code that does not care which it is given. */
export interface Modules {
  readonly net: Pick<typeof net, 'connect' | 'createServer'>;
  readonly http: Pick<typeof http, 'createServer' | 'request'>;
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
  };
}
