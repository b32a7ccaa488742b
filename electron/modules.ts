import type * as NodeHttp from 'node:http';
import type * as NodeHttps from 'node:https';
import { createHttp, type NetModule } from '../http';
import { createHttps, tlsOf } from '../http/https';
import { createNet } from '../net';
import { defaultHost } from '../net/default-host';
import type { Host } from '../net/host';
import { lookup } from '../net/names';
import type { ElectronModules } from './session-types';

/** Everything that requests need, on one host; null is the default one, whichever that is when a request is made. */
export function modulesOf(host: Host | null): ElectronModules {
  const net = createNet(host) as unknown as NetModule;
  const the = (): Host => host ?? defaultHost();
  return {
    net: net as unknown as ElectronModules['net'],
    http: createHttp(net) as unknown as typeof NodeHttp,
    https: createHttps(net) as unknown as typeof NodeHttps,
    tls: tlsOf(net) as unknown as ElectronModules['tls'],
    lookup: (name, { family = 0 }) => lookupAll(the(), name, family),
    online: () => isOnline(the()),
  };
}

type Found = { address: string; family: 4 | 6 };

function lookupAll(host: Host, name: string, family: number): Promise<Found[]> {
  return new Promise((resolve, reject) => {
    lookup(host, name, { family, all: true }, (error: Error | null, found?: unknown) => {
      if (error) reject(error);
      else resolve(found as Found[]);
    });
  });
}

/** A host that is closed reaches nobody; one without devices reaches itself only. */
function isOnline(host: Host): boolean {
  if (host.isClosed) return false;
  return host.stack.interfaces.some((one) => one.up && !one.isLoopback && one.addresses.length > 0);
}
