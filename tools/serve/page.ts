import { escapeHtml, htmlPage } from './html';
import { LAB_ROUTES } from './labs';
import type { SegmentRow, Story } from './story';

/** What the page says beside the connection's story. */
export interface PageFacts {
  /** One line: which device carries the frames, and whose addresses are whose. */
  wire: string;
  why: string;
  version: string;
}

/** The request came over something that is no connection of the stack: nothing can be told about it. */
const UNKNOWN = 'This request did not come over the stack, so there is nothing to tell about its connection.';

const INTRO =
  'This page came out of a TCP/IP and HTTP stack that runs inside one Node process. The kernel only carried frames; every ' +
  'segment below was read, answered and logged by that process.';

/** The page for a terminal: `curl` gets this one. */
export function textPage(facts: PageFacts, story: Story | null): string {
  const lines = [`tapwire ${facts.version}`, '', wrap(INTRO), '', `wire  ${facts.wire}`, ''];
  if (story === null) lines.push(UNKNOWN);
  else lines.push(...storyLines(story));
  lines.push('', 'Also here:', ...LAB_ROUTES.map(([path, what]) => `  ${path.padEnd(20)} ${what}`), '');
  return lines.join('\n');
}

function storyLines(story: Story): string[] {
  const table = [HEADINGS, ...story.segments.map(cells)];
  const widths = HEADINGS.map((_, i) => Math.max(...table.map((row) => row[i]!.length)));
  const rows = table.map((row) => `  ${row.map((cell, i) => pad(cell, widths[i]!, i)).join('  ')}`.trimEnd());
  const note = story.complete ? [] : ['  (older segments are no longer in the log)'];
  return [`This connection so far: ${story.client} > ${story.server}, ${figures(story)}`, ...note, ...rows];
}

const HEADINGS = ['ms', 'from', 'flags', 'seq', 'ack', 'length', 'window', 'what'];
/** The columns of words; the others are numbers and end on one line. */
const WORDS = new Set([1, 2, 7]);

const pad = (cell: string, width: number, i: number): string =>
  WORDS.has(i) ? cell.padEnd(width) : cell.padStart(width);

function cells(row: SegmentRow): string[] {
  const ack = row.ack === null ? '' : String(row.ack);
  return [
    row.ms.toFixed(3),
    row.from,
    row.flags,
    String(row.seq),
    ack,
    String(row.length),
    String(row.window),
    row.what,
  ];
}

function figures(story: Story): string {
  const rtt = story.rttMs === null ? '' : `, round trip ${story.rttMs.toFixed(3)} ms`;
  return `${story.state}${rtt}, congestion window ${story.cwnd} segments of ${story.mss} bytes`;
}

/** The same page for a browser. */
export function htmlStoryPage(facts: PageFacts, story: Story | null): string {
  const parts = [
    `<p>${escapeHtml(INTRO)}</p>`,
    `<p>Wire: ${escapeHtml(facts.wire)}<br>Why this one: ${escapeHtml(facts.why)}</p>`,
  ];
  if (story === null) {
    parts.push(`<p>${UNKNOWN}</p>`);
  } else {
    const about = `${story.client} → ${story.server}, ${figures(story)}`;
    parts.push(`<h2>This connection so far</h2>\n<p>${escapeHtml(about)}</p>`);
    if (!story.complete) parts.push('<p>Older segments are no longer in the log.</p>');
    const rows = story.segments.map((row) => `<tr>${cells(row).map(cellHtml).join('')}</tr>`);
    parts.push(
      `<table>\n<tr>${HEADINGS.map((name) => `<th>${name}</th>`).join('')}</tr>\n${rows.join('\n')}\n</table>`,
    );
  }
  const routes = LAB_ROUTES.map(([path, what]) => `<tr><td>${escapeHtml(path)}</td><td>${escapeHtml(what)}</td></tr>`);
  parts.push(`<h2>Also here</h2>\n<table>\n${routes.join('\n')}\n</table>`);
  return htmlPage(`tapwire ${facts.version}`, parts.join('\n'));
}

const cellHtml = (cell: string, i: number): string => `<td${WORDS.has(i) ? '' : ' class="n"'}>${escapeHtml(cell)}</td>`;

/** Lines of at most 80 characters. */
function wrap(text: string): string {
  return text.replace(/(.{1,80})(?: |$)/g, '$1\n').trimEnd();
}
