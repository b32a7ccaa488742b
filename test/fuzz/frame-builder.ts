import { type Bytes, i32, put16, put32, u16 } from '../../stack/base/bytes';
import { checksum } from '../../stack/base/checksum';
import type { Random } from '../../stack/base/random';

/*
 * The peers of frames.ts: what they would send next, bent. Numbers near the windows' edges, odd flags, broken options,
 * lengths and checksums, extension headers, fragments that overlap or never end, errors that quote what was sent, neighbour
 * messages with a purpose, or plain noise.
 */

/** Address words; IPv4 in the last one. */
export type Words = readonly [number, number, number, number];
const LOCAL_V4: Words = [0, 0, 0, 0x0a000001];
const REMOTE_V4: Words = [0, 0, 0, 0x0a000002];
const LOCAL_V6: Words = [0xfd000000 | 0, 0, 0, 1];
const REMOTE_V6: Words = [0xfd000000 | 0, 0, 0, 2];
const LINK_LOCAL: Words = [0xfe800000 | 0, 0, 0, 1];
const REMOTE_LINK_LOCAL: Words = [0xfe800000 | 0, 0, 0, 2];
const ALL_NODES: Words = [0xff020000 | 0, 0, 0, 1];
const SOLICITED: Words = [0xff020000 | 0, 0, 1, 0xff000001 | 0];
export const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const REMOTE_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

/** Of each family; the peer's port is FIRST_PORT and so on. */
const FLOWS = 12;
export const FIRST_PORT = 5000;
export const TCP_PORT = 80;
/** Sockets that the application has: the first echoes, the second is never read, the third is connected. */
export const UDP_PORTS = [7, 9, 11] as const;

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const URG = 32;

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const ICMP_V6 = 58;
const DESTINATION = 60;

/** What is known of one flow, from the frames that the stack sent. */
export class Flow {
  /** Next sequence number of the peer's, and of the stack's. */
  next = 0;
  theirs = 0;
  timestamps = false;
  tsEcr = 0;
  open = false;
}

/** A datagram longer than this does not fit the buffer that frames are built in. */
const FRAME_MAX = 2048;

export class FrameBuilder {
  readonly flows = { 4: newFlows(), 6: newFlows() } as const;
  /** Fragments that are still to come. */
  private readonly pending: Uint8Array[] = [];
  private readonly b = new Uint8Array(FRAME_MAX);
  private family: 4 | 6 = 4;
  /** Where the datagram begins, and its transport header. */
  private ip = 0;
  private body = 0;

  constructor(
    private readonly random: Random,
    private readonly linkBytes: number,
  ) {}

  /** One more frame. `clock` is what the peer's timestamps show. */
  next(clock: number): Uint8Array {
    const { random, pending } = this;
    if (pending.length > 0 && random.chance(600_000)) {
      return pending.splice(random.chance(800_000) ? 0 : random.below(pending.length), 1)[0]!;
    }
    const kind = random.below(1000);
    if (kind < 20) return this.noise();
    if (kind < 40 && this.linkBytes > 0) return this.arp();
    this.begin();
    let bytes: number;
    if (kind < 100) bytes = this.family === 4 ? this.icmp() : this.icmpV6();
    else if (kind < 150) bytes = this.udp();
    else if (kind < 155) bytes = this.finish(random.below(256), random.below(100));
    else bytes = this.segment(clock);
    if (random.chance(40_000)) bytes = this.bend(bytes);
    if (random.chance(40_000) && bytes > 100) return this.cut(bytes);
    return this.frame(bytes);
  }

  // ── the envelope ──

  private frame(bytes: number): Uint8Array {
    const { b, linkBytes } = this;
    if (linkBytes > 0) {
      b.set(this.random.chance(5000) ? REMOTE_MAC : MAC, 0);
      b.set(REMOTE_MAC, 6);
      put16(b, 12, this.family === 4 ? 0x0800 : 0x86dd);
    }
    return b.slice(0, linkBytes + bytes);
  }

  /** Addresses, IPv4 options, extension headers: everything in front of the transport header but lengths and checksum. */
  private begin(): void {
    const { b, random } = this;
    this.family = random.chance(500_000) ? 4 : 6;
    this.ip = this.linkBytes;
    if (this.family === 4) return this.beginV4();
    const { ip } = this;
    put32(b, ip, (6 << 28) | (random.chance(20_000) ? random.int32() & 0x0fffffff : 0));
    b[ip + 7] = 64;
    const local = random.chance(900_000) ? LOCAL_V6 : random.chance(500_000) ? ALL_NODES : LINK_LOCAL;
    this.address(ip + 8, random.chance(950_000) ? REMOTE_V6 : REMOTE_LINK_LOCAL);
    this.address(ip + 24, local);
    this.body = ip + 40;
    // The protocol is written by `finish` where the last of these says.
    this.nextHeaderAt = ip + 6;
    for (let count = random.chance(50_000) ? 1 + random.below(10) : 0; count > 0; count--) this.extension();
  }

  private nextHeaderAt = 0;

  private beginV4(): void {
    const { b, ip, random } = this;
    let options = 0;
    if (random.chance(20_000)) {
      options = 4 * (1 + random.below(10));
      for (let i = 0; i < options; i++) b[ip + 20 + i] = random.chance(500_000) ? random.below(9) : random.int32();
      const kind = [1, 7, 130, 131, 137, 148][random.below(6)]!;
      if (random.chance(700_000)) b.set([kind, random.below(options + 2), 4], ip + 20);
    }
    b[ip] = 0x45 + options / 4;
    b[ip + 1] = random.chance(20_000) ? random.int32() : 0;
    put16(b, ip + 4, random.below(65_536));
    put16(b, ip + 6, random.chance(10_000) ? random.below(65_536) : 0x4000);
    b[ip + 8] = 64;
    this.address(ip + 12, random.chance(5000) ? oneOf(random, STRANGERS) : REMOTE_V4);
    this.address(ip + 16, random.chance(5000) ? oneOf(random, STRANGERS) : LOCAL_V4);
    this.nextHeaderAt = ip + 9;
    this.body = ip + 20 + options;
  }

  private address(at: number, words: Words): void {
    if (this.family === 4) return void put32(this.b, at, words[3]);
    for (let i = 0; i < 4; i++) put32(this.b, at + 4 * i, words[i]!);
    if (this.random.chance(3000)) this.b[at + this.random.below(16)] = this.random.int32();
  }

  /** One more extension header, right more often than not. */
  private extension(): void {
    const { b, random } = this;
    const first = this.nextHeaderAt === this.ip + 6;
    const kinds = first ? [HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT] : [DESTINATION, ROUTING, FRAGMENT, HOP_BY_HOP];
    const kind = kinds[Math.min(random.below(4), random.below(4))]!;
    const at = this.body;
    const bytes = kind === FRAGMENT ? 8 : 8 * (1 + random.below(3));
    b[this.nextHeaderAt] = kind;
    b[at] = 59;
    b[at + 1] = random.chance(30_000) ? random.int32() : bytes / 8 - 1;
    for (let i = 2; i < bytes; i++) b[at + i] = random.chance(700_000) ? 0 : random.int32();
    if (kind === FRAGMENT && random.chance(800_000)) put16(b, at + 2, 0);
    else if (kind !== FRAGMENT && random.chance(600_000)) b.set([1, bytes - 4], at + 2);
    this.nextHeaderAt = at;
    this.body = at + bytes;
  }

  /** The datagram is complete but for its protocol and lengths: `bytes` stand from `body` on. Returns its length. */
  private finish(protocol: number, bytes: number): number {
    const { b, ip } = this;
    b[this.nextHeaderAt] = protocol;
    const all = this.body - ip + bytes;
    if (this.family === 4) {
      put16(b, ip + 2, all);
      this.sumHeader();
    } else {
      put16(b, ip + 4, all - 40);
    }
    return all;
  }

  private sumHeader(): void {
    const { b, ip } = this;
    put16(b, ip + 10, 0);
    put16(b, ip + 10, checksum(b, ip, ip + (b[ip]! & 15) * 4, 0));
  }

  /** Of the addresses, the protocol and the length, as RFC 9293 §3.1 and RFC 8200 §8.1 have it. */
  private pseudo(protocol: number, bytes: number): number {
    const { b, ip } = this;
    const [from, to] = this.family === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
    let total = protocol + bytes;
    for (let at = from; at < to; at += 2) total += u16(b, at);
    return total;
  }

  // ── TCP ──

  /** A segment that the peer of one of the flows might send, more or less. */
  private segment(clock: number): number {
    const { b, random, body: p } = this;
    const number = random.below(FLOWS);
    const flow = this.flows[this.family][number]!;
    let flags = this.flagsFor(flow);
    let text = 0;
    if ((flags & SYN) === 0 || random.chance(50_000)) text = random.chance(600_000) ? random.below(1400) : 0;
    if (flags & SYN && !flow.open) flow.next = random.chance(500_000) ? random.int32() : -random.below(3000);
    put16(b, p, FIRST_PORT + number);
    put16(b, p + 2, random.chance(3000) ? random.below(65_536) : TCP_PORT);
    put32(b, p + 4, flow.next + this.near(text));
    put32(b, p + 8, flow.theirs - (random.chance(150_000) ? random.below(20_000) - 3000 : 0));
    put16(b, p + 14, random.chance(200_000) ? random.below(3) * random.below(3000) : 60_000);
    put16(b, p + 18, random.chance(20_000) ? random.below(65_536) : 0);
    const header = 20 + this.tcpOptions(p + 20, flow, flags, clock);
    b[p + 12] = (header >> 2) << 4;
    if (random.chance(3000)) b[p + 12] = random.int32();
    if (random.chance(10_000)) flags = random.below(256);
    b[p + 13] = flags;
    for (let i = 0; i < text; i += 64) b[p + header + i] = random.int32();
    this.sum(TCP, 16, header + text);
    return this.finish(TCP, header + text);
  }

  private sum(protocol: number, field: number, bytes: number): void {
    const { b, body } = this;
    put16(b, body + field, 0);
    put16(b, body + field, checksum(b, body, body + bytes, this.pseudo(protocol, bytes)));
  }

  private flagsFor(flow: Flow): number {
    const kind = this.random.below(1000);
    if (!flow.open || kind < 20) return SYN;
    if (kind < 25) return RST | (kind & 1 ? ACK : 0);
    if (kind < 60) return FIN | ACK;
    if (kind < 65) return SYN | ACK;
    if (kind < 80) return URG | ACK | PSH;
    return kind < 100 ? this.random.below(256) : kind < 500 ? ACK : ACK | PSH;
  }

  /** Mostly in order; else a little or far beyond, or before. */
  private near(text: number): number {
    const kind = this.random.below(100);
    if (kind < 70) return 0;
    if (kind < 85) return this.random.below(5) * 1460;
    if (kind < 95) return -this.random.below(text + 3000);
    return kind < 98 ? this.random.below(200_000) : this.random.int32();
  }

  private tcpOptions(at: number, flow: Flow, flags: number, clock: number): number {
    const { b, random } = this;
    if (random.chance(30_000)) {
      const bytes = random.below(11) * 4;
      for (let i = 0; i < bytes; i++) b[at + i] = random.chance(500_000) ? random.below(9) : random.int32();
      return bytes;
    }
    let n = 0;
    if (flags & SYN) {
      b.set([2, 4, random.below(8), random.below(256), 1, 3, 3, random.below(16)], at);
      n = 8;
      if (random.chance(700_000)) {
        b.set([4, 2, 1, 1], at + n);
        n += 4;
      }
    }
    if ((flags & SYN) !== 0 ? random.chance(500_000) : flow.timestamps) {
      b.set([1, 1, 8, 10], at + n);
      put32(b, at + n + 4, clock - (random.chance(30_000) ? random.below(100_000) : 0));
      put32(b, at + n + 8, random.chance(900_000) ? flow.tsEcr : random.int32());
      n += 12;
    }
    if (random.chance(100_000) && n <= 20) {
      const blocks = 1 + random.below(2);
      b.set([1, 1, 5, 2 + 8 * blocks], at + n);
      n += 4;
      for (let i = 0; i < 2 * blocks; i++, n += 4) put32(b, at + n, flow.theirs - random.below(20_000));
    }
    return n;
  }

  // ── UDP ──

  private udp(): number {
    const { b, random, body: p } = this;
    const text = random.chance(50_000) ? random.below(1400) : random.below(40);
    put16(b, p, FIRST_PORT + random.below(FLOWS));
    put16(b, p + 2, random.chance(100_000) ? random.below(65_536) : UDP_PORTS[random.below(UDP_PORTS.length)]!);
    put16(b, p + 4, random.chance(20_000) ? random.below(1500) : 8 + text);
    for (let i = 0; i < text; i += 16) b[p + 8 + i] = random.int32();
    this.sum(UDP, 6, 8 + text);
    if (random.chance(20_000)) put16(b, p + 6, random.chance(500_000) ? 0 : random.int32());
    return this.finish(UDP, 8 + text);
  }

  // ── ICMP ──

  /** Echo requests, redirects, and errors that quote what the stack may have sent. */
  private icmp(): number {
    const { b, random, body: p } = this;
    const types = [0, 3, 3, 4, 5, 8, 11, 12, random.below(256)];
    b[p] = types[random.below(types.length)]!;
    b[p + 1] = random.below(16);
    put32(b, p + 4, random.chance(500_000) ? random.below(2000) : random.int32());
    if (b[p] === 5) put32(b, p + 4, 0x0a000000 | random.below(256));
    const bytes = 8 + this.quote(p + 8);
    put16(b, p + 2, 0);
    put16(b, p + 2, checksum(b, p, p + bytes, 0));
    return this.finish(ICMP, bytes);
  }

  private icmpV6(): number {
    const { b, random, body: p } = this;
    const types = [1, 2, 2, 3, 4, 128, 129, 133, 134, 135, 135, 136, 136, 137, random.below(256)];
    const type = types[random.below(types.length)]!;
    b[p] = type;
    b[p + 1] = random.chance(700_000) ? 0 : random.below(8);
    put32(b, p + 4, random.chance(500_000) ? random.below(2000) : random.int32());
    const bytes = type >= 133 && type <= 137 ? this.neighborMessage(p, type) : 8 + this.quote(p + 8);
    this.sum(ICMP_V6, 2, bytes);
    return this.finish(ICMP_V6, bytes);
  }

  /** Solicitations, advertisements and redirects (RFC 4861 §4) from a neighbour, mostly. */
  private neighborMessage(p: number, type: number): number {
    const { b, ip, random } = this;
    b[ip + 7] = random.chance(950_000) ? 255 : 64;
    if (type === 135 && random.chance(500_000)) this.address(ip + 24, SOLICITED);
    if (type === 137 || random.chance(100_000)) this.address(ip + 8, REMOTE_LINK_LOCAL);
    if (random.chance(30_000)) b.fill(0, ip + 8, ip + 24);
    this.address(p + 8, random.chance(500_000) ? LOCAL_V6 : random.chance(800_000) ? REMOTE_V6 : SOLICITED);
    let n = 24;
    if (type === 137) {
      this.address(p + 24, REMOTE_V6);
      n = 40;
    }
    if (random.chance(600_000)) {
      b.set([type === 135 ? 1 : 2, 1], p + n);
      b.set(random.chance(900_000) ? REMOTE_MAC : MAC, p + n + 2);
      n += 8;
    }
    if (random.chance(100_000)) {
      b.set([random.below(8), random.below(3), 0, 0, 0, 0, 0, 0], p + n);
      n += 8;
    }
    return random.chance(30_000) ? random.below(n) : n;
  }

  /** A packet of the stack's, as somebody on the way might quote it. Returns its length. */
  private quote(at: number): number {
    const { b, random } = this;
    const bytes = random.below(120);
    for (let i = 0; i < bytes; i++) b[at + i] = random.chance(800_000) ? 0 : random.int32();
    const header = this.family === 4 ? 20 : 40;
    if (bytes < header + 8) return bytes;
    const protocol = random.chance(700_000) ? TCP : UDP;
    if (this.family === 4) {
      b[at] = 0x45;
      put16(b, at + 2, 40 + random.below(1500));
      b[at + 6] = random.chance(900_000) ? 0x40 : random.int32();
      b[at + 9] = protocol;
      this.address(at + 12, LOCAL_V4);
      this.address(at + 16, REMOTE_V4);
    } else {
      b[at] = 0x60;
      put16(b, at + 4, random.below(1500));
      b[at + 6] = random.chance(900_000) ? protocol : random.below(61);
      this.address(at + 8, LOCAL_V6);
      this.address(at + 24, REMOTE_V6);
    }
    const flow = random.below(FLOWS);
    put16(b, at + header, protocol === TCP ? TCP_PORT : UDP_PORTS[random.below(UDP_PORTS.length)]!);
    put16(b, at + header + 2, FIRST_PORT + flow);
    put32(b, at + header + 4, this.flows[this.family][flow]!.theirs - random.below(3000));
    return bytes;
  }

  // ── fragments ──

  /** Cuts the datagram of `bytes` bytes; all but the first piece come later, not all of them as they should. */
  private cut(bytes: number): Uint8Array {
    const { b, ip, random, pending } = this;
    const four = this.family === 4;
    const header = four ? (b[ip]! & 15) * 4 : 40;
    if (header < 20 || header + 8 > bytes) return this.frame(bytes);
    const number = random.chance(800_000) ? random.below(4) : random.int32();
    const pieces: Uint8Array[] = [];
    for (let from = header; from < bytes; ) {
      const size = Math.min(8 * (1 + random.below(60)), bytes - from);
      const more = from + size < bytes;
      const offset = Math.max(0, from - header + (random.chance(30_000) ? 8 * (random.below(5) - 2) : 0));
      pieces.push(this.fragment(header, from, size, offset, more, number));
      if (random.chance(30_000)) pieces.push(pieces.at(-1)!.slice());
      from += size;
    }
    if (random.chance(100_000)) pieces.splice(random.below(pieces.length), 1);
    if (random.chance(200_000)) pieces.reverse();
    const first = pieces.shift();
    if (pending.length < 64) pending.push(...pieces);
    return first ?? this.frame(bytes);
  }

  private fragment(
    header: number,
    from: number,
    size: number,
    offset: number,
    more: boolean,
    number: number,
  ): Uint8Array {
    const { b, ip, linkBytes } = this;
    const four = this.family === 4;
    const extra = four ? 0 : 8;
    const f = new Uint8Array(linkBytes + header + extra + size);
    f.set(this.frame(header), 0);
    f.set(b.subarray(ip + from, ip + from + size), linkBytes + header + extra);
    if (four) {
      put16(f, ip + 2, header + size);
      put16(f, ip + 4, number);
      put16(f, ip + 6, ((offset >> 3) & 0x1fff) | (more ? 0x2000 : 0));
      put16(f, ip + 10, 0);
      put16(f, ip + 10, checksum(f, ip, ip + header, 0));
    } else {
      put16(f, ip + 4, 8 + size);
      f[ip + 40] = f[ip + 6]!;
      f[ip + 6] = FRAGMENT;
      put16(f, ip + 42, (offset & 0xfff8) | (more ? 1 : 0));
      put32(f, ip + 44, number);
    }
    return f;
  }

  // ── noise ──

  private noise(): Uint8Array {
    const { random } = this;
    const b = new Uint8Array(random.below(200));
    for (let i = 0; i < b.length; i++) b[i] = random.int32();
    if (this.linkBytes > 0 && b.length > 14 && random.chance(800_000)) {
      b.set(MAC, 0);
      b.set(REMOTE_MAC, 6);
      put16(b, 12, [0x0800, 0x0806, 0x86dd][random.below(3)]!);
      b[14] = random.chance(500_000) ? 0x45 : 0x60;
    } else if (b.length > 0 && random.chance(500_000)) {
      b[0] = random.chance(500_000) ? 0x45 : 0x60;
    }
    return b;
  }

  private arp(): Uint8Array {
    const { random } = this;
    const b = new Uint8Array(42);
    b.set(MAC, 0);
    b.set(REMOTE_MAC, 6);
    put16(b, 12, 0x0806);
    b.set([0, 1, 8, 0, 6, 4, 0, 1 + random.below(3)], 14);
    b.set(REMOTE_MAC, 22);
    put32(b, 28, random.chance(500_000) ? REMOTE_V4[3] : REMOTE_V4[3] + random.below(2000) - 1);
    put32(b, 38, random.chance(800_000) ? LOCAL_V4[3] : random.int32());
    if (random.chance(200_000)) b[14 + random.below(28)] = random.int32();
    return random.chance(50_000) ? b.slice(0, 14 + random.below(28)) : b;
  }

  /** Damage at the IP level; of IPv4 the checksum is repaired half the time. */
  private bend(bytes: number): number {
    const { b, ip, random } = this;
    if (random.chance(300_000)) return random.below(bytes + 1);
    b[ip + random.below(Math.min(bytes, 80))] = random.int32();
    const header = (b[ip]! & 15) * 4;
    if (this.family === 4 && random.chance(500_000) && header >= 20 && header <= bytes) this.sumHeader();
    return bytes;
  }

  // ── what the stack sends ──

  /** The stack asks for the peer's link address: mostly it is told, next. */
  asked(family: 4 | 6): void {
    const { random } = this;
    if (this.linkBytes === 0 || random.chance(100_000)) return;
    if (family === 4) {
      const reply = new Uint8Array(42);
      reply.set(MAC, 0);
      reply.set(REMOTE_MAC, 6);
      reply.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 2], 12);
      reply.set(REMOTE_MAC, 22);
      put32(reply, 28, REMOTE_V4[3]);
      reply.set(MAC, 32);
      put32(reply, 38, LOCAL_V4[3]);
      this.pending.unshift(reply);
      return;
    }
    this.advertise(random.chance(900_000) ? REMOTE_V6 : REMOTE_LINK_LOCAL);
  }

  private advertise(target: Words): void {
    const { b } = this;
    this.family = 6;
    this.ip = this.linkBytes;
    this.nextHeaderAt = this.ip + 6;
    this.body = this.ip + 40;
    put32(b, this.ip, 6 << 28);
    b[this.ip + 7] = 255;
    this.address(this.ip + 8, REMOTE_V6);
    this.address(this.ip + 24, LOCAL_V6);
    b.set([136, 0, 0, 0, 0x60, 0, 0, 0], this.body);
    this.address(this.body + 8, target);
    b.set([2, 1], this.body + 24);
    b.set(REMOTE_MAC, this.body + 26);
    this.sum(ICMP_V6, 2, 32);
    this.pending.unshift(this.frame(this.finish(ICMP_V6, 32)));
  }

  /** Takes the numbers from a segment of the stack's: [at, end) of `b`. */
  learn(family: 4 | 6, b: Bytes, at: number, end: number): void {
    const flow = this.flows[family][u16(b, at + 2) - FIRST_PORT];
    if (flow === undefined) return;
    const flags = b[at + 13]!;
    const header = (b[at + 12]! >> 4) * 4;
    const length = end - at - header + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    flow.theirs = (i32(b, at + 4) + length) | 0;
    if ((flags & ACK) !== 0) flow.next = i32(b, at + 8);
    flow.open = (flags & RST) === 0;
    flow.timestamps = header >= 32;
    if (flow.timestamps) flow.tsEcr = i32(b, at + 24);
  }
}

const newFlows = (): Flow[] => Array.from({ length: FLOWS }, () => new Flow());

/** Addresses that a datagram has no business with. */
const STRANGERS: readonly Words[] = [
  [0, 0, 0, 0],
  [0, 0, 0, -1],
  [0, 0, 0, 0x0a0000ff],
  [0, 0, 0, 0x7f000001],
  [0, 0, 0, 0xe0000001 | 0],
  [0, 0, 0, 0xf0000001 | 0],
  [0, 0, 0, 0x0a000001],
  [0, 0, 0, 0xc0000209 | 0],
];

const oneOf = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)]!;
