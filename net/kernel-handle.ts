import nodeNet from 'node:net';
import type { HandleOwner } from './handle';
import { time } from './time';

/** Node's own classes, even if this project's take their places later. */
const NodeSocket = nodeNet.Socket;
const NodeServer = nodeNet.Server;

/**
 * A Unix socket as a handle: a stack has no file system to hold paths in, so they stay the kernel's, and a program whose
 * TCP runs on a stack still finds its local services.
 */
export class KernelHandle {
  reading = false;
  bytesRead = 0;
  owner: HandleOwner | null = null;
  userBuffer: Uint8Array | null = null;
  readonly direct = null;
  readonly connection = null;
  readonly host = undefined;
  readonly fd = -1;
  private connecting = false;
  private closed = false;
  private written = 0;
  private inner: nodeNet.Socket | null = null;
  /** What it connects to. */
  path: string | undefined;

  /** @param accepted a connection that a server got. */
  constructor(accepted?: nodeNet.Socket) {
    if (accepted !== undefined) this.take(accepted);
  }

  /** Begins to connect; the owner hears of the outcome. */
  connect(path: string): string | null {
    this.connecting = true;
    this.path = path;
    this.take(new NodeSocket({ allowHalfOpen: true }));
    this.inner!.connect({ path }, () => {
      this.connecting = false;
      this.owner?.handleConnected(this, null);
    });
    return null;
  }

  private take(inner: nodeNet.Socket): void {
    this.inner = inner;
    inner.pause();
    inner.on('data', (chunk: Buffer) => this.textArrived(chunk));
    inner.on('end', () => this.owner?.handleEnd());
    inner.on('error', (error: NodeJS.ErrnoException) => this.broke(error));
  }

  private textArrived(chunk: Buffer): void {
    const { owner, userBuffer } = this;
    this.bytesRead += chunk.length;
    if (owner === null) return;
    owner.handleActive();
    let more = true;
    if (userBuffer === null) more = owner.handleText(chunk);
    for (let at = 0; userBuffer !== null && at < chunk.length; at += userBuffer.length) {
      const piece = chunk.subarray(at, at + userBuffer.length);
      userBuffer.set(piece);
      more = owner.handleFilled(piece.length) && more;
    }
    if (!more) this.readStop();
  }

  private broke(error: NodeJS.ErrnoException): void {
    const code = error.code ?? 'EIO';
    if (!this.connecting) return this.owner?.handleFailed(code, error.syscall);
    this.connecting = false;
    this.owner?.handleConnected(this, code);
  }

  readStart(): number {
    this.reading = true;
    this.inner?.resume();
    return 0;
  }

  readStop(): number {
    this.reading = false;
    this.inner?.pause();
    return 0;
  }

  get bytesWritten(): number {
    return this.written;
  }

  get writeQueueSize(): number {
    return this.inner?.writableLength ?? 0;
  }

  /** As TcpHandle.write. */
  write(chunks: readonly Uint8Array[], done: (code: string | null) => void): boolean | string {
    const { inner } = this;
    if (this.closed || inner === null) return 'EBADF';
    inner.cork();
    for (const chunk of chunks) this.written += chunk.length;
    for (const [i, chunk] of chunks.entries()) {
      if (i < chunks.length - 1) inner.write(chunk);
      else inner.write(chunk, (error) => done(error ? ((error as NodeJS.ErrnoException).code ?? 'EPIPE') : null));
    }
    inner.uncork();
    return false;
  }

  shutdown(done: () => void): void {
    if (this.inner === null) return done();
    this.inner.end(done);
  }

  ref(): void {
    this.inner?.ref();
  }

  unref(): void {
    this.inner?.unref();
  }

  close(done?: () => void): void {
    if (this.closed) return;
    this.closed = true;
    const { inner } = this;
    if (done !== undefined) {
      if (inner === null || inner.closed) time.setImmediate(done);
      else inner.once('close', done);
    }
    inner?.destroy();
  }
}

/** The socket's handle is its own no longer. */
function takeHandle(socket: nodeNet.Socket): KernelHandle {
  const holder = socket as unknown as { _handle: KernelHandle | null };
  const handle = holder._handle!;
  holder._handle = null;
  return handle;
}

/** A path or a descriptor that a server listens on, in the kernel. */
export class KernelServerHandle {
  /** What the server gave. The primary of a cluster puts its own in its place, and sends the kernel's handles to workers. */
  onconnection: ((error: number, handle: KernelHandle) => void) | null = null;
  ours: ((error: number, handle: KernelHandle) => void) | null = null;

  private constructor(private readonly inner: nodeNet.Server) {
    inner.on('connection', (socket: nodeNet.Socket) => {
      this.onconnection?.(0, this.onconnection === this.ours ? new KernelHandle(socket) : takeHandle(socket));
    });
  }

  /**
   * Listens. `failed` is called with the reason when that cannot be, by nextTick, and null returned. In a worker of a cluster
   * the primary is asked first: null, too, and `opened` is called.
   */
  static listen(
    options: nodeNet.ListenOptions & { fd?: number },
    failed: (error: Error) => void,
    opened: (handle: KernelServerHandle) => void,
  ): KernelServerHandle | null {
    const inner = new NodeServer({ allowHalfOpen: true, pauseOnConnect: true });
    inner.on('error', failed);
    inner.listen(options);
    if (inner.listening) return new KernelServerHandle(inner);
    inner.once('listening', () => opened(new KernelServerHandle(inner)));
    return null;
  }

  address(): nodeNet.AddressInfo | string | null {
    return this.inner.address();
  }

  ref(): void {
    this.inner.ref();
  }

  unref(): void {
    this.inner.unref();
  }

  hasRef(): boolean {
    return true;
  }

  close(done?: () => void): void {
    this.inner.close(done);
  }
}
