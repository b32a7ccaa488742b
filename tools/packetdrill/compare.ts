import type { IcmpLine, IpInfo, PacketLine, TcpLine, UdpLine } from './ast';
import { PROTOCOL_TCP, PROTOCOL_UDP } from './encode';
import { icmpCodeName, icmpTypeName } from './icmp-names';
import { printFlags, printOption } from './notation';
import {
  CWR,
  FIN,
  type IcmpRecord,
  type IpFields,
  type PacketRecord,
  PSH,
  RST,
  SYN,
  type TcpOption,
  type TcpRecord,
  type UdpRecord,
  URG,
} from './packet';

/** The part of a packet that differs; the printer marks the piece of the same name. */
export type Field =
  | 'protocol'
  | 'ip'
  | 'ports'
  | 'flags'
  | 'seq'
  | 'ack'
  | 'win'
  | 'urg'
  | 'options'
  | 'payload'
  | 'type'
  | 'code'
  | 'mtu'
  | 'id'
  | 'quote';

/** One thing that is not as the script says. */
export interface Difference {
  readonly field: Field;
  /** A sentence without a full stop: "ack 1001, not 1008". */
  readonly what: string;
}

export interface CompareOptions {
  /** No tolerance: PSH, window, order and padding of options, shift counts count. */
  readonly strict: boolean;
  /** One expected packet is one segment. */
  readonly strictSegments: boolean;
  /** Length of a timestamp tick, in microseconds; 0: values are not compared. */
  readonly tsTickUs: number;
  /** How far a timestamp may be off, in microseconds. */
  readonly toleranceUs: number;
}

const differ = (field: Field, actual: string | number, expected: string | number): Difference => ({
  field,
  what: `${field === 'seq' || field === 'flags' || field === 'options' ? `${field} ` : ''}${actual}, not ${expected}`,
});

/** Everything in which a packet of the stack, in the script's numbers, is not the one that the line expects. */
export function compare(line: PacketLine, record: PacketRecord, options: CompareOptions): Difference[] {
  if (line.kind !== record.protocol) return [{ field: 'protocol', what: `${record.protocol}, not ${line.kind}` }];
  const differences = compareIp(line.ip, record.ip);
  if (line.kind === 'tcp') differences.push(...compareTcp(line, record as TcpRecord, options));
  else if (line.kind === 'udp') differences.push(...compareUdp(line, record as UdpRecord));
  else differences.push(...compareIcmp(line, record as IcmpRecord));
  return differences;
}

const ECN_NAMES = ['noecn', 'ect1', 'ect0', 'ce'] as const;

function compareIp(info: IpInfo, ip: IpFields): Difference[] {
  const found: Difference[] = [];
  const ecn = ECN_NAMES[ip.tos & 3]!;
  const fits = info.ecn === null || info.ecn === ecn || (info.ecn === 'ect01' && (ecn === 'ect0' || ecn === 'ect1'));
  if (!fits) found.push(differ('ip', ecn, info.ecn!));
  if (info.tos !== null && info.tos !== ip.tos) found.push(differ('ip', `tos ${hex(ip.tos)}`, hex(info.tos)));
  if (info.ttl !== null && info.ttl !== ip.ttl) found.push(differ('ip', `ttl ${ip.ttl}`, info.ttl));
  if (info.flowLabel !== null && info.flowLabel !== ip.flowLabel) {
    found.push(differ('ip', `flowlabel ${hex(ip.flowLabel)}`, hex(info.flowLabel)));
  }
  return found;
}

const hex = (n: number): string => `0x${n.toString(16)}`;

function comparePorts(line: TcpLine | UdpLine, record: TcpRecord | UdpRecord): Difference[] {
  const { ports } = line;
  if (ports === null) return [];
  if (ports.source === record.sourcePort && ports.destination === record.destinationPort) return [];
  const actual = `${record.sourcePort} > ${record.destinationPort}`;
  return [differ('ports', actual, `${ports.source} > ${ports.destination}`)];
}

function compareTcp(line: TcpLine, record: TcpRecord, options: CompareOptions): Difference[] {
  const found = comparePorts(line, record);
  const ignored = options.strict ? 0 : PSH;
  if ((record.flags & ~ignored) !== (line.flags & ~ignored)) {
    found.push(differ('flags', printFlags(record.flags, line.ace !== null), printFlags(line.flags, line.ace !== null)));
  }
  if (record.seq !== line.from) found.push(differ('seq', record.seq, line.from));
  if (record.payloadBytes !== line.length) {
    found.push({ field: 'seq', what: `${record.payloadBytes} bytes of payload, not ${line.length}` });
  }
  const ack = line.ack ?? 0;
  if (record.ack !== ack) found.push({ field: 'ack', what: `ack ${record.ack}, not ${ack}` });
  found.push(...compareWindow(line, record, options));
  if (((record.flags | line.flags) & URG) !== 0 && record.urgent !== (line.urgent ?? 0)) {
    found.push({ field: 'urg', what: `urg ${record.urgent}, not ${line.urgent ?? 0}` });
  }
  if (line.options !== 'any') found.push(...compareOptions(line.options, record.options, options));
  return found;
}

/** The window depends on buffer sizes; what every stack must agree on is whether it is closed. */
function compareWindow(line: TcpLine, record: TcpRecord, { strict }: CompareOptions): Difference[] {
  if (line.window === null) return [];
  const same = strict ? record.window === line.window : (record.window === 0) === (line.window === 0);
  return same ? [] : [{ field: 'win', what: `win ${record.window}, not ${line.window}` }];
}

function compareOptions(
  expected: readonly TcpOption[],
  actual: readonly TcpOption[],
  options: CompareOptions,
): Difference[] {
  const counts = (option: TcpOption): boolean => options.strict || (option.kind !== 'nop' && option.kind !== 'eol');
  const wanted = expected.filter(counts);
  const given = actual.filter(counts);
  const found: Difference[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const option = wanted[i]!;
    const at = options.strict ? 0 : given.findIndex((other) => sameKind(option, other));
    const other = given[at];
    if (other === undefined || !sameKind(option, other)) {
      found.push({ field: 'options', what: `no ${printOption(option)} in its place` });
      if (options.strict) return found;
      continue;
    }
    given.splice(at, 1);
    if (!sameOption(option, other, options)) found.push(differ('options', printOption(other), printOption(option)));
  }
  for (const option of given) found.push({ field: 'options', what: `${printOption(option)}, which is not expected` });
  return found;
}

const sameKind = (a: TcpOption, b: TcpOption): boolean =>
  a.kind === b.kind && (a.kind !== 'unknown' || b.kind !== 'unknown' || a.number === b.number);

function sameOption(expected: TcpOption, actual: TcpOption, options: CompareOptions): boolean {
  if (expected.kind === 'wscale' && !options.strict) return true;
  if (expected.kind === 'TS' && actual.kind === 'TS') {
    if (expected.echo !== actual.echo) return false;
    const offUs = Math.abs((actual.value - expected.value) | 0) * options.tsTickUs;
    return offUs <= Math.max(options.toleranceUs, options.tsTickUs);
  }
  if (expected.kind === 'sack' && actual.kind === 'sack' && !options.strict) {
    return sameBlocks(expected.blocks, actual.blocks);
  }
  return printOption(expected) === printOption(actual);
}

/** The first block says what has just arrived (RFC 2018 §4); the others may stand in any order. */
function sameBlocks(
  expected: readonly { from: number; to: number }[],
  actual: readonly { from: number; to: number }[],
): boolean {
  const text = (block: { from: number; to: number }): string => `${block.from}:${block.to}`;
  const rest = (blocks: typeof expected): string => blocks.slice(1).map(text).sort().join();
  return text(expected[0]!) === text(actual[0]!) && rest(expected) === rest(actual);
}

function compareUdp(line: UdpLine, record: UdpRecord): Difference[] {
  const found = comparePorts(line, record);
  if (record.payloadBytes !== line.length) {
    found.push({ field: 'payload', what: `${record.payloadBytes} bytes of payload, not ${line.length}` });
  }
  return found;
}

function compareIcmp(line: IcmpLine, record: IcmpRecord): Difference[] {
  const { version } = record.ip;
  const found: Difference[] = [];
  if (record.type !== line.type.number) {
    return [differ('type', icmpTypeName(version, record.type), line.type.name)];
  }
  if (line.code !== null && line.code.number !== record.code) {
    found.push(differ('code', icmpCodeName(version, record.type, record.code), line.code.name));
  }
  if (line.mtu !== null && line.mtu !== record.mtu) found.push(differ('mtu', `mtu ${record.mtu}`, line.mtu));
  if (line.id !== null && line.id !== record.id) found.push(differ('id', `id ${record.id}`, line.id));
  found.push(...compareQuote(line, record));
  return found;
}

function compareQuote(line: IcmpLine, record: IcmpRecord): Difference[] {
  const { quote } = line;
  const { quoted } = record;
  if (quote === null) return [];
  if (quote.protocol === 'raw') {
    if (quoted !== null || record.payloadBytes === quote.length) return [];
    return [differ('quote', `${record.payloadBytes} bytes behind the header`, quote.length)];
  }
  if (quoted === null) return [{ field: 'quote', what: 'quotes no datagram' }];
  const protocol = quote.protocol === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP;
  if (quoted.protocol !== protocol) {
    return [differ('quote', `a quotation of IP protocol ${quoted.protocol}`, quote.protocol)];
  }
  const found: Difference[] = [];
  if (quote.protocol === 'tcp' && quoted.seq !== quote.from) {
    found.push(differ('quote', `a quotation of sequence number ${quoted.seq}`, quote.from));
  }
  if (quoted.payloadBytes !== quote.length) {
    found.push(differ('quote', `a quotation of ${quoted.payloadBytes} bytes`, quote.length));
  }
  return found;
}

/**
 * Takes the segments that together make one expected packet: contiguous, their headers equal, all but the last of one
 * size, FIN on the last only. A line without payload, or one with SYN or RST, is one segment.
 */
export class Gathering {
  private bytes = 0;
  private size = 0;

  constructor(
    private readonly line: PacketLine,
    private readonly options: CompareOptions,
  ) {}

  /** Payload bytes that have come. */
  get gathered(): number {
    return this.bytes;
  }

  /**
   * Adds a packet in the script's numbers. Returns 'done' when the line is fulfilled, 'more' when it is not yet, else the
   * differences to what was expected at this point.
   */
  add(record: PacketRecord): 'done' | 'more' | Difference[] {
    const { line } = this;
    if (line.kind !== 'tcp' || record.protocol !== 'tcp' || !this.mayBePart(line, record)) {
      const differences = compare(this.bytes > 0 ? this.rest(line as TcpLine) : line, record, this.options);
      return differences.length > 0 ? differences : 'done';
    }
    const isLast = this.bytes + record.payloadBytes === line.length;
    const differences = compare(this.part(line, record.payloadBytes, isLast), record, this.options);
    if (this.size !== 0 && record.payloadBytes > this.size) {
      const what = `${record.payloadBytes} bytes of payload after segments of ${this.size}`;
      differences.push({ field: 'seq', what });
    }
    if (this.size !== 0 && record.payloadBytes < this.size && !isLast) {
      const what = `a segment of ${record.payloadBytes} bytes between segments of ${this.size}`;
      differences.push({ field: 'seq', what });
    }
    if (differences.length > 0) return differences;
    this.size ||= record.payloadBytes;
    this.bytes += record.payloadBytes;
    return isLast ? 'done' : 'more';
  }

  /** True when the segment can be a piece of the line, rather than the whole of it or something else. */
  private mayBePart(line: TcpLine, record: TcpRecord): boolean {
    if (this.options.strictSegments || (line.flags & (SYN | RST)) !== 0 || record.payloadBytes === 0) return false;
    const left = line.length - this.bytes;
    return record.payloadBytes < left || (this.bytes > 0 && record.payloadBytes === left);
  }

  /** What the line says of a piece of it. */
  private part(line: TcpLine, length: number, isLast: boolean): TcpLine {
    let { flags } = line;
    if (!isLast) flags &= ~FIN;
    if (this.bytes > 0) flags &= ~CWR;
    return { ...line, flags, from: (line.from + this.bytes) >>> 0, length };
  }

  private rest(line: TcpLine): TcpLine {
    return this.part(line, line.length - this.bytes, true);
  }
}
