import { type Address, parseAddress, parseCidr } from '../../../../stack/base/address';
import { type Millis, NEVER } from '../../../../stack/base/bytes';
import { Random } from '../../../../stack/base/random';
import { TX_BYTES } from '../../../../stack/base/tx-queue';
import type { Interface } from '../../../../stack/ip/interface';
import { DEFAULT_CONFIG, Stack } from '../../../../stack/stack';
import * as calls from '../../../../stack/tcp/calls';
import type { Connection, ConnectionOwner } from '../../../../stack/tcp/connection';
import { checkInvariants, checkWindowEdge } from '../../../../stack/tcp/invariants';
import type { Listener, ListenerOwner } from '../../../../stack/tcp/listener';
import { LINUX, type TcpProfile } from '../../../../stack/tcp/profile';

export interface PairOptions {
  readonly seed?: number;
  readonly profile?: Partial<TcpProfile>;
  /** Of the receiver, when it is another. */
  readonly peerProfile?: Partial<TcpProfile>;
  /** One way, in milliseconds. */
  readonly delayMs?: Millis;
  /** Up to so much more, at random: segments overtake each other. */
  readonly jitterMs?: Millis;
  /** Chance of a frame to be lost, either way, in parts per million. */
  readonly lossPpm?: number;
  readonly duplicatePpm?: number;
  /** Bytes a millisecond towards the receiver, and frames that may wait for it; 0: no bottleneck. */
  readonly rate?: number;
  readonly queueFrames?: number;
  readonly mtu?: number;
  /** Datagrams of more bytes are lost, and nobody says so. */
  readonly swallowOver?: number;
  /** Check the invariants of both connections after every event. */
  readonly check?: boolean;
}

/** What senders send, again and again: a prime's length, so that no segment size hides a shift. */
const PATTERN = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 7 + (i >> 8)) & 255);

interface InTransit {
  at: Millis;
  order: number;
  frame: Uint8Array;
  to: End;
}

/** One of the two hosts. */
export class End implements ConnectionOwner, ListenerOwner {
  readonly stack: Stack;
  readonly iface: Interface;
  connection: Connection | null = null;
  received = 0;
  /** Everything received was the next piece of PATTERN. */
  intact = true;
  onRoom: () => void = () => {};
  private edge: number | null = null;

  constructor(
    readonly address: Address,
    profile: TcpProfile,
    seed: number,
    mtu: number,
    readonly pair: Pair,
  ) {
    this.stack = new Stack({ ...DEFAULT_CONFIG, seed, profile, poison: false });
    this.iface = this.stack.addInterface({
      name: 'link',
      link: 'ip',
      mtu,
      mac: null,
      addresses: [parseCidr(`${address}/24`)!],
      checksumOffload: false,
      tso4: false,
      tso6: false,
    });
  }

  onAcceptable(listener: Listener): void {
    for (const c of listener.accepted.splice(0)) {
      c.owner = this;
      this.connection = c;
    }
  }

  onSignals(c: Connection): void {
    const text = new calls.Text();
    while (calls.peek(this.stack.tcp, c, text)) {
      const from = this.received % PATTERN.length;
      const bytes = Math.min(text.end - text.at, PATTERN.length - from);
      const piece = text.bytes.subarray(text.at, text.at + bytes);
      if (Buffer.compare(piece, PATTERN.subarray(from, from + bytes)) !== 0) this.intact = false;
      this.received += bytes;
      calls.consume(this.stack.tcp, c, bytes, this.pair.now);
    }
    this.onRoom();
  }

  tell(): void {
    const { tcp } = this.stack;
    while (tcp.signalled.size > 0 || tcp.acceptable.size > 0) {
      for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
        listener.signalled = false;
        listener.owner?.onAcceptable(listener);
      }
      for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
        const { signals } = c;
        c.signals = 0;
        if (signals !== 0) c.owner?.onSignals(c, signals);
      }
    }
  }

  poll(): void {
    for (let done = false; !done; ) {
      done = this.stack.poll(this.pair.now);
      const queue = this.iface.tx;
      for (let n = 0, record = 0; n < queue.frames; n++, record = queue.next(record)) {
        const frame = new Uint8Array(queue.records[record + TX_BYTES]!);
        queue.copyFrame(record, frame, 0);
        this.pair.transmit(this, frame);
      }
      queue.clear();
      this.tell();
    }
    if (this.pair.options.check !== true) return;
    for (const c of this.stack.tcp.connections) checkInvariants(this.stack.tcp, c);
    if (this.connection !== null) this.edge = checkWindowEdge(this.connection, this.edge);
  }

  receive(frame: Uint8Array): void {
    const slab = this.stack.slabs.current;
    const at = (slab.fill + 3) & ~3;
    slab.bytes.set(frame, at);
    slab.fill = at + frame.length;
    this.stack.receive(this.iface, slab, at, frame.length, false, 0, this.pair.now);
    this.tell();
    this.stack.rotateSlab();
  }
}

/** Two stacks and a link between them, in virtual time. Small and for one connection: the simulator is elsewhere. */
export class Pair {
  now: Millis = 1000;
  readonly a: End;
  readonly b: End;
  private readonly random: Random;
  private readonly inTransit: InTransit[] = [];
  private order = 0;
  private linkFreeAt: Millis = 0;
  lost = 0;
  sentFrames = 0;

  constructor(readonly options: PairOptions) {
    const seed = options.seed ?? 1;
    const mtu = options.mtu ?? 1500;
    const profile = { ...LINUX, ...options.profile };
    this.random = new Random(seed);
    this.a = new End(parseAddress('10.0.0.1')!, profile, seed * 2 + 1, mtu, this);
    this.b = new End(parseAddress('10.0.0.2')!, { ...profile, ...options.peerProfile }, seed * 2 + 2, mtu, this);
  }

  transmit(from: End, frame: Uint8Array): void {
    const o = this.options;
    if (from === this.a) this.sentFrames++;
    const copies = this.random.chance(o.duplicatePpm ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.random.chance(o.lossPpm ?? 0) || frame.length > (o.swallowOver ?? 65_535)) {
        this.lost++;
        continue;
      }
      let at = this.now;
      if (from === this.a && (o.rate ?? 0) > 0) {
        const waiting = Math.max(0, this.linkFreeAt - this.now) * o.rate!;
        if (waiting > (o.queueFrames ?? 256) * (o.mtu ?? 1500)) {
          this.lost++;
          continue;
        }
        at = this.linkFreeAt = Math.max(this.linkFreeAt, this.now) + frame.length / o.rate!;
      }
      at += (o.delayMs ?? 10) + this.random.fraction() * (o.jitterMs ?? 0);
      this.push({ at, order: this.order++, frame, to: from === this.a ? this.b : this.a });
    }
  }

  /** Kept sorted, latest first: most go to the front. */
  private push(packet: InTransit): void {
    const list = this.inTransit;
    let i = 0;
    while (i < list.length && (list[i]!.at > packet.at || (list[i]!.at === packet.at && list[i]!.order > packet.order)))
      i++;
    list.splice(i, 0, packet);
  }

  /** Lets the next thing happen. False when nothing will, or only after `until`. */
  step(until: Millis): boolean {
    this.a.poll();
    this.b.poll();
    const arrival = this.inTransit.at(-1)?.at ?? NEVER;
    const next = Math.min(arrival, this.a.stack.nextDeadline(), this.b.stack.nextDeadline());
    if (next > until || next === NEVER) return false;
    this.now = Math.max(this.now, next);
    while (this.inTransit.length > 0 && this.inTransit.at(-1)!.at <= this.now) {
      const packet = this.inTransit.pop()!;
      packet.to.receive(packet.frame);
    }
    return true;
  }

  open(): void {
    const listener = calls.listen(this.b.stack.tcp, null, 0, 80, 8);
    if (typeof listener === 'string') throw new Error(listener);
    listener.owner = this.b;
    const c = calls.connect(this.a.stack.tcp, this.b.address, 80, null, 0, this.a, this.now);
    if (typeof c === 'string') throw new Error(c);
    this.a.connection = c;
  }
}

export interface TransferResult {
  /** Virtual milliseconds from connect to the last byte. */
  readonly elapsed: Millis;
  readonly received: number;
  readonly intact: boolean;
  /** Frames sent by the sender, and how many the link lost either way. */
  readonly frames: number;
  readonly lost: number;
  readonly retransmitted: number;
  readonly pair: Pair;
}

/** Sends `bytes` from one end to the other. Ends when they are there, the connection has failed, or `limitMs` is over. */
export function transfer(bytes: number, options: PairOptions, limitMs: Millis = 3_600_000): TransferResult {
  const pair = new Pair(options);
  const start = pair.now;
  pair.open();
  let written = 0;
  const { a, b } = pair;
  a.onRoom = () => {
    const c = a.connection!;
    while (written < bytes) {
      const at = written % PATTERN.length;
      const taken = calls.send(a.stack.tcp, c, PATTERN, at, Math.min(bytes - written, PATTERN.length - at));
      if (taken === 0) return;
      written += taken;
    }
  };
  a.onRoom();
  const limit = start + limitMs;
  while (b.received < bytes && a.connection!.error === null && pair.step(limit)) {}
  return {
    elapsed: pair.now - start,
    received: b.received,
    intact: b.received === bytes && b.intact,
    frames: pair.sentFrames,
    lost: pair.lost,
    retransmitted: a.connection!.totalRetransmits,
    pair,
  };
}
