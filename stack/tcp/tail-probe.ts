import type { Millis } from '../base/bytes';
import { type AckSample, DATA_SACKED, NOT_DUPLICATE, PROBE_DUPLICATED, UNA_ADVANCED } from './ack-sample';
import type { Connection } from './connection';
import type { Segment } from './header';
import { reduceForProbe } from './recovery';
import { seqAfter, seqBefore } from './seq';
import type { Tcp } from './tcp';

/** RFC 8985 §7.4.2: what an acknowledgment of the loss probe tells. */
export function probeAcknowledged(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  if (seqBefore(seg.ack, c.probeEnd)) return;
  if (!c.probeRetransmitted || (s.flags & PROBE_DUPLICATED) !== 0) {
    // New text, or the original and the probe have both arrived: no loss.
    c.probeOut = false;
  } else if (seqAfter(seg.ack, c.probeEnd)) {
    // The probe repaired a loss, and nothing told of its being needless: the network was congested.
    reduceForProbe(tcp, c, now);
  } else if ((s.flags & (UNA_ADVANCED | NOT_DUPLICATE | DATA_SACKED)) === 0) {
    // A duplicate ACK: the answer to the second copy.
    c.probeOut = false;
  }
}
