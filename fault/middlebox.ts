import type { Millis } from '../stack/base/bytes';
import type { Conn, Seen } from './conn';
import type { Dir, EndName } from './match';
import type { Segment } from './segment';

/** A box with memory between the hosts. */
export interface BoxOptions {
  /** It forgets a connection after so much silence, in milliseconds. */
  readonly idle?: Millis;
  /**
   * What it does with segments of a connection that it forgot: 'rst-sender' answers each with a reset, 'blackhole' nothing.
   * 'fin-both' closes both ends at the moment when it forgets.
   */
  readonly expired?: 'rst-sender' | 'blackhole' | 'fin-both';
  /** Another name of `expired`. */
  readonly then?: 'rst-sender' | 'blackhole' | 'fin-both';
  /** So many connections at once; a SYN beyond is lost. */
  readonly ports?: number;
  /** How long the entry of a connection that has ended is kept. Default 0. */
  readonly lingerMs?: Millis;
  /** Whether keep-alive probes and their answers count as life. Default 'refresh'. */
  readonly probes?: 'refresh' | 'ignore';
  readonly label?: string;
  /** It need not act: nobody is told when it forgets and refuses nothing. */
  readonly optional?: boolean;
}

/** What a box needs of its engine. */
interface BoxWorld {
  now(): Millis;
  at(at: Millis, task: () => void): unknown;
  reset(conn: Conn, end: EndName): void;
  fin(conn: Conn, end: EndName): void;
  note(text: string, conn: Conn): void;
}

interface Entry {
  seenAt: Millis;
  endedAt: Millis;
  expired: boolean;
}

const ENTRIES_MAX = 100_000;

/** The table of a NAT, a firewall or a load balancer. */
export class Box {
  readonly label: string;
  private readonly table = new Map<Conn, Entry>();
  private readonly idle: Millis;
  /** How often it refused a connection, or did something about one that it had forgotten. */
  private acted = 0;
  private active = true;
  /** The longest silence that a segment ended, and the most places that were taken. */
  private longest = 0;
  private most = 0;
  private readonly fate: BoxOptions['expired'] | null;

  constructor(
    private readonly options: BoxOptions,
    private readonly world: BoxWorld,
  ) {
    this.idle = options.idle ?? Number.POSITIVE_INFINITY;
    if (!(this.idle > 0)) throw new RangeError(`idle is ${options.idle} ms`);
    if (options.ports !== undefined && !(options.ports >= 1)) throw new RangeError(`ports is ${options.ports}`);
    this.fate = options.expired ?? options.then ?? null;
    if (options.idle !== undefined && this.fate === null)
      throw new RangeError(
        "middlebox: say what becomes of an expired connection: 'rst-sender', 'blackhole', 'fin-both'",
      );
    this.label = options.label ?? 'middlebox';
  }

  /** From now on it passes everything. */
  off(): void {
    this.active = false;
  }

  /** As when it was made, for another run on the same wire. */
  restart(): void {
    this.table.clear();
    this.acted = this.longest = this.most = 0;
  }

  /** Connections in the table now. */
  get size(): number {
    this.sweep();
    return this.table.size;
  }

  /** It should have acted, and never did. */
  get isUnused(): boolean {
    return this.acted === 0 && this.options.optional !== true;
  }

  /** Why it never acted. */
  miss(): string {
    const { idle, ports } = this.options;
    const words: string[] = [];
    if (this.most === 0) return 'there was no connection';
    if (idle !== undefined)
      words.push(
        `the longest silence before something more was sent was ${this.longest.toFixed(0)} ms, and it forgets after ${idle} ms`,
      );
    if (ports !== undefined) words.push(`${this.most} of its ${ports} ports were taken at most`);
    return words.length === 0 ? 'it has neither idle nor ports, so it never does anything' : words.join('; ');
  }

  /** Decides about a segment: 'pass', 'rst' (answer its sender), 'drop'. */
  sees(conn: Conn, _dir: Dir, _seg: Segment, seen: Seen): 'pass' | 'rst' | 'drop' {
    if (!this.active) return 'pass';
    const now = this.world.now();
    let entry = this.table.get(conn);
    if (entry === undefined) {
      this.sweep();
      if (this.table.size >= (this.options.ports ?? Number.POSITIVE_INFINITY)) {
        this.acted++;
        return 'drop';
      }
      entry = { seenAt: now, endedAt: Number.POSITIVE_INFINITY, expired: false };
      this.table.set(conn, entry);
      this.most = Math.max(this.most, this.table.size);
      if (this.table.size > ENTRIES_MAX) this.table.delete(this.table.keys().next().value!);
      if (this.fate === 'fin-both') this.watch(conn, entry);
    }
    this.longest = Math.max(this.longest, now - entry.seenAt);
    if (!entry.expired && now - entry.seenAt >= this.idle) {
      entry.expired = true;
      this.world.note(`${this.label} has forgotten the connection`, conn);
    }
    if (entry.expired && this.fate !== 'fin-both') {
      this.acted++;
      return this.fate === 'rst-sender' ? 'rst' : 'drop';
    }
    const life = seen.fresh || seen.fin || seen.handshake !== null;
    if (life || this.options.probes !== 'ignore') entry.seenAt = now;
    return 'pass';
  }

  private watch(conn: Conn, entry: Entry): void {
    if (this.idle === Number.POSITIVE_INFINITY) return;
    this.world.at(entry.seenAt + this.idle, () => {
      // Taken away, or of a run that is over.
      if (!this.active || this.table.get(conn) !== entry) return;
      if (conn.over || entry.expired) return;
      if (this.world.now() - entry.seenAt < this.idle) return this.watch(conn, entry);
      entry.expired = true;
      this.acted++;
      this.world.fin(conn, 'c');
      this.world.fin(conn, 's');
    });
  }

  private sweep(): void {
    const now = this.world.now();
    for (const [conn, entry] of this.table) {
      if (conn.over && entry.endedAt === Number.POSITIVE_INFINITY) entry.endedAt = now;
      const gone = entry.endedAt + (this.options.lingerMs ?? 0) <= now;
      // What was forgotten takes no place any more, but its segments must still be known for what they are.
      if (gone) this.table.delete(conn);
    }
  }
}
