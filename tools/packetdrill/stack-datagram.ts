import type { Address } from '../../stack/base/address';
import { QUEUE_COST, type UdpOwner, type UdpSocket } from '../../stack/udp/udp';
import { ERRNO, type Errno, MSG_PEEK, POLLERR, POLLIN, POLLOUT, type SocketOptionName } from './constants';
import { Unsupported } from './source';
import { toAddress, toSocketAddress } from './stack-address';
import type { StackTarget } from './stack-target';
import type { OptionValue, Received, ReceiveRequest, SendRequest, SocketAddress, TargetSocket } from './target';

const POLLRDNORM = 0x40;
const POLLWRNORM = 0x100;

/** A UDP socket of the stack. */
export class StackDatagramSocket implements TargetSocket, UdpOwner {
  readonly type = 'dgram';
  private socket: UdpSocket | null = null;
  private woken = 0;
  private readonly switches = new Map<string, number>();

  constructor(
    private readonly target: StackTarget,
    private readonly domain: 'inet' | 'inet6',
  ) {}

  bind(address: SocketAddress): 0 | Errno {
    const local = toAddress(address.ip);
    if (local === null) return 'EAFNOSUPPORT';
    return this.open(local.isUnspecified ? null : local, address.port);
  }

  private open(address: Address | null, port: number): 0 | Errno {
    if (this.socket !== null) return 'EINVAL';
    const family = this.domain === 'inet' ? 4 : 0;
    const made = this.target.stack.udp.bind(address, family, port, this.switches.get('SO_REUSEADDR') === 1);
    if (typeof made === 'string') return made;
    made.owner = this;
    this.socket = made;
    return 0;
  }

  listen(): Errno {
    return 'EOPNOTSUPP';
  }

  accept(): Errno {
    return 'EOPNOTSUPP';
  }

  connect(address: SocketAddress | null): 0 | Errno {
    if (this.socket === null) this.open(null, 0);
    const socket = this.socket!;
    if (address === null) {
      socket.remote = null;
      return 0;
    }
    const remote = toAddress(address.ip);
    if (remote === null) return 'EAFNOSUPPORT';
    if (this.target.stack.pathTo(remote, socket.address) === null) return 'ENETUNREACH';
    socket.remote = remote;
    socket.remotePort = address.port;
    return 0;
  }

  connecting(): boolean {
    return false;
  }

  send({ data, to }: SendRequest): number | Errno {
    if (this.socket === null) this.open(null, 0);
    const socket = this.socket!;
    const error = this.takeError();
    if (error !== null) return error;
    const remote = to !== null && to !== 'unspec' ? toAddress(to.ip) : socket.remote;
    const port = to !== null && to !== 'unspec' ? to.port : socket.remotePort;
    if (remote === null) return 'EDESTADDRREQ';
    return this.target.stack.udp.send(socket, data, remote, port) ?? data.length;
  }

  receive({ bytes, flags }: ReceiveRequest): Received | Errno {
    const error = this.takeError();
    if (error !== null) return error;
    const message = this.socket?.queue[0];
    if (message === undefined) return 'EAGAIN';
    if ((flags & MSG_PEEK) === 0) {
      this.socket!.queue.shift();
      this.socket!.queuedBytes -= message.bytes.length + QUEUE_COST;
    }
    return { bytes: Math.min(bytes, message.bytes.length), flags: 0, control: [] };
  }

  shutdown(): 0 | Errno {
    return this.socket?.remote == null ? 'ENOTCONN' : 0;
  }

  close(): void {
    if (this.socket !== null) this.target.stack.udp.close(this.socket);
  }

  private takeError(): Errno | null {
    const { socket } = this;
    const error = socket?.error ?? null;
    if (socket !== null) socket.error = null;
    return error;
  }

  setOption(name: SocketOptionName, value: OptionValue): 0 | Errno {
    if (typeof value !== 'number') return 'EINVAL';
    if (name === 'SO_REUSEADDR' || name === 'SO_RCVBUF' || name === 'SO_SNDBUF') {
      this.switches.set(name, value);
      return 0;
    }
    throw new Unsupported(`setting ${name} of a datagram socket`);
  }

  getOption(name: SocketOptionName): OptionValue {
    if (name === 'SO_ERROR') {
      const error = this.takeError();
      return error === null ? 0 : ERRNO[error];
    }
    if (name === 'SO_TYPE') return 2;
    const value = this.switches.get(name);
    if (value === undefined) throw new Unsupported(`reading ${name} of a datagram socket`);
    return value;
  }

  queued(which: 'in' | 'out' | 'unsent'): number | Errno {
    return which === 'in' ? (this.socket?.queue[0]?.bytes.length ?? 0) : 0;
  }

  readiness(): number {
    const { socket } = this;
    const readable = socket !== null && socket.queue.length > 0 ? POLLIN | POLLRDNORM : 0;
    return readable | POLLOUT | POLLWRNORM | (socket?.error != null ? POLLERR : 0);
  }

  wakeups(): number {
    return this.woken;
  }

  onUdp(): void {
    this.woken++;
  }

  tcpInfo(): null {
    return null;
  }

  localAddress(): SocketAddress | null {
    const { socket } = this;
    if (socket === null) return null;
    const any = this.domain === 'inet6' ? '::' : '0.0.0.0';
    if (socket.address === null) return { ip: any, port: socket.port };
    return toSocketAddress(socket.address, socket.port, this.domain);
  }

  remoteAddress(): SocketAddress | null {
    const { socket } = this;
    return socket === null || socket.remote === null
      ? null
      : toSocketAddress(socket.remote, socket.remotePort, this.domain);
  }

  state(): string {
    return this.socket?.remote == null ? 'unconnected' : 'connected';
  }
}
