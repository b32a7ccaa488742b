import type { AsyncResource } from 'node:async_hooks';
import { type Device, FRAMES_PER_BATCH } from '../device/device';
import { type Address, LOOPBACK_V4 } from '../stack/base/address';
import { type Millis, NEVER } from '../stack/base/bytes';
import { FRAME_BYTES_MAX, heapRegions } from '../stack/base/memory';
import { DEFAULT_CONFIG, DEFAULT_LIMITS, Stack } from '../stack/stack';
import { closeListener, connect, listen, type OpenError } from '../stack/tcp/calls';
import { type Connection, type ConnectionOwner, END, FAILED, READABLE } from '../stack/tcp/connection';
import type { Listener, ListenerOwner } from '../stack/tcp/listener';
import { discardText } from '../stack/tcp/reassembler';
import { Closings } from './closings';
import { debugHost } from './debug';
import { HostDiagnostics } from './diagnostics';
import type { FrameTap } from './frame-tap';
import { type HostOptions, namesOf, profileOf } from './host-options';
import { isDone, Lingering } from './lingering';
import { type Loop, nodeLoop } from './loop';
import type { Port } from './port';
import { Ports } from './ports';
import { simdRegions } from './regions';

export type { FrameTap } from './frame-tap';
export { type Attachment, addressOf, cidrOf, type HostOptions, type RouteOption } from './host-options';

interface Deferred {
  connection: Connection;
  signals: number;
}

/**
 * A timer that fires so much too late, or too late by half of what it was set for, has waited for something that kept the
 * whole process, not for its turn. A link in memory probes for a lost tail after 2 ms.
 */
const STOOD_STILL_MS = 20;

/** At most this many frames before other events have their turn (device.md §4: beyond it timers starve). */
const FRAMES_PER_TURN = 512;

/** At most this many batches go around the loopback link in one flush: the rest have to wait for the next. */
const LOOPBACK_ROUNDS = 64;

/**
 * Drives one stack: moves batches between its devices and the core, tells owners what happened, keeps the one timer. A
 * turn is: receive a batch, tell the owners, send all that is due, once.
 */
export class Host {
  readonly stack: Stack;
  readonly loop: Loop;
  private readonly ports: Ports;
  readonly names: ReadonlyMap<string, readonly string[]>;
  private readonly families: readonly (4 | 6)[] | null;
  private timer: unknown = null;
  private timerAt: Millis = NEVER;
  private flushDue = false;
  private wakeDue = false;
  private inTurn = false;
  private retryDue = false;
  private closed = false;
  private references = 0;
  private readonly closings: Closings;
  /** How often owners were told what happened. */
  turns = 0;
  /** How the connection that is told of was when its telling began: what happens meanwhile is for the next turn. */
  readonly before = { readable: 0, finQueued: false, broken: false };
  private readonly pending: (() => void)[] = [];
  private readonly deferred: Deferred[] = [];
  /** Of connections that were accepted in the last turn: a loop that asks for them last hears of them last. */
  private readonly accepted: Deferred[] = [];
  private hold: unknown = null;
  frameTap: FrameTap | null = null;

  constructor(options: HostOptions) {
    this.loop = options.loop ?? nodeLoop;
    this.closings = new Closings(this.loop, (task) => this.call(task));
    this.names = namesOf(options.names ?? {});
    this.families = options.families ?? null;
    this.stack = new Stack({
      ...DEFAULT_CONFIG,
      seed: options.seed ?? Math.floor(Math.random() * 0x1_0000_0000),
      profile: profileOf(options.profile),
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      trace: options.trace ?? false,
      traceCapacity: options.traceCapacity ?? DEFAULT_CONFIG.traceCapacity,
      poison: options.poison ?? false,
      regions: options.devices.some(({ device }) => device.offloads.checksum) ? heapRegions : simdRegions(),
    });
    this.ports = new Ports(this.stack, options.loopback ?? true, (port) => this.readable(port));
    for (const { device, addresses } of options.devices) this.ports.attach(device, addresses);
    for (const route of options.routes ?? []) this.ports.addRoute(route);
    this.stack.tcp.observers.push(new HostDiagnostics(this));
    debugHost(this);
  }

  /** It was closed: its sockets hear nothing any more. */
  get isClosed(): boolean {
    return this.closed;
  }

  get devices(): readonly Device[] {
    return this.ports.all.map((port) => port.device);
  }

  now(): Millis {
    return this.loop.now();
  }

  // ── one turn ──

  private readable(port: Port): void {
    if (this.closed || this.inTurn) return;
    let frames = 0;
    while (frames < FRAMES_PER_TURN) {
      if (!this.stack.rotateSlab()) {
        // Every slab is full of text that applications have not read: leave frames to the device until they do.
        return;
      }
      port.batch.slab = this.stack.slabs.current;
      const n = port.device.receive(port.batch);
      if (n === 0) break;
      frames += n;
      // What comes in answer to a turn waits: handles that close, timers and immediates have theirs before it.
      const isAll = n < FRAMES_PER_BATCH && port.batch.slab.room >= FRAME_BYTES_MAX;
      this.turn(port, n);
      if (isAll || this.closed || this.closings.isDue) return;
    }
  }

  private turn(port: Port, frames: number): void {
    this.inTurn = true;
    port.deliver(this.stack, frames, this.frameTap, this.loop.now());
    this.tell();
  }

  /** Tells everybody what happened, in libuv's order: what is due anyway, sockets, and what these made due. */
  private tell(): void {
    this.inTurn = true;
    this.turns++;
    if (this.accepted.length > 0) this.signalAgain(this.accepted);
    try {
      this.runPending();
      this.dispatch();
      this.runPending();
    } finally {
      this.inTurn = false;
      // An empty splice makes an array all the same, for every batch.
      if (this.deferred.length > 0) this.signalFirst(this.deferred);
      this.flush();
      this.closings.arm();
    }
  }

  /** Those that were told of in this turn come first in the next, as in the kernel's list of what is ready. */
  private signalFirst(list: Deferred[]): void {
    const { signalled } = this.stack.tcp;
    let others = signalled.size;
    this.signalAgain(list);
    for (; others > 0; others--) signalled.add(signalled.take()!);
  }

  private signalAgain(list: Deferred[]): void {
    for (const { connection, signals } of list.splice(0)) this.stack.tcp.signal(connection, signals);
  }

  private runPending(): void {
    for (let task = this.pending.shift(); task !== undefined; task = this.pending.shift()) this.call(task);
  }

  /** Calls an application, and what it leaves behind. */
  private call(task: () => void): void {
    try {
      task();
      this.loop.between();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Calls `method` in an asynchronous context. Returns undefined when the application that it led to threw. */
  callIn<A, B, R>(context: AsyncResource, method: (a: A, b: B) => R, self: object, a?: A, b?: B): R | undefined {
    return context.runInAsyncScope(this.guarded<A, B, R>, this, method, self, a as A, b as B);
  }

  private guarded<A, B, R>(method: (a: A, b: B) => R, self: object, a: A, b: B): R | undefined {
    try {
      return method.call(self, a, b);
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  private failed(error: unknown): void {
    if (this.loop.failed === undefined) throw error;
    this.loop.failed(error);
  }

  /**
   * Tells owners and listeners what arrived. When one throws, the error goes its way and the rest are told all the same,
   * in the next turn if it has to leave by this one. What comes over the loopback link meanwhile is for the next turn, too: a
   * loop asks what happened once, before it tells anybody.
   */
  private dispatch(): void {
    const tcp = this.stack.tcp;
    let known = tcp.signalled.size;
    for (let left = tcp.acceptable.size; left > 0 && !this.closed; left--) {
      const listener = tcp.acceptable.take()!;
      listener.signalled = false;
      try {
        listener.owner?.onAcceptable(listener);
        this.loop.between();
      } catch (error) {
        this.failed(error);
      }
    }
    for (; known > 0 && !this.closed; known--) this.tellOwner(tcp.signalled.take()!);
    const all = this.ports.loopback === null;
    for (let left = tcp.signalled.size; left > 0 && !this.closed; left = all ? tcp.signalled.size : left - 1) {
      const c = tcp.signalled.take()!;
      if (this.isLoopback(c)) tcp.signalled.add(c);
      else this.tellOwner(c);
    }
    this.dispatchUdp();
  }

  private tellOwner(c: Connection): void {
    const bits = c.signals;
    c.signals = 0;
    if (c.owner === null) return;
    try {
      c.owner.onSignals(c, bits);
      this.loop.between();
    } catch (error) {
      this.failed(error);
    }
  }

  private dispatchUdp(): void {
    const { signalled } = this.stack.udp;
    // Those that are not done are told again in a turn of their own.
    if (signalled.length === 0) return;
    for (const socket of signalled.splice(0)) {
      socket.signalled = false;
      try {
        socket.owner?.onUdp(socket);
        this.loop.between();
      } catch (error) {
        this.failed(error);
      }
    }
  }

  /** Something changed outside a turn (an application's call): tells and sends soon, once. */
  schedule(): void {
    if (this.flushDue || this.inTurn || this.closed) return;
    this.flushDue = true;
    this.loop.soon(() => {
      this.flushDue = false;
      this.flush();
    });
  }

  /** Whether what the connection sends arrives at once. */
  isLoopback(c: Connection): boolean {
    return this.ports.loopback !== null && this.stack.isLocal(c.remote);
  }

  /** Sends what is due before the next call changes it. */
  sendNow(): void {
    if (!this.closed) this.flush();
  }

  private wakeLater(): void {
    if (this.wakeDue) return;
    this.wakeDue = true;
    const task = (): void => {
      this.wakeDue = false;
      this.wake();
    };
    this.poll(task, this.references > 0 || this.pending.length > 0);
  }

  /** Calls `task` where the loop next tells of input and output; `hold`: the process waits for it. */
  poll(task: () => void, hold: boolean): void {
    if (this.loop.poll === undefined) this.loop.later(task);
    else this.loop.poll(task, hold);
  }

  private get hasNews(): boolean {
    const { tcp, udp } = this.stack;
    const told = tcp.signalled.size === 0 && tcp.acceptable.size === 0 && udp.signalled.length === 0;
    return !told || this.pending.length > 0 || this.accepted.length > 0;
  }

  /** Signals raised by calls, by timers or over loopback are told in a turn of their own. */
  private wake(): void {
    if (this.closed || this.inTurn || !this.hasNews) return;
    this.tell();
  }

  /** Sends all that is due and arms the timer. */
  private flush(): void {
    if (this.closed) return;
    const now = this.loop.now();
    this.send(now);
    if (this.ports.loopback !== null) this.goAround(this.ports.loopback, now);
    if (this.hasNews) this.wakeLater();
    this.arm();
  }

  private send(now: Millis): void {
    for (let all = false; !all; ) {
      all = this.stack.poll(now);
      if (!this.transmit(now) && !all) break;
    }
  }

  /** What was sent to ourselves is received at once, and what that causes is sent, until all is quiet. */
  private goAround(port: Port, now: Millis): void {
    for (let rounds = LOOPBACK_ROUNDS; rounds > 0; rounds--) {
      // Full slabs: the next flush tries again, and the application that reads causes one.
      if (!this.stack.rotateSlab()) return;
      port.batch.slab = this.stack.slabs.current;
      const frames = port.device.receive(port.batch);
      if (frames === 0) return;
      port.deliver(this.stack, frames, this.frameTap, now);
      this.send(now);
    }
    this.retry();
  }

  /** Hands the interfaces' queues to their devices. False when one pushes back. */
  private transmit(now: Millis): boolean {
    let took = true;
    for (const port of this.ports.all) {
      if (port.iface.tx.frames === 0) continue;
      if (port.transmit(this.frameTap, now)) this.stack.blocks.settle();
      else {
        took = false;
        this.retry();
      }
    }
    return took;
  }

  /** The link is full: it is tried again when other events had their turn. */
  private retry(): void {
    if (this.retryDue) return;
    this.retryDue = true;
    const task = (): void => {
      this.retryDue = false;
      this.flush();
    };
    this.poll(task, this.references > 0);
  }

  private arm(): void {
    const next = this.stack.nextDeadline();
    if (next >= this.timerAt) return;
    // What is due and cannot go waits for room on the link, which is tried again anyway: no timer brings that nearer.
    if (this.retryDue && next <= this.loop.now()) return;
    if (this.timer !== null) this.loop.clear(this.timer);
    this.timerAt = next;
    const late = Math.min(STOOD_STILL_MS, Math.max(1, (next - this.loop.now()) / 2));
    this.timer = this.loop.timer(next, () => {
      this.timer = null;
      this.timerAt = NEVER;
      // What came while the process stood still is read first: acknowledgments that are here already are not missing.
      if (this.loop.now() - next < late) this.flush();
      else this.loop.later(() => this.loop.later(() => this.flush()));
    });
  }

  // ── for sockets and servers ──

  /** Opens a connection (RFC 9293 §3.10.1); the owner hears of its fate. */
  connect(
    remote: Address,
    port: number,
    local: Address | null,
    localPort: number,
    owner: ConnectionOwner,
  ): Connection | OpenError {
    if (this.closed) return 'ENETUNREACH';
    if (local !== null) this.ports.reachesItself(local);
    // To itself a host speaks from the very address, except that 127.0.0.1 speaks for all of its network.
    if (this.ports.reachesItself(remote) && local === null)
      local = remote.isLoopback && remote.family === 4 ? LOOPBACK_V4 : remote;
    const c = connect(this.stack.tcp, remote, port, local, localPort, owner, this.now());
    if (typeof c !== 'string' && this.isLoopback(c)) this.sendNow();
    else this.schedule();
    return c;
  }

  listen(
    address: Address | null,
    family: 0 | 4 | 6,
    port: number,
    backlog: number,
    owner: ListenerOwner,
  ): Listener | OpenError {
    if (address !== null) this.ports.reachesItself(address);
    const listener = listen(this.stack.tcp, address, family, port, backlog);
    if (typeof listener !== 'string') listener.owner = owner;
    return listener;
  }

  /** Which families names are looked up for when a program does not say. */
  get configuredFamilies(): readonly (4 | 6)[] {
    return this.families ?? this.ports.families;
  }

  /** The connection's socket has let go of it; the process may have to wait until its last words are delivered. */
  letGoOf(c: Connection): void {
    // To oneself everything is delivered already, or its reader holds the process.
    if (!isDone(c) && !this.closed && !this.stack.isLocal(c.remote)) new Lingering(this, c);
  }

  /** Whether a socket may be bound to `address`. */
  isLocal(address: Address): boolean {
    return this.ports.reachesItself(address) || this.stack.isLocal(address);
  }

  closeListener(listener: Listener): void {
    closeListener(this.stack.tcp, listener, this.now());
    // Whoever waited to be accepted is reset at once: one that has not heard yet that it is connected never does.
    this.sendNow();
  }

  /** Takes the next accepted connection; what it already has is signalled again, to the new owner. */
  accept(listener: Listener, owner: ConnectionOwner): Connection | null {
    const c = listener.accepted.shift();
    if (c === undefined) return null;
    c.owner = owner;
    const waiting = (c.readable > 0 ? READABLE : 0) | (c.finReceived ? END : 0) | (c.error !== null ? FAILED : 0);
    // Of what came over loopback libuv hears behind all that is known by then.
    if (waiting !== 0 && this.isLoopback(c)) this.deferAccepted(c, waiting);
    else if (waiting !== 0) this.stack.tcp.signal(c, waiting);
    return c;
  }

  /** Keeps the process alive until as many `release` calls. */
  retain(): void {
    if (this.references++ > 0 || this.closed) return;
    this.hold = this.loop.hold?.() ?? null;
    this.ports.ref();
  }

  release(): void {
    if (--this.references > 0 || this.closed) return;
    this.letGo();
    this.ports.unref();
  }

  private letGo(): void {
    if (this.hold !== null) this.loop.clear(this.hold);
    this.hold = null;
  }

  /** Calls `task` after the sockets of this turn were told, or before those of the next. */
  soon(task: () => void): void {
    this.pending.push(task);
    if (!this.inTurn) this.wakeLater();
  }

  /** The same for a connection that was accepted in this turn: behind what is known by then. */
  deferAccepted(connection: Connection, signals: number): void {
    this.accepted.push({ connection, signals });
  }

  /** Tells the connection's owner `signals` in the next turn. */
  defer(connection: Connection, signals: number): void {
    this.deferred.push({ connection, signals });
    if (!this.inTurn) this.wakeLater();
  }

  /** Runs `task` at the end of this turn of the loop: a handle closes. */
  closing(task: () => void): void {
    this.closings.add(task);
    if (!this.inTurn) this.closings.arm();
  }

  private abandon(): void {
    const { tcp } = this.stack;
    const now = this.now();
    for (const c of [...tcp.connections]) {
      const { owner } = c;
      c.owner = null;
      tcp.remove(c, now);
      discardText(c, tcp.store);
      owner?.onAbandoned?.(c);
    }
  }

  /**
   * Ends everything: connections are forgotten without a word to their peers, as when a machine loses its power; their
   * sockets are destroyed, devices closed. Safe to call twice.
   */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.abandon();
    this.letGo();
    if (this.timer !== null) this.loop.clear(this.timer);
    this.ports.close();
    this.stack.close();
  }
}

export function createHost(options: HostOptions): Host {
  return new Host(options);
}
