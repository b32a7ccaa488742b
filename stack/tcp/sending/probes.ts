import { type Millis, NEVER } from '../../base/bytes';
import { NONE } from '../../base/memory';
import type { Connection } from '../connection';
import { ACK } from '../header';
import { persistDelay, restartRto, setRetransmitTimer } from '../retransmit-timer';
import { splitRecord } from '../scoreboard';
import { HAS_FIN, SACKED } from '../sent-table';
import { seqAdd, seqDiff } from '../seq';
import type { Tcp } from '../tcp';
import { sendRecord } from './retransmission';
import { emit, RULE } from './segment';
import { recordBytes, sendSegment } from './text';

/* Segments that ask: about the tail of the flight, a closed window, a silent peer. */

/**
 * RFC 8985 §7.3: the tail of the flight has not been acknowledged for two round trips. One segment beyond cwnd, of new
 * text if there is any, else the last one again, makes the peer tell.
 */
export function sendTailProbe(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (!c.tailProbeDue) return true;
  const probed = c.packetsOut === 0 || c.probeOut || c.lostOut > 0 ? 'not' : probeTail(tcp, c, now);
  if (probed === 'later') return false;
  c.tailProbeDue = false;
  if (probed === 'sent') {
    c.probeOut = true;
    c.probeEnd = c.sndNxt;
    setRetransmitTimer(c, 'none', NEVER);
  } else {
    c.retransmitTimer = 'probe';
  }
  restartRto(tcp, c, now);
  return true;
}

function probeTail(tcp: Tcp, c: Connection, now: Millis): 'sent' | 'not' | 'later' {
  c.probeRetransmitted = false;
  const available = seqDiff(c.sendBuffer.end, c.sndNxt);
  const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt);
  const bytes = Math.min(available, recordBytes(c), c.mss);
  if (bytes > 0 && window >= bytes) {
    const last = bytes === available;
    return sendSegment(tcp, c, bytes, last, last && c.finQueued && window > bytes, now) ? 'sent' : 'later';
  }
  const sent = tcp.sent;
  let record = c.sent.tail;
  while (record !== NONE && (sent.flags(record) & SACKED) !== 0) record = sent.prev(record);
  if (record === NONE) return 'not';
  // The last segment of it, at the size of now: it may have been sent when segments were smaller, or larger.
  const seq = sent.seq(record);
  const fin = (sent.flags(record) & HAS_FIN) !== 0 ? 1 : 0;
  const ahead = Math.floor((seqDiff(sent.end(record), seq) - fin - 1) / c.mss) * c.mss;
  if (ahead > 0) record = splitRecord(tcp, c, record, seqAdd(seq, ahead));
  if (!sendRecord(tcp, c, record, RULE['tail-probe'], now)) return 'later';
  c.probeRetransmitted = true;
  return 'sent';
}

/** A segment without text, one before what the peer expects: it must answer with an ACK (§3.8.4, §3.8.6.1). */
export function sendProbe(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.probeDue === 'none') return true;
  const rule = c.probeDue === 'window' ? RULE['window-probe'] : RULE['keep-alive'];
  if (c.probeDue === 'window' && (c.packetsOut > 0 || seqDiff(c.sendBuffer.end, c.sndNxt) <= 0)) {
    c.probeDue = 'none';
    return true;
  }
  // A window smaller than a segment is used by the probe itself: text makes progress, if slowly.
  const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt);
  if (c.probeDue === 'window' && window > 0) {
    const bytes = Math.min(window, seqDiff(c.sendBuffer.end, c.sndNxt), recordBytes(c), c.mss);
    c.probeDue = 'none';
    return sendSegment(tcp, c, bytes, false, false, now);
  }
  if (emit(tcp, c, seqAdd(c.sndUna, -1), 0, ACK, rule, now) < 0) return false;
  if (c.probeDue === 'window') setRetransmitTimer(c, 'persist', now + persistDelay(tcp, c, now));
  c.probeDue = 'none';
  return true;
}
