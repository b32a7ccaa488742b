import type { ClientRequest } from 'node:http';
import type { UploadMeter } from './progress';

/** Where a producer of a chunked body is asked to wait. */
const HIGH_WATER = 64 * 1024;
/** A piece for the connection: a TLS record's worth four times, so that progress is seen in steps. */
const PIECE_BYTES = 64 * 1024;
/** So much of a chunked body is kept for redirects and challenges; one that grows beyond cannot be sent again. */
export const REPLAY_MAX = 32 * 1024 * 1024;

type Done = () => void;

/**
 * The body of a request. It is kept, since a redirect or a challenge can ask for it again: all of it when its length is
 * announced, up to `REPLAY_MAX` when it is sent as it comes.
 */
export class Upload {
  /** The first chunk that is still kept has the number `dropped`. */
  private chunks: Buffer[] = [];
  private dropped = 0;
  private waiting: Done | null = null;
  /** Given so far. */
  bytes = 0;
  ended = false;
  /** It is sent as it comes, without a length. */
  chunked = false;
  private unwanted = false;
  /** Sends it now. */
  pump: UploadPump | null = null;

  /** Adds a chunk, which is copied: the caller may use it again. `done` is called when more may come. */
  write(chunk: Uint8Array, done: Done): void {
    if (this.unwanted) return done();
    if (chunk.length > 0) this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    this.pump?.run();
    const unsent = this.bytes - (this.pump?.sent ?? 0);
    if (!this.chunked || unsent < HIGH_WATER) done();
    else this.waiting = done;
  }

  end(): void {
    this.ended = true;
    this.pump?.run();
  }

  /** False: its beginning is gone. */
  get rewindable(): boolean {
    return this.dropped === 0;
  }

  /** Everything, when that is known. */
  get whole(): Iterable<Uint8Array> | null {
    return this.ended && this.rewindable ? this.chunks : null;
  }

  /** Chunk `index`, or undefined when it has not been written yet. */
  at(index: number): Buffer | undefined {
    return this.chunks[index - this.dropped];
  }

  /** Everything before chunk `index` has been handed to a connection, `sent` bytes. */
  passed(index: number, sent: number): void {
    if (this.chunked && this.bytes > REPLAY_MAX) {
      this.chunks.splice(0, index - this.dropped);
      this.dropped = index;
    }
    if (this.waiting === null || this.bytes - sent >= HIGH_WATER) return;
    const done = this.waiting;
    this.waiting = null;
    done();
  }

  /** Nobody will send any more of it; what is still written goes nowhere. */
  release(): void {
    this.pump = null;
    this.unwanted = true;
    this.chunks = [];
    const done = this.waiting;
    this.waiting = null;
    done?.();
  }
}

/** Sends an upload on one request: piece by piece, as the connection takes it. */
export class UploadPump {
  /** Bytes of the body given to the request. */
  sent = 0;
  private index = 0;
  private at = 0;
  private full = false;
  private stopped = false;
  /** `end` was called: the request is all out. */
  finished = false;
  private readonly onDrain = (): void => {
    this.full = false;
    this.run();
  };

  constructor(
    private readonly upload: Upload,
    private readonly request: ClientRequest,
    private readonly meter: UploadMeter,
  ) {
    request.on('drain', this.onDrain);
    upload.pump = this;
  }

  run(): void {
    const { upload, request } = this;
    while (!this.full && !this.stopped) {
      const chunk = upload.at(this.index);
      if (chunk === undefined) break;
      const piece = chunk.subarray(this.at, this.at + PIECE_BYTES);
      this.at += piece.length;
      this.sent += piece.length;
      if (this.at === chunk.length) {
        this.index++;
        this.at = 0;
      }
      this.full = !request.write(piece, this.meter.piece(piece.length));
      // May bring the next chunk, and with it another run.
      upload.passed(this.index, this.sent);
    }
    if (this.full || this.stopped || this.finished || !upload.ended || upload.at(this.index) !== undefined) return;
    this.finished = true;
    request.end();
  }

  stop(): void {
    this.stopped = true;
    this.request.removeListener('drain', this.onDrain);
    if (this.upload.pump === this) this.upload.pump = null;
  }
}
