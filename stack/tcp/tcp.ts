import type { Address } from '../base/address';
import { assert } from '../base/assert';
import type { Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { DeadlineQueue } from '../base/deadlines';
import type { DropCounters } from '../base/drops';
import { BLOCK_SIZES, type BlockPool, type Slab, type SlabPool } from '../base/memory';
import { type Random, Secret } from '../base/random';
import type { Trace } from '../base/trace';
import type { Path, Transmitter } from '../base/transmit';
import { WorkList } from '../base/work-list';
import { AckSample } from './ack-sample';
import { settingsOf } from './cells';
import { newController } from './congestion/controllers';
import { Reno } from './congestion/reno';
import {
  CLOSED,
  Connection,
  FAILED,
  STATE_NUMBERS,
  type State,
  TCP_ERRORS,
  type TcpError,
  WRITABLE,
} from './connection';
import { FastOpen } from './fast-open';
import { readSegment, Segment } from './header';
import type { Listener } from './listener';
import type { TcpObserver } from './observer';
import { output } from './output';
import type { TcpProfile } from './profile';
import { discardBeyondHole, discardText } from './reassembler';
import { ReceiveStore } from './receive-store';
import { REPLIES_MAX, type Reply } from './reply';
import { segmentArrives } from './segment-arrives';
import { sendReply } from './sending/reply';
import { SentTable } from './sent-table';
import { type Seq, seqAdd } from './seq';
import { ConnectionTable } from './table';
import { type TimeWait, TimeWaitTable } from './time-wait';
import { expire } from './timeouts';
import { acknowledgeFromTimeWait, listenArrives, strayArrives, timeWaitArrives } from './without-connection';

/** What TCP asks of IP: the way to an address, or why there is none. */
export interface PathFinder {
  /** `local` null lets IP choose the source (MUST-44). Null: there is no route, or `local` is not ours. */
  pathTo(remote: Address, local: Address | null): Path | null;
  isLocal(address: Address): boolean;
  /** All hosts of the network, or of one of our subnets. */
  isBroadcast(address: Address): boolean;
  /** R1 was reached: this next hop may be dead (MUST-20). */
  doubt(path: Path): void;
  /** The peer made progress: the next hop works (RFC 4861 §7.3.1). */
  confirm(path: Path): void;
}

export interface TcpLimits {
  readonly connectionsMax: number;
  readonly timeWaitsMax: number;
}

export interface TcpCounters {
  activeOpens: number;
  passiveOpens: number;
  attemptFails: number;
  establishedResets: number;
  segmentsIn: number;
  segmentsOut: number;
  retransmitted: number;
  resetsSent: number;
  timeWaitsEvicted: number;
  repliesLost: number;
  /** SYN cookies: given out, come back, and ACKs that had none while some were expected. */
  cookiesSent: number;
  cookiesReceived: number;
  cookiesFailed: number;
}

/**
 * The TCP layer of one stack: its connections, listeners and TIME-WAITs, and the lists of who has something to send or to
 * tell. Functions in this folder do the work; this is what they share.
 */
export class Tcp {
  readonly connections: ConnectionTable<Connection>;
  readonly timeWaits: TimeWaitTable;
  private readonly listeners = new Map<number, Listener[]>();
  readonly deadlines = new DeadlineQueue<Connection>();
  readonly sent = new SentTable();
  readonly store: ReceiveStore;
  readonly secret: Secret;
  /** Connections that want `output`. */
  private readonly ready = new WorkList<Connection>();
  readonly fastOpen: FastOpen;
  readonly replies: Reply[] = [];
  /** Connections and listeners with something to tell their owners. */
  readonly signalled = new WorkList<Connection>();
  readonly acceptable = new WorkList<Listener>();
  private nextId = 1;
  /** Where in the table the last one stands that was told of send memory. */
  private starvedAt = 0;
  /** Where connections begin instead, for tests of the numbers' wrap: never on a real network (RFC 6528). */
  initialSequenceFixed: Seq | null = null;
  /** What a new connection's settings are. */
  initialSettings: readonly number[];
  /** Whoever wants to be told at once; most often one or none. */
  readonly observers: TcpObserver[] = [];
  readonly segment = new Segment();
  /** What the acknowledgment in hand told. */
  readonly ackSample = new AckSample();
  readonly counters: TcpCounters = {
    activeOpens: 0,
    passiveOpens: 0,
    attemptFails: 0,
    establishedResets: 0,
    segmentsIn: 0,
    segmentsOut: 0,
    retransmitted: 0,
    resetsSent: 0,
    timeWaitsEvicted: 0,
    repliesLost: 0,
    cookiesSent: 0,
    cookiesReceived: 0,
    cookiesFailed: 0,
  };

  constructor(
    readonly profile: TcpProfile,
    readonly limits: TcpLimits,
    readonly random: Random,
    readonly blocks: BlockPool,
    slabs: SlabPool,
    readonly out: Transmitter,
    readonly paths: PathFinder,
    readonly drops: DropCounters,
    readonly trace: Trace,
  ) {
    this.initialSettings = settingsOf(profile);
    this.secret = Secret.from(random);
    this.fastOpen = new FastOpen(random.fork());
    this.connections = new ConnectionTable(this.secret);
    this.timeWaits = new TimeWaitTable(this.connections);
    this.store = new ReceiveStore(slabs);
  }

  /** One segment in. Changes state and sends nothing. */
  receive(d: Datagram, slab: Slab, now: Millis): void {
    this.counters.segmentsIn++;
    const seg = this.segment;
    const bad = readSegment(d.bytes, d.bodyAt, d.end, d.pseudoSum, d.checksumValid, seg);
    if (bad !== null) return this.drop(bad, now);
    // MUST-57: not even a RST for what came to a group.
    if (d.notUnicast) return this.drop('tcp-not-unicast', now);
    const ports = (seg.destinationPort << 16) | seg.sourcePort;
    const hash = this.connections.hashOf(ports, d.d0, d.d1, d.d2, d.d3, d.s0, d.s1, d.s2, d.s3);
    const c = this.connections.find(
      hash,
      seg.destinationPort,
      seg.sourcePort,
      d.d0,
      d.d1,
      d.d2,
      d.d3,
      d.s0,
      d.s1,
      d.s2,
      d.s3,
    );
    if (c !== null) {
      if (this.trace.on)
        this.trace.add('segment-in', now, c.id, seg.flags, seg.seq, seg.ack, seg.textBytes, seg.window);
      segmentArrives(this, c, seg, d, slab, now);
      this.wantsOutput(c);
      return;
    }
    if (this.trace.on) this.trace.add('segment-in', now, 0, seg.flags, seg.seq, seg.ack, seg.textBytes, seg.window);
    this.withoutConnection(d, seg, hash, slab, now);
  }

  private withoutConnection(d: Datagram, seg: Segment, hash: number, slab: Slab, now: Millis): void {
    const waiting = this.timeWaits.find(
      hash,
      seg.destinationPort,
      seg.sourcePort,
      d.d0,
      d.d1,
      d.d2,
      d.d3,
      d.s0,
      d.s1,
      d.s2,
      d.s3,
    );
    if (waiting !== null && !timeWaitArrives(this, waiting, seg, now)) return;
    const listener = this.findListener(seg.destinationPort, d);
    if (listener !== null) listenArrives(this, listener, seg, d, slab, waiting, now);
    else strayArrives(this, seg, d, now);
  }

  drop(reason: Parameters<DropCounters['count']>[0], now: Millis): void {
    this.drops.count(reason);
    if (this.trace.on) this.trace.drop(reason, now);
  }

  // ── listeners ──

  findListener(port: number, d: Datagram): Listener | null {
    const list = this.listeners.get(port);
    if (list === undefined) return null;
    let wildcard: Listener | null = null;
    for (const listener of list) {
      if (!listener.matches(d.family, d.d0, d.d1, d.d2, d.d3)) continue;
      if (listener.address !== null) return listener;
      if (wildcard === null || listener.family !== 0) wildcard = listener;
    }
    return wildcard;
  }

  listenersOn(port: number): readonly Listener[] {
    return this.listeners.get(port) ?? [];
  }

  addListener(listener: Listener): void {
    const list = this.listeners.get(listener.port);
    if (list === undefined) this.listeners.set(listener.port, [listener]);
    else list.push(listener);
  }

  removeListener(listener: Listener): void {
    const list = this.listeners.get(listener.port);
    if (list === undefined) return;
    const rest = list.filter((other) => other !== listener);
    if (rest.length === 0) this.listeners.delete(listener.port);
    else this.listeners.set(listener.port, rest);
  }

  *allListeners(): Generator<Listener> {
    for (const list of this.listeners.values()) yield* list;
  }

  // ── connections ──

  newConnection(
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
    path: Path,
    listener: Listener | null,
    now: Millis,
  ): Connection {
    const controller = newController(this.profile.congestion, this.profile) ?? new Reno();
    const c = new Connection(
      this,
      this.nextId++,
      local,
      localPort,
      remote,
      remotePort,
      path,
      this.profile,
      controller,
      listener,
    );
    c.openedAt = now;
    c.iss = this.initialSequence(c, now);
    c.sndUna = c.sndNxt = c.sndSmall = c.cwndUsageEnd = c.iss;
    c.ecnOk = listener === null && this.profile.ecn === 'request';
    c.tsOffset = this.timestampOffset(local, remote);
    c.rcvRttAt = c.rcvSpaceAt = now;
    c.sendBuffer.restart(seqAdd(c.iss, 1));
    this.connections.insert(c);
    this.blocks.clients = this.connections.size;
    for (const observer of this.observers) observer.opened(c, now);
    return c;
  }

  /** RFC 6528 §3: a 4-microsecond clock plus a keyed hash of the four-tuple (MUST-8, MUST-9). */
  private initialSequence(c: Connection, now: Millis): Seq {
    if (this.initialSequenceFixed !== null) return this.initialSequenceFixed;
    const hash = this.hashTuple(c.local, c.remote, (c.localPort << 16) | c.remotePort, 0x69736e);
    return ((Math.floor(now * 250) + hash) | 0) as Seq;
  }

  /**
   * A keyed hash of both addresses, `ports` and what it is for. Every bit of the addresses counts: folded, an IPv6 peer could
   * choose an address of its own with the hash of another's.
   */
  hashTuple(local: Address, remote: Address, ports: number, use: number): number {
    const { secret } = this;
    if (local.family === 4) return secret.hash(local.w3, remote.w3, ports, 4, 0, use);
    const first = secret.hash(local.w0, local.w1, local.w2, local.w3, remote.w0, remote.w1);
    return secret.hash(first, remote.w2, remote.w3, ports, 6, use);
  }

  /** What is added to the clock of timestamps between two hosts (RFC 7323 §5.4). */
  timestampOffset(local: Address, remote: Address): number {
    return this.hashTuple(local, remote, 0, 0x7473);
  }

  /** Every change of state goes through here. */
  enter(c: Connection, state: State, now: Millis): void {
    if (this.trace.on) this.trace.add('state', now, c.id, STATE_NUMBERS[c.state], STATE_NUMBERS[state]);
    if (c.state === 'SYN-RECEIVED' && c.listener !== null) {
      c.listener.halfOpen--;
      if (c.fast?.child === true) c.listener.fastOpenPending--;
    }
    if (state === 'SYN-RECEIVED' && c.listener !== null) c.listener.halfOpen++;
    const from = c.state;
    c.state = state;
    for (const observer of this.observers) observer.entered(c, from, now);
  }

  /** The connection has failed: the owner gets one error, the block is gone. */
  fail(c: Connection, error: TcpError, now: Millis): void {
    if (c.state === 'CLOSED') return;
    if (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED') this.counters.attemptFails++;
    else this.counters.establishedResets++;
    c.error = error;
    this.tellFailure(c, error, now);
    this.remove(c, now);
    this.signal(c, FAILED);
  }

  /** For logs and observers: the owner is about to be told of `error`. */
  tellFailure(c: Connection, error: TcpError, now: Millis): void {
    if (this.trace.on) this.trace.add('error', now, c.id, TCP_ERRORS.indexOf(error));
    for (const observer of this.observers) observer.failed(c, error, now);
  }

  /** Takes the connection out of the layer and releases all that it held of the send side. What was received stays readable. */
  remove(c: Connection, now: Millis): void {
    if (c.state === 'CLOSED') return;
    this.enter(c, 'CLOSED', now);
    this.connections.remove(c);
    this.blocks.clients = this.connections.size;
    this.deadlines.remove(c);
    c.retransmitAt = c.delayedAckAt = c.keepAliveAt = c.lingerAt = c.pacingAt = Number.POSITIVE_INFINITY;
    c.retransmitTimer = 'none';
    this.sent.clear(c);
    c.sendBuffer.clear();
    c.packetsOut = c.sackedOut = c.lostOut = c.retransOut = 0;
    // What arrived in order before the end can still be read, before a RST as well (as Linux does).
    if (c.orphaned) discardText(c, this.store);
    else discardBeyondHole(c, this.store);
    if (c.listener !== null && c.owner === null) this.forgetUnaccepted(c);
    this.signal(c, CLOSED);
  }

  /** Who was established is accepted all the same, with what it received and its error, as a kernel hands it out. */
  private forgetUnaccepted(c: Connection): void {
    if (!c.listener!.accepted.includes(c)) discardText(c, this.store);
  }

  /** The connection is done but for TIME-WAIT; an ACK still owed goes out from there. */
  enterTimeWait(c: Connection, now: Millis): void {
    if (this.timeWaits.size >= this.limits.timeWaitsMax) {
      this.timeWaits.evict();
      this.counters.timeWaitsEvicted++;
    }
    const waiting = this.timeWaits.add(c, now + this.profile.timeWaitMs);
    if (c.ackNow) acknowledgeFromTimeWait(this, waiting, now);
    this.enter(c, 'TIME-WAIT', now);
    this.remove(c, now);
  }

  /** A repeated FIN restarts the wait (RFC 9293 §3.10.7.4, eighth). */
  restartTimeWait(waiting: TimeWait, now: Millis): void {
    this.timeWaits.restart(waiting, now + this.profile.timeWaitMs);
  }

  /** The profile, which a test rig may change between two connections, has changed. */
  profileChanged(): void {
    this.initialSettings = settingsOf(this.profile);
  }

  // ── telling and sending ──

  signal(c: Connection, bits: number): void {
    if (c.signals === 0) this.signalled.add(c);
    c.signals |= bits;
  }

  signalListener(listener: Listener): void {
    if (listener.signalled) return;
    listener.signalled = true;
    this.acceptable.add(listener);
  }

  wantsOutput(c: Connection): void {
    if (c.ready) return;
    c.ready = true;
    this.ready.add(c);
  }

  reply(reply: Reply): void {
    if (this.replies.length >= REPLIES_MAX) this.counters.repliesLost++;
    else this.replies.push(reply);
  }

  /**
   * The stack's send memory was short and is not any more: those who wait may have nothing in flight to wake them. As many
   * as the memory is enough for, in turns.
   */
  private tellStarved(): void {
    const { connections } = this;
    let { room } = this.blocks;
    for (let left = connections.capacity; left > 0; left--) {
      if (room <= 0) return;
      this.starvedAt = (this.starvedAt + 1) % connections.capacity;
      const c = connections.at(this.starvedAt);
      if (c === null || !c.wantsRoom || c.sendSpace === 0) continue;
      c.wantsRoom = false;
      room -= BLOCK_SIZES[1];
      this.signal(c, WRITABLE);
    }
    this.blocks.refused = false;
  }

  /** Sends what is due. Returns false when a link's queue is full: flush and call again. */
  poll(now: Millis): boolean {
    if (this.blocks.refused && this.blocks.hasRoom) this.tellStarved();
    for (let c = this.deadlines.due(now); c !== null; c = this.deadlines.due(now)) {
      // What pacing held up goes in the order in which it was due, a burst at a time, however late the timer is: in that of
      // acknowledgments the same flow would come first each time, and a short queue be full for the others.
      const paced = c.pacingAt <= now;
      expire(this, c, now);
      assert(c.nextDeadline() > now, 'a deadline that came was dealt with');
      this.deadlines.update(c, c.nextDeadline());
      if (paced && !output(this, c, now)) {
        this.wantsOutput(c);
        return false;
      }
      if (!paced) this.wantsOutput(c);
    }
    this.timeWaits.expire(now);
    while (this.replies.length > 0) {
      if (!sendReply(this, this.replies[0]!, now)) return false;
      this.replies.shift();
    }
    for (let c = this.ready.take(); c !== null; c = this.ready.take()) {
      c.ready = false;
      if (!output(this, c, now)) {
        this.wantsOutput(c);
        return false;
      }
      if (c.pacingAt <= now) this.wantsOutput(c);
    }
    return true;
  }

  get wantsPoll(): boolean {
    return this.ready.size > 0 || this.replies.length > 0;
  }

  nextDeadline(): Millis {
    return Math.min(this.deadlines.next(), this.timeWaits.next());
  }
}
