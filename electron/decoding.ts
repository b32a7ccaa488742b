/** Content codings of responses (RFC 9110 §8.4), as Chromium's network stack undoes them. */
import { type Duplex, Transform, type TransformCallback } from 'node:stream';
import { constants, createBrotliDecompress, createInflate, createInflateRaw } from 'node:zlib';
import { isTrustworthy } from './referrer';
import { createUnzstd, hasZstd } from './zstd';

/** What is asked for where nobody on the way can see it. */
const ALL_CODINGS = hasZstd ? 'gzip, deflate, br, zstd' : 'gzip, deflate, br';

/** What Accept-Encoding says unless the application set it. Parts of a coded body are of no use: a range is asked for as it is. */
export function acceptEncoding(url: URL, isRange: boolean): string {
  if (isRange) return 'identity';
  // Middleboxes that do not know the newer ones break them, where they can look into them.
  return isTrustworthy(url) ? ALL_CODINGS : 'gzip, deflate';
}

const MAKERS: Readonly<Record<string, () => Duplex>> = {
  gzip: () => new Inflating(gzipMember),
  'x-gzip': () => new Inflating(gzipMember),
  deflate: () => new Inflating(deflated),
  // A body that ends early gives what can be had of it, as with the others.
  br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
  ...(hasZstd ? { zstd: createUnzstd } : {}),
};
const CODINGS_MAX = 5;

/**
 * The decoders for a Content-Encoding field, in the order in which a body goes through them. None where there is no coding,
 * one that is not known, or more than anybody applies: then the body stays as it is.
 */
export function decodersFor(field: string | undefined): Duplex[] {
  const codings = (field ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '');
  if (codings.length > CODINGS_MAX || !codings.every((coding) => Object.hasOwn(MAKERS, coding))) return [];
  return codings.reverse().map((coding) => MAKERS[coding]!());
}

/** What a coded body turned out to be: how many bytes to pass over, and what undoes the rest. Null: more has to be seen. */
type Begin = (head: Uint8Array) => { skip: number; inflate: Duplex } | null;

const lenient = { finishFlush: constants.Z_SYNC_FLUSH };

/** RFC 1950, or, as some servers send it, RFC 1951 bare: the first byte of a zlib stream names the method. */
const deflated: Begin = (head) => ({
  skip: 0,
  inflate: (head[0]! & 0x0f) === 8 ? createInflate(lenient) : createInflateRaw(lenient),
});

const gzipMember: Begin = (head) => {
  const skip = gzipHead(head);
  return skip === null ? null : { skip, inflate: createInflateRaw(lenient) };
};

const GZIP_FIXED = 10;
/** No honest name or comment is longer than this. */
const GZIP_HEAD_MAX = 256 * 1024;

/**
 * RFC 1952 §2.3: where a member's head ends; null before its end has been seen.
 * @throws Error code Z_DATA_ERROR for what is no head
 */
function gzipHead(bytes: Uint8Array): number | null {
  if (bytes[0] !== 0x1f || (bytes.length > 1 && bytes[1] !== 0x8b) || (bytes.length > 2 && bytes[2] !== 8)) {
    throw dataError('this is not gzip');
  }
  if (bytes.length > GZIP_HEAD_MAX) throw dataError('the head of the gzip member is too long');
  if (bytes.length < GZIP_FIXED) return null;
  const [headCrc, extra, name, comment] = [2, 4, 8, 16].map((bit) => (bytes[3]! & bit) !== 0);
  let at = GZIP_FIXED;
  if (extra) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
  for (const isThere of [name, comment]) {
    if (!isThere) continue;
    const end = bytes.indexOf(0, at);
    if (end < 0) return null;
    at = end + 1;
  }
  if (headCrc) at += 2;
  return at <= bytes.length ? at : null;
}

const dataError = (message: string): Error => Object.assign(new Error(message), { code: 'Z_DATA_ERROR' });

/** An inflater that is chosen by what comes. What follows the end of the coded body is passed over. */
class Inflating extends Transform {
  private inner: Duplex | null = null;
  private head = Buffer.alloc(0);

  constructor(private readonly begin: Begin) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (this.inner !== null) {
      this.inner.write(chunk, () => callback());
      return;
    }
    // Nothing says nothing of what it is.
    if (chunk.length === 0) return callback();
    this.head = Buffer.concat([this.head, chunk]);
    let begun: ReturnType<Begin>;
    try {
      begun = this.begin(this.head);
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (begun === null) return callback();
    const rest = this.head.subarray(begun.skip);
    this.inner = begun.inflate;
    this.inner.on('data', (piece: Buffer) => {
      if (!this.push(piece)) this.inner!.pause();
    });
    this.inner.on('error', (error) => this.destroy(error));
    this.inner.write(rest, () => callback());
  }

  override _read(size: number): void {
    this.inner?.resume();
    super._read(size);
  }

  override _flush(callback: TransformCallback): void {
    const { inner } = this;
    if (inner === null || inner.readableEnded) return callback();
    inner.once('end', () => callback());
    inner.end();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.inner?.destroy();
    callback(error);
  }
}
