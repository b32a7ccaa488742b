import { protocolName } from './dissect';
import type { Flow, SegmentView } from './flows';
import type { Packet } from './packet';
import type { CapturedPacket, CaptureParser } from './parser';

const FLOWS_SHOWN = 40;

/** Sums over a capture: what `tapwire decode --stats` prints instead of packets. */
export class CaptureStats {
  packets = 0;
  bytes = 0;
  private firstNs = 0n;
  private lastNs = 0n;
  private readonly protocols = new Map<string, { packets: number; bytes: number }>();
  private readonly notes = new Map<string, number>();
  private readonly problems = new Map<string, number>();

  add(captured: CapturedPacket, p: Packet, view: SegmentView | null): void {
    if (this.packets === 0) this.firstNs = captured.timeNs;
    this.lastNs = captured.timeNs;
    this.packets++;
    this.bytes += captured.originalLength;
    const name = kindOf(p);
    const protocol = this.protocols.get(name) ?? { packets: 0, bytes: 0 };
    protocol.packets++;
    protocol.bytes += captured.originalLength;
    this.protocols.set(name, protocol);
    // "gap of 20 bytes" and "gap of 30 bytes" are one kind of thing.
    for (const note of view?.notes ?? []) bump(this.notes, note.replace(/ (of )?\d+( bytes)?$/, ''));
    for (const problem of p.problems) bump(this.problems, problem.replace(/(0x)?\b[0-9a-f]*\d[0-9a-f]*\b/g, 'N'));
    if (p.tcp?.checksum === 'partial' || p.udp?.checksum === 'partial') bump(this.notes, 'checksum left to the device');
  }

  /** For programs. */
  toJson(parser: CaptureParser, flows: readonly Flow[]): Record<string, unknown> {
    return {
      format: parser.format,
      application: parser.application ?? undefined,
      packets: this.packets,
      bytes: this.bytes,
      seconds: Number(this.lastNs - this.firstNs) / 1e9,
      interfaces: parser.interfaces.map((i) => ({
        name: i.name ?? undefined,
        linkType: i.linkType,
        packets: i.packets,
        dropped: i.dropped === null ? undefined : Number(i.dropped),
      })),
      protocols: Object.fromEntries(this.protocols),
      notes: Object.fromEntries(this.notes),
      problems: Object.fromEntries(this.problems),
      flows,
    };
  }

  /** For people. */
  toText(parser: CaptureParser, flows: readonly Flow[]): string {
    const seconds = (Number(this.lastNs - this.firstNs) / 1e9).toFixed(6);
    const lines = [`${this.packets} packets, ${this.bytes} bytes in ${seconds} s`];
    for (const face of parser.interfaces) {
      const dropped = face.dropped === null || face.dropped === 0n ? '' : `, ${face.dropped} dropped`;
      lines.push(`interface ${face.name ?? face.id}: ${face.packets} packets${dropped}`);
    }
    for (const [name, n] of this.protocols) lines.push(`  ${name.padEnd(12)} ${n.packets} packets, ${n.bytes} bytes`);
    for (const [note, n] of this.notes) lines.push(`  ${n} × ${note}`);
    for (const [problem, n] of this.problems) lines.push(`  ${n} × ${problem}`);
    for (const flow of flows.slice(0, FLOWS_SHOWN)) lines.push(flowText(flow));
    if (flows.length > FLOWS_SHOWN) lines.push(`… and ${flows.length - FLOWS_SHOWN} more connections`);
    return `${lines.join('\n')}\n`;
  }
}

function flowText(flow: Flow): string {
  const again = flow.retransmissions === 0 ? '' : `, ${flow.retransmissions} sent again`;
  const end = flow.closed === '' ? 'open' : flow.closed === 'fin' ? 'closed' : 'reset';
  return (
    `#${flow.number} ${flow.source}.${flow.sport} > ${flow.destination}.${flow.dport}: ${flow.packets} packets, ` +
    `${flow.bytes[0]} bytes > ${flow.bytes[1]} bytes <, ${((flow.lastMs - flow.firstMs) / 1000).toFixed(3)} s${again}, ${end}`
  );
}

function kindOf(p: Packet): string {
  if (p.arp !== null) return 'arp';
  if (p.ip !== null) return protocolName(p.ip.protocol);
  return p.other?.name ?? 'unreadable';
}

function bump(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
