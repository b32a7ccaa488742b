import { Duplex } from 'node:stream';
import nodeTls from 'node:tls';
import { getSystemErrorMap } from 'node:util';
import { rootContext } from '../net/context';
import type { Loop } from '../net/loop';

/**
 * Node's stream that JavaScript stands behind. What of Node is not JavaScript, its TLS and its HTTP/2, takes one in the place
 * of a kernel's handle. One that leads to a connection of ours is written to, read from and closed like a kernel's handle.
 */
export interface NativeStream {
  /** Gets what nobody else takes. */
  onread: () => void;
  /** `bytes` arrived: whoever has the stream is given them before this returns. */
  readBuffer(bytes: Uint8Array): void;
  emitEOF(): void;
  /** The write, or the end, that `onwrite` and `onshutdown` were asked for is done, or failed: 0, or the negative number of why. */
  finishWrite(request: object, errno: number): void;
  finishShutdown(request: object, errno: number): void;
}

export type NativeStreamClass = new () => NativeStream;

/** Taken when this is loaded: a program's `tls` may get another one. */
const { TLSSocket, createSecureContext } = nodeTls;

let known: NativeStreamClass | undefined;

/** The class has no name that programs can reach: it is taken from what Node puts between TLS and any stream. */
export function nativeStreamClass(): NativeStreamClass {
  known ??= rootContext.runInAsyncScope(() => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const secured = new TLSSocket(stream, { secureContext: createSecureContext({ ca: [] }) });
    const { _handle: handle } = secured as unknown as { _handle: { _parent: { constructor: NativeStreamClass } } };
    secured.destroy();
    return handle._parent.constructor;
  });
  return known;
}

const errnos = new Map<string, number>();
for (const [errno, [code]] of getSystemErrorMap()) errnos.set(code, errno);

/** The negative number that libuv has for an error: -104 for ECONNRESET. */
export const errnoOf = (code: string): number => errnos.get(code)!;

/** Knows where text that arrives falls into pieces. */
export interface Cutter {
  /** Where the piece that begins at `at` ends, at `end` at the latest. */
  cut(bytes: Uint8Array, at: number, end: number): number;
}

/**
 * Gives a stream what arrived, piece by piece. Between any two callbacks that a kernel's handle causes, Node runs what the
 * first left behind: ticks and promise jobs. Programs and Node itself count on it (HTTP/2 tells of a response in a tick, and
 * of the text behind it at once). Inside a call of JavaScript's it does not, so it is done here.
 */
export class PieceByPiece {
  /** The stream was given a piece that others follow. */
  amid = false;

  constructor(
    private readonly stream: NativeStream,
    private readonly cutter: Cutter,
  ) {}

  /** The stream got this by another way. */
  pass(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at = this.cutter.cut(bytes, at, bytes.length);
  }

  give(bytes: Uint8Array, at: number, end: number, loop: Loop): void {
    for (let from = at; from < end; ) {
      const to = this.cutter.cut(bytes, from, end);
      this.amid = to < end;
      try {
        this.stream.readBuffer(bytes.subarray(from, to));
        if (this.amid) loop.between();
      } catch (error) {
        // Whoever has the stream has to hear of the pieces behind it all the same.
        if (loop.failed === undefined) throw error;
        loop.failed(error);
      }
      from = to;
    }
  }
}
