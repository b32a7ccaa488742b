import type { LinkType } from '../device/device';

/** One direction of a link. Chances are in parts per million of frames. */
export interface DirectionOptions {
  /** Time on the way, and up to so much more at random, in milliseconds. Jitter alone never changes the order. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Bits a second; 0: any number. */
  readonly rate: number;
  /** What waits for a link with a rate, at most. */
  readonly queuePackets: number;
  readonly queueBytes: number;
  /** A full queue: the frame is lost, as at a router, or the device takes no more, as an interface does. */
  readonly whenFull: 'drop' | 'push-back';
  readonly lossPpm: number;
  readonly duplicatePpm: number;
  /** Frames that are overtaken: they take up to `reorderMs` longer and nothing waits for them. */
  readonly reorderPpm: number;
  readonly reorderMs: number;
  /** Frames with one bit turned, and frames cut short. */
  readonly corruptPpm: number;
  readonly truncatePpm: number;
  /** Frames that come once more much later, up to `ghostMs`: the old duplicates that TIME-WAIT is there for. */
  readonly ghostPpm: number;
  readonly ghostMs: number;
  /** Frames that the device refuses to take at first: back-pressure without a full queue. */
  readonly refusePpm: number;
  /** Nothing passes. */
  readonly blocked: boolean;
  /** Frames with a larger datagram are lost, as behind a tunnel that nobody announced. */
  readonly mtu: number;
  /** Every TCP window is shown as zero: a receiver, or a middlebox, that holds everything up. */
  readonly zeroWindow: boolean;
}

/** A perfect wire. */
export const PERFECT: DirectionOptions = {
  delayMs: 0,
  jitterMs: 0,
  rate: 0,
  queuePackets: 1000,
  queueBytes: 1 << 30,
  whenFull: 'drop',
  lossPpm: 0,
  duplicatePpm: 0,
  reorderPpm: 0,
  reorderMs: 0,
  corruptPpm: 0,
  truncatePpm: 0,
  ghostPpm: 0,
  ghostMs: 0,
  refusePpm: 0,
  blocked: false,
  mtu: 65_535,
  zeroWindow: false,
};

/** A link and both its directions; what is left out is a perfect link. */
export interface LinkOptions extends Partial<DirectionOptions> {
  /** Default: 'link-1' and so on. */
  readonly name?: string;
  /** Default 'ip'. */
  readonly linkType?: LinkType;
  /** What the devices at its ends say that their MTU is. Default 1500. */
  readonly deviceMtu?: number;
  /** The devices cut segments and leave checksums to the link, as network cards do. Default false. */
  readonly offload?: boolean;
}

const CHANCES = [
  'lossPpm',
  'duplicatePpm',
  'reorderPpm',
  'corruptPpm',
  'truncatePpm',
  'ghostPpm',
  'refusePpm',
] as const;
const AMOUNTS = ['delayMs', 'jitterMs', 'rate', 'reorderMs', 'ghostMs'] as const;

/** @throws RangeError when an option makes no sense. */
export function checkDirection(options: DirectionOptions): void {
  for (const name of CHANCES) {
    const ppm = options[name];
    if (!(ppm >= 0 && ppm <= 1_000_000)) throw new RangeError(`${name} is ${ppm}; it is a number from 0 to 1,000,000`);
  }
  for (const name of AMOUNTS) {
    const amount = options[name];
    if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY))
      throw new RangeError(`${name} is ${amount}; it is 0 or more`);
  }
  if (!(options.queuePackets >= 1 && options.queueBytes >= 1)) throw new RangeError('a queue holds at least one frame');
}
