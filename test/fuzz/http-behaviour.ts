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

/** What differs, and is to, or what Node's own order among sockets decides. */
const KNOWN_HTTP_DIFFERENCES: readonly {
  name: string;
  why: string;
  explains(finding: HttpFinding): boolean;
}[] = [
  {
    name: 'reset while it ends',
    why: "Node 20 tells its socket 'reset EINVAL' and sends no RST; ours does",
    explains: ({ program }) => {
      const names = program.rules.flatMap(({ ops }) => ops.map(([name]) => name));
      return names.includes('reset') && (names.includes('endSocket') || names.includes('destroySoon'));
    },
  },
  {
    name: 'text behind the end of its connection',
    why: 'when a listener destroys the connection, Node goes on with what it had read of the message, ours does not',
    explains: ({ program, what }) =>
      /^(incoming|outgoing)/.test(what) &&
      program.rules.some(({ ops }) =>
        ops.some(([name]) => ['destroy', 'destroyError', 'reset', 'closeAll'].includes(name)),
      ),
  },
  {
    name: 'an error behind the end of its connection',
    why: 'the same, of a response: Node still finds it malformed',
    explains: ({ node, ours }) => {
      const malformed = (told: Told): boolean => told.all.some((line) => line.includes('Parse Error'));
      return malformed(node) && !malformed(ours);
    },
  },
  {
    name: 'two writes in one turn to a client that is gone',
    why: 'over loopback the second says EPIPE; ours gathers what is written in a turn, so both go',
    explains: ({ program, what }) =>
      /^(peer|outgoing|incoming)/.test(what) && program.rules.some(({ to, ops }) => to === 'socket' && ops.length > 0),
  },
  {
    name: 'idle or not',
    why: 'which of two sockets is heard first decides whether a connection is idle when the server closes idle ones',
    explains: ({ program, what }) =>
      /^(peer|socket)/.test(what) &&
      program.rules.some(({ ops }) => ops.some(([name]) => ['close', 'closeIdle'].includes(name))),
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
