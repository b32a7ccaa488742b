import type { IcmpLine, IpInfo, PacketLine, TcpLine } from './ast';
import type { Field } from './compare';
import { icmpCodeName, icmpTypeName } from './icmp-names';
import {
  ACE_BITS,
  ACK,
  aceOf,
  FLAG_LETTERS,
  type IcmpRecord,
  type IpFields,
  type PacketRecord,
  type TcpOption,
} from './packet';

/** A piece of a printed packet and the field that it shows. */
export interface Piece {
  readonly field: Field | null;
  readonly text: string;
}

/** Flags as letters, '.' for ACK, '-' for none; as `aceDigit`, the AccECN counter as a digit. */
export function printFlags(flags: number, aceDigit = false): string {
  let text = '';
  for (const [letter, bit] of FLAG_LETTERS) {
    if ((flags & bit) !== 0 && !(aceDigit && (bit & ACE_BITS) !== 0)) text += letter;
  }
  if ((flags & ACK) !== 0) text += '.';
  if (aceDigit) text += aceOf(flags);
  return text === '' ? '-' : text;
}

/** One TCP option. */
export function printOption(option: TcpOption): string {
  switch (option.kind) {
    case 'mss':
    case 'wscale':
      return `${option.kind} ${option.value}`;
    case 'sack':
      return `sack ${option.blocks.map(({ from, to }) => `${from}:${to}`).join(' ')}`;
    case 'TS':
      return `TS val ${option.value} ecr ${option.echo}`;
    case 'FO':
    case 'FOEXP':
      return option.cookie === '' ? option.kind : `${option.kind} ${option.cookie}`;
    case 'md5':
      return `md5 ${option.digest}`;
    case 'ECN':
      return `ECN ${option.counters.map(({ name, value }) => `${name} ${value}`).join(' ')}`;
    case 'unknown':
      return `option-${option.number}${option.bytes === '' ? '' : ` ${option.bytes}`}`;
  }
  return option.kind;
}

/** `<mss 1460,nop,wscale 8>`, or nothing for none. */
const printOptions = (options: readonly TcpOption[] | 'any'): string =>
  options === 'any' ? '<...>' : options.length === 0 ? '' : `<${options.map(printOption).join(',')}>`;

const range = (from: number, length: number): string => `${from}:${(from + length) >>> 0}(${length})`;

const joined = (pieces: readonly (Piece | null)[]): Piece[] =>
  pieces.filter((piece): piece is Piece => piece !== null && piece.text !== '');

const optional = (field: Field, word: string, value: number | null): Piece | null =>
  value === null ? null : { field, text: `${word} ${value}` };

function infoPiece(info: IpInfo): Piece {
  const parts: string[] = [];
  if (info.ecn !== null) parts.push(info.ecn);
  if (info.tos !== null) parts.push(`tos 0x${info.tos.toString(16)}`);
  if (info.ttl !== null) parts.push(`ttl ${info.ttl}`);
  if (info.flowLabel !== null) parts.push(`flowlabel 0x${info.flowLabel.toString(16)}`);
  return { field: 'ip', text: parts.length === 0 ? '' : `[${parts.join(',')}]` };
}

const ECN_NAMES = ['noecn', 'ect1', 'ect0', 'ce'] as const;

/** The IP fields of a packet that the line, if there is one, asks for. */
function ipPiece(ip: IpFields, asked: IpInfo | null): Piece {
  return infoPiece({
    ecn: asked === null ? ((ip.tos & 3) === 0 ? null : ECN_NAMES[ip.tos & 3]!) : asked.ecn && ECN_NAMES[ip.tos & 3]!,
    tos: asked?.tos == null ? null : ip.tos,
    ttl: asked?.ttl == null ? null : ip.ttl,
    flowLabel: asked?.flowLabel == null ? null : ip.flowLabel,
  });
}

const arrow = (direction: 'in' | 'out'): Piece => ({ field: 'protocol', text: direction === 'in' ? '<' : '>' });

/** The pieces of a line of the script. */
export function linePieces(line: PacketLine): Piece[] {
  const head = [arrow(line.direction), infoPiece(line.ip)];
  if (line.kind === 'icmp') return joined([...head, ...icmpLinePieces(line)]);
  const ports: Piece | null =
    line.ports === null ? null : { field: 'ports', text: `${line.ports.source} > ${line.ports.destination}` };
  if (line.kind === 'udp') {
    return joined([...head, { field: 'protocol', text: 'udp' }, ports, { field: 'payload', text: `(${line.length})` }]);
  }
  return joined([...head, ports, ...tcpLinePieces(line)]);
}

function tcpLinePieces(line: TcpLine): (Piece | null)[] {
  return [
    { field: 'flags', text: printFlags(line.flags, line.ace !== null) },
    { field: 'seq', text: range(line.from, line.length) },
    optional('ack', 'ack', line.ack),
    optional('win', 'win', line.window),
    optional('urg', 'urg', line.urgent),
    { field: 'options', text: printOptions(line.options) },
  ];
}

function icmpLinePieces(line: IcmpLine): (Piece | null)[] {
  const { quote } = line;
  const quoted =
    quote === null
      ? ''
      : quote.protocol === 'tcp'
        ? range(quote.from, quote.length)
        : `${quote.protocol} (${quote.length})`;
  return [
    { field: 'protocol', text: 'icmp' },
    { field: 'type', text: line.type.name },
    { field: 'code', text: line.code?.name ?? '' },
    optional('mtu', 'mtu', line.mtu),
    optional('id', 'id', line.id),
    { field: 'quote', text: quoted === '' ? '' : `[${quoted}]` },
  ];
}

/**
 * The pieces of a packet that the stack sent, in the script's numbers. With a line to compare, only what the line speaks
 * of is shown: a window that is not checked would distract.
 */
export function recordPieces(record: PacketRecord, line: PacketLine | null, direction: 'in' | 'out' = 'out'): Piece[] {
  const head = [arrow(direction), ipPiece(record.ip, line?.ip ?? null)];
  if (record.protocol === 'icmp') return joined([...head, ...icmpRecordPieces(record)]);
  const showPorts = line !== null && line.kind !== 'icmp' && line.ports !== null;
  const ports: Piece | null = showPorts
    ? { field: 'ports', text: `${record.sourcePort} > ${record.destinationPort}` }
    : null;
  if (record.protocol === 'udp') {
    const payload: Piece = { field: 'payload', text: `(${record.payloadBytes})` };
    return joined([...head, { field: 'protocol', text: 'udp' }, ports, payload]);
  }
  const tcp = line?.kind === 'tcp' ? line : null;
  const shows = { ack: (record.flags & ACK) !== 0 || record.ack !== 0, win: tcp === null || tcp.window !== null };
  return joined([
    ...head,
    ports,
    { field: 'flags', text: printFlags(record.flags, tcp !== null && tcp.ace !== null) },
    { field: 'seq', text: range(record.seq, record.payloadBytes) },
    optional('ack', 'ack', shows.ack ? record.ack : null),
    optional('win', 'win', shows.win ? record.window : null),
    optional('urg', 'urg', record.urgent !== 0 ? record.urgent : null),
    { field: 'options', text: printOptions(record.options) },
  ]);
}

function icmpRecordPieces(record: IcmpRecord): (Piece | null)[] {
  const { version } = record.ip;
  const { quoted } = record;
  const quote =
    quoted === null
      ? record.payloadBytes === 0
        ? ''
        : `[raw (${record.payloadBytes})]`
      : quoted.protocol === 17
        ? `[udp (${quoted.payloadBytes})]`
        : `[${range(quoted.seq, quoted.payloadBytes)}]`;
  return [
    { field: 'protocol', text: 'icmp' },
    { field: 'type', text: icmpTypeName(version, record.type) },
    { field: 'code', text: icmpCodeName(version, record.type, record.code) },
    optional('mtu', 'mtu', record.mtu === 0 ? null : record.mtu),
    optional('id', 'id', record.id === 0 ? null : record.id),
    { field: 'quote', text: quote },
  ];
}

/** A printed packet as one line. */
export const text = (pieces: readonly Piece[]): string => pieces.map((piece) => piece.text).join(' ');

/** A line below `text(pieces)` that underlines the pieces of the given fields; '' when none of them is there. */
export function marks(pieces: readonly Piece[], fields: ReadonlySet<Field>): string {
  const row = pieces.map(({ field, text: shown }) =>
    (field !== null && fields.has(field) ? '^' : ' ').repeat(shown.length),
  );
  return row.join(' ').trimEnd();
}
