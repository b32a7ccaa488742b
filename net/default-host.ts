import { createHost, type Host } from './host';

let host: Host | null = null;

/** The host of `tapwire/net` and of sockets that were given no other: in memory, reached by its own addresses only. */
export function defaultHost(): Host {
  host ??= createHost({ devices: [] });
  return host;
}

/** Makes `other` the default: for a drop-in that speaks through a device. Sockets that exist keep theirs. */
export function setDefaultHost(other: Host): void {
  host = other;
}
