import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../stack/base/random';
import { parseScript } from '../../tools/packetdrill/parser';
import { ScriptError } from '../../tools/packetdrill/source';
import { fuzzOptions, keepFuzzing } from './command';

/*
 * The parser of packetdrill scripts on scripts that were damaged: characters and words changed, lost, doubled, lines mixed
 * from several of them. It must take one or say where it is wrong, and nothing else.
 *
 * npm run fuzz scripts -- [--executions N] [--seconds S] [--seed K]
 */

const SCRIPTS = join(__dirname, '..', 'scripts');
const CORPUS = join(__dirname, 'corpus', 'scripts');

const read = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.pkt'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
    .map((path) => readFileSync(path, 'utf8'));

/** Scripts to begin with: our own, and what was found before. */
export const seeds = (): string[] => [...read(SCRIPTS), ...read(CORPUS)];

const WORDS = [
  '<',
  '>',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '...',
  '+',
  '*',
  '~',
  '=',
  ',',
  ':',
  '//',
  '/*',
  '*/',
  '`',
  '"',
  '%{',
  '}%',
  '#ifdef',
  '#endif',
  '--define',
  '--ip_version=ipv6',
  '--mss=',
  'S.',
  'F.',
  'R',
  'P.',
  'ack',
  'win',
  'urg',
  'mss',
  'sackOK',
  'TS val',
  'ecr',
  'wscale',
  'sack',
  'nop',
  'eol',
  'FO',
  'FOEXP',
  'icmp',
  'udp',
  'unreachable',
  'mtu',
  '0:0(0)',
  '1:1001(1000)',
  '4294967295',
  '-1',
  '0x',
  '1e9',
  '.5',
  '99999999999999999999',
  'socket',
  'bind',
  'setsockopt',
  'struct',
  'tcpi_state',
  'SOL_SOCKET|',
  'errno',
  'EAGAIN',
  'assert',
  'tcp',
  'ipv4',
  'gre',
  'mpls',
  '\n',
  '\0',
  '\u00e9',
] as const;

/** A script with a few things wrong. */
export function damaged(random: Random, from: readonly string[]): string {
  let text = from[random.below(from.length)]!;
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(text.length + 1);
    const end = Math.min(text.length, at + random.below(random.chance(100_000) ? 400 : 8));
    const kind = random.below(6);
    if (kind === 0) text = text.slice(0, at) + text.slice(end);
    else if (kind === 1) text = text.slice(0, at) + text.slice(at, end) + text.slice(at);
    else if (kind === 2)
      text = `${text.slice(0, at)}${String.fromCharCode(32 + random.below(96))}${text.slice(at + 1)}`;
    else if (kind === 3) text = `${text.slice(0, at)}${WORDS[random.below(WORDS.length)]!}${text.slice(end)}`;
    else if (kind === 4) text = `${text.slice(0, at)} ${WORDS[random.below(WORDS.length)]!} ${text.slice(at)}`;
    else text = mixed(random, text, from[random.below(from.length)]!);
  }
  return text;
}

/** The first lines of one, the last of another. */
function mixed(random: Random, a: string, b: string): string {
  const first = a.split('\n');
  const last = b.split('\n');
  return [...first.slice(0, random.below(first.length + 1)), ...last.slice(random.below(last.length + 1))].join('\n');
}

/** What a parse came to: the number of events, or where it is wrong. @throws whatever the parser should not have thrown. */
export function outcome(text: string): 'parsed' | 'refused' {
  try {
    parseScript('fuzz.pkt', text);
    return 'parsed';
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    if (error.message === '') throw new Error('refused without a word');
    return 'refused';
  }
}

export interface ScriptTally {
  parsed: number;
  refused: number;
}

/** Runs `count` scripts; throws with the script when the parser throws what is no ScriptError. */
export function fuzzScripts(seed: number, count: number, from = seeds()): ScriptTally {
  const random = new Random(seed);
  const tally: ScriptTally = { parsed: 0, refused: 0 };
  for (let i = 0; i < count; i++) {
    const text = damaged(random, from);
    try {
      tally[outcome(text)]++;
    } catch (error) {
      throw new Error(`seed ${seed}, script ${i}: ${(error as Error).stack}\n${JSON.stringify(text)}`);
    }
  }
  return tally;
}

function main(words: readonly string[]): void {
  const PER_SEED = 5000;
  const from = seeds();
  const sum: ScriptTally = { parsed: 0, refused: 0 };
  const executions = keepFuzzing(fuzzOptions(words), (seed, most) => {
    const { parsed, refused } = fuzzScripts(seed, Math.min(PER_SEED, most), from);
    sum.parsed += parsed;
    sum.refused += refused;
    return Math.min(PER_SEED, most);
  });
  console.log(JSON.stringify({ executions, ...sum }, null, 2));
}

if (require.main === module) main(process.argv.slice(2));
