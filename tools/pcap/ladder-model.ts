import { u8 } from '../../stack/base/bytes';
import type { DecodedPacket } from '../decode';
import { flagsText, segmentText } from '../notation';
import { httpStartLine } from './application';
import { protocolName } from './dissect';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from './format';
import type { Packet } from './packet';

/** One packet between two lifelines. */
export interface LadderRow {
  /** When it was sent, or seen: nanoseconds, and as text. */
  timeNs: bigint;
  seconds: string;
  /** When its receiver saw it; null when only one end was recorded. */
  arrivalNs: bigint | null;
  /** Places in `Ladder.hosts`; `to` is null for a multicast or broadcast. */
  from: number;
  to: number | null;
  label: string;
  /** What history says of it, problems and comments: shown beside the arrow. */
  remarks: string[];
  kind: 'normal' | 'again' | 'reset' | 'handshake' | 'bad';
  /** Sent, and never seen at the other end although that was recorded too. */
  lost: boolean;
}

/** A sequence diagram before it is drawn. */
export interface Ladder {
  hosts: string[];
  rows: LadderRow[];
  /** Packets left out because of the limit. */
  omitted: number;
}

export interface LadderOptions {
  /** Only the connection with this number; its hosts are named with their ports. */
  follow?: number;
  absolute?: boolean;
  rowsMax?: number;
}

/** What a multicast or broadcast is sent to has no lifeline. */
function isGroup(address: string): boolean {
  if (address.includes(':')) return address.startsWith('ff');
  const first = Number(address.split('.', 1)[0]);
  return first >= 224;
}

/** FNV-1a over the datagram's body: the same on every hop, unlike the header. */
function bodyHash(p: Packet, from: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ u8(p.bytes, i), 0x01000193);
  return hash >>> 0;
}

interface Sent {
  row: LadderRow;
  point: number;
  destination: string;
}

/**
 * Collects packets into a diagram. When a capture has several interfaces (the two ends of a simulated link), a packet
 * that one end sent and the other received becomes one arrow with two times, and one that never arrived is marked.
 */
export class LadderBuilder {
  private readonly hosts: string[] = [];
  private readonly places = new Map<string, number>();
  private readonly rows: LadderRow[] = [];
  private omitted = 0;
  private readonly flying = new Map<string, Sent[]>();
  private readonly landed = new Set<string>();
  /** The capture point that sees an address as its own. */
  private readonly points = new Map<string, number>();
  private slowestNs = 0n;
  private lastNs = 0n;
  private readonly flows = new Set<number>();

  constructor(private readonly options: LadderOptions = {}) {}

  add(d: DecodedPacket): void {
    const { captured, packet: p, view } = d;
    const { follow } = this.options;
    if (follow !== undefined && view?.flow !== follow) return;
    const source = p.ip?.source ?? p.arp?.senderIp ?? p.ethernet?.source;
    const destination = p.ip?.destination ?? p.arp?.targetIp ?? p.ethernet?.destination;
    if (source === undefined || destination === undefined) return;
    this.lastNs = captured.timeNs;
    if (view !== null) this.flows.add(view.flow);
    const key = `${source}>${destination} ${p.ip?.protocol ?? 0} ${p.ip?.id ?? 0} ${bodyHash(p, p.ip?.bodyAt ?? p.at, p.end)}`;
    if (captured.direction === DIRECTION_OUTBOUND) this.points.set(source, captured.iface.id);
    if (captured.direction === DIRECTION_INBOUND) {
      if (!isGroup(destination) && p.ip !== null) this.points.set(destination, captured.iface.id);
      if (this.arrive(key, d)) return;
    }
    if (this.rows.length >= (this.options.rowsMax ?? Infinity)) {
      this.omitted++;
      return;
    }
    const row = this.rowOf(d, source, destination);
    this.rows.push(row);
    if (captured.direction === DIRECTION_INBOUND && this.landed.has(key)) row.remarks.push('duplicate');
    if (captured.direction !== DIRECTION_OUTBOUND) return;
    const sent: Sent = { row, point: captured.iface.id, destination };
    const queue = this.flying.get(key);
    if (queue === undefined) this.flying.set(key, [sent]);
    else queue.push(sent);
  }

  /** True when the packet is the arrival of one that is already drawn. */
  private arrive(key: string, d: DecodedPacket): boolean {
    const queue = this.flying.get(key);
    if (queue === undefined || queue[0]!.point === d.captured.iface.id) return false;
    const { row } = queue.shift()!;
    if (queue.length === 0) this.flying.delete(key);
    this.landed.add(key);
    row.arrivalNs = d.captured.timeNs;
    const took = row.arrivalNs - row.timeNs;
    if (took > this.slowestNs) this.slowestNs = took;
    for (const seen of d.view?.notes ?? []) {
      // The receiver alone cannot tell a late segment from one sent again; the sender can.
      const note = seen.endsWith('retransmission') && row.kind !== 'again' ? 'out of order' : seen;
      if (!row.remarks.includes(note)) row.remarks.push(note);
    }
    for (const comment of d.captured.comments) row.remarks.push(`# ${comment}`);
    return true;
  }

  private rowOf(d: DecodedPacket, source: string, destination: string): LadderRow {
    const { captured, packet: p, view } = d;
    // On loopback both ends have one address, and only the ports tell them apart.
    const ports = this.options.follow !== undefined || source === destination ? (p.tcp ?? p.udp) : null;
    const group = isGroup(destination) || (p.ip === null && p.arp === null);
    const remarks = [...(view?.notes ?? []), ...p.problems];
    if (group) remarks.unshift(`to ${destination}`);
    const start = p.tcp === null ? null : httpStartLine(p.bytes, p.payloadAt, p.payloadEnd);
    if (start !== null) remarks.push(start);
    for (const comment of captured.comments) remarks.push(`# ${comment}`);
    return {
      timeNs: captured.timeNs,
      seconds: d.seconds,
      arrivalNs: null,
      from: this.place(ports === null ? source : `${source}:${ports.sport}`),
      to: group ? null : this.place(ports === null ? destination : `${destination}:${ports.dport}`),
      label: labelOf(d, this.options),
      remarks,
      kind: kindOf(d),
      lost: false,
    };
  }

  private place(host: string): number {
    const known = this.places.get(host);
    if (known !== undefined) return known;
    this.places.set(host, this.hosts.length);
    return this.hosts.push(host) - 1;
  }

  /** The diagram of what was added. */
  build(): Ladder {
    for (const queue of this.flying.values()) {
      for (const { row, destination } of queue) {
        // What was sent at the very end may still be on its way.
        row.lost = this.points.has(destination) && this.lastNs - row.timeNs > this.slowestNs;
      }
    }
    if (this.flows.size > 1) return { hosts: this.hosts, rows: this.rows, omitted: this.omitted };
    for (const row of this.rows) row.label = row.label.replace(/^#\d+ /, '');
    return { hosts: this.hosts, rows: this.rows, omitted: this.omitted };
  }
}

function kindOf({ packet: p, view }: DecodedPacket): LadderRow['kind'] {
  if (p.problems.length > 0) return 'bad';
  if (p.tcp === null) return 'normal';
  const flags = flagsText(p.tcp.flags);
  if (flags.includes('R')) return 'reset';
  if (view?.notes.some((note) => note.endsWith('retransmission')) === true) return 'again';
  return /[SF]/.test(flags) ? 'handshake' : 'normal';
}

/** Flags, numbers and window without the options, but for the SACK blocks, which explain what follows. */
function labelOf({ packet: p, view }: DecodedPacket, options: LadderOptions): string {
  if (p.tcp?.whole) {
    const text = segmentText(p.tcp, view, options.absolute ?? false);
    const sack = /sack \d[^,>]*/.exec(text)?.[0];
    const flow = view === null ? '' : `#${view.flow} `;
    return `${flow}${text.replace(/ <[^>]*>$/, '')}${sack === undefined ? '' : ` <${sack}>`}`;
  }
  if (p.arp !== null) return p.arp.operation === 1 ? `arp who-has ${p.arp.targetIp}` : `arp is-at ${p.arp.senderMac}`;
  if (p.icmp !== null) return `icmp ${p.icmp.name} ${p.icmp.details}`.trim();
  if (p.udp !== null) return `udp ${p.udp.sport} > ${p.udp.dport} (${p.udp.length})`;
  if (p.ip !== null) {
    const more = p.ip.moreFragments || p.ip.fragmentOffset > 0 ? ` frag @${p.ip.fragmentOffset}` : '';
    return `${p.other?.name ?? protocolName(p.ip.protocol)}${more} (${Math.max(0, p.ip.end - p.ip.bodyAt)})`;
  }
  return p.other?.name ?? 'frame';
}
