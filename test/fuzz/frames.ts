import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Drop } from '../../stack/base/drops';
import { Random } from '../../stack/base/random';
import type { Stack } from '../../stack/stack';
import { fuzzOptions, keepFuzzing } from './command';
import { FrameBuilder } from './frame-builder';
import { FrameHost, type Watcher } from './frame-host';

/*
 * Hostile frames into the live stack: every layer, both families, every state, with an application that echoes, closes and
 * aborts. Virtual time jumps along. Nothing may throw or leak, and all that the stack sends must be well formed.
 *
 * npm run fuzz frames -- [--executions N] [--seconds S] [--seed K] [--keep]
 *
 * `--keep` adds to test/fuzz/corpus/frames the shortest recording found for each reason to drop a frame that has none yet.
 */

export type Link = 'ip' | 'ethernet';

/** A frame, when it came, and whether a batch ended with it. */
interface Step {
  readonly at: number;
  readonly settles: boolean;
  readonly checked: boolean;
  readonly frame: Uint8Array;
}

class FrameFuzzer {
  readonly host: FrameHost;
  private readonly random: Random;
  private readonly builder: FrameBuilder;
  /** What came, for a recording; null when none is made. */
  readonly steps: Step[] | null;
  frames = 0;

  constructor(seed: number, link: Link, check: ((stack: Stack) => void) | null = null, record = false) {
    this.random = new Random(seed ^ 0x5eed);
    this.builder = new FrameBuilder(this.random, link === 'ethernet' ? 14 : 0);
    this.host = new FrameHost(seed, link, this.builder, check);
    this.steps = record ? [] : null;
  }

  /** One hostile frame, and what follows from it. */
  step(): void {
    const { host, random } = this;
    const frame = this.builder.next(Math.floor(host.now));
    const checked = random.chance(10_000);
    // Frames come in batches; time passes between them, now and then a lot.
    const settles = !random.chance(700_000);
    this.steps?.push({ at: host.now, settles, checked, frame });
    this.frames++;
    host.receive(frame, checked);
    if (!settles) return;
    host.settle();
    const leap = random.below(1000);
    let wait = random.fraction();
    if (leap < 5) wait = random.below(300_000);
    else if (leap < 100) wait = random.below(400);
    host.advance(host.now + wait);
  }
}

/** Runs `frames` frames; throws with the seed and the frame's number when anything goes wrong. */
export function fuzzFrames(
  seed: number,
  frames: number,
  link: Link,
  check: ((stack: Stack) => void) | null = null,
): FrameHost {
  const fuzzer = new FrameFuzzer(seed, link, check);
  try {
    while (fuzzer.frames < frames) fuzzer.step();
    fuzzer.host.drain();
  } catch (error) {
    throw new Error(`seed ${seed}, link ${link}, frame ${fuzzer.frames}: ${(error as Error).stack}`);
  }
  return fuzzer.host;
}

// ── recordings ──

const CORPUS = join(__dirname, 'corpus', 'frames');

/** Frames that once showed something, as a file keeps them. */
export interface Recording {
  readonly seed: number;
  readonly link: Link;
  readonly steps: readonly Step[];
}

/** A line for each frame: when, "-" when more of its batch follow, "!" when the device vouches for its checksum; bytes. */
function recordingText({ seed, link, steps }: Recording): string {
  const lines = steps.map(({ at, settles, checked, frame }) => {
    const marks = `${settles ? '' : '-'}${checked ? '!' : ''}`;
    return `${at}${marks === '' ? '' : ` ${marks}`} ${Buffer.from(frame).toString('hex')}`;
  });
  return [`seed ${seed} link ${link}`, ...lines, ''].join('\n');
}

function parseRecording(text: string): Recording {
  const [first, ...lines] = text.trim().split('\n');
  const [, seed, , link] = first!.split(' ');
  const steps = lines.map((line) => {
    const words = line.split(' ');
    const marks = words.length === 3 ? words[1]! : '';
    const frame = new Uint8Array(Buffer.from(words.at(-1)!, 'hex'));
    return { at: Number(words[0]), settles: !marks.includes('-'), checked: marks.includes('!'), frame };
  });
  return { seed: Number(seed), link: link as Link, steps };
}

const NOBODY: Watcher = { learn: () => {}, asked: () => {} };

/** Plays a recording to a stack of its own, and lets its time run out. */
export function play({ seed, link, steps }: Recording, check: ((stack: Stack) => void) | null = null): Stack {
  const host = new FrameHost(seed, link, NOBODY, check);
  for (const { at, settles, checked, frame } of steps) {
    if (at > host.now) host.advance(at);
    host.receive(frame, checked);
    if (settles) host.settle();
  }
  host.settle();
  host.drain();
  return host.stack;
}

/** The kept recordings, by the reason to drop a frame that each of them shows. */
export function corpus(): Map<string, Recording> {
  const files = readdirSync(CORPUS).filter((file) => file.endsWith('.txt'));
  return new Map(files.map((file) => [file.slice(0, -4), parseRecording(readFileSync(join(CORPUS, file), 'utf8'))]));
}

/** As few of the frames as still show `reason`. */
function shortest(recording: Recording, reason: Drop): Recording {
  const shows = (steps: readonly Step[]): boolean => play({ ...recording, steps }).drops.counts[reason] > 0;
  let steps = recording.steps;
  for (let before = Number.POSITIVE_INFINITY; steps.length < before; ) {
    before = steps.length;
    for (let size = steps.length >> 1; size >= 1; size >>= 1) {
      for (let from = 0; from < steps.length; ) {
        const fewer = [...steps.slice(0, from), ...steps.slice(from + size)];
        if (fewer.length < steps.length && shows(fewer)) steps = fewer;
        else from += size;
      }
    }
  }
  return { ...recording, steps };
}

const RECORDED_MAX = 3000;

/** Looks for reasons that no recording shows yet, in the first frames of a run. */
function keep(seed: number, link: Link, known: Set<string>): void {
  const fuzzer = new FrameFuzzer(seed, link, null, true);
  const { counts } = fuzzer.host.stack.drops;
  while (fuzzer.frames < RECORDED_MAX) {
    fuzzer.step();
    for (const reason of Object.keys(counts) as Drop[]) {
      if (counts[reason] === 0 || known.has(reason)) continue;
      const recording = { seed, link, steps: [...fuzzer.steps!] };
      // What a recording shows must come of its frames alone.
      if (play(recording).drops.counts[reason] === 0) continue;
      known.add(reason);
      writeFileSync(join(CORPUS, `${reason}.txt`), recordingText(shortest(recording, reason)));
    }
  }
}

const PER_SEED = 200_000;

function main(words: readonly string[]): void {
  const options = fuzzOptions(words, ['--keep']);
  const linkOf = (seed: number): Link => (seed % 2 === 0 ? 'ip' : 'ethernet');
  if (words.includes('--keep')) {
    mkdirSync(CORPUS, { recursive: true });
    const known = new Set(corpus().keys());
    keepFuzzing(options, (seed) => {
      keep(seed, linkOf(seed), known);
      return RECORDED_MAX;
    });
    return;
  }
  const drops: Record<string, number> = {};
  let accepted = 0;
  let datagrams = 0;
  const executions = keepFuzzing(options, (seed, most) => {
    const host = fuzzFrames(seed, Math.min(PER_SEED, most), linkOf(seed));
    accepted += host.accepted;
    datagrams += host.datagrams;
    for (const [reason, count] of Object.entries(host.stack.drops.nonZero())) {
      drops[reason] = (drops[reason] ?? 0) + count;
    }
    return Math.min(PER_SEED, most);
  });
  console.log(JSON.stringify({ executions, accepted, datagrams, drops }, null, 2));
}

if (require.main === module) main(process.argv.slice(2));
