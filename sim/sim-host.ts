import { type Attachment, createHost, type Host, type RouteOption } from '../net/host';
import type { Millis } from '../stack/base/bytes';
import type { Stack, StackLimits } from '../stack/stack';
import type { TcpProfile } from '../stack/tcp/profile';
import { seq } from '../stack/tcp/seq';
import type { Link } from './link';
import type { DirectionOptions } from './link-options';
import { VirtualLoop } from './loop';
import type { SimDevice } from './sim-device';
import type { World } from './world';

/** A host's place on a link. */
export interface Place {
  readonly link: Link;
  /** "10.0.0.1/24", or several. */
  readonly address?: string;
  readonly addresses?: readonly string[];
  /** What this end sends fares differently from the link's own options. */
  readonly sends?: Partial<DirectionOptions>;
}

/** A host of a world, and where it is plugged in. */
export interface SimHostOptions extends Partial<Place> {
  /** Instead of `link` and `address`: several links. */
  readonly places?: readonly Place[];
  readonly routes?: readonly RouteOption[];
  readonly profile?: string | TcpProfile;
  readonly limits?: Partial<StackLimits>;
  /** Default: from the world's seed. */
  readonly seed?: number;
  /** Keep the stack's event log, of which the world's hash is made. Default true. */
  readonly trace?: boolean;
  readonly traceCapacity?: number;
  /** This host's clock differs from the others' by so much, in milliseconds. */
  readonly clockOffsetMs?: Millis;
  /** Every connection that the host begins has this initial sequence number. For the numbers' wrap. */
  readonly initialSequence?: number;
}

/** One host of a world: `host` is what programs use, exactly as outside. */
export class SimHost {
  readonly loop: VirtualLoop;
  readonly devices: SimDevice[];
  readonly host: Host;
  isDown = false;

  constructor(
    world: World,
    readonly name: string,
    options: SimHostOptions,
    number: number,
    seed: number,
  ) {
    this.loop = new VirtualLoop(world, world.epochMs + (options.clockOffsetMs ?? 0));
    const attachments = placesOf(options).map((place, i) => this.attach(place, number, i));
    this.devices = attachments.map(({ device }) => device as SimDevice);
    this.host = createHost({
      devices: attachments,
      routes: options.routes,
      profile: options.profile,
      limits: options.limits,
      seed: options.seed ?? seed,
      trace: options.trace ?? true,
      traceCapacity: options.traceCapacity ?? 1024,
      poison: true,
      loop: this.loop,
    });
    if (options.initialSequence !== undefined) this.stack.tcp.initialSequenceFixed = seq(options.initialSequence);
  }

  private attach({ link, address, addresses, sends }: Place, number: number, i: number): Attachment {
    const mac = link.linkType === 'ethernet' ? Uint8Array.of(2, 0, 0, 0, number, i + 1) : null;
    const name = i === 0 ? this.name : `${this.name}.${i + 1}`;
    const all = addresses ?? (address === undefined ? [] : [address]);
    if (all.length === 0) throw new RangeError(`host ${this.name} needs an address on ${link.name}`);
    return { device: link.attach(name, this.loop, mac, sends), addresses: all };
  }

  get stack(): Stack {
    return this.host.stack;
  }

  /** Nothing to do but wait. */
  get isQuiet(): boolean {
    if (this.isDown) return true;
    const { stack } = this;
    if (stack.wantsPoll || this.devices.some((device) => device.hasFrames)) return false;
    for (const c of stack.tcp.connections)
      if (c.packetsOut > 0 || c.ackNow || c.ackPending || c.signals !== 0) return false;
    return true;
  }

  /** The host disappears with all that it knows: nobody is told. */
  close(): void {
    if (this.isDown) return;
    this.isDown = true;
    this.loop.halt();
    this.host.close();
  }
}

function placesOf(options: SimHostOptions): readonly Place[] {
  if (options.places !== undefined) return options.places;
  if (options.link === undefined) throw new RangeError('a host needs a link');
  return [{ link: options.link, address: options.address, addresses: options.addresses, sends: options.sends }];
}
