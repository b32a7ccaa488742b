import { printable } from './application';
import type { Ladder, LadderRow } from './ladder-model';

const LEFT = 110;
const TOP = 56;
const ROW = 24;
const WIDE = 460;
const NARROW = 300;
/** Room for remarks to the right of the last lifeline, in characters: as many as the longest has, between these. */
const REMARK_MIN = 50;
const REMARK_MAX = 200;
const REMARK_AT = 32;
const CHARACTER = 7.3;
/** How far an arrow falls when only one of its ends is known. */
const SLOPE = 5;
/** Where a label begins, from its sender. */
const LABEL_AT = 40;
/** How far a lost packet's arrow would have fallen. */
const LOST_SLOPE = 18;
const PAUSE_NS = 100_000_000n;

const COLORS: Readonly<Record<LadderRow['kind'], string>> = {
  normal: '#1f2937',
  handshake: '#1d4ed8',
  again: '#b45309',
  reset: '#b91c1c',
  bad: '#b91c1c',
};

const STYLE =
  'text{font:12px ui-monospace,"DejaVu Sans Mono",monospace;fill:#1f2937}' +
  '.host{font-weight:bold;text-anchor:middle}.time{text-anchor:end;fill:#6b7280}' +
  '.label{paint-order:stroke;stroke:#ffffff;stroke-width:3px}.remark{fill:#6b7280}.life{stroke:#9ca3af}.pause{stroke:#9ca3af;stroke-dasharray:2 4}';

/** Text as it may stand in XML: nothing that ends an element, nothing that XML forbids. */
function xml(text: string): string {
  return printable(text)
    .replace(/[\ud800-\udfff\ufffe\uffff]/g, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

/** The places of a row's two ends, down the page. */
interface Span {
  begin: number;
  end: number;
}

/** The diagram as an SVG document: arrows fall as time passes when both of their ends were recorded. */
export function ladderSvg(ladder: Ladder): string {
  const step = ladder.hosts.length <= 2 ? WIDE : NARROW;
  const columns = Math.max(2, ladder.hosts.length);
  const { spans, height } = layOut(ladder.rows);
  const x = (place: number): number => LEFT + place * step;
  const remarks = ladder.rows.map((row) => remarkText(row, x, columns));
  const longest = remarks.reduce((most, remark) => Math.max(most, remark.length), REMARK_MIN);
  const width = Math.ceil(x(columns - 1) + REMARK_AT + longest * CHARACTER + 16);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${xml(ladder.hosts.join(', '))}: ${ladder.rows.length} packets</title>`,
    `<style>${STYLE}</style>`,
    markers(),
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
  ];
  ladder.hosts.forEach((host, i) => {
    parts.push(`<text class="host" x="${x(i)}" y="24">${xml(host)}</text>`);
    parts.push(`<line class="life" x1="${x(i)}" y1="32" x2="${x(i)}" y2="${height - 16}"/>`);
  });
  ladder.rows.forEach((row, i) => {
    parts.push(rowSvg(row, spans[i]!, x, columns, remarks[i]!));
  });
  if (ladder.omitted > 0) {
    parts.push(`<text class="remark" x="${LEFT}" y="${height - 2}">and ${ladder.omitted} more packets</text>`);
  }
  parts.push('</svg>');
  return `${parts.join('\n')}\n`;
}

function markers(): string {
  const head = (id: string, color: string): string =>
    `<marker id="${id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">` +
    `<path d="M0 0L10 5L0 10z" fill="${color}"/></marker>`;
  return `<defs>${Object.entries(COLORS)
    .map(([kind, color]) => head(kind, color))
    .join('')}</defs>`;
}

/** Gives every sending and every arrival a line of its own, in the order of time. */
function layOut(rows: readonly LadderRow[]): { spans: Span[]; height: number } {
  const events: { timeNs: bigint; row: number; arrival: boolean }[] = [];
  rows.forEach((row, i) => {
    events.push({ timeNs: row.timeNs, row: i, arrival: false });
    if (row.arrivalNs !== null) events.push({ timeNs: row.arrivalNs, row: i, arrival: true });
  });
  events.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : a.row - b.row));
  const spans: Span[] = rows.map(() => ({ begin: 0, end: 0 }));
  let y = TOP;
  let previous: bigint | null = null;
  for (const event of events) {
    if (previous !== null && event.timeNs - previous >= PAUSE_NS) y += ROW / 2;
    previous = event.timeNs;
    const span = spans[event.row]!;
    if (event.arrival) span.end = y;
    else {
      span.begin = y;
      span.end = y + SLOPE;
    }
    // An arrival needs less room than a label.
    y += event.arrival ? ROW / 2 : ROW;
  }
  return { spans, height: y + 32 };
}

type Places = (place: number) => number;

/** Where the arrow of a row goes to, across the page; a packet to nobody known leaves it. */
function targetOf(row: LadderRow, x: Places, columns: number): number {
  const from = x(row.from);
  const away = row.from >= columns / 2 ? x(0) - 24 : x(columns - 1) + 24;
  const to = row.to === null ? away : x(row.to);
  if (to === from) return from + 40;
  return row.lost ? from + (to - from) * 0.85 : to;
}

const labelFits = (row: LadderRow, x: Places, columns: number): boolean =>
  row.label.length * CHARACTER < Math.abs(targetOf(row, x, columns) - x(row.from)) - LABEL_AT - 16;

/** What stands to the right of a row, its label included where the arrow is too short for it. */
function remarkText(row: LadderRow, x: Places, columns: number): string {
  const remarks = [...row.remarks];
  if (row.lost) remarks.unshift('lost');
  if (!labelFits(row, x, columns)) remarks.unshift(row.label);
  const text = printable(remarks.join(', '));
  return text.length > REMARK_MAX ? `${text.slice(0, REMARK_MAX - 3)}...` : text;
}

function rowSvg(row: LadderRow, span: Span, x: Places, columns: number, remark: string): string {
  const color = COLORS[row.kind];
  const from = x(row.from);
  const to = targetOf(row, x, columns);
  let end = span.end;
  const parts = [`<text class="time" x="${LEFT - 16}" y="${span.begin + 4}">${row.seconds}</text>`];
  if (row.lost) end = span.begin + LOST_SLOPE;
  const gap = to > from ? 2 : -2;
  const marker = row.lost ? '' : ` marker-end="url(#${row.kind})"`;
  parts.push(
    `<line x1="${from + gap}" y1="${span.begin}" x2="${to - gap}" y2="${end}" stroke="${color}" stroke-width="1.4"${marker}/>`,
  );
  if (row.lost) {
    parts.push(
      `<path d="M${to - 5} ${end - 5}l10 10m0 -10l-10 10" stroke="${COLORS.reset}" stroke-width="2" fill="none"/>`,
    );
  }
  if (labelFits(row, x, columns)) parts.push(labelSvg(row.label, from, span.begin, to, end));
  if (remark !== '') {
    parts.push(`<text class="remark" x="${x(columns - 1) + REMARK_AT}" y="${span.begin + 4}">${xml(remark)}</text>`);
  }
  return parts.join('');
}

/** The label begins at the sender, where arrows that cross further on are still apart, and lies along its arrow. */
function labelSvg(label: string, x1: number, y1: number, x2: number, y2: number): string {
  const rightward = x2 > x1;
  const along = LABEL_AT / Math.abs(x2 - x1);
  const x = x1 + (x2 - x1) * along;
  const y = y1 + (y2 - y1) * along - 4;
  const degrees = (Math.atan2(y2 - y1, Math.abs(x2 - x1)) * 180) / Math.PI;
  const turned = (rightward ? degrees : -degrees).toFixed(2);
  const anchor = rightward ? 'start' : 'end';
  return `<text class="label" text-anchor="${anchor}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" transform="rotate(${turned} ${x.toFixed(1)} ${y.toFixed(1)})">${xml(label)}</text>`;
}
