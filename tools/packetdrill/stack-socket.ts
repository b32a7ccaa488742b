import type { Address } from '../../stack/base/address';
import type { Bytes } from '../../stack/base/bytes';
import type { Secret } from '../../stack/base/random';
import * as calls from '../../stack/tcp/calls';
import type { Connection, ConnectionOwner } from '../../stack/tcp/connection';
import { beginFastOpen, FAST_OPEN_CLIENT, mayOpenFast } from '../../stack/tcp/fast-open';
import { listenerInfo, tcpInfo } from '../../stack/tcp/info';
import type { Listener, ListenerOwner } from '../../stack/tcp/listener';
import { applySettings, Settings } from '../../stack/tcp/settings';
import {
  type Errno,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_FASTOPEN,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_SPLICE_PAGES,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
  SOL_TCP,
  type SocketOptionName,
} from './constants';
import { toAddress, toSocketAddress } from './stack-address';
import { ErrorQueue } from './stack-errqueue';
import { getStackOption, setStackOption } from './stack-options';
import type { StackTarget } from './stack-target';
import type {
  ControlMessage,
  OptionValue,
  Received,
  ReceiveRequest,
  SendRequest,
  SocketAddress,
  TargetSocket,
} from './target';

const POLLRDNORM = 0x40;
const POLLWRNORM = 0x100;
const TCP_CM_INQ = 36;

/** Linux's socket states above TCP's own. */
type Phase = 'unconnected' | 'connecting' | 'connected' | 'closed';

/** A TCP socket with the results that Linux's calls give, over the stack's own calls. */
export class StackSocket implements TargetSocket, ConnectionOwner, ListenerOwner {
  readonly type = 'stream';
  readonly settings = new Settings();
  /** SOL_SOCKET and other switches that only this layer reads, by name. */
  readonly switches = new Map<string, number>();
  /** TCP_FASTOPEN_KEY; null: the stack's. */
  fastOpenKeys: readonly Secret[] | null = null;
  readonly errorQueue: ErrorQueue;
  connection: Connection | null = null;
  listener: Listener | null = null;
  private bound: { address: Address | null; port: number } | null = null;
  private phase: Phase = 'unconnected';
  private errorTaken = false;
  private shutRead = false;
  private shutWrite = false;
  private woken = 0;
  /** The urgent pointer whose octet was kept apart, and whether that octet still waits for MSG_OOB. */
  private urgentUp = Number.NaN;
  private urgentUnread = false;
  /** Where the first write opens a connection to (TCP_FASTOPEN_CONNECT). */
  private deferred: SocketAddress | null = null;

  constructor(
    readonly target: StackTarget,
    readonly domain: 'inet' | 'inet6',
  ) {
    this.errorQueue = new ErrorQueue(domain);
  }

  private get tcp() {
    return this.target.stack.tcp;
  }

  // ── opening ──

  bind(address: SocketAddress): 0 | Errno {
    if (this.bound !== null) return 'EINVAL';
    const local = toAddress(address.ip);
    if (local === null) return 'EAFNOSUPPORT';
    const any = local.isUnspecified;
    if (!any && !this.target.stack.isLocal(local) && this.switches.get('FREEBIND') !== 1) return 'EADDRNOTAVAIL';
    const taken = this.tcp
      .listenersOn(address.port)
      .some((other) => other.address === null || any || other.address.equals(local));
    if (address.port !== 0 && taken) return 'EADDRINUSE';
    this.bound = { address: any ? null : local, port: address.port };
    return 0;
  }

  private get family(): 0 | 4 | 6 {
    if (this.domain === 'inet') return 4;
    return this.switches.get('IPV6_V6ONLY') === 1 ? 6 : 0;
  }

  listen(backlog: number): 0 | Errno {
    if (this.listener !== null) {
      this.listener.backlog = backlog;
      return 0;
    }
    if (this.connection !== null || this.phase !== 'unconnected') return 'EINVAL';
    const { address, port } = this.bound ?? { address: null, port: 0 };
    const made = calls.listen(this.tcp, address, this.family, port, backlog);
    if (typeof made === 'string') return made;
    made.owner = this;
    made.settings = this.settings;
    made.fastOpenMax = this.switches.get('TCP_FASTOPEN') ?? 0;
    made.fastOpenKeys = this.fastOpenKeys;
    this.listener = made;
    return 0;
  }

  accept(): TargetSocket | Errno {
    const { listener } = this;
    if (listener === null) return 'EINVAL';
    const c = listener.accepted.shift();
    if (c === undefined) return 'EAGAIN';
    const child = new StackSocket(this.target, this.domain);
    Object.assign(child.settings, this.settings);
    for (const [name, value] of this.switches) child.switches.set(name, value);
    child.errorQueue.setTimes(this.switches.get('SO_TIMESTAMPING') ?? 0, c);
    child.connection = c;
    child.phase = 'connected';
    c.owner = child;
    return child;
  }

  connect(address: SocketAddress | null): 0 | Errno {
    if (address === null) return this.disconnect();
    if (this.listener !== null || this.phase === 'connected') return 'EISCONN';
    if (this.phase === 'closed') return 'EINVAL';
    if (this.deferred !== null) return 'EISCONN';
    if (this.phase === 'connecting') return this.connectAgain();
    const remote = toAddress(address.ip);
    if (remote === null) return 'EAFNOSUPPORT';
    if (this.switches.get('TCP_FASTOPEN_CONNECT') !== 1) return this.open(remote, address.port);
    if (mayOpenFast(this.tcp, remote, this.settings, this.target.now)) {
      this.deferred = address;
      return 0;
    }
    const opened = this.open(remote, address.port);
    if (opened === 'EINPROGRESS') beginFastOpen(this.tcp, this.connection!, this.settings, this.target.now);
    return opened;
  }

  private open(remote: Address, port: number): 0 | Errno {
    const { address, port: localPort } = this.bound ?? { address: null, port: 0 };
    const c = calls.connect(this.tcp, remote, port, address, localPort, this, this.target.now);
    if (typeof c === 'string') return c;
    applySettings(this.tcp, c, this.settings, this.target.now);
    this.connection = c;
    this.deferred = null;
    this.errorTaken = this.shutRead = this.shutWrite = false;
    this.phase = 'connecting';
    return 'EINPROGRESS';
  }

  private connectAgain(): 0 | Errno {
    if (this.isOpening) return 'EALREADY';
    if (this.connection!.state === 'CLOSED') {
      this.phase = 'unconnected';
      return this.takeError() ?? 'ECONNABORTED';
    }
    this.phase = 'connected';
    return 0;
  }

  /** `connect` to AF_UNSPEC: the socket is as new. */
  private disconnect(): 0 {
    const { connection, listener, target } = this;
    if (listener !== null) calls.closeListener(this.tcp, listener, target.now);
    if (connection !== null) calls.abort(this.tcp, connection, target.now);
    this.listener = this.connection = null;
    this.errorTaken = this.shutRead = this.shutWrite = false;
    this.phase = 'unconnected';
    return 0;
  }

  connecting(): boolean {
    if (this.isOpening) return true;
    if (this.phase === 'connecting' && this.connection!.state !== 'CLOSED') this.phase = 'connected';
    return false;
  }

  private get isOpening(): boolean {
    const c = this.connection;
    return c !== null && !c.passive && (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED');
  }

  // ── data ──

  send({ data, flags, to, waits }: SendRequest): number | Errno {
    if ((flags & MSG_FASTOPEN) !== 0 || this.deferred !== null) {
      const refused = this.mayOpenNow(to);
      if (refused !== null) return refused;
      if (this.phase === 'unconnected') return this.sendInSyn(data, flags, to);
    }
    const c = this.connection;
    const error = c === null ? null : this.takeError();
    if (error !== null) return error;
    if (c === null || this.shutWrite || c.state === 'CLOSED') return 'EPIPE';
    if (this.isOpening && !waits) return 'EAGAIN';
    if (data.length === 0) return 0;
    const how = ((flags & MSG_MORE) !== 0 ? calls.MORE : 0) | ((flags & MSG_EOR) !== 0 ? calls.END_OF_RECORD : 0);
    const taken = calls.send(this.tcp, c, data, 0, data.length, how);
    if (taken > 0) this.wrote(c, flags);
    if ((flags & MSG_OOB) !== 0 && taken === data.length) calls.markUrgent(c);
    return taken === 0 ? 'EAGAIN' : taken;
  }

  /** Why no connection can be begun, or null; one that has just been made takes the write as any other. */
  private mayOpenNow(to: SocketAddress | 'unspec' | null): Errno | null {
    if ((this.target.profile.fastOpen & FAST_OPEN_CLIENT) === 0 || to === 'unspec') return 'EOPNOTSUPP';
    if (this.isOpening) return 'EALREADY';
    if (this.phase === 'connecting' && this.connection!.state !== 'CLOSED') {
      this.phase = 'connected';
      return null;
    }
    return this.phase === 'connected' || this.listener !== null ? 'EISCONN' : null;
  }

  /** MSG_FASTOPEN, or the first write after TCP_FASTOPEN_CONNECT: `connect` and `write` in one. */
  private sendInSyn(data: Bytes, flags: number, to: SocketAddress | 'unspec' | null): number | Errno {
    const { tcp, settings, target } = this;
    const destination = this.deferred ?? to;
    if (destination === null || destination === 'unspec') return 'EDESTADDRREQ';
    const remote = toAddress(destination.ip);
    if (remote === null) return 'EAFNOSUPPORT';
    const opened = this.open(remote, destination.port);
    if (opened !== 'EINPROGRESS') return opened;
    const c = this.connection!;
    const room = Math.min(data.length, beginFastOpen(tcp, c, settings, target.now));
    const taken = room > 0 ? calls.send(tcp, c, data, 0, room) : 0;
    if (taken > 0) this.wrote(c, flags);
    return taken > 0 ? taken : 'EINPROGRESS';
  }

  /** Writes whose fate is to be told are watched. */
  private wrote(c: Connection, flags: number): void {
    this.errorQueue.wrote(c, (flags & MSG_ZEROCOPY) !== 0 && this.switches.get('SO_ZEROCOPY') === 1);
    if (this.errorQueue.isWatching) this.target.watched.add(this);
  }

  /** Something may have been sent or acknowledged. */
  updateErrorQueue(nowUs: number): void {
    if (this.connection !== null && this.errorQueue.update(this.connection, nowUs)) this.woken++;
    if (!this.errorQueue.isWatching) this.target.watched.delete(this);
  }

  receive({ bytes, flags }: ReceiveRequest): Received | Errno {
    const c = this.connection;
    if ((flags & MSG_ERRQUEUE) !== 0) return this.errorQueue.take() ?? 'EAGAIN';
    if (c === null) return this.deferred === null ? 'ENOTCONN' : 'EAGAIN';
    if ((flags & MSG_OOB) !== 0) return this.receiveUrgent(c, bytes, flags);
    if (c.readable === 0) {
      if (c.finReceived) return this.received(0);
      const error = this.takeError();
      if (error !== null) return error;
      if (this.shutRead || c.state === 'CLOSED') return this.received(0);
      return 'EAGAIN';
    }
    const readable = this.beforeUrgent(c, flags);
    if (readable === 0) return (flags & MSG_SPLICE_PAGES) !== 0 ? this.received(0) : this.receive({ bytes, flags });
    const taken = Math.min(bytes, readable);
    if ((flags & MSG_PEEK) === 0) calls.consume(this.tcp, c, taken, this.target.now);
    return this.received(taken);
  }

  /**
   * How much of the unread text one call may return: it never reaches across the urgent octet, which is no part of the
   * stream unless SO_OOBINLINE is set. 0 when that octet was the next and has been passed over.
   */
  private beforeUrgent(c: Connection, flags: number): number {
    this.keepUrgent(c);
    const offset = calls.urgentOffset(c);
    if (offset < 0 || offset >= c.readable) return c.readable;
    if (offset > 0) return offset;
    if (this.switches.get('SO_OOBINLINE') === 1) return c.readable;
    if ((flags & MSG_SPLICE_PAGES) === 0) calls.consume(this.tcp, c, 1, this.target.now);
    return 0;
  }

  /** The urgent octet is kept apart as soon as it is there. */
  private keepUrgent(c: Connection): void {
    const offset = calls.urgentOffset(c);
    if (offset < 0 || this.urgentUp === c.rcvUp) return;
    const octet = calls.octetAt(this.tcp, c, offset);
    if (octet < 0) return;
    this.urgentUp = c.rcvUp;
    this.urgentUnread = true;
  }

  /** MSG_OOB: the one urgent octet, once. */
  private receiveUrgent(c: Connection, bytes: number, flags: number): Received | Errno {
    this.keepUrgent(c);
    if (this.switches.get('SO_OOBINLINE') === 1) return 'EINVAL';
    if (!this.urgentUnread) {
      const toCome = c.urgentIn && this.urgentUp !== c.rcvUp;
      if (!toCome) return 'EINVAL';
      return c.state === 'CLOSED' || c.finReceived || this.shutRead ? { bytes: 0, flags: 0, control: [] } : 'EAGAIN';
    }
    if ((flags & MSG_PEEK) === 0) this.urgentUnread = false;
    return { bytes: Math.min(bytes, 1), flags: MSG_OOB | (bytes === 0 ? MSG_TRUNC : 0), control: [] };
  }

  private received(bytes: number): Received {
    const control: ControlMessage[] = [];
    if (this.switches.get('TCP_INQ') === 1) {
      const c = this.connection!;
      // At the end of the stream one more byte is shown, so that the application comes to read the end.
      const left = c.readable === 0 && c.finReceived ? 1 : c.readable;
      control.push({ level: SOL_TCP, type: TCP_CM_INQ, data: { kind: 'number', value: left } });
    }
    return { bytes, flags: 0, control };
  }

  queued(which: 'in' | 'out' | 'unsent'): number | Errno {
    const c = this.connection;
    if (c === null) return this.listener !== null ? 'EINVAL' : 0;
    if (which === 'in') return this.inlineReadable(c);
    if (which === 'unsent') return c.unsent;
    if (c.state === 'CLOSED') return 0;
    const fin = c.finQueued && c.sndUna !== c.sndNxt ? 1 : 0;
    return Math.max(c.sendBuffer.bytes, fin);
  }

  /** SIOCINQ counts to the urgent octet. */
  private inlineReadable(c: Connection): number {
    const offset = this.switches.get('SO_OOBINLINE') === 1 ? -1 : calls.urgentOffset(c);
    return offset >= 0 && offset < c.readable ? offset : c.readable;
  }

  // ── closing ──

  shutdown(how: 'rd' | 'wr' | 'rdwr'): 0 | Errno {
    const c = this.connection;
    if (this.listener !== null) {
      if (how !== 'wr') this.disconnect();
      return 0;
    }
    if (c === null || c.state === 'CLOSED') return 'ENOTCONN';
    if (c.state === 'SYN-SENT') {
      this.disconnect();
      return 0;
    }
    if (how !== 'wr') this.shutRead = true;
    if (how !== 'rd') {
      this.shutWrite = true;
      calls.shutdown(this.tcp, c, this.target.now);
    }
    this.woken++;
    return 0;
  }

  close(): void {
    if (this.listener !== null) calls.closeListener(this.tcp, this.listener, this.target.now);
    if (this.connection !== null) calls.close(this.tcp, this.connection, this.target.now);
    this.phase = 'closed';
  }

  // ── what the stack tells ──

  onSignals(c: Connection): void {
    this.keepUrgent(c);
    this.woken++;
  }

  onAcceptable(): void {
    this.woken++;
  }

  wakeups(): number {
    return this.woken;
  }

  /** SO_ERROR: told once. */
  takeError(): Errno | null {
    const c = this.connection;
    if (c === null || this.errorTaken || c.error === null) return this.takeSoftError();
    this.errorTaken = true;
    return c.error;
  }

  private takeSoftError(): Errno | null {
    return null;
  }

  get pendingError(): Errno | null {
    return this.connection !== null && !this.errorTaken ? this.connection.error : null;
  }

  // ── options and state ──

  setOption(name: SocketOptionName, value: OptionValue): 0 | Errno {
    return setStackOption(this, name, value);
  }

  getOption(name: SocketOptionName): OptionValue | { readonly error: Errno } {
    return getStackOption(this, name);
  }

  /** Makes changed settings those of the connection, if there is one. */
  settingsChanged(): void {
    const c = this.connection;
    if (c !== null && c.state !== 'CLOSED') applySettings(this.tcp, c, this.settings, this.target.now);
  }

  /** Linux's tcp_poll. */
  readiness(): number {
    if (this.listener !== null) return this.listener.accepted.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (this.deferred !== null) return POLLOUT | POLLWRNORM;
    const c = this.connection;
    const gone = c === null || c.state === 'CLOSED';
    const noMoreText = this.shutRead || c?.finReceived === true || (gone && c !== null);
    const noMoreWrites = this.shutWrite || (gone && c !== null);
    let bits = 0;
    if ((noMoreText && noMoreWrites) || gone) bits |= POLLHUP;
    if (noMoreText) bits |= POLLIN | POLLRDNORM | POLLRDHUP;
    const opening = this.isOpening;
    if (!opening) {
      if (c !== null && c.readable >= Math.max(1, this.switches.get('SO_RCVLOWAT') ?? 1)) bits |= POLLIN | POLLRDNORM;
      if (noMoreWrites || c === null || this.isWritable(c)) bits |= POLLOUT | POLLWRNORM;
    }
    if (this.urgentUnread) bits |= POLLPRI;
    if (this.pendingError !== null || !this.errorQueue.isEmpty) bits |= POLLERR;
    return bits;
  }

  /** A third of the buffer free is worth a wake-up. */
  private isWritable(c: Connection): boolean {
    return 3 * c.sendBuffer.bytes <= 2 * c.sendLimit && 2 * c.unsent < c.notSentLimit;
  }

  tcpInfo(): Readonly<Record<string, number>> | null {
    if (this.listener !== null) return listenerInfo(this.listener);
    return this.connection === null ? null : tcpInfo(this.tcp, this.connection, this.target.now);
  }

  localAddress(): SocketAddress | null {
    const c = this.connection;
    if (c !== null) return toSocketAddress(c.local, c.localPort, this.domain);
    const port = this.listener?.port ?? this.bound?.port;
    if (port === undefined) return null;
    const address = this.bound?.address ?? null;
    const any = this.domain === 'inet6' ? '::' : '0.0.0.0';
    return address === null ? { ip: any, port } : toSocketAddress(address, port, this.domain);
  }

  remoteAddress(): SocketAddress | null {
    const c = this.connection;
    return c === null ? null : toSocketAddress(c.remote, c.remotePort, this.domain);
  }

  state(): string {
    if (this.listener !== null) return 'LISTEN';
    return this.connection?.state ?? 'CLOSED';
  }
}
