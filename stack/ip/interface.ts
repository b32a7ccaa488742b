import type { Address, Cidr } from '../base/address';
import type { Arenas } from '../base/memory';
import { TxQueue } from '../base/tx-queue';

export interface InterfaceConfig {
  readonly name: string;
  readonly link: 'ip' | 'ethernet';
  readonly mtu: number;
  readonly mac: Uint8Array | null;
  readonly addresses: readonly Cidr[];
  readonly checksumOffload: boolean;
  readonly tso4: boolean;
  readonly tso6: boolean;
}

/** One attachment of the stack to a link: its addresses, its limits, and the frames on their way out. */
export class Interface {
  readonly tx: TxQueue;
  up = true;
  readonly addresses: Cidr[];

  constructor(
    readonly index: number,
    readonly config: InterfaceConfig,
    arenas: Arenas,
  ) {
    this.tx = new TxQueue(arenas);
    this.addresses = [...config.addresses];
  }

  get name(): string {
    return this.config.name;
  }
  get mtu(): number {
    return this.config.mtu;
  }
  /** Bytes of the link header. */
  get linkBytes(): number {
    return this.config.link === 'ethernet' ? 14 : 0;
  }

  owns(address: Address): boolean {
    return this.addresses.some((cidr) => cidr.address.equals(address));
  }

  /** The IPv4 words compared without objects, for the packet path. */
  ownsWords(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    for (const cidr of this.addresses) {
      const a = cidr.address;
      if (a.w3 === w3 && a.family === family && a.w2 === w2 && a.w1 === w1 && a.w0 === w0) return true;
    }
    return false;
  }

  /** The stack's own loop (RFC 1122 §3.2.1.3 (g)): 127.0.0.0/8 and ::1 are at home here. */
  get isLoopback(): boolean {
    return this.addresses.some((cidr) => cidr.address.isLoopback);
  }

  /** The groups every IPv6 node is in: all nodes, and the solicited-node groups of its addresses (RFC 4291 §2.8). */
  listensTo(w0: number, w1: number, w2: number, w3: number): boolean {
    if (w0 >>> 16 !== 0xff02 || w1 !== 0) return ((w0 >>> 16) & 0xff0f) === 0xff01 && w3 === 1;
    if (w2 === 0) return w3 === 1;
    if (w2 !== 1 || w3 >>> 24 !== 0xff) return false;
    return this.addresses.some((cidr) => cidr.address.family === 6 && (cidr.address.w3 & 0xffffff) === (w3 & 0xffffff));
  }

  /** 255.255.255.255, or the broadcast address of one of our subnets. */
  isBroadcast(w3: number): boolean {
    if (w3 === -1) return true;
    for (const cidr of this.addresses) {
      const broadcast = cidr.broadcast;
      if (broadcast !== null && broadcast.w3 === w3) return true;
    }
    return false;
  }
}
