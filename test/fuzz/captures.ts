import { Random } from '../../stack/base/random';
import { CaptureError, CaptureParser } from '../../tools/pcap/parser';
import { classic, FileBuilder } from '../unit/tools/pcap/captures';
import { fuzzOptions, keepFuzzing } from './command';

/*
 * The reader of captures on files that were damaged, in pieces of any size: it must say what it found, packets or
 * CaptureError, and the same however the file is cut.
 *
 * npm run fuzz captures -- [--executions N] [--seconds S] [--seed K]
 */

const INTERESTING = [0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 28, 32, 64, 127, 128, 255];

/** Files to begin with: both formats, either byte order. */
function files(): Uint8Array[] {
  const packet = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i & 255);
  const record = (n: number) => ({ seconds: 1, fraction: 2, data: packet(n) });
  const made: Uint8Array[] = [];
  for (const little of [false, true]) {
    made.push(classic(little, [record(60), record(1)], { linkType: 1 }));
    made.push(classic(little, [record(40)], { magic: 0xa1b23c4d, extra: 0 }));
    const ng = new FileBuilder(little).section();
    ng.face(1, 96, (b) => b.option(2, [101, 116, 104, 48]).option(9, [9]));
    ng.face(101);
    ng.packet(0, 5, 6, packet(33), (b) => b.option(1, [104, 105]));
    ng.packet(1, 5, 7, packet(2));
    ng.section().face(1).packet(0, 1, 1, packet(14));
    made.push(ng.done());
  }
  return made;
}

const FILES = files();

function damaged(random: Random): Uint8Array {
  let b: Uint8Array = FILES[random.below(FILES.length)]!.slice();
  for (let changes = random.below(5); changes > 0; changes--) {
    const at = random.below(Math.max(1, b.length));
    const kind = random.below(5);
    if (kind === 0) b = b.slice(0, at);
    else if (kind === 1) b = Uint8Array.from([...b.subarray(0, at), ...b.subarray(random.below(b.length + 1))]);
    else if (kind === 2) b[at] = random.int32();
    else b[at] = INTERESTING[random.below(INTERESTING.length)]!;
  }
  return b;
}

/** What the parser says of `bytes`, pushed in pieces of `sizeOf()` bytes. @throws what it should not have thrown. */
function readIn(bytes: Uint8Array, sizeOf: () => number): string {
  const parser = new CaptureParser();
  const said: string[] = [];
  try {
    for (let at = 0; at < bytes.length; ) {
      const size = Math.max(1, sizeOf());
      parser.push(bytes.slice(at, at + size));
      at += size;
      for (let p = parser.next(); p !== null; p = parser.next()) said.push(`${p.bytes.length} ${p.bytes.join('.')}`);
    }
    parser.end();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    said.push('damaged');
  }
  return said.join('\n');
}

export interface CaptureTally {
  whole: number;
  damaged: number;
}

/** Runs `count` files; throws with the bytes when something is wrong. */
export function fuzzCaptures(seed: number, count: number): CaptureTally {
  const random = new Random(seed);
  const tally: CaptureTally = { whole: 0, damaged: 0 };
  for (let i = 0; i < count; i++) {
    const bytes = damaged(random);
    try {
      const atOnce = readIn(bytes, () => bytes.length);
      const inPieces = readIn(bytes, () => random.below(40));
      if (atOnce !== inPieces) throw new Error(`cutting makes a difference:\n${atOnce}\n${inPieces}`);
      if (atOnce.endsWith('damaged')) tally.damaged++;
      else tally.whole++;
    } catch (error) {
      throw new Error(`seed ${seed}, file ${i}: ${(error as Error).stack}\n${Buffer.from(bytes).toString('hex')}`);
    }
  }
  return tally;
}

function main(words: readonly string[]): void {
  const PER_SEED = 20_000;
  const sum: CaptureTally = { whole: 0, damaged: 0 };
  const executions = keepFuzzing(fuzzOptions(words), (seed, most) => {
    const tally = fuzzCaptures(seed, Math.min(PER_SEED, most));
    sum.whole += tally.whole;
    sum.damaged += tally.damaged;
    return Math.min(PER_SEED, most);
  });
  console.log(JSON.stringify({ executions, ...sum }, null, 2));
}

if (require.main === module) main(process.argv.slice(2));
