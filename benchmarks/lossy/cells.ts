/** A path that flows are raced over. A flow's destination port names its cell, its seed and the emulator's randomness. */
export interface Cell {
  readonly rttMs: number;
  readonly lossPpm: number;
  /** Bits a second of the bottleneck; 0: none. */
  readonly rate: number;
  /** Packets that wait at the bottleneck. */
  readonly queue: number;
  readonly congestion: 'cubic' | 'bbr';
}

const LOSSES = [0, 1000, 10_000, 30_000];
const RTTS = [20, 100];

const grid = (rate: number, congestion: Cell['congestion']): Cell[] =>
  RTTS.flatMap((rttMs) => LOSSES.map((lossPpm) => ({ rttMs, lossPpm, rate, queue: 256, congestion })));

/** Unlimited and behind 100 Mbit/s, both with CUBIC; then behind the bottleneck with BBR. */
export const CELLS: readonly Cell[] = [...grid(0, 'cubic'), ...grid(100_000_000, 'cubic'), ...grid(100_000_000, 'bbr')];

export const SEEDS_MAX = 16;
const FIRST_PORT = 10_000;

export const portOf = (cell: number, seed: number): number => FIRST_PORT + cell * SEEDS_MAX + seed;

export function flowOf(port: number): { cell: number; seed: number } | null {
  const n = port - FIRST_PORT;
  const cell = Math.floor(n / SEEDS_MAX);
  return n < 0 || cell >= CELLS.length ? null : { cell, seed: n % SEEDS_MAX };
}

export function cellName(cell: Cell): string {
  const limit = cell.rate === 0 ? '' : `, ${cell.rate / 1e6} Mbit/s`;
  return `${cell.congestion.toUpperCase()}, RTT ${cell.rttMs} ms${limit}, loss ${cell.lossPpm / 10_000} %`;
}

/** Text of one flow, and what a segment of it carries over a path of 1500 bytes with timestamps. */
export const FLOW_BYTES = 10_000_000;
export const SEGMENT_BYTES = 1448;
