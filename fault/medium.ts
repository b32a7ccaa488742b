import type { LinkType } from '../device/device';
import type { Bytes, Millis } from '../stack/base/bytes';
import type { Side } from './conn';

/** What carries frames between an engine and the two hosts, and tells it the time. */
export interface Medium {
  readonly linkType: LinkType;
  now(): Millis;
  /** Has `task` done at `at`; returns what `cancel` takes. */
  at(at: Millis, task: () => void): unknown;
  cancel(timer: unknown): void;
  /** Sends a frame to a host, which gets it in the same wake-up as whatever else is sent at this moment. */
  deliver(to: Side, frame: Bytes): void;
  /** How long after another a frame must leave to come in a wake-up of its own. */
  readonly wakeGapMs: Millis;
}

/** What can be done to a host that runs in this process. Each throws when the host is elsewhere. */
export interface HostControl {
  stall(side: Side, ms: Millis): void;
  freeze(side: Side, ms: Millis): void;
  jump(side: Side, ms: Millis): void;
  skew(side: Side, rate: number): void;
}

/** Hosts in other processes or machines: only their frames are in our hands. */
export const foreignHosts: HostControl = {
  stall: () => refuse('stall'),
  freeze: () => refuse('freeze'),
  jump: () => refuse('jump'),
  skew: () => refuse('skew'),
};

function refuse(what: string): never {
  throw new Error(
    `${what} needs a host in this process; here only frames are in our hands. See fault/README.md, "Three ways"`,
  );
}
