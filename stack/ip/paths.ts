import { type Address, ANY_V4, ANY_V6, type Cidr } from '../base/address';
import type { Millis } from '../base/bytes';
import type { NextHop, Path } from '../base/transmit';
import type { Interface } from './interface';
import { pseudoSumV4 } from './ipv4';

export interface Route {
  readonly destination: Cidr;
  /** Null: the destination is on the link itself. */
  readonly gateway: Address | null;
  readonly interface: Interface;
  /** Of equal prefixes the lowest metric wins. */
  readonly metric: number;
}

/** A Path as the IP layer keeps it: see base/transmit.ts for what the layers above read. */
export class IpPath implements Path {
  mtu: number;
  segmentationMax: number;
  /** The unfolded sum of what never changes in the pseudo-header. */
  readonly addressSum: number;
  identification: number;
  neighbor: NextHop | null = null;
  /** When a learned MTU is forgotten (RFC 1191 §6.3: after 10 minutes). */
  mtuExpires: Millis = Infinity;

  constructor(
    readonly local: Address,
    readonly remote: Address,
    readonly iface: Interface,
    readonly nextHop: Address,
    identification: number,
  ) {
    this.mtu = iface.mtu;
    const cuts = local.family === 4 ? iface.config.tso4 : iface.config.tso6;
    this.segmentationMax = cuts ? 65_535 : 0;
    this.addressSum = local.family === 4 ? pseudoSumV4(local.w3, remote.w3, 0) : sumV6(local) + sumV6(remote);
    this.identification = identification;
  }

  get linkMtu(): number {
    return this.iface.mtu;
  }
}

function sumV6(a: Address): number {
  let total = 0;
  for (const word of [a.w0, a.w1, a.w2, a.w3]) total += (word >>> 16) + (word & 0xffff);
  return total;
}

/** The routing table (RFC 1812 §5.2.4.3: the longest prefix wins) and the choice of a source address. */
export class Routes {
  private readonly routes: Route[] = [];

  add(route: Route): void {
    this.routes.push(route);
    this.routes.sort((a, b) => b.destination.prefixLength - a.destination.prefixLength || a.metric - b.metric);
  }

  list(): readonly Route[] {
    return this.routes;
  }

  /** The best usable route to `destination`, or null. */
  find(destination: Address): Route | null {
    for (const route of this.routes) {
      if (route.interface.up && route.destination.contains(destination)) return route;
    }
    return null;
  }

  /**
   * The source for packets to `destination` over `route` (RFC 1122 §3.3.4.3; for IPv6 the longest match of RFC 6724 rule
   * 8, after same scope, rule 2): an address of the interface, preferably one whose subnet holds the next hop.
   */
  source(route: Route, destination: Address): Address | null {
    const nextHop = route.gateway ?? destination;
    let best: Address | null = null;
    let bestRank = -1;
    for (const cidr of route.interface.addresses) {
      if (cidr.address.family !== destination.family) continue;
      let rank = 0;
      if (cidr.address.isLinkLocal === destination.isLinkLocal) rank += 2;
      if (cidr.contains(nextHop)) rank += 1;
      if (rank > bestRank) {
        best = cidr.address;
        bestRank = rank;
      }
    }
    return best;
  }
}

export const unspecified = (family: 4 | 6): Address => (family === 4 ? ANY_V4 : ANY_V6);
