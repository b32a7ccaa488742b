import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How long a change may wait for others, in milliseconds. */
const DELAY_MS = 1000;
const FORMAT = 'tapwire-partition';
const VERSION = 1;

/** A partition's file cannot be read as one. */
export interface CorruptPartition extends Error {
  code: 'ERR_PARTITION_CORRUPT';
  path: string;
  /** Where what was found is kept. */
  keptAs: string;
}

let serial = 0;

/** Files with changes that are not on disk: written when the process ends. One listener for all. */
const unsaved = new Set<PartitionFile>();
let watching = false;

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const file of unsaved) file.flushNow();
  });
}

/**
 * The one file of a persistent partition. A reader sees what was there before, or after, and nothing in between: it is
 * written beside, synchronised and renamed. Two processes may use it; what the last one wrote is what remains.
 */
export class PartitionFile {
  /** Gives what is to be written, as JSON takes it. */
  contents: () => object = () => ({});
  private dirty = false;
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();

  constructor(readonly path: string) {}

  /**
   * What the file holds, through `read`, which throws for what it is not. None: an empty list.
   * @throws CorruptPartition, and the file has another name then: the next attempt begins afresh
   */
  load<T>(read: (contents: unknown) => T[]): T[] {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    try {
      const whole = JSON.parse(text) as { format?: unknown; version?: unknown };
      if (whole?.format !== FORMAT) throw new Error(`it does not say that it is a ${FORMAT}`);
      if (whole.version !== VERSION)
        throw new Error(`its version is ${String(whole.version)}, and this reads ${VERSION}`);
      return read(whole);
    } catch (error) {
      throw this.keepAside(error as Error);
    }
  }

  private keepAside(cause: Error): CorruptPartition {
    const keptAs = `${this.path}.corrupt-${new Date().toISOString().replace(/[:.]/g, '')}`;
    renameSync(this.path, keptAs);
    const message = `${this.path} cannot be used: ${cause.message}. It is now ${keptAs}; the partition begins empty next time`;
    return Object.assign(new Error(message, { cause }), {
      code: 'ERR_PARTITION_CORRUPT' as const,
      path: this.path,
      keptAs,
    });
  }

  /** Something changed. It is written soon, and when the process ends. */
  touch(): void {
    this.dirty = true;
    unsaved.add(this);
    watchExit();
    this.timer ??= setTimeout(() => {
      this.flush().catch((error: Error) => process.emitWarning(`${this.path}: ${error.message}`, 'PartitionWarning'));
    }, DELAY_MS).unref();
  }

  /** Resolves when all changes so far are on disk. @throws (rejects) the file system's error; the change is kept */
  flush(): Promise<void> {
    this.stopTimer();
    const written = this.writing.then(() => this.write());
    this.writing = written.catch(() => {});
    return written;
  }

  private async write(): Promise<void> {
    if (!this.dirty) return;
    this.clean();
    const beside = this.nameBeside();
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      const file = await open(beside, 'wx', 0o600);
      try {
        await file.writeFile(this.text());
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, this.path);
      const folder = await open(dirname(this.path), 'r');
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      this.touchAgain();
      await unlink(beside).catch(() => {});
      throw error;
    }
  }

  /** The same for a process that ends. Errors are told as a warning. */
  flushNow(): void {
    this.stopTimer();
    if (!this.dirty) return;
    this.clean();
    const beside = this.nameBeside();
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      const file = openSync(beside, 'wx', 0o600);
      try {
        writeFileSync(file, this.text());
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(beside, this.path);
    } catch (error) {
      process.stderr.write(`${this.path}: ${(error as Error).message}\n`);
      try {
        unlinkSync(beside);
      } catch {
        // It may never have come into being.
      }
    }
  }

  private text(): string {
    return `${JSON.stringify({ format: FORMAT, version: VERSION, ...this.contents() }, null, 1)}\n`;
  }

  private nameBeside(): string {
    return `${this.path}.${process.pid}-${++serial}.tmp`;
  }

  private clean(): void {
    this.dirty = false;
    unsaved.delete(this);
  }

  /** For the next flush, or the end: a disk that is full is not asked every second. */
  private touchAgain(): void {
    this.dirty = true;
    unsaved.add(this);
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

/** File systems allow 255 bytes, and something is appended while the file is written. */
const NAME_MAX = 150;

/** The file's name for a partition's: no name leads out of the folder, and no two names share one. */
export function fileNameOf(partition: string): string {
  const bytes = Buffer.from(partition);
  const safe = encodeURIComponent(bytes.toString()).replace(/[*.~'()!]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  if (safe.length <= NAME_MAX) return `${safe}.json`;
  return `${safe.slice(0, 60)}.${createHash('sha256').update(bytes).digest('hex')}.json`;
}
