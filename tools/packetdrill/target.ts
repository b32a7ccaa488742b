import type { Bytes } from '../../stack/base/bytes';
import type { RouteMetrics } from './commands';
import type { Errno, SocketOptionName } from './constants';
import type { SocketFamily } from './options';
import type { IpVersion } from './packet';

/**
 * What the runner needs from a stack under test. Times are microseconds of virtual time since the script began; nothing
 * here waits, and nothing happens by itself: the runner moves the clock and calls `poll`.
 */
export interface Target {
  /** One IP datagram arrives. What it leads to may be emitted now or at the next `poll`. The frame may be kept. */
  receive(frame: Bytes): void;
  /** Why the datagram that came last was not used; '' when it was. For a target that does not say, nothing is known. */
  lastDrop?(): string;
  /** Does everything that is due at the clock's time and sends what there is to send. Calls back through `emit` only. */
  poll(): void;
  /** When `poll` has something to do next; at most the clock's time when it has now, Infinity when never. */
  nextDeadlineUs(): number;
  /** A new socket, or why there is none. `protocol` is the number given, 0 for the natural one. */
  socket(domain: 'inet' | 'inet6', type: 'stream' | 'dgram', protocol: number): TargetSocket | Errno;
  /** Sets a named kernel variable of Linux (`net.ipv4.tcp_sack`). False when the stack has no such thing. */
  sysctl(name: string, value: string): boolean;
  /** Restores the defaults of the profile, as if no `sysctl` had been called. */
  resetSysctls(): void;
  /** Changes the route to the peer; null leaves as it is. False when the stack has no such thing. */
  route(metrics: RouteMetrics): boolean;
  /** Forgets what earlier connections to a host left behind: Fast Open cookies, slow-start thresholds. */
  flushMetrics(): void;
  /** The run is over. */
  close(): void;
}

/** Virtual time as the target reads it. */
export interface Clock {
  readonly nowUs: number;
}

export type Profile = 'linux' | 'rfc';

export interface TargetConfig {
  readonly clock: Clock;
  readonly profile: Profile;
  /** Of the generator behind ISNs and ports. */
  readonly seed: number;
  readonly family: SocketFamily;
  readonly wireVersion: IpVersion;
  /** Of the stack. */
  readonly localIp: string;
  readonly remoteIp: string;
  readonly gatewayIp: string;
  /** '' for IPv6. */
  readonly netmaskIp: string;
  readonly mtu: number;
  /** The MSS to advertise; 0 for what the MTU leaves. */
  readonly mss: number;
  /**
   * Takes a whole IP datagram that the stack sends, checksums complete, at the clock's time; it is copied. `cause` says
   * which rule made the stack send it. False: the link dropped it, as a full queue would.
   */
  readonly emit: (frame: Bytes, cause?: string) => boolean;
}

export type TargetFactory = (config: TargetConfig) => Target;

/** An address and a port. IPv4 on a socket of AF_INET6 is written `::ffff:192.0.2.1`. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** SO_LINGER's structure; a string for names (TCP_CONGESTION) and keys; a number for all else, seconds for SO_*TIMEO. */
export type OptionValue = number | string | { readonly onoff: number; readonly linger: number };

export interface SendRequest {
  /** All zeros unless the script gave a string. */
  readonly data: Bytes;
  /** MSG_* bits. */
  readonly flags: number;
  /** Where to, with MSG_FASTOPEN or on a datagram socket; 'unspec' for AF_UNSPEC. */
  readonly to: SocketAddress | 'unspec' | null;
  /** The caller waits until the connection stands: bytes may be taken although it does not yet. */
  readonly waits: boolean;
}

export interface ReceiveRequest {
  /** At most so many bytes. */
  readonly bytes: number;
  /** MSG_* bits; with MSG_ERRQUEUE from the error queue. */
  readonly flags: number;
}

/** What a control message carries. */
export type ControlData =
  | { readonly kind: 'number'; readonly value: number }
  /** `us`: when it happened, in virtual time. */
  | { readonly kind: 'timestamp'; readonly us: number }
  | {
      readonly kind: 'error';
      readonly errno: number;
      readonly origin: number;
      readonly type: number;
      readonly code: number;
      readonly info: number;
      readonly data: number;
    };

export interface ControlMessage {
  /** SOL_*. */
  readonly level: number;
  readonly type: number;
  readonly data: ControlData;
}

export interface Received {
  /** 0: the end of the stream. */
  readonly bytes: number;
  /** msg_flags. */
  readonly flags: number;
  readonly control: readonly ControlMessage[];
}

/**
 * A socket of the stack. No call waits: what cannot be done now is 'EAGAIN' (or 'EINPROGRESS' for a connection), and
 * whether the caller waits is decided above. A failed call returns the name of its error.
 */
export interface TargetSocket {
  readonly type: 'stream' | 'dgram';
  bind(address: SocketAddress): 0 | Errno;
  listen(backlog: number): 0 | Errno;
  /** The next connection of a listening socket. */
  accept(): TargetSocket | Errno;
  /** Null address: AF_UNSPEC. 0 when it is connected, or will connect at the first write (TCP_FASTOPEN_CONNECT). */
  connect(address: SocketAddress | null): 0 | Errno;
  /** True from a `connect` or Fast Open write that is under way until it has succeeded or failed. */
  connecting(): boolean;
  /** Bytes taken, at least one unless `data` is empty. A Fast Open write takes what the SYN carries. */
  send(request: SendRequest): number | Errno;
  receive(request: ReceiveRequest): Received | Errno;
  shutdown(how: 'rd' | 'wr' | 'rdwr'): 0 | Errno;
  /** The application lets go: FIN, or RST when received data was not read or SO_LINGER says so. */
  close(): void;
  setOption(name: SocketOptionName, value: OptionValue): 0 | Errno;
  /** SO_ERROR is read and cleared. */
  getOption(name: SocketOptionName): OptionValue | { readonly error: Errno };
  /** 'in': received and not read (SIOCINQ). 'out': written and not acknowledged. 'unsent': written and never sent. */
  queued(which: 'in' | 'out' | 'unsent'): number | Errno;
  /** POLL* bits that hold now. */
  readiness(): number;
  /** Counts what would wake a waiting process: an edge-triggered epoll reports when it has grown. */
  wakeups(): number;
  /** The fields of TCP_INFO under their Linux names (`tcpi_rtt`, microseconds); null when there is none. */
  tcpInfo(): Readonly<Record<string, number>> | null;
  localAddress(): SocketAddress | null;
  remoteAddress(): SocketAddress | null;
  /** The state's name in RFC 9293, for messages. */
  state(): string;
}
