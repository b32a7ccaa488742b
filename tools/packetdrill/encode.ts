import { type Bytes, put16, put32 } from '../../stack/base/bytes';
import { finish, sum } from '../../stack/base/checksum';
import { parseAddress } from './address';
import { AE, type IpFields, type TcpOption, type TcpRecord, type UdpRecord } from './packet';

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMP6 = 58;

export const OPTION_EOL = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WSCALE = 3;
export const OPTION_SACK_OK = 4;
export const OPTION_SACK = 5;
export const OPTION_TS = 8;
export const OPTION_MD5 = 19;
export const OPTION_FO = 34;
export const OPTION_ACC_ECN_0 = 172;
export const OPTION_ACC_ECN_1 = 174;
export const OPTION_EXPERIMENT = 254;
/** What tells a Fast Open cookie apart among the experimental options (RFC 6994). */
export const FO_EXPERIMENT = 0xf989;

const DONT_FRAGMENT = 0x4000;

/** The options of a segment, as on the wire. No padding is added. */
export function encodeOptions(options: readonly TcpOption[]): Bytes {
  const out: number[] = [];
  const word = (value: number): void => void out.push((value >>> 8) & 0xff, value & 0xff);
  const long = (value: number): void =>
    void out.push((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
  for (const option of options) {
    switch (option.kind) {
      case 'eol':
        out.push(OPTION_EOL);
        break;
      case 'nop':
        out.push(OPTION_NOP);
        break;
      case 'mss':
        out.push(OPTION_MSS, 4);
        word(option.value);
        break;
      case 'wscale':
        out.push(OPTION_WSCALE, 3, option.value);
        break;
      case 'sackOK':
        out.push(OPTION_SACK_OK, 2);
        break;
      case 'sack':
        out.push(OPTION_SACK, 2 + 8 * option.blocks.length);
        for (const { from, to } of option.blocks) {
          long(from);
          long(to);
        }
        break;
      case 'TS':
        out.push(OPTION_TS, 10);
        long(option.value);
        long(option.echo);
        break;
      case 'FO':
        out.push(OPTION_FO, 2 + option.cookie.length / 2, ...hexBytes(option.cookie));
        break;
      case 'FOEXP':
        out.push(OPTION_EXPERIMENT, 4 + option.cookie.length / 2);
        word(FO_EXPERIMENT);
        out.push(...hexBytes(option.cookie));
        break;
      case 'md5':
        out.push(OPTION_MD5, 2 + option.digest.length / 2, ...hexBytes(option.digest));
        break;
      case 'ECN': {
        const number = option.counters[0]!.name === 'e0b' ? OPTION_ACC_ECN_0 : OPTION_ACC_ECN_1;
        out.push(number, 2 + 3 * option.counters.length);
        for (const { value } of option.counters) out.push((value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
        break;
      }
      case 'unknown':
        out.push(option.number, 2 + option.bytes.length / 2, ...hexBytes(option.bytes));
    }
  }
  return Uint8Array.from(out);
}

/** The bytes that two-digit hexadecimal text stands for. */
function hexBytes(text: string): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i += 2) bytes.push(Number.parseInt(text.slice(i, i + 2), 16));
  return bytes;
}

/** A datagram with an IP header, checksums still to be filled in, and where its payload begins. */
interface Datagram {
  readonly frame: Bytes;
  readonly at: number;
  /** Sum of the pseudo-header. */
  readonly pseudo: number;
}

const address = (text: string): Bytes => {
  const bytes = parseAddress(text);
  if (bytes === null) throw new RangeError(`${text} is not an IP address`);
  return bytes;
};

function datagram(ip: IpFields, protocol: number, bodyBytes: number): Datagram {
  const source = address(ip.source);
  const destination = address(ip.destination);
  const at = ip.version === 4 ? 20 : 40;
  const frame = new Uint8Array(at + bodyBytes);
  if (ip.version === 4) writeV4(frame, ip, protocol, source, destination, at + bodyBytes);
  else writeV6(frame, ip, protocol, source, destination, bodyBytes);
  let pseudo = protocol + bodyBytes;
  pseudo = sum(source, 0, source.length, pseudo);
  pseudo = sum(destination, 0, destination.length, pseudo);
  return { frame, at, pseudo };
}

/** Writes an IPv4 header with its checksum (RFC 791). `totalBytes` may differ from the frame's length in a quotation. */
function writeV4(
  b: Bytes,
  ip: IpFields,
  protocol: number,
  source: Bytes,
  destination: Bytes,
  totalBytes: number,
): void {
  b[0] = 0x45;
  b[1] = ip.tos;
  put16(b, 2, totalBytes);
  put16(b, 6, DONT_FRAGMENT);
  b[8] = ip.ttl;
  b[9] = protocol;
  b.set(source, 12);
  b.set(destination, 16);
  put16(b, 10, finish(sum(b, 0, 20, 0)));
}

function writeV6(b: Bytes, ip: IpFields, protocol: number, source: Bytes, destination: Bytes, bodyBytes: number): void {
  put32(b, 0, 0x6000_0000 | (ip.tos << 20) | ip.flowLabel);
  put16(b, 4, bodyBytes);
  b[6] = protocol;
  b[7] = ip.ttl;
  b.set(source, 8);
  b.set(destination, 24);
}

/** A TCP segment in its datagram, payload all zeros, checksums right. Throws RangeError when it does not fit. */
export function encodeTcp(r: TcpRecord): Bytes {
  const options = encodeOptions(r.options);
  if (options.length % 4 !== 0 || options.length > 40) {
    throw new RangeError(`${options.length} bytes of TCP options: expected a multiple of 4, at most 40`);
  }
  const headerBytes = 20 + options.length;
  const { frame, at, pseudo } = datagram(r.ip, PROTOCOL_TCP, limit(r.ip, headerBytes + r.payloadBytes));
  put16(frame, at, r.sourcePort);
  put16(frame, at + 2, r.destinationPort);
  put32(frame, at + 4, r.seq);
  put32(frame, at + 8, r.ack);
  frame[at + 12] = (headerBytes << 2) | ((r.flags & AE) !== 0 ? 1 : 0);
  frame[at + 13] = r.flags & 0xff;
  put16(frame, at + 14, r.window);
  put16(frame, at + 18, r.urgent);
  frame.set(options, at + 20);
  put16(frame, at + 16, finish(sum(frame, at, frame.length, pseudo)));
  return frame;
}

function limit(ip: IpFields, bodyBytes: number): number {
  const max = ip.version === 4 ? 65_535 - 20 : 65_535;
  if (bodyBytes > max) throw new RangeError(`a datagram of ${bodyBytes} bytes behind the IP header: at most ${max}`);
  return bodyBytes;
}

/** A UDP datagram, payload all zeros. */
export function encodeUdp(r: UdpRecord): Bytes {
  const bytes = 8 + r.payloadBytes;
  const { frame, at, pseudo } = datagram(r.ip, PROTOCOL_UDP, limit(r.ip, bytes));
  put16(frame, at, r.sourcePort);
  put16(frame, at + 2, r.destinationPort);
  put16(frame, at + 4, bytes);
  // A checksum of zero would mean that there is none (RFC 768).
  put16(frame, at + 6, finish(sum(frame, at, frame.length, pseudo)) || 0xffff);
  return frame;
}

/** What an ICMP message is made of. `body` follows its eight bytes of header. */
export interface IcmpFields {
  readonly ip: IpFields;
  readonly type: number;
  readonly code: number;
  /** Of `frag_needed` and `packet_too_big`; 0 elsewhere. */
  readonly mtu: number;
  /** Of an echo; 0 elsewhere. */
  readonly id: number;
  readonly body: Bytes;
}

/** An ICMP message (RFC 792, RFC 4443) in its datagram. */
export function encodeIcmp(f: IcmpFields): Bytes {
  const v6 = f.ip.version === 6;
  const bytes = limit(f.ip, 8 + f.body.length);
  const { frame, at, pseudo } = datagram(f.ip, v6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP, bytes);
  frame[at] = f.type;
  frame[at + 1] = f.code;
  if (f.id !== 0) put16(frame, at + 4, f.id);
  else if (v6) put32(frame, at + 4, f.mtu);
  else put16(frame, at + 6, f.mtu);
  frame.set(f.body, at + 8);
  put16(frame, at + 2, finish(sum(frame, at, frame.length, v6 ? pseudo : 0)));
  return frame;
}

/**
 * What an ICMP error quotes: the IP header of a datagram with `transportBytes` behind its header, and the first eight of
 * them, which `transport` begins with.
 */
export function encodeQuote(ip: IpFields, protocol: number, transport: Bytes, transportBytes: number): Bytes {
  const source = address(ip.source);
  const destination = address(ip.destination);
  const headerBytes = ip.version === 4 ? 20 : 40;
  const b = new Uint8Array(headerBytes + 8);
  if (ip.version === 4) writeV4(b, ip, protocol, source, destination, headerBytes + transportBytes);
  else writeV6(b, ip, protocol, source, destination, transportBytes);
  b.set(transport.subarray(0, 8), headerBytes);
  return b;
}
