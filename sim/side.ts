import type { Millis } from '../stack/base/bytes';
import type { Random } from '../stack/base/random';
import { abort, close, consume, peek, send, setKeepAlive, setNoDelay, shutdown, Text } from '../stack/tcp/calls';
import {
  CLOSED,
  CONNECTED,
  type Connection,
  type ConnectionOwner,
  END,
  FAILED,
  READABLE,
  type TcpError,
  WRITABLE,
} from '../stack/tcp/connection';
import type { SidePlan } from './plan';
import type { SimHost } from './sim-host';

/** The peer is gone for good when it does not answer these: no end of a connection waits for ever. */
const KEEP_ALIVE = { idleMs: 20_000, intervalMs: 5000, probes: 9 };

/** The byte at `offset` of the stream that `key` names: known to both ends, different everywhere. */
const patternAt = (key: number, offset: number): number => (imul(offset ^ key, 0x9e3779b1) >>> 24) & 255;

// Called for every byte: a local name is many times faster than a global one where tests run in a context of their own.
const { imul } = Math;

const text = new Text();

/** One end of a connection, doing what its plan says, and checking every byte that it gets. */
export class Side implements ConnectionOwner {
  connection: Connection | null = null;
  written = 0;
  received = 0;
  /** The peer's FIN came, behind `received` bytes. */
  ended = false;
  error: TcpError | null = null;
  /** The stack said that it is over; what had arrived before may still be read. */
  private isClosed = false;
  connected = false;
  aborted = false;
  private letGo = false;
  private hasShut = false;
  private writeDue = false;
  private readDue = false;
  private readonly block: Uint8Array;

  constructor(
    private readonly host: SimHost,
    private readonly plan: SidePlan,
    private readonly peerPlan: SidePlan,
    /** 0: no turns. */
    private readonly rounds: number,
    private readonly isClient: boolean,
    private readonly key: number,
    private readonly peerKey: number,
    private readonly random: Random,
  ) {
    this.block = new Uint8Array(plan.chunk);
  }

  private get now(): Millis {
    return this.host.host.now();
  }

  onSignals(c: Connection, signals: number): void {
    this.connection = c;
    if ((signals & CONNECTED) !== 0) this.begins(c);
    if ((signals & FAILED) !== 0) this.failed(c);
    if ((signals & CLOSED) !== 0) this.isClosed = true;
    if ((signals & (READABLE | END)) !== 0) this.readSoon();
    if ((signals & (WRITABLE | CONNECTED)) !== 0) this.writeSoon();
  }

  /** Connected or accepted. */
  begins(c: Connection): void {
    const { tcp } = this.host.stack;
    this.connection = c;
    this.connected = true;
    if (this.plan.noDelay) setNoDelay(tcp, c, true);
    const { idleMs, intervalMs, probes } = KEEP_ALIVE;
    setKeepAlive(tcp, c, true, idleMs, intervalMs, probes, this.now);
    if (this.isAbortDue()) return this.abortNow(c);
    this.writeSoon();
  }

  private failed(c: Connection): void {
    this.error = c.error;
    this.readAll(c, Number.POSITIVE_INFINITY);
    this.release(c);
  }

  private after(gapMs: Millis, task: () => void): void {
    const { loop } = this.host;
    if (gapMs > 0) loop.timer(loop.now() + this.random.fraction() * gapMs, task);
    else task();
  }

  // ── writing ──

  /** How far the turns of the conversation let this side write. */
  private get allowed(): number {
    if (this.rounds === 0) return this.plan.bytes;
    const mine = this.plan.bytes / this.rounds;
    const theirs = this.peerPlan.bytes / this.rounds;
    const heard = Math.floor(this.received / theirs);
    return Math.min(this.plan.bytes, (this.isClient ? heard + 1 : heard) * mine);
  }

  private writeSoon(): void {
    if (this.writeDue || this.letGo) return;
    this.writeDue = true;
    this.after(this.plan.writeGapMs, () => {
      this.writeDue = false;
      this.write();
    });
  }

  private write(): void {
    const c = this.connection;
    if (c === null || this.letGo || this.hasShut || !this.connected) return;
    const { tcp } = this.host.stack;
    while (this.written < this.allowed) {
      const wanted = Math.min(1 + this.random.below(this.plan.chunk), this.allowed - this.written);
      for (let i = 0; i < wanted; i++) this.block[i] = patternAt(this.key, this.written + i);
      const taken = send(tcp, c, this.block, 0, wanted);
      this.written += taken;
      this.host.host.schedule();
      if (this.isAbortDue()) return this.abortNow(c);
      if (taken < wanted) return;
      if (this.plan.writeGapMs > 0) {
        if (this.written < this.allowed) this.writeSoon();
        break;
      }
    }
    this.maybeEnd(c);
  }

  // ── reading ──

  private readSoon(): void {
    if (this.readDue) return;
    this.readDue = true;
    this.after(this.plan.readGapMs, () => {
      this.readDue = false;
      this.read();
    });
  }

  private read(): void {
    const c = this.connection;
    if (c === null || this.letGo) return;
    const before = this.received;
    do {
      this.readAll(c, this.plan.readMax);
      if (this.isAbortDue()) return this.abortNow(c);
    } while (c.readable > 0 && this.plan.readGapMs <= 0);
    if (c.readable > 0) this.readSoon();
    else if (c.finReceived) this.ended = true;
    if (this.received > before && this.rounds > 0) this.writeSoon();
    this.maybeEnd(c);
  }

  /** Takes up to `most` bytes; each must be the right one. */
  private readAll(c: Connection, most: number): void {
    const { tcp } = this.host.stack;
    let left = most;
    while (left > 0 && peek(tcp, c, text)) {
      const count = Math.min(left, text.end - text.at);
      for (let i = 0; i < count; i++) {
        if (text.bytes[text.at + i] !== patternAt(this.peerKey, this.received + i)) {
          throw new Error(`byte ${this.received + i} of the stream to ${this.host.name} (connection ${c.id}) is wrong`);
        }
      }
      consume(tcp, c, count, this.now);
      this.received += count;
      left -= count;
    }
    this.host.host.schedule();
  }

  // ── the end ──

  /** The connection is gone, and the program has taken what there was. */
  get isOver(): boolean {
    return this.isClosed && (this.letGo || (!this.readDue && this.connection?.readable === 0));
  }

  private isAbortDue(): boolean {
    return this.plan.end === 'abort' && this.written + this.received >= this.plan.abortAfter;
  }

  private abortNow(c: Connection): void {
    this.aborted = true;
    this.letGo = true;
    abort(this.host.stack.tcp, c, this.now);
    this.host.host.schedule();
  }

  private maybeEnd(c: Connection): void {
    if (this.letGo) return;
    const { tcp } = this.host.stack;
    const allWritten = this.written === this.plan.bytes;
    // The other end has gone, or somebody said so, in the middle of a conversation: no turn will come any more.
    if (this.ended && this.rounds > 0 && !allWritten && this.written >= this.allowed) return this.release(c);
    if (!allWritten) return;
    const { end } = this.plan;
    if (this.ended) return this.release(c);
    if (end === 'close' && this.received === this.peerPlan.bytes) return this.release(c);
    if (end === 'shutdown' && !this.hasShut) {
      this.hasShut = true;
      shutdown(tcp, c, this.now);
      this.host.host.schedule();
    }
  }

  private release(c: Connection): void {
    if (this.letGo) return;
    this.letGo = true;
    close(this.host.stack.tcp, c, this.now);
    this.host.host.schedule();
  }

  /** In a word or two, for messages. */
  describe(): string {
    const c = this.connection;
    const where = this.isOver ? 'over' : (c?.state ?? 'never connected');
    const bits = [this.ended ? 'ended' : '', this.aborted ? 'aborted' : '', this.error ?? ''].filter(
      (bit) => bit !== '',
    );
    return `${this.host.name}: wrote ${this.written}/${this.plan.bytes}, read ${this.received}/${this.peerPlan.bytes}, ${where} ${bits.join(' ')}`;
  }
}
