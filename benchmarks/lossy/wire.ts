import { newBatch, RX_AT, RX_BYTES, RX_FIELDS } from '../../device/device';
import { openTun } from '../../device/tun';
import { Arenas, heapRegions, SlabPool } from '../../stack/base/memory';
import { TxQueue } from '../../stack/base/tx-queue';

export type Side = 'left' | 'right';

/** When the packet [at, at + bytes) that comes `now` is to come out on the side `to`, or -1: it is lost. */
export type Fate = (b: Uint8Array, at: number, bytes: number, to: Side, now: number) => number;

/** Packets on their way, by the millisecond in which they come out. */
const SLOTS = 4096;

/**
 * Two TUN devices, "emu-l" and "emu-r", and what lies between, in steps of a millisecond. Started by a parent process: tells
 * it "up", and ends with it.
 */
export class Wire {
  private readonly devices = {
    left: openTun({ name: 'emu-l', offload: false, queueLength: 10_000 }),
    right: openTun({ name: 'emu-r', offload: false, queueLength: 10_000 }),
  };
  private readonly slabs = new SlabPool(heapRegions, 8, false);
  private readonly queues = {
    left: new TxQueue(new Arenas(heapRegions)),
    right: new TxQueue(new Arenas(heapRegions)),
  };
  private readonly wheel: { at: number; to: Side; bytes: Uint8Array }[][] = Array.from({ length: SLOTS }, () => []);
  private waiting = 0;
  private turned = Math.floor(performance.now());
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly fate: Fate) {
    this.devices.left.onReadable(() => this.forward('left'));
    this.devices.right.onReadable(() => this.forward('right'));
    // Whoever started it is gone.
    process.on('disconnect', () => process.exit(1));
    process.on('SIGTERM', () => {
      this.devices.left.close();
      this.devices.right.close();
      process.exit(0);
    });
    process.send!('up');
  }

  private forward(from: Side): void {
    const to: Side = from === 'left' ? 'right' : 'left';
    const batch = newBatch(this.slabs.current);
    for (let round = 0; round < 4; round++) {
      this.slabs.rotate();
      batch.slab = this.slabs.current;
      const frames = this.devices[from].receive(batch);
      if (frames === 0) break;
      const now = performance.now();
      for (let i = 0; i < frames * RX_FIELDS; i += RX_FIELDS) {
        this.take(batch.slab.bytes, batch.records[i + RX_AT]!, batch.records[i + RX_BYTES]!, to, now);
      }
    }
    this.deliver();
  }

  private take(b: Uint8Array, at: number, bytes: number, to: Side, now: number): void {
    if (b[at]! >>> 4 !== 4 || b[at + 9] !== 6) return;
    const due = this.fate(b, at, bytes, to, now);
    if (due < 0) return;
    this.wheel[Math.ceil(due) % SLOTS]!.push({ at: due, to, bytes: b.slice(at, at + bytes) });
    this.waiting++;
    this.timer ??= setTimeout(() => this.tick(), 1);
  }

  private tick(): void {
    this.timer = null;
    this.deliver();
    if (this.waiting > 0) this.timer = setTimeout(() => this.tick(), 1);
  }

  private deliver(): void {
    const now = Math.floor(performance.now());
    if (this.waiting === 0) this.turned = now;
    for (; this.turned <= now; this.turned++) {
      const slot = this.wheel[this.turned % SLOTS]!;
      if (slot.length === 0) continue;
      // What came first waited longest: without this, long ways would be ahead of short ones within each millisecond.
      slot.sort((one, other) => one.at - other.at);
      for (const packet of slot) this.send(packet.to, packet.bytes);
      this.waiting -= slot.length;
      slot.length = 0;
    }
    this.flush('left');
    this.flush('right');
  }

  private send(to: Side, bytes: Uint8Array): void {
    const queue = this.queues[to];
    if (!queue.hasRoom) this.flush(to);
    const at = queue.begin();
    queue.header.set(bytes, at);
    queue.headers(bytes.length);
    queue.commit();
  }

  private flush(to: Side): void {
    const queue = this.queues[to];
    if (queue.frames === 0) return;
    this.devices[to].transmit(queue, 0, queue.frames);
    queue.clear();
  }
}

/** The ports of a TCP packet over IPv4: the receiver's when it goes `to` the right, and comes from there. */
export function receiverPort(b: Uint8Array, at: number, to: Side): number {
  const tcp = at + (b[at]! & 15) * 4;
  return to === 'right' ? (b[tcp + 2]! << 8) | b[tcp + 3]! : (b[tcp]! << 8) | b[tcp + 1]!;
}
