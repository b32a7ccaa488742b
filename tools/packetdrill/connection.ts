import type { IcmpLine, TcpLine } from './ast';
import { ACK, findOption, SYN, type TcpOption, type TcpRecord } from './packet';

export interface Endpoint {
  /** Canonical text, as `formatAddress` gives it. */
  ip: string;
  port: number;
}

const add = (a: number, b: number): number => (a + b) >>> 0;
const sub = (a: number, b: number): number => (a - b) >>> 0;

/** What a scripted inbound segment is on the wire. */
export interface LiveNumbers {
  readonly seq: number;
  readonly ack: number;
  readonly options: readonly TcpOption[];
}

/**
 * The connection under test: its live addresses, and how the numbers of the script and those on the wire belong together.
 *
 * A SYN keeps its scripted number. Every other sequence number in the script is an offset from the initial sequence
 * number of its direction, so that the first byte of either stream is 1. On a segment with SYN the acknowledgment number
 * is scripted in the same way as the SYN's own: not as an offset.
 */
export class Connection {
  /** Of the stack: the number on the wire, and the one that the script gave its SYN. */
  private liveLocalIsn = 0;
  private scriptLocalIsn = 0;
  private knowsLocalIsn = false;
  /** Of the script: the same on the wire. */
  private remoteIsn = 0;
  private knowsRemoteIsn = false;
  private readonly timestamps = new Map<number, number>();
  private firstTimestamp: { script: number; live: number } | null = null;

  constructor(
    readonly protocol: 'tcp' | 'udp',
    /** True when the stack opens it. */
    readonly active: boolean,
    readonly local: Endpoint,
    readonly remote: Endpoint,
  ) {}

  /**
   * Maps a segment of the script to the wire. Returns the TS echo that no packet carried instead of the numbers, when
   * there is one: that is an error of the script.
   */
  toLive(line: TcpLine, scaleEcho: boolean): LiveNumbers | { readonly unknownEcho: number } {
    const syn = (line.flags & SYN) !== 0;
    this.learnRemote(line);
    const isAck = (line.flags & ACK) !== 0;
    const ackOffset = syn ? sub(this.liveLocalIsn, this.scriptLocalIsn) : this.liveLocalIsn;
    const options: TcpOption[] = [];
    for (const option of line.options === 'any' ? [] : line.options) {
      if (option.kind === 'sack') options.push(shifted(option.blocks, ackOffset));
      else if (option.kind === 'TS' && isAck) {
        const echo = this.liveTimestamp(option.echo, scaleEcho);
        if (echo === null) return { unknownEcho: option.echo };
        options.push({ kind: 'TS', value: option.value, echo });
      } else options.push(option);
    }
    const ack = line.ack ?? 0;
    return { seq: syn ? line.from : add(line.from, this.remoteIsn), ack: isAck ? add(ack, ackOffset) : ack, options };
  }

  private learnRemote(line: TcpLine): void {
    const opens = (line.flags & SYN) !== 0 && (!this.active || (line.flags & ACK) !== 0);
    if (!opens || this.knowsRemoteIsn) return;
    this.remoteIsn = line.from;
    this.knowsRemoteIsn = true;
  }

  private liveTimestamp(script: number, scale: boolean): number | null {
    const live = this.timestamps.get(script);
    if (live !== undefined) return live;
    if (!scale || this.firstTimestamp === null) return null;
    return add(this.firstTimestamp.live, sub(script, this.firstTimestamp.script));
  }

  /** The sequence number on the wire of what an ICMP error quotes. */
  quotedSeq(line: IcmpLine): number {
    const from = line.quote?.protocol === 'tcp' ? line.quote.from : 0;
    return add(from, this.liveLocalIsn);
  }

  /** Takes the stack's initial sequence number from its first SYN, which `line` expects. */
  learnLocal(record: TcpRecord, line: TcpLine): void {
    if (this.knowsLocalIsn || (record.flags & line.flags & SYN) === 0) return;
    this.liveLocalIsn = record.seq;
    this.scriptLocalIsn = line.from;
    this.knowsLocalIsn = true;
  }

  /** Maps a segment of the stack to the numbers of the script. */
  toScript(record: TcpRecord): TcpRecord {
    const syn = (record.flags & SYN) !== 0;
    const isAck = (record.flags & ACK) !== 0;
    const seqOffset = syn ? sub(this.liveLocalIsn, this.scriptLocalIsn) : this.liveLocalIsn;
    const ackOffset = syn ? 0 : this.remoteIsn;
    return {
      ...record,
      seq: sub(record.seq, syn && !this.knowsLocalIsn ? record.seq : seqOffset),
      ack: isAck ? sub(record.ack, ackOffset) : record.ack,
      options: record.options.map((option) => this.optionToScript(option, ackOffset)),
    };
  }

  private optionToScript(option: TcpOption, ackOffset: number): TcpOption {
    if (option.kind === 'sack') return shifted(option.blocks, sub(0, ackOffset));
    if (option.kind !== 'TS' || this.firstTimestamp === null) return option;
    const value = add(this.firstTimestamp.script, sub(option.value, this.firstTimestamp.live));
    return { kind: 'TS', value, echo: option.echo };
  }

  /**
   * Remembers which timestamp on the wire is which in the script. `record` is live; to be called before `toScript`, so
   * that the first pair is the base of all others.
   */
  learnTimestamp(record: TcpRecord, line: TcpLine): void {
    if (line.options === 'any') return;
    const script = findOption(line.options, 'TS');
    const live = findOption(record.options, 'TS');
    if (script === undefined || live === undefined) return;
    this.firstTimestamp ??= { script: script.value, live: live.value };
    this.timestamps.set(script.value, live.value);
  }
}

function shifted(blocks: readonly { from: number; to: number }[], offset: number): TcpOption {
  return { kind: 'sack', blocks: blocks.map(({ from, to }) => ({ from: add(from, offset), to: add(to, offset) })) };
}
