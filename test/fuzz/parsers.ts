import { put16 } from '../../stack/base/bytes';
import { checksum } from '../../stack/base/checksum';
import { Datagram } from '../../stack/base/datagram';
import { Random } from '../../stack/base/random';
import { ArpPacket, readArp } from '../../stack/ethernet/arp';
import { IcmpMessage, Quote, readIcmp, readQuote } from '../../stack/ip/icmp';
import { readIpv4 } from '../../stack/ip/ipv4';
import { readIpv6 } from '../../stack/ip/ipv6';
import { NeighborMessage, readNeighborMessage, readRedirect } from '../../stack/ip/ndp';
import { readSegment, Segment } from '../../stack/tcp/header';
import { fuzzOptions, keepFuzzing } from './command';

/*
 * The readers of headers, options and quotes by themselves, on lists of options that are almost right. None may throw, and
 * none may look behind the end it was given: what lies there is changed, and the answer must be the same.
 *
 * npm run fuzz parsers -- [--executions N] [--seconds S] [--seed K]
 */

const ROOM = 256;

/** What a reader says of [at, end), as text that can be compared. */
type Reader = (b: Uint8Array, at: number, end: number) => string;

const segment = new Segment();
const datagram = new Datagram();
const message = new IcmpMessage();
const quote = new Quote();
const neighbor = new NeighborMessage();
const arp = new ArpPacket();

/** A datagram's fields that come from its bytes. */
function fieldsOf(d: Datagram): string {
  const { family, headerAt, bodyAt, end, protocol, tos, ttl, fragmentAt, moreFragments, problemCode } = d;
  return [
    family,
    headerAt,
    bodyAt,
    end,
    protocol,
    tos,
    ttl,
    fragmentAt,
    moreFragments,
    problemCode,
    d.pseudoSum,
  ].join();
}

function segmentOf(b: Uint8Array, at: number, end: number): string {
  const bad = readSegment(b, at, end, 0, true, segment);
  if (bad !== null) return bad;
  const { textAt, textBytes, mss, windowScale, sackPermitted, hasTimestamps, tsVal, tsEcr, sackBlocks } = segment;
  if (textAt + textBytes !== end || textAt < at + 20) throw new Error('the text is not what is behind the header');
  const blocks = segment.sack.slice(0, 2 * sackBlocks).join();
  const options = [mss, windowScale, sackPermitted, hasTimestamps, hasTimestamps ? [tsVal, tsEcr] : '', blocks].join();
  return `${options} ${segment.cookieBytes} ${segment.userTimeout}`;
}

function ipOf(read: typeof readIpv4): Reader {
  return (b, at, end) => {
    const bad = read(b, at, end, datagram);
    if (bad !== null && datagram.problemCode < 0) return bad;
    const { bodyAt } = datagram;
    if (bodyAt < at || bodyAt > datagram.end || datagram.end > end)
      throw new Error('the body is not inside the datagram');
    return `${bad} ${fieldsOf(datagram)}`;
  };
}

function quoteOf(family: 4 | 6): Reader {
  return (b, at, end) => {
    const bad = readQuote(b, at, end, family, quote);
    return bad ?? Object.values(quote).join();
  };
}

/** The readers of ICMPv6 bodies take a datagram that was read already. */
function bodyOf(read: (d: Datagram) => string | null): Reader {
  return (b, at, end) => {
    datagram.family = 6;
    datagram.bytes = b;
    datagram.headerAt = datagram.bodyAt = at;
    datagram.end = end;
    datagram.ttl = 255;
    datagram.fragmented = false;
    datagram.pseudoSum = 0;
    datagram.s0 = 0xfe800000 | 0;
    datagram.s1 = datagram.s2 = datagram.s3 = datagram.d0 = datagram.d1 = datagram.d2 = datagram.d3 = 1;
    const bad = read(datagram);
    return bad ?? `${neighbor.target} ${neighbor.solicited} ${neighbor.override} ${neighbor.macAt}`;
  };
}

interface Target {
  readonly name: string;
  readonly read: Reader;
  /** Bytes in front of the list of options. */
  readonly header: number;
  /** Makes the header right for `bytes` bytes in all, of which `options` are options. */
  readonly prepare: (b: Uint8Array, at: number, bytes: number, options: number) => void;
}

const TARGETS: readonly Target[] = [
  {
    name: 'TCP options',
    read: segmentOf,
    header: 20,
    prepare: (b, at, _, options) => {
      b[at + 12] = ((20 + Math.min(options & ~3, 40)) >> 2) << 4;
    },
  },
  {
    name: 'IPv4 options',
    read: ipOf(readIpv4),
    header: 20,
    prepare: (b, at, bytes, options) => {
      b[at] = 0x45 + (Math.min(options & ~3, 40) >> 2);
      put16(b, at + 2, bytes);
      put16(b, at + 10, 0);
      const header = (b[at]! & 15) * 4;
      if (header <= bytes) put16(b, at + 10, checksum(b, at, at + header, 0));
    },
  },
  {
    name: 'IPv6 extension headers',
    read: ipOf(readIpv6),
    header: 40,
    prepare: (b, at, bytes) => {
      b[at] = 0x60;
      put16(b, at + 4, bytes - 40);
      b[at + 6] = [0, 43, 44, 60][b[at + 6]! & 3]!;
    },
  },
  {
    name: 'neighbour messages',
    read: bodyOf((d) => readNeighborMessage(d, true, neighbor)),
    header: 24,
    prepare: settle,
  },
  { name: 'solicitations', read: bodyOf((d) => readNeighborMessage(d, false, neighbor)), header: 24, prepare: settle },
  { name: 'redirects', read: bodyOf((d) => readRedirect(d, neighbor)), header: 40, prepare: nameNeighbor },
  {
    name: 'ICMP',
    read: bodyOf((d) => readIcmp(d, message)),
    header: 8,
    prepare: (b, at, bytes) => {
      put16(b, at + 2, 0);
      put16(b, at + 2, checksum(b, at, at + bytes, 0));
    },
  },
  {
    name: 'quotes of IPv4',
    read: quoteOf(4),
    header: 20,
    prepare: (b, at) => {
      b[at] = 0x40 | (b[at]! & 15);
      // Mostly a first fragment.
      if ((b[at + 7]! & 7) !== 0) put16(b, at + 6, 0x4000);
    },
  },
  {
    name: 'quotes of IPv6',
    read: quoteOf(6),
    header: 40,
    prepare: (b, at) => {
      b[at] = 0x60;
    },
  },
  {
    name: 'ARP',
    read: (b, at, end) =>
      readArp(b, at, end, arp) ?? `${arp.operation} ${arp.senderMac} ${arp.senderIp} ${arp.targetIp}`,
    header: 8,
    prepare: (b, at) => b.set([0, 1, 8, 0, 6, 4, 0, b[at + 7]! & 3], at),
  },
];

/** Code 0. */
function settle(b: Uint8Array, at: number): void {
  b[at + 1] = 0;
}

/** ... and a link-local target. */
function nameNeighbor(b: Uint8Array, at: number): void {
  settle(b, at);
  b.set([0xfe, 0x80], at + 8);
}

/** Kinds and lengths that mean something to one of the readers. */
const KINDS = [0, 1, 2, 3, 4, 5, 7, 8, 28, 34, 44, 43, 60, 130, 131, 137, 148, 194, 254, 255];

/** Options one behind the other, most with a length that fits, so that readers get far. Returns how many bytes. */
function writeOptions(random: Random, b: Uint8Array, at: number, most: number): number {
  let n = 0;
  while (n < most && !random.chance(80_000)) {
    b[at + n] = random.chance(900_000) ? KINDS[random.below(KINDS.length)]! : random.int32();
    const lengths = [0, 1, 2, 3, 4, 8, 10, 18, 26, 34, random.below(256)];
    b[at + n + 1] = lengths[random.below(lengths.length)]!;
    const bytes = Math.max(1, Math.min(b[at + n + 1]! * (random.chance(300_000) ? 8 : 1), most - n));
    for (let i = 2; i < bytes; i++) b[at + n + i] = random.chance(400_000) ? 0 : random.int32();
    n += bytes;
  }
  return Math.min(n, most);
}

/** How often each reader took what it was given. */
export type Taken = Record<string, number>;

/** Runs `count` inputs; throws with the reader's name and the bytes when something is wrong. */
export function fuzzParsers(seed: number, count: number, taken: Taken = {}): Taken {
  const random = new Random(seed);
  const b = new Uint8Array(2 * ROOM);
  for (let i = 0; i < count; i++) {
    const target = TARGETS[i % TARGETS.length]!;
    const at = random.below(8);
    for (let k = 0; k < target.header; k += 1) b[at + k] = random.int32();
    const options = writeOptions(random, b, at + target.header, 8 * random.below(12));
    const bytes = target.header + options + random.below(20);
    target.prepare(b, at, bytes, options);
    const end = at + (random.chance(100_000) ? random.below(bytes + 1) : bytes);
    const answer = read(target, b, at, end);
    // What lies behind the end is none of a reader's business.
    for (let k = end; k < end + 64; k++) b[k] = b[k]! ^ 0xff;
    const again = read(target, b, at, end);
    if (answer !== again) fail(target, b, at, end, `${answer}, then ${again}: it looks behind the end`);
    if (/[0-9]/.test(answer)) taken[target.name] = (taken[target.name] ?? 0) + 1;
  }
  return taken;
}

function read(target: Target, b: Uint8Array, at: number, end: number): string {
  try {
    return target.read(b, at, end);
  } catch (error) {
    return fail(target, b, at, end, (error as Error).stack ?? '');
  }
}

function fail({ name }: Target, b: Uint8Array, at: number, end: number, why: string): never {
  throw new Error(`${name} ${Buffer.from(b.subarray(at, end)).toString('hex')}: ${why}`);
}

export const TARGET_NAMES = TARGETS.map(({ name }) => name);

function main(words: readonly string[]): void {
  const taken: Taken = {};
  const PER_SEED = 200_000;
  const executions = keepFuzzing(fuzzOptions(words), (seed, most) => {
    fuzzParsers(seed, Math.min(PER_SEED, most), taken);
    return Math.min(PER_SEED, most);
  });
  console.log(JSON.stringify({ executions, taken }, null, 2));
}

if (require.main === module) main(process.argv.slice(2));
