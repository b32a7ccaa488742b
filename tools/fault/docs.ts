import { join } from 'node:path';
import { makeFolder, writeWhole } from '../../fault/report-files';
import { runScenario, SCENARIOS } from '../../fault/scenarios';
import { story } from './story';

const ROWS_MAX = 60;
/** How what differs from Node to Node begins, on a page. */
export const DIAGRAM = 'What happened with http';

/** At most so many rows of a diagram: the first ones and the last. */
function shortened(ladder: string): string {
  const rows = ladder.trimEnd().split('\n');
  if (rows.length <= ROWS_MAX) return rows.join('\n');
  const half = ROWS_MAX / 2;
  return [...rows.slice(0, half), `    (${rows.length - ROWS_MAX} more)`, ...rows.slice(-half)].join('\n');
}

/**
 * The pages about the scenarios, by file name: an index, and one each with what really happened on the wire. That is of the
 * Node that runs this: the pages in docs/faults are written with Node 20.
 */
export async function scenarioPages(): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  const index = [
    '# Failures of real networks',
    '',
    'Each page tells what happens on the wire, what Node reports and why, and how to cope; and each is a scenario that runs:',
    '`tapwire fault run NAME --client http|tapwire|fetch|undici|axios|got --ladder`. Written by `tapwire fault docs docs/faults`.',
    'Without its fault (`--without-fault`) each goes otherwise, and the token that a run prints runs it again.',
    '',
  ];
  for (const scenario of SCENARIOS) {
    index.push(`${scenario.number}. [${scenario.title}](${scenario.id}.md)`);
    const { report } = await runScenario(scenario, 'http');
    const diagram = `${DIAGRAM} (seed 1), times in milliseconds:\n\n\`\`\`\n${shortened(report.ladder())}\n\`\`\`\n`;
    pages.set(`${scenario.id}.md`, `${story(scenario)}\n${diagram}`);
  }
  pages.set('README.md', `${index.join('\n')}\n`);
  return pages;
}

/** Writes the pages to a folder; returns how many. */
export async function writePages(folder: string): Promise<number> {
  makeFolder(folder);
  const pages = await scenarioPages();
  for (const [name, text] of pages) writeWhole(join(folder, name), text);
  return pages.size;
}
