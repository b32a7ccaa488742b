import type { Host } from '../../net/host';
import { parseAddress } from '../../stack/base/address';
import { type Connection, STATE_NUMBERS } from '../../stack/tcp/connection';
import { RULES } from '../../stack/tcp/sending/segment';
import { flagsText } from '../notation';

/** A segment of the connection, with numbers relative to the two initial ones. */
export interface SegmentRow {
  /** Since the connection's first segment, in milliseconds. */
  ms: number;
  from: 'client' | 'server';
  /** As packetdrill writes them: S F P R and . for ACK. */
  flags: string;
  seq: number;
  ack: number | null;
  length: number;
  window: number;
  /** What it did, in a few words. */
  what: string;
}

/** What the stack knows of one connection: the page's content. */
export interface Story {
  client: string;
  server: string;
  state: string;
  rttMs: number | null;
  cwnd: number;
  mss: number;
  segments: SegmentRow[];
  /** The log holds only so much; older segments of this connection may be gone. */
  complete: boolean;
}

const SYN = 2;
const ACK = 16;
const FIN = 1;
const RST = 4;
const STATE_NAMES = Object.fromEntries(Object.entries(STATE_NUMBERS).map(([name, n]) => [n, name]));
/** A page is for people: the newest rows, if there are more. */
const ROWS_MAX = 200;

/** The story of the connection between those two ends; null when the stack does not know it (any more). */
export function tellStory(
  host: Host,
  local: string,
  localPort: number,
  remote: string,
  remotePort: number,
): Story | null {
  const here = parseAddress(local);
  const there = parseAddress(remote);
  if (here === null || there === null) return null;
  const c = host.stack.tcp.connections.lookup(here, localPort, there, remotePort);
  if (c === null) return null;
  const segments = segmentsOf(host, c);
  return {
    client: `${remote}:${remotePort}`,
    server: `${local}:${localPort}`,
    state: c.state,
    rttMs: c.srtt > 0 ? round(c.srtt) : null,
    cwnd: c.cwnd,
    mss: c.mss,
    segments: segments.slice(-ROWS_MAX),
    complete: segments.length <= ROWS_MAX && segments[0]?.flags.includes('S') === true,
  };
}

/** From the stack's event log, where a segment and the change of state that it caused stand one behind the other. */
function segmentsOf(host: Host, c: Connection): SegmentRow[] {
  const rows: SegmentRow[] = [];
  let first = 0;
  for (const { at, kind, connection, numbers } of host.stack.trace.events()) {
    if (kind === 'state' && connection === c.id) {
      const row = rows.at(-1);
      if (row !== undefined) row.what = `${row.what}${row.what === '' ? '' : ', '}${STATE_NAMES[numbers[1]!] ?? '?'}`;
      continue;
    }
    if (kind !== 'segment-in' && kind !== 'segment-out') continue;
    const [flags, seq, ack, length, window, rule] = numbers as [number, number, number, number, number, number];
    const received = kind === 'segment-in';
    // The SYN of a connection arrives before there is a connection to name it after.
    const opening =
      connection === 0 && received && (flags & SYN) !== 0 && (seq | 0) === (c.irs | 0) && at <= c.openedAt;
    if (connection !== c.id && !opening) continue;
    if (opening) rows.length = 0;
    if (rows.length === 0) first = at;
    const [mine, theirs] = received ? [c.irs, c.iss] : [c.iss, c.irs];
    rows.push({
      ms: round(at - first),
      from: received ? 'client' : 'server',
      flags: flagsText(flags),
      seq: (seq - mine) | 0,
      ack: (flags & ACK) !== 0 ? (ack - theirs) | 0 : null,
      length,
      window,
      what: received ? arrivalText(flags, length) : (RULES[rule] ?? ''),
    });
  }
  return rows;
}

function arrivalText(flags: number, length: number): string {
  if ((flags & RST) !== 0) return 'reset';
  if ((flags & SYN) !== 0) return 'wants a connection';
  if ((flags & FIN) !== 0) return 'is done sending';
  return length > 0 ? 'data' : 'acknowledges';
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
