import { assert } from '../base/assert';
import { NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import type { Connection } from './connection';
import { NODE_COST } from './receive-store';
import { HAS_FIN, HAS_SYN, LOST, RETRANSMITTED, SACKED } from './sent-table';
import { seqAdd, seqDiff } from './seq';
import type { Tcp } from './tcp';

/**
 * What always holds, one relation a line. For tests and the simulator, after every event that was followed by `poll` (what
 * is due has been sent); throws AssertionFailed. Costs a walk over everything in flight and queued.
 */
export function checkInvariants(tcp: Tcp, c: Connection): void {
  if (c.state === 'CLOSED') return checkClosed(c);
  checkSendSpace(c);
  checkScoreboard(tcp, c);
  checkTimeOrder(tcp, c);
  checkTimers(c);
  checkCongestion(c);
  checkReceiveSpace(tcp, c);
}

/** The right edge of the window told to the peer: it never moves left (SHLD-14). Returns the edge to compare with next. */
export function checkWindowEdge(c: Connection, before: number | null): number | null {
  if (!c.synchronized) return null;
  const edge = seqAdd(c.rcvWup, c.rcvWnd);
  // Scaling rounds: RFC 7323 §2.4 lets the edge go back by less than one unit.
  const slack = 1 << c.rcvScale;
  assert(before === null || seqDiff(edge, before as typeof edge) > -slack, 'the window never moves left');
  return edge;
}

function checkClosed(c: Connection): void {
  assert(c.packetsOut === 0 && c.sent.head === NONE, 'a closed connection has nothing in flight');
  assert(c.nextDeadline() === NEVER, 'a closed connection waits for nothing');
  assert(c.sendBuffer.bytes === 0, 'a closed connection holds no text to send');
  assert(c.oooNodes === 0, 'a closed connection holds no text beyond a hole');
}

function checkSendSpace(c: Connection): void {
  const opened = c.synchronized || c.state === 'SYN-RECEIVED' || c.packetsOut > 0;
  assert(seqDiff(c.sndNxt, c.sndUna) >= 0, 'SND.UNA <= SND.NXT');
  if (!opened) return;
  const end = c.sendBuffer.end;
  const unacknowledgedSyn = c.sndUna === c.iss ? 1 : 0;
  const held = Math.max(0, seqDiff(end, c.sndUna) - unacknowledgedSyn);
  assert(c.sendBuffer.bytes === held, 'the send buffer covers [SND.UNA, end)');
  assert(seqDiff(c.sndNxt, end) <= (c.finSent ? 1 : 0), 'nothing was sent that was not written');
  assert(!c.finSent || c.sndNxt === seqAdd(end, 1), 'a FIN that was sent is the last');
  assert(!c.finSent || c.finQueued, 'a FIN is sent only when the application has closed');
}

function checkScoreboard(tcp: Tcp, c: Connection): void {
  const { sent } = tcp;
  let packets = 0;
  let sacked = 0;
  let lost = 0;
  let retransmitted = 0;
  let expected = c.sndUna;
  let previous = NONE;
  for (let record = c.sent.head; record !== NONE; record = sent.next(record)) {
    const flags = sent.flags(record);
    const n = sent.packets(record);
    const control = ((flags & HAS_SYN) !== 0 ? 1 : 0) + ((flags & HAS_FIN) !== 0 ? 1 : 0);
    const text = seqDiff(sent.end(record), sent.seq(record)) - control;
    assert(sent.seq(record) === expected, 'records cover [SND.UNA, SND.NXT) without gap or overlap');
    assert(sent.prev(record) === previous, 'records are linked both ways');
    assert(
      n >= 1 && text >= 0 && n <= Math.max(1, text),
      'a record has at least one packet, a packet at least one byte',
    );
    assert((flags & (SACKED | LOST)) !== (SACKED | LOST), 'what was SACKed is not lost');
    assert(
      (flags & (SACKED | RETRANSMITTED)) !== (SACKED | RETRANSMITTED) || !c.sackOk || (flags & LOST) === 0,
      'what was SACKed is not lost again',
    );
    packets += n;
    if ((flags & SACKED) !== 0) sacked += n;
    if ((flags & LOST) !== 0) lost += n;
    if ((flags & RETRANSMITTED) !== 0) retransmitted += n;
    expected = sent.end(record);
    previous = record;
  }
  assert(c.sent.tail === previous, 'the last record is the tail');
  assert(expected === c.sndNxt, 'records cover [SND.UNA, SND.NXT) to the end');
  assert(c.packetsOut === packets, 'packetsOut equals a recount');
  assert(!c.sackOk || c.sackedOut === sacked, 'sackedOut equals a recount');
  assert(c.lostOut === lost, 'lostOut equals a recount');
  assert(c.retransOut === retransmitted, 'retransOut equals a recount');
  assert(c.sackedOut + c.lostOut <= c.packetsOut, 'no more is SACKed or lost than was sent');
  assert(c.inFlight >= 0, 'nothing negative is in flight');
}

function checkTimeOrder(tcp: Tcp, c: Connection): void {
  const { sent } = tcp;
  let before = Number.NEGATIVE_INFINITY;
  let last = NONE;
  for (let record = c.sent.earliest; record !== NONE; record = sent.later(record)) {
    const flags = sent.flags(record);
    assert(sent.sentAt(record) >= before, 'the time order is one');
    assert((flags & SACKED) === 0, 'what was SACKed is not on its way');
    assert((flags & (LOST | RETRANSMITTED)) !== LOST, 'what is lost is not on its way');
    before = sent.sentAt(record);
    last = record;
  }
  assert(c.sent.latest === last, 'the last one sent is the latest');
}

function checkTimers(c: Connection): void {
  assert((c.retransmitTimer === 'none') === (c.retransmitAt === NEVER), 'a timer that runs has a deadline');
  const waits = c.tailProbeDue || c.synDue || c.ready || c.pacingAt < NEVER;
  assert(c.packetsOut === 0 || c.retransmitAt < NEVER || waits, 'data in flight implies a deadline');
  const opening = c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED';
  assert(!opening || c.packetsOut > 0 || waits, 'a SYN or SYN-ACK is on its way, or due');
  const unsent = c.synchronized && seqDiff(c.sendBuffer.end, c.sndNxt) > 0;
  const held = c.corked || c.ready || c.pacingAt < NEVER;
  assert(!unsent || c.packetsOut > 0 || c.retransmitAt < NEVER || held, 'text that waits implies a deadline');
  assert(c.nextDeadline() === NEVER || c.queueIndex >= 0, 'a deadline stands in the queue');
  assert(c.queueIndex < 0 || c.queueKey <= c.nextDeadline(), 'the queue wakes no later than the deadline');
}

function checkCongestion(c: Connection): void {
  assert(c.cwnd >= 1, 'cwnd is at least one packet');
  assert(c.ssthresh >= 2, 'ssthresh is at least two packets');
  assert(c.reordering >= 1, 'some reordering is always allowed for');
  assert(c.undoRetransmissions >= -1, 'retransmissions are not proven needless twice');
  assert(Number.isInteger(c.cwnd) && Number.isInteger(c.ssthresh), 'windows are whole packets');
  assert(c.recovery !== 'Open' || c.retransOut === 0 || !c.sackOk, 'in Open nothing is retransmitted');
  assert(c.rto > 0 && c.srtt >= 0 && c.rttvar >= 0, 'round-trip times are positive');
}

function checkReceiveSpace(tcp: Tcp, c: Connection): void {
  const { store } = tcp;
  let readable = 0;
  let charged = 0;
  for (let node = c.readHead; node !== NONE; node = store.next(node)) {
    readable += store.bytes(node);
    charged += store.bytes(node) + NODE_COST;
  }
  let nodes = 0;
  let edge = c.rcvNxt;
  for (let node = c.oooHead; node !== NONE; node = store.next(node)) {
    assert(
      seqDiff(store.seq(node), edge) >= (nodes === 0 ? 1 : 0),
      'text beyond a hole is sorted and does not overlap',
    );
    charged += store.bytes(node) + NODE_COST;
    edge = seqAdd(store.seq(node), store.bytes(node));
    nodes++;
  }
  assert(c.readable === readable, 'readable equals a recount');
  assert(c.oooNodes === nodes, 'oooNodes equals a recount');
  assert(c.charged === charged, 'what is charged equals what is held');
  assert(seqDiff(c.rcvNxt, c.rcvWup) >= 0, 'RCV.NXT does not go back');
}
