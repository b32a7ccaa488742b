import { Random } from '../../stack/base/random';
import { CELLS, flowOf } from './cells';
import { receiverPort, type Side, Wire } from './wire';

/*
 * Two TUN devices joined by seeded paths: every packet is lost or kept by its flow's own generator, waits at its flow's own
 * bottleneck, and comes out half a round trip later. The sender stands on the left, the receiver on the right. Flows do not
 * disturb each other: each has its bottleneck and its numbers, so the same port meets the same fate at the same packet.
 *
 * emulator.ts: opens "emu-l" and "emu-r", says "up" to its parent, answers "counts" with packets seen by port.
 */

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

new Wire((b, at, bytes, to, now) => {
  const tcp = at + (b[at]! & 15) * 4;
  const path = pathOf(receiverPort(b, at, to), to, to === 'right' ? b[at + 15]! : b[at + 19]!);
  if (path === null) return -1;
  if (at + bytes > tcp + (b[tcp + 12]! >>> 4) * 4) path.packets++;
  return path.pass(bytes, now);
});

process.on('message', (question) => {
  if (question !== 'counts') return;
  process.send!(
    Object.fromEntries([...paths].filter(([key]) => key.includes('right')).map(([key, path]) => [key, path.packets])),
  );
});
