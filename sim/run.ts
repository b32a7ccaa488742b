import { writeSync } from 'node:fs';
import { notation } from '../tools/notation';
import { FileSink } from '../tools/pcap/sink';
import { PcapngWriter } from '../tools/pcap/writer';
import { generate } from './generate';
import type { Fate, Link } from './link';
import type { ScenarioPlan } from './plan';
import { failureText, type Outcome, runScenario, shrink } from './scenario';
import type { SimDevice } from './sim-device';
import { fromToken, toToken } from './token';
import type { World } from './world';

const USAGE = `usage: npm run sim -- [options]
  --seeds N        how many seeds to run (default 1000)
  --first K        the first of them (default 1)
  --seconds S      stop after this long (default: no limit)
  --keep-going     run on after a failure, up to 20 of them
  --replay TOKEN   run one failed run again, and print its frames
  --seed K         the same for a seed
  --plan           print the plan of --seed or --replay as JSON, and run nothing
  --log N          print at most the last N frames of a replay (default 200)
  --pcap FILE      record a replay as pcapng
`;

interface Arguments {
  seeds: number;
  first: number;
  seconds: number;
  keepGoing: boolean;
  replay: string | null;
  seed: number | null;
  planOnly: boolean;
  log: number;
  pcap: string | null;
}

/** @throws RangeError when an argument is unknown or has no sense. */
function parseArguments(words: readonly string[]): Arguments {
  const parsed: Arguments = {
    seeds: 1000,
    first: 1,
    seconds: Number.POSITIVE_INFINITY,
    keepGoing: false,
    replay: null,
    seed: null,
    planOnly: false,
    log: 200,
    pcap: null,
  };
  for (let i = 0; i < words.length; i++) {
    const name = words[i]!;
    const value = (): string => {
      const next = words[++i];
      if (next === undefined) throw new RangeError(`${name} needs a value`);
      return next;
    };
    const number = (): number => {
      const n = Number(value());
      if (!Number.isInteger(n) || n < 0) throw new RangeError(`${name} needs a whole number`);
      return n;
    };
    if (name === '--seeds') parsed.seeds = number();
    else if (name === '--first') parsed.first = number();
    else if (name === '--seconds') parsed.seconds = number();
    else if (name === '--keep-going') parsed.keepGoing = true;
    else if (name === '--replay') parsed.replay = value();
    else if (name === '--seed') parsed.seed = number();
    else if (name === '--plan') parsed.planOnly = true;
    else if (name === '--log') parsed.log = number();
    else if (name === '--pcap') parsed.pcap = value();
    else throw new RangeError(`unknown option ${name}`);
  }
  return parsed;
}

const print = (text: string): void => void writeSync(1, text);
const FAILURES_MAX = 20;

/** Runs seed after seed. Returns the exit code: 1 when one failed. */
function runMany({ seeds, first, seconds, keepGoing }: Arguments): number {
  const began = Date.now();
  const sum = { runs: 0, failures: 0, frames: 0, bytes: 0, connections: 0, virtualMs: 0 };
  let shown = began;
  for (let seed = first; seed < first + seeds && Date.now() - began < seconds * 1000; seed++) {
    const plan = generate(seed);
    const outcome = runScenario(plan);
    sum.runs++;
    sum.frames += outcome.frames;
    sum.bytes += outcome.bytes;
    sum.connections += outcome.connections;
    sum.virtualMs += outcome.virtualMs;
    if (outcome.failure !== null) {
      sum.failures++;
      tell(plan, outcome);
      if (!keepGoing || sum.failures >= FAILURES_MAX) break;
    }
    if (Date.now() - shown > 2000) {
      shown = Date.now();
      print(`${sum.runs} runs, seed ${seed}, ${((shown - began) / 1000).toFixed(0)} s\n`);
    }
  }
  const hours = (sum.virtualMs / 3_600_000).toFixed(1);
  const took = ((Date.now() - began) / 1000).toFixed(1);
  print(
    `${sum.runs} runs from seed ${first}: ${sum.failures} failed; ${sum.connections} connections, ` +
      `${sum.frames} frames, ${sum.bytes} bytes, ${hours} virtual hours in ${took} s\n`,
  );
  return sum.failures > 0 ? 1 : 0;
}

function tell(plan: ScenarioPlan, outcome: Outcome): void {
  print(`\n${failureText(plan, outcome)}\n`);
  const smaller = shrink(plan);
  if (smaller !== plan) print(`reduced:\n${failureText(smaller, runScenario(smaller))}\n`);
  print('\n');
}

/** Runs one plan and prints what passed on its wires. */
function replay(plan: ScenarioPlan, { log, pcap }: Arguments): number {
  const lines: string[] = [];
  let world: World | null = null;
  const capture = pcap === null ? null : new Capture(pcap);
  const outcome = runScenario(plan, {
    begins: (begun) => {
      world = begun;
    },
    wire: (link, from, fate, frame) => {
      const now = world?.now ?? 0;
      capture?.wire(link, from, fate, frame, now);
      if (fate === 'sent') return;
      const mark = fate === 'delivered' ? '' : ` [${fate}]`;
      lines.push(`${now.toFixed(3).padStart(12)}${mark} ${notation(frame, 0, frame.length, link.linkType)}`);
      if (lines.length > 2 * log) lines.splice(0, lines.length - log);
    },
  });
  capture?.close();
  print(`${lines.slice(-log).join('\n')}\n`);
  print(
    outcome.failure === null
      ? `no failure; hash ${outcome.hash}\n`
      : `${failureText(plan, outcome)}\nhash ${outcome.hash}\n`,
  );
  return outcome.failure === null ? 0 : 1;
}

/** Every frame that was sent, from its sender's side. */
class Capture {
  private readonly sink: FileSink;
  private readonly writer: PcapngWriter;
  private readonly interfaces = new Map<SimDevice, number>();

  constructor(path: string) {
    this.sink = new FileSink(path);
    this.writer = new PcapngWriter(this.sink);
  }

  wire(link: Link, from: SimDevice, fate: Fate, frame: Uint8Array, now: number): void {
    if (fate !== 'sent') return;
    let id = this.interfaces.get(from);
    if (id === undefined) {
      id = this.writer.addInterface({ name: from.name, linkType: link.linkType, mac: from.mac });
      this.interfaces.set(from, id);
    }
    this.writer.writeReceived(id, now, frame, 0, frame.length, 0, 0);
  }

  close(): void {
    this.writer.close();
    this.sink.close();
  }
}

function main(words: readonly string[]): number {
  if (words.includes('--help') || words.includes('-h')) {
    print(USAGE);
    return 0;
  }
  let parsed: Arguments;
  let plan: ScenarioPlan | null = null;
  try {
    parsed = parseArguments(words);
    if (parsed.replay !== null) plan = fromToken(parsed.replay);
    else if (parsed.seed !== null) plan = generate(parsed.seed);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (plan === null) return runMany(parsed);
  if (!parsed.planOnly) return replay(plan, parsed);
  print(`${JSON.stringify(plan, null, 2)}\n${toToken(plan)}\n`);
  return 0;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
