import { parseCidr } from '../../stack/base/address';
import { type Bytes, i32, put16, put32, u16 } from '../../stack/base/bytes';
import { checksum } from '../../stack/base/checksum';
import { FRAME_BYTES_MAX } from '../../stack/base/memory';
import { Random } from '../../stack/base/random';
import type { Interface } from '../../stack/ip/interface';
import { pseudoSumV4 } from '../../stack/ip/ipv4';
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

/*
 * Hostile frames into the live stack: every layer, every state, with an application that echoes, closes and aborts. Frames
 * are built from what the peer of a real connection would send next and then bent: numbers near the windows' edges, odd
 * flags, broken options, lengths and checksums, or plain noise. Virtual time jumps along. Nothing may throw or leak.
 *
 * node -r ./test/typescript.cjs test/fuzz/frames.ts [--frames 10000000] [--seed 1] [--link ip|ethernet]
 */

const LOCAL = 0x0a000001;
const REMOTE = 0x0a000002;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const REMOTE_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
const PORTS = 24;
const FIRST_PORT = 5000;

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;
const URG = 32;

/** What the fuzzer knows of one flow, from the frames the stack sent. */
class Flow {
  /** Next sequence number of ours, and of the stack's. */
  next = 0;
  theirs = 0;
  window = 65_535;
  timestamps = false;
  tsEcr = 0;
  open = false;
}

export class FrameFuzzer implements ConnectionOwner, ListenerOwner {
  readonly stack: Stack;
  readonly iface: Interface;
  private readonly random: Random;
  private readonly flows = Array.from({ length: PORTS }, () => new Flow());
  private readonly text = new calls.Text();
  private readonly block = new Uint8Array(4096).fill(0x61);
  private readonly linkBytes: number;
  /** What the application has not let go of: text received before the end stays readable. */
  private readonly held = new Set<Connection>();
  now = 1000;
  frames = 0;
  sent = 0;
  accepted = 0;

  constructor(
    seed: number,
    link: 'ip' | 'ethernet',
    private readonly check: ((stack: Stack) => void) | null = null,
  ) {
    this.random = new Random(seed);
    this.linkBytes = link === 'ethernet' ? 14 : 0;
    this.stack = new Stack({
      ...DEFAULT_CONFIG,
      seed,
      poison: true,
      limits: { ...DEFAULT_LIMITS, slabsMax: 4, connectionsMax: 200, timeWaitsMax: 50, sendBytesMax: 1 << 21 },
    });
    this.iface = this.stack.addInterface({
      name: 'fuzz',
      link,
      mtu: 1500,
      mac: link === 'ethernet' ? MAC : null,
      addresses: [parseCidr('10.0.0.1/24')!],
      checksumOffload: false,
      tso4: false,
      tso6: false,
    });
    const listener = calls.listen(this.stack.tcp, null, 0, 80, 8);
    if (typeof listener !== 'string') listener.owner = this;
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
    if (signals & (READABLE | WRITABLE | CONNECTED)) {
      while (calls.peek(tcp, c, this.text)) {
        const there = this.text.end - this.text.at;
        const taken = mood < 10 ? 1 + this.random.below(there) : there;
        if (mood < 70) calls.send(tcp, c, this.text.bytes, this.text.at, taken);
        calls.consume(tcp, c, taken, this.now);
        if (mood < 10) break;
      }
    }
    if (mood > 80) calls.send(tcp, c, this.block, 0, 1 + this.random.below(this.block.length));
    if (mood === 50) calls.abort(tcp, c, this.now);
    else if (mood === 51) calls.close(tcp, c, this.now);
    else if (signals & END || mood === 52) calls.shutdown(tcp, c, this.now);
    if (signals & END && mood > 30) calls.close(tcp, c, this.now);
  }

  // ── the peers ──

  /** One hostile frame, and what follows from it. */
  step(): void {
    const slab = this.stack.slabs.current;
    const at = slab.fill + (this.linkBytes > 0 ? 2 : 0);
    const bytes = this.build(slab.bytes, at);
    slab.fill = (at + bytes + 63) & ~63;
    this.stack.receive(this.iface, slab, at, bytes, this.random.chance(10_000), 0, this.now);
    this.frames++;
    // Frames come in batches; time passes between them, now and then a lot.
    if (!this.random.chance(700_000)) this.settle();
  }

  private settle(): void {
    this.dispatch();
    this.transmit();
    if (!this.stack.rotateSlab()) this.readAll();
    const leap = this.random.below(1000);
    if (leap < 5) this.now += this.random.below(300_000);
    else if (leap < 100) this.now += this.random.below(400);
    else this.now += this.random.fraction();
    if (this.stack.nextDeadline() <= this.now) this.transmit();
    this.check?.(this.stack);
  }

  private dispatch(): void {
    const { tcp } = this.stack;
    for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
      listener.signalled = false;
      listener.owner?.onAcceptable(listener);
    }
    for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
      const bits = c.signals;
      c.signals = 0;
      c.owner?.onSignals(c, bits);
    }
  }

  /** Memory is short and nobody reads: the application wakes up. */
  private readAll(): void {
    for (const c of this.held) calls.consume(this.stack.tcp, c, c.readable, this.now);
    this.dispatch();
    this.transmit();
    this.stack.rotateSlab();
  }

  private readonly frame = new Uint8Array(FRAME_BYTES_MAX);

  private transmit(): void {
    for (let all = false; !all; ) {
      all = this.stack.poll(this.now);
      const queue = this.iface.tx;
      for (let i = 0, r = 0; i < queue.frames; i++, r = queue.next(r)) {
        const bytes = queue.copyFrame(r, this.frame, 0);
        this.sent++;
        this.learn(this.frame, bytes);
      }
      queue.clear();
    }
  }

  /** Verifies what the stack sent, and learns the numbers. */
  private learn(b: Bytes, bytes: number): void {
    const ip = this.linkBytes;
    if (ip > 0 && u16(b, 12) !== 0x0800) return;
    if (checksum(b, ip, ip + 20, 0) !== 0) throw new Error('the stack sent a bad IP checksum');
    if (u16(b, ip + 2) !== bytes - ip) throw new Error('the stack sent a wrong IP length');
    if (b[ip + 9] !== 6) return;
    const tcp = ip + 20;
    const pseudo = pseudoSumV4(i32(b, ip + 12), i32(b, ip + 16), 6) + (bytes - tcp);
    if (checksum(b, tcp, bytes, pseudo) !== 0) throw new Error('the stack sent a bad TCP checksum');
    if (bytes - ip > 1500) throw new Error('the stack sent more than the MTU');
    const flow = this.flows[u16(b, tcp + 2) - FIRST_PORT];
    if (flow === undefined) return;
    const flags = b[tcp + 13]!;
    const header = (b[tcp + 12]! >> 4) * 4;
    const length = bytes - tcp - header + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);
    flow.theirs = (i32(b, tcp + 4) + length) | 0;
    if ((flags & ACK) !== 0) flow.next = i32(b, tcp + 8);
    flow.window = u16(b, tcp + 14);
    flow.open = (flags & RST) === 0;
    flow.timestamps = header >= 32;
    if (flow.timestamps) flow.tsEcr = i32(b, tcp + 24);
  }

  private build(b: Bytes, at: number): number {
    const kind = this.random.below(100);
    if (kind < 2) return this.noise(b, at);
    let ip = at;
    if (this.linkBytes > 0) {
      b.set(MAC, at);
      b.set(REMOTE_MAC, at + 6);
      put16(b, at + 12, 0x0800);
      ip += 14;
      if (kind < 5) return 14 + this.arp(b, at);
    }
    let bytes = kind < 8 ? this.icmp(b, ip) : this.segment(b, ip);
    if (this.random.chance(40_000)) bytes = this.bend(b, ip, bytes);
    return ip - at + bytes;
  }

  private noise(b: Bytes, at: number): number {
    const bytes = this.random.below(200);
    for (let i = 0; i < bytes; i++) b[at + i] = this.random.int32();
    if (this.linkBytes > 0 && this.random.chance(800_000)) {
      b.set(MAC, at);
      put16(b, at + 12, this.random.chance(500_000) ? 0x0800 : 0x0806);
    } else if (this.random.chance(500_000)) {
      b[at] = 0x45;
    }
    return bytes;
  }

  private arp(b: Bytes, at: number): number {
    put16(b, at + 12, 0x0806);
    const p = at + 14;
    put16(b, p, 1);
    put16(b, p + 2, 0x0800);
    b[p + 4] = 6;
    b[p + 5] = 4;
    put16(b, p + 6, 1 + this.random.below(3));
    b.set(REMOTE_MAC, p + 8);
    put32(b, p + 14, this.random.chance(500_000) ? REMOTE : REMOTE + this.random.below(2000));
    put32(b, p + 24, this.random.chance(800_000) ? LOCAL : this.random.int32());
    if (this.random.chance(200_000)) b[p + this.random.below(28)] = this.random.int32();
    return this.random.chance(50_000) ? this.random.below(28) : 28;
  }

  private header(b: Bytes, ip: number, protocol: number, bytes: number): void {
    b[ip] = 0x45;
    b[ip + 1] = 0;
    put16(b, ip + 2, bytes);
    put16(b, ip + 4, this.random.below(65_536));
    put16(b, ip + 6, this.random.chance(10_000) ? this.random.below(65_536) : 0x4000);
    b[ip + 8] = 64;
    b[ip + 9] = protocol;
    put32(b, ip + 12, this.random.chance(5_000) ? this.random.int32() : REMOTE);
    put32(b, ip + 16, this.random.chance(5_000) ? this.random.int32() : LOCAL);
    put16(b, ip + 10, 0);
    put16(b, ip + 10, checksum(b, ip, ip + 20, 0));
  }

  /** Echo requests, and errors that quote what the stack may have sent. */
  private icmp(b: Bytes, ip: number): number {
    const p = ip + 20;
    const types = [0, 3, 4, 5, 8, 11, 12, this.random.below(256)];
    b[p] = types[this.random.below(types.length)]!;
    b[p + 1] = this.random.below(16);
    put32(b, p + 4, this.random.chance(500_000) ? this.random.below(2000) : this.random.int32());
    const body = this.random.below(100);
    for (let i = 0; i < body; i++) b[p + 8 + i] = this.random.int32();
    if (body >= 28) {
      const flow = this.random.below(PORTS);
      b[p + 8] = 0x45;
      b[p + 17] = 6;
      put32(b, p + 20, LOCAL);
      put32(b, p + 24, REMOTE);
      put16(b, p + 28, 80);
      put16(b, p + 30, FIRST_PORT + flow);
      if (body >= 36) put32(b, p + 32, this.flows[flow]!.theirs - this.random.below(3000));
    }
    put16(b, p + 2, 0);
    put16(b, p + 2, checksum(b, p, p + 8 + body, 0));
    this.header(b, ip, 1, 28 + body);
    return 28 + body;
  }

  /** A segment that the peer of one of the flows might send, more or less. */
  private segment(b: Bytes, ip: number): number {
    const random = this.random;
    const number = random.below(PORTS);
    const flow = this.flows[number]!;
    const p = ip + 20;
    let flags = this.flagsFor(flow);
    let text = 0;
    if ((flags & SYN) === 0 || random.chance(50_000)) text = random.chance(600_000) ? random.below(1461) : 0;
    if (flags & SYN && !flow.open) flow.next = random.chance(500_000) ? random.int32() : -random.below(3000);
    put16(b, p, FIRST_PORT + number);
    put16(b, p + 2, random.chance(3_000) ? random.below(65_536) : 80);
    put32(b, p + 4, flow.next + this.near(text));
    put32(b, p + 8, flow.theirs - (random.chance(150_000) ? random.below(20_000) - 3000 : 0));
    put16(b, p + 14, random.chance(200_000) ? random.below(3) * random.below(3000) : 60_000);
    put16(b, p + 18, random.chance(20_000) ? random.below(65_536) : 0);
    const header = 20 + this.options(b, p + 20, flow, flags);
    b[p + 12] = (header >> 2) << 4;
    if (random.chance(3_000)) b[p + 12] = random.int32();
    if (random.chance(10_000)) flags = random.below(256);
    b[p + 13] = flags;
    for (let i = 0; i < text; i += 64) b[p + header + i] = random.int32();
    const bytes = 20 + header + text;
    put16(b, p + 16, 0);
    put16(b, p + 16, checksum(b, p, ip + bytes, pseudoSumV4(REMOTE, LOCAL, 6) + header + text));
    this.header(b, ip, 6, bytes);
    return bytes;
  }

  private flagsFor(flow: Flow): number {
    const kind = this.random.below(1000);
    if (!flow.open || kind < 20) return SYN;
    if (kind < 25) return RST | (kind & 1 ? ACK : 0);
    if (kind < 60) return FIN | ACK;
    if (kind < 65) return SYN | ACK;
    if (kind < 80) return URG | ACK | PSH;
    return kind < 100 ? this.random.below(256) : kind < 500 ? ACK : ACK | PSH;
  }

  /** Mostly in order; else a little or far beyond, or before. */
  private near(text: number): number {
    const kind = this.random.below(100);
    if (kind < 70) return 0;
    if (kind < 85) return this.random.below(5) * 1460;
    if (kind < 95) return -this.random.below(text + 3000);
    return kind < 98 ? this.random.below(200_000) : this.random.int32();
  }

  private options(b: Bytes, at: number, flow: Flow, flags: number): number {
    const random = this.random;
    if (random.chance(30_000)) {
      const bytes = random.below(11) * 4;
      for (let i = 0; i < bytes; i++) b[at + i] = random.chance(500_000) ? random.below(9) : random.int32();
      return bytes;
    }
    let n = 0;
    if (flags & SYN) {
      b.set([2, 4, random.below(8), random.below(256), 1, 3, 3, random.below(16)], at);
      n = 8;
      if (random.chance(700_000)) {
        b.set([4, 2, 1, 1], at + n);
        n += 4;
      }
    }
    if ((flags & SYN) !== 0 ? random.chance(500_000) : flow.timestamps) {
      b.set([1, 1, 8, 10], at + n);
      put32(b, at + n + 4, Math.floor(this.now) - (random.chance(30_000) ? random.below(100_000) : 0));
      put32(b, at + n + 8, random.chance(900_000) ? flow.tsEcr : random.int32());
      n += 12;
    }
    if (random.chance(100_000) && n <= 20) {
      const blocks = 1 + random.below(2);
      b.set([1, 1, 5, 2 + 8 * blocks], at + n);
      n += 4;
      for (let i = 0; i < 2 * blocks; i++, n += 4) put32(b, at + n, flow.theirs - random.below(20_000));
    }
    return n;
  }

  /** Damage at the IP level, its checksum repaired half the time. */
  private bend(b: Bytes, ip: number, bytes: number): number {
    const random = this.random;
    if (random.chance(300_000)) return random.below(bytes + 1);
    b[ip + random.below(Math.min(bytes, 60))] = random.int32();
    if (random.chance(500_000)) {
      put16(b, ip + 10, 0);
      const header = (b[ip]! & 15) * 4;
      if (header >= 20 && header <= bytes) put16(b, ip + 10, checksum(b, ip, ip + header, 0));
    }
    return bytes;
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
      this.now = next === Infinity ? this.now + 1000 : Math.max(next, this.now);
    }
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

/** Runs `frames` frames; throws with the seed and the frame's number when anything goes wrong. */
export function fuzzFrames(
  seed: number,
  frames: number,
  link: 'ip' | 'ethernet',
  check: ((stack: Stack) => void) | null = null,
): FrameFuzzer {
  const fuzzer = new FrameFuzzer(seed, link, check);
  try {
    while (fuzzer.frames < frames) fuzzer.step();
    fuzzer.drain();
  } catch (error) {
    throw new Error(`seed ${seed}, link ${link}, frame ${fuzzer.frames}: ${(error as Error).stack}`);
  }
  return fuzzer;
}

/** The numbers after `--name`, for the command below. */
function argument(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

if (require.main === module) {
  const total = argument('frames', 10_000_000);
  const first = argument('seed', 1);
  const PER_SEED = 200_000;
  const drops: Record<string, number> = {};
  let frames = 0;
  let accepted = 0;
  for (let seed = first; frames < total; seed++) {
    const fuzzer = fuzzFrames(seed, Math.min(PER_SEED, total - frames), seed % 2 === 0 ? 'ip' : 'ethernet');
    frames += fuzzer.frames;
    accepted += fuzzer.accepted;
    for (const [reason, count] of Object.entries(fuzzer.stack.drops.nonZero()))
      drops[reason] = (drops[reason] ?? 0) + count;
    if (process.stderr.isTTY) process.stderr.write(`\r${frames} frames`);
  }
  console.log(JSON.stringify({ frames, accepted, drops }, null, 2));
}
