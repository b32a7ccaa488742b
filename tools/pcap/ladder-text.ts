import { printable } from './application';
import type { Ladder, LadderRow } from './ladder-model';

const TIME_COLUMNS = 12;
const MARGIN = 4;
/** Distance between neighbouring lifelines, in characters. */
const WIDE = 66;
const NARROW = 44;
/** A silence of at least this is drawn. */
const PAUSE_NS = 100_000_000n;

/** The diagram in plain characters, one row a packet, time in seconds on the left and remarks on the right. */
export function ladderText(ladder: Ladder): string {
  const step = ladder.hosts.length <= 2 ? WIDE : NARROW;
  const columns = Math.max(2, ladder.hosts.length);
  const lines = header(ladder.hosts, step);
  let previous: bigint | null = null;
  for (const row of ladder.rows) {
    if (previous !== null && row.timeNs - previous >= PAUSE_NS) {
      const pause = (Number(row.timeNs - previous) / 1e9).toFixed(3);
      lines.push(`${''.padEnd(TIME_COLUMNS + MARGIN)}${lifelines(columns, step, ':').join('')}  ${pause} s later`);
    }
    previous = row.timeNs;
    lines.push(rowText(row, columns, step));
  }
  if (ladder.omitted > 0) lines.push(`... and ${ladder.omitted} more packets`);
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** The hosts' names, each above its lifeline; names that would touch go to lines of their own. */
function header(hosts: readonly string[], step: number): string[] {
  const lines: string[] = [];
  hosts.forEach((host, i) => {
    const at = Math.max(0, TIME_COLUMNS + MARGIN + i * step - Math.floor(host.length / 2));
    const last = lines.length - 1;
    if (last >= 0 && lines[last]!.length + 2 <= at) lines[last] = lines[last]!.padEnd(at) + host;
    else lines.push(''.padEnd(at) + host);
  });
  return lines;
}

function lifelines(columns: number, step: number, character = '|'): string[] {
  const line = new Array<string>((columns - 1) * step + 1).fill(' ');
  for (let i = 0; i < columns; i++) line[i * step] = character;
  return line;
}

function rowText(row: LadderRow, columns: number, step: number): string {
  const line = lifelines(columns, step);
  const width = line.length;
  const from = row.from * step;
  // A multicast goes to the farther edge, past everybody.
  const to = row.to === null ? (from > width / 2 ? 0 : width - 1) : row.to * step;
  const remarks = [...row.remarks];
  if (row.lost) remarks.unshift('lost');
  if (row.arrivalNs !== null) remarks.unshift(`+${(Number(row.arrivalNs - row.timeNs) / 1e6).toFixed(3)} ms`);
  if (from === to) remarks.unshift(`to itself: ${row.label}`);
  else if (!drawArrow(line, from, to, row)) remarks.unshift(row.label);
  const time = row.seconds.padStart(TIME_COLUMNS);
  return `${time}${''.padEnd(MARGIN)}${line.join('')}  ${printable(remarks.join(', '))}`;
}

/** False when the label does not fit on the arrow and must stand beside it. */
function drawArrow(line: string[], from: number, to: number, row: LadderRow): boolean {
  const left = Math.min(from, to) + 1;
  let right = Math.max(from, to) - 1;
  let begin = left;
  // A lost packet stops before it arrives.
  if (row.lost) {
    const short = Math.max(4, Math.floor((right - left) / 8));
    if (to > from) right -= short;
    else begin += short;
  }
  for (let i = begin; i <= right; i++) line[i] = '-';
  const head = to > from ? right : begin;
  line[head] = row.lost ? 'X' : to > from ? '>' : '<';
  const label = ` ${row.label} `;
  const room = right - begin - 5;
  if (label.length > room) return false;
  const at = begin + 3 + Math.floor((room - label.length) / 2);
  for (let i = 0; i < label.length; i++) line[at + i] = label[i]!;
  return true;
}
