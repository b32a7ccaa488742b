import { addressOf } from '../../net/host';
import type { SimHost } from '../../sim/sim-host';
import { createWorld, type World, type WorldOptions } from '../../sim/world';
import { consume, peek, send, shutdown, Text } from '../../stack/tcp/calls';
import { CLOSED, CONNECTED, type Connection, END, READABLE } from '../../stack/tcp/connection';

/** Sends back what comes, until the end. */
function echo(at: SimHost, port: number): void {
  const { host } = at;
  const { tcp } = at.stack;
  const text = new Text();
  const pump = (c: Connection): void => {
    while (peek(tcp, c, text)) {
      const taken = send(tcp, c, text.bytes, text.at, text.end - text.at);
      if (taken === 0) return;
      consume(tcp, c, taken, host.now());
    }
    if (c.finReceived) shutdown(tcp, c, host.now());
  };
  host.listen(null, 0, port, 16, {
    onAcceptable(listener) {
      while (host.accept(listener, { onSignals: (c) => pump(c) }) !== null);
    },
  });
}

/** Writes `bytes` bytes to an echo and resolves with how many came back when all is over. */
function ask(from: SimHost, to: string, port: number, bytes: number): Promise<number> {
  const { host } = from;
  const { tcp } = from.stack;
  const text = new Text();
  const block = new Uint8Array(bytes).fill(7);
  let written = 0;
  let back = 0;
  return new Promise((resolve, reject) => {
    const opened = host.connect(addressOf(to), port, null, 0, {
      onSignals(c, signals) {
        if (c.error !== null) return reject(new Error(c.error));
        if ((signals & CONNECTED) !== 0 || written < bytes) written += send(tcp, c, block, written, bytes - written);
        if (written === bytes) shutdown(tcp, c, host.now());
        if ((signals & (READABLE | END)) !== 0) {
          while (peek(tcp, c, text)) {
            back += text.end - text.at;
            consume(tcp, c, text.end - text.at, host.now());
          }
        }
        if ((signals & CLOSED) !== 0) resolve(back);
      },
    });
    if (typeof opened === 'string') reject(new Error(opened));
  });
}

function pair(
  options: WorldOptions,
  link: Parameters<World['link']>[0] = {},
): { world: World; a: SimHost; b: SimHost } {
  const world = createWorld(options);
  const wire = world.link({ delayMs: 20, jitterMs: 5, lossPpm: 30_000, ...link });
  const a = world.host('a', { link: wire, address: '10.0.0.1/24' });
  const b = world.host('b', { link: wire, address: '10.0.0.2/24' });
  echo(b, 7);
  return { world, a, b };
}

async function trace(seed: number, bytes = 200_000): Promise<{ hash: string; back: number; ms: number }> {
  const { world, a } = pair({ seed });
  const back = await world.until(ask(a, '10.0.0.2', 7, bytes));
  const found = { hash: world.hash(), back, ms: world.now };
  world.close();
  return found;
}

test('the same program on the in-memory wire, twice with one seed: identical trace hash', async () => {
  const [first, second, other] = [await trace(7), await trace(7), await trace(8)];
  expect(first.back).toBe(200_000);
  expect(second).toEqual(first);
  expect(other.back).toBe(200_000);
  expect(other.hash).not.toBe(first.hash);
});

test('the same program with one byte more leaves another trace', async () => {
  expect((await trace(7, 200_001)).hash).not.toBe((await trace(7)).hash);
});

describe('time', () => {
  test("is the world's: an hour takes no time, and timers come in order", async () => {
    const world = createWorld({ timers: true });
    try {
      const seen: string[] = [];
      const began = Date.now();
      setTimeout(() => seen.push(`late ${Date.now() - began} ${performance.now()}`), 3_600_000);
      setTimeout(() => seen.push('soon'), 5);
      const every = setInterval(() => seen.push('tick'), 1000);
      setTimeout(() => clearInterval(every), 2500);
      await world.run(4_000_000);
      expect(seen).toEqual(['soon', 'tick', 'tick', 'late 3600000 3600000']);
      expect(world.now).toBe(4_000_000);
    } finally {
      world.close();
    }
    expect(Date.now()).toBeGreaterThan(1_700_000_000_000);
  });

  test('what awaits goes on between two events, not after the run', async () => {
    const world = createWorld({ timers: true });
    try {
      const steps: number[] = [];
      const walk = async (): Promise<void> => {
        for (let i = 0; i < 3; i++) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          await null;
          steps.push(world.now);
        }
      };
      await world.until(walk());
      expect(steps).toEqual([10, 20, 30]);
    } finally {
      world.close();
    }
  });

  test('until() says so when nothing is left that could settle the promise', async () => {
    const world = createWorld();
    await expect(world.until(new Promise(() => {}))).rejects.toThrow('nothing is left to happen');
  });

  test('a host that is stalled does everything afterwards, in order', async () => {
    const { world, a, b } = pair({ seed: 3 }, { lossPpm: 0, jitterMs: 0 });
    world.at(10, () => b.loop.stall(500));
    const back = await world.until(ask(a, '10.0.0.2', 7, 1000));
    expect(back).toBe(1000);
    expect(world.now).toBeGreaterThan(500);
    world.close();
  });

  test("a host's clock leaps: its timers come due, its peers' do not", () => {
    const world = createWorld({ ticks: false });
    const link = world.link();
    const hosts = ['a', 'b'].map((name, i) => world.host(name, { link, address: `10.0.0.${i + 1}/24` }));
    const seen: string[] = [];
    for (const { loop, name } of hosts) loop.timer(loop.now() + 10_000, () => seen.push(`${name} at ${world.now}`));
    world.at(1000, () => hosts[0]!.loop.leap(60_000));
    world.runSync(20_000);
    expect(seen).toEqual(['a at 1000', 'b at 10000']);
    expect(() => hosts[0]!.loop.leap(-1)).toThrow(RangeError);
    world.close();
  });
});

describe('settled', () => {
  test('comes when nothing is on its way, though timers of silence remain', async () => {
    const { world, a, b } = pair({ seed: 5 }, { lossPpm: 200_000 });
    let answer = -1;
    void ask(a, '10.0.0.2', 7, 5000).then((back) => {
      answer = back;
    });
    await world.settled();
    expect(answer).toBe(5000);
    // TIME-WAIT stays.
    expect(a.stack.tcp.timeWaits.size + b.stack.tcp.timeWaits.size).toBe(1);
    expect(world.now).toBeLessThan(60_000);
    world.close();
  });
});

describe('links', () => {
  const counts = (link: Parameters<World['link']>[0], frames = 2000): { arrived: number[]; world: World } => {
    const world = createWorld({ ticks: false, seed: 11 });
    const wire = world.link(link);
    const a = world.host('a', { link: wire, address: '10.0.0.1/24' });
    world.host('b', { link: wire, address: '10.0.0.2/24' });
    const arrived: number[] = [];
    const deliver = wire.deliver.bind(wire);
    wire.deliver = (from, frame) => {
      arrived.push(frame[0]! * 256 + frame[1]!);
      deliver(from, frame);
    };
    const direction = wire.from(a.devices[0]!);
    for (let i = 0; i < frames; i++) direction.send(Uint8Array.of(i >> 8, i & 255, 0, 0));
    world.runSync(60_000);
    world.close();
    return { arrived, world };
  };

  test('a perfect one delivers everything once, in order', () => {
    expect(counts({ delayMs: 3, jitterMs: 50 }).arrived).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  test.each([
    ['loses', { lossPpm: 100_000 }, (n: number) => n > 1700 && n < 1900],
    ['duplicates', { duplicatePpm: 100_000 }, (n: number) => n > 2100 && n < 2300],
    ['is blocked', { blocked: true }, (n: number) => n === 0],
    ['has a small MTU', { mtu: 3 }, (n: number) => n === 0],
    ['has a queue', { rate: 1000, queuePackets: 10 }, (n: number) => n === 10],
  ])('one that %s', (_, link, isRight) => {
    expect(isRight(counts(link).arrived.length)).toBe(true);
  });

  test('reorders only when told to', () => {
    const { arrived } = counts({ reorderPpm: 100_000, reorderMs: 10, delayMs: 1, rate: 1e6, queuePackets: 3000 });
    expect(arrived).not.toEqual(Array.from({ length: 2000 }, (_, i) => i));
    expect([...arrived].sort((x, y) => x - y)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  test('a rate takes the time of the bits', () => {
    // 32,000 bits at 32 kbit/s.
    const { world } = counts({ rate: 32_000, queuePackets: 3000 }, 1000);
    expect(world.links[0]!.inTheAir).toBe(0);
    const begun = createWorld({ ticks: false });
    const wire = begun.link({ rate: 32_000 });
    const a = begun.host('a', { link: wire, address: '10.0.0.1/24' });
    begun.host('b', { link: wire, address: '10.0.0.2/24' });
    for (let i = 0; i < 1000; i++) wire.from(a.devices[0]!).send(new Uint8Array(4));
    begun.runSync(() => wire.inTheAir === 0);
    expect(begun.now).toBeCloseTo(1000, 6);
    begun.close();
  });

  test('options without sense are refused', () => {
    const world = createWorld();
    expect(() => world.link({ lossPpm: -1 })).toThrow('lossPpm is -1');
    expect(() => world.link({ delayMs: Number.NaN })).toThrow('delayMs is NaN');
    expect(() => world.host('x', { link: world.link() })).toThrow('needs an address');
  });
});

test('a world without ticks refuses to be awaited into, and the other way round', async () => {
  expect(() => createWorld().runSync(10)).toThrow('await world.run()');
  const world = createWorld({ eventsMax: 10_000 });
  const again = (): void => world.at(world.now, again);
  again();
  await expect(world.run(() => false)).rejects.toThrow('events and no end');
});
