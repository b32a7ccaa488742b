import { type Bytes, i32, put16, put32, u16 } from '../base/bytes';
import { checksum } from '../base/checksum';
import type { Drop } from '../base/drops';
import type { Seq } from './seq';

/** RFC 9293 §3.1. */
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const SEQ = 4;
const ACKNOWLEDGMENT = 8;
const OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
export const TCP_CHECKSUM = 16;
const URGENT = 18;
export const TCP_HEADER_BYTES = 20;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

/** Option kinds. */
const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;
const USER_TIMEOUT = 28;
const FAST_OPEN = 34;
const EXPERIMENTAL = 254;
const FAST_OPEN_MAGIC = 0xf989;
const COOKIE_MIN = 4;
const COOKIE_MAX = 16;

export const SACK_BLOCKS_MAX = 4;

/** One received segment: one reused record, valid until the next. Names are RFC 9293's SEG variables. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  seq = 0 as Seq;
  ack = 0 as Seq;
  flags = 0;
  /** SEG.WND, unscaled as it stands in the header. */
  window = 0;
  urgentPointer = 0;
  /** The text: [textAt, textAt + textBytes) of `bytes`. */
  bytes: Bytes = new Uint8Array(0);
  textAt = 0;
  textBytes = 0;
  /** Option values; -1 or false where absent. */
  mss = -1;
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  tsVal = 0;
  tsEcr = 0;
  /** Left and right edges, `sackBlocks` pairs. */
  readonly sack = new Int32Array(2 * SACK_BLOCKS_MAX);
  sackBlocks = 0;
  /** Fast Open (RFC 7413): where the cookie stands and its length; -1 without the option, 0 for a request. */
  cookieAt = 0;
  cookieBytes = -1;
  /** ... under the drafts' experimental number (kind 254, F989). */
  cookieExperimental = false;
  /** RFC 5482: the raw 16 bits, or -1. */
  userTimeout = -1;

  /** SEG.LEN: text plus SYN and FIN. */
  get length(): number {
    return this.textBytes + ((this.flags & SYN) !== 0 ? 1 : 0) + ((this.flags & FIN) !== 0 ? 1 : 0);
  }
}

/**
 * Fills `into` from the segment at [at, end). Returns why it is unusable, or null. Never throws on peer input.
 * A malformed option list makes the segment unusable (MUST-7 leaves that to us): half an option is no agreement.
 */
export function readSegment(
  b: Bytes,
  at: number,
  end: number,
  pseudoSum: number,
  checksumValid: boolean,
  into: Segment,
): Drop | null {
  if (end - at < TCP_HEADER_BYTES) return 'tcp-truncated';
  const textAt = at + (b[at + OFFSET]! >>> 4) * 4;
  if (textAt < at + TCP_HEADER_BYTES || textAt > end) return 'tcp-bad-offset';
  if (!checksumValid && checksum(b, at, end, pseudoSum) !== 0) return 'tcp-bad-checksum';
  into.sourcePort = u16(b, at + SOURCE_PORT);
  into.destinationPort = u16(b, at + DESTINATION_PORT);
  into.seq = i32(b, at + SEQ) as Seq;
  into.ack = i32(b, at + ACKNOWLEDGMENT) as Seq;
  into.flags = b[at + FLAGS]!;
  into.window = u16(b, at + WINDOW);
  into.urgentPointer = u16(b, at + URGENT);
  into.bytes = b;
  into.textAt = textAt;
  into.textBytes = end - textAt;
  into.mss = into.windowScale = into.cookieBytes = into.userTimeout = -1;
  into.sackPermitted = into.hasTimestamps = false;
  into.sackBlocks = 0;
  const optionsAt = at + TCP_HEADER_BYTES;
  if (textAt === optionsAt) return null;
  // The layout every data segment of today has: NOP NOP TS.
  if (textAt - optionsAt === 12 && i32(b, optionsAt) === TIMESTAMPS_PREFIX) {
    into.hasTimestamps = true;
    into.tsVal = i32(b, optionsAt + 4);
    into.tsEcr = i32(b, optionsAt + 8);
    return null;
  }
  return readOptions(b, optionsAt, textAt, into);
}

const TIMESTAMPS_PREFIX = (NOP << 24) | (NOP << 16) | (TIMESTAMPS << 8) | 10;

/** RFC 9293 §3.2: kinds in any order and alignment; unknown kinds are passed over by their length (MUST-5, 6, 64, 68). */
function readOptions(b: Bytes, at: number, end: number, into: Segment): Drop | null {
  while (at < end) {
    const kind = b[at]!;
    if (kind === END) return null;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return 'tcp-bad-option';
    const bytes = b[at + 1]!;
    if (bytes < 2 || at + bytes > end) return 'tcp-bad-option';
    if (!readOption(b, at, kind, bytes, into)) return 'tcp-bad-option';
    at += bytes;
  }
  return null;
}

function readOption(b: Bytes, at: number, kind: number, bytes: number, into: Segment): boolean {
  switch (kind) {
    case MSS:
      if (bytes !== 4) return false;
      into.mss = u16(b, at + 2);
      return true;
    case WINDOW_SCALE:
      if (bytes !== 3) return false;
      into.windowScale = b[at + 2]!;
      return true;
    case SACK_PERMITTED:
      if (bytes !== 2) return false;
      into.sackPermitted = true;
      return true;
    case SACK: {
      if ((bytes - 2) % 8 !== 0 || bytes === 2) return false;
      const blocks = Math.min((bytes - 2) / 8, SACK_BLOCKS_MAX);
      for (let i = 0; i < 2 * blocks; i++) into.sack[i] = i32(b, at + 2 + 4 * i);
      into.sackBlocks = blocks;
      return true;
    }
    case TIMESTAMPS:
      if (bytes !== 10) return false;
      into.hasTimestamps = true;
      into.tsVal = i32(b, at + 2);
      into.tsEcr = i32(b, at + 6);
      return true;
    case FAST_OPEN:
      readCookie(at + 2, bytes - 2, false, into);
      return true;
    case EXPERIMENTAL:
      if (bytes >= 4 && u16(b, at + 2) === FAST_OPEN_MAGIC) readCookie(at + 4, bytes - 4, true, into);
      return true;
    case USER_TIMEOUT:
      if (bytes !== 4) return false;
      into.userTimeout = u16(b, at + 2);
      return true;
    default:
      return true;
  }
}

/** RFC 7413 §4.1.1: only with SYN, empty or 4 to 16 bytes and even; anything else is as if it were not there. */
function readCookie(at: number, bytes: number, experimental: boolean, into: Segment): void {
  if ((into.flags & SYN) === 0 || (bytes & 1) !== 0) return;
  if (bytes !== 0 && (bytes < COOKIE_MIN || bytes > COOKIE_MAX)) return;
  into.cookieAt = at;
  into.cookieBytes = bytes;
  into.cookieExperimental = experimental;
}

/** Writes the fixed header; the checksum field is left zero. `headerBytes` includes the options, which callers write. */
export function writeHeader(
  b: Bytes,
  at: number,
  sourcePort: number,
  destinationPort: number,
  seq: Seq,
  ack: Seq,
  headerBytes: number,
  flags: number,
  window: number,
  urgentPointer: number,
): void {
  put16(b, at + SOURCE_PORT, sourcePort);
  put16(b, at + DESTINATION_PORT, destinationPort);
  put32(b, at + SEQ, seq);
  put32(b, at + ACKNOWLEDGMENT, ack);
  b[at + OFFSET] = (headerBytes >>> 2) << 4;
  b[at + FLAGS] = flags;
  put16(b, at + WINDOW, window);
  b[at + TCP_CHECKSUM] = 0;
  b[at + TCP_CHECKSUM + 1] = 0;
  put16(b, at + URGENT, urgentPointer);
}

/** NOP NOP TS: 12 bytes. Returns the position after it; the other writers do likewise. */
export function writeTimestamps(b: Bytes, at: number, tsVal: number, tsEcr: number): number {
  put32(b, at, TIMESTAMPS_PREFIX);
  put32(b, at + 4, tsVal);
  put32(b, at + 8, tsEcr);
  return at + 12;
}

/**
 * The options of a SYN or SYN-ACK in Linux's order: MSS; SACK-permitted with timestamps, or after two NOPs; NOP and
 * window scale. Null, -1 or false leaves one out.
 */
export function writeSynOptions(
  b: Bytes,
  at: number,
  mss: number,
  windowScale: number,
  sackPermitted: boolean,
  timestamps: boolean,
  tsVal: number,
  tsEcr: number,
): number {
  b[at] = MSS;
  b[at + 1] = 4;
  put16(b, at + 2, mss);
  at += 4;
  if (timestamps) {
    b[at] = sackPermitted ? SACK_PERMITTED : NOP;
    b[at + 1] = sackPermitted ? 2 : NOP;
    b[at + 2] = TIMESTAMPS;
    b[at + 3] = 10;
    put32(b, at + 4, tsVal);
    put32(b, at + 8, tsEcr);
    at += 12;
  } else if (sackPermitted) {
    b[at] = NOP;
    b[at + 1] = NOP;
    b[at + 2] = SACK_PERMITTED;
    b[at + 3] = 2;
    at += 4;
  }
  if (windowScale >= 0) {
    b[at] = NOP;
    b[at + 1] = WINDOW_SCALE;
    b[at + 2] = 3;
    b[at + 3] = windowScale;
    at += 4;
  }
  return at;
}

/** RFC 7413 §4.1.1, padded to a word: a cookie, or with none a request. */
export function writeFastOpen(b: Bytes, at: number, cookie: Bytes, experimental: boolean): number {
  b[at] = experimental ? EXPERIMENTAL : FAST_OPEN;
  b[at + 1] = (experimental ? 4 : 2) + cookie.length;
  if (experimental) put16(b, at + 2, FAST_OPEN_MAGIC);
  at += experimental ? 4 : 2;
  b.set(cookie, at);
  at += cookie.length;
  while ((at & 3) !== 0) b[at++] = NOP;
  return at;
}

/** NOP NOP SACK with `blocks` pairs of edges from `edges`. */
export function writeSack(b: Bytes, at: number, edges: Int32Array, blocks: number): number {
  b[at] = NOP;
  b[at + 1] = NOP;
  b[at + 2] = SACK;
  b[at + 3] = 2 + 8 * blocks;
  at += 4;
  for (let i = 0; i < 2 * blocks; i++, at += 4) put32(b, at, edges[i]!);
  return at;
}
