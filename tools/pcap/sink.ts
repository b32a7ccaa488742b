import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';

/** Where a capture's bytes go. `write` has taken all of `bytes` when it returns; the caller uses them again. */
export interface CaptureSink {
  write(bytes: Uint8Array): void;
  close?(): void;
}

const STDOUT = 1;
const BUSY_WAIT_MS = 5;
const BUSY_LIMIT_MS = 5_000;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes all of `bytes` to a descriptor before it returns. A pipe that somebody else made non-blocking answers EAGAIN
 * while its reader is slow: waited for, at most `BUSY_LIMIT_MS` without progress.
 */
export function writeFully(fd: number, bytes: Uint8Array): void {
  let done = 0;
  let waited = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done);
      waited = 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || waited >= BUSY_LIMIT_MS) throw error;
      Atomics.wait(sleeper, 0, 0, BUSY_WAIT_MS);
      waited += BUSY_WAIT_MS;
    }
  }
}

/** The system does not say which file an error is about when it comes from a descriptor. */
function about(error: unknown, path: string): unknown {
  if (typeof error === 'object' && error !== null && !('path' in error)) Object.assign(error, { path });
  return error;
}

/** Writes a whole file. Throws the system's error, which names the file. */
export function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw about(error, path);
  }
}

/** A file, a FIFO or, for "-", standard output. Synchronous, so nothing is in flight when the process is told to go. */
export class FileSink implements CaptureSink {
  private fd: number;

  /** Throws the system's error (ENOENT, EACCES, …) when the file cannot be created. */
  constructor(readonly path: string) {
    this.fd = path === '-' ? STDOUT : openSync(path, 'w', 0o644);
  }

  write(bytes: Uint8Array): void {
    try {
      writeFully(this.fd, bytes);
    } catch (error) {
      throw about(error, this.path);
    }
  }

  close(): void {
    if (this.fd > STDOUT) closeSync(this.fd);
    this.fd = -1;
  }
}

/** Keeps everything in memory: tests, and reports that carry their capture with them. */
export class MemorySink implements CaptureSink {
  private readonly chunks: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes.slice());
  }

  /** All that was written so far, in one piece. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.chunks.reduce((n, chunk) => n + chunk.length, 0));
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}
