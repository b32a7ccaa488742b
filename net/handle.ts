import { AsyncResource } from 'node:async_hooks';
import { type Address, LOOPBACK_V4, LOOPBACK_V6 } from '../stack/base/address';
import { defineFlags } from '../stack/base/flags';
import {
  abort,
  close as closeConnection,
  consume,
  peek,
  setKeepAlive,
  setNoDelay,
  shutdown,
  Text,
} from '../stack/tcp/calls';
import {
  ACKNOWLEDGED,
  ADVICE,
  CONNECTED,
  type Connection,
  type ConnectionOwner,
  END,
  FAILED,
  READABLE,
  WRITABLE,
} from '../stack/tcp/connection';
import type { DirectConsumer } from './direct';
import type { HandleOwner, SocketName } from './handle-owner';
import { nameOf } from './handle-owner';
import type { Host } from './host';
import { addressOf } from './host-options';
import { RESETS_BEHIND_TEXT_ARE_TOLD, WRITES_ARE_CANCELED } from './running-node';
import { SendQueue } from './send-queue';
import { fill, takeChunk, viewOf } from './take-text';

export type { HandleOwner, SocketName } from './handle-owner';

/** Node asks the kernel for probes a second apart, ten of them. */
const PROBE_INTERVAL_MS = 1000;
const PROBES = 10;
/** The function that Node's http.Agent sets as `onread` of an idle socket. It asks libuv what came, so it is not called. */
const GUARD = 'freeSocketOnReadGuard';

// Only used between a peek and the copy of its fields, never across a call into an application.
const text = new Text();

/**
 * One TCP connection as its socket sees it: the counterpart of what Node calls `socket._handle`, with the same methods.
 * It turns the core's signals into calls at the moments at which libuv would make them: text and its end in different
 * turns, an error only to somebody who reads or writes, the callback of `close` one turn later.
 */
export class TcpHandle implements ConnectionOwner {
  /** Booleans: `FLAGS`. */
  bits = 0;
  /** Whether text may be delivered. Node's socket code sets and reads it. */
  declare reading: boolean;
  bytesRead = 0;
  owner: HandleOwner | null = null;
  /** Gets the text in place instead of the owner's stream. */
  direct: DirectConsumer | null = null;
  /** Where text goes instead of fresh buffers (the `onread` option). */
  declare userBuffer: Uint8Array | null;
  connection: Connection | null = null;
  declare readonly fd: number;
  declare private closed: boolean;
  declare private connecting: boolean;
  declare private mayConnectAgain: boolean;
  /** The end of text, or the error, has been told: there is nothing more to read. */
  declare private eof: boolean;
  declare private errorTold: boolean;
  /** Bytes that the direct consumer looks at now. */
  private lent = 0;
  /** Text was handed over in this wake-up. */
  declare private textTold: boolean;
  /** The turn of the host in which text was told last. */
  private textToldIn = -1;
  /** The reader stopped, and went on at once: the error behind the text reads as if he had not. */
  private endsAsText = false;
  /** Nothing more was to be sent when this wake-up began. */
  declare private finBefore: boolean;
  /** The turn of the host in which it was accepted: libuv begins to read in its next. */
  declare private acceptedIn: number;
  declare private refed: boolean;
  declare private holding: boolean;
  declare private bound: { address: Address; port: number } | null;
  declare private reader: ((...told: unknown[]) => unknown) | null;
  /** The socket waits in a pool of Node's, where it must get nothing. */
  declare private guarded: boolean;
  private resource: AsyncResource;
  /** Made for the first write that does not go the direct way. */
  private queue: SendQueue | null = null;
  /** Bytes handed to the connection, and those that still wait to be, as Node counts them. */
  bytesWritten = 0;
  declare private ownerOfAcknowledged: (() => void) | null;
  private acknowledgedBefore = 0;
  private shutdownDone: (() => void) | null = null;

  declare private mapped: boolean;

  /** @param mapped the socket is an IPv6 one even if its connection is IPv4. */
  constructor(
    readonly host: Host,
    mapped = false,
  ) {
    this.mapped = mapped;
    this.refed = true;
    this.resource = new AsyncResource('TCPWRAP');
  }

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
      // Linux takes an ICMP unreachable for an answer while there is none other.
      else if ((bits & (ADVICE | CONNECTED)) === ADVICE) this.adviceWhileConnecting(c);
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

  private adviceWhileConnecting(c: Connection): void {
    if (c.softError === null) return;
    c.owner = null;
    closeConnection(this.host.stack.tcp, c, this.host.now());
    this.connectDone(c.softError);
  }

  // ── reading ──

  /** What Node's http.Agent sets: the guard of an idle socket, which this Node may have, and later what was there before. */
  get onread(): ((...told: unknown[]) => unknown) | null {
    return this.reader;
  }
  set onread(reader: ((...told: unknown[]) => unknown) | null) {
    this.reader = reader;
    this.guarded = reader?.name === GUARD;
  }

  /** The same for agents of ours: from now on, or no longer, whatever comes ends the connection, silently. */
  guard(on: boolean): void {
    this.guarded = on;
    if (on && !this.reading) this.readStart();
  }

  readStart(): number {
    this.reading = true;
    this.hold();
    this.announce();
    return 0;
  }

  readStop(): number {
    this.reading = false;
    this.hold();
    return 0;
  }

  /** Something to read may wait since before anybody wanted it. */
  announce(): void {
    const c = this.connection;
    if (c === null || this.connecting || this.closed || this.eof) return;
    if (c.readable === 0 && !c.finReceived && c.error === null) return;
    this.endsAsText = c.error !== null && this.textToldIn === this.host.turns;
    // Accepted just now: libuv asks for it last.
    if (this.acceptedIn === this.host.turns) this.host.deferAccepted(c, READABLE);
    else this.host.stack.tcp.signal(c, READABLE);
    this.host.schedule();
  }

  /** Hands over one piece of what is there: text, then its end or the error that ended it. Returns READABLE for more. */
  private deliver(c: Connection): number {
    if (this.guarded && this.reading) {
      this.owner?.handleAbandoned();
      return 0;
    }
    if (this.reading && c.readable > 0) {
      const bytes = c.readable;
      if (!this.deliverPiece(c)) return 0;
      this.textTold = true;
      this.textToldIn = this.host.turns;
      const { before } = this.host;
      before.readable -= bytes - c.readable;
      if (before.readable <= 0 && c.readable > 0 && this.reading) {
        this.host.defer(c, READABLE);
        return 0;
      }
      return this.reading && (c.readable > 0 || c.finReceived || c.error !== null) ? READABLE : 0;
    }
    if (!this.reading || this.eof) {
      this.failWriter(c);
    } else if (c.finReceived) {
      // libuv sees the end of text only in its next poll, unless the connection was over in both directions.
      if (!this.textTold || this.host.before.finQueued || c.error !== null) this.tellEnd();
      else this.host.defer(c, END);
      // A write that waits learns of the failure next.
      return c.error === null ? 0 : READABLE;
    } else if (c.error !== null) {
      // Text and a reset in one wake-up read as text and its end.
      if (!this.textTold) {
        this.tellError(c);
        return 0;
      }
      // It came while the text was told.
      if (!this.host.before.broken) {
        this.host.defer(c, FAILED);
        return 0;
      }
      if (RESETS_BEHIND_TEXT_ARE_TOLD) {
        // libuv writes after it has read: a write that waits is told first, and the reader of the next turn only an end.
        this.failWriter(c);
        if (!this.closed) this.host.defer(c, FAILED);
        return 0;
      }
      this.tellEnd();
      // A write that waits learns of the reset.
      return READABLE;
    }
    return 0;
  }

  /** One piece of text goes to whoever takes it. False: held back. */
  private deliverPiece(c: Connection): boolean {
    const owner = this.owner;
    if (owner === null) return false;
    owner.handleActive();
    if (this.direct !== null) return this.deliverDirect(c, this.direct);
    const { tcp } = this.host.stack;
    const now = this.host.now();
    let more: boolean;
    if (this.userBuffer === null) {
      const chunk = takeChunk(tcp, c, now);
      this.bytesRead += chunk.length;
      more = owner.handleText(chunk);
    } else {
      const bytes = fill(tcp, c, this.userBuffer, now);
      this.bytesRead += bytes;
      more = owner.handleFilled(bytes);
    }
    if (!more && !this.closed) this.readStop();
    return true;
  }

  private deliverDirect(c: Connection, direct: DirectConsumer): boolean {
    const { tcp } = this.host.stack;
    peek(tcp, c, text);
    const { at, end } = text;
    this.lent = end - at;
    // One that throws has had it all: the same text again would only make it throw again.
    let used = this.lent;
    try {
      used = direct.onText(text.bytes, at, end);
    } finally {
      if (used > 0 && this.lent > 0) {
        this.bytesRead += used;
        consume(tcp, c, used, this.host.now());
      }
      this.lent = 0;
    }
    if (used < end - at && this.direct === direct) this.reading = false;
    return used > 0;
  }

  /** What the direct consumer looks at now, as a view to keep; null: it has to copy. */
  lentView(bytes: Uint8Array, at: number, end: number): Buffer | null {
    return this.lent === 0 ? null : viewOf(this.host.stack.tcp, this.connection!, bytes, at, end);
  }

  private tellEnd(): void {
    this.eof = true;
    this.hold();
    this.owner?.handleActive();
    this.direct?.onEnd();
    if (!this.closed) this.owner?.handleEnd();
  }

  private tellError(c: Connection): void {
    if (this.errorTold) return this.tellEnd();
    this.errorTold = true;
    this.eof = true;
    this.hold();
    this.owner?.handleActive();
    this.owner?.handleFailed(c.error!);
  }

  // ── writing ──

  /** Bytes of a write that did not fit the send buffer yet. */
  get writeQueueSize(): number {
    return this.queue === null ? 0 : this.queue.waiting;
  }

  /** Bytes that the peer acknowledged. What is known when the connection ends is what remains known. */
  get bytesAcknowledged(): number {
    const c = this.connection;
    if (c === null || this.closed) return this.acknowledgedBefore;
    // Over without an error: the FIN was acknowledged, and all before it.
    const held = c.state !== 'CLOSED' ? c.sendBuffer.bytes : c.error === null && c.finSent ? 0 : null;
    if (held !== null) this.acknowledgedBefore = this.bytesWritten - this.writeQueueSize - held;
    return this.acknowledgedBefore;
  }

  /** Calls `listener`, the only one, whenever the peer acknowledged more; null ends that. */
  watchAcknowledged(listener: (() => void) | null): void {
    this.ownerOfAcknowledged = listener;
    if (this.connection !== null) this.connection.wantsAcknowledged = listener !== null;
  }

  /**
   * Sends `chunks`. Returns true when all fitted the send buffer: the caller may go on at once. False: `done` is called
   * when the rest did, or with the reason why it never will. A string: it cannot be sent for this reason.
   */
  write(chunks: readonly Uint8Array[], done: (code: string | null) => void): boolean | string {
    const c = this.connection;
    const broken = c === null || this.closed ? 'EBADF' : this.brokenFor(c);
    if (broken !== null) return broken;
    this.queue ??= new SendQueue();
    for (let i = 0; i < chunks.length; i++) this.bytesWritten += chunks[i]!.length;
    const fitted = this.queue.start(this.host.stack.tcp, c!, chunks, done);
    // The peer may be gone, and within one machine that shows at once.
    if (c!.finReceived && this.host.isLoopback(c!)) this.host.sendNow();
    else this.host.schedule();
    if (!fitted) this.hold();
    return fitted;
  }

  /** Why nothing can be sent: the connection's error, told once; after that, and on a closed one, EPIPE. */
  private brokenFor(c: Connection): string | null {
    if (c.state !== 'CLOSED' && !c.finQueued) return null;
    if (c.error === null || this.errorTold) return 'EPIPE';
    this.errorTold = true;
    return c.error;
  }

  private writable(c: Connection): void {
    const { queue } = this;
    const waited = this.writeQueueSize > 0;
    if (waited && !queue!.resume(this.host.stack.tcp, c)) return this.failWriter(c);
    this.hold();
    if (waited) queue!.finish(null);
    if (!this.closed) this.direct?.onRoom();
  }

  /** Whoever does not read learns of the failure when he waits to write. */
  private failWriter(c: Connection): void {
    if (c.error === null || this.writeQueueSize === 0 || this.closed) return;
    const code = this.brokenFor(c);
    if (code === null) return;
    this.queue!.drop();
    this.hold();
    this.queue!.finish(code);
  }

  /** FIN behind what was written; `done` one turn later. */
  shutdown(done: () => void): void {
    const c = this.connection;
    if (c !== null) {
      shutdown(this.host.stack.tcp, c, this.host.now());
      this.host.schedule();
    }
    this.shutdownDone = done;
    this.hold();
    this.host.soon(() => this.host.callIn(this.resource, this.finishShutdown, this));
  }

  private finishShutdown(): void {
    const done = this.shutdownDone;
    this.shutdownDone = null;
    this.hold();
    done?.();
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

  // ── liveness and context ──

  ref(): void {
    this.refed = true;
    this.hold();
  }

  unref(): void {
    this.refed = false;
    this.hold();
  }

  hasRef(): boolean {
    return this.refed && !this.closed;
  }

  /**
   * Node's rule for what keeps a process alive: requests under way always, the wish to read only of a ref'd handle. A
   * connection that nobody reads from and nobody waits to write to does not.
   */
  private hold(): void {
    const requests = this.connecting || this.writeQueueSize > 0 || this.shutdownDone !== null;
    const held = !this.closed && (requests || (this.refed && this.reading && !this.eof));
    if (held === this.holding) return;
    this.holding = held;
    if (held) this.host.retain();
    else this.host.release();
  }

  getAsyncId(): number {
    return this.resource.asyncId();
  }

  /** Node's number of the kind of resource; its agent asks when it lends a socket to another request. */
  getProviderType(): number {
    return 0;
  }

  /** From now on events run in the caller's context: a pooled connection serves somebody else. */
  asyncReset(): void {
    this.resource = new AsyncResource('TCPWRAP');
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
    this.host.closing(() => this.host.callIn(this.resource, this.closeDone, this, done));
    this.hold();
  }

  /** What the direct consumer was given counts as read even if it closes before it returns: the peer gets a FIN. */
  private readLent(c: Connection): void {
    if (this.lent === 0) return;
    this.bytesRead += this.lent;
    consume(this.host.stack.tcp, c, this.lent, this.host.now());
    this.lent = 0;
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

const FLAGS = [
  'reading',
  'closed',
  'connecting',
  'mayConnectAgain',
  'eof',
  'errorTold',
  'textTold',
  'finBefore',
  'refed',
  'holding',
  'guarded',
  'mapped',
];
defineFlags(TcpHandle.prototype, FLAGS);
/** What hardly any handle has stands here until it does: every one of a hundred thousand would pay for a field of its own. */
Object.assign(TcpHandle.prototype, {
  fd: -1,
  acceptedIn: -1,
  userBuffer: null,
  bound: null,
  reader: null,
  ownerOfAcknowledged: null,
});
