import type { LinkType } from '../device/device';
import { Link } from '../sim/link';
import type { SimDevice } from '../sim/sim-device';
import type { SimHost } from '../sim/sim-host';
import { createWorld, type World } from '../sim/world';
import type { Bytes, Millis } from '../stack/base/bytes';
import { LINUX, PROFILES, type TcpProfile } from '../stack/tcp/profile';
import { leavingScopes } from './async-stack';
import type { Side } from './conn';
import type { HostControl, Medium } from './medium';
import { ProgramGate } from './stall';

export const CLIENT_ADDRESS = '10.0.0.1';
export const SERVER_ADDRESS = '10.0.0.2';
/** More than a turn of a virtual loop, so that a frame which comes so much later is read in a turn of its own. */
const WAKE_GAP_MS = 1;

/** A machine as Node 20 met it: the `linux` profile with the number of SYNs that a kernel sends unless it is told otherwise. */
const LINUX_NODE20: TcpProfile = { ...LINUX, synRetries: 6 };
/** Kernels from 6.5 on send four SYNs more before they double the waits. */
const LINUX_6_5: TcpProfile = { ...LINUX_NODE20, name: 'linux-6.5', synLinearTimeouts: 4 };

/** The TCP constants of a name: 'linux-node20', or one of the stack's own. */
export function profileNamed(name: string): TcpProfile {
  const known: Readonly<Record<string, TcpProfile>> = {
    'linux-node20': LINUX_NODE20,
    'linux-6.5': LINUX_6_5,
    ...PROFILES,
  };
  const profile = Object.hasOwn(known, name) ? known[name] : undefined;
  if (profile === undefined) throw new RangeError(`there is no profile '${name}': ${Object.keys(known).join(', ')}`);
  return profile;
}

function withPorts(
  profile: string | TcpProfile,
  ephemeralPorts: readonly [number, number] | undefined,
): string | TcpProfile {
  if (ephemeralPorts === undefined) return profile;
  const base = typeof profile === 'string' ? PROFILES[profile] : profile;
  return base === undefined ? profile : { ...base, ephemeralPorts };
}

/** A link whose middle belongs to somebody else: what a host sends comes to `arrives`. */
class OpenLink extends Link {
  arrives: (from: SimDevice, frame: Bytes) => void = () => {};

  override deliver(from: SimDevice, frame: Bytes): void {
    this.inTheAir--;
    this.arrives(from, frame);
  }
}

/** What a virtual medium may be told. */
export interface VirtualOptions {
  readonly seed: number;
  /** The time of a round trip, in milliseconds. */
  readonly rtt: Millis;
  readonly linkType: LinkType;
  readonly profile: string | TcpProfile;
  readonly mtu: number;
  /** setTimeout, Date and the like tell the world's time. */
  readonly timers: boolean;
  /** The client's own ports, from and to. */
  readonly clientPorts?: readonly [number, number];
}

/** Two hosts in a virtual world, and the middle of the link between them. */
export class VirtualMedium implements Medium, HostControl {
  readonly world: World;
  readonly linkType: LinkType;
  readonly wakeGapMs = WAKE_GAP_MS;
  readonly hosts: Record<Side, SimHost>;
  arrives: (from: Side, frame: Bytes) => void = () => {};
  private readonly link: OpenLink;
  private readonly devices: Record<Side, SimDevice>;
  private readonly gates: Record<Side, ProgramGate>;
  private readonly frozenUntil: Record<Side, Millis> = { left: 0, right: 0 };
  private readonly halfWayMs: Millis;

  constructor(options: VirtualOptions) {
    this.world = createWorld({ seed: options.seed, timers: options.timers });
    const drain = this.world.drain.bind(this.world);
    this.world.drain = () => leavingScopes(drain);
    this.linkType = options.linkType;
    this.halfWayMs = options.rtt / 4;
    const link = new OpenLink(this.world.scheduler, this.world.random.fork(), () => {}, 'wire', {
      delayMs: this.halfWayMs,
      linkType: options.linkType,
      deviceMtu: options.mtu,
    });
    this.world.links.push(link);
    this.link = link;
    const host = (name: string, address: string, profile: string | TcpProfile): SimHost =>
      this.world.host(name, { link, address: `${address}/24`, profile });
    this.hosts = {
      left: host('client', CLIENT_ADDRESS, withPorts(options.profile, options.clientPorts)),
      right: host('server', SERVER_ADDRESS, options.profile),
    };
    this.devices = { left: this.hosts.left.devices[0]!, right: this.hosts.right.devices[0]! };
    this.gates = { left: new ProgramGate(this.hosts.left.host), right: new ProgramGate(this.hosts.right.host) };
    link.arrives = (from, frame) => this.arrives(from === this.devices.left ? 'left' : 'right', frame);
    for (const side of ['left', 'right'] as const) this.holdWhileFrozen(side);
  }

  /** A frozen host's frames stay in it: its device takes none. */
  private holdWhileFrozen(side: Side): void {
    const direction = this.link.from(this.devices[side]);
    const accepts = direction.accepts.bind(direction);
    direction.accepts = (bytes) => this.frozenUntil[side] <= this.world.now && accepts(bytes);
  }

  now(): Millis {
    return this.world.now;
  }

  at(at: Millis, task: () => void): unknown {
    return this.world.scheduler.at(at, task);
  }

  cancel(timer: unknown): void {
    this.world.scheduler.cancel(timer as ReturnType<World['scheduler']['at']>);
  }

  deliver(to: Side, frame: Bytes): void {
    this.link.inTheAir++;
    this.world.scheduler.at(this.world.now + this.halfWayMs, () => {
      this.link.inTheAir--;
      this.devices[to].arrives(frame);
    });
  }

  // ── hosts ──

  stall(side: Side, ms: Millis): void {
    this.gates[side].close(ms);
  }

  /** Ends a stall early. */
  wake(side: Side): void {
    this.gates[side].openNow();
  }

  freeze(side: Side, ms: Millis): void {
    this.frozenUntil[side] = Math.max(this.frozenUntil[side], this.world.now + ms);
    this.hosts[side].loop.stall(ms);
    // Something must happen at the end, or nobody would look.
    this.world.at(this.frozenUntil[side], () => {});
  }

  jump(side: Side, ms: Millis): void {
    this.hosts[side].loop.leap(ms);
  }

  skew(side: Side, rate: number): void {
    this.hosts[side].loop.skew(rate);
  }

  /** Whether a host stands still, in part or whole. */
  get isStopped(): boolean {
    const { left, right } = this.gates;
    return (
      left.isClosed ||
      right.isClosed ||
      this.frozenUntil.left > this.world.now ||
      this.frozenUntil.right > this.world.now
    );
  }
}
