import nodeNet from 'node:net';
import { createNet, type Net } from '../../net';
import { createHost, type Host } from '../../net/host';
import { exploreSeeds, playBoth, sameOrder, shownLines, smallest, whoDiffers } from './behaviour/both';
import { Play, type Told } from './behaviour/net-play';
import { type Program, programOf, smaller } from './behaviour/net-program';
import { fuzzOptions } from './command';

/*
 * Random programs on sockets, over Node's net on loopback and over ours in memory: what every socket tells has to be the same,
 * word for word, and where Node's order among sockets is always the same, that as well.
 */

/** Node plays a program so often before its answer is taken for the only one. */
const PLAYS = 3;
/** And so often again when ours is none of its answers. */
const MORE_PLAYS = 6;

export interface Finding {
  readonly program: Program;
  /** Whose log differs; 'order': only the order among them. */
  readonly what: string;
  readonly ours: readonly string[];
  readonly node: readonly string[];
}

const onNode = (program: Program): Promise<Told> => new Play(nodeNet as unknown as Net, program).run();

async function onOurs(program: Program): Promise<Told> {
  const host = createHost({ devices: [], seed: program.seed, poison: true });
  const told = await new Play(createNet(host), program).run();
  const left = await leaks(host);
  host.close();
  return left === '' ? told : { all: told.all, each: { ...told.each, host: [left] } };
}

/** What is left of a program's connections when it is over. */
async function leaks({ stack: { tcp, blocks } }: Host): Promise<string> {
  const left = (): number => tcp.connections.size + tcp.store.inUse + blocks.inUse;
  for (let n = 0; n < 500 && left() > 0; n++) await new Promise((resolve) => setImmediate(resolve));
  return left() === 0
    ? ''
    : `${tcp.connections.size} connections, ${tcp.store.inUse} pieces, ${blocks.inUse} blocks left`;
}

/** What differs, and is to. */
export const KNOWN_DIFFERENCES: readonly { name: string; why: string; explains(ours: Told, node: Told): boolean }[] = [
  {
    name: 'reset while it ends',
    why: "Node 20 tells 'reset EINVAL' and never closes the connection; ours is reset",
    explains: (_, node) => node.all.some((line) => line.includes('reset EINVAL')),
  },
];

const differs = (ours: Told, plays: readonly Told[]): string | null =>
  whoDiffers(ours, plays) ?? (sameOrder(ours, plays) ? null : 'order');

/** Plays a program on both; null: they agree. */
export async function compare(program: Program, order = true, more = MORE_PLAYS): Promise<Finding | null> {
  const played = await playBoth({ onNode, onOurs, differs, plays: PLAYS }, program, more);
  if (played === null) return null;
  const { what, ours, node } = played;
  if (what === 'order' && !order) return null;
  if (KNOWN_DIFFERENCES.some((known) => known.explains(ours, node))) return null;
  const lines = (told: Told): readonly string[] => (what === 'order' ? told.all : (told.each[what] ?? []));
  return { program, what, ours: lines(ours), node: lines(node) };
}

export interface Plan {
  readonly seed: number;
  /** Programs at most. */
  readonly count: number;
  /** Findings at most. */
  readonly most?: number;
  /** Whether Node's order among sockets counts as well. */
  readonly order: boolean;
  /** Whether programs may set time-outs, and write more than buffers take. */
  readonly timed: boolean;
  /** The time at which it is enough. */
  readonly until?: number;
}

/** Compares the programs of one seed after the other. */
export const explore = (plan: Plan): Promise<{ programs: number; findings: Finding[] }> =>
  exploreSeeds((seed) => compare(programOf(seed, plan.timed), plan.order), plan);

export const shown = ({ program, what, ours, node }: Finding): string => shownLines(program, what, ours, node);

const shrunk = (finding: Finding, order: boolean): Promise<Finding> =>
  smallest(finding, smaller, (program) => compare(program, order, 1));

async function main(words: string[]): Promise<void> {
  const { executions, seconds, seed } = fuzzOptions(words, ['--no-order', '--whole']);
  const order = !words.includes('--no-order');
  const until = Date.now() + seconds * 1000;
  const { programs, findings } = await explore({ seed, count: executions, order, timed: true, until });
  console.log(`${programs} programs, ${findings.length} differences`);
  for (const finding of findings) {
    console.log(`\n${shown(words.includes('--whole') ? finding : await shrunk(finding, order))}`);
  }
  process.exitCode = findings.length > 0 ? 1 : 0;
}

if (require.main === module) void main(process.argv.slice(2));
