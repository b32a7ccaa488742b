import { AsyncResource } from 'node:async_hooks';
import dns from 'node:dns';
import { isIP } from 'node:net';
import { invalidArgValue, lookupException } from './errors';
import type { Host } from './host';
import { validateOneOf } from './validate';

interface Found {
  address: string;
  family: 4 | 6;
}

type OneCallback = (error: Error | null, address?: string, family?: number) => void;
type AllCallback = (error: Error | null, addresses?: Found[]) => void;

/** What `dns.lookup` is asked with. */
export interface LookupOptions {
  family?: number | string;
  hints?: number;
  all?: boolean;
}

const dnsLookup = dns.lookup;

/**
 * Finds a name's addresses: in the host's own table, else with `dns.lookup`. A program that replaced `dns.lookup` is
 * asked for every name. The answer comes in a later turn.
 */
export function lookup(host: Host, name: string, options: LookupOptions, done: OneCallback | AllCallback): void {
  const known = host.names.get(name.toLowerCase().replace(/\.$/, ''));
  if (known === undefined || dns.lookup !== dnsLookup) {
    dns.lookup(
      name,
      options as dns.LookupAllOptions,
      done as (error: Error | null, found: dns.LookupAddress[]) => void,
    );
    return;
  }
  checkLookup(options);
  const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
  const found = known
    .map((address): Found => ({ address, family: isIP(address) as 4 | 6 }))
    .filter((one) => family === 0 || one.family === family)
    .filter((one) => !((options.hints ?? 0) & dns.ADDRCONFIG) || host.configuredFamilies.includes(one.family));
  const answer = (): void => {
    const [first] = found;
    if (first === undefined) done(lookupException('ENOTFOUND', name));
    else if (options.all) (done as AllCallback)(null, found);
    else (done as OneCallback)(null, first.address, first.family);
  };
  host.poll(AsyncResource.bind(answer), true);
}

const HINTS = dns.ADDRCONFIG | dns.ALL | dns.V4MAPPED;

/** The checks of `dns.lookup`. */
function checkLookup({ family, hints }: LookupOptions): void {
  if (hints && (hints & ~HINTS) !== 0) throw invalidArgValue('hints', hints);
  if (family == null || family === 'IPv4' || family === 'IPv6') return;
  validateOneOf(family, 'options.family', [0, 4, 6]);
}
