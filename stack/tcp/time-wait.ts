import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import type { Timed } from '../base/deadlines';
import type { Path } from '../base/transmit';
import type { Seq } from './seq';

/**
 * TIME-WAIT (RFC 9293 §3.6.1) without a connection: what is needed to acknowledge a repeated FIN, to recognise old
 * duplicates, and to let a new SYN take over (RFC 6191). A server that closes first has tens of thousands of these.
 */
export class TimeWait implements Timed {
  hash = 0;
  slot = -1;
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(
    readonly local: Address,
    readonly localPort: number,
    readonly remote: Address,
    readonly remotePort: number,
    readonly path: Path,
    readonly sndNxt: Seq,
    readonly rcvNxt: Seq,
    /** Unscaled, as it goes into the header. */
    readonly window: number,
    readonly timestamps: boolean,
    public tsRecent: number,
    public tsRecentAt: Millis,
    readonly tsOffset: number,
    public expires: Millis,
    public lastAckAt: Millis,
  ) {}

  nextDeadline(): Millis {
    return this.expires;
  }
}
