import { debuglog } from 'node:util';
import { DROPS } from '../stack/base/drops';
import type { TraceEvent } from '../stack/base/trace';
import { type Connection, STATE_NUMBERS, TCP_ERRORS } from '../stack/tcp/connection';
import { RECOVERY_NUMBERS } from '../stack/tcp/recovery-state';
import { LOSS_REASONS } from '../stack/tcp/scoreboard';
import { RULES } from '../stack/tcp/sending/segment';
import { TIMER_NUMBERS } from '../stack/tcp/timeouts';
import type { Host } from './host';

const tcp = debuglog('tapwire:tcp');
const ip = debuglog('tapwire:ip');

const named = (numbers: Readonly<Record<string, number>>): Readonly<Record<number, string>> =>
  Object.fromEntries(Object.entries(numbers).map(([name, number]) => [number, name]));
const STATES = named(STATE_NUMBERS);
const RECOVERY = named(RECOVERY_NUMBERS);
const TIMERS = named(TIMER_NUMBERS);

const IP_KINDS: ReadonlySet<TraceEvent['kind']> = new Set(['frame-in', 'frame-out', 'neighbor']);

/** Which section of NODE_DEBUG an event belongs to. */
function isTcp({ kind, numbers }: TraceEvent): boolean {
  return kind === 'drop' ? DROPS[numbers[0]!]!.startsWith('tcp-') : !IP_KINDS.has(kind);
}

/**
 * With NODE_DEBUG=tapwire:tcp or tapwire:ip (or tapwire*) the host's event log goes to standard error, a line an event, as
 * Node's own modules do it. Otherwise this does nothing.
 */
export function debugHost(host: Host): void {
  if (!tcp.enabled && !ip.enabled) return;
  const { trace } = host.stack;
  const names = new Names(host);
  trace.enable();
  trace.subscribe((event) => {
    const section = isTcp(event) ? tcp : ip;
    if (section.enabled) section('%s %s%s', event.at.toFixed(3), names.of(event.connection), lineOf(event));
  });
}

/** "#3 10.0.0.2:80 < 10.0.0.1:40000 ", found when a connection is first heard of. */
class Names {
  private readonly known = new Map<number, string>();

  constructor(host: Host) {
    const { tcp: layer } = host.stack;
    for (const c of layer.connections) this.add(c);
    layer.observers.push({
      opened: (c) => this.add(c),
      entered: (c) => {
        if (c.state === 'CLOSED') this.known.delete(c.id);
      },
      failed: () => {},
      retransmitted: () => {},
    });
  }

  private add(c: Connection): void {
    this.known.set(c.id, `#${c.id} ${c.local}:${c.localPort} ${c.remote}:${c.remotePort} `);
  }

  of(id: number): string {
    return id === 0 ? '' : (this.known.get(id) ?? `#${id} `);
  }
}

/** One event in a few words. Flags are packetdrill's; numbers are those on the wire. */
export function lineOf({ kind, numbers }: TraceEvent): string {
  const n = numbers as [number, number, number, number, number, number];
  switch (kind) {
    case 'segment-in':
      return `< ${segmentText(n)}`;
    case 'segment-out':
      return `> ${segmentText(n)} (${RULES[n[5]]})`;
    case 'drop':
      return `dropped: ${DROPS[n[0]]}`;
    case 'state':
      return `${STATES[n[0]]} -> ${STATES[n[1]]}`;
    case 'rtt-sample':
      return `rtt ${n[0] / 1000} ms, srtt ${n[1] / 1000}, rto ${n[2] / 1000}`;
    case 'timeout':
      return `timer ${TIMERS[n[0]]} went off, backoff ${n[1]}`;
    case 'congestion':
      return `${RECOVERY[n[0]]} -> ${RECOVERY[n[1]]}, cwnd ${n[2]} ssthresh ${n[3]} in flight ${n[4]}`;
    case 'loss':
      return `lost ${n[0] >>> 0} (${n[1]}): ${LOSS_REASONS[n[2]]}`;
    case 'error':
      return `failed: ${TCP_ERRORS[n[0]]}`;
    default:
      return numbers.length === 0 ? kind : `${kind} ${numbers.join(' ')}`;
  }
}

const FLAG_LETTERS = [...'FSRP.UEW'];

type SegmentNumbers = readonly [number, number, number, number, number, ...number[]];

function segmentText([flags, seq, ack, length, window]: SegmentNumbers): string {
  const letters = FLAG_LETTERS.filter((_, bit) => (flags & (1 << bit)) !== 0).join('');
  return `${letters} ${seq >>> 0}:${(seq + length) >>> 0}(${length}) ack ${ack >>> 0} win ${window}`;
}
