import { type Address, Cidr, parseAddress } from '../stack/base/address';
import type { Bytes, Millis } from '../stack/base/bytes';
import { DROPS, type Drop } from '../stack/base/drops';
import type { Interface } from '../stack/ip/interface';
import { DEFAULT_CONFIG, Stack } from '../stack/stack';
import { abort, connect, consume, listen, send, shutdown } from '../stack/tcp/calls';
import type { Connection } from '../stack/tcp/connection';
import { LINUX } from '../stack/tcp/profile';
import { type Seq, seqAdd, seqDiff } from '../stack/tcp/seq';
import { ACK, FIN, type Packet, RST, SYN, type Tcp } from './pcap/packet';

/** What the captured end must have been able to hold is not known: no reason to drop. */
const BUFFER_BYTES = 64 << 20;
/** Congestion control of the captured end was its own affair. */
const WINDOW_PACKETS = 1 << 20;
const FRAME_BYTES_MAX = 65_575;
/** Deadlines that may pass between two packets; a capture can claim any times. */
const DEADLINES_MAX = 1000;
/** A capture may claim any number of interfaces; those beyond share a stack. */
const STACKS_MAX = 32;
/** The stack's time at the capture's first packet. */
const EPOCH_MS = 1_000_000;
const PIECE = new Uint8Array(65_536);

const PROFILE = {
  ...LINUX,
  receiveBufferInitial: BUFFER_BYTES,
  receiveBufferMax: BUFFER_BYTES,
  sendBufferInitial: BUFFER_BYTES,
  sendBufferMax: BUFFER_BYTES,
  windowScale: 14,
};

const SILENT = { onSignals: (): void => {} };

/** Which connection a segment of the captured end belongs to. */
const flowKey = (port: number, remote: string, remotePort: number): string => `${port} ${remote} ${remotePort}`;

/**
 * Puts a stack of ours in the place of one end of a capture: what came to that end is received, what it sent is taken as
 * what its application did. Tells what our stack would have dropped, and why. Nothing is sent anywhere.
 *
 * `scout` first sees every packet, then `look` sees each again: initial sequence numbers are those of the capture.
 */
class StackReplay {
  private readonly stack: Stack;
  private readonly iface: Interface;
  private readonly here: string;
  /** Initial numbers that the captured end chose, by connection, in order. */
  private readonly initial = new Map<string, number[]>();
  /** The last SYN of each connection to this end, and how many came before it. */
  private readonly asked = new Map<string, { seq: number; turn: number }>();
  private readonly listening = new Set<number>();
  private firstMs = Number.NaN;
  private now: Millis = EPOCH_MS;
  private drops: Drop[] = [];

  constructor(private readonly cidr: Cidr) {
    this.here = String(cidr.address);
    this.stack = new Stack({ ...DEFAULT_CONFIG, profile: PROFILE, trace: true, traceCapacity: 1 });
    this.stack.trace.subscribe(({ kind, numbers }) => {
      if (kind === 'drop') this.drops.push(DROPS[numbers[0]!]!);
    });
    this.iface = this.stack.addInterface({
      name: 'capture',
      link: 'ip',
      mtu: 65_535,
      mac: null,
      addresses: [cidr],
      checksumOffload: true,
      tso4: false,
      tso6: false,
    });
    const anywhere = parseAddress(cidr.address.family === 4 ? '0.0.0.0' : '::')!;
    this.stack.addRoute(new Cidr(anywhere, 0), null, this.iface);
  }

  /** The first pass. */
  scout({ ip, tcp }: Packet): void {
    if (ip === null || tcp === null || ip.source !== this.here || (tcp.flags & SYN) === 0) return;
    const key = flowKey(tcp.sport, ip.destination, tcp.dport);
    const list = this.initial.get(key);
    if (list === undefined) this.initial.set(key, [tcp.seq]);
    // A SYN that is repeated has the same number.
    else if (list.at(-1) !== tcp.seq) list.push(tcp.seq);
  }

  /** The second pass: why our stack drops the packet (or a part of it); null when it is not for this end. */
  look(packet: Packet, timeMs: number): readonly Drop[] | null {
    if (Number.isNaN(this.firstMs)) this.firstMs = timeMs;
    // Time never goes back, whatever the capture says.
    this.now = Math.max(this.now, EPOCH_MS + timeMs - this.firstMs);
    const at = this.now;
    this.pass(at);
    this.drops = [];
    const { ip } = packet;
    if (ip === null || packet.cut) return null;
    if (ip.source === this.here) {
      if (packet.tcp?.whole === true) this.sent(packet, packet.tcp, at);
      return null;
    }
    if (ip.destination !== this.here) return null;
    return this.arrives(packet, at);
  }

  /** Lets the time go by until `at`. */
  private pass(at: Millis): void {
    const { stack } = this;
    for (let n = 0; n < DEADLINES_MAX && stack.nextDeadline() <= at; n++) this.poll(stack.nextDeadline());
  }

  private poll(now: Millis): void {
    const { stack } = this;
    for (let done = false; !done; ) {
      done = stack.poll(now);
      this.iface.tx.clear();
      stack.blocks.settle();
    }
  }

  // ── what came to this end ──

  private arrives(packet: Packet, at: Millis): readonly Drop[] {
    const { bytes, ip, tcp } = packet;
    const start = ip!.headerAt;
    const length = packet.end - start;
    if (length > FRAME_BYTES_MAX) return [];
    if (tcp !== null && (tcp.flags & (SYN | ACK)) === SYN) this.expect(ip!.source, tcp);
    this.receive(bytes, start, length, tcp?.checksum === 'partial', at);
    this.readAll(at);
    this.poll(at);
    return this.drops;
  }

  private receive(bytes: Bytes, start: number, length: number, checksumValid: boolean, at: Millis): void {
    const { stack } = this;
    if (!stack.rotateSlab()) return;
    const slab = stack.slabs.current;
    const into = (slab.fill + 3) & ~3;
    slab.bytes.set(bytes.subarray(start, start + length), into);
    slab.fill = into + length;
    stack.receive(this.iface, slab, into, length, checksumValid, 0, at);
  }

  /** A SYN comes: somebody listens if the captured end answered, with the number that it answered with. */
  private expect(remote: string, tcp: Tcp): void {
    const key = flowKey(tcp.dport, remote, tcp.sport);
    const answers = this.initial.get(key);
    if (answers === undefined) return;
    const before = this.asked.get(key);
    // One that is repeated asks for the same connection.
    const turn = before === undefined ? 0 : before.turn + (before.seq === tcp.seq ? 0 : 1);
    this.asked.set(key, { seq: tcp.seq, turn });
    if (turn >= answers.length) return;
    this.stack.tcp.initialSequenceFixed = answers[turn]! as Seq;
    if (this.listening.has(tcp.dport)) return;
    this.listening.add(tcp.dport);
    listen(this.stack.tcp, null, 0, tcp.dport, 65_535);
  }

  /** The application is not known: it reads at once. */
  private readAll(at: Millis): void {
    const { tcp, udp } = this.stack;
    for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
      listener.signalled = false;
      for (const c of listener.accepted.splice(0)) c.owner = SILENT;
    }
    for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
      c.signals = 0;
      if (c.readable > 0) consume(tcp, c, c.readable, at);
    }
    udp.signalled.length = 0;
  }

  // ── what this end sent ──

  private sent({ ip, payloadAt, payloadEnd }: Packet, tcp: Tcp, at: Millis): void {
    const layer = this.stack.tcp;
    const remote = parseAddress(ip!.destination);
    if (remote === null) return;
    let c: Connection | null = layer.connections.lookup(this.cidr.address, tcp.sport, remote, tcp.dport);
    if (c === null && (tcp.flags & (SYN | ACK)) === SYN) c = this.open(remote, tcp, at);
    if (c === null) return;
    c.cwnd = WINDOW_PACKETS;
    c.noDelay = true;
    if ((tcp.flags & SYN) !== 0) this.sameClock(c, tcp, at);
    else if ((tcp.flags & RST) !== 0) abort(layer, c, at);
    else this.wrote(c, tcp, Math.max(payloadEnd - payloadAt, tcp.length), at);
    this.poll(at);
  }

  private open(remote: Address, tcp: Tcp, at: Millis): Connection | null {
    this.stack.tcp.initialSequenceFixed = tcp.seq as Seq;
    const c = connect(this.stack.tcp, remote, tcp.dport, this.cidr.address, tcp.sport, SILENT, at);
    return typeof c === 'string' ? null : c;
  }

  /** What the peer echoes is the captured end's clock. */
  private sameClock(c: Connection, tcp: Tcp, at: Millis): void {
    const ts = tcp.options.find((option) => option.kind === 'TS');
    if (ts?.kind === 'TS') c.tsOffset = (ts.val - Math.floor(at)) | 0;
  }

  private wrote(c: Connection, tcp: Tcp, bytes: number, at: Millis): void {
    const layer = this.stack.tcp;
    const end = seqAdd(tcp.seq as Seq, bytes);
    let missing = seqDiff(end, c.sendBuffer.end);
    // More than this was lost to the capture: the connection cannot be followed.
    if (missing > BUFFER_BYTES) return abort(layer, c, at);
    while (missing > 0) {
      const taken = send(layer, c, PIECE, 0, Math.min(missing, PIECE.length));
      if (taken === 0) break;
      missing -= taken;
    }
    if ((tcp.flags & FIN) !== 0) shutdown(layer, c, at);
  }
}

/** A stack for each interface of a capture: what several saw is several runs, or the same one several times. */
export class StackReplays {
  private readonly replays = new Map<number, StackReplay>();

  constructor(private readonly cidr: Cidr) {}

  at(interfaceId: number): StackReplay {
    const id = Math.min(interfaceId, STACKS_MAX - 1);
    let replay = this.replays.get(id);
    if (replay === undefined) {
      replay = new StackReplay(this.cidr);
      this.replays.set(id, replay);
    }
    return replay;
  }
}
