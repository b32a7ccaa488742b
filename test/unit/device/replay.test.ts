import { openReplay, type ReplayPacket } from '../../../device/replay';
import { FRAME_BYTES_MAX } from '../../../stack/base/memory';
import { newSlab, numbered, receiveOnce, send } from './frames';

const ip = (timeMs: number, mark: number, bytes = 40): ReplayPacket => ({
  timeMs,
  bytes: numbered(bytes, mark),
  linkType: 101,
});
const ethernet = (type: readonly number[], payload: Uint8Array): Uint8Array =>
  Uint8Array.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...type, ...payload]);

/** A clock that a test moves by hand. */
class Clock {
  private time = 0;
  private readonly tasks: { at: number; task: () => void }[] = [];
  readonly now = (): number => this.time;
  readonly after = (ms: number, task: () => void): void => {
    this.tasks.push({ at: this.time + ms, task });
  };
  /** Runs what is due until `time`, a round at a time; returns how many tasks ran. */
  to(time: number): number {
    let ran = 0;
    for (;;) {
      const due = this.tasks.filter(({ at }) => at <= time);
      if (due.length === 0) break;
      this.time = Math.max(this.time, Math.min(...due.map(({ at }) => at)));
      for (const entry of due.filter(({ at }) => at <= this.time)) {
        this.tasks.splice(this.tasks.indexOf(entry), 1);
        entry.task();
        if (++ran > 1000) throw new Error('the device never rests');
      }
    }
    this.time = time;
    return ran;
  }
}

describe('packets become frames', () => {
  test('in order, in batches that the slab can hold', () => {
    const device = openReplay([ip(0, 1), ip(5, 2), ip(9, 3)]);
    const small = newSlab(FRAME_BYTES_MAX + 128);
    expect(receiveOnce(device, small).map((f) => f.bytes)).toEqual([numbered(40, 1), numbered(40, 2), numbered(40, 3)]);
    expect(device.counters).toMatchObject({ rxFrames: 3, rxBytes: 120 });
    device.close();
  });

  test('at most 128 at a time, and no more than fit', () => {
    const device = openReplay(Array.from({ length: 200 }, (_, i) => ip(i, i)));
    expect(receiveOnce(device)).toHaveLength(128);
    const small = newSlab(FRAME_BYTES_MAX + 64);
    expect(receiveOnce(device, small)).toHaveLength(2);
    expect(receiveOnce(device)).toHaveLength(70);
    expect(receiveOnce(device)).toEqual([]);
    device.close();
  });

  const six = Uint8Array.of(0x60, 1, 2, 3);
  test.each([
    ['Ethernet', 1, ethernet([8, 0], numbered(20)), numbered(20)],
    ['Ethernet, IPv6', 1, ethernet([0x86, 0xdd], six), six],
    [
      'Ethernet with two VLAN tags',
      'ethernet',
      ethernet([0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], numbered(20)),
      numbered(20),
    ],
    ['raw IP', 101, numbered(20), numbered(20)],
    ["this project's word", 'ip', numbered(20), numbered(20)],
    ['BSD loopback', 0, Uint8Array.of(2, 0, 0, 0, ...numbered(20)), numbered(20)],
    ['Linux cooked', 113, Uint8Array.from([...new Uint8Array(16), ...numbered(20)]), numbered(20)],
    ['Linux cooked 2', 276, Uint8Array.from([...new Uint8Array(20), ...numbered(20)]), numbered(20)],
  ] as const)('%s gives its IP datagram', (_what, linkType, bytes, expected) => {
    const device = openReplay([{ timeMs: 0, bytes, linkType }]);
    const [frame] = receiveOnce(device);
    expect(frame!.bytes).toEqual(expected);
    expect(frame!.at % 4).toBe(0);
    device.close();
  });

  test('what the link cannot carry is skipped and counted', () => {
    const arp = { timeMs: 0, bytes: ethernet([8, 6], numbered(28)), linkType: 1 };
    const cut = { timeMs: 0, bytes: Uint8Array.of(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0), linkType: 1 };
    const unknown = { timeMs: 0, bytes: numbered(20), linkType: 147 };
    const huge = { timeMs: 0, bytes: numbered(70_000), linkType: 101 };
    const empty = { timeMs: 0, bytes: new Uint8Array(0), linkType: 101 };
    const other = { timeMs: 0, bytes: Uint8Array.of(0x20, 0), linkType: 101 };
    const device = openReplay([arp, cut, unknown, huge, empty, other, ip(0, 1)]);
    expect(receiveOnce(device).map((f) => f.bytes)).toEqual([numbered(40, 1)]);
    expect(device.skipped).toBe(6);
    device.close();
    const onEthernet = openReplay([arp, ip(0, 1)], { linkType: 'ethernet' });
    const [frame] = receiveOnce(onEthernet);
    expect(frame!.bytes).toEqual(arp.bytes);
    expect((frame!.at + 14) % 4).toBe(0);
    receiveOnce(onEthernet);
    expect([onEthernet.skipped, onEthernet.mac]).toEqual([1, Uint8Array.of(2, 0, 0, 0, 0, 1)]);
    onEthernet.close();
  });
});

describe('timing', () => {
  const packets = [ip(1000, 1), ip(1010, 2), ip(1010, 3), ip(1050, 4)];

  test.each([
    [1, [10, 50]],
    [2, [5, 25]],
  ])('as captured, at speed %d', (speed, [second, third]) => {
    const clock = new Clock();
    clock.to(77);
    const device = openReplay(packets, { timing: 'captured', speed, clock });
    const got: [number, number][] = [];
    device.onReadable(() =>
      got.push(...receiveOnce(device).map((f): [number, number] => [clock.now() - 77, f.bytes[1]!])),
    );
    clock.to(77 + 200);
    expect(got).toEqual([
      [0, 2],
      [second, 3],
      [second, 4],
      [third, 5],
    ]);
    device.close();
  });

  test('nothing is received early, however often it is asked', () => {
    const clock = new Clock();
    const device = openReplay(packets, { timing: 'captured', clock });
    expect(receiveOnce(device)).toHaveLength(1);
    clock.to(9);
    expect(receiveOnce(device)).toHaveLength(0);
    clock.to(10);
    expect(receiveOnce(device)).toHaveLength(2);
    device.close();
  });

  test('as fast as they are taken, once a turn', () => {
    const clock = new Clock();
    const device = openReplay(packets, { clock });
    let calls = 0;
    device.onReadable(() => {
      calls++;
      receiveOnce(device);
    });
    clock.to(1);
    expect(calls).toBe(1);
    device.close();
  });
});

describe('the end', () => {
  test('is told once, after the last packet', () => {
    const clock = new Clock();
    let ends = 0;
    const device = openReplay([ip(0, 1)], { clock, onEnd: () => ends++ });
    receiveOnce(device);
    receiveOnce(device);
    receiveOnce(device);
    expect(ends).toBe(0);
    clock.to(1);
    expect(ends).toBe(1);
    device.close();
  });

  test('a source that throws ends the replay and is the failure', () => {
    function* broken(): Generator<ReplayPacket> {
      yield ip(0, 1);
      throw new Error('damaged file');
    }
    const clock = new Clock();
    const device = openReplay(broken(), { clock });
    const seen: (string | number)[] = [];
    device.onReadable(() => {
      seen.push(receiveOnce(device).length, device.failure?.message ?? 'well');
    });
    clock.to(5);
    // Once for the frame, once for the failure, and never again.
    expect(seen).toEqual([1, 'damaged file', 0, 'damaged file']);
    device.close();
  });

  test('close lets a generator close its file', () => {
    let closed = false;
    function* file(): Generator<ReplayPacket> {
      try {
        for (let i = 0; ; i++) yield ip(i, i);
      } finally {
        closed = true;
      }
    }
    const device = openReplay(file());
    receiveOnce(device);
    device.close();
    device.close();
    expect(closed).toBe(true);
    expect(receiveOnce(device)).toEqual([]);
  });
});

test('what the stack sends is counted and handed on', () => {
  const sent: Uint8Array[] = [];
  const device = openReplay([], { onTransmit: (frame) => sent.push(frame), mtu: 100 });
  expect(send(device, numbered(60, 1), numbered(101, 2), numbered(100, 3))).toBe(3);
  expect(sent).toEqual([numbered(60, 1), numbered(100, 3)]);
  expect(device.counters).toMatchObject({ txFrames: 2, txBytes: 160, txErrors: 1 });
  device.close();
  expect(send(device, numbered(60))).toBe(1);
  expect(device.counters.txErrors).toBe(2);
});

test.each([{ speed: 0 }, { speed: Number.NaN }, { speed: Infinity }, { mtu: 1 }])(
  'openReplay refuses %j',
  (options) => {
    expect(() => openReplay([], options)).toThrow(RangeError);
  },
);
