import type { Bytes } from '../stack/base/bytes';
import { ACK, FIN, forgeSegment, RST, readSegment, type SeenSegment, SYN } from './forge';
import type { Fate, Link, WireObserver } from './link';
import type { DirectionOptions } from './link-options';
import { Overlapper } from './overlap';
import type { FaultPlan } from './plan';
import type { SimDevice } from './sim-device';
import type { SimHost } from './sim-host';
import type { World } from './world';

type ForgePlan = Extract<FaultPlan, { kind: 'forge' }>;

/** Somebody on the wire, who is told of every frame. */
export interface Watcher {
  readonly watch: WireObserver;
}

/**
 * Arranges a fault. Returns a watcher when the fault must see frames (a forger, say), else null.
 */
export function arrange(world: World, hosts: readonly SimHost[], fault: FaultPlan): Watcher | null {
  switch (fault.kind) {
    case 'partition': {
      const link = world.links[fault.link]!;
      const only = fault.from === null ? null : deviceOn(hosts[fault.from]!, link);
      forAWhile(world, link, only, fault.atMs, fault.forMs, { blocked: true });
      return null;
    }
    case 'weather':
      forAWhile(world, world.links[fault.link]!, null, fault.atMs, fault.forMs, fault.options);
      return null;
    case 'mtu':
      forAWhile(world, world.links[fault.link]!, null, fault.atMs, fault.forMs, { mtu: fault.mtu });
      return null;
    case 'zero-window':
      forAWhile(world, world.links[fault.link]!, null, fault.atMs, fault.forMs, { zeroWindow: true });
      return null;
    case 'stall':
      world.at(fault.atMs, () => hosts[fault.host]!.loop.stall(fault.forMs));
      return null;
    case 'clock-jump':
      world.at(fault.atMs, () => hosts[fault.host]!.loop.leap(fault.byMs));
      return null;
    case 'forge':
      return new Forger(world, world.links[fault.link]!, fault);
    case 'overlap':
      return new Overlapper(world, world.links[fault.link]!, fault);
  }
}

function deviceOn(host: SimHost, link: Link): SimDevice {
  const device = host.devices.find((candidate) => candidate.link === link);
  if (device === undefined) throw new RangeError(`${host.name} is not on ${link.name}`);
  return device;
}

/** Other options from one moment to another. */
function forAWhile(
  world: World,
  link: Link,
  only: SimDevice | null,
  atMs: number,
  forMs: number,
  options: Partial<DirectionOptions>,
): void {
  world.at(atMs, () => {
    const ends = (only === null ? link.ends : [only]).map((end) => link.from(end).override(options));
    world.at(atMs + forMs, () => {
      for (const end of ends) end();
    });
  });
}

/** Forges segments into the conversations that it sees. */
export class Forger {
  private left: number;
  private framesUntilNext = 0;

  constructor(
    private readonly world: World,
    private readonly link: Link,
    private readonly plan: ForgePlan,
  ) {
    this.left = plan.count;
  }

  /** Told of every frame. */
  watch(link: Link, from: SimDevice, fate: Fate, frame: Bytes): void {
    if (link !== this.link || fate !== 'delivered' || this.left === 0 || this.world.now < this.plan.atMs) return;
    const seen = readSegment(frame, link.linkType);
    // The peer must be in a synchronised state, or the numbers mean nothing yet.
    if (seen === null || (seen.flags & (SYN | RST)) !== 0 || (seen.flags & ACK) === 0) return;
    if (this.framesUntilNext-- > 0) return;
    this.framesUntilNext = this.plan.everyFrames;
    const forged = this.forge(seen, frame);
    if (forged === null) return;
    this.left--;
    const to = link.ends.find((end) => end !== from);
    // After what was just seen has arrived, and been dealt with.
    if (to !== undefined) this.world.at(this.world.now, () => link.inject(to, forged));
  }

  /** As if its sender went on from here. */
  private forge(seen: SeenSegment, frame: Bytes): Bytes | null {
    const next = (seen.seq + seen.length) | 0;
    const away = { exact: 0, inside: 100, outside: 0x4000_0000 }[this.plan.where];
    const flags = { rst: RST, syn: SYN, fin: FIN | ACK, ack: ACK }[this.plan.what];
    return forgeSegment(frame, this.link.linkType, flags, (next + away) | 0, (flags & ACK) !== 0 ? seen.ack : 0);
  }
}
