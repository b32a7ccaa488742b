import nodeHttp from 'node:http';
import { createHttp, type NetModule } from '../../http';
import { createNet } from '../../net';
import { createHost } from '../../net/host';
import { exploreSeeds, playBoth, shownLines, smallest, whoDiffers } from './behaviour/both';
import { HttpPlay } from './behaviour/http-play';
import { type HttpProgram, httpProgramOf, smallerHttp } from './behaviour/http-program';
import type { Told } from './behaviour/net-play';
import { fuzzOptions } from './command';

/*
 * Random programs on HTTP messages, over Node's http on loopback and over ours in memory: what every message and socket tells
 * has to be the same, word for word.
 */

/** Node plays a program so often, and again so often when ours is none of its answers. */
const PLAYS = 2;
const MORE_PLAYS = 5;

export interface HttpFinding {
  readonly program: HttpProgram;
  /** Whose log differs. */
  readonly what: string;
  readonly ours: Told;
  readonly node: Told;
}

const onNode = (program: HttpProgram): Promise<Told> => new HttpPlay(nodeHttp, program).run();

async function onOurs(program: HttpProgram): Promise<Told> {
  const host = createHost({ devices: [], seed: program.seed, poison: true });
  const http = createHttp(createNet(host) as unknown as NetModule) as unknown as typeof nodeHttp;
  const told = await new HttpPlay(http, program).run();
  host.close();
  return told;
}

/** A piece of a body that is as much as a message's stream holds. */
const FILLS = 16_384;

/** What differs, and is to. */
const KNOWN_HTTP_DIFFERENCES: readonly {
  name: string;
  why: string;
  explains(finding: HttpFinding): boolean;
}[] = [
  {
    name: 'reset while it ends',
    why: "Node 20 tells its socket 'reset EINVAL' and sends no RST; ours does",
    explains: ({ node }) => node.all.some((line) => line.includes('error Error: reset EINVAL')),
  },
  {
    name: 'malformed behind what a full message held back',
    why: 'Node reads on to the end of what came, and only then stops; ours stops at once, and a connection that is destroyed then has no more',
    explains: ({ program, node, ours, what }) => {
      const at = node.each[what]?.findIndex((line, n) => line !== ours.each[what]?.[n]) ?? -1;
      const fills = program.rules.some(({ ops }) =>
        ops.some(([name, n]) => (name === 'write' || name === 'endWith') && n >= FILLS),
      );
      const malformed = (told: Told): boolean => told.all.some((line) => line.includes('Error: Parse Error'));
      return fills && at >= 0 && node.each[what]![at]!.includes('error Error: Parse Error') && !malformed(ours);
    },
  },
];

/** Plays a program on both; null: they agree. */
async function compareHttp(program: HttpProgram, more = MORE_PLAYS): Promise<HttpFinding | null> {
  const played = await playBoth({ onNode, onOurs, differs: whoDiffers, plays: PLAYS }, program, more);
  if (played === null) return null;
  const finding = { program, ...played };
  return KNOWN_HTTP_DIFFERENCES.some((known) => known.explains(finding)) ? null : finding;
}

/** Compares the programs of `count` seeds from `seed` on, until `most` findings or the time `until`. */
export const exploreHttp = (
  seed: number,
  count: number,
  most?: number,
  until?: number,
): Promise<{ programs: number; findings: HttpFinding[] }> =>
  exploreSeeds((at) => compareHttp(httpProgramOf(at)), { seed, count, most, until });

export const shownHttp = ({ program, what, ours, node }: HttpFinding): string =>
  shownLines(program, what, ours.each[what] ?? [], node.each[what] ?? []);

const shrunk = (finding: HttpFinding): Promise<HttpFinding> =>
  smallest(finding, smallerHttp, (program) => compareHttp(program, 1));

async function main(words: string[]): Promise<void> {
  const { executions, seconds, seed } = fuzzOptions(words, ['--whole']);
  const { programs, findings } = await exploreHttp(seed, executions, 8, Date.now() + seconds * 1000);
  console.log(`${programs} programs, ${findings.length} differences`);
  for (const finding of findings)
    console.log(`\n${shownHttp(words.includes('--whole') ? finding : await shrunk(finding))}`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

if (require.main === module) void main(process.argv.slice(2));
