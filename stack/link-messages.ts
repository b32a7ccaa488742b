import type { Address } from './base/address';
import { ICMPV6 } from './base/datagram';
import { NO_ROOM } from './base/transmit';
import { ARP_BYTES, writeArp } from './ethernet/arp';
import { ETHERNET_HEADER_BYTES, TYPE_ARP, writeEthernet } from './ethernet/frame';
import { Neighbor } from './ethernet/neighbors';
import { ICMP_CHECKSUM, ICMP_HEADER_BYTES, writeIcmp } from './ip/icmp';
import type { Interface } from './ip/interface';
import {
  ALL_NODES,
  advertisementFlags,
  multicastMac,
  NDP_HOP_LIMIT,
  NEIGHBOR_ADVERTISEMENT,
  NEIGHBOR_MESSAGE_BYTES,
  NEIGHBOR_SOLICITATION,
  solicitedNode,
  writeNeighborBody,
} from './ip/ndp';
import type { IpOutput } from './ip/output';
import { IpPath } from './ip/paths';

/*
 * The link layer's own messages. Each function puts one frame into an interface's queue; those that answer a boolean say
 * false when there was no room.
 */

/** An ARP request (`targetMac` null) or reply, to the link address `to`. Returns the frame's bytes. */
export function sendArp(
  iface: Interface,
  operation: number,
  senderIp: number,
  targetMac: Uint8Array | null,
  targetIp: number,
  to: Uint8Array,
): number {
  const queue = iface.tx;
  const at = queue.begin();
  const mac = iface.config.mac!;
  writeEthernet(queue.header, at, to, mac, TYPE_ARP);
  writeArp(queue.header, at + ETHERNET_HEADER_BYTES, operation, mac, senderIp, targetMac, targetIp);
  queue.headers(ETHERNET_HEADER_BYTES + ARP_BYTES);
  queue.commit();
  return ETHERNET_HEADER_BYTES + ARP_BYTES;
}

/** A whole frame, link header included. */
export function sendFrame(iface: Interface, frame: Uint8Array): void {
  const queue = iface.tx;
  const at = queue.begin();
  queue.header.set(frame, at);
  queue.headers(frame.length);
  queue.commit();
}

/** RFC 4861 §7.2.2: to the solicited-node group while the address is unknown, to the neighbour itself while in doubt. */
export function sendSolicitation(out: IpOutput, iface: Interface, source: Address, neighbor: Neighbor): boolean {
  const { address } = neighbor;
  const direct = neighbor.state === 'PROBE';
  const to = direct ? address : solicitedNode(address);
  const path = new IpPath(source, to, iface, to, 0);
  path.neighbor = direct ? neighbor : Neighbor.permanent(to, multicastMac(to));
  return sendNeighborMessage(out, path, NEIGHBOR_SOLICITATION, 0, address);
}

/** RFC 4861 §7.2.4: `target`, ours, to who asked; `to` null: to all, for who asks without an address. */
export function sendAdvertisement(out: IpOutput, iface: Interface, target: Address, to: Address | null): boolean {
  const path = new IpPath(target, to ?? ALL_NODES, iface, to ?? ALL_NODES, 0);
  return sendNeighborMessage(out, path, NEIGHBOR_ADVERTISEMENT, advertisementFlags(to !== null), target);
}

function sendNeighborMessage(out: IpOutput, path: IpPath, type: number, flags: number, target: Address): boolean {
  const at = out.begin(path);
  if (at === NO_ROOM) return false;
  const b = out.header;
  writeNeighborBody(b, at + ICMP_HEADER_BYTES, target, type === NEIGHBOR_ADVERTISEMENT, path.iface.config.mac!);
  writeIcmp(b, at, type, 0, flags, 0);
  b[at + ICMP_CHECKSUM] = 0;
  b[at + ICMP_CHECKSUM + 1] = 0;
  out.end(NEIGHBOR_MESSAGE_BYTES, ICMPV6, 0, NDP_HOP_LIMIT, ICMP_CHECKSUM, 0);
  return true;
}
