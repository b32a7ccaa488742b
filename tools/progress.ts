/** How far a transfer has come. */
export interface Transfer {
  /** Bytes so far. */
  done: number;
  /** All bytes, or null when nobody said. */
  total: number | null;
  elapsedMs: number;
}

const BAR_MIN = 10;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** "12.3 MiB" */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** "1:02", "1:00:05" */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** One line for the transfer, at most `columns` wide: a bar where the size is known, else what has come so far. */
export function progressLine(t: Transfer, columns: number): string {
  const rate = t.elapsedMs > 0 ? (t.done * 1000) / t.elapsedMs : 0;
  const speed = `${bytesText(rate)}/s`;
  if (t.total === null || t.total < t.done) return `${bytesText(t.done)}  ${speed}`.slice(0, columns);
  const part = t.total === 0 ? 1 : t.done / t.total;
  const left = rate > 0 ? durationText(((t.total - t.done) * 1000) / rate) : '-:--';
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  const figures = `${percent}  ${bytesText(t.done)} of ${bytesText(t.total)}  ${speed}  ${left}`;
  const width = columns - figures.length - 3;
  if (width < BAR_MIN) return figures.slice(0, columns);
  const filled = Math.floor(part * width);
  return `[${'='.repeat(filled)}${' '.repeat(width - filled)}]${figures.padStart(figures.length + 1)}`;
}

/** What is used of a terminal. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const COLUMNS = 80;

/** Draws the line over and over on a terminal, a few times a second; elsewhere it says nothing. */
export class ProgressBar {
  private drawnAt = -REDRAW_MS;
  private drawn = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly now: () => number = () => performance.now(),
  ) {}

  show(t: Transfer): void {
    if (this.terminal.isTTY !== true) return;
    const now = this.now();
    if (now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.draw(t);
  }

  /** Draws the last state, and leaves it there. */
  finish(t: Transfer): void {
    if (this.terminal.isTTY !== true) return;
    this.draw(t);
    this.terminal.write('\n');
    this.drawn = false;
  }

  /** Takes the line away, for a message to stand there instead. */
  clear(): void {
    if (this.drawn) this.terminal.write('\r\x1b[K');
    this.drawn = false;
  }

  private draw(t: Transfer): void {
    this.drawn = true;
    this.terminal.write(`\r${progressLine(t, (this.terminal.columns ?? COLUMNS) - 1)}\x1b[K`);
  }
}
