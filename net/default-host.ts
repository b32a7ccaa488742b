import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { createHost, type Host } from './host';
import { loopbackOf } from './hosts-table';

let host: Host | null = null;

/** The host of `tapwire/net` and of sockets that were given no other: in memory, reached by its own addresses only. */
export function defaultHost(): Host {
  host ??= createHost({ devices: [], families: familiesOfMachine(), names: namesOfMachine() });
  return host;
}

/** A program finds the names that it knows in the families in which this machine would give them. */
function familiesOfMachine(): (4 | 6)[] {
  const outward = Object.values(networkInterfaces()).flatMap((list) => list?.filter((one) => !one.internal) ?? []);
  const families = ([4, 6] as const).filter((family) => outward.some((one) => one.family === `IPv${family}`));
  return families.length === 0 ? [4, 6] : families;
}

/**
 * `localhost` is what it is on this machine, because errors show it: where it has two addresses and nobody listens, Node
 * gives an AggregateError of both, where it has one, an error of that one.
 */
function namesOfMachine(): Record<string, string[]> {
  let table = '';
  try {
    table = readFileSync('/etc/hosts', 'utf8');
  } catch {
    // A machine without: there it has both.
  }
  const found = loopbackOf('localhost', table);
  return found.length === 0 ? {} : { localhost: found };
}

/** Makes `other` the default: for a drop-in that speaks through a device. Sockets that exist keep theirs. */
export function setDefaultHost(other: Host): void {
  host = other;
}
