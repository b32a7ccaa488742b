import { type Millis, NEVER } from '../base/bytes';
import type { Connection } from './connection';
import { ACK } from './header';
import { sendProbe, sendTailProbe } from './sending/probes';
import { retransmit } from './sending/retransmission';
import { emit, RULE } from './sending/segment';
import { sendSyn } from './sending/syn';
import { sendNew } from './sending/text';
import { seqAfter } from './seq';
import type { Tcp } from './tcp';

/**
 * Sends what the connection has due: the only place that builds its segments, called once per batch, so that ACKs
 * coalesce and a response carries the ACK. Returns false when the link's queue is full; state is then as if the rest had
 * not been tried.
 */
export function output(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.state === 'CLOSED') return true;
  let done = true;
  if (c.synDue) done = sendSyn(tcp, c, now);
  if (done && c.mayTransfer) {
    // SACK blocks take room that full segments do not have: they go ahead on a segment of their own.
    if (c.ackNow && (c.sackRecentCount > 0 || c.hasDsack)) done = sendAck(tcp, c, now);
    c.pacingAt = NEVER;
    done = done && sendTailProbe(tcp, c, now) && sendText(tcp, c, now);
    c.pacingHeld = c.pacingAt < NEVER;
    done = done && sendProbe(tcp, c, now) && sendAck(tcp, c, now);
  } else if (done && c.ackNow && c.state === 'SYN-RECEIVED') {
    done = sendAck(tcp, c, now);
  }
  tcp.deadlines.update(c, c.nextDeadline());
  return done;
}

/**
 * Lost segments go first, in order, as far as the congestion window lets them (RFC 6675 §5, NextSeg rule 1); F-RTO wants
 * to see what becomes of new text before.
 */
function sendText(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.resend === 'lost') {
    if (!retransmit(tcp, c, now)) return false;
  } else if (c.resend === 'new') {
    if (!sendNew(tcp, c, true, now)) return false;
    c.resend = 'nothing';
    if (seqAfter(c.sndNxt, c.highSeq)) return true;
    c.frto = false;
    return retransmit(tcp, c, now);
  }
  return sendNew(tcp, c, false, now);
}

function sendAck(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (!c.ackNow) return true;
  return emit(tcp, c, c.sndNxt, 0, ACK, RULE.ack, now) >= 0;
}
