import type { Millis } from './bytes';
import { DROPS, type Drop } from './drops';

/** What happened. Each kind names its numbers; the decoder, `ss`, ladders and lab pages read them by these names. */
export const TRACE_KINDS = {
  'frame-in': ['interface', 'bytes'],
  'frame-out': ['interface', 'bytes'],
  drop: ['reason'],
  'segment-in': ['flags', 'seq', 'ack', 'length', 'window'],
  'segment-out': ['flags', 'seq', 'ack', 'length', 'window', 'rule'],
  state: ['from', 'to'],
  'rtt-sample': ['rttMicros', 'srttMicros', 'rtoMicros'],
  timeout: ['which', 'backoff'],
  congestion: ['from', 'to', 'cwnd', 'ssthresh', 'inFlight'],
  loss: ['seq', 'length', 'why'],
  accept: ['port'],
  'call-open': ['port'],
  'call-close': [],
  'call-abort': [],
  error: ['error'],
  neighbor: ['from', 'to'],
} as const satisfies Record<string, readonly string[]>;

/** What an entry of the trace tells: a name of TRACE_KINDS. */
export type TraceKind = keyof typeof TRACE_KINDS;
const KINDS = Object.keys(TRACE_KINDS) as TraceKind[];
const KIND_NUMBER = Object.fromEntries(KINDS.map((kind, i) => [kind, i])) as Record<TraceKind, number>;

/** Kind, connection and up to six numbers. */
const FIELDS = 8;

/** One entry of the trace: when, what, of which connection, and the numbers that TRACE_KINDS names for its kind. */
export interface TraceEvent {
  at: Millis;
  kind: TraceKind;
  /** The connection's number, or 0. */
  connection: number;
  numbers: number[];
}

export type TraceListener = (event: TraceEvent) => void;

/**
 * The append-only event log: a preallocated ring that keeps the newest events, and a hash over all of them. Off, it costs
 * one boolean test; callers write `if (trace.on) trace.add(...)`.
 */
export class Trace {
  private times: Float64Array;
  private fields: Int32Array;
  /** Events ever added. */
  count = 0;
  private hashLow = 0x811c9dc5 | 0;
  private hashHigh = 0x1b873593 | 0;
  private readonly listeners: TraceListener[] = [];

  constructor(
    public on: boolean,
    readonly capacity: number,
  ) {
    this.times = new Float64Array(on ? capacity : 0);
    this.fields = new Int32Array(on ? capacity * FIELDS : 0);
  }

  add(kind: TraceKind, at: Millis, connection: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): void {
    const slot = this.count % this.capacity;
    this.count++;
    this.times[slot] = at;
    const x = this.fields;
    const i = slot * FIELDS;
    x[i] = KIND_NUMBER[kind];
    x[i + 1] = connection;
    x[i + 2] = a;
    x[i + 3] = b;
    x[i + 4] = c;
    x[i + 5] = d;
    x[i + 6] = e;
    x[i + 7] = f;
    let low = this.hashLow ^ Math.round(at * 1000);
    let high = this.hashHigh;
    for (let k = i; k < i + FIELDS; k++) {
      low = Math.imul(low ^ x[k]!, 0x01000193);
      high = Math.imul((high ^ low) + (low >>> 13), 0x85ebca6b);
    }
    this.hashLow = low;
    this.hashHigh = high;
    if (this.listeners.length > 0) this.tell();
  }

  private tell(): void {
    const event = this.event(this.count - 1);
    for (const listener of this.listeners) listener(event);
  }

  /** Keeps the log from now on, if it was not kept before. */
  enable(): void {
    if (this.times.length === 0) {
      this.times = new Float64Array(this.capacity);
      this.fields = new Int32Array(this.capacity * FIELDS);
    }
    this.on = true;
  }

  /** Calls `listener` for each event while the log is on, for live views. It must not change the stack. Returns what ends it. */
  subscribe(listener: TraceListener): () => void {
    this.listeners.push(listener);
    return () => {
      const at = this.listeners.indexOf(listener);
      if (at >= 0) this.listeners.splice(at, 1);
    };
  }

  drop(reason: Drop, at: Millis): void {
    this.add('drop', at, 0, DROPS.indexOf(reason));
  }

  /** A hash over every event ever added: the same seed and the same calls give the same one. */
  hash(): string {
    return (this.hashHigh >>> 0).toString(16).padStart(8, '0') + (this.hashLow >>> 0).toString(16).padStart(8, '0');
  }

  private event(index: number): TraceEvent {
    const slot = index % this.capacity;
    const i = slot * FIELDS;
    const kind = KINDS[this.fields[i]!]!;
    return {
      at: this.times[slot]!,
      kind,
      connection: this.fields[i + 1]!,
      numbers: Array.from(this.fields.subarray(i + 2, i + 2 + TRACE_KINDS[kind].length)),
    };
  }

  /** The events still in the ring, oldest first. */
  *events(): Generator<TraceEvent> {
    for (let i = Math.max(0, this.count - this.capacity); i < this.count; i++) yield this.event(i);
  }
}
