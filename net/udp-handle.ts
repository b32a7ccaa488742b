import { Address, LOOPBACK_V4, LOOPBACK_V6, MAPPED, parseAddress } from '../stack/base/address';
import type { Interface } from '../stack/ip/interface';
import type { UdpMessage, UdpOwner, UdpSocket } from '../stack/udp/udp';
import type { SocketName } from './handle';
import { HandleResource } from './handle-resource';
import type { Host } from './host';
import { handleClosed, handleOpened } from './live-handles';
import { ProcessHold } from './process-hold';

/** What a handle tells its socket, in the handle's asynchronous context. */
export interface UdpHandleOwner {
  handleMessage(bytes: Buffer, from: SocketName): void;
  /** ICMP said something about a datagram that was sent; `code` is its name. */
  handleError(code: string): void;
}

/** libuv takes at most so many datagrams in one go. */
const MESSAGES_PER_TURN = 32;

/** Linux's limits of SO_RCVBUF and SO_SNDBUF: it gives twice what it is asked for. */
const BUFFER_ASKED_MAX = 4_194_304;
const RECEIVE_BUFFER_MIN = 2304;
const SEND_BUFFER_MIN = 4608;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly remote: Address;
  readonly port: number;
  readonly done: (code: string | null) => void;
}

/** One UDP socket as Node's `socket._handle` has it. Methods that answer a string say why not, by Linux's names. */
export class UdpHandle extends ProcessHold implements UdpOwner {
  owner: UdpHandleOwner | null = null;
  private socket: UdpSocket | null = null;
  private receiving = false;
  /** What the stack had no room for. */
  private waiting: Waiting[] = [];
  private retryDue = false;
  private readonly resource = new HandleResource('UDPWRAP', this);
  readonly kind = 'UDPWrap';

  constructor(
    readonly host: Host,
    readonly isV6: boolean,
  ) {
    super();
    handleOpened(this);
  }

  get requests(): string[] {
    return this.waiting.map(() => 'SendWrap');
  }

  // ── addresses ──

  /** The address that the text names, in the form that the stack works with; null: not one of this socket's family. */
  private addressOf(text: string): Address | null {
    const address = parseAddress(text.replace(/%.*$/, ''));
    if (address === null || (address.family === 6) !== this.isV6) return null;
    const isMapped = address.family === 6 && address.w0 === 0 && address.w1 === 0 && address.w2 === MAPPED;
    return isMapped ? Address.v4(address.w3) : address;
  }

  /** As an application sees it: an IPv4 address of an IPv6 socket is ::ffff:a.b.c.d. */
  private nameOf(address: Address, port: number): SocketName {
    if (!this.isV6) return { address: address.toString(), family: 'IPv4', port };
    return { address: address.family === 4 ? `::ffff:${address}` : address.toString(), family: 'IPv6', port };
  }

  getsockname(): SocketName | string {
    const { socket } = this;
    if (socket === null) return 'EBADF';
    const { address, port } = socket;
    if (address === null) return { address: this.isV6 ? '::' : '0.0.0.0', family: this.isV6 ? 'IPv6' : 'IPv4', port };
    return this.nameOf(address, port);
  }

  getpeername(): SocketName | string {
    if (this.socket === null) return 'EBADF';
    const { remote, remotePort } = this.socket;
    return remote === null ? 'ENOTCONN' : this.nameOf(remote, remotePort);
  }

  // ── opening ──

  bind(text: string, port: number, reuse: boolean, ipv6Only: boolean): string | null {
    const address = this.addressOf(text);
    if (address === null || this.socket !== null) return 'EINVAL';
    // Whoever binds to an address of the host's own may be spoken to over the loopback link.
    this.host.isLocal(address.isUnspecified ? this.loopback : address);
    const family = !this.isV6 ? 4 : ipv6Only ? 6 : 0;
    const opened = this.host.stack.udp.bind(address.isUnspecified ? null : address, family, port, reuse);
    if (typeof opened === 'string') return opened;
    opened.owner = this;
    this.socket = opened;
    return null;
  }

  private get loopback(): Address {
    return this.isV6 ? LOOPBACK_V6 : LOOPBACK_V4;
  }

  /** 0.0.0.0 and :: mean this machine. */
  private target(text: string): Address | null {
    const address = this.addressOf(text);
    if (address === null) return null;
    const target = address.isUnspecified ? this.loopback : address;
    this.host.isLocal(target);
    return target;
  }

  connect(text: string, port: number): string | null {
    const remote = this.target(text);
    if (remote === null || this.socket === null) return 'EINVAL';
    return this.host.stack.udp.connect(this.socket, remote, port);
  }

  disconnect(): string | null {
    if (this.socket === null) return 'EBADF';
    if (this.socket.remote === null) return 'ENOTCONN';
    this.host.stack.udp.disconnect(this.socket);
    return null;
  }

  // ── sending ──

  /** Sends to `text`:`port`, or to whom the socket is connected to (null). `done` is called when it is out of our hands. */
  send(bytes: Uint8Array, text: string | null, port: number, done: (code: string | null) => void): void {
    const { socket } = this;
    if (socket === null) return done('EBADF');
    const remote = text === null ? socket.remote : this.target(text);
    if (remote === null) return done(text === null ? 'EDESTADDRREQ' : 'EINVAL');
    const toPort = text === null ? socket.remotePort : port;
    if (this.waiting.length > 0) {
      this.waiting.push({ bytes: bytes.slice(), remote, port: toPort, done });
      return;
    }
    let refused = this.host.stack.udp.send(socket, bytes, remote, toPort);
    if (refused === 'ENOBUFS') {
      // A kernel would hand it to the device at once.
      this.host.sendNow();
      refused = this.host.stack.udp.send(socket, bytes, remote, toPort);
    }
    this.host.schedule();
    if (refused !== 'ENOBUFS') return done(refused);
    this.waiting.push({ bytes: bytes.slice(), remote, port: toPort, done });
    this.retryLater();
  }

  private retryLater(): void {
    if (this.retryDue) return;
    this.retryDue = true;
    this.host.poll(() => {
      this.retryDue = false;
      this.retry();
    }, true);
  }

  private retry(): void {
    const { socket } = this;
    while (!this.closed && socket !== null && this.waiting.length > 0) {
      const { bytes, remote, port, done } = this.waiting[0]!;
      const refused = this.host.stack.udp.send(socket, bytes, remote, port);
      if (refused === 'ENOBUFS') {
        this.host.sendNow();
        return this.retryLater();
      }
      this.waiting.shift();
      this.resource.runInAsyncScope(done, null, refused);
    }
    this.host.schedule();
  }

  /** Datagrams, and bytes, that wait to be sent. */
  get queued(): { count: number; bytes: number } {
    return { count: this.waiting.length, bytes: this.waiting.reduce((sum, { bytes }) => sum + bytes.length, 0) };
  }

  // ── receiving ──

  recvStart(): void {
    this.receiving = true;
    this.hold();
    const { socket } = this;
    if (socket !== null && (socket.queue.length > 0 || socket.error !== null)) this.again(socket);
  }

  recvStop(): void {
    this.receiving = false;
    this.hold();
  }

  private again(socket: UdpSocket): void {
    this.host.stack.udp.signal(socket);
    this.host.schedule();
  }

  onUdp(socket: UdpSocket): void {
    if (!this.receiving || this.closed) return;
    const { error } = socket;
    if (error !== null) {
      socket.error = null;
      if (socket.queue.length > 0) this.again(socket);
      this.resource.runInAsyncScope(this.tellError, this, error);
      return;
    }
    for (let left = MESSAGES_PER_TURN; left > 0 && this.receiving && !this.closed; left--) {
      const message = socket.take();
      if (message === null) return;
      this.resource.runInAsyncScope(this.tellMessage, this, message);
      if (socket.queue.length > 0) this.host.loop.between();
    }
    if (socket.queue.length > 0 && !this.closed) this.again(socket);
  }

  private tellError(code: string): void {
    this.owner?.handleError(code);
  }

  private tellMessage({ bytes, source, sourcePort }: UdpMessage): void {
    const { buffer, byteOffset, length } = bytes;
    this.owner?.handleMessage(Buffer.from(buffer as ArrayBuffer, byteOffset, length), this.nameOf(source, sourcePort));
  }

  // ── options ──

  /** Sets something of a socket that there is; EBADF before it is bound, as no descriptor exists then. */
  private withSocket(change: (socket: UdpSocket) => void): string | null {
    if (this.socket === null) return 'EBADF';
    change(this.socket);
    return null;
  }

  setTTL(ttl: number): string | null {
    const hops = Math.trunc(ttl);
    if (!(hops >= 1 && hops <= 255)) return 'EINVAL';
    return this.withSocket((socket) => {
      socket.hopLimit = hops;
    });
  }

  setMulticastTTL(ttl: number): string | null {
    const hops = Math.trunc(ttl);
    if (this.socket !== null && !(hops >= 0 && hops <= 255)) return 'EINVAL';
    return this.withSocket((socket) => {
      socket.multicastHopLimit = hops;
    });
  }

  setMulticastLoopback(on: boolean): string | null {
    return this.withSocket((socket) => {
      socket.multicastLoop = on;
    });
  }

  setBroadcast(on: boolean): string | null {
    return this.withSocket((socket) => {
      socket.broadcast = on;
    });
  }

  /** The interface, by its address, that groups are spoken to and joined on. */
  setMulticastInterface(text: string): string | null {
    const address = this.addressOf(text);
    if (address === null) return this.otherFamily(text) ? 'ENOPROTOOPT' : 'EINVAL';
    if (!address.isUnspecified && this.socket !== null && this.interfaceOf(address) === null) return 'EADDRNOTAVAIL';
    return this.withSocket((socket) => {
      socket.multicastSource = address.isUnspecified ? null : address;
    });
  }

  private otherFamily(text: string): boolean {
    return parseAddress(text) !== null && this.addressOf(text) === null;
  }

  private interfaceOf(address: Address): Interface | null {
    return this.host.stack.interfaces.find((iface) => iface.owns(address)) ?? null;
  }

  /** Joins or leaves a group on the interface with that address; undefined: the one that leads to the group. */
  setMembership(group: string, interfaceAddress: string | undefined, join: boolean): string | null {
    const address = this.addressOf(group);
    if (address === null) return this.otherFamily(group) ? 'ENOPROTOOPT' : 'EINVAL';
    if (!address.isMulticast) return join ? 'EINVAL' : 'EADDRNOTAVAIL';
    if (this.socket === null) {
      const refused = this.bind(this.isV6 ? '::' : '0.0.0.0', 0, false, false);
      if (refused !== null) return refused;
    }
    const named = interfaceAddress === undefined ? this.socket!.multicastSource : this.addressOf(interfaceAddress);
    if (named === null && interfaceAddress !== undefined) return 'EINVAL';
    const { stack } = this.host;
    const iface =
      named === null || named.isUnspecified ? (stack.pathTo(address, null)?.iface ?? null) : this.interfaceOf(named);
    if (iface === null) return join ? 'ENODEV' : 'EADDRNOTAVAIL';
    if (join) return stack.joinGroup(this.socket!, address, iface) ? null : 'EADDRINUSE';
    return stack.leaveGroup(this.socket!, address, iface) ? null : 'EADDRNOTAVAIL';
  }

  /** Size of a buffer, in bytes; `size` 0 only asks. Sizes are doubled and bounded as Linux does. */
  bufferSize(size: number, isReceive: boolean): number | string {
    const { socket } = this;
    if (socket === null) return 'EBADF';
    const least = isReceive ? RECEIVE_BUFFER_MIN : SEND_BUFFER_MIN;
    const given = Math.max(Math.min(size, BUFFER_ASKED_MAX) * 2, least);
    if (isReceive) {
      if (size > 0) socket.receiveMax = given;
      return socket.receiveMax;
    }
    if (size > 0) socket.sendMax = given;
    return socket.sendMax;
  }

  // ── life ──

  /** The process waits for a socket that listens. */
  protected get awaited(): boolean {
    return this.receiving && this.refed;
  }

  /** What waits to be sent fails with ECANCELED. Safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.hold();
    const { socket } = this;
    if (socket !== null) {
      this.host.schedule();
      this.host.stack.closeUdp(socket);
    }
    handleClosed(this);
    for (const { done } of this.waiting.splice(0)) done('ECANCELED');
    this.resource.emitDestroy();
  }
}
