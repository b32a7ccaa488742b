import type { Errno } from '../../../../tools/packetdrill/constants';
import { POLLIN, POLLOUT } from '../../../../tools/packetdrill/constants';
import { decodeFrame } from '../../../../tools/packetdrill/decode';
import { encodeTcp } from '../../../../tools/packetdrill/encode';
import {
  ACK,
  FIN,
  findOption,
  RST,
  SYN,
  segmentLength,
  type TcpOption,
  type TcpRecord,
} from '../../../../tools/packetdrill/packet';
import type {
  OptionValue,
  Received,
  ReceiveRequest,
  SendRequest,
  SocketAddress,
  Target,
  TargetConfig,
  TargetFactory,
  TargetSocket,
} from '../../../../tools/packetdrill/target';

/** Ways in which the toy can be wrong, so that tests see the runner notice. */
export interface Quirks {
  /** Added to every acknowledgment number. */
  ackShift?: number;
  /** A bit of every segment's payload or header is flipped behind the checksum. */
  corrupt?: boolean;
  /** Acknowledgments of data wait so long, in microseconds. */
  ackDelayUs?: number;
  /** Payload bytes are this value instead of what was written. */
  fill?: number;
  /** `poll` never gets done. */
  busy?: boolean;
}

const MSS = 1000;
const RTO_US = 200_000;
const ISN = 0x1000_0000;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * Just enough TCP to run scripts on: it opens, acknowledges, sends in segments of 1000 bytes, retransmits the first one
 * every 200 ms and closes. It has no congestion control, no window and no order.
 */
export function toyStack(quirks: Quirks = {}): TargetFactory {
  return (config) => new ToyStack(config, quirks);
}

class ToyStack implements Target {
  readonly sockets: ToySocket[] = [];
  readonly sysctls = new Map<string, string>();
  private readonly scratch = new Uint8Array(65_600);
  private nextPort = 50_000;

  constructor(
    readonly config: TargetConfig,
    readonly quirks: Quirks,
  ) {}

  receive(frame: Uint8Array): void {
    const { record } = decodeFrame(frame);
    if (record?.protocol !== 'tcp') return;
    const own = this.sockets.find((s) => s.matches(record));
    if (own !== undefined) own.arrives(record);
    else if ((record.flags & RST) === 0) this.reject(record);
  }

  private reject(record: TcpRecord): void {
    const listener = this.sockets.find((s) => s.listens && s.local?.port === record.destinationPort);
    if (listener !== undefined && (record.flags & (SYN | ACK)) === SYN) {
      const child = new ToySocket(this, listener.local, { ip: record.ip.source, port: record.sourcePort });
      child.listener = listener;
      this.sockets.push(child);
      child.arrives(record);
      return;
    }
    const hasAck = (record.flags & ACK) !== 0;
    const ack = hasAck ? 0 : (record.seq + segmentLength(record.flags, record.payloadBytes)) >>> 0;
    const flags = hasAck ? RST : RST | ACK;
    this.emit(record.destinationPort, record.sourcePort, { flags, seq: hasAck ? record.ack : 0, ack });
  }

  emit(from: number, to: number, part: Partial<TcpRecord>, cause = 'the toy felt like it'): void {
    const { localIp, remoteIp, wireVersion } = this.config;
    const record: TcpRecord = {
      protocol: 'tcp',
      ip: { version: wireVersion, ttl: 64, tos: 0, flowLabel: 0, source: localIp, destination: remoteIp },
      sourcePort: from,
      destinationPort: to,
      flags: 0,
      seq: 0,
      ack: 0,
      window: 0xffff,
      urgent: 0,
      options: [],
      payloadBytes: 0,
      ...part,
    };
    const frame = encodeTcp(record);
    if (this.quirks.fill !== undefined && record.payloadBytes > 0) {
      // Twice the same byte in neighbouring words would do as well: the checksum is made right by hand.
      const at = frame.length - 2;
      frame[at] = this.quirks.fill;
      frame[20 + 16] = frame[20 + 16]! - this.quirks.fill;
    }
    if (this.quirks.corrupt === true) frame[frame.length - 1]! ^= 1;
    // One buffer for all, as a stack has it: whoever keeps a frame has to copy it.
    this.scratch.set(frame);
    this.config.emit(this.scratch.subarray(0, frame.length), cause);
  }

  poll(): void {
    for (const s of this.sockets) s.poll();
  }

  nextDeadlineUs(): number {
    if (this.quirks.busy === true) return this.config.clock.nowUs;
    return Math.min(NEVER, ...this.sockets.map((s) => s.deadlineUs()));
  }

  socket(_domain: 'inet' | 'inet6', type: 'stream' | 'dgram', protocol: number): TargetSocket | Errno {
    if (type !== 'stream' || (protocol !== 0 && protocol !== 6)) return 'EPROTONOSUPPORT';
    const made = new ToySocket(this, null, null);
    this.sockets.push(made);
    return made;
  }

  port(): number {
    return this.nextPort++;
  }

  sysctl(name: string, value: string): boolean {
    this.sysctls.set(name, value);
    return name.startsWith('net.ipv4.tcp_');
  }

  resetSysctls(): void {
    this.sysctls.clear();
  }

  route(): boolean {
    return false;
  }

  flushMetrics(): void {}
  close(): void {}
}

class ToySocket implements TargetSocket {
  readonly type = 'stream';
  listens = false;
  listener: ToySocket | null = null;
  private readonly accepted: ToySocket[] = [];
  private name = 'CLOSED';
  private sndUna = ISN;
  private sndNxt = ISN;
  /** End of what was written. */
  private written = ISN + 1;
  private rcvNxt = 0;
  private unread = 0;
  private finReceived = false;
  private ackAtUs = NEVER;
  private rtoAtUs = NEVER;
  private echo: number | null = null;
  private error: Errno | null = null;
  private woken = 0;

  constructor(
    private readonly stack: ToyStack,
    public local: SocketAddress | null,
    private remote: SocketAddress | null,
  ) {}

  private get nowUs(): number {
    return this.stack.config.clock.nowUs;
  }

  matches(record: TcpRecord): boolean {
    return this.name !== 'CLOSED' && this.hasPorts(record);
  }

  private hasPorts(record: TcpRecord): boolean {
    return this.remote?.port === record.sourcePort && this.local?.port === record.destinationPort;
  }

  arrives(record: TcpRecord): void {
    this.woken++;
    const { flags } = record;
    if ((flags & RST) !== 0) {
      this.error = this.name === 'SYN-SENT' ? 'ECONNREFUSED' : 'ECONNRESET';
      this.enter('CLOSED');
      this.rtoAtUs = NEVER;
      return;
    }
    const ts = findOption(record.options, 'TS');
    if (ts !== undefined && (flags & SYN) !== 0) this.echo = ts.value;
    else if (ts !== undefined && this.echo !== null) this.echo = ts.value;
    if ((flags & SYN) !== 0) {
      this.synArrives(record);
      return;
    }
    this.ackArrives(record.ack);
    if (this.name === 'SYN-RECEIVED') {
      this.enter('ESTABLISHED');
      this.listener?.accepted.push(this);
    }
    const length = segmentLength(flags, record.payloadBytes);
    if (length === 0) return;
    if (record.seq === this.rcvNxt) {
      this.rcvNxt = (this.rcvNxt + length) >>> 0;
      this.unread += record.payloadBytes;
      this.finReceived ||= (flags & FIN) !== 0;
    }
    this.ackAtUs = Math.min(this.ackAtUs, this.nowUs + (this.stack.quirks.ackDelayUs ?? 0));
  }

  private synArrives(record: TcpRecord): void {
    this.rcvNxt = (record.seq + 1) >>> 0;
    if ((record.flags & ACK) !== 0) {
      this.ackArrives(record.ack);
      this.enter('ESTABLISHED');
      this.ackAtUs = this.nowUs;
      return;
    }
    this.enter('SYN-RECEIVED');
    this.segment(SYN | ACK, ISN, 0);
    this.sndNxt = ISN + 1;
    this.rtoAtUs = this.nowUs + RTO_US;
  }

  private ackArrives(ack: number): void {
    if (ack <= this.sndUna || ack > this.sndNxt) return;
    this.sndUna = ack;
    this.rtoAtUs = ack === this.sndNxt ? NEVER : this.nowUs + RTO_US;
  }

  private segment(flags: number, seq: number, payloadBytes: number): void {
    const options: TcpOption[] = [];
    if ((flags & SYN) !== 0) options.push({ kind: 'mss', value: 1460 });
    if (this.echo !== null) {
      if ((flags & SYN) === 0) options.push({ kind: 'nop' }, { kind: 'nop' });
      options.push({ kind: 'TS', value: 7_000_000 + Math.floor(this.nowUs / 1000), echo: this.echo });
    }
    if ((flags & SYN) !== 0) {
      while (this.echo !== null && options.length < 3) options.push({ kind: 'sackOK' });
    }
    const ack = (flags & ACK) !== 0 ? (this.rcvNxt + (this.stack.quirks.ackShift ?? 0)) >>> 0 : 0;
    this.stack.emit(this.local!.port, this.remote!.port, { flags, seq, ack, payloadBytes, options });
  }

  deadlineUs(): number {
    return Math.min(this.ackAtUs, this.rtoAtUs, this.unsent() > 0 ? this.nowUs : NEVER);
  }

  private unsent(): number {
    return this.name === 'ESTABLISHED' ? this.written - this.sndNxt : 0;
  }

  poll(): void {
    while (this.unsent() > 0) {
      const bytes = Math.min(MSS, this.unsent());
      this.segment(ACK, this.sndNxt, bytes);
      this.sndNxt += bytes;
      this.ackAtUs = NEVER;
      this.rtoAtUs = Math.min(this.rtoAtUs, this.nowUs + RTO_US);
    }
    if (this.ackAtUs <= this.nowUs) {
      this.segment(ACK, this.sndNxt, 0);
      this.ackAtUs = NEVER;
    }
    if (this.rtoAtUs <= this.nowUs) this.retransmit();
  }

  private retransmit(): void {
    this.rtoAtUs = this.nowUs + RTO_US;
    if (this.name === 'SYN-SENT') this.segment(SYN, ISN, 0);
    else if (this.name === 'SYN-RECEIVED') this.segment(SYN | ACK, ISN, 0);
    else this.segment(ACK, this.sndUna, Math.min(MSS, this.sndNxt - this.sndUna));
  }

  private enter(name: string): void {
    this.name = name;
  }

  bind(address: SocketAddress): 0 | Errno {
    this.local = address;
    return 0;
  }

  listen(): 0 | Errno {
    this.listens = true;
    return 0;
  }

  accept(): TargetSocket | Errno {
    if (!this.listens) return 'EINVAL';
    return this.accepted.shift() ?? 'EAGAIN';
  }

  connect(address: SocketAddress | null): 0 | Errno {
    if (this.name === 'SYN-SENT') return 'EALREADY';
    if (address === null) return 'EAFNOSUPPORT';
    this.local ??= { ip: this.stack.config.localIp, port: this.stack.port() };
    this.remote = address;
    this.enter('SYN-SENT');
    this.segment(SYN, ISN, 0);
    this.sndNxt = ISN + 1;
    this.rtoAtUs = this.nowUs + RTO_US;
    return 'EINPROGRESS';
  }

  connecting(): boolean {
    return this.name === 'SYN-SENT';
  }

  send({ data }: SendRequest): number | Errno {
    if (this.error !== null) return this.error;
    if (this.name !== 'ESTABLISHED') return 'ENOTCONN';
    const room = Math.max(0, 4000 - (this.written - this.sndUna));
    if (room === 0) return 'EAGAIN';
    const taken = Math.min(room, data.length);
    this.written += taken;
    return taken;
  }

  receive({ bytes }: ReceiveRequest): Received | Errno {
    if (this.error !== null) return this.error;
    if (this.unread === 0 && !this.finReceived) return 'EAGAIN';
    const got = Math.min(bytes, this.unread);
    this.unread -= got;
    return { bytes: got, flags: 0, control: [{ level: 6, type: 36, data: { kind: 'number', value: this.unread } }] };
  }

  shutdown(): 0 | Errno {
    return this.name === 'ESTABLISHED' ? 0 : 'ENOTCONN';
  }

  close(): void {
    if (this.name !== 'ESTABLISHED') return;
    this.poll();
    this.segment(FIN | ACK, this.sndNxt, 0);
    this.sndNxt += 1;
    this.written = this.sndNxt;
  }

  setOption(): 0 | Errno {
    return 0;
  }

  getOption(name: string): OptionValue | { readonly error: Errno } {
    if (name === 'SO_SNDBUF') return 42_000;
    if (name === 'TCP_CONGESTION') return 'toy';
    if (name !== 'SO_ERROR') return { error: 'ENOPROTOOPT' };
    const value = this.error === null ? 0 : this.error === 'ECONNREFUSED' ? 111 : 104;
    this.error = null;
    return value;
  }

  queued(which: 'in' | 'out' | 'unsent'): number | Errno {
    return which === 'in' ? this.unread : this.written - (which === 'out' ? this.sndUna : this.sndNxt);
  }

  readiness(): number {
    const readable = this.unread > 0 || this.finReceived || this.accepted.length > 0;
    return (readable ? POLLIN : 0) | (this.name === 'ESTABLISHED' ? POLLOUT : 0);
  }

  wakeups(): number {
    return this.woken;
  }

  tcpInfo(): Readonly<Record<string, number>> | null {
    return {
      tcpi_state: this.name === 'ESTABLISHED' ? 1 : 7,
      tcpi_unacked: this.sndNxt - this.sndUna,
      tcpi_snd_cwnd: 10,
    };
  }

  localAddress(): SocketAddress | null {
    return this.local;
  }

  remoteAddress(): SocketAddress | null {
    return this.remote;
  }

  state(): string {
    return this.name;
  }
}
