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

/** What a link must carry: RFC 791 §3.2 for IPv4, RFC 8200 §5 for IPv6. Bytes of a datagram. */
const MTU_LEAST: Readonly<Record<4 | 6, number>> = { 4: 68, 6: 1280 };

/** The group of all IPv4 hosts (RFC 1112 §4), which every host is in. */
const ALL_HOSTS_V4 = 0xe0000001 | 0;

/** One attachment of the stack to a link: its addresses, its limits, and the frames on their way out. */
export class Interface {
  readonly tx: TxQueue;
  /** False: nothing is received or sent here. */
  up = true;
  readonly addresses: Cidr[] = [];
  /** Multicast groups that sockets joined, and how many did. */
  private readonly groups: { readonly address: Address; members: number }[] = [];
  /** Broadcast addresses of our subnets, as words. */
  private readonly broadcasts: number[] = [];
  /** The stack's own loop (RFC 1122 §3.2.1.3 (g)): 127.0.0.0/8 and ::1 are at home here, and nowhere else. */
  isLoopback = false;

  constructor(
    readonly index: number,
    readonly config: InterfaceConfig,
    arenas: Arenas,
  ) {
    this.tx = new TxQueue(arenas);
    for (const cidr of config.addresses) this.addAddress(cidr);
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

  /** @throws RangeError when the link's MTU is too small for addresses of this family */
  addAddress(cidr: Cidr): void {
    const { family } = cidr.address;
    if (this.mtu < MTU_LEAST[family]) {
      throw new RangeError(
        `${this.name}: an MTU of ${this.mtu} is too small for ${cidr}: IPv${family} needs ${MTU_LEAST[family]} bytes`,
      );
    }
    this.addresses.push(cidr);
    if (cidr.address.isLoopback) this.isLoopback = true;
    const { broadcast } = cidr;
    if (broadcast !== null) this.broadcasts.push(broadcast.w3);
  }

  owns(a: Address): boolean {
    return this.ownsWords(a.family, a.w0, a.w1, a.w2, a.w3);
  }

  /** The words compared without objects, for the packet path. */
  ownsWords(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    const { addresses } = this;
    for (let i = 0; i < addresses.length; i++) {
      const a = addresses[i]!.address;
      if (a.w3 === w3 && a.family === family && a.w2 === w2 && a.w1 === w1 && a.w0 === w0) return true;
    }
    return false;
  }

  /**
   * Whether an IPv6 group is ours: all nodes (RFC 4291 §2.7.1), the solicited-node groups of our addresses, and what was
   * joined.
   */
  listensTo(w0: number, w1: number, w2: number, w3: number): boolean {
    if (w1 === 0 && (w0 === (0xff020000 | 0) || w0 === (0xff010000 | 0))) {
      if (w2 === 0 && w3 === 1) return true;
      if (w2 === 1 && w3 >>> 24 === 0xff && w0 === (0xff020000 | 0) && this.isSolicitedNode(w3)) return true;
    }
    return this.hasJoined(6, w0, w1, w2, w3);
  }

  private isSolicitedNode(w3: number): boolean {
    for (const { address } of this.addresses) {
      if (address.family === 6 && ((address.w3 ^ w3) & 0xffffff) === 0) return true;
    }
    return false;
  }

  /** Whether an IPv4 group is ours: all hosts, and what was joined. */
  listensToV4(group: number): boolean {
    return group === ALL_HOSTS_V4 || this.hasJoined(4, 0, 0, 0xffff, group);
  }

  private hasJoined(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    for (const { address: a } of this.groups) {
      if (a.w3 === w3 && a.family === family && a.w2 === w2 && a.w1 === w1 && a.w0 === w0) return true;
    }
    return false;
  }

  /** Takes what is sent to `group` from now on, until as many `leave`s. True when nobody had joined before. */
  join(group: Address): boolean {
    const known = this.groups.find(({ address }) => address.equals(group));
    if (known !== undefined) {
      known.members++;
      return false;
    }
    this.groups.push({ address: group, members: 1 });
    return true;
  }

  /** True when the last member has left. */
  leave(group: Address): boolean {
    const at = this.groups.findIndex(({ address }) => address.equals(group));
    if (at < 0 || --this.groups[at]!.members > 0) return false;
    this.groups.splice(at, 1);
    return true;
  }

  /** 255.255.255.255, or the broadcast address of one of our subnets. */
  isBroadcast(w3: number): boolean {
    if (w3 === -1) return true;
    const { broadcasts } = this;
    for (let i = 0; i < broadcasts.length; i++) if (broadcasts[i] === w3) return true;
    return false;
  }
}
