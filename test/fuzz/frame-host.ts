import { parseAddress, parseCidr } from '../../stack/base/address';
import { type Bytes, i32, u16 } from '../../stack/base/bytes';
import { checksum } from '../../stack/base/checksum';
import { FRAME_BYTES_MAX } from '../../stack/base/memory';
import { Random } from '../../stack/base/random';
import type { Interface } from '../../stack/ip/interface';
import { DEFAULT_CONFIG, DEFAULT_LIMITS, Stack } from '../../stack/stack';
import * as calls from '../../stack/tcp/calls';
import {
  CLOSED,
  CONNECTED,
  type Connection,
  type ConnectionOwner,
  END,
  READABLE,
  WRITABLE,
} from '../../stack/tcp/connection';
import type { Listener, ListenerOwner } from '../../stack/tcp/listener';
import { LINUX } from '../../stack/tcp/profile';
import type { UdpOwner, UdpSocket } from '../../stack/udp/socket';
import { FIRST_PORT, MAC, TCP_PORT, UDP_PORTS } from './frame-builder';

const MTU = 1500;
const TCP = 6;
const UDP = 17;
const ICMP_V6 = 58;
const NEIGHBOR_SOLICITATION = 135;

/** Who sees what the stack sends. */
export interface Watcher {
  /** A TCP segment: [at, end) of `b`. */
  learn(family: 4 | 6, b: Bytes, at: number, end: number): void;
  /** A question for a link address. */
  asked(family: 4 | 6): void;
}

/**
 * A stack under fire, with an application of many moods: it echoes, writes, closes and aborts, or does nothing at all. Frames
 * and time come from outside; the same of both and the same seed make the same run. Verifies all that the stack sends.
 */
export class FrameHost implements ConnectionOwner, ListenerOwner, UdpOwner {
  readonly stack: Stack;
  readonly iface: Interface;
  private readonly random: Random;
  private readonly text = new calls.Text();
  private readonly block = new Uint8Array(4096).fill(0x61);
  private readonly linkBytes: number;
  /** What the application has not let go of: text received before the end stays readable. */
  private readonly held = new Set<Connection>();
  private readonly frame = new Uint8Array(FRAME_BYTES_MAX);
  now = 1000;
  sent = 0;
  accepted = 0;
  datagrams = 0;

  constructor(
    seed: number,
    readonly link: 'ip' | 'ethernet',
    private readonly watcher: Watcher,
    private readonly check: ((stack: Stack) => void) | null = null,
  ) {
    this.random = new Random(seed);
    this.linkBytes = link === 'ethernet' ? 14 : 0;
    this.stack = new Stack({
      ...DEFAULT_CONFIG,
      seed,
      profile: { ...LINUX, mtuProbing: (['off', 'black-hole', 'always'] as const)[seed % 3]! },
      poison: true,
      limits: { ...DEFAULT_LIMITS, slabsMax: 4, connectionsMax: 200, timeWaitsMax: 50, sendBytesMax: 1 << 21 },
      reassembly: { timeoutMs: 60_000, datagramsMax: 32, bytesMax: 1 << 17, fragmentsMax: 24 },
    });
    this.iface = this.stack.addInterface({
      name: 'fuzz',
      link,
      mtu: MTU,
      mac: link === 'ethernet' ? MAC : null,
      addresses: ['10.0.0.1/24', 'fd00::1/64', 'fe80::1/64'].map((text) => parseCidr(text)!),
      checksumOffload: false,
      tso4: false,
      tso6: false,
    });
    const listener = calls.listen(this.stack.tcp, null, 0, TCP_PORT, 8);
    if (typeof listener !== 'string') listener.owner = this;
    this.openSockets();
  }

  private openSockets(): void {
    const { udp } = this.stack;
    const [echo, deaf, connected] = UDP_PORTS.map((port) => udp.bind(null, port === 11 ? 4 : 0, port, false));
    if (typeof echo === 'string' || typeof deaf === 'string' || typeof connected === 'string')
      throw new Error('no port');
    echo!.owner = connected!.owner = this;
    deaf!.receiveMax = 2000;
    udp.connect(connected!, parseAddress('10.0.0.2')!, FIRST_PORT);
  }

  // ── the application ──

  onAcceptable(listener: Listener): void {
    for (let c = listener.accepted.shift(); c !== undefined; c = listener.accepted.shift()) {
      c.owner = this;
      this.held.add(c);
      this.accepted++;
      if (c.readable > 0) this.stack.tcp.signal(c, READABLE);
      if (c.finReceived) this.stack.tcp.signal(c, END);
      if (this.random.chance(100_000)) calls.setKeepAlive(this.stack.tcp, c, true, 5000, 1000, 3, this.now);
      if (this.random.chance(300_000)) calls.setNoDelay(this.stack.tcp, c, true);
    }
  }

  /** Reads some or all, echoes some, closes or aborts now and then; sometimes does nothing at all. */
  onSignals(c: Connection, signals: number): void {
    const { tcp } = this.stack;
    const mood = this.random.below(100);
    if (signals & CLOSED && c.readable === 0) this.held.delete(c);
    if (mood < 3) return;
    if (signals & (READABLE | WRITABLE | CONNECTED)) this.echo(c, mood);
    if (mood > 80) calls.send(tcp, c, this.block, 0, 1 + this.random.below(this.block.length));
    if (mood === 50) calls.abort(tcp, c, this.now);
    else if (mood === 51) calls.close(tcp, c, this.now);
    else if (signals & END || mood === 52) calls.shutdown(tcp, c, this.now);
    if (signals & END && mood > 30) calls.close(tcp, c, this.now);
  }

  private echo(c: Connection, mood: number): void {
    const { tcp } = this.stack;
    while (calls.peek(tcp, c, this.text)) {
      const there = this.text.end - this.text.at;
      const taken = mood < 10 ? 1 + this.random.below(there) : there;
      if (mood < 70) calls.send(tcp, c, this.text.bytes, this.text.at, taken);
      calls.consume(tcp, c, taken, this.now);
      if (mood < 10) return;
    }
  }

  /** Answers what came, if it may; a larger answer now and then, which has to be cut. */
  onUdp(socket: UdpSocket): void {
    socket.error = null;
    for (let message = socket.take(); message !== null; message = socket.take()) {
      this.datagrams++;
      const bytes = this.random.chance(50_000) ? this.block : message.bytes;
      this.stack.udp.send(socket, bytes, message.source, Math.max(1, message.sourcePort));
    }
  }

  // ── what happens to it ──

  receive(frame: Uint8Array, checksumValid: boolean): void {
    const slab = this.stack.slabs.current;
    const at = slab.fill + (this.linkBytes > 0 ? 2 : 0);
    slab.bytes.set(frame, at);
    slab.fill = (at + frame.length + 63) & ~63;
    this.stack.receive(this.iface, slab, at, frame.length, checksumValid, 0, this.now);
  }

  /** A batch of frames is over: the application is told, the stack sends. */
  settle(): void {
    this.dispatch();
    this.transmit();
    if (!this.stack.rotateSlab()) this.readAll();
  }

  /** Time passes; timers run late, as in a busy process. */
  advance(now: number): void {
    this.now = now;
    if (this.stack.nextDeadline() <= now) this.transmit();
    this.check?.(this.stack);
  }

  private dispatch(): void {
    const { tcp, udp } = this.stack;
    for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
      listener.signalled = false;
      listener.owner?.onAcceptable(listener);
    }
    for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
      const bits = c.signals;
      c.signals = 0;
      c.owner?.onSignals(c, bits);
    }
    for (let socket = udp.signalled.shift(); socket !== undefined; socket = udp.signalled.shift()) {
      socket.signalled = false;
      socket.owner?.onUdp(socket);
    }
  }

  /** Memory is short and nobody reads: the application wakes up. */
  private readAll(): void {
    for (const c of this.held) calls.consume(this.stack.tcp, c, c.readable, this.now);
    this.dispatch();
    this.transmit();
    this.stack.rotateSlab();
  }

  private transmit(): void {
    for (let all = false; !all; ) {
      all = this.stack.poll(this.now);
      const queue = this.iface.tx;
      for (let i = 0, r = 0; i < queue.frames; i++, r = queue.next(r)) {
        const bytes = queue.copyFrame(r, this.frame, 0);
        this.sent++;
        this.verify(this.frame, bytes);
      }
      queue.clear();
    }
  }

  // ── what it sends ──

  private verify(b: Bytes, bytes: number): void {
    const ip = this.linkBytes;
    if (bytes - ip > MTU) throw new Error('the stack sent more than the MTU');
    const type = ip > 0 ? u16(b, 12) : b[0]! >>> 4 === 4 ? 0x0800 : 0x86dd;
    if (type === 0x0800) this.verifyV4(b, ip, bytes);
    else if (type === 0x86dd) this.verifyV6(b, ip, bytes);
    else if (type !== 0x0806 || bytes !== ip + 28) throw new Error('the stack sent a frame of no known type');
    else if (b[ip + 7] === 1) this.watcher.asked(4);
  }

  private verifyV4(b: Bytes, ip: number, end: number): void {
    if (checksum(b, ip, ip + 20, 0) !== 0) throw new Error('the stack sent a bad IP checksum');
    if (u16(b, ip + 2) !== end - ip) throw new Error('the stack sent a wrong IP length');
    // Of a fragment nothing more can be said.
    if ((u16(b, ip + 6) & 0x3fff) !== 0) return;
    this.verifyTransport(4, b, ip + 20, end, b[ip + 9]!, sumOf(b, ip + 12, ip + 20));
  }

  private verifyV6(b: Bytes, ip: number, end: number): void {
    if (u16(b, ip + 4) !== end - ip - 40) throw new Error('the stack sent a wrong IP length');
    this.verifyTransport(6, b, ip + 40, end, b[ip + 6]!, sumOf(b, ip + 8, ip + 40));
  }

  private verifyTransport(family: 4 | 6, b: Bytes, at: number, end: number, protocol: number, addresses: number): void {
    const pseudo = protocol === 1 ? 0 : addresses + protocol + end - at;
    const known = protocol === TCP || protocol === UDP || protocol === 1 || protocol === ICMP_V6;
    if (known && checksum(b, at, end, pseudo) !== 0) {
      throw new Error(`the stack sent a bad checksum: protocol ${protocol} in IPv${family}`);
    }
    if (protocol === UDP && u16(b, at + 4) !== end - at) throw new Error('the stack sent a wrong UDP length');
    if (protocol === TCP) this.watcher.learn(family, b, at, end);
    else if (protocol === ICMP_V6 && b[at] === NEIGHBOR_SOLICITATION) this.watcher.asked(6);
  }

  // ── the end ──

  /** Lets every timer run out: then nothing may be left. Throws when something is. */
  drain(): void {
    const { tcp } = this.stack;
    for (const c of this.held) calls.abort(tcp, c, this.now);
    for (let i = 0; i < 2000 && (tcp.connections.size > 0 || tcp.timeWaits.size > 0); i++) {
      this.dispatch();
      this.transmit();
      for (const c of this.held) calls.abort(tcp, c, this.now);
      const next = this.stack.nextDeadline();
      this.now = next === Number.POSITIVE_INFINITY ? this.now + 1000 : Math.max(next, this.now);
    }
    // Fragments, neighbours and learned MTUs end by themselves.
    this.now += 3_600_000;
    this.dispatch();
    this.transmit();
    this.stack.rotateSlab();
    const left = {
      connections: tcp.connections.size,
      timeWaits: tcp.timeWaits.size,
      sendBlocks: this.stack.blocks.inUse,
      receivedNodes: tcp.store.inUse,
      sentRecords: tcp.sent.inUse,
      pinnedSlabs: this.stack.slabs.pinned(),
    };
    for (const [what, count] of Object.entries(left)) if (count !== 0) throw new Error(`${count} ${what} leaked`);
  }
}

function sumOf(b: Bytes, at: number, end: number): number {
  let total = 0;
  for (; at < end; at += 4) total += (i32(b, at) >>> 16) + (i32(b, at) & 0xffff);
  return total;
}
