import fc from 'fast-check';
import { peek, Text } from '../../../../stack/tcp/calls';
import { everywhere, receive } from './grounds';
import type { Harness } from './harness';

/*
 * Against a model that is only a set of bytes: whatever comes in whatever order, every byte is read once, and blocks that
 * are reported are what the model holds.
 */

/** Where the model has bytes beyond the hole: [from, to) of each run. */
function runs(have: Set<number>, from: number): [number, number][] {
  const sorted = [...have].filter((n) => n >= from).sort((a, b) => a - b);
  const found: [number, number][] = [];
  for (const n of sorted) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === n) last[1]++;
    else found.push([n, n + 1]);
  }
  return found;
}

function nodesOf(t: Harness): [number, number][] {
  const { store } = t.stack.tcp;
  const found: [number, number][] = [];
  for (let node = t.c.oooHead; node >= 0; node = store.next(node)) {
    const from = (store.seq(node) - t.c.irs) | 0;
    const last = found.at(-1);
    if (last !== undefined) expect(from).toBeGreaterThanOrEqual(last[1]);
    if (last !== undefined && last[1] === from) last[1] = from + store.bytes(node);
    else found.push([from, from + store.bytes(node)]);
  }
  return found;
}

const segments = fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 60 })), {
  maxLength: 60,
});

everywhere('the reassembler agrees with a set of bytes', (g) => {
  test('for any segments in any order', () => {
    fc.assert(
      fc.property(segments, (list) => {
        const t = g.established();
        const have = new Set<number>();
        let next = 1;
        for (const [from, bytes] of list) {
          t.rx(`P. ${from}:${from + bytes}(${bytes}) ack 1 win 257`);
          for (let i = from; i < from + bytes; i++) have.add(i);
          while (have.has(next)) next++;
          expect((t.c.rcvNxt - t.c.irs) | 0).toBe(next);
          expect(t.c.readable).toBe(next - 1);
          expect(nodesOf(t)).toEqual(runs(have, next));
          expectBlocks(t, runs(have, next));
        }
        expect(t.read()).toBe(next - 1);
        t.abort();
        expect([t.stack.tcp.store.inUse, t.stack.slabs.pinned()]).toEqual([0, 0]);
      }),
      { numRuns: 40 },
    );
  });
});

everywhere('the bytes of segments that overlap', (g) => {
  test('stand where they belong, whichever copy brought them', () => {
    const text = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => (7 * (from + i)) & 255);
    const t = g.established();
    const { iss } = t.c;
    for (const [from, to] of [
      [40, 60],
      [50, 75],
      [30, 45],
      [80, 90],
      [70, 85],
      [1, 20],
      [10, 35],
    ] as const) {
      receive(t, g.frame({ flags: 16, seq: from, iss, ack: 1, text: text(from, to) }));
    }
    const read: number[] = [];
    const piece = new Text();
    while (peek(t.stack.tcp, t.c, piece)) {
      read.push(...piece.bytes.subarray(piece.at, piece.end));
      t.readSome(piece.end - piece.at);
    }
    expect(read).toEqual(text(1, 90));
  });
});

/** What would be reported is a part of what is there: each block a run, or the end of one that has grown. */
function expectBlocks(t: Harness, held: [number, number][]): void {
  for (let i = 0; i < t.c.sackRecentCount; i++) {
    const from = (t.c.sackRecent![2 * i]! - t.c.irs) | 0;
    const to = (t.c.sackRecent![2 * i + 1]! - t.c.irs) | 0;
    expect(held.some(([start, end]) => start <= from && to <= end)).toBe(true);
  }
  expect(t.c.sackRecentCount > 0).toBe(held.length > 0);
}
