import { DROPS } from '../../../../stack/base/drops';
import { Trace } from '../../../../stack/base/trace';

test('keeps the newest events, in order', () => {
  const trace = new Trace(true, 4);
  for (let i = 0; i < 10; i++) trace.add('frame-in', i, 0, i, 100 + i);
  expect([...trace.events()].map(({ at, numbers }) => [at, ...numbers])).toEqual([
    [6, 6, 106],
    [7, 7, 107],
    [8, 8, 108],
    [9, 9, 109],
  ]);
  expect(trace.count).toBe(10);
});

test('the hash depends on every event, its kind, connection, numbers, time and place in the order', () => {
  const hashOf = (...events: Parameters<Trace['add']>[]): string => {
    const trace = new Trace(true, 8);
    for (const event of events) trace.add(...event);
    return trace.hash();
  };
  const base = hashOf(['frame-in', 1, 2, 3], ['frame-out', 4, 5, 6]);
  expect(hashOf(['frame-in', 1, 2, 3], ['frame-out', 4, 5, 6])).toBe(base);
  const others = [
    hashOf(['frame-out', 4, 5, 6], ['frame-in', 1, 2, 3]),
    hashOf(['frame-in', 1.001, 2, 3], ['frame-out', 4, 5, 6]),
    hashOf(['frame-in', 1, 3, 3], ['frame-out', 4, 5, 6]),
    hashOf(['frame-in', 1, 2, 4], ['frame-out', 4, 5, 6]),
    hashOf(['frame-in', 1, 2, 3, 1], ['frame-out', 4, 5, 6]),
    hashOf(['frame-in', 1, 2, 3]),
    hashOf(),
  ];
  expect(new Set([base, ...others]).size).toBe(others.length + 1);
});

test('the hash covers what the ring has forgotten', () => {
  const hashOf = (first: number): string => {
    const trace = new Trace(true, 2);
    trace.add('frame-in', 0, 0, first);
    for (let i = 0; i < 10; i++) trace.add('frame-in', i, 0, 1);
    return trace.hash();
  };
  expect(hashOf(1)).not.toBe(hashOf(2));
});

test('a drop names its reason, a listener sees every event', () => {
  const trace = new Trace(true, 4);
  const seen: string[] = [];
  const end = trace.subscribe((event) => seen.push(`${event.kind} ${event.numbers}`));
  trace.subscribe((event) => seen.push(`again ${event.numbers}`));
  trace.drop('tcp-paws', 5);
  const number = DROPS.indexOf('tcp-paws');
  expect(seen).toEqual([`drop ${number}`, `again ${number}`]);
  end();
  end();
  trace.drop('tcp-paws', 6);
  expect(seen).toHaveLength(3);
});

test('off, it holds no memory', () => {
  const trace = new Trace(false, 1 << 20);
  expect([...trace.events()]).toEqual([]);
  expect(trace.count).toBe(0);
});

test('switched on later, it keeps what happens from then on', () => {
  const trace = new Trace(false, 4);
  trace.enable();
  trace.add('frame-in', 1, 0, 2, 60);
  trace.enable();
  expect([...trace.events()]).toEqual([{ at: 1, kind: 'frame-in', connection: 0, numbers: [2, 60] }]);
});
