import { createHook } from 'node:async_hooks';
import { Duplex } from 'node:stream';
import { getSystemErrorMap } from 'node:util';
import { rootContext } from '../net/context';
import type { DirectConsumer } from '../net/direct';
import { TcpHandle } from '../net/handle';
import type { Socket } from '../net/socket';
import { nextTick } from '../net/time';
import { Http2Frames } from './http2-frames';

/**
 * Node's HTTP/2 takes a kernel's handle away from its socket, and reads and writes by itself from then on. Asked whether it is
 * such a handle, one of ours says yes; when a session is about to take it, it is given a stream of Node's own that leads to
 * the connection. So sessions know the program's socket, and writing, reading and closing have Node's order.
 */

/** Node's stream that JavaScript stands behind. */
interface NativeStream {
  readBuffer(bytes: Uint8Array): void;
  finishWrite(request: object, errno: number): void;
  [method: string]: unknown;
}

type NativeStreamClass = new () => NativeStream;

interface NativeSession {
  consume(stream: object): void;
}

/** The class has no name that programs can reach. Null where Node no longer shows what is made of it. */
function nativeStreamClass(): NativeStreamClass | null {
  const { emitWarning } = process;
  // That the module is deprecated is no news to the program.
  process.emitWarning = () => {};
  try {
    const StreamWrap = require('node:_stream_wrap') as new (stream: Duplex) => { _handle: object; destroy(): void };
    return rootContext.runInAsyncScope(() => {
      const wrap = new StreamWrap(new Duplex({ read() {}, write() {} }));
      const { constructor: Native } = wrap._handle;
      wrap.destroy();
      return Native as NativeStreamClass;
    });
  } catch {
    return null;
  } finally {
    process.emitWarning = emitWarning;
  }
}

const errnos = new Map<string, number>();
for (const [errno, [code]] of getSystemErrorMap()) errnos.set(code, errno);
const ECANCELED = errnos.get('ECANCELED')!;

/** Between the handle and the stream. What arrives goes to the session: no way leads back to the socket's own stream. */
class SessionText implements DirectConsumer {
  readonly keeps = true;
  private readonly frames = new Http2Frames();
  /** Frames are told of which others follow. */
  private amid = false;
  /** A write that is done. A session has one at a time. */
  private written: object | null = null;

  constructor(
    private readonly handle: TcpHandle,
    private readonly native: NativeStream,
  ) {}

  onText(bytes: Uint8Array, at: number, end: number): number {
    const { loop } = this.handle.host;
    for (let from = at; from < end; ) {
      const to = this.frames.cut(bytes, from, end);
      this.amid = to < end;
      try {
        this.native.readBuffer(bytes.subarray(from, to));
        if (this.amid) loop.between();
      } catch (error) {
        // The session has to hear of the frames behind it all the same.
        loop.failed!(error);
      }
      from = to;
    }
    this.finishWrite();
    return end - at;
  }

  /** Writes as libuv does: at once what fits, and what is wrong is known at once. */
  write(request: object, chunks: Uint8Array[]): number {
    const outcome = this.handle.write(chunks, (code) => this.finish(request, code));
    if (typeof outcome === 'string') return errnos.get(outcome)!;
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
    if (request === null || this.amid) return;
    this.written = null;
    this.native.finishWrite(request, 0);
  }

  private finish(request: object, code: string | null): void {
    const closed = code === null && this.handle.connection?.owner !== this.handle;
    this.native.finishWrite(request, closed ? ECANCELED : code === null ? 0 : errnos.get(code)!);
  }

  onEnd(): void {}
  onRoom(): void {}
  onError(): void {}
  onClosed(): void {}
}

/** What a session takes in place of the handle. */
function streamOf(handle: TcpHandle, Native: NativeStreamClass): NativeStream {
  const native = new Native();
  const consumer = new SessionText(handle, native);
  native['isClosing'] = () => handle.connection === null;
  native['onreadstart'] = () => handle.readStart();
  native['onreadstop'] = () => handle.readStop();
  native['onwrite'] = (request: object, chunks: Uint8Array[]) => consumer.write(request, chunks);
  // A session ends the socket, never the stream.
  native['onshutdown'] = () => ECANCELED;
  // What comes when the session is gone.
  native['onread'] = () => {};
  handle.direct = consumer;
  (handle.owner as Socket)._direct = consumer;
  return native;
}

function completeSessions(prototype: NativeSession, Native: NativeStreamClass): void {
  const { consume } = prototype;
  prototype.consume = function (stream: object): void {
    if (!(stream instanceof TcpHandle)) return consume.call(this, stream);
    const native = streamOf(stream, Native);
    // It lives as long as the session.
    Object.defineProperty(this, 'stream', { value: native });
    consume.call(this, native);
  };
}

/** The first session there is shows its class to whoever watches what is made: just before it takes the handle. */
function awaitSession(Native: NativeStreamClass): void {
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      if (type !== 'HTTP2SESSION') return;
      hook.disable();
      completeSessions(Object.getPrototypeOf(resource) as NativeSession, Native);
    },
  });
  hook.enable();
}

/** To be called when Node's modules are replaced. */
export function serveHttp2(): void {
  let Native: NativeStreamClass | null | undefined;
  Object.defineProperties(TcpHandle.prototype, {
    /** Asked by whoever would take the handle away from its socket: HTTP/2's sessions, and Node's own HTTP/1. */
    isStreamBase: {
      get() {
        if (Native === undefined) {
          Native = nativeStreamClass();
          if (Native !== null) awaitSession(Native);
        }
        return Native !== null;
      },
      configurable: true,
    },
    /** Node's own HTTP/1 is told that somebody took it already: its parser is given what the stream gives. */
    _consumed: { value: true, writable: true, configurable: true },
  });
}
