import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from '../tools/pcap/format';
import { MemorySink } from '../tools/pcap/sink';
import { PcapngWriter } from '../tools/pcap/writer';
import type { FaultEngine } from './engine';
import { entryText, type TraceEntry } from './trace';

/** The story of a wire in three forms. */
export interface Report {
  readonly title: string;
  /** A capture with a comment on every frame that a rule touched. Two interfaces: what hosts sent, and what they got. */
  pcapng(): Uint8Array;
  /** A sequence diagram in characters: segments, rules, phases of HTTP and what programs were told, on one time line. */
  ladder(): string;
  /** The same for Mermaid. */
  mermaid(): string;
  json(): object;
}

/** Makes the report of an engine. */
export function reportOf(engine: FaultEngine, title: string, seed: number): Report {
  return {
    title,
    pcapng: () => pcapngOf(engine, `${title}, seed ${seed}`),
    ladder: () => ladderOf(engine),
    mermaid: () => mermaidOf(engine.trace.entries),
    json: () => jsonOf(engine, title, seed),
  };
}

function pcapngOf(engine: FaultEngine, comment: string): Uint8Array {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, { comment });
  const { linkType } = engine.medium;
  const points = {
    left: writer.addInterface({ name: 'client', linkType }),
    right: writer.addInterface({ name: 'server', linkType }),
  };
  for (const entry of engine.trace.entries) {
    if (entry.frame === null || entry.side === null || entry.kind === 'dropped') continue;
    const direction = entry.kind === 'sent' ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
    const words = entry.text === '' ? undefined : `${entry.kind}: ${entry.text} [${entry.states}]`;
    writer.writeFrame(points[entry.side], entry.at, entry.frame, 0, entry.frame.length, direction, words);
  }
  for (const entry of engine.trace.entries) {
    if (entry.kind !== 'dropped' || entry.frame === null || entry.side === null) continue;
    // Its sending is recorded; why it never arrived stands with a second copy at the end.
    writer.writeFrame(points[entry.side], entry.at, entry.frame, 0, entry.frame.length, 0, `dropped: ${entry.text}`);
  }
  writer.close();
  return sink.bytes();
}

const WIDTH = 44;

const numbersOf = (e: TraceEntry): string =>
  `${e.flags} ${e.seq}:${e.seq + e.length}(${e.length})${e.flags.includes('A') ? ` ack ${e.ack}` : ''}`;

function arrow(e: TraceEntry): string {
  const label = ` ${e.conn > 1 ? `#${e.conn} ` : ''}${numbersOf(e)} `;
  const toRight = e.side === 'right';
  const lost = e.kind === 'dropped';
  // What was dropped was on its way from its side.
  const goesRight = lost ? !toRight : toRight;
  const line = label.padStart(Math.floor((WIDTH + label.length) / 2), '-').padEnd(WIDTH - 1, '-');
  if (lost) return goesRight ? `${line.slice(0, WIDTH - 8)}X       ` : `       X${line.slice(0, WIDTH - 8)}`;
  return goesRight ? `${line}>` : `<${line}`;
}

/** Which parts of which messages a segment carries: "GET /a: head", "200: body, end". */
function phaseOf(engine: FaultEngine, e: TraceEntry): string {
  if (e.length === 0 || e.dir === null) return '';
  const conn = engine.conns.find(({ id }) => id === e.conn);
  // Bytes that a rule put in between have no place in the maps.
  if (conn === undefined || conn.sender(e.dir).insertions.length > 0) return '';
  const [from, to] = [e.seq - 1, e.seq - 1 + e.length];
  const parts: string[] = [];
  for (const m of conn.messages(e.dir === 'c2s' ? 'req' : 'res')) {
    if (m.begin >= to || (m.end >= 0 && m.end <= from)) continue;
    const headEnd = m.headEnd < 0 ? Number.POSITIVE_INFINITY : m.headEnd;
    const words: string[] = [];
    if (from < headEnd) words.push(to >= headEnd ? 'head' : 'part of the head');
    if (to > headEnd && (m.end < 0 || m.end > headEnd)) words.push('body');
    if (m.end > from && m.end <= to) words.push('end');
    parts.push(`${m.title === '' ? m.side : m.title}: ${words.join(', ')}`);
  }
  return parts.join('; ');
}

/** One row an entry; what was sent and came unchanged is one row, at its arrival. */
function ladderOf(engine: FaultEngine): string {
  const { entries } = engine.trace;
  const lines = [`${''.padStart(14)}client${''.padEnd(WIDTH - 4)}server`];
  for (const e of entries) {
    if (e.kind === 'sent') continue;
    const time = e.at.toFixed(3).padStart(12);
    if (e.kind === 'event') {
      const text = `* ${e.text}`;
      lines.push(
        e.side === 'right' ? `${time}    |${''.padEnd(WIDTH)}| ${text}` : `${time}    | ${text.padEnd(WIDTH - 2)} |`,
      );
    } else if (e.flags === '') {
      lines.push(`${time}    |${` ! ${e.text}`.padEnd(WIDTH)}|`);
    } else {
      const mark = e.kind === 'delivered' ? '' : `${e.kind} `;
      const phase = phaseOf(engine, e);
      const states = `[${e.states}]${phase === '' ? '' : `  ${phase}`}`;
      lines.push(`${time}    |${arrow(e)}|  ${states}${e.text === '' && mark === '' ? '' : `  # ${mark}${e.text}`}`);
    }
  }
  for (const { label, why } of engine.unused()) lines.push(`    ! has not acted: ${label} (${why})`);
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

const plain = (text: string): string => text.replace(/[;#\n]/g, ' ');

function mermaidOf(entries: readonly TraceEntry[]): string {
  const lines = [
    'sequenceDiagram',
    '  participant C as client',
    '  participant W as wire',
    '  participant S as server',
  ];
  for (const e of entries) {
    if (e.kind === 'sent') continue;
    const end = e.side === 'right' ? 'S' : 'C';
    const numbers = plain(numbersOf(e));
    if (e.kind === 'event') lines.push(`  Note over ${end}: ${plain(e.text)} (${e.at.toFixed(1)} ms)`);
    else if (e.flags === '') lines.push(`  Note over W: ${plain(e.text)}`);
    else if (e.kind === 'dropped') lines.push(`  ${end}-xW: ${numbers} (${plain(e.text)})`);
    else if (e.kind === 'delivered') lines.push(`  ${end === 'S' ? 'C->>S' : 'S->>C'}: ${numbers}`);
    else lines.push(`  W->>${end}: ${numbers} (${plain(`${e.kind} ${e.text}`)})`);
  }
  return `${lines.join('\n')}\n`;
}

function jsonOf(engine: FaultEngine, title: string, seed: number): object {
  return {
    title,
    seed,
    decisions: engine.decisions.list,
    hash: engine.decisions.hash(),
    rules: engine.rules.map(({ label, hits }) => ({ label, hits })),
    unused: engine.unused(),
    exchanges: engine.exchanges.list.map(({ n, conn, req, res, outcome }) => ({
      n,
      conn: conn.id,
      request: req?.title ?? null,
      status: res?.status ?? null,
      outcome,
    })),
    trace: engine.trace.entries.map(({ frame: _, ...entry }) => entry),
    text: engine.trace.entries.map(entryText),
  };
}
