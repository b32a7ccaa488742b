import type { Told } from './net-play';

/*
 * What both fuzzers of behaviour do alike: play a program on Node's module and on ours until they agree or it is clear that they
 * do not, go through seeds, make what differs small, and show it.
 */

/** Who plays a program, and what of our play counts as an answer of Node's. */
export interface Stage<P> {
  onNode(program: P): Promise<Told>;
  onOurs(program: P): Promise<Told>;
  /** What of `ours` none of Node's plays told; null when all of it is as in some play of Node's. */
  differs(ours: Told, plays: readonly Told[]): string | null;
  /** Node plays a program so often before its answer is taken for the only one. */
  readonly plays: number;
}

const text = (lines: readonly string[] = []): string => lines.join('\n');

/** Whose log in `ours` is as in none of Node's plays; null: nobody's. */
export function whoDiffers(ours: Told, plays: readonly Told[]): string | null {
  const names = new Set([...Object.keys(ours.each), ...plays.flatMap((told) => Object.keys(told.each))]);
  for (const who of names) {
    if (!plays.some((told) => text(told.each[who]) === text(ours.each[who]))) return who;
  }
  return null;
}

/** Whether some play of Node's told everything in the order of `ours`. */
export const sameOrder = (ours: Told, plays: readonly Told[]): boolean =>
  plays.some((told) => text(told.all) === text(ours.all));

/**
 * Plays a program on both; null: they agree. A turn of a busy machine's may come between any two things, so both play again,
 * up to `more` times, while they differ: what counts is what comes every time.
 */
export async function playBoth<P>(
  { onNode, onOurs, differs, plays: usual }: Stage<P>,
  program: P,
  more: number,
): Promise<{ what: string; ours: Told; node: Told } | null> {
  const plays: Told[] = [];
  for (let i = 0; i < Math.min(usual, more); i++) plays.push(await onNode(program));
  let ours = await onOurs(program);
  let what = differs(ours, plays);
  for (let left = more; what !== null && left > 0; left--) {
    plays.push(await onNode(program));
    ours = await onOurs(program);
    what = differs(ours, plays);
  }
  return what === null ? null : { what, ours, node: plays[0]! };
}

/** Compares the programs of one seed after the other, until `most` findings or the time `until`. */
export async function exploreSeeds<F>(
  compare: (seed: number) => Promise<F | null>,
  { seed, count, most = 8, until = Infinity }: { seed: number; count: number; most?: number; until?: number },
): Promise<{ programs: number; findings: F[] }> {
  const findings: F[] = [];
  let programs = 0;
  while (programs < count && findings.length < most && Date.now() < until) {
    const finding = await compare(seed + programs);
    programs++;
    if (finding !== null) findings.push(finding);
  }
  return { programs, findings };
}

/** The finding with the smallest program that still shows a difference. */
export async function smallest<P, F extends { program: P }>(
  finding: F,
  smaller: (program: P) => Iterable<P>,
  compare: (program: P) => Promise<F | null>,
): Promise<F> {
  for (let best = finding; ; ) {
    let found: F | null = null;
    for (const candidate of smaller(best.program)) {
      found = await compare(candidate);
      if (found !== null) break;
    }
    if (found === null) return best;
    best = found;
  }
}

/** A finding as text: Node's lines that ours lacks with -, ours that Node lacks with +. */
export function shownLines(
  program: { readonly seed: number },
  what: string,
  ours: readonly string[],
  node: readonly string[],
): string {
  const lines = [`seed ${program.seed}: ${what}`, JSON.stringify(program)];
  for (let i = 0; i < Math.max(ours.length, node.length); i++) {
    if (ours[i] === node[i]) lines.push(`    ${ours[i]}`);
    else lines.push(`  - ${node[i] ?? ''}`, `  + ${ours[i] ?? ''}`);
  }
  return lines.join('\n');
}
