import { setTimeout } from 'node:timers';
import { type Device, newBatch, RX_AT, RX_BYTES, RX_FIELDS } from '../device/device';
import { memoryPair } from '../device/memory';
import type { Bytes, Millis } from '../stack/base/bytes';
import { Arenas, heapRegions, SlabPool } from '../stack/base/memory';
import { TxQueue } from '../stack/base/tx-queue';
import type { Side } from './conn';
import { FaultEngine } from './engine';
import { foreignHosts, type HostControl, type Medium } from './medium';

/** Slabs that frames are received into: each is emptied at once. */
const SLABS = 2;

/** A device used for whole frames: what it receives is handed out as copies, and frames can be sent. */
class FramePort {
  private readonly arenas = new Arenas(heapRegions);
  private readonly queue = new TxQueue(this.arenas);
  private readonly slabs = new SlabPool(heapRegions, SLABS, false);
  private readonly batch = newBatch(this.slabs.current);
  /** Frames that the device did not take. */
  refused = 0;

  constructor(
    readonly device: Device,
    private readonly onFrame: (frame: Bytes) => void,
  ) {
    if (device.offloads.checksum || device.offloads.tso4)
      throw new RangeError(`${device.name}: open it with offload: false, so that every frame is as on a cable`);
    device.onReadable(() => this.readable());
  }

  private readable(): void {
    for (let rounds = 4; rounds > 0; rounds--) {
      const { slab } = this.batch;
      slab.fill = 0;
      const count = this.device.receive(this.batch);
      if (count === 0) return;
      const r = this.batch.records;
      const frames: Bytes[] = [];
      for (let i = 0; i < count * RX_FIELDS; i += RX_FIELDS)
        frames.push(slab.bytes.slice(r[i + RX_AT]!, r[i + RX_AT]! + r[i + RX_BYTES]!));
      for (const frame of frames) this.onFrame(frame);
    }
  }

  send(frame: Bytes): void {
    const at = this.queue.begin();
    this.queue.header.set(frame, at);
    this.queue.headers(frame.length);
    this.queue.commit();
    if (this.device.transmit(this.queue, 0, 1) === 0) this.refused++;
    this.queue.clear();
  }

  close(): void {
    this.device.onReadable(null);
    this.device.close();
    this.arenas.close();
  }
}

/** A program's loop must come to an end of its turn in between: more than that on a busy machine. */
const WAKE_GAP_MS = 20;

interface Timer {
  readonly at: Millis;
  readonly task: () => void;
  armed: NodeJS.Timeout | null;
}

/** Real time, and two devices: what one receives goes to the other through an engine. */
export class DeviceMedium implements Medium {
  readonly linkType: Medium['linkType'];
  readonly wakeGapMs: Millis;
  arrives: (from: Side, frame: Bytes) => void = () => {};
  private readonly ports: Record<Side, FramePort>;
  private readonly timers = new Set<Timer>();
  private ahead: Millis = 0;
  private closed = false;

  constructor(left: Device, right: Device, wakeGapMs: Millis = WAKE_GAP_MS) {
    if (left.linkType !== right.linkType)
      throw new RangeError(`${left.name} carries ${left.linkType}, ${right.name} ${right.linkType}: both the same`);
    this.linkType = left.linkType;
    this.wakeGapMs = wakeGapMs;
    this.ports = {
      left: new FramePort(left, (frame) => this.arrives('left', frame)),
      right: new FramePort(right, (frame) => this.arrives('right', frame)),
    };
  }

  now(): Millis {
    return performance.now() + this.ahead;
  }

  at(at: Millis, task: () => void): unknown {
    const timer: Timer = { at, task, armed: null };
    this.timers.add(timer);
    this.arm(timer);
    return timer;
  }

  private arm(timer: Timer): void {
    if (timer.armed !== null) clearTimeout(timer.armed);
    // Node takes longer waits for none at all.
    const wait = Math.min(0x7fff_ffff, Math.max(0, timer.at - this.now()));
    timer.armed = setTimeout(() => {
      if (timer.at > this.now() + 1) return this.arm(timer);
      this.timers.delete(timer);
      if (!this.closed) timer.task();
    }, wait);
  }

  cancel(timer: unknown): void {
    const known = timer as Timer;
    if (known.armed !== null) clearTimeout(known.armed);
    this.timers.delete(known);
  }

  /**
   * The clock between the devices leaps ahead by `ms`, and theirs do not: a box that forgets after 350 s has then been silent
   * for so long. What is due comes at once.
   */
  leap(ms: Millis): void {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new RangeError(`${ms} is no time in milliseconds`);
    this.ahead += ms;
    for (const timer of this.timers) this.arm(timer);
  }

  deliver(to: Side, frame: Bytes): void {
    if (!this.closed) this.ports[to].send(frame);
  }

  /** Frames that a full device did not take. */
  get refused(): number {
    return this.ports.left.refused + this.ports.right.refused;
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers) this.cancel(timer);
    this.ports.left.close();
    this.ports.right.close();
  }
}

/** A middlebox in real time. */
export interface Middlebox {
  readonly engine: FaultEngine;
  readonly medium: DeviceMedium;
  /** Takes both devices away. Safe to call twice. */
  close(): void;
}

/** What a middlebox may be told. */
export interface MiddleboxOptions {
  readonly seed?: number;
  /** Default: hosts in other processes. */
  readonly hosts?: HostControl;
  readonly wakeGapMs?: Millis;
}

/**
 * Puts the rules between two devices (TUN, TAP, packet sockets, ends of links in memory), in real time. Programs on either
 * side know nothing of it. The left side is where clients are, if anyone asks who 'client' is.
 */
export function openMiddlebox(left: Device, right: Device, options: MiddleboxOptions = {}): Middlebox {
  const medium = new DeviceMedium(left, right, options.wakeGapMs);
  const engine = new FaultEngine({ medium, seed: options.seed, hosts: options.hosts ?? foreignHosts });
  medium.arrives = (from, frame) => engine.arrives(from, frame);
  return { engine, medium, close: () => medium.close() };
}

/** A device with rules on it, for a host in this process. */
export interface FaultDevice extends Middlebox {
  /** What the host is given instead of the device. */
  readonly device: Device;
}

/**
 * Puts the rules between a device and a host of this process, in real time: with TUN, between an unmodified program of the
 * kernel and our server. 'client' is what lies beyond the device. Open the device with `offload: false`.
 */
export function faultDevice(device: Device, options: MiddleboxOptions = {}): FaultDevice {
  const { linkType, mtu, mac } = device;
  const macs = mac === null ? undefined : ([mac, Uint8Array.of(2, 0, 0, 0, 0, 0xfe)] as const);
  const [inner, outer] = memoryPair({ linkType, mtu, macs, names: [`${device.name}+faults`, 'faults'] });
  const box = openMiddlebox(device, outer, options);
  return {
    ...box,
    device: inner,
    close: () => {
      box.close();
      inner.close();
    },
  };
}
