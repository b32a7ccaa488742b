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
}

/** More replies than this wait at no time; a flood loses the rest. */
export const REPLIES_MAX = 256;
