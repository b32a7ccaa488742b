import { createHook } from 'node:async_hooks';
import tls from 'node:tls';
import { errnoOf, type NativeStream, nativeStreamClass, PieceByPiece } from '../http/native-stream';
import { isTlsStream, type TlsStream } from '../http/tls-stream';
import type { DirectConsumer } from '../net/direct';
import { TcpHandle } from '../net/handle';
import { nodeLoop } from '../net/loop';
import type { Socket } from '../net/socket';
import { nextTick } from '../net/time';
import { Http2Frames } from './http2-frames';

/**
 * Node's HTTP/2 takes a kernel's handle away from its socket, or that of TLS, and reads and writes by itself from then on.
 * Asked whether it is such a handle, one of ours says yes; when a session is about to take it, or TLS over it, it is given a
 * stream of Node's own that leads there. So sessions know the program's socket, writing, reading and closing have Node's
 * order, and what arrives is cut into frames.
 */

interface NativeSession {
  consume(stream: object): void;
  /** Gets what the socket's stream had already. */
  receive(bytes: Uint8Array): void;
}

/** What leads to a session, with all that Node calls. */
interface SessionStream extends NativeStream {
  [method: string]: unknown;
}

/** Between the handle and the stream. What arrives goes to the session: no way leads back to the socket's own stream. */
class SessionText implements DirectConsumer {
  readonly keeps = true;
  /** A write that is done. A session has one at a time. */
  private written: object | null = null;

  constructor(
    private readonly handle: TcpHandle,
    private readonly native: NativeStream,
    private readonly frames: PieceByPiece,
  ) {}

  onText(bytes: Uint8Array, at: number, end: number): number {
    this.frames.give(bytes, at, end, this.handle.host.loop);
    this.finishWrite();
    return end - at;
  }

  /** Writes as libuv does: at once what fits, and what is wrong is known at once. */
  write(request: object, chunks: Uint8Array[]): number {
    const outcome = this.handle.write(chunks, (code) => this.finish(request, code));
    if (typeof outcome === 'string') return errnoOf(outcome);
    if (outcome) {
      this.written = request;
      // Behind the ticks of what the session told while it wrote, which Node would have run by now.
      nextTick(() => this.finishWrite());
    }
    return 0;
  }

  /** Amid text the session would send between two frames what it is to send behind the last. */
  private finishWrite(): void {
    const request = this.written;
    if (request === null || this.frames.amid) return;
    this.written = null;
    this.native.finishWrite(request, 0);
  }

  private finish(request: object, code: string | null): void {
    const closed = code === null && this.handle.connection?.owner !== this.handle;
    this.native.finishWrite(request, closed ? errnoOf('ECANCELED') : code === null ? 0 : errnoOf(code));
  }

  onEnd(): void {}
  onRoom(): void {}
  onError(): void {}
  onClosed(): void {}
}

/** What a session is given, and how it is given what arrives. */
interface Taken {
  native: NativeStream;
  frames: PieceByPiece;
}

/** What a session takes in place of the handle. */
function streamOf(handle: TcpHandle): Taken {
  const native = newStream();
  const frames = new PieceByPiece(native, new Http2Frames());
  const consumer = new SessionText(handle, native, frames);
  native['isClosing'] = () => handle.connection === null;
  native['onreadstart'] = () => handle.readStart();
  native['onreadstop'] = () => handle.readStop();
  native['onwrite'] = (request: object, chunks: Uint8Array[]) => consumer.write(request, chunks);
  handle.direct = consumer;
  (handle.owner as Socket)._direct = consumer;
  return { native, frames };
}

function newStream(): SessionStream {
  const native = new (nativeStreamClass())() as SessionStream;
  // A session ends the socket, never the stream.
  native['onshutdown'] = () => errnoOf('ECANCELED');
  // What comes when the session is gone.
  native.onread = () => {};
  return native;
}

/** Node's handle of a secured socket. */
interface TlsHandle {
  _parent?: unknown;
  readStart(): number;
  readStop(): number;
  writev(request: WriteRequest, chunks: Uint8Array[], allBuffers: true): number;
}

interface WriteRequest {
  handle: object;
  oncomplete(status: number): void;
}

/** What a session takes in place of TLS that is over a socket of ours. Text comes as to any program, which runs ticks. */
function streamOfTls(handle: TlsHandle, below: TlsStream): Taken {
  const native = newStream();
  const frames = new PieceByPiece(native, new Http2Frames());
  const secured = below.secured!;
  const { push } = secured;
  native['isClosing'] = () => secured.destroyed;
  native['onreadstart'] = () => handle.readStart();
  native['onreadstop'] = () => handle.readStop();
  native['onwrite'] = (request: object, chunks: Uint8Array[]) => {
    const write = new (request.constructor as new () => WriteRequest)();
    write.handle = handle;
    write.oncomplete = (status) => native.finishWrite(request, status);
    below.writing = true;
    const errno = handle.writev(write, chunks, true);
    below.writing = false;
    return errno;
  };
  below.writing = false;
  secured.push = function (this: tls.TLSSocket, chunk: Uint8Array | null, ...more: [BufferEncoding?]): boolean {
    if (chunk === null) return push.call(this, chunk, ...more);
    frames.give(chunk, 0, chunk.length, nodeLoop);
    return true;
  };
  return { native, frames };
}

function completeSessions(prototype: NativeSession): void {
  const { consume, receive } = prototype;
  prototype.consume = function (stream: object): void {
    const below = (stream as TlsHandle)._parent;
    let taken: Taken;
    if (stream instanceof TcpHandle) taken = streamOf(stream);
    else if (isTlsStream(below)) taken = streamOfTls(stream as TlsHandle, below);
    else return consume.call(this, stream);
    const { native, frames } = taken;
    // It lives as long as the session.
    Object.defineProperty(this, 'stream', { value: native });
    this.receive = (bytes) => {
      frames.pass(bytes);
      receive.call(this, bytes);
    };
    consume.call(this, native);
  };
}

let awaited = false;

/** The first session there is shows its class to whoever watches what is made: just before it takes the handle. */
function awaitSession(): void {
  if (awaited) return;
  awaited = true;
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      if (type !== 'HTTP2SESSION') return;
      hook.disable();
      completeSessions(Object.getPrototypeOf(resource) as NativeSession);
    },
  });
  hook.enable();
}

/** The first thing that a session asks of a secured socket. */
function awaitSessionOverTls(): void {
  const prototype = tls.TLSSocket.prototype as { disableRenegotiation(): void };
  const own = prototype.disableRenegotiation;
  prototype.disableRenegotiation = function (): void {
    prototype.disableRenegotiation = own;
    awaitSession();
    own.call(this);
  };
}

/** To be called when Node's modules are replaced. */
export function serveHttp2(): void {
  awaitSessionOverTls();
  Object.defineProperties(TcpHandle.prototype, {
    /** Asked by whoever would take the handle away from its socket: HTTP/2's sessions, and Node's own HTTP/1. */
    isStreamBase: {
      get() {
        awaitSession();
        return true;
      },
      configurable: true,
    },
    /** Node's own HTTP/1 is told that somebody took it already: its parser is given what the stream gives. */
    _consumed: { value: true, writable: true, configurable: true },
  });
}
