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

/** What destroys a socket, also by a write after its end. */
const OVERTAKES = ['destroy', 'reset', 'garbage'];

const MALFORMED = 'error Error: Parse Error';
const isMalformed = (told: Told): boolean => told.all.some((line) => line.includes(MALFORMED));
const opsOf = ({ rules }: HttpProgram): HttpProgram['rules'][number]['ops'][] => rules.map(({ ops }) => ops);

/** The first line in which the logs of whom it is about differ; empty where one has none. */
function firstDifference({ what, node, ours }: HttpFinding): { node: string; ours: string } {
  const [theirs, own] = [node.each[what] ?? [], ours.each[what] ?? []];
  const at = theirs.findIndex((line, n) => line !== own[n]);
  return { node: theirs[at] ?? '', ours: own[at < 0 ? theirs.length : at] ?? '' };
}

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
    name: 'what a full message holds back',
    why: 'Node reads on to the end of what came and then stops; ours stops at once, so less is unread, and an error is found later or never',
    explains: (finding) => {
      const { program, ours } = finding;
      const { node: wanted, ours: told } = firstDifference(finding);
      const fills = opsOf(program).some((ops) =>
        ops.some(([name, n]) => (name === 'write' || name === 'endWith') && n >= FILLS),
      );
      const unread = (line: string): string => line.replace(/unread=\d+/, '');
      return fills && (unread(wanted) === unread(told) || (wanted.startsWith(MALFORMED) && !isMalformed(ours)));
    },
  },
  {
    name: 'ended and destroyed at once',
    why: "libuv sends no FIN where the destruction overtakes it: with text unread the peer reads ECONNRESET, and no end as ours'",
    explains: (finding) => {
      const { node: wanted, ours: told } = firstDifference(finding);
      const overtaken = opsOf(finding.program).some((ops) => {
        const names = ops.map(([name]) => name);
        const end = names.findIndex((name) => name === 'endSocket' || name === 'destroySoon');
        return end >= 0 && names.slice(end + 1).some((name) => OVERTAKES.includes(name));
      });
      return overtaken && wanted.includes('read ECONNRESET') && /^end |socket hang up/.test(told);
    },
  },
  {
    name: 'behind an upgrade that nobody takes',
    why: 'Node throws away what came with it in one piece; ours reads the next request from there',
    explains: ({ program, node, ours }) => {
      const asked = program.requests.some(({ headers }) => headers['upgrade'] !== undefined);
      return asked && !program.listens.includes('upgrade') && isMalformed(ours) && !isMalformed(node);
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
