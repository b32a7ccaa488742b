import type { ClientRequest } from 'node:http';
import { AckMeter } from '../net/acknowledged';

/** What `getUploadProgress` gives. */
export interface UploadProgress {
  /** The request is under way. */
  active: boolean;
  /** Something of the body has been sent. */
  started: boolean;
  /** Bytes of the body that the server's stack has acknowledged. */
  current: number;
  /** Bytes of the body; of a chunked one that goes on, those written so far. */
  total: number;
}

/** A place in the body, and the place on the wire at which it has been reached. */
interface Mark {
  readonly body: number;
  readonly wire: number;
}

/**
 * How much of a body the peer has: what it acknowledged, less the head and the chunks' own lines. Under TLS the pieces of
 * the body are counted when the last byte that they were encrypted to is acknowledged: part of a record is of no use.
 */
export class UploadMeter {
  private readonly meter: AckMeter;
  /** Ends of pieces that are not acknowledged, in order. */
  private readonly marks: Mark[] = [];
  /** End of the last piece on the wire; without TLS. */
  private wire: number;
  /** End of the last piece in the body. */
  private body = 0;
  /** Everything up to here is acknowledged. */
  private reached = 0;
  private watched = false;

  /**
   * @param request is about to send its head on `socket`
   * @param chunked pieces are sent as chunks
   * @param onProgress called when more is acknowledged
   */
  constructor(
    request: ClientRequest,
    socket: object,
    private readonly encrypted: boolean,
    private readonly chunked: boolean,
    private readonly onProgress: () => void,
  ) {
    this.meter = new AckMeter(socket);
    const head = (request as unknown as { _header: string })._header;
    this.wire = this.meter.written + Buffer.byteLength(head, 'latin1');
  }

  /** A piece is about to be written. What it gives back is to be called when the connection has taken the piece. */
  piece(bytes: number): () => void {
    this.body += bytes;
    const { body } = this;
    if (this.encrypted) return () => this.taken(body, this.meter.written);
    // RFC 9112 §7.1: the size in a line before, a line's end behind.
    this.wire += bytes + (this.chunked ? bytes.toString(16).length + 2 : 0);
    this.marks.push({ body, wire: this.wire });
    if (this.chunked) this.wire += 2;
    return () => this.watch();
  }

  private taken(body: number, wire: number): void {
    this.marks.push({ body, wire });
    this.watch();
  }

  private watch(): void {
    if (!this.watched && this.meter.isExact) {
      this.watched = true;
      this.meter.watch(this.onProgress);
    }
    this.onProgress();
  }

  /** Bytes of the body that the peer has. */
  get current(): number {
    const { acknowledged } = this.meter;
    const { marks } = this;
    let passed = 0;
    while (passed < marks.length && marks[passed]!.wire <= acknowledged) this.reached = marks[passed++]!.body;
    if (passed > 0) marks.splice(0, passed);
    const next = marks[0];
    if (next === undefined || this.encrypted) return this.reached;
    return Math.max(this.reached, next.body - (next.wire - acknowledged));
  }

  stop(): void {
    if (this.watched) this.meter.watch(null);
    this.watched = false;
  }
}
