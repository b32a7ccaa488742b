import type { Address } from '../base/address';
import type { Millis } from '../base/bytes';
import type { Secret } from '../base/random';
import type { Connection } from './connection';
import type { Settings } from './settings';

/** Whoever accepts. Called by the host between batches, never from inside the core. */
export interface ListenerOwner {
  /** Connections wait in `listener.accepted`. */
  onAcceptable(listener: Listener): void;
}

/** LISTEN (RFC 9293 §3.3.2): a local port, maybe a local address, and the connections on their way to the application. */
export class Listener {
  owner: ListenerOwner | null = null;
  /** Established and not yet taken by the application. */
  readonly accepted: Connection[] = [];
  /** In SYN-RECEIVED. */
  halfOpen = 0;
  /** SYN cookies that were given out may come back until then. */
  cookiesUntil: Millis = -1;
  signalled = false;
  closed = false;
  /** What its connections begin with; null: the profile's values. */
  settings: Settings | null = null;
  /** Fast Open connections that may be in SYN-RECEIVED (TCP_FASTOPEN), how many are, and until when resets count. */
  fastOpenMax = 0;
  fastOpenPending = 0;
  readonly fastOpenResets: Millis[] = [];
  /** Keys of its own for cookies; null: the stack's. */
  fastOpenKeys: readonly Secret[] | null = null;

  constructor(
    /** Null: any local address of `family`, or of both when `family` is 0. */
    readonly address: Address | null,
    readonly family: 0 | 4 | 6,
    readonly port: number,
    /** How many may wait to be accepted. */
    public backlog: number,
  ) {}

  matches(family: 4 | 6, d0: number, d1: number, d2: number, d3: number): boolean {
    const a = this.address;
    if (a === null) return this.family === 0 || this.family === family;
    return a.family === family && a.w3 === d3 && a.w2 === d2 && a.w1 === d1 && a.w0 === d0;
  }
}
