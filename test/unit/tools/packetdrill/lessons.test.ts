import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutants } from '../../../../tools/packetdrill/mutate';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { describeResult, exitCode } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { ScriptError } from '../../../../tools/packetdrill/source';
import { stackTarget } from '../../../../tools/packetdrill/stack-target';

// The lessons of docs/lessons: what is promised to those who read them.

const folder = join(__dirname, '../../../../docs/lessons');
const names = readdirSync(folder).filter((name) => name.endsWith('.pkt'));
const readme = readFileSync(join(folder, 'README.md'), 'utf8');
const options = { factory: stackTarget, profile: 'linux', strict: false, seed: 1 } as const;

/** What is said of a script's text. */
function said(text: string): string {
  try {
    return describeResult(runScript(parseScript('t.pkt', text), options));
  } catch (error) {
    if (error instanceof ScriptError) return error.message;
    throw error;
  }
}

test('every lesson is in the table, and nothing else', () => {
  expect([...readme.matchAll(/\]\((\d-[\w-]+\.pkt)\)/g)].map(([, name]) => name)).toEqual(names.sort());
});

test.each(names)('%s holds, and no falsified copy of it', (name) => {
  const script = parseScript(name, readFileSync(join(folder, name), 'utf8'));
  expect(describeResult(runScript(script, options))).toMatch(/: ok/);
  const survivors = mutants(script, true).filter((copy) => exitCode(runScript(copy.script, options)) !== 1);
  expect(survivors.map(({ line, what }) => `line ${line} ${what}`)).toEqual([]);
});

const [, FIRST = ''] = /```\n( 0 {4}socket[^`]*)```/.exec(readme) ?? [];

test('the first script runs as it stands', () => {
  expect(said(FIRST)).toMatch(/: ok/);
});

test.each([
  [FIRST.replace(' <...>', ''), 'mss 1460, which is not expected'],
  [`${FIRST}+.1 > P. 1:1000(1000) ack 1`, 'expected 1001: 1 and 1000 bytes'],
  [`${FIRST}+0 accept(3, ..., ...) = 4`, 'accept did not return'],
  ['0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 connect(3, ..., ...) = 0', 'connect did not return'],
  [
    `${FIRST}+.1 < . 1:1(0) ack 1 win 4000\n+0 accept(3, ..., ...) = 3`,
    'accept cannot return 3: that descriptor is open',
  ],
  [
    FIRST.replace('<mss 1000>', '<mss 1000, wscale 7>'),
    'these TCP options take 7 bytes: expected a multiple of 4 (add nop or eol)',
  ],
  [FIRST.replace('+0.1 ', '+100ms'), 'expected a time in seconds'],
])('a mistake of the table is told as it says (%#)', (text, words) => {
  expect(said(text)).toContain(words);
  expect(readme).toContain(`\`${words}`);
});
