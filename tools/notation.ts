import type { LinkType } from '../device/device';
import type { Bytes } from '../stack/base/bytes';
import { hex } from './pcap/addresses';
import { httpStartLine } from './pcap/application';
import { dissect, protocolName } from './pcap/dissect';
import type { FlowTracker, SegmentView } from './pcap/flows';
import { ACK, AE, type Arp, CWR, ECE, FIN, type Ip, type Packet, PSH, RST, SYN, type Tcp, URG } from './pcap/packet';

/** How a packet is written as one line. */
export interface NotationOptions {
  /** Sequence and acknowledgment numbers as the wire has them, even when `tracker` knows better. */
  absolute?: boolean;
  /** Follows connections from call to call: relative numbers, and notes such as "retransmission". */
  tracker?: FlowTracker;
  /** The time of the frame, in milliseconds, for the tracker. */
  timeMs?: number;
  /** Bytes that the frame had on the wire when fewer are given. */
  originalLength?: number;
}

/**
 * One line for the frame at [at, end), in the notation of packetdrill scripts with addresses in front:
 * `10.77.0.2.80 > 10.77.0.1.51234 S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>`. Total: any bytes give a line, which
 * says in brackets what is wrong with them and where.
 */
export function notation(
  bytes: Bytes,
  at: number,
  end: number,
  linkType: LinkType | number,
  options: NotationOptions = {},
): string {
  const p = dissect(bytes, at, end, linkType, options);
  const view = options.tracker?.observe(p, options.timeMs ?? 0) ?? null;
  return packetLine(p, view, options);
}

/** The line of a packet that is already read; `view` is what the tracker said of it. */
export function packetLine(p: Packet, view: SegmentView | null, options: NotationOptions = {}): string {
  const words = [headText(p), bodyText(p, view, options)];
  for (const note of view?.notes ?? []) words.push(`[${note}]`);
  for (const problem of p.problems) words.push(`[${problem}]`);
  const startLine = httpStartLine(p.bytes, p.payloadAt, p.payloadEnd);
  if (startLine !== null && p.tcp !== null) words.push(`HTTP: ${startLine}`);
  return words.filter((word) => word !== '').join(' ');
}

/** VLANs, the two ends, and what is unusual about the datagram. */
function headText(p: Packet): string {
  const words = (p.ethernet?.vlans ?? []).map((vlan) => `vlan ${vlan}`);
  if (p.ip !== null) {
    words.push(`${endText(p, true)} > ${endText(p, false)}`);
    words.push(tosText(p.ip));
    if (p.ip.options !== null) words.push(`[ip options 0x${p.ip.options}]`);
  } else if (p.ethernet !== null && p.arp === null) {
    words.push(`${p.ethernet.source} > ${p.ethernet.destination}`);
  }
  return words.filter((word) => word !== '').join(' ');
}

function endText(p: Packet, source: boolean): string {
  const address = source ? p.ip!.source : p.ip!.destination;
  const ports = p.tcp ?? p.udp;
  return ports === null ? address : `${address}.${source ? ports.sport : ports.dport}`;
}

/** ECN as packetdrill names it, or the whole field when there is more in it. */
function tosText(ip: Ip): string {
  if (ip.tos === 0) return '';
  if (ip.tos <= 3) return ['', '[ect1]', '[ect0]', '[ce]'][ip.tos]!;
  return `[tos 0x${ip.tos.toString(16).padStart(2, '0')}]`;
}

function bodyText(p: Packet, view: SegmentView | null, options: NotationOptions): string {
  const fragment = p.ip === null ? '' : fragmentText(p.ip);
  const words: string[] = [];
  if (p.arp !== null) words.push(arpText(p.arp));
  else if (p.tcp !== null) words.push(segmentText(p.tcp, view, options.absolute ?? false));
  else if (p.udp !== null) words.push(`udp (${p.udp.length})`);
  else if (p.icmp !== null) words.push(icmpText(p, options));
  else if (p.other !== null) words.push(otherText(p));
  else if (p.ip !== null) words.push(protocolName(p.ip.protocol));
  words.push(fragment);
  return words.filter((word) => word !== '').join(' ');
}

/** As tcpdump always wrote it: identification, bytes, offset, and + when more follow. */
function fragmentText(ip: Ip): string {
  if (ip.fragmentOffset === 0 && !ip.moreFragments) return '';
  const bytes = Math.max(0, ip.end - ip.bodyAt);
  return `frag ${ip.id}:${bytes}@${ip.fragmentOffset}${ip.moreFragments ? '+' : ''}`;
}

function arpText(arp: Arp): string {
  if (arp.operation === 1) return `arp who-has ${arp.targetIp} tell ${arp.senderIp}`;
  if (arp.operation === 2) return `arp reply ${arp.senderIp} is-at ${arp.senderMac}`;
  return `arp operation ${arp.operation} ${arp.senderIp} > ${arp.targetIp}`;
}

const SUMMARY_BYTES = 16;

function otherText(p: Packet): string {
  const { name, at, end } = p.other!;
  const shown = Math.min(end, at + SUMMARY_BYTES);
  if (shown <= at) return `${name} (0)`;
  return `${name} (${end - at}) 0x${hex(p.bytes, at, shown)}${shown < end ? '...' : ''}`;
}

function icmpText(p: Packet, options: NotationOptions): string {
  const icmp = p.icmp!;
  const words = [icmp.version === 4 ? 'icmp' : 'icmp6', icmp.name, icmp.details];
  if (icmp.quote !== null) words.push(quoteText(icmp.quote, options));
  else if (icmp.name.startsWith('echo') || icmp.details === '') words.push(`(${icmp.length})`);
  return words.filter((word) => word !== '').join(' ');
}

/** The packet that an error quotes, with the numbers of its connection if it is known. */
function quoteText(quote: Packet, options: NotationOptions): string {
  if (quote.ip === null) return '[unreadable quote]';
  const view = options.tracker?.lookUp(quote) ?? null;
  const words = [headText(quote)];
  if (quote.tcp !== null && !quote.tcp.whole) {
    words.push(`tcp seq ${relative(quote.tcp.seq, view?.seqBase ?? null, options.absolute ?? false)}`);
  } else words.push(bodyText(quote, view, options));
  return `[${words.join(' ')}]`;
}

const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [SYN, 'S'],
  [FIN, 'F'],
  [RST, 'R'],
  [PSH, 'P'],
  [ECE, 'E'],
  [CWR, 'W'],
  [URG, 'U'],
  [AE, 'A'],
  [ACK, '.'],
];

/** The flags in packetdrill's letters and order: "S.", "FP.", "SEW"; "-" for none. */
export function flagsText(flags: number): string {
  let text = '';
  for (const [bit, letter] of FLAG_LETTERS) if ((flags & bit) !== 0) text += letter;
  return text === '' ? '-' : text;
}

function relative(seq: number, base: number | null, absolute: boolean): number {
  return base === null || absolute ? seq : (seq - base) >>> 0;
}

/** `P. 1:18(17) ack 1 win 512 <nop,nop,TS val 2 ecr 1>`: the part of the line that packetdrill scripts have. */
export function segmentText(tcp: Tcp, view: SegmentView | null, absolute: boolean): string {
  const seq = relative(tcp.seq, view?.seqBase ?? null, absolute);
  const words = [flagsText(tcp.flags), `${seq}:${(seq + tcp.length) >>> 0}(${tcp.length})`];
  if ((tcp.flags & ACK) !== 0) words.push(`ack ${relative(tcp.ack, view?.ackBase ?? null, absolute)}`);
  words.push(`win ${tcp.window}`);
  if ((tcp.flags & URG) !== 0) words.push(`urg ${tcp.urgent}`);
  if (tcp.options.length > 0) words.push(`<${optionsText(tcp, view?.ackBase ?? null, absolute)}>`);
  return words.join(' ');
}

function optionsText(tcp: Tcp, ackBase: number | null, absolute: boolean): string {
  return tcp.options
    .map((o) => {
      switch (o.kind) {
        case 'mss':
          return `mss ${o.value}`;
        case 'wscale':
          return `wscale ${o.shift}`;
        case 'TS':
          return `TS val ${o.val} ecr ${o.ecr}`;
        case 'sack':
          return `sack ${o.blocks.map(([l, r]) => `${relative(l, ackBase, absolute)}:${relative(r, ackBase, absolute)}`).join(' ')}`;
        case 'FO':
          return `${o.experimental ? 'FOEXP' : 'FO'}${o.cookie === '' ? '' : ` ${o.cookie}`}`;
        case 'md5':
          return `md5 ${o.digest}`;
        case 'ECN':
          return ['ECN', counter('e0b', o.e0b), counter('ceb', o.ceb), counter('e1b', o.e1b)].filter(Boolean).join(' ');
        case 'other':
          return `option-${o.number}${o.hex === '' ? '' : ` 0x${o.hex}`}`;
        default:
          return o.kind;
      }
    })
    .join(',');
}

const counter = (name: string, value: number | null): string => (value === null ? '' : `${name} ${value}`);
