import type { LinkType } from '../device/device';
import { type Bytes, type Millis, u16 } from '../stack/base/bytes';
import type { Random } from '../stack/base/random';
import { closeWindow } from './forge';
import { checkDirection, type DirectionOptions, type LinkOptions, PERFECT } from './link-options';
import type { VirtualLoop } from './loop';
import type { Scheduler } from './scheduler';
import { SimDevice } from './sim-device';

/** What became of a frame. */
export type Fate = 'sent' | 'delivered' | 'lost' | 'blocked' | 'too-big' | 'queue-full' | 'no-host';

/** Told everything that happens on the wires. */
export type WireObserver = (link: Link, from: SimDevice, fate: Fate, frame: Bytes) => void;

export interface DirectionCounters {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  overtaken: number;
  corrupted: number;
  queueFull: number;
}

const ETHERNET_HEADER = 14;
const TYPE_ARP = 0x0806;

/** One direction: from a device into the link. Everything random comes from generators of its own, one a question. */
export class Direction {
  /** What holds now. */
  options: DirectionOptions;
  /** What holds when nothing overrides it, and what does, the latest last. */
  private base: DirectionOptions;
  private readonly overrides: Partial<DirectionOptions>[] = [];
  readonly counters: DirectionCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    overtaken: 0,
    corrupted: 0,
    queueFull: 0,
  };
  /** When the sender is done with what it has taken. */
  private busyUntil: Millis = 0;
  /** No frame arrives before this one, unless it is overtaken on purpose. */
  private lastArrival: Millis = 0;
  private queuedPackets = 0;
  private queuedBytes = 0;
  private readonly dice: Record<'loss' | 'duplicate' | 'reorder' | 'corrupt' | 'jitter' | 'refuse' | 'ghost', Random>;

  constructor(
    private readonly link: Link,
    readonly from: SimDevice,
    options: DirectionOptions,
    random: Random,
  ) {
    checkDirection(options);
    this.options = this.base = options;
    this.dice = {
      loss: random.fork(),
      duplicate: random.fork(),
      reorder: random.fork(),
      corrupt: random.fork(),
      jitter: random.fork(),
      refuse: random.fork(),
      ghost: random.fork(),
    };
  }

  /** Changes some of the options from now on. */
  change(options: Partial<DirectionOptions>): void {
    const base = { ...this.base, ...options };
    checkDirection(base);
    this.base = base;
    this.merge();
  }

  /** Lays other options over those that hold, until the function returned is called. */
  override(options: Partial<DirectionOptions>): () => void {
    checkDirection({ ...this.base, ...options });
    // A copy, so that the same options twice are two.
    const mine = { ...options };
    this.overrides.push(mine);
    this.merge();
    return () => {
      const at = this.overrides.indexOf(mine);
      if (at >= 0) this.overrides.splice(at, 1);
      this.merge();
    };
  }

  private merge(): void {
    this.options = Object.assign({}, this.base, ...this.overrides);
  }

  /** Whether the device takes a frame of so many bytes now. */
  accepts(bytes: number): boolean {
    const o = this.options;
    if (o.whenFull === 'push-back' && !this.hasRoom(bytes)) return false;
    return !this.dice.refuse.chance(o.refusePpm);
  }

  private hasRoom(bytes: number): boolean {
    const o = this.options;
    return (
      this.queuedPackets === 0 || (this.queuedPackets < o.queuePackets && this.queuedBytes + bytes <= o.queueBytes)
    );
  }

  /** The device sends `frame`, which is the link's from here on. */
  send(frame: Bytes): void {
    const o = this.options;
    const { scheduler } = this.link;
    this.counters.sent++;
    this.link.tell(this.from, 'sent', frame);
    if (o.whenFull === 'drop' && !this.hasRoom(frame.length)) {
      this.counters.queueFull++;
      return this.link.tell(this.from, 'queue-full', frame);
    }
    this.link.inTheAir++;
    let leaves = scheduler.now;
    if (o.rate > 0) {
      leaves = Math.max(leaves, this.busyUntil) + (frame.length * 8000) / o.rate;
      this.busyUntil = leaves;
      this.queuedPackets++;
      this.queuedBytes += frame.length;
      scheduler.at(leaves, () => this.left(frame));
    } else {
      this.travel(frame, leaves);
    }
  }

  /** The last bit is on the wire. */
  private left(frame: Bytes): void {
    this.queuedPackets--;
    this.queuedBytes -= frame.length;
    this.travel(frame, this.link.scheduler.now);
    if (this.options.whenFull === 'push-back') this.from.hasRoom();
  }

  private travel(frame: Bytes, leaves: Millis): void {
    const o = this.options;
    const fate = this.fateOf(frame);
    if (fate !== null) {
      this.counters.lost++;
      this.link.inTheAir--;
      return this.link.tell(this.from, fate, frame);
    }
    let arrives = leaves + o.delayMs + (o.jitterMs > 0 ? this.dice.jitter.fraction() * o.jitterMs : 0);
    if (this.dice.reorder.chance(o.reorderPpm)) {
      arrives += this.dice.reorder.fraction() * o.reorderMs;
      this.counters.overtaken++;
    } else {
      arrives = this.lastArrival = Math.max(arrives, this.lastArrival);
    }
    if (this.dice.duplicate.chance(o.duplicatePpm)) {
      this.counters.duplicated++;
      this.link.inTheAir++;
      this.arrive(frame.slice(), arrives + this.dice.duplicate.fraction() * (o.reorderMs + o.jitterMs + 0.1));
    }
    if (this.dice.ghost.chance(o.ghostPpm)) {
      this.link.inTheAir++;
      this.arrive(frame.slice(), arrives + this.dice.ghost.fraction() * o.ghostMs);
    }
    if (o.corruptPpm + o.truncatePpm > 0) frame = this.damage(frame);
    if (o.zeroWindow) closeWindow(frame, this.link.linkType);
    this.arrive(frame, arrives);
  }

  private fateOf(frame: Bytes): Fate | null {
    const o = this.options;
    if (o.blocked) return 'blocked';
    const header = this.link.linkType === 'ethernet' ? ETHERNET_HEADER : 0;
    if (frame.length - header > o.mtu) return 'too-big';
    return this.dice.loss.chance(o.lossPpm) ? 'lost' : null;
  }

  /** One bit, which every checksum notices. ARP has none: the frame's own check sequence would have told. */
  private damage(frame: Bytes): Bytes {
    const o = this.options;
    const { corrupt } = this.dice;
    const cut = corrupt.chance(o.truncatePpm);
    const turn = corrupt.chance(o.corruptPpm);
    if (!cut && !turn) return frame;
    if (this.link.linkType === 'ethernet' && u16(frame, 12) === TYPE_ARP) return frame;
    this.counters.corrupted++;
    if (cut) return frame.slice(0, corrupt.below(frame.length));
    const bit = corrupt.below(frame.length * 8);
    frame[bit >> 3] = frame[bit >> 3]! ^ (1 << (bit & 7));
    return frame;
  }

  private arrive(frame: Bytes, at: Millis): void {
    this.link.scheduler.at(at, () => this.link.deliver(this.from, frame));
  }
}

/** A wire, or a switch without memory: what one end sends, every other end gets. */
export class Link {
  readonly name: string;
  readonly linkType: LinkType;
  readonly deviceMtu: number;
  readonly offload: boolean;
  readonly ends: SimDevice[] = [];
  /** Frames that were sent and have neither arrived nor been lost. */
  inTheAir = 0;
  private readonly directions = new Map<SimDevice, Direction>();

  constructor(
    readonly scheduler: Scheduler,
    private readonly random: Random,
    private readonly observer: WireObserver,
    name: string,
    private readonly options: LinkOptions,
  ) {
    this.name = name;
    this.linkType = options.linkType ?? 'ip';
    this.deviceMtu = options.deviceMtu ?? 1500;
    this.offload = options.offload ?? false;
    checkDirection({ ...PERFECT, ...options });
  }

  /** A new end, for a host whose loop is `loop`. `options` differ for what this end sends. */
  attach(name: string, loop: VirtualLoop, mac: Uint8Array | null, options: Partial<DirectionOptions> = {}): SimDevice {
    const device = new SimDevice(name, this, loop, mac);
    this.ends.push(device);
    this.directions.set(
      device,
      new Direction(this, device, { ...PERFECT, ...this.options, ...options }, this.random.fork()),
    );
    return device;
  }

  /** A host left: its end hears nothing any more. */
  detach(device: SimDevice): void {
    const at = this.ends.indexOf(device);
    if (at >= 0) this.ends.splice(at, 1);
  }

  /** What `device` sends goes through this. */
  from(device: SimDevice): Direction {
    return this.directions.get(device)!;
  }

  /** Changes options in every direction. */
  change(options: Partial<DirectionOptions>): void {
    for (const direction of this.directions.values()) direction.change(options);
  }

  tell(from: SimDevice, fate: Fate, frame: Bytes): void {
    this.observer(this, from, fate, frame);
  }

  deliver(from: SimDevice, frame: Bytes): void {
    this.inTheAir--;
    const others = this.ends.filter((end) => end !== from);
    if (others.length === 0) return this.tell(from, 'no-host', frame);
    this.from(from).counters.delivered++;
    this.tell(from, 'delivered', frame);
    for (const end of others) end.arrives(frame);
  }

  /** A frame that no host sent appears at `to`, now. */
  inject(to: SimDevice, frame: Bytes): void {
    this.tell(to, 'delivered', frame);
    to.arrives(frame);
  }
}
