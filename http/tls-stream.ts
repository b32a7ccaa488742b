import type * as NodeNet from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { DirectConsumer } from '../net/direct';
import { noticedException } from '../net/errors';
import { type HandleOwner, type SocketName, TcpHandle } from '../net/handle';
import type { KernelHandle } from '../net/kernel-handle';
import { type Loop, nodeLoop } from '../net/loop';
import { errnoOf, type NativeStream, type NativeStreamClass, nativeStreamClass, PieceByPiece } from './native-stream';
import { TlsRecords } from './tls-records';

/** A socket of a stack of ours, as TLS is put over it. */
export interface OurSocket extends NodeNet.Socket {
  attachDirect?: unknown;
  _handle?: TcpHandle | KernelHandle | null;
  _unrefTimer(): void;
}

/** A secured socket of Node's. */
export interface Secured extends TLSSocket {
  _writableState: { sync: boolean };
}

/** What Node's TLS takes in the place of a kernel's handle: it leads to the handle of a socket of ours. */
export interface TlsStream extends NativeStream {
  readonly socket: OurSocket;
  /** Null until it is made. */
  secured: Secured | null;
  /** Whether TLS is being given a program's text; null where the secured socket's own stream knows. */
  writing: boolean | null;
  /** From now on what arrives at the socket is TLS's. */
  attach(): void;
}

type TlsStreamClass = new (socket: OurSocket) => TlsStream;

/** So many writes may go out inside one another: TLS hands over what it encrypted in parts. */
const DEPTH = 16;

function isEmpty(chunks: readonly Uint8Array[]): boolean {
  for (const chunk of chunks) if (chunk.length > 0) return false;
  return true;
}

function defineStream(Native: NativeStreamClass): TlsStreamClass {
  return class extends Native implements TlsStream, HandleOwner, DirectConsumer {
    readonly keeps = true;
    secured: Secured | null = null;
    writing: boolean | null = null;
    private handle: TcpHandle | KernelHandle | null = null;
    private reads = false;
    /** A write is not done yet; those behind it, and the end, wait for it. */
    private busy = false;
    private waiting: [request: object, chunks: Uint8Array[]][] | null = null;
    private end: object | null = null;
    private depth = 0;
    private arriving = false;
    /** A write that was made amid what arrives: it is done behind it, and behind the ticks that this left. */
    private late: object | null = null;
    private readonly records = new PieceByPiece(this, new TlsRecords());

    constructor(readonly socket: OurSocket) {
      super();
      this.onread = () => {};
      if (socket.connecting || !socket._handle) socket.once('connect', () => this.attach());
      else this.handle = socket._handle;
    }

    private get loop(): Loop {
      return this.handle?.host?.loop ?? nodeLoop;
    }

    attach(): void {
      const { _handle: handle } = this.socket;
      // It was not secured after all, or did not live so long.
      if (this.secured === null || !handle) return;
      this.handle = handle;
      handle.owner = this;
      if (handle instanceof TcpHandle) handle.direct = this;
      if (this.reads) handle.readStart();
    }

    // ── what Node calls ──

    isClosing(): boolean {
      return this.socket.destroyed;
    }

    onreadstart(): number {
      this.reads = true;
      return this.handle?.owner === this ? this.handle.readStart() : 0;
    }

    onreadstop(): number {
      this.reads = false;
      return this.handle?.owner === this ? this.handle.readStop() : 0;
    }

    onwrite(request: object, chunks: Uint8Array[]): number {
      if (!this.busy) return this.send(request, chunks);
      this.waiting ??= [];
      this.waiting.push([request, chunks]);
      return 0;
    }

    private send(request: object, chunks: Uint8Array[]): number {
      const { handle } = this;
      if (handle === null) return errnoOf('EBADF');
      this.socket._unrefTimer();
      const outcome = handle.write(chunks, (code) => this.sent(request, code));
      if (typeof outcome === 'string') return errnoOf(outcome);
      if (outcome && this.mayFinishAtOnce && !isEmpty(chunks)) {
        this.depth++;
        this.finishWrite(request, 0);
        this.depth--;
        return 0;
      }
      this.busy = true;
      if (!outcome) return 0;
      if (this.arriving) this.late = request;
      else this.loop.later(() => this.sent(request, null));
      return 0;
    }

    /**
     * To TLS a write to a kernel is done in the next check phase, before what setImmediate was asked for. While it is being
     * given a program's text it sees to that itself, when all was sent meanwhile: not amid what arrives, behind which it looks
     * once more.
     */
    private get mayFinishAtOnce(): boolean {
      return this.depth < DEPTH && !this.arriving && (this.writing ?? this.secured?._writableState.sync ?? true);
    }

    private sent(request: object, code: string | null): void {
      this.busy = false;
      const { handle } = this;
      const closed = code === null && handle instanceof TcpHandle && handle.connection?.owner !== handle;
      this.finish(request, closed ? errnoOf('ECANCELED') : code === null ? 0 : errnoOf(code));
      while (!this.busy && this.waiting !== null && this.waiting.length > 0) {
        const [next, chunks] = this.waiting.shift()!;
        const errno = this.send(next, chunks);
        if (errno !== 0) this.finish(next, errno);
      }
      if (this.busy || this.end === null) return;
      const end = this.end;
      this.end = null;
      const errno = this.onshutdown(end);
      if (errno !== 0) this.finishShutdown(end, errno);
    }

    /** Behind what arrived. */
    private settle(): void {
      if (this.late === null) return;
      this.guarded(() => this.loop.between());
      for (let request = this.late as object | null; request !== null; request = this.late) {
        this.late = null;
        this.sent(request, null);
      }
    }

    /** A program that throws harms nobody else. */
    private guarded(call: () => void): void {
      const { loop } = this;
      try {
        call();
      } catch (error) {
        if (loop.failed === undefined) throw error;
        loop.failed(error);
      }
    }

    private finish(request: object, errno: number): void {
      this.guarded(() => this.finishWrite(request, errno));
    }

    onshutdown(request: object): number {
      const { handle } = this;
      if (handle === null || this.socket.destroyed) return errnoOf('ENOTCONN');
      if (this.busy) this.end = request;
      else handle.shutdown(() => this.finishShutdown(request, 0));
      return 0;
    }

    close(done: () => void): void {
      this.socket.once('close', done);
      this.socket.destroy();
    }

    ref(): void {
      this.socket.ref();
    }

    unref(): void {
      this.socket.unref();
    }

    setNoDelay(on: boolean): number {
      this.socket.setNoDelay(on);
      return 0;
    }

    /** @param delay in seconds */
    setKeepAlive(on: boolean, delay: number): number {
      this.socket.setKeepAlive(on, delay * 1000);
      return 0;
    }

    getsockname(out: Partial<SocketName>): number {
      const { _handle: handle } = this.socket;
      return handle instanceof TcpHandle ? handle.getsockname(out) : errnoOf('EBADF');
    }

    getpeername(out: Partial<SocketName>): number {
      const { _handle: handle } = this.socket;
      return handle instanceof TcpHandle ? handle.getpeername(out) : errnoOf('EBADF');
    }

    // ── what the handle tells ──

    /** Whom tools name that list what is open. */
    get standsFor(): object {
      return this.socket;
    }

    onText(bytes: Uint8Array, at: number, end: number): number {
      this.arriving = true;
      try {
        this.records.give(bytes, at, end, this.loop);
        this.settle();
      } finally {
        this.arriving = false;
      }
      return end - at;
    }

    handleText(chunk: Buffer): boolean {
      this.onText(chunk, 0, chunk.length);
      return true;
    }

    handleEnd(): void {
      this.emitEOF();
    }

    handleFailed(code: string, syscall = 'read'): void {
      this.secured!.destroy(noticedException(code, syscall));
    }

    handleAbandoned(): void {
      this.socket.destroy();
    }

    handleActive(): void {
      this.socket._unrefTimer();
    }

    handleConnected(): void {}
    handleFilled(): boolean {
      return true;
    }
    onEnd(): void {}
    onRoom(): void {}
    onError(): void {}
    onClosed(): void {}
  };
}

let Stream: TlsStreamClass | undefined;

export function tlsStreamOver(socket: OurSocket): TlsStream {
  Stream ??= defineStream(nativeStreamClass());
  return new Stream(socket);
}

/** Whether TLS is over a socket of ours. */
export const isTlsStream = (object: unknown): object is TlsStream => Stream !== undefined && object instanceof Stream;
