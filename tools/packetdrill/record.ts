import { dissect } from '../pcap/dissect';
import { FlowTracker } from '../pcap/flows';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from '../pcap/format';
import { ACK, FIN, type Packet, RST, SYN, type Tcp, type TcpOption } from '../pcap/packet';
import type { CapturedPacket } from '../pcap/parser';
import { printFlags } from './notation';

export interface RecordOptions {
  /** The connection's number, as `tapwire decode` counts; 1 when absent. */
  readonly follow?: number;
  /** Which end plays the stack; when absent, the one whose packets the capture calls outbound, else the server. */
  readonly side?: 'client' | 'server';
}

/** A capture that no script can be made of: a sentence for people. */
export class RecordError extends Error {}

/** What scripts are judged by is the order of things: real stacks and machines are late by so much, in microseconds. */
const TOLERANCE_US = 20_000;
/** Text that follows text within this time was written in one go. */
const SAME_WRITE_US = 500;
const ECN_SETUP = 0xc0;
const MSS_OF_ETHERNET = { 4: 1460, 6: 1440 } as const;
const ECN_NAMES = ['', '[ect1] ', '[ect0] ', '[ce] '] as const;
const FD = { server: 4, client: 3 } as const;

/** One segment of the connection. */
interface Seen {
  readonly us: number;
  readonly out: boolean;
  readonly tcp: Tcp;
  readonly version: 4 | 6;
  /** RFC 3168's two bits of the IP header. */
  readonly ecn: number;
  /** Relative to the initial sequence number of its direction; on a SYN as on the wire, 0. */
  readonly from: number;
  readonly ack: number;
}

/**
 * Turns a connection of a capture into a script: what the other end sent is injected, what the chosen end sent is
 * expected, and the calls that its application must have made are put between. Throws RecordError.
 */
export function recordScript(packets: Iterable<CapturedPacket>, options: RecordOptions = {}): string {
  const segments = follow(packets, options);
  return new Recorder(segments).script();
}

interface Found {
  readonly packet: Packet;
  readonly tcp: Tcp;
  readonly captured: CapturedPacket;
  readonly fromOpener: boolean;
}

const isSyn = ({ flags }: Tcp): boolean => (flags & (SYN | ACK)) === SYN;

/** The segments of one connection, seen from one end. */
function follow(packets: Iterable<CapturedPacket>, { follow = 1, side }: RecordOptions): Seen[] {
  const found = connectionOf(packets, follow);
  const answer = found.find(({ tcp, fromOpener }) => !fromOpener && (tcp.flags & (SYN | ACK)) === (SYN | ACK));
  if (answer === undefined) throw new RecordError('the connection was never answered: there is no SYN-ACK');
  const opened = found[0]!.tcp.seq;
  const answered = answer.tcp.seq;
  const firstNs = found[0]!.captured.timeNs;
  return found.map(({ packet, tcp, captured, fromOpener }) => {
    const hasAck = (tcp.flags & ACK) !== 0;
    return {
      us: Number((captured.timeNs - firstNs) / 1000n),
      out: side === undefined ? isOutbound(captured, fromOpener) : fromOpener === (side === 'client'),
      tcp,
      version: packet.ip!.version,
      ecn: packet.ip!.tos & 3,
      from: (tcp.seq - (fromOpener ? opened : answered)) >>> 0,
      ack: hasAck ? (tcp.ack - (fromOpener ? answered : opened)) >>> 0 : 0,
    };
  });
}

function isOutbound({ direction }: CapturedPacket, fromOpener: boolean): boolean {
  if (direction === DIRECTION_OUTBOUND) return true;
  return direction !== DIRECTION_INBOUND && !fromOpener;
}

/** All segments of the connection with this number, which is the one that `tapwire decode` gives it. */
function connectionOf(packets: Iterable<CapturedPacket>, number: number): Found[] {
  const tracker = new FlowTracker();
  const found: Found[] = [];
  for (const captured of packets) {
    const packet = dissect(captured.bytes, 0, captured.bytes.length, captured.linkType, captured);
    const view = tracker.observe(packet, captured.timeMs);
    if (view?.flow === number) found.push({ packet, tcp: packet.tcp!, captured, fromOpener: view.fromOpener });
  }
  const count = tracker.flows.length;
  if (found.length === 0) {
    throw new RecordError(`no connection ${number}: the capture has ${count === 1 ? 'one' : count || 'none'}`);
  }
  if (!isSyn(found[0]!.tcp)) throw new RecordError(`the capture does not show how connection ${number} began`);
  return found;
}

/** Writes the lines, keeping track of what the application has written, closed and not yet read. */
class Recorder {
  private readonly lines: string[] = [];
  private readonly fd: number;
  /** The end of what the stack has sent, and of what it has acknowledged: that much its application can have read. */
  private sent = 1;
  private received = 1;
  private unread = 0;
  private open = false;
  private closed = false;
  /** Where the other end's FIN stands; Infinity before it comes. */
  private peerFin = Number.POSITIVE_INFINITY;

  private readonly passive: boolean;
  private connected = false;

  constructor(private readonly segments: readonly Seen[]) {
    const passive = !segments[0]!.out;
    this.passive = passive;
    this.fd = passive ? FD.server : FD.client;
    const role = passive ? 'server' : 'client';
    const sysctls = variables(segments);
    this.lines.push(
      `--tolerance_usecs=${TOLERANCE_US}`,
      ...(segments[0]!.version === 6 ? ['--ip_version=ipv6'] : []),
      `// Recorded from a capture: the ${role} is the stack, the other end is played.`,
      ...(sysctls === '' ? [] : [`\`sysctl -q ${sysctls}\``]),
      '0.000000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3',
      ...segmentSize(segments),
    );
    if (passive) this.lines.push('+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0');
    if (passive) this.lines.push('+0 bind(3, ..., ...) = 0', '+0 listen(3, 5) = 0');
  }

  script(): string {
    for (let i = 0; i < this.segments.length; i++) {
      const segment = this.segments[i]!;
      if (segment.out) this.sends(segment, i);
      else this.receives(segment, i);
    }
    if (this.unread > 0 && !this.closed) this.read(this.segments.at(-1)!.us);
    return `${this.lines.join('\n')}\n`;
  }

  /** The stack sends: what made it do so comes first. */
  private sends(segment: Seen, i: number): void {
    const { tcp, us, from } = segment;
    const { flags, length } = tcp;
    if (isSyn(tcp)) {
      if (!this.connected) this.connect(us);
    } else if ((flags & (RST | FIN)) !== 0 || length > 0) {
      if (this.passive && !this.open && length > 0) this.accepted();
      if (length > 0 && from === this.sent) this.write(segment, i);
      if ((flags & FIN) !== 0 && from + length === this.sent) this.close(segment, i);
      else if ((flags & RST) !== 0 && !this.closed) this.abort(us);
    }
    this.lines.push(`${time(us)} > ${line(segment)}`);
    if ((flags & (ACK | RST)) === ACK) this.acknowledges(segment);
  }

  /** What the stack acknowledges is there to be read; a reader that does not fall behind takes it. */
  private acknowledges({ tcp, ack, us }: Seen): void {
    // A SYN-ACK's number counts from the other end's SYN like every other.
    const end = Math.min(ack, this.peerFin);
    if (end <= this.received || end > 0x7fff_ffff) return;
    this.unread += end - this.received;
    this.received = end;
    if (this.open && !this.closed && (tcp.flags & SYN) === 0) this.read(us);
  }

  private connect(us: number): void {
    this.connected = true;
    this.lines.push(
      '+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0',
      `${time(us)} connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)`,
    );
  }

  /** New text: one write for all that follows at once. */
  private write(segment: Seen, i: number): void {
    let end = segment.from + segment.tcp.length;
    let lastUs = segment.us;
    let answered = false;
    let held = false;
    for (const next of this.segments.slice(i + 1)) {
      if (!next.out) {
        answered = true;
        continue;
      }
      // A probe of the closed window says that there is more.
      if (next.tcp.length === 0 && next.from === end - 1) held = true;
      if (next.tcp.length === 0 || next.from < end) continue;
      if (next.from !== end || (!held && (answered || next.us - lastUs > SAME_WRITE_US))) break;
      end += next.tcp.length;
      lastUs = next.us;
    }
    const bytes = end - this.sent;
    const isLast = this.segments.some(({ out, tcp, from }) => out && (tcp.flags & FIN) !== 0 && from < end);
    if (this.unread > 0) this.read(segment.us);
    // Text that left together with the FIN was held until the close.
    const call = isLast ? `send(${this.fd}, ..., ${bytes}, MSG_MORE)` : `write(${this.fd}, ..., ${bytes})`;
    this.lines.push(`${time(segment.us)} ${call} = ${bytes}`);
    this.sent = end;
    if (isLast) this.close(segment, i);
  }

  private close(segment: Seen, i: number): void {
    if (this.closed) return;
    if (this.unread > 0) this.read(segment.us);
    const rest = this.segments.slice(i + 1);
    // Text for an application that has closed is answered by a RST.
    const reads =
      rest.some(({ out, tcp }) => !out && tcp.length > 0) &&
      !rest.some(({ out, tcp }) => out && (tcp.flags & RST) !== 0);
    const call = reads ? `shutdown(${this.fd}, SHUT_WR)` : `close(${this.fd})`;
    this.lines.push(`${time(segment.us)} ${call} = 0`);
    this.closed = true;
  }

  private abort(us: number): void {
    this.closed = true;
    if (!this.open) return;
    this.lines.push(
      `${time(us)} setsockopt(${this.fd}, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0`,
      `+0 close(${this.fd}) = 0`,
    );
  }

  private read(us: number): void {
    this.lines.push(`${time(us)} read(${this.fd}, ..., ${this.unread}) = ${this.unread}`);
    this.unread = 0;
  }

  /** The other end sends. */
  private receives(segment: Seen, i: number): void {
    const { tcp, us, from } = segment;
    this.lines.push(`${time(us)} < ${line(segment)}`);
    if ((tcp.flags & SYN) !== 0) {
      if ((tcp.flags & ACK) !== 0) this.opened();
      return;
    }
    if (this.passive && !this.open && (tcp.flags & (ACK | RST)) === ACK && !this.isRefused(i)) this.accepted();
    if ((tcp.flags & FIN) !== 0) this.peerFin = from + tcp.length;
    if ((tcp.flags & RST) !== 0) this.closed = true;
  }

  /** The stack answers with a RST, bare as such answers are: there was no connection any more. A close sends RST and ACK. */
  private isRefused(i: number): boolean {
    const next = this.segments.slice(i + 1).find(({ out }) => out);
    return next !== undefined && (next.tcp.flags & (RST | ACK)) === RST;
  }

  /** The connection is the application's. */
  private accepted(): void {
    this.lines.push(`+0 accept(3, ..., ...) = ${FD.server}`);
    this.opened();
    if (this.unread > 0) this.lines.push(`+0 read(${this.fd}, ..., ${this.unread}) = ${this.unread}`);
    this.unread = 0;
  }

  /** Small writes go when the capture shows them, not when Nagle's algorithm would let them. */
  private opened(): void {
    this.open = true;
    this.lines.push(`+0 setsockopt(${this.fd}, SOL_TCP, TCP_NODELAY, [1], 4) = 0`);
  }
}

/** Kernel variables that the stack's first segment shows not to have had their defaults. */
function variables(segments: readonly Seen[]): string {
  const own = segments.find(({ out, tcp }) => out && (tcp.flags & SYN) !== 0);
  if (own === undefined) return '';
  const offered = own.tcp.flags & ACK ? segments.find(({ out, tcp }) => !out && isSyn(tcp)) : own;
  const lacks = (kind: TcpOption['kind']): boolean => {
    const wasOffered = offered === own || offered?.tcp.options.some((option) => option.kind === kind) === true;
    return wasOffered && !own.tcp.options.some((option) => option.kind === kind);
  };
  const list: string[] = [];
  if (lacks('TS')) list.push('net.ipv4.tcp_timestamps=0');
  if (lacks('sackOK')) list.push('net.ipv4.tcp_sack=0');
  if (lacks('wscale')) list.push('net.ipv4.tcp_window_scaling=0');
  if (isSyn(own.tcp) && (own.tcp.flags & ECN_SETUP) === ECN_SETUP) list.push('net.ipv4.tcp_ecn=1');
  return list.join(' ');
}

/** TCP_MAXSEG, when the stack announced less than a link of 1500 bytes takes. */
function segmentSize(segments: readonly Seen[]): string[] {
  const own = segments.find(({ out, tcp }) => out && (tcp.flags & SYN) !== 0);
  const mss = own?.tcp.options.find((option) => option.kind === 'mss');
  if (own === undefined || mss?.kind !== 'mss' || mss.value >= MSS_OF_ETHERNET[own.version]) return [];
  return [`+0 setsockopt(3, SOL_TCP, TCP_MAXSEG, [${mss.value}], 4) = 0`];
}

const time = (us: number): string => (us / 1e6).toFixed(6);

/** A segment as a script has it. The window is only told of what is injected, and where it is closed. */
function line({ tcp, out, ecn, from, ack }: Seen): string {
  const words = [ECN_NAMES[ecn]! + printFlags(tcp.flags & 0xff), `${from}:${(from + tcp.length) >>> 0}(${tcp.length})`];
  if ((tcp.flags & ACK) !== 0) words.push(`ack ${ack}`);
  if (!out || tcp.window === 0) words.push(`win ${tcp.window}`);
  if (tcp.urgent > 0) words.push(`urg ${tcp.urgent}`);
  const options = tcp.options.map((option) => optionText(option, tcp, ack)).filter((text) => text !== '');
  if (options.length > 0) words.push(`<${options.join(',')}>`);
  return words.join(' ');
}

function optionText(option: TcpOption, tcp: Tcp, ack: number): string {
  switch (option.kind) {
    case 'mss':
      return `mss ${option.value}`;
    case 'wscale':
      return `wscale ${option.shift}`;
    case 'TS':
      return `TS val ${option.val} ecr ${option.ecr}`;
    case 'sack': {
      // The edges count from where the acknowledgment number does.
      const edge = (n: number): number => (n - tcp.ack + ack) >>> 0;
      return `sack ${option.blocks.map(([a, b]) => `${edge(a)}:${edge(b)}`).join(' ')}`;
    }
    case 'FO':
      return `${option.experimental ? 'FOEXP' : 'FO'} ${option.cookie}`.trim();
    case 'md5':
      return `md5 ${option.digest}`;
    case 'nop':
    case 'eol':
    case 'sackOK':
      return option.kind;
    default:
      throw new RecordError(
        `the option ${option.kind === 'other' ? option.number : option.kind} has no name in scripts`,
      );
  }
}
