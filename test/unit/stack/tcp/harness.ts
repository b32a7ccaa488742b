import { parseAddress, parseCidr } from '../../../../stack/base/address';
import type { Bytes, Millis } from '../../../../stack/base/bytes';
import { TX_BYTES, TX_CHECKSUM_PARTIAL, TX_FLAGS, TX_SEGMENT_BYTES } from '../../../../stack/base/tx-queue';
import type { Interface } from '../../../../stack/ip/interface';
import { DEFAULT_CONFIG, Stack, type StackConfig } from '../../../../stack/stack';
import * as calls from '../../../../stack/tcp/calls';
import type { Connection, ConnectionOwner, TcpError } from '../../../../stack/tcp/connection';
import { beginFastOpen } from '../../../../stack/tcp/fast-open';
import { checkInvariants, checkWindowEdge } from '../../../../stack/tcp/invariants';
import type { Listener, ListenerOwner } from '../../../../stack/tcp/listener';
import { LINUX, type TcpProfile } from '../../../../stack/tcp/profile';
import { seq } from '../../../../stack/tcp/seq';
import { Settings } from '../../../../stack/tcp/settings';
import type { TcpLine } from '../../../../tools/packetdrill/ast';
import { type CompareOptions, Gathering } from '../../../../tools/packetdrill/compare';
import { Connection as Numbers } from '../../../../tools/packetdrill/connection';
import { decodeFrame } from '../../../../tools/packetdrill/decode';
import { linePieces, recordPieces, text } from '../../../../tools/packetdrill/notation';
import { findOption, type TcpRecord } from '../../../../tools/packetdrill/packet';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { buildInbound } from '../../../../tools/packetdrill/wire';
import { completeReceived, cutSegment, findParts, Parts, segmentCount } from '../../../../tools/pcap/complete';

const ADDRESSES = {
  4: { local: '192.168.0.1', remote: '192.0.2.1', prefix: 16, everywhere: '0.0.0.0/0' },
  6: { local: '2001:db8:1::1', remote: '2001:db8:2::1', prefix: 48, everywhere: '::/0' },
} as const;
const LOCAL_PORT = 8080;
const REMOTE_PORT = 40_000;

/** The stack's clock when the test's stands at 0: nothing in the core may lean on the number. */
const EPOCH_MS = 1_000_000;
/** The script's timestamps of the stack: this plus the milliseconds since the test began. */
const TS_BASE = 1000;

export interface HarnessOptions {
  /** Changes to the `linux` profile, or to `base`. */
  readonly profile?: Partial<TcpProfile>;
  readonly base?: TcpProfile;
  readonly mtu?: number;
  readonly seed?: number;
  /** Default 4. */
  readonly family?: 4 | 6;
  /** The stack's initial sequence number on the wire. Default: as RFC 6528 has it. */
  readonly iss?: number;
  /** How far, in milliseconds, a segment may be off the time at which it is expected. Default 1. */
  readonly toleranceMs?: number;
  /** The link cuts super-segments; what it would put on the wire is what the test sees. */
  readonly tso?: boolean;
  readonly config?: Partial<StackConfig>;
  /** Called after every event, beside the invariants, which are always checked. */
  readonly check?: (stack: Stack) => void;
}

interface Sent {
  readonly at: Millis;
  readonly record: TcpRecord;
}

/**
 * One stack in virtual time, its peer played by the test in packetdrill's notation: sequence numbers are offsets from the
 * initial ones; the stack's timestamps are 1000 plus the milliseconds since the test began.
 *
 *     const t = new Harness();
 *     t.listen();
 *     t.rx('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>');
 *     t.tx('S. 0:0(0) ack 1 <...>');
 *     t.at(100).rx('. 1:1(0) ack 1 win 257').txNothing();
 *
 * Times are milliseconds since the test began. Segments must be claimed by `tx` in the order and at the time of their
 * emission, so one that nobody expected shows at the next `tx` or `txNothing`.
 */
export class Harness implements ConnectionOwner, ListenerOwner {
  readonly stack: Stack;
  readonly iface: Interface;
  readonly profile: TcpProfile;
  /** The connection under test: the accepted or opened one. */
  connection: Connection | null = null;
  listener: Listener | null = null;
  /** Errors that the owner was told. */
  readonly errors: TcpError[] = [];
  /** Signal bits that the owner was told since it last looked. */
  signals = 0;
  private clockMs: Millis = 0;
  private numbers: Numbers | null = null;
  private edge: number | null = null;
  private readonly sent: Sent[] = [];
  private readonly toleranceMs: Millis;
  private readonly compareOptions: CompareOptions = {
    strict: false,
    strictSegments: false,
    tsTickUs: 1000,
    toleranceUs: 0,
  };

  constructor(private readonly options: HarnessOptions = {}) {
    this.profile = { ...(options.base ?? LINUX), ...options.profile };
    this.toleranceMs = options.toleranceMs ?? 1;
    this.stack = new Stack({ ...DEFAULT_CONFIG, seed: options.seed ?? 1, profile: this.profile, ...options.config });
    const tso = options.tso === true;
    this.iface = this.stack.addInterface({
      name: 'test',
      link: 'ip',
      mtu: options.mtu ?? 1500,
      mac: null,
      addresses: [parseCidr(`${this.ends.local}/${this.ends.prefix}`)!],
      checksumOffload: tso,
      tso4: tso,
      tso6: tso,
    });
    this.stack.addRoute(parseCidr(this.ends.everywhere)!, null, this.iface);
    if (options.iss !== undefined) this.stack.tcp.initialSequenceFixed = seq(options.iss);
  }

  private get ends(): (typeof ADDRESSES)[4 | 6] {
    return ADDRESSES[this.options.family ?? 4];
  }

  private newNumbers(active: boolean): Numbers {
    const { local, remote } = this.ends;
    return new Numbers('tcp', active, { ip: local, port: LOCAL_PORT }, { ip: remote, port: REMOTE_PORT });
  }

  /** Milliseconds since the test began. */
  get nowMs(): Millis {
    return this.clockMs;
  }

  /** The connection under test; throws when there is none. */
  get c(): Connection {
    if (this.connection === null) throw new Error('there is no connection yet');
    return this.connection;
  }

  private get now(): Millis {
    return EPOCH_MS + this.clockMs;
  }

  // ── time ──

  /** Moves the clock to `ms`, letting every timer on the way fire. */
  at(ms: Millis): this {
    if (ms < this.clockMs) throw new Error(`the clock stands at ${this.clockMs} ms already`);
    if (!Number.isFinite(ms)) throw new Error('nothing will happen any more');
    this.poll();
    for (;;) {
      const next = this.stack.nextDeadline() - EPOCH_MS;
      if (next > ms) break;
      this.clockMs = Math.max(this.clockMs, next);
      this.poll();
    }
    this.clockMs = ms;
    return this;
  }

  /** Moves the clock by `ms`. */
  after(ms: Millis): this {
    return this.at(this.clockMs + ms);
  }

  /** Moves the clock by `ms` as a busy event loop does: what was due on the way happens at the end. */
  late(ms: Millis): this {
    this.clockMs += ms;
    this.poll();
    return this;
  }

  // ── the peer ──

  /** The peer's segments arrive, in one batch. */
  rx(...lines: string[]): this {
    const slab = this.stack.slabs.current;
    for (const line of lines) {
      const frame = this.encode(line);
      const at = (slab.fill + 3) & ~3;
      slab.bytes.set(frame, at);
      slab.fill = at + frame.length;
      this.stack.receive(this.iface, slab, at, frame.length, false, 0, this.now);
    }
    this.tell();
    if (!this.stack.rotateSlab()) throw new Error('the stack has no memory left to receive into');
    this.poll();
    return this;
  }

  private encode(line: string): Bytes {
    const parsed = parseLine(`0 < ${line}`);
    this.numbers ??= this.newNumbers(false);
    const built = buildInbound(parsed, this.numbers, this.options.family ?? 4, true);
    if ('error' in built) throw new Error(`${line}: ${built.error}`);
    return built.frame;
  }

  /** The stack has sent exactly this, next, now (or within the tolerance before now). */
  tx(line: string): this {
    this.poll();
    const parsed = parseLine(`0 > ${line}`);
    const gathering = new Gathering(parsed, this.compareOptions);
    for (;;) {
      const sent = this.sent.shift();
      if (sent === undefined) throw new Error(`expected at ${this.clockMs} ms: ${line}\nbut nothing was sent`);
      const shown = this.learn(sent, parsed);
      const result = gathering.add(shown);
      if (Array.isArray(result)) {
        throw new Error(
          `expected at ${this.clockMs} ms: ${text(linePieces(parsed))}\n  sent at ${sent.at} ms: ${text(recordPieces(shown, parsed))}\n${result.map((d) => d.what).join('; ')}`,
        );
      }
      if (Math.abs(sent.at - this.clockMs) > this.toleranceMs) {
        throw new Error(`${line}\nwas sent at ${sent.at} ms, not at ${this.clockMs} ms`);
      }
      if (result === 'done') return this;
    }
  }

  /** The stack's timestamps are milliseconds: those of the script begin at TS_BASE when the test begins. */
  private learn(sent: Sent, line: TcpLine): TcpRecord {
    const { numbers } = this;
    if (numbers === null) return sent.record;
    numbers.learnLocal(sent.record, line);
    const ts = findOption(sent.record.options, 'TS');
    if (ts !== undefined) {
      numbers.learnTimestamp(sent.record, {
        ...line,
        options: [{ kind: 'TS', value: TS_BASE + Math.floor(sent.at), echo: 0 }],
      });
    }
    return numbers.toScript(sent.record);
  }

  /** Nothing was sent that was not claimed. */
  txNothing(): this {
    this.poll();
    const sent = this.sent[0];
    if (sent !== undefined) throw new Error(`expected nothing\nsent at ${sent.at} ms: ${this.print(sent)}`);
    return this;
  }

  /** Forgets what was sent, and returns it, printed. */
  drain(): string[] {
    this.poll();
    return this.sent.splice(0).map((sent) => `${sent.at}: ${this.print(sent)}`);
  }

  private print(sent: Sent): string {
    return text(recordPieces(this.numbers?.toScript(sent.record) ?? sent.record, null));
  }

  // ── the application ──

  listen(backlog = 8): this {
    const listener = calls.listen(this.stack.tcp, null, 0, LOCAL_PORT, backlog);
    if (typeof listener === 'string') throw new Error(listener);
    listener.owner = this;
    this.listener = listener;
    return this;
  }

  connect(): this {
    this.open();
    this.poll();
    return this;
  }

  /** Opens with TCP Fast Open, and writes as many of so many zeros as the SYN may carry; returns how many. */
  connectFast(bytes: number): number {
    const c = this.open();
    const { tcp } = this.stack;
    const room = Math.min(bytes, beginFastOpen(tcp, c, new Settings(), this.now));
    const taken = room > 0 ? calls.send(tcp, c, new Uint8Array(room), 0, room) : 0;
    this.poll();
    return taken;
  }

  private open(): Connection {
    this.numbers = this.newNumbers(true);
    const remote = parseAddress(this.ends.remote)!;
    const local = parseAddress(this.ends.local);
    const c = calls.connect(this.stack.tcp, remote, REMOTE_PORT, local, LOCAL_PORT, this, this.now);
    if (typeof c === 'string') throw new Error(c);
    this.connection = c;
    return c;
  }

  /** Writes so many zeros; throws unless all fit. */
  write(bytes: number): this {
    const taken = this.tryWrite(bytes);
    if (taken !== bytes) throw new Error(`the send buffer took ${taken} of ${bytes} bytes`);
    return this;
  }

  /** Writes as many of so many zeros as fit; returns how many. */
  tryWrite(bytes: number): number {
    const taken = calls.send(this.stack.tcp, this.c, new Uint8Array(bytes), 0, bytes);
    this.poll();
    return taken;
  }

  /** Takes everything that was received; returns how many bytes. */
  read(): number {
    return this.readSome(this.c.readable);
  }

  /** Takes at most so many bytes of what was received; returns how many. */
  readSome(most: number): number {
    const bytes = Math.min(most, this.c.readable);
    if (bytes > 0) calls.consume(this.stack.tcp, this.c, bytes, this.now);
    this.poll();
    return bytes;
  }

  shutdown(): this {
    calls.shutdown(this.stack.tcp, this.c, this.now);
    this.poll();
    return this;
  }

  close(): this {
    calls.close(this.stack.tcp, this.c, this.now);
    this.poll();
    return this;
  }

  abort(): this {
    calls.abort(this.stack.tcp, this.c, this.now);
    this.poll();
    return this;
  }

  // ── what the host does ──

  onSignals(c: Connection, signals: number): void {
    this.signals |= signals;
    if (c.error !== null && !this.errors.includes(c.error)) this.errors.push(c.error);
  }

  onAcceptable(listener: Listener): void {
    for (const c of listener.accepted.splice(0)) {
      c.owner = this;
      this.connection = c;
    }
  }

  private tell(): void {
    const tcp = this.stack.tcp;
    while (tcp.signalled.size > 0 || tcp.acceptable.size > 0) {
      for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
        listener.signalled = false;
        listener.owner?.onAcceptable(listener);
      }
      for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
        const { signals } = c;
        c.signals = 0;
        c.owner?.onSignals(c, signals);
      }
    }
  }

  private poll(): void {
    let done = false;
    while (!done) {
      done = this.stack.poll(this.now);
      this.flush();
      this.tell();
    }
    const { tcp } = this.stack;
    for (const c of tcp.connections) checkInvariants(tcp, c);
    if (this.connection !== null) this.edge = checkWindowEdge(this.connection, this.edge);
    this.options.check?.(this.stack);
  }

  private flush(): void {
    const queue = this.iface.tx;
    for (let n = 0, record = 0; n < queue.frames; n++, record = queue.next(record)) {
      const frame = new Uint8Array(queue.records[record + TX_BYTES]!);
      queue.copyFrame(record, frame, 0);
      const segmentBytes = queue.records[record + TX_SEGMENT_BYTES]!;
      const partial = (queue.records[record + TX_FLAGS]! & TX_CHECKSUM_PARTIAL) !== 0;
      for (const piece of partial ? cut(frame, segmentBytes) : [frame]) this.collect(piece);
    }
    queue.clear();
  }

  private collect(frame: Bytes): void {
    const decoded = decodeFrame(frame);
    if (decoded.error !== null) throw new Error(`the stack sent ${decoded.error}`);
    if (decoded.record.protocol === 'tcp') this.sent.push({ at: this.clockMs, record: decoded.record });
  }
}

const parts = new Parts();

/** What a device makes of a frame with a partial checksum: whole segments, at most `segmentBytes` of text each. */
function cut(frame: Bytes, segmentBytes: number): Bytes[] {
  if (!findParts(frame, 0, frame.length, false, parts)) throw new Error('the stack sent what is no TCP segment');
  const count = segmentCount(frame, parts, segmentBytes);
  if (count === 1) {
    completeReceived(frame, parts, true);
    return [frame];
  }
  const pieces: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const into = new Uint8Array(frame.length);
    pieces.push(into.subarray(0, cutSegment(frame, 0, parts, segmentBytes, i, count, into, 0)));
  }
  return pieces;
}

function parseLine(line: string): TcpLine {
  const { action } = parseScript('line', line).events[0]!;
  if (action.kind !== 'tcp') throw new Error(`not a TCP segment: ${line}`);
  return action;
}

/** An established connection that the peer opened, without timestamps unless asked for: the start of most tests. */
export interface Opening {
  /** Options of the peer's SYN. Default `mss 1000,sackOK,nop,nop,nop,wscale 7`. */
  readonly syn?: string;
  /** Milliseconds between the SYN-ACK and its ACK: the round-trip time. Default 100. */
  readonly rttMs?: Millis;
  /** The window field of the ACK. Default 257 (times 128). */
  readonly window?: number;
  /** The peer's initial sequence number on the wire: a segment with SYN has it, all others count from it. Default 0. */
  readonly irs?: number;
}

/** Opens the connection and returns the harness, its clock at `rttMs`. */
export function established(options: HarnessOptions = {}, opening: Opening = {}): Harness {
  const syn = opening.syn ?? 'mss 1000,sackOK,nop,nop,nop,wscale 7';
  const timestamps = /\bTS val (\d+)/.exec(syn);
  const t = new Harness(options);
  t.listen();
  const irs = opening.irs ?? 0;
  t.rx(`S ${irs}:${irs}(0) win 32792 <${syn}>`);
  t.tx(`S. 0:0(0) ack ${(irs + 1) >>> 0} <...>`);
  t.after(opening.rttMs ?? 100);
  const option = timestamps === null ? '' : ` <nop,nop,TS val ${Number(timestamps[1]) + t.nowMs} ecr ${TS_BASE}>`;
  t.rx(`. 1:1(0) ack 1 win ${opening.window ?? 257}${option}`);
  return t;
}
