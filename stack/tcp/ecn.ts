import type { Datagram } from '../base/datagram';
import type { Connection } from './connection';
import { enterQuickAcks } from './delayed-ack';
import { ACK, CWR, ECE, type Segment, SYN } from './header';
import type { Tcp } from './tcp';

/** RFC 3168 §5: the codepoints in the low two bits of the traffic class. */
export const ECT_0 = 2;
const CE = 3;

/** RFC 3168 §6.1.1: whether the peer's SYN, or SYN-ACK, agrees to ECN. */
export function agreeEcn(tcp: Tcp, c: Connection, seg: Segment): void {
  const bits = seg.flags & (ECE | CWR);
  const wanted = c.passive ? tcp.profile.ecn !== 'off' : c.ecnOk;
  c.ecnOk = wanted && bits === ((seg.flags & ACK) !== 0 ? ECE : ECE | CWR);
}

/** Flags that our SYN or SYN-ACK carries. A SYN sent again goes without: a middlebox may have dropped it for them (§6.1.1.1). */
export function ecnSynFlags(c: Connection, passive: boolean, again: boolean): number {
  if (!c.ecnOk) return 0;
  if (passive) return ECE;
  if (!again) return ECE | CWR;
  c.ecnOk = false;
  return 0;
}

/** §6.1.3: CE is echoed until the sender says that it has slowed down. Text without any mark may be a retransmission. */
export function ecnReceived(tcp: Tcp, c: Connection, seg: Segment, d: Datagram): void {
  if ((seg.flags & CWR) !== 0) {
    c.ecnEcho = false;
    // A sender with a window of one packet must not wait for our delayed ACK.
    if (seg.textBytes > 0) c.ackNow = true;
  }
  if ((d.tos & 3) !== 0) c.ecnSeen = true;
  if (seg.textBytes > 0 && (d.tos & 3) === CE && !c.ecnEcho) {
    c.ecnEcho = true;
    enterQuickAcks(tcp, c, 2);
  }
}

/** Whether the segment echoes congestion. */
export const echoesCongestion = (c: Connection, seg: Segment): boolean => c.ecnOk && (seg.flags & (ECE | SYN)) === ECE;
