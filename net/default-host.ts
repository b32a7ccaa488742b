import { networkInterfaces } from 'node:os';
import { createHost, type Host } from './host';

let host: Host | null = null;

/** The host of `tapwire/net` and of sockets that were given no other: in memory, reached by its own addresses only. */
export function defaultHost(): Host {
  host ??= createHost({ devices: [], families: familiesOfMachine() });
  return host;
}

/** A program finds the names that it knows in the families in which this machine would give them. */
function familiesOfMachine(): (4 | 6)[] {
  const outward = Object.values(networkInterfaces()).flatMap((list) => list?.filter((one) => !one.internal) ?? []);
  const families = ([4, 6] as const).filter((family) => outward.some((one) => one.family === `IPv${family}`));
  return families.length === 0 ? [4, 6] : families;
}

/** Makes `other` the default: for a drop-in that speaks through a device. Sockets that exist keep theirs. */
export function setDefaultHost(other: Host): void {
  host = other;
}
