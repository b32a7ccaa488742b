import { RunningHash } from '../sim/hash';
import type { Bytes, Millis } from '../stack/base/bytes';
import type { Conn, Side } from './conn';
import type { Dir } from './match';
import { flagLetters, type Segment } from './segment';

/** What happened to a segment, or to a host. */
export type TraceKind = 'sent' | 'delivered' | 'forged' | 'dropped' | 'answered' | 'event' | 'rule';

/** One line of the story. */
export interface TraceEntry {
  readonly at: Millis;
  readonly kind: TraceKind;
  /** Where the frame came from, or went to, or where something happened; null: nowhere in particular. */
  readonly side: Side | null;
  readonly conn: number;
  readonly dir: Dir | null;
  /** "SA", "PA"; empty when it is no segment. */
  readonly flags: string;
  /** Relative to the ends' initial numbers. */
  readonly seq: number;
  readonly ack: number;
  readonly length: number;
  /** What a rule did, a phase of HTTP began, a program was told. */
  text: string;
  readonly frame: Bytes | null;
  /** States of both ends after it. */
  readonly states: string;
}

const ENTRIES_MAX = 100_000;
const FRAME_BYTES_MAX = 64 << 20;

/** The story of a wire: what was sent, what became of it, what programs were told; in order. Bounded. */
export class Trace {
  readonly entries: TraceEntry[] = [];
  /** Entries that did not fit any more. */
  omitted = 0;
  private frameBytes = 0;

  /** Forgets the story so far. */
  clear(): void {
    this.entries.length = 0;
    this.omitted = 0;
    this.frameBytes = 0;
  }

  /** How many entries there were, those that did not fit among them. */
  get count(): number {
    return this.entries.length + this.omitted;
  }

  /** Told of every entry. */
  onEntry: ((entry: TraceEntry) => void) | null = null;

  add(entry: TraceEntry): TraceEntry {
    if (this.entries.length >= ENTRIES_MAX) {
      this.omitted++;
      return entry;
    }
    let kept = entry;
    if (entry.frame !== null) {
      this.frameBytes += entry.frame.length;
      if (this.frameBytes > FRAME_BYTES_MAX) kept = { ...entry, frame: null };
    }
    this.entries.push(kept);
    this.onEntry?.(kept);
    return kept;
  }

  segment(at: Millis, kind: TraceKind, side: Side, conn: Conn, dir: Dir, seg: Segment, text = ''): TraceEntry {
    const from = conn.sender(dir);
    const to = conn.receiver(dir);
    return this.add({
      at,
      kind,
      side,
      conn: conn.id,
      dir,
      flags: flagLetters(seg.flags),
      seq: from.known ? (seg.seq - from.isn) | 0 : 0,
      ack: to.known && (seg.flags & 0x10) !== 0 ? (seg.ack - to.isn) | 0 : 0,
      length: seg.length,
      text,
      frame: seg.frame.slice(),
      states: `${conn.stateOf('c', at)}/${conn.stateOf('s', at)}`,
    });
  }

  note(at: Millis, kind: TraceKind, side: Side | null, text: string, conn = 0): void {
    this.add({ at, kind, side, conn, dir: null, flags: '', seq: 0, ack: 0, length: 0, text, frame: null, states: '' });
  }

  /** Flags of what came out of the wire, in order: "S SA A PA PA FA". */
  notation(conn?: number): string {
    return this.delivered(conn)
      .map((entry) => entry.flags)
      .join(' ');
  }

  /** Segments that left the wire for a host: real ones and forged ones. */
  delivered(conn?: number): TraceEntry[] {
    return this.entries.filter(
      ({ kind, flags, conn: id }) =>
        (kind === 'delivered' || kind === 'forged') && flags !== '' && (conn === undefined || id === conn),
    );
  }

  /**
   * Sixteen hexadecimal digits over all entries: times, segments with their numbers, what rules did and programs were told.
   * Not the text that segments carry: a Date field in it would make every second another run.
   */
  hash(): string {
    const hash = new RunningHash();
    for (const e of this.entries) {
      hash.addTime(e.at);
      hash.addText(`${e.kind} ${e.side} ${e.conn} ${e.flags} ${e.text} ${e.states}`);
      hash.add(e.seq);
      hash.add(e.ack);
      hash.add(e.length);
    }
    return hash.toString();
  }

  /** A line for each entry, for people. */
  lines(): string[] {
    return this.entries.map(entryText);
  }
}

/** "   12.500  c2s #1 PA 1:18(17) ack 1  delivered  hold S.FIN". */
export function entryText(e: TraceEntry): string {
  const time = e.at.toFixed(3).padStart(12);
  if (e.flags === '') return `${time}  ${(e.side ?? '').padEnd(5)} ${e.kind}: ${e.text}`;
  const numbers = `${e.seq}:${e.seq + e.length}(${e.length})${e.flags.includes('A') ? ` ack ${e.ack}` : ''}`;
  const text = e.text === '' ? '' : `  # ${e.text}`;
  return `${time}  ${e.dir === 'c2s' ? '-->' : '<--'} #${e.conn} ${e.flags.padEnd(3)} ${numbers}  ${e.kind}  [${e.states}]${text}`;
}
