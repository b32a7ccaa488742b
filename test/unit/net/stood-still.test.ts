import { memoryPair } from '../../../device/memory';
import { addressOf, createHost } from '../../../net/host';
import type { Loop } from '../../../net/loop';
import { consume, peek, send, Text } from '../../../stack/tcp/calls';
import type { Connection } from '../../../stack/tcp/connection';

/** An event loop by hand: time passes, timers fire and turns are made when the test says so. */
class ManualLoop implements Loop {
  time = 1000;
  private tasks: (() => void)[] = [];
  private timers = new Map<object, { at: number; task: () => void }>();

  now(): number {
    return this.time;
  }
  timer(at: number, task: () => void): unknown {
    const key = {};
    this.timers.set(key, { at, task });
    return key;
  }
  clear(timer: unknown): void {
    this.timers.delete(timer as object);
  }
  soon(task: () => void): void {
    this.tasks.push(task);
  }
  readonly later = (task: () => void): void => {
    this.tasks.push(task);
  };
  between(): void {}

  /** One turn as libuv makes it: timers that are due, then everything else that was asked for before. */
  turn(): void {
    for (const [key, { at, task }] of [...this.timers]) {
      if (at <= this.time && this.timers.delete(key)) task();
    }
    for (const task of this.tasks.splice(0)) task();
  }
  settle(): void {
    while (this.tasks.length > 0) this.turn();
  }
}

/** A connection of which one end echoes, and the loop that both run in. */
function connected() {
  const loop = new ManualLoop();
  const [a, b] = memoryPair({ schedule: loop.later });
  const one = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1, loop });
  const two = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2, loop });
  const text = new Text();
  const echo = {
    onSignals(c: Connection): void {
      while (peek(two.stack.tcp, c, text)) {
        const taken = send(two.stack.tcp, c, text.bytes, text.at, text.end - text.at);
        consume(two.stack.tcp, c, taken, loop.time);
      }
    },
  };
  two.listen(null, 0, 7, 16, {
    onAcceptable: (listener) => {
      while (two.accept(listener, echo) !== null);
    },
  });
  const c = one.connect(addressOf('10.0.0.2'), 7, null, 0, { onSignals() {} }) as Connection;
  loop.settle();
  expect(c.state).toBe('ESTABLISHED');
  const write = (bytes = 1): void => {
    send(one.stack.tcp, c, new Uint8Array(bytes), 0, bytes);
    one.sendNow();
  };
  return { loop, one, two, c, write };
}

test('a process that stood still reads what came meanwhile before it retransmits', () => {
  const { loop, one, c, write } = connected();
  for (let sent = 1; sent <= 3; sent++) {
    write();
    // The byte is on its way; then nothing moves for longer than any retransmission timer of a link this short.
    loop.time += 700;
    loop.settle();
    expect([c.readable, one.stack.tcp.counters.retransmitted]).toEqual([sent, 0]);
  }
});

test.each([5, 10, 19, 30])('nor does a wait of %d ms let it probe for a tail that has arrived', (ms) => {
  const { loop, one, c, write } = connected();
  // A round trip is known to be short.
  for (let flights = 0; flights < 5; flights++) {
    write(20_000);
    loop.settle();
  }
  write(20_000);
  loop.time += ms;
  loop.settle();
  expect([c.readable, one.stack.tcp.counters.retransmitted]).toEqual([120_000, 0]);
});

test('but what is missing then is sent again', () => {
  const { loop, one, two, write } = connected();
  two.close();
  write();
  loop.time += 700;
  loop.settle();
  for (let turns = 0; turns < 3; turns++) loop.turn();
  expect(one.stack.tcp.counters.retransmitted).toBe(1);
});
