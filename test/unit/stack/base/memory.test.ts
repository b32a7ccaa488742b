import fc from 'fast-check';
import {
  Arenas,
  BLOCK_SIZES,
  BlockPool,
  FRAME_BYTES_MAX,
  heapRegions,
  NONE,
  SLAB_BYTES,
  SlabPool,
} from '../../../../stack/base/memory';
import { WorkList } from '../../../../stack/base/work-list';

describe('slabs', () => {
  test('one with nothing kept is used again', () => {
    const pool = new SlabPool(heapRegions, 4, false);
    const first = pool.current;
    first.fill = SLAB_BYTES;
    expect([pool.rotate(), pool.current === first, first.fill]).toEqual([true, true, 0]);
  });

  test('one with text that is kept is filled to its end, then another is taken, up to the cap', () => {
    const pool = new SlabPool(heapRegions, 2, false);
    const [first] = pool.slabs;
    first!.refs = 1;
    first!.fill = SLAB_BYTES - FRAME_BYTES_MAX;
    expect([pool.rotate(), pool.current === first]).toEqual([true, true]);
    first!.fill++;
    expect([pool.rotate(), pool.current === first, pool.slabs.length]).toEqual([true, false, 2]);
    pool.current.refs = 1;
    pool.current.fill = SLAB_BYTES;
    expect([pool.rotate(), pool.pinned()]).toEqual([false, 2]);
    first!.refs = 0;
    expect([pool.rotate(), pool.current === first, first!.fill]).toEqual([true, true, 0]);
  });

  test('one that a view left of is never written again: it gets new memory', () => {
    const pool = new SlabPool(heapRegions, 2, true);
    const [first] = pool.slabs;
    const memory = first!.bytes;
    memory[0] = 1;
    first!.escaped = true;
    first!.fill = SLAB_BYTES;
    expect(pool.rotate()).toBe(true);
    expect(pool.current).not.toBe(first);
    pool.current.refs = 1;
    pool.current.fill = SLAB_BYTES;
    expect([pool.rotate(), pool.current === first, first!.bytes === memory, pool.replaced]).toEqual([
      true,
      true,
      false,
      1,
    ]);
    expect([memory[0], first!.escaped]).toEqual([1, false]);
  });

  test('poison shows a use after release', () => {
    const pool = new SlabPool(heapRegions, 2, true);
    pool.current.bytes.fill(7, 0, 100);
    pool.current.fill = 100;
    pool.rotate();
    expect([pool.current.bytes[0], pool.current.bytes[99], pool.current.bytes[100]]).toEqual([0xdb, 0xdb, 0]);
  });
});

describe('send blocks', () => {
  const newPool = (bytesMax = 1 << 24, poison = false): BlockPool =>
    new BlockPool(new Arenas(heapRegions), bytesMax, poison);

  test('come in three sizes, do not overlap, and are counted', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 100_000 }), fc.nat()), { maxLength: 300 }), (steps) => {
        const pool = newPool();
        const held: number[] = [];
        for (const [wanted, which] of steps) {
          if (which % 3 === 0 && held.length > 0) {
            pool.release(held.splice(which % held.length, 1)[0]!);
          } else {
            const block = pool.allocate(wanted);
            if (block === NONE) continue;
            expect(pool.capacity(block)).toBeGreaterThanOrEqual(Math.min(wanted, BLOCK_SIZES[2]));
            held.push(block);
          }
          expect(pool.inUse).toBe(held.length);
          expect(pool.bytesInUse).toBe(held.reduce((sum, block) => sum + pool.capacity(block), 0));
        }
        const places = held.map((block) => [pool.arena(block), pool.at(block), pool.capacity(block)] as const);
        places.sort((x, y) => x[0] - y[0] || x[1] - y[1]);
        for (let i = 1; i < places.length; i++) {
          const [arena, at, bytes] = places[i - 1]!;
          if (places[i]![0] === arena) expect(places[i]![1]).toBeGreaterThanOrEqual(at + bytes);
        }
      }),
    );
  });

  test('at the cap: a smaller one, then none; and it is noted that somebody waits', () => {
    const pool = newPool(BLOCK_SIZES[2] + BLOCK_SIZES[0]);
    const large = pool.allocate(100_000);
    expect([pool.capacity(large), pool.refused]).toEqual([BLOCK_SIZES[2], false]);
    expect(pool.capacity(pool.allocate(100_000))).toBe(BLOCK_SIZES[0]);
    expect([pool.allocate(1), pool.refused, pool.hasRoom]).toEqual([NONE, true, false]);
    pool.release(large);
    expect(pool.hasRoom).toBe(true);
  });

  test('half of the memory is for first blocks: who came early with much does not starve those who come late', () => {
    const bytesMax = 1 << 20;
    const pool = newPool(bytesMax);
    const FIRST = 2048;
    // A few come early and take all that they get.
    pool.clients = pool.holders = 8;
    while (pool.allocate(65_536, false) !== NONE);
    expect(pool.bytesInUse).toBeGreaterThan(bytesMax / 2 - 65_536);
    expect(pool.bytesInUse).toBeLessThanOrEqual(bytesMax / 2 + 8 * FIRST);
    // Then many come, one after the other, each for a first block; whoever is there already gets no more.
    for (let late = 0; late < bytesMax / 2 / FIRST - 8; late++) {
      pool.clients++;
      expect(pool.allocate(FIRST)).not.toBe(NONE);
      pool.holders++;
      expect(pool.allocate(FIRST, false)).toBe(NONE);
    }
  });

  test('one given back while frames wait that may point into it is used again when they are gone', () => {
    const pool = newPool(1 << 24, true);
    const queue = { frames: 1 };
    pool.queues.push(queue);
    const block = pool.allocate(10);
    pool.bytesOf(block)[pool.at(block)] = 42;
    pool.release(block);
    pool.settle();
    expect([pool.inUse, pool.bytesOf(block)[pool.at(block)], pool.allocate(10) === block]).toEqual([1, 42, false]);
    queue.frames = 0;
    pool.settle();
    expect([pool.inUse, pool.bytesOf(block)[pool.at(block)], pool.allocate(10)]).toEqual([1, 0xdb, block]);
  });

  test('one is given back once', () => {
    const pool = newPool();
    const block = pool.allocate(1);
    pool.release(block);
    expect(() => pool.release(block)).toThrow('released once');
  });
});

test('a work list keeps its order while it grows and wraps', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 400 }), (steps) => {
      const list = new WorkList<{ n: number }>(2);
      const model: { n: number }[] = [];
      let n = 0;
      for (const adds of steps) {
        if (adds) {
          const item = { n: n++ };
          list.add(item);
          model.push(item);
        } else {
          expect(list.take()).toBe(model.shift() ?? null);
        }
        expect(list.size).toBe(model.length);
      }
    }),
  );
});
