import type { LinkType } from '../device/device';
import { type Bytes, i32, put16, put32, u8, u16 } from '../stack/base/bytes';
import { finish, sum } from '../stack/base/checksum';
import { findParts, Parts } from '../tools/pcap/complete';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const TCP = 6;
const ETHERNET_HEADER = 14;
const TCP_HEADER = 20;
const ICMP = 1;
const ICMP6 = 58;
const OPTION_SACK = 5;

const parts = new Parts();

/** Flags as rules name them, in this order: "S", "SA", "PA", "FA", "FPA", "RA", "R"; "-" for none. */
export function flagLetters(flags: number): string {
  let text = '';
  if ((flags & SYN) !== 0) text += 'S';
  if ((flags & FIN) !== 0) text += 'F';
  if ((flags & RST) !== 0) text += 'R';
  if ((flags & PSH) !== 0) text += 'P';
  if ((flags & ACK) !== 0) text += 'A';
  return text === '' ? '-' : text;
}

/** The flag bits of letters such as "SA" or "FPA". @throws RangeError for another letter. */
export function flagBits(letters: string): number {
  let bits = 0;
  for (const letter of letters.toUpperCase()) {
    const bit = { S: SYN, F: FIN, R: RST, P: PSH, A: ACK }[letter];
    if (bit === undefined) throw new RangeError(`'${letter}' in '${letters}' is no flag: S, F, R, P or A`);
    bits |= bit;
  }
  return bits;
}

/** A TCP segment in its frame. The frame belongs to the segment: it is changed in place, and `seal` makes it valid again. */
export class Segment {
  private constructor(
    /** The whole frame, link header included. */
    readonly frame: Bytes,
    readonly linkType: LinkType,
    readonly version: 4 | 6,
    readonly ipAt: number,
    readonly tcpAt: number,
    /** Where text begins and ends. */
    readonly textAt: number,
    readonly end: number,
  ) {}

  /** Reads a frame; null when it is no whole TCP segment. Never throws. */
  static read(frame: Bytes, linkType: LinkType): Segment | null {
    if (!findParts(frame, 0, frame.length, linkType === 'ethernet', parts) || parts.protocol !== TCP) return null;
    const textAt = parts.transportAt + (u8(frame, parts.transportAt + 12) >>> 4) * 4;
    if (textAt < parts.transportAt + TCP_HEADER || textAt > parts.end) return null;
    const version = parts.version === 4 ? 4 : 6;
    return new Segment(frame, linkType, version, parts.ipAt, parts.transportAt, textAt, parts.end);
  }

  get flags(): number {
    return this.frame[this.tcpAt + 13]!;
  }
  set flags(flags: number) {
    this.frame[this.tcpAt + 13] = flags;
  }
  /** As on the wire, signed. */
  get seq(): number {
    return i32(this.frame, this.tcpAt + 4);
  }
  set seq(seq: number) {
    put32(this.frame, this.tcpAt + 4, seq);
  }
  get ack(): number {
    return i32(this.frame, this.tcpAt + 8);
  }
  set ack(ack: number) {
    put32(this.frame, this.tcpAt + 8, ack);
  }
  /** The window field, not scaled. */
  get window(): number {
    return u16(this.frame, this.tcpAt + 14);
  }
  set window(window: number) {
    put16(this.frame, this.tcpAt + 14, window);
  }
  get sourcePort(): number {
    return u16(this.frame, this.tcpAt);
  }
  get destinationPort(): number {
    return u16(this.frame, this.tcpAt + 2);
  }
  /** Bytes of text. */
  get length(): number {
    return this.end - this.textAt;
  }
  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
  /** Sequence numbers that it takes: text, SYN and FIN. */
  get span(): number {
    return this.length + (this.has(SYN) ? 1 : 0) + (this.has(FIN) ? 1 : 0);
  }

  private get addressBytes(): number {
    return this.version === 4 ? 4 : 16;
  }
  private get sourceAt(): number {
    return this.ipAt + (this.version === 4 ? 12 : 8);
  }
  /** The address as hexadecimal digits: a key, not for people. */
  get sourceKey(): string {
    return hexOf(this.frame, this.sourceAt, this.addressBytes);
  }
  get destinationKey(): string {
    return hexOf(this.frame, this.sourceAt + this.addressBytes, this.addressBytes);
  }

  /** Where in the frame an option of this kind begins; -1 when it has none. */
  option(kind: number): number {
    const b = this.frame;
    for (let at = this.tcpAt + TCP_HEADER; at < this.textAt; ) {
      const here = b[at]!;
      if (here === 0) return -1;
      if (here === 1) {
        at++;
        continue;
      }
      const bytes = at + 1 < this.textAt ? b[at + 1]! : 0;
      if (bytes < 2 || at + bytes > this.textAt) return -1;
      if (here === kind) return at;
      at += bytes;
    }
    return -1;
  }

  /** Changes every sequence number in the SACK option, the edges of blocks of the other direction. */
  mapSack(map: (seq: number) => number): void {
    const at = this.option(OPTION_SACK);
    if (at < 0) return;
    const end = at + this.frame[at + 1]!;
    for (let p = at + 2; p + 4 <= end; p += 4) put32(this.frame, p, map(i32(this.frame, p)));
  }

  /** Whether its TCP checksum is right. */
  get intact(): boolean {
    return finish(sum(this.frame, this.tcpAt, this.end, this.pseudoSum())) === 0;
  }

  private pseudoSum(): number {
    const at = this.sourceAt;
    return sum(this.frame, at, at + 2 * this.addressBytes, 0) + TCP + (this.end - this.tcpAt);
  }

  /** Computes both checksums anew. */
  seal(): this {
    const b = this.frame;
    if (this.version === 4) {
      put16(b, this.ipAt + 10, 0);
      put16(b, this.ipAt + 10, finish(sum(b, this.ipAt, this.tcpAt, 0)));
    }
    put16(b, this.tcpAt + 16, 0);
    put16(b, this.tcpAt + 16, finish(sum(b, this.tcpAt, this.end, this.pseudoSum())));
    return this;
  }

  copy(): Segment {
    return Segment.read(this.frame.slice(), this.linkType)!;
  }

  /** The text [from, to) as a segment of its own, sealed. SYN goes with the first byte, FIN and PSH with the last. */
  slice(from: number, to: number): Segment {
    let { flags } = this;
    if (from > 0) flags &= ~SYN;
    if (to < this.length) flags &= ~(FIN | PSH);
    const text = this.frame.subarray(this.textAt + from, this.textAt + to);
    const shift = from > 0 && this.has(SYN) ? from + 1 : from;
    return this.rebuild(flags, (this.seq + shift) | 0, this.ack, text, true);
  }

  /** A segment of the same connection and direction with other numbers and text; `options` keeps this one's. */
  rebuild(flags: number, seq: number, ack: number, text: Bytes, options: boolean): Segment {
    const headerEnd = options ? this.textAt : this.tcpAt + TCP_HEADER;
    const frame = new Uint8Array(headerEnd + text.length);
    frame.set(this.frame.subarray(0, headerEnd));
    frame.set(text, headerEnd);
    setIpLength(frame, this.ipAt, this.version, this.tcpAt, frame.length);
    frame[this.tcpAt + 12] = ((headerEnd - this.tcpAt) >> 2) << 4;
    const made = new Segment(frame, this.linkType, this.version, this.ipAt, this.tcpAt, headerEnd, frame.length);
    made.seq = seq;
    made.ack = ack;
    made.flags = flags;
    return made.seal();
  }

  /** A bare segment the other way: addresses and ports exchanged, no options, no text. Sealed. */
  reply(flags: number, seq: number, ack: number, window: number): Segment {
    const made = this.rebuild(flags, seq, ack, new Uint8Array(0), false);
    const b = made.frame;
    if (this.linkType === 'ethernet') {
      b.set(this.frame.subarray(6, 12), 0);
      b.set(this.frame.subarray(0, 6), 6);
    }
    const n = this.addressBytes;
    b.set(this.frame.subarray(this.sourceAt + n, this.sourceAt + 2 * n), this.sourceAt);
    b.set(this.frame.subarray(this.sourceAt, this.sourceAt + n), this.sourceAt + n);
    put16(b, this.tcpAt, this.destinationPort);
    put16(b, this.tcpAt + 2, this.sourcePort);
    made.window = window;
    return made.seal();
  }

  /**
   * An ICMP error about this segment, from its destination to its source, quoting its first bytes (RFC 792, RFC 4443).
   * `mtu` goes into the second word. Type and code are those of the segment's own IP version.
   */
  icmpError(type: number, code: number, mtu: number): Bytes {
    const link = this.linkType === 'ethernet' ? ETHERNET_HEADER : 0;
    const quote = this.frame.subarray(this.ipAt, Math.min(this.end, this.tcpAt + TCP_HEADER));
    const header = this.version === 4 ? 20 : 40;
    const ip = link;
    const icmp = ip + header;
    const frame = new Uint8Array(icmp + 8 + quote.length);
    if (link > 0) {
      frame.set(this.frame.subarray(6, 12), 0);
      frame.set(this.frame.subarray(0, 6), 6);
      frame.set(this.frame.subarray(12, 14), 12);
    }
    const n = this.addressBytes;
    frame.set(this.frame.subarray(this.sourceAt + n, this.sourceAt + 2 * n), ip + (header === 20 ? 12 : 8));
    frame.set(this.frame.subarray(this.sourceAt, this.sourceAt + n), ip + (header === 20 ? 12 : 8) + n);
    frame[ip] = header === 20 ? 0x45 : 0x60;
    frame[ip + (header === 20 ? 8 : 7)] = 64;
    frame[ip + (header === 20 ? 9 : 6)] = header === 20 ? ICMP : ICMP6;
    setIpLength(frame, ip, this.version, icmp, frame.length);
    frame[icmp] = type;
    frame[icmp + 1] = code;
    put32(frame, icmp + 4, mtu);
    frame.set(quote, icmp + 8);
    if (header === 20) put16(frame, ip + 10, finish(sum(frame, ip, icmp, 0)));
    const pseudo = header === 20 ? 0 : sum(frame, ip + 8, ip + 40, 0) + ICMP6 + (frame.length - icmp);
    put16(frame, icmp + 2, finish(sum(frame, icmp, frame.length, pseudo)));
    return frame;
  }
}

function setIpLength(frame: Bytes, ipAt: number, version: 4 | 6, bodyAt: number, end: number): void {
  if (version === 4) put16(frame, ipAt + 2, end - ipAt);
  else put16(frame, ipAt + 4, end - bodyAt);
}

function hexOf(b: Bytes, at: number, bytes: number): string {
  let text = '';
  for (let i = 0; i < bytes; i++) text += b[at + i]!.toString(16).padStart(2, '0');
  return text;
}
