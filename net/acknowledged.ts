import { TcpHandle } from './handle';

/** What this looks at in a socket: its handle, and, of TLS over a socket of ours, the socket below. */
interface Layered {
  _parent?: unknown;
  _handle?: unknown;
  bytesWritten?: number;
  /** Only our sockets have it. */
  attachDirect?: unknown;
}

/** The socket under any number of layers of TLS. */
function lowest(socket: object): Layered {
  let layer = socket as Layered;
  while (layer._parent) layer = layer._parent as Layered;
  return layer;
}

/**
 * How far what was written to a connection has got: something that no kernel tells, and a stack in the process knows.
 * Positions count from the connection's first byte. Of a connection that is not ours they are those that were handed on.
 */
export class AckMeter {
  private readonly below: Layered;
  /** Kept when the socket lets go of it: what it knows then remains. */
  private last: TcpHandle | null = null;

  constructor(socket: object) {
    this.below = lowest(socket);
  }

  /** A socket gets its handle when it connects, and another one with each address that it tries. */
  private get handle(): TcpHandle | null {
    if (this.below._handle instanceof TcpHandle) this.last = this.below._handle;
    return this.last;
  }

  /** False: the connection is the kernel's, and `acknowledged` says what it was given. */
  get isExact(): boolean {
    return this.handle !== null;
  }

  /** Ours, before it has a connection: nothing of what it holds has got anywhere. */
  private get isWaiting(): boolean {
    return this.handle === null && typeof this.below.attachDirect === 'function';
  }

  /** Bytes given to the connection, those included that wait for room. Under TLS: encrypted ones. */
  get written(): number {
    if (this.isWaiting) return 0;
    return this.handle === null ? (this.below.bytesWritten ?? 0) : this.handle.bytesWritten;
  }

  /** Bytes of those that the peer has. */
  get acknowledged(): number {
    if (this.isWaiting) return 0;
    return this.handle === null ? (this.below.bytesWritten ?? 0) : this.handle.bytesAcknowledged;
  }

  /** Calls `listener`, the only one of an open connection, when the peer acknowledges more; null ends that. */
  watch(listener: (() => void) | null): void {
    this.handle?.watchAcknowledged(listener);
  }
}
