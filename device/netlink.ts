import { endianness } from 'node:os';
import type { Cidr } from './cidr';
import { isSystemError } from './errors';
import { loadNative } from './native';

/*
 * The kernel's side of an interface (rtnetlink(7)): link settings, addresses, routes, neighbours, without `ip`. Every
 * function acts in the network namespace of the process and throws the kernel's refusal as an Error with `code`.
 */

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWNEIGH = 28;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_AF_SPEC = 26;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 0x02;
const RTA_DST = 1;
const RTA_OIF = 4;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;

const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNICAST = 1;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 1;
/** Of the interface's flags: it is up. */
const HEADER_BYTES = 16;
const LINK_BYTES = 16;
const ADDRESS_BYTES = 8;

const LITTLE = endianness() === 'LE';
const familyOf = (cidr: Cidr): number => (cidr.family === 4 ? AF_INET : AF_INET6);

/** Writes one request: the message header, its fixed part, then attributes. Integers in the machine's byte order. */
class Request {
  private readonly bytes = new Uint8Array(512);
  private readonly view = new DataView(this.bytes.buffer);
  private end = HEADER_BYTES;

  constructor(type: number, flags: number) {
    this.view.setUint16(4, type, LITTLE);
    this.view.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, LITTLE);
  }

  u8(...values: number[]): this {
    for (const value of values) this.bytes[this.end++] = value;
    return this;
  }

  u16(value: number): this {
    this.view.setUint16(this.end, value, LITTLE);
    this.end += 2;
    return this;
  }

  u32(value: number): this {
    this.view.setUint32(this.end, value, LITTLE);
    this.end += 4;
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    this.u16(4 + value.length).u16(type);
    this.bytes.set(value, this.end);
    this.end = (this.end + value.length + 3) & ~3;
    return this;
  }

  attribute32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value);
  }

  /** An attribute whose value is attributes. */
  nested(type: number, write: (request: this) => void): this {
    const at = this.end;
    this.u16(0).u16(type);
    write(this);
    this.view.setUint16(at, this.end - at, LITTLE);
    return this;
  }

  send(): Uint8Array {
    this.view.setUint32(0, this.end, LITTLE);
    return loadNative().netlink(this.bytes.subarray(0, this.end));
  }
}

/** Calls `visit` for each message of an answer: its type, the bytes after its header. */
function eachMessage(answer: Uint8Array, visit: (type: number, body: Uint8Array) => void): void {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  for (let at = 0; at + HEADER_BYTES <= answer.length; ) {
    const bytes = view.getUint32(at, LITTLE);
    if (bytes < HEADER_BYTES || at + bytes > answer.length) return;
    visit(view.getUint16(at + 4, LITTLE), answer.subarray(at + HEADER_BYTES, at + bytes));
    at += (bytes + 3) & ~3;
  }
}

/** The attributes of a message body from `at` on, by type. */
function attributes(body: Uint8Array, at: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  while (at + 4 <= body.length) {
    const bytes = view.getUint16(at, LITTLE);
    if (bytes < 4 || at + bytes > body.length) break;
    found.set(view.getUint16(at + 2, LITTLE) & 0x3fff, body.subarray(at + 4, at + bytes));
    at += (bytes + 3) & ~3;
  }
  return found;
}

const number32 = (bytes: Uint8Array | undefined): number =>
  bytes === undefined || bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, LITTLE);

/** An interface as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Six bytes, or empty on a link without addresses. */
  readonly mac: Uint8Array;
  /** Packets that wait for a slow reader (txqueuelen). */
  readonly queueLength: number;
}

/** The interface of that name, or null. */
export function findLink(name: string): Link | null {
  const request = new Request(RTM_GETLINK, 0).u8(AF_UNSPEC, 0).u16(0).u32(0).u32(0).u32(0);
  try {
    return readLink(request.attribute(IFLA_IFNAME, Buffer.from(`${name}\0`)).send());
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENODEV') return null;
    throw error;
  }
}

function readLink(answer: Uint8Array): Link | null {
  let link: Link | null = null;
  eachMessage(answer, (type, body) => {
    if (type !== RTM_NEWLINK || body.length < LINK_BYTES) return;
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const found = attributes(body, LINK_BYTES);
    link = {
      index: view.getInt32(4, LITTLE),
      name: Buffer.from(found.get(IFLA_IFNAME) ?? [])
        .toString()
        .replace(/\0+$/, ''),
      mtu: number32(found.get(IFLA_MTU)),
      up: (view.getUint32(8, LITTLE) & IFF_UP) !== 0,
      mac: Uint8Array.from(found.get(IFLA_ADDRESS) ?? []),
      queueLength: number32(found.get(IFLA_TXQLEN)),
    };
  });
  return link;
}

/** What `setLink` changes; what is absent stays. */
export interface LinkSettings {
  mtu?: number;
  queueLength?: number;
  mac?: Uint8Array;
  up?: boolean;
  /** False: no link-local IPv6 address when it comes up, so no router solicitations either. */
  linkLocal?: boolean;
}

export function setLink(index: number, settings: LinkSettings): void {
  const request = new Request(RTM_NEWLINK, 0).u8(AF_UNSPEC, 0).u16(0).u32(index);
  if (settings.up === undefined) request.u32(0).u32(0);
  else request.u32(settings.up ? IFF_UP : 0).u32(IFF_UP);
  if (settings.mac !== undefined) request.attribute(IFLA_ADDRESS, settings.mac);
  if (settings.mtu !== undefined) request.attribute32(IFLA_MTU, settings.mtu);
  if (settings.queueLength !== undefined) request.attribute32(IFLA_TXQLEN, settings.queueLength);
  request.send();
  if (settings.linkLocal === false) quietIPv6(index);
}

/** A kernel without IPv6 has nothing to be quiet about: it refuses, and that is fine. */
function quietIPv6(index: number): void {
  const mode = Uint8Array.of(IN6_ADDR_GEN_MODE_NONE);
  try {
    new Request(RTM_NEWLINK, 0)
      .u8(AF_UNSPEC, 0)
      .u16(0)
      .u32(index)
      .u32(0)
      .u32(0)
      .nested(IFLA_AF_SPEC, (spec) => spec.nested(AF_INET6, (inet6) => inet6.attribute(IFLA_INET6_ADDR_GEN_MODE, mode)))
      .send();
  } catch (error) {
    if (!isSystemError(error) || !['EAFNOSUPPORT', 'EOPNOTSUPP', 'EINVAL'].includes(error.code)) throw error;
  }
}

/** Gives the interface an address, usable at once (no duplicate address detection). Returns false if it had it already. */
export function addAddress(index: number, cidr: Cidr): boolean {
  return unless('EEXIST', () => changeAddress(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, cidr));
}

/** Returns false if the interface did not have it. */
export function removeAddress(index: number, cidr: Cidr): boolean {
  return unless('EADDRNOTAVAIL', () => changeAddress(RTM_DELADDR, 0, index, cidr));
}

function changeAddress(type: number, flags: number, index: number, cidr: Cidr): void {
  new Request(type, flags)
    .u8(familyOf(cidr), cidr.prefix, cidr.family === 6 ? IFA_F_NODAD : 0, RT_SCOPE_UNIVERSE)
    .u32(index)
    .attribute(IFA_LOCAL, cidr.address)
    .attribute(IFA_ADDRESS, cidr.address)
    .send();
}

/** The interface's addresses, in the kernel's order. */
export function listAddresses(index: number): Cidr[] {
  const list: Cidr[] = [];
  const answer = new Request(RTM_GETADDR, NLM_F_DUMP).u8(AF_UNSPEC, 0, 0, 0).u32(0).send();
  eachMessage(answer, (type, body) => {
    if (type !== RTM_NEWADDR || body.length < ADDRESS_BYTES || number32(body.subarray(4)) !== index) return;
    const found = attributes(body, ADDRESS_BYTES);
    const address = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
    if (address === undefined) return;
    list.push({ family: address.length === 4 ? 4 : 6, address: Uint8Array.from(address), prefix: body[1]! });
  });
  return list;
}

/** Routes a network into the interface, which must be up. Returns false if the route was there. */
export function addRoute(index: number, cidr: Cidr): boolean {
  return unless('EEXIST', () => changeRoute(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, cidr));
}

/** Returns false if there was no such route. */
export function removeRoute(index: number, cidr: Cidr): boolean {
  return unless('ESRCH', () => changeRoute(RTM_DELROUTE, 0, index, cidr));
}

function changeRoute(type: number, flags: number, index: number, cidr: Cidr): void {
  const scope = type === RTM_DELROUTE ? RT_SCOPE_NOWHERE : cidr.family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  new Request(type, flags)
    .u8(familyOf(cidr), cidr.prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST)
    .u32(0)
    .attribute(RTA_DST, networkOf(cidr))
    .attribute32(RTA_OIF, index)
    .send();
}

/** The kernel refuses a destination with bits set behind its prefix. */
function networkOf(cidr: Cidr): Uint8Array {
  return cidr.address.map((byte, i) => byte & (0xff << Math.max(0, 8 - Math.max(0, cidr.prefix - i * 8))) & 0xff);
}

/** A permanent entry in the kernel's ARP or neighbour table. */
export function addNeighbor(index: number, address: Cidr, mac: Uint8Array): void {
  new Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE)
    .u8(familyOf(address), 0)
    .u16(0)
    .u32(index)
    .u16(NUD_PERMANENT)
    .u8(0, RTN_UNICAST)
    .attribute(NDA_DST, address.address)
    .attribute(NDA_LLADDR, mac)
    .send();
}

/** In a new network namespace even 127.0.0.1 is missing until this. */
export function bringLoopbackUp(): void {
  const loopback = findLink('lo');
  if (loopback !== null && !loopback.up) setLink(loopback.index, { up: true });
}

/** Whether this process may change the network here. Asks for an impossible change, so nothing happens either way. */
export function mayConfigure(): boolean {
  const nothing: Cidr = { family: 4, address: new Uint8Array(4), prefix: 32 };
  try {
    changeAddress(RTM_DELADDR, 0, 0x7fffffff, nothing);
    return true;
  } catch (error) {
    return !(isSystemError(error) && error.code === 'EPERM');
  }
}

/** False when the call failed with `code`, which means that there was nothing to do. */
function unless(code: string, change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === code) return false;
    throw error;
  }
}
