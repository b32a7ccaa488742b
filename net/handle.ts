import { type Address, LOOPBACK_V4, LOOPBACK_V6 } from '../stack/base/address';
import { abort, close as closeConnection, setKeepAlive, setNoDelay } from '../stack/tcp/calls';
import {
  ACKNOWLEDGED,
  CONNECTED,
  type Connection,
  type ConnectionOwner,
  END,
  FAILED,
  READABLE,
  WRITABLE,
} from '../stack/tcp/connection';
import { nameOf, type SocketName } from './handle-owner';
import { HandleReading } from './handle-reading';
import { addressOf } from './host-options';
import { handleClosed } from './live-handles';
import { WRITES_ARE_CANCELED } from './running-node';

export type { HandleOwner, SocketName } from './handle-owner';

/** Node asks the kernel for probes a second apart, ten of them. */
const PROBE_INTERVAL_MS = 1000;
const PROBES = 10;

/**
 * One TCP connection as its socket sees it: the counterpart of what Node calls `socket._handle`, with the same methods.
 * It turns the core's signals into calls at the moments at which libuv would make them: text and its end in different
 * turns, an error only to somebody who reads or writes, the callback of `close` one turn later.
 */
export class TcpHandle extends HandleReading implements ConnectionOwner {
  // ── opening ──

  /** Fixes the local end. Returns why not: EADDRNOTAVAIL, EADDRINUSE, EINVAL. */
  bind(text: string, port: number): string | null {
    const address = addressOf(text);
    if (!address.isUnspecified && !this.host.isLocal(address)) return 'EADDRNOTAVAIL';
    const { tcp } = this.host.stack;
    const taken = tcp
      .listenersOn(port)
      .some((other) => other.address === null || address.isUnspecified || other.address.equals(address));
    if (port !== 0 && taken) return 'EADDRINUSE';
    this.bound = { address, port };
    return null;
  }

  /** Begins to connect; the owner hears of the outcome. Returns why it cannot even begin. */
  connect(remote: string, port: number): string | null {
    if (this.connecting) return 'EALREADY';
    if (this.connection !== null) return this.connectAgain(this.connection);
    const address = this.target(addressOf(remote));
    const local = this.bound === null || this.bound.address.isUnspecified ? null : this.bound.address;
    const c = this.host.connect(address, port, local, this.bound?.port ?? 0, this);
    // The port may be shared, the whole four-tuple may not: Linux then has no address to give.
    if (c === 'EADDRINUSE') return 'EADDRNOTAVAIL';
    if (typeof c === 'string') return c;
    this.connection = c;
    this.connecting = this.mayConnectAgain = true;
    this.mapped = false;
    this.hold();
    return null;
  }

  /** Linux tells a socket that asked to be connected once that it is, even if it knows. */
  private connectAgain(c: Connection): string | null {
    if (!this.mayConnectAgain) return 'EISCONN';
    this.mayConnectAgain = false;
    this.connecting = true;
    this.hold();
    this.host.stack.tcp.signal(c, CONNECTED);
    this.host.schedule();
    return null;
  }

  /** 0.0.0.0 and :: mean this machine. */
  private target(address: Address): Address {
    if (!address.isUnspecified) return address;
    return address.family === 4 ? LOOPBACK_V4 : LOOPBACK_V6;
  }

  /** Takes over a connection that a listener accepted. */
  accept(connection: Connection): void {
    this.connection = connection;
    if (this.host.isLoopback(connection)) this.acceptedIn = this.host.turns;
  }

  onAbandoned(): void {
    this.owner?.handleAbandoned();
  }

  private connectDone(code: string | null): void {
    this.connecting = false;
    if (code !== null) this.errorTold = true;
    this.hold();
    this.owner?.handleConnected(this, code);
  }

  // ── signals ──

  onSignals(c: Connection, bits: number): void {
    if (c !== this.connection) return;
    if (this.acceptedIn === this.host.turns) return this.host.deferAccepted(c, bits);
    this.textTold = this.endsAsText;
    this.endsAsText = false;
    const { before } = this.host;
    before.readable = c.readable;
    before.finQueued = c.finQueued;
    before.broken = c.error !== null;
    let left: number | undefined = bits;
    try {
      while (left !== undefined && left !== 0 && !this.closed && !this.host.isClosed) {
        const now: number = left;
        left = undefined;
        left = this.host.callIn(this.resource, this.react, this, c, now);
        // Outside of the context: a tick that throws would leave it open.
        if (left !== 0) this.host.loop.between();
      }
    } finally {
      // An application threw: what it did not hear of yet is told in the next turn.
      if (left !== 0 && !this.closed) this.host.defer(c, bits & ~CONNECTED);
    }
  }

  /** Tells one thing. Returns the signals that are still to be looked at. */
  private react(c: Connection, bits: number): number {
    if (this.connecting) {
      if ((bits & FAILED) !== 0) this.connectDone(c.error);
      else if ((bits & CONNECTED) !== 0) {
        // libuv reads only in its next poll.
        if (bits !== CONNECTED) this.host.defer(c, bits & ~CONNECTED);
        this.connectDone(null);
      }
      return 0;
    }
    if ((bits & WRITABLE) !== 0) {
      this.writable(c);
      return bits & ~WRITABLE;
    }
    if ((bits & ACKNOWLEDGED) !== 0) {
      this.ownerOfAcknowledged?.();
      return bits & ~ACKNOWLEDGED;
    }
    return (bits & (READABLE | END | FAILED)) !== 0 ? this.deliver(c) : 0;
  }

  // ── options ──

  setNoDelay(on: boolean): number {
    if (this.connection !== null) setNoDelay(this.host.stack.tcp, this.connection, on);
    this.host.schedule();
    return 0;
  }

  /** @param delay seconds of silence before the first probe; 0 leaves it as it is. */
  setKeepAlive(on: boolean, delay: number): number {
    const { host, connection } = this;
    if (connection === null) return 0;
    setKeepAlive(host.stack.tcp, connection, on, delay * 1000, PROBE_INTERVAL_MS, PROBES, host.now());
    host.schedule();
    return 0;
  }

  /** Fills `out` with the local end. */
  getsockname(out: Partial<SocketName>): number {
    const c = this.connection;
    if (c !== null) Object.assign(out, nameOf(c.local, c.localPort, this.mapped));
    else if (this.bound !== null) Object.assign(out, nameOf(this.bound.address, this.bound.port, false));
    return 0;
  }

  getpeername(out: Partial<SocketName>): number {
    const c = this.connection;
    if (c === null) return -107;
    Object.assign(out, nameOf(c.remote, c.remotePort, this.mapped));
    return 0;
  }

  // ── closing ──

  /** Lets go of the connection: FIN, or RST when text was not read. `done` one turn later. */
  close(done?: () => void): void {
    this.end(done, false, (c) => closeConnection(this.host.stack.tcp, c, this.host.now()));
  }

  /** RST. `done` one turn later. */
  reset(done?: () => void): number {
    this.end(done, true, (c) => abort(this.host.stack.tcp, c, this.host.now()));
    return 0;
  }

  private end(done: (() => void) | undefined, rude: boolean, how: (c: Connection) => void): void {
    if (this.closed) return;
    const c = this.connection;
    void this.bytesAcknowledged;
    if (this.ownerOfAcknowledged !== null) this.ownerOfAcknowledged = null;
    this.closed = true;
    this.connecting = this.reading = false;
    if (c !== null) {
      this.readLent(c);
      c.owner = null;
      const near = this.host.isLoopback(c);
      // A reset throws away what was not sent; what was written before it goes first, as far as the peer lets it. Within one
      // machine all that was written has arrived, on either side.
      if (rude || c.readable > 0 || near) this.host.sendNow();
      how(c);
      this.host.letGoOf(c);
      if (near) this.host.sendNow();
      else this.host.schedule();
    }
    this.host.closing(() => {
      handleClosed(this);
      this.host.callIn(this.resource, this.closeDone, this, done);
      this.resource.emitDestroy();
    });
    this.hold();
  }

  private closeDone(done: (() => void) | undefined): void {
    // Requests are cancelled before the handle is gone.
    if (this.writeQueueSize > 0) {
      this.queue!.drop();
      this.queue!.finish(WRITES_ARE_CANCELED ? 'ECANCELED' : null);
    }
    this.finishShutdown();
    const { direct } = this;
    this.direct = null;
    direct?.onClosed();
    done?.();
    this.owner = null;
  }
}
