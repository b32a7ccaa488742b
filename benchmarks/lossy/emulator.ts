import { newBatch, RX_AT, RX_BYTES, RX_FIELDS } from '../../device/device';
import { openTun } from '../../device/tun';
import { Arenas, heapRegions, SlabPool } from '../../stack/base/memory';
import { Random } from '../../stack/base/random';
import { TxQueue } from '../../stack/base/tx-queue';
import { CELLS, flowOf } from './cells';

/*
 * Two TUN devices joined by seeded paths: every packet is lost or kept by its flow's own generator, waits at its flow's own
 * bottleneck, and comes out half a round trip later. The sender stands on the left, the receiver on the right. Flows do not
 * disturb each other: each has its bottleneck and its numbers, so the same port meets the same fate at the same packet.
 *
 * emulator.ts: opens "emu-l" and "emu-r", says "up" to its parent, answers "counts" with packets seen by port.
 */

type Side = 'left' | 'right';

const left = openTun({ name: 'emu-l', offload: false, queueLength: 10_000 });
const right = openTun({ name: 'emu-r', offload: false, queueLength: 10_000 });
const slabs = new SlabPool(heapRegions, 8, false);
const queues = { left: new TxQueue(new Arenas(heapRegions)), right: new TxQueue(new Arenas(heapRegions)) };
const devices = { left, right };

/** One direction of one flow. */
class Path {
  readonly random: Random;
  /** When the bottleneck has sent all that it holds. */
  freeAt = 0;
  packets = 0;

  constructor(
    readonly delayMs: number,
    readonly lossPpm: number,
    /** Milliseconds a byte takes; 0: none. */
    readonly byteMs: number,
    readonly queue: number,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** When a packet that comes now comes out, or -1: it is lost. */
  pass(bytes: number, now: number): number {
    if (this.random.chance(this.lossPpm)) return -1;
    if (this.byteMs === 0) return now + this.delayMs;
    const start = Math.max(now, this.freeAt);
    // Full-size packets: what waits is counted in them, as a router's queue is.
    if (start - now > this.queue * 1500 * this.byteMs) return -1;
    this.freeAt = start + bytes * this.byteMs;
    return this.freeAt + this.delayMs;
  }
}

const paths = new Map<string, Path>();

/** Loss strikes both directions, the bottleneck only that of the data. */
function pathOf(port: number, to: Side, sender: number): Path | null {
  const key = `${port} ${to} ${sender}`;
  let path = paths.get(key);
  if (path !== undefined) return path;
  const flow = flowOf(port);
  if (flow === null) return null;
  const cell = CELLS[flow.cell]!;
  const byteMs = cell.rate === 0 || to === 'left' ? 0 : 8000 / cell.rate;
  path = new Path(
    cell.rttMs / 2,
    cell.lossPpm,
    byteMs,
    cell.queue,
    flow.seed * 2 + (to === 'left' ? 1 : 0) + flow.cell * 1000,
  );
  paths.set(key, path);
  return path;
}

/** Packets on their way, by the millisecond in which they come out. */
const SLOTS = 4096;
const wheel: { to: Side; bytes: Uint8Array; at: number }[][] = Array.from({ length: SLOTS }, () => []);
let waiting = 0;
let turned = Math.floor(performance.now());

function forward(from: Side): void {
  const to: Side = from === 'left' ? 'right' : 'left';
  const device = devices[from];
  const batch = newBatch(slabs.current);
  for (let round = 0; round < 4; round++) {
    slabs.rotate();
    batch.slab = slabs.current;
    const frames = device.receive(batch);
    if (frames === 0) break;
    const now = performance.now();
    for (let i = 0; i < frames * RX_FIELDS; i += RX_FIELDS)
      take(batch.slab.bytes, batch.records[i + RX_AT]!, batch.records[i + RX_BYTES]!, to, now);
  }
  deliver();
}

function take(b: Uint8Array, at: number, bytes: number, to: Side, now: number): void {
  if (b[at]! >>> 4 !== 4 || b[at + 9] !== 6) return;
  const tcp = at + (b[at]! & 15) * 4;
  const port = to === 'right' ? (b[tcp + 2]! << 8) | b[tcp + 3]! : (b[tcp]! << 8) | b[tcp + 1]!;
  const sender = to === 'right' ? b[at + 15]! : b[at + 19]!;
  const path = pathOf(port, to, sender);
  if (path === null) return;
  if (at + bytes > tcp + (b[tcp + 12]! >>> 4) * 4) path.packets++;
  const due = path.pass(bytes, now);
  if (due < 0) return;
  wheel[Math.ceil(due) % SLOTS]!.push({ to, bytes: b.slice(at, at + bytes), at: due });
  waiting++;
  if (timer === null) timer = setTimeout(tick, 1);
}

let timer: NodeJS.Timeout | null = null;

function tick(): void {
  timer = null;
  deliver();
  if (waiting > 0) timer = setTimeout(tick, 1);
}

function deliver(): void {
  const now = Math.floor(performance.now());
  if (waiting === 0) turned = now;
  for (; turned <= now; turned++) {
    const slot = wheel[turned % SLOTS]!;
    if (slot.length === 0) continue;
    for (const packet of slot) send(packet.to, packet.bytes);
    waiting -= slot.length;
    slot.length = 0;
  }
  flush('left');
  flush('right');
}

function send(to: Side, bytes: Uint8Array): void {
  const queue = queues[to];
  if (!queue.hasRoom) flush(to);
  const at = queue.begin();
  queue.header.set(bytes, at);
  queue.headers(bytes.length);
  queue.commit();
}

function flush(to: Side): void {
  const queue = queues[to];
  if (queue.frames === 0) return;
  devices[to].transmit(queue, 0, queue.frames);
  queue.clear();
}

left.onReadable(() => forward('left'));
right.onReadable(() => forward('right'));

process.on('message', (question) => {
  if (question !== 'counts') return;
  process.send!(
    Object.fromEntries([...paths].filter(([key]) => key.includes('right')).map(([key, path]) => [key, path.packets])),
  );
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
process.on('SIGTERM', () => {
  left.close();
  right.close();
  process.exit(0);
});
process.send!('up');
