import { NEVER } from '../../stack/base/bytes';
import { DROPS } from '../../stack/base/drops';
import type { TraceEvent } from '../../stack/base/trace';
import { type Connection, STATE_NUMBERS, TCP_ERRORS } from '../../stack/tcp/connection';
import { RECOVERY_NUMBERS } from '../../stack/tcp/recovery-state';
import { LOSS_REASONS } from '../../stack/tcp/scoreboard';
import { RULES } from '../../stack/tcp/sending/segment';
import { TIMER_NUMBERS } from '../../stack/tcp/timeouts';

/** An event of a qlog file, without its time. `group` names the connection; 0: none. */
export interface QlogEvent {
  readonly name: string;
  readonly group: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const named = (numbers: Readonly<Record<string, number>>): Readonly<Record<number, string>> =>
  Object.fromEntries(Object.entries(numbers).map(([name, number]) => [number, name]));

const STATES = named(STATE_NUMBERS);
const RECOVERY_STATES = named(RECOVERY_NUMBERS);
const TIMERS = named(TIMER_NUMBERS);
const CLOSED = STATE_NUMBERS.CLOSED;

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'] as const;
const ACK = 16;

/** What is known of one connection beside what the stack knows. */
interface Known {
  readonly connection: Connection;
  /** As last told. */
  readonly metrics: Record<string, number>;
  error: string | null;
}

/** A segment in, kept until it is known whose it is, and whether it is dropped. */
interface Arrived {
  readonly connection: number;
  readonly header: object;
  readonly payload: number;
}

/**
 * Turns the event log into qlog's events, one stack each: what happens to connections by qlog's names where it has them,
 * with TCP's own words in the data. docs/observing.md lists them.
 */
export class QlogTranslator {
  private readonly known = new Map<number, Known>();
  private arrived: Arrived | null = null;
  /** A segment that belonged to nobody when it came: the connection that it opens is its own. */
  private stray: Arrived | null = null;

  constructor(private readonly emit: (event: QlogEvent) => void) {}

  /** A connection begins, or was there before the log. */
  opened(c: Connection): void {
    this.known.set(c.id, { connection: c, metrics: {}, error: null });
    const { local, localPort, remote, remotePort, passive } = c;
    this.emit({
      name: 'connectivity:connection_started',
      group: c.id,
      data: {
        ip_version: local.family === 4 ? 'v4' : 'v6',
        protocol: 'TCP',
        src_ip: String(local),
        src_port: localPort,
        dst_ip: String(remote),
        dst_port: remotePort,
        initiator: passive ? 'remote' : 'local',
        initial_sequence_number: c.iss >>> 0,
      },
    });
    if (passive) this.settle(c.id);
    else this.settle(0);
  }

  /** Nothing more comes. */
  end(): void {
    this.settle(0);
  }

  /** One event of the stack's log. */
  event({ kind, connection, numbers }: TraceEvent): void {
    if (kind !== 'drop') this.settle(0);
    const n = numbers as [number, number, number, number, number, number];
    switch (kind) {
      case 'frame-in':
        this.arrived = null;
        return;
      case 'segment-in':
        return this.segmentIn(connection, n);
      case 'segment-out':
        return this.segmentOut(connection, n);
      case 'drop':
        return this.dropped(n[0]);
      case 'state':
        return this.stateChanged(connection, n[0], n[1]);
      case 'rtt-sample':
        return this.metrics(connection, { latest_rtt: n[0] / 1000 });
      case 'congestion':
        return this.congestion(connection, n[0], n[1]);
      case 'timeout':
        return this.tell('recovery:timer_updated', connection, {
          timer: TIMERS[n[0]],
          event_type: 'expired',
          backoff: n[1],
        });
      case 'loss':
        return this.lost(connection, n);
      case 'error':
        return this.failed(connection, n[0]);
      case 'accept':
      case 'call-open':
        return this.tell(`api:${kind.replace('call-', '')}`, connection, { port: n[0] });
      case 'call-close':
      case 'call-abort':
        return this.tell(`api:${kind.replace('call-', '')}`, connection, {});
    }
  }

  private tell(name: string, group: number, data: Readonly<Record<string, unknown>>): void {
    this.emit({ name, group, data });
  }

  // ── segments ──

  private segmentIn(connection: number, n: readonly number[]): void {
    const [flags, seq, ack, payload, window] = n as [number, number, number, number, number];
    this.arrived = { connection, header: headerOf(flags, seq, ack, window), payload };
    if (connection === 0) this.stray = this.arrived;
    else this.received(this.arrived, connection);
  }

  /** What came for nobody is now told of, with the connection that it has opened, if there is one. */
  private settle(opened: number): void {
    const { stray } = this;
    if (stray === null) return;
    this.stray = null;
    this.received(stray, opened);
    if (opened !== 0) this.arrived = { ...stray, connection: opened };
  }

  private received({ header, payload }: Arrived, group: number): void {
    this.tell('transport:packet_received', group, { header, raw: { payload_length: payload } });
  }

  private segmentOut(connection: number, n: readonly number[]): void {
    const [flags, seq, ack, payload, window, rule] = n as [number, number, number, number, number, number];
    this.tell('transport:packet_sent', connection, {
      header: headerOf(flags, seq, ack, window),
      raw: { payload_length: payload },
      trigger: RULES[rule],
    });
  }

  private dropped(reason: number): void {
    this.settle(0);
    const { arrived } = this;
    const trigger = DROPS[reason];
    if (arrived === null) return this.tell('transport:packet_dropped', 0, { trigger });
    this.tell('transport:packet_dropped', arrived.connection, {
      header: arrived.header,
      raw: { payload_length: arrived.payload },
      trigger,
    });
  }

  // ── connections ──

  private stateChanged(id: number, from: number, to: number): void {
    this.tell('connectivity:state_updated', id, { old: STATES[from], new: STATES[to] });
    if (to !== CLOSED) return;
    const error = this.known.get(id)?.error ?? null;
    const why = error === null ? { trigger: 'clean' } : { trigger: 'error', error };
    this.tell('connectivity:connection_closed', id, why);
    this.known.delete(id);
  }

  private failed(id: number, error: number): void {
    const known = this.known.get(id);
    if (known !== undefined) known.error = TCP_ERRORS[error] ?? 'unknown';
  }

  private lost(id: number, n: readonly number[]): void {
    const [seq, payload, why] = n as [number, number, number];
    this.tell('recovery:packet_lost', id, {
      header: { sequence_number: seq >>> 0 },
      raw: { payload_length: payload },
      trigger: LOSS_REASONS[why],
    });
    this.metrics(id, {});
  }

  private congestion(id: number, from: number, to: number): void {
    this.tell('recovery:congestion_state_updated', id, { old: RECOVERY_STATES[from], new: RECOVERY_STATES[to] });
    this.metrics(id, {});
  }

  /** What has changed since it was last told. Times are milliseconds, windows bytes, rates bits a second. */
  private metrics(id: number, sample: Readonly<Record<string, number>>): void {
    const known = this.known.get(id);
    if (known === undefined) return;
    const now = { ...sample, ...metricsOf(known.connection) };
    const changed = Object.entries(now).filter(([name, value]) => known.metrics[name] !== value);
    if (changed.length === 0) return;
    Object.assign(known.metrics, now);
    this.tell('recovery:metrics_updated', id, Object.fromEntries(changed));
  }
}

function metricsOf(c: Connection): Record<string, number> {
  const metrics: Record<string, number> = {
    smoothed_rtt: round(c.srtt),
    rtt_variance: round(c.mdev / 4),
    rto: round(c.rto),
    congestion_window: c.cwnd * c.mss,
    bytes_in_flight: Math.max(0, c.inFlight) * c.mss,
    packets_in_flight: Math.max(0, c.inFlight),
  };
  if (c.minRtt !== NEVER) metrics['min_rtt'] = round(c.minRtt);
  if (c.ssthresh < 0x7fff_ffff) metrics['ssthresh'] = c.ssthresh * c.mss;
  if (c.pacingRate !== NEVER) metrics['pacing_rate'] = Math.round(c.pacingRate * 8000);
  return metrics;
}

function headerOf(flags: number, seq: number, ack: number, window: number): object {
  return {
    flags: FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0),
    sequence_number: seq >>> 0,
    ...((flags & ACK) !== 0 ? { acknowledgment_number: ack >>> 0 } : {}),
    window,
  };
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
