import fc from 'fast-check';
import { Address } from '../../../../stack/base/address';
import { Random, Secret } from '../../../../stack/base/random';
import { ConnectionTable, type TableEntry } from '../../../../stack/tcp/table';

class Entry implements TableEntry {
  hash = 0;
  slot = -1;
  constructor(
    readonly local: Address,
    readonly localPort: number,
    readonly remote: Address,
    readonly remotePort: number,
  ) {}
}

const LOCAL = Address.v4(0x0a000001);
const newTable = (seed = 1): ConnectionTable<Entry> => new ConnectionTable<Entry>(Secret.from(new Random(seed)));
const find = (table: ConnectionTable<Entry>, e: Entry): Entry | null =>
  table.lookup(e.local, e.localPort, e.remote, e.remotePort);

test('finds what was put in, and nothing that was taken out, in whatever order', () => {
  const step = fc.tuple(fc.boolean(), fc.nat(3), fc.nat(30), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 500 }), (steps) => {
      const table = newTable();
      const model = new Map<string, Entry>();
      for (const [adds, host, port, six] of steps) {
        const remote = six ? new Address(6, 0x20010db8, host, 0, 1) : Address.v4(0x0a000002 + host);
        const local = six ? new Address(6, 0x20010db8, 0, 0, 2) : LOCAL;
        const key = `${remote} ${port}`;
        const known = model.get(key);
        if (adds && known === undefined) {
          const entry = new Entry(local, 80, remote, port);
          table.insert(entry);
          model.set(key, entry);
        } else if (!adds && known !== undefined) {
          table.remove(known);
          model.delete(key);
          expect(find(table, known)).toBeNull();
        }
        expect(table.size).toBe(model.size);
      }
      for (const entry of model.values()) expect(find(table, entry)).toBe(entry);
      expect(new Set(table)).toEqual(new Set(model.values()));
    }),
  );
});

test('a long life of opening and closing, with as many collisions as there are', () => {
  const random = new Random(11);
  const table = newTable();
  const entries = Array.from({ length: 400 }, (_, i) => new Entry(LOCAL, 80, Address.v4(0x0a000002 + (i % 7)), i));
  const inside = new Set<Entry>();
  for (let i = 0; i < 40_000; i++) {
    const entry = entries[random.below(entries.length)]!;
    if (inside.delete(entry)) {
      table.remove(entry);
    } else {
      table.insert(entry);
      inside.add(entry);
    }
    if (i % 50 === 0)
      expect(entries.filter((other) => (find(table, other) === other) !== inside.has(other))).toEqual([]);
  }
  expect(table.size).toBe(inside.size);
});

test('each of the four parts tells connections apart', () => {
  const table = newTable();
  const entry = new Entry(LOCAL, 80, Address.v4(0x0a000002), 5000);
  table.insert(entry);
  for (const other of [
    new Entry(Address.v4(0x0a000009), 80, entry.remote, 5000),
    new Entry(LOCAL, 81, entry.remote, 5000),
    new Entry(LOCAL, 80, Address.v4(0x0a000003), 5000),
    new Entry(LOCAL, 80, entry.remote, 5001),
  ]) {
    expect(find(table, other)).toBeNull();
  }
  expect(find(table, entry)).toBe(entry);
});

test('removing twice does no harm', () => {
  const table = newTable();
  const entry = new Entry(LOCAL, 80, Address.v4(1), 1);
  table.insert(entry);
  table.remove(entry);
  table.remove(entry);
  expect(table.size).toBe(0);
});

test('sixty thousand connections spread: hashes of neighbours are unrelated, and differ with the secret', () => {
  const hashes = (seed: number): number[] => {
    const table = newTable(seed);
    return Array.from({ length: 60_000 }, (_, port) => table.hashEntry(LOCAL, 80, Address.v4(0x0a000002), port));
  };
  const one = hashes(1);
  const buckets = new Array<number>(1024).fill(0);
  for (const hash of one) buckets[hash & 1023]!++;
  // About 59 each; by chance alone hardly one goes beyond 100.
  expect(Math.max(...buckets)).toBeLessThan(110);
  expect(Math.min(...buckets)).toBeGreaterThan(20);
  const two = hashes(2);
  expect(one.filter((hash, i) => hash === two[i]).length).toBeLessThan(5);
});
