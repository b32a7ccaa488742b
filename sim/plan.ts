import type { Millis } from '../stack/base/bytes';
import type { TcpProfile } from '../stack/tcp/profile';
import type { LinkOptions } from './link-options';

/*
 * A whole run as plain data: what a seed is turned into, what a token carries, what a failing run is reduced to. Times are
 * milliseconds of the world.
 */

/** What one end of a connection does. */
export interface SidePlan {
  /** How much it writes in all. */
  readonly bytes: number;
  /** At most so much at once, and up to so long between two writes. */
  readonly chunk: number;
  readonly writeGapMs: Millis;
  /** It reads at most so much at once, up to so long after it was told. */
  readonly readMax: number;
  readonly readGapMs: Millis;
  /**
   * When all is written: close the sending direction (shutdown), wait for the peer's end and close then (wait), close
   * altogether once all that the peer will send is here (close), or reset after `abortAfter` bytes of either direction.
   */
  readonly end: 'shutdown' | 'wait' | 'close' | 'abort';
  readonly abortAfter: number;
  readonly noDelay: boolean;
}

/** Connections of one kind between two hosts. */
export interface FlowPlan {
  /** Numbers of the hosts: who opens, and to whom. */
  readonly from: number;
  readonly to: number;
  /** Each flow has a port of its own. */
  readonly port: number;
  readonly atMs: Millis;
  /** So many connections, one every `everyMs`. */
  readonly count: number;
  readonly everyMs: Millis;
  /** Request and response in turns, so many times; 0: both directions at once. */
  readonly rounds: number;
  /** To a listener, to each other at the same time, or to a port where nobody listens. */
  readonly open: 'listener' | 'simultaneous' | 'nobody';
  readonly backlog: number;
  readonly client: SidePlan;
  readonly server: SidePlan;
}

/** Something goes wrong, at a time. `link` and `host` are numbers. */
export type FaultPlan =
  /** Nothing passes: both ways, or only what host `from` sends. */
  | {
      readonly kind: 'partition';
      readonly link: number;
      readonly atMs: Millis;
      readonly forMs: Millis;
      readonly from: number | null;
    }
  /** Other options for a while: bursts of loss, a slow phase. */
  | {
      readonly kind: 'weather';
      readonly link: number;
      readonly atMs: Millis;
      readonly forMs: Millis;
      readonly options: LinkOptions;
    }
  /** Larger datagrams are lost without a word. */
  | { readonly kind: 'mtu'; readonly link: number; readonly atMs: Millis; readonly forMs: Millis; readonly mtu: number }
  /** Every window looks closed. */
  | { readonly kind: 'zero-window'; readonly link: number; readonly atMs: Millis; readonly forMs: Millis }
  /** The host's event loop hangs. */
  | { readonly kind: 'stall'; readonly host: number; readonly atMs: Millis; readonly forMs: Millis }
  /** The host's clock leaps ahead. */
  | { readonly kind: 'clock-jump'; readonly host: number; readonly atMs: Millis; readonly byMs: Millis }
  /**
   * Forged segments to whoever a segment on the link was for, `count` of them, one after every `everyFrames` frames. 'exact': one
   * that must be obeyed. 'inside': in the window but not exact, to be challenged. 'outside': to be dropped.
   */
  | {
      readonly kind: 'forge';
      readonly link: number;
      readonly atMs: Millis;
      readonly count: number;
      readonly everyFrames: number;
      readonly what: 'rst' | 'syn' | 'fin' | 'ack';
      readonly where: 'exact' | 'inside' | 'outside';
    }
  /**
   * Text once more in other pieces, `count` of them, one after every `everyFrames` frames: each overlaps in part what the
   * receiver has or will get. 'same': the bytes that belong there. 'other': wrong ones where it has acknowledged already.
   */
  | {
      readonly kind: 'overlap';
      readonly link: number;
      readonly atMs: Millis;
      readonly count: number;
      readonly everyFrames: number;
      readonly bytes: 'same' | 'other';
    };

export interface HostPlan {
  readonly profile: 'linux' | 'rfc';
  /** Constants of the profile that are different here. */
  readonly constants: Partial<TcpProfile>;
  readonly slabsMax: number;
  /** Bytes that may wait to be sent, on all connections together. */
  readonly sendBytesMax: number;
  /** Null: as RFC 6528 says. */
  readonly initialSequence: number | null;
}

export interface ScenarioPlan {
  readonly seed: number;
  readonly family: 4 | 6;
  readonly hosts: readonly HostPlan[];
  /** Each joins all hosts; connections use the first. */
  readonly link: LinkOptions;
  readonly flows: readonly FlowPlan[];
  readonly faults: readonly FaultPlan[];
  /** The world is given so long to finish, in milliseconds. */
  readonly limitMs: Millis;
}
