/** The content coding zstd (RFC 8878), where the running Node can undo it: from 22.15 and 23.8 on. */
import { type Duplex, Transform, type TransformCallback } from 'node:stream';
import * as zlib from 'node:zlib';

/** What Node 20, whose types these are, does not know yet. */
interface Newer {
  createZstdDecompress?: (options: object) => Duplex & { bytesWritten: number };
  constants: Readonly<Record<string, number>>;
}
const { createZstdDecompress, constants } = zlib as unknown as Newer;

/** True where a body in zstd can be decoded, and so is asked for. */
export const hasZstd = typeof createZstdDecompress === 'function';

/** RFC 9659: no more memory than 2^23 bytes is needed for what is sent over HTTP. */
const WINDOW_LOG_MAX = 23;
/** RFC 8878 §3.1: how a frame begins; the first byte of one to pass over is 0x50 to 0x5f. */
const FRAME = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE = [0x50, 0x2a, 0x4d, 0x18];

/** A decoder of zstd. @throws Error where Node has none */
export function createUnzstd(): Duplex {
  return new Unzstd();
}

function frames(): ReturnType<NonNullable<Newer['createZstdDecompress']>> {
  if (createZstdDecompress === undefined) throw new Error(`Node ${process.version} does not decode zstd`);
  return createZstdDecompress({
    // A body that ends early gives what can be had of it.
    finishFlush: constants['ZSTD_e_flush'],
    params: { [constants['ZSTD_d_windowLogMax']!]: WINDOW_LOG_MAX },
  });
}

/** Node's decoder ends with the first frame that has something behind it; a body may have many (RFC 8878 §3.1). */
class Unzstd extends Transform {
  private inner = this.begin();
  /** What comes is no frame any more: it is passed over. */
  private over = false;
  private empty = true;
  private gave = false;
  /** To be called when what is being decoded has been taken. */
  private taken: TransformCallback | null = null;

  private begin(): ReturnType<typeof frames> {
    const inner = frames();
    inner.on('data', (piece: Buffer) => {
      this.gave = true;
      if (!this.push(piece)) inner.pause();
    });
    inner.on('error', (error: NodeJS.ErrnoException) => {
      // The frames before were whole: what follows them is none.
      if (this.gave && error.code === 'ZSTD_error_prefix_unknown') this.pass();
      else this.destroy(error);
    });
    return inner;
  }

  private pass(): void {
    this.over = true;
    this.done();
  }

  private done(): void {
    const { taken } = this;
    this.taken = null;
    taken?.();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.empty = false;
    if (this.over) return callback();
    this.taken = callback;
    this.feed(chunk);
  }

  private feed(bytes: Buffer): void {
    const { inner } = this;
    const before = inner.bytesWritten;
    const onEnd = (): void => {
      const rest = bytes.subarray(inner.bytesWritten - before);
      if (!beginsFrame(rest)) return this.pass();
      this.inner = this.begin();
      this.feed(rest);
    };
    inner.once('end', onEnd);
    inner.write(bytes, () => {
      inner.off('end', onEnd);
      // One that ended, or failed, calls back as well.
      if (inner === this.inner && !inner.readableEnded && !inner.destroyed) this.done();
    });
  }

  override _read(size: number): void {
    this.inner.resume();
    super._read(size);
  }

  override _flush(callback: TransformCallback): void {
    const { inner } = this;
    if (this.over || this.empty || inner.readableEnded) return callback();
    this.taken = callback;
    inner.once('end', () => this.done());
    inner.end();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.inner.destroy();
    callback(error);
  }
}

function beginsFrame(bytes: Uint8Array): boolean {
  const head = [...bytes.subarray(0, FRAME.length)];
  const skippable = head.map((byte, i) => (i === 0 ? byte & 0xf0 : byte));
  return head.every((byte, i) => byte === FRAME[i]) || skippable.every((byte, i) => byte === SKIPPABLE[i]);
}
