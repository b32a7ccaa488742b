import type { Direction, IcmpLine, IpInfo, PacketLine, Ports, Quote, TcpLine, UdpLine } from './ast';
import type { Cursor } from './cursor';
import { encodeOptions } from './encode';
import { icmpCode, icmpCodeNames, icmpType, icmpTypeNames } from './icmp-names';
import type { ScriptConfig } from './options';
import { ACK, type AccEcnCounter, aceBits, FLAG_LETTERS, type SackBlock, type TcpOption } from './packet';

const NO_INFO: IpInfo = { ecn: null, tos: null, ttl: null, flowLabel: null };
const ECN_WORDS = ['noecn', 'ect0', 'ect1', 'ce', 'ect01'] as const;

/** Headers that the language knows in front of, or instead of, TCP, UDP and ICMP, and that this interpreter refuses. */
const REFUSED: Readonly<Record<string, string>> = {
  ipv4: 'IPv4 encapsulation',
  ipv6: 'IPv6 encapsulation',
  gre: 'GRE encapsulation',
  GREv0: 'GRE encapsulation',
  mpls: 'MPLS encapsulation',
  encap: 'PSP encapsulation',
  sctp: 'SCTP',
  udplite: 'UDP-Lite',
};

/** Parses what stands behind an event's time when it begins with `<` or `>`. */
export function parsePacket(c: Cursor, config: ScriptConfig): PacketLine {
  const at = c.peek().at;
  const direction: Direction = c.next().text === '<' ? 'in' : 'out';
  refuseOthers(c);
  const early = c.isSign('[') || c.isSign('(') ? parseBrackets(c) : NO_INFO;
  refuseOthers(c);
  if ('protocol' in early) {
    if (!c.isWord('icmp')) c.expected('"icmp" behind a quoted packet');
    return parseIcmp(c, config, direction, NO_INFO, early, at);
  }
  if (c.isWord('icmp')) return parseIcmp(c, config, direction, early, null, at);
  if (c.isWord('udp')) return parseUdp(c, direction, early, at);
  return parseTcp(c, direction, early, at);
}

function refuseOthers(c: Cursor): void {
  const token = c.peek();
  const known = token.kind === 'word' && Object.hasOwn(REFUSED, token.text);
  const what = known ? REFUSED[token.text] : undefined;
  if (what !== undefined) c.refuse(what);
}

/** `[ect0]`, `(ttl 5)`, or in the old order `[1:1461(1460)] icmp ...`, the packet that the ICMP message quotes. */
function parseBrackets(c: Cursor): IpInfo | Quote {
  const close = c.next().text === '[' ? ']' : ')';
  if (c.peek().kind === 'integer' || c.isWord('udp') || c.isWord('raw')) {
    const quote = parseQuote(c);
    c.sign(close, 'after the quoted packet');
    return quote;
  }
  refuseOthers(c);
  const info = parseIpInfo(c);
  c.sign(close, 'after the IP fields');
  return info;
}

function parseIpInfo(c: Cursor): IpInfo {
  const info = { ...NO_INFO } as { -readonly [K in keyof IpInfo]: IpInfo[K] };
  do {
    const token = c.word('ect0, ect1, ce, noecn, ect01, tos, ttl or flowlabel');
    const ecn = ECN_WORDS.find((word) => word === token.text);
    if (ecn !== undefined) info.ecn = ecn;
    else if (token.text === 'tos') info.tos = c.u8('a TOS value');
    else if (token.text === 'ttl') info.ttl = c.u8('a TTL');
    else if (token.text === 'flowlabel') info.flowLabel = c.integer('a flow label', 0, 0xf_ffff);
    else c.fail(`expected ect0, ect1, ce, noecn, ect01, tos, ttl or flowlabel, found "${token.text}"`, token.at);
  } while (c.acceptSign(','));
  return info;
}

/** `8080 > 40000`, if it is there. */
function parsePorts(c: Cursor): Ports | null {
  if (c.peek().kind !== 'integer') return null;
  const source = c.u16('a port');
  c.sign('>', 'between the ports');
  return { source, destination: c.u16('a port') };
}

/** `from:to(length)`. */
function parseRange(c: Cursor): { from: number; length: number } {
  const from = c.u32('a sequence number');
  c.sign(':', 'between the sequence numbers');
  const toAt = c.peek().at;
  const to = c.u32('a sequence number');
  c.sign('(', 'before the payload length');
  const length = c.integer('a payload length', 0, 0xffff_ffff);
  c.sign(')', 'after the payload length');
  const end = (from + length) >>> 0;
  if (to !== end) c.fail(`expected ${end}: ${from} and ${length} bytes`, toAt);
  return { from, length };
}

function parseTcp(c: Cursor, direction: Direction, ip: IpInfo, at: number): TcpLine {
  const ports = parsePorts(c);
  const { flags, ace } = parseFlags(c);
  const { from, length } = parseRange(c);
  const ack = c.acceptWord('ack') ? c.u32('an acknowledgment number') : null;
  const window = c.acceptWord('win') ? c.u16('a window') : null;
  const urgent = c.acceptWord('urg') ? c.u16('an urgent pointer') : null;
  const options = c.isSign('<') ? parseOptions(c) : [];
  if (c.isSign('/')) c.refuse('UDP encapsulation of TCP');
  if (c.isSign('[')) c.refuse('a diagnostic payload of a reset');
  if (direction === 'in' && window === null) c.fail('expected "win" on a packet to the stack', c.end);
  if (direction === 'in' && options === 'any') c.fail('"<...>" is for packets from the stack only', c.end);
  return { kind: 'tcp', direction, ip, ports, flags, ace, from, length, ack, window, urgent, options, at };
}

/** Letters, '.' for ACK, '-' for none, a digit for the AccECN counter. */
function parseFlags(c: Cursor): { flags: number; ace: number | null } {
  const at = c.peek().at;
  if (c.acceptSign('-')) return { flags: 0, ace: null };
  let text = '';
  let end = at;
  for (let token = c.peek(); token.at === end || text === ''; token = c.peek()) {
    const isFlags = token.kind === 'word' || token.kind === 'float' || (token.kind === 'sign' && token.text === '.');
    if (!isFlags) break;
    text += token.text;
    end = token.end;
    c.next();
  }
  if (text === '') c.expected('TCP flags (letters of FSRPEWUA, "." for ACK, "-" for none)');
  let flags = 0;
  let ace: number | null = null;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]!;
    const bit = letter === '.' ? ACK : FLAG_LETTERS.find(([name]) => name === letter)?.[1];
    if (bit !== undefined) flags |= bit;
    else if (/[0-7]/.test(letter) && ace === null) flags |= aceBits((ace = Number(letter)));
    else c.fail(`expected TCP flags (letters of FSRPEWUA, "." for ACK, "-" for none), found "${letter}"`, at + i);
  }
  return { flags, ace };
}

function parseOptions(c: Cursor): TcpOption[] | 'any' {
  const at = c.next().at;
  if (c.peek().kind === 'ellipsis') {
    c.next();
    c.sign('>', 'after "..."');
    return 'any';
  }
  const options: TcpOption[] = [];
  do options.push(parseOption(c));
  while (c.acceptSign(','));
  c.sign('>', 'after the TCP options');
  const bytes = encodeOptions(options).length;
  if (bytes % 4 !== 0 || bytes > 40) {
    c.fail(`these TCP options take ${bytes} bytes: expected a multiple of 4 (add nop or eol), at most 40`, at);
  }
  return options;
}

function parseOption(c: Cursor): TcpOption {
  const token = c.word('a TCP option');
  switch (token.text) {
    case 'nop':
      return { kind: 'nop' };
    case 'eol':
      return { kind: 'eol' };
    case 'mss':
      return { kind: 'mss', value: c.u16('an MSS') };
    case 'wscale':
      return { kind: 'wscale', value: c.u8('a shift count') };
    case 'sackOK':
      return { kind: 'sackOK' };
    case 'sack':
      return { kind: 'sack', blocks: parseSackBlocks(c) };
    case 'TS':
      return parseTimestamps(c);
    case 'FO':
    case 'FOEXP':
      return { kind: token.text, cookie: hasHex(c) ? parseHex(c, 'a cookie') : '' };
    case 'md5':
      return { kind: 'md5', digest: parseHex(c, 'a digest') };
    case 'ECN':
      return { kind: 'ECN', counters: parseCounters(c) };
  }
  return c.fail(
    `expected a TCP option (mss, nop, eol, wscale, sackOK, sack, TS, FO, FOEXP, md5, ECN), found "${token.text}"`,
    token.at,
  );
}

function parseSackBlocks(c: Cursor): SackBlock[] {
  const blocks: SackBlock[] = [];
  do {
    const from = c.u32('the first sequence number of a SACK block');
    c.sign(':', 'in a SACK block');
    blocks.push({ from, to: c.u32('the end of a SACK block') });
  } while (c.peek().kind === 'integer');
  return blocks;
}

function parseTimestamps(c: Cursor): TcpOption {
  if (!c.acceptWord('val')) c.expected('"val" after TS');
  const value = c.u32('a timestamp');
  if (!c.acceptWord('ecr')) c.expected('"ecr" after the timestamp');
  return { kind: 'TS', value, echo: c.u32('a timestamp echo') };
}

const hasHex = (c: Cursor): boolean => c.peek().kind === 'word' || c.peek().kind === 'integer';

function parseHex(c: Cursor, what: string): string {
  const token = c.peek();
  if (!hasHex(c) || !/^(?:[0-9a-fA-F]{2})+$/.test(token.text)) {
    c.expected(`${what} in hexadecimal, two digits a byte`);
  }
  c.next();
  return token.text.toLowerCase();
}

function parseCounters(c: Cursor): AccEcnCounter[] {
  const counters: AccEcnCounter[] = [];
  for (let token = c.peek(); token.kind === 'word'; token = c.peek()) {
    const name = token.text;
    if (name !== 'e0b' && name !== 'ceb' && name !== 'e1b') break;
    c.next();
    counters.push({ name, value: c.integer('a byte counter', 0, 0xff_ffff) });
  }
  const order = counters.map(({ name }) => name).join(' ');
  if (order === '' || !('e0b ceb e1b'.startsWith(order) || 'e1b ceb e0b'.startsWith(order))) {
    c.fail('expected e0b, ceb, e1b or e1b, ceb, e0b after ECN, the last ones left out if wished');
  }
  return counters;
}

function parseUdp(c: Cursor, direction: Direction, ip: IpInfo, at: number): UdpLine {
  c.next();
  const ports = parsePorts(c);
  c.sign('(', 'before the payload length');
  const length = c.u16('a payload length');
  c.sign(')', 'after the payload length');
  return { kind: 'udp', direction, ip, ports, length, at };
}

/** What an ICMP error quotes: `1:1001(1000)`, `udp (1000)` or `raw (28)`. */
function parseQuote(c: Cursor): Quote {
  if (c.peek().kind === 'integer') return { protocol: 'tcp', ...parseRange(c) };
  const token = c.word('a quoted packet: from:to(length), udp (length) or raw (length)');
  const protocol = token.text;
  if (protocol !== 'udp' && protocol !== 'raw') {
    return c.refuse(`a quoted packet of ${protocol}`, token.at);
  }
  c.sign('(', 'before the payload length');
  const length = c.u16('a payload length');
  c.sign(')', 'after the payload length');
  return { protocol, length };
}

function parseIcmp(
  c: Cursor,
  config: ScriptConfig,
  direction: Direction,
  ip: IpInfo,
  early: Quote | null,
  at: number,
): IcmpLine {
  const version = config.wireVersion;
  c.next();
  const typeToken = c.word('an ICMP type');
  const type =
    icmpType(version, typeToken.text) ??
    c.fail(`expected an ICMP type for IPv${version} (${icmpTypeNames(version).join(', ')}, type_N)`, typeToken.at);
  let code: IcmpLine['code'] = null;
  if (c.peek().kind === 'word' && !c.isWord('mtu') && !c.isWord('id')) {
    const token = c.next();
    const names = icmpCodeNames(version, type.number);
    code =
      icmpCode(version, type.number, token.text) ??
      c.fail(`expected a code of ${type.name} (${[...names, 'code_N'].join(', ')})`, token.at);
  }
  const mtu = c.acceptWord('mtu') ? c.u32('an MTU') : null;
  const id = c.acceptWord('id') ? c.u16('an identifier') : null;
  let quote = early;
  if (early === null && c.acceptSign('[')) {
    refuseOthers(c);
    quote = parseQuote(c);
    c.sign(']', 'after the quoted packet');
  }
  return { kind: 'icmp', direction, ip, type, code, mtu, id, quote, at };
}
