import fc from 'fast-check';
import { NEVER } from '../../../../stack/base/bytes';
import { DeadlineQueue, type Timed } from '../../../../stack/base/deadlines';
import { Random } from '../../../../stack/base/random';

class Item implements Timed {
  deadline = NEVER;
  queueIndex = -1;
  queueKey = NEVER;
  nextDeadline(): number {
    return this.deadline;
  }
}

test('the earliest true deadline comes first, whatever was told late', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(19), fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constant(NEVER)), fc.boolean()), {
        maxLength: 200,
      }),
      (steps) => {
        const queue = new DeadlineQueue<Item>();
        const items = Array.from({ length: 20 }, () => new Item());
        for (const [which, deadline, removes] of steps) {
          const item = items[which]!;
          if (removes) {
            queue.remove(item);
            item.deadline = NEVER;
          } else {
            const before = item.deadline;
            item.deadline = deadline;
            // Later deadlines need not be told.
            if (deadline < before || item.queueIndex < 0) queue.update(item, deadline);
          }
          const expected = Math.min(...items.map((other) => other.deadline));
          const due = queue.due(50);
          if (expected <= 50) expect(due!.deadline).toBe(expected);
          else expect(due).toBeNull();
          expect(queue.next()).toBe(expected);
        }
      },
    ),
  );
});

test('what is due comes in the order of true deadlines, of which one has moved later untold', () => {
  const queue = new DeadlineQueue<Item>();
  const [one, two] = [new Item(), new Item()];
  queue.update(one, (one.deadline = 10));
  queue.update(two, (two.deadline = 20));
  one.deadline = 30;
  expect(queue.due(50)).toBe(two);
});

test('removing and moving among many keeps the earliest on top', () => {
  const random = new Random(5);
  const queue = new DeadlineQueue<Item>();
  const items = Array.from({ length: 200 }, () => new Item());
  for (let i = 0; i < 20_000; i++) {
    const item = items[random.below(items.length)]!;
    if (random.chance(400_000)) {
      queue.remove(item);
      item.deadline = NEVER;
    } else {
      item.deadline = random.below(10_000);
      queue.update(item, item.deadline);
    }
    if (i % 10 === 0) expect(queue.next()).toBe(Math.min(...items.map((other) => other.deadline)));
  }
});

test('what has no deadline leaves the queue by itself', () => {
  const queue = new DeadlineQueue<Item>();
  const item = new Item();
  item.deadline = 10;
  queue.update(item, 10);
  item.deadline = NEVER;
  expect([queue.size, queue.next(), queue.size, item.queueIndex]).toEqual([1, NEVER, 0, -1]);
  queue.remove(item);
  queue.update(item, NEVER);
  expect(queue.size).toBe(0);
});

test('removing any item keeps the rest in order', () => {
  const queue = new DeadlineQueue<Item>();
  const items = Array.from({ length: 50 }, (_, i) => {
    const item = new Item();
    item.deadline = (i * 37) % 50;
    queue.update(item, item.deadline);
    return item;
  });
  for (const item of items.filter((_, i) => i % 3 === 0)) queue.remove(item);
  const order: number[] = [];
  for (let item = queue.due(NEVER); item !== null; item = queue.due(NEVER)) {
    order.push(item.deadline);
    queue.remove(item);
  }
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order.length).toBe(33);
});
