import type { Address, Cidr } from '../base/address';
import type { Interface } from './interface';

export interface Route {
  readonly destination: Cidr;
  /** Null: the destination is on the link itself. */
  readonly gateway: Address | null;
  readonly interface: Interface;
  /** Of equal prefixes the lowest metric wins, of equal metrics the route that was added first. */
  readonly metric: number;
}

/** The routing table (RFC 1122 §3.3.1; the longest prefix wins) and the choice of a source address. */
export class Routes {
  private readonly routes: Route[] = [];
  /**
   * Says that a gateway does not answer at present (RFC 1122 §3.3.1.4): another one is chosen while there is one. Set by the
   * link layer.
   */
  isDead: (gateway: Address, iface: Interface) => boolean = () => false;

  add(route: Route): void {
    this.routes.push(route);
    this.routes.sort((a, b) => b.destination.prefixLength - a.destination.prefixLength || a.metric - b.metric);
  }

  list(): readonly Route[] {
    return this.routes;
  }

  /**
   * The best usable route to `destination`, or null; with `only`, over that interface. Several gateways: the first that
   * answers; when none does, the first.
   */
  find(destination: Address, only: Interface | null = null): Route | null {
    let dead: Route | null = null;
    for (const route of this.routes) {
      if (!route.interface.up || (only !== null && route.interface !== only)) continue;
      if (!route.destination.contains(destination)) continue;
      if (route.gateway === null || !this.isDead(route.gateway, route.interface)) return route;
      dead ??= route;
    }
    return dead;
  }

  /**
   * The source for packets to `destination` that leave through `iface` by way of `nextHop` (RFC 1122 §3.3.4.3, RFC 6724 §5):
   * an address of the interface. IPv4: preferably one whose subnet, the smallest, holds the next hop. IPv6: the destination itself, else
   * the same or the next larger scope, else the longest common prefix. Null when it has none of that family.
   */
  source(iface: Interface, destination: Address, nextHop: Address): Address | null {
    let best: Address | null = null;
    let bestRank = -1;
    for (const cidr of iface.addresses) {
      if (cidr.address.family !== destination.family) continue;
      const rank = destination.family === 4 ? rankV4(cidr, destination, nextHop) : rankV6(cidr.address, destination);
      if (rank > bestRank) {
        best = cidr.address;
        bestRank = rank;
      }
    }
    return best;
  }
}

function rankV4(cidr: Cidr, destination: Address, nextHop: Address): number {
  if (cidr.address.equals(destination)) return 1 << 20;
  const scope = cidr.address.isLinkLocal === destination.isLinkLocal ? 64 : 0;
  return scope + (cidr.contains(nextHop) ? 1 + cidr.prefixLength : 0);
}

/** RFC 6724 §5, rules 1, 2 and 8, as one number. */
function rankV6(source: Address, destination: Address): number {
  if (source.equals(destination)) return 1 << 20;
  const mine = scopeOf(source);
  const wanted = scopeOf(destination);
  // Rule 2: a scope that reaches far enough, the smallest of those; else the largest.
  const scope = mine >= wanted ? 32 - mine : mine - 16;
  return ((scope + 16) << 8) + commonBits(source, destination);
}

/** RFC 4007 §4, RFC 6724 §3.1: 1 interface, 2 link, 5 site, 14 global. */
function scopeOf(a: Address): number {
  if (a.isMulticast) return (a.w0 >>> 16) & 15;
  if (a.isLoopback || a.isLinkLocal) return 2;
  return a.w0 >>> 22 === 0x3fb ? 5 : 14;
}

/** Of the first 64 bits, the part that names networks, how many are the same (RFC 6724 §2.2). */
function commonBits(a: Address, b: Address): number {
  const first = a.w0 ^ b.w0;
  if (first !== 0) return Math.clz32(first);
  return 32 + Math.clz32(a.w1 ^ b.w1);
}
