import type { Path } from '../base/transmit';
import type { Seq } from './seq';

/** A segment that no connection sends: a RST for a stray, an ACK from TIME-WAIT. Built by output.ts like all others. */
export interface Reply {
  readonly path: Path;
  readonly localPort: number;
  readonly remotePort: number;
  readonly seq: Seq;
  readonly ack: Seq;
  readonly flags: number;
  readonly window: number;
  readonly timestamps: boolean;
  readonly tsVal: number;
  readonly tsEcr: number;
  /** The options of a SYN-ACK that no connection sends. */
  readonly syn?: SynReply;
}

/** What a SYN-ACK says without a connection (SYN cookies). */
export interface SynReply {
  readonly mss: number;
  /** -1: none. */
  readonly windowScale: number;
  readonly sackPermitted: boolean;
  readonly timestamps: boolean;
  readonly tsVal: number;
  readonly tsEcr: number;
  readonly ecn: boolean;
}

/** More replies than this wait at no time; a flood loses the rest. */
export const REPLIES_MAX = 256;
