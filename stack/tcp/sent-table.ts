import { assert } from '../base/assert';
import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import { Rows } from '../base/rows';
import { type Seq, seqDiff } from './seq';

/** What is known of a transmission. */
export const SACKED = 1;
export const LOST = 2;
/** Retransmitted since it was marked lost: in flight again. */
export const RETRANSMITTED = 4;
/** Retransmitted at any time: no RTT sample without timestamps (Karn, RFC 6298 §3). */
export const EVER_RETRANSMITTED = 8;
export const HAS_SYN = 16;
export const HAS_FIN = 32;
/** Sent while the application, not the network, was the limit: no sample of the rate. */
export const APP_LIMITED = 64;

const NEXT = 0;
const PREV = 1;
const SEQ = 2;
const END = 3;
const FLAGS = 4;
const PACKETS = 5;
/** Neighbours in order of transmission time (RFC 8985 §6.2 asks for it). */
const LATER = 6;
const EARLIER = 7;
/** Packets delivered on the connection when this one was sent (rate sampling). */
const DELIVERED = 8;
const FIELDS = 9;

const SENT_AT = 0;
const FIRST_SENT_AT = 1;
const DELIVERED_AT = 2;
const TIMES = 3;

/** Not in the order of transmission: what is SACKed, or lost and not sent again, is no longer on its way. */
const UNTIMED = -2;

/** The ends of one connection's lists, by sequence number and by time of transmission, and places worth remembering. */
export class SentList {
  head = NONE;
  tail = NONE;
  earliest = NONE;
  latest = NONE;
  /** No record before this one is lost and waits to be sent again; NONE: nothing is known, search from the head. */
  lostHint = NONE;
  /** The SACKed record with the highest sequence number, where most SACK blocks end; NONE when it is not known. */
  highestSacked = NONE;
}

/** The list of all connections that have nothing in flight. It stays empty: `append` gives them one of their own. */
export const NOTHING_SENT = new SentList();
/** Lists kept for others; beyond that they are the garbage collector's. */
const SPARE_MAX = 1024;

/** Whoever has such a list. */
export interface Sender {
  sent: SentList;
}

/**
 * What is in flight: a record for each transmitted range of sequence space, with the flags that loss recovery works on
 * (the scoreboard of RFC 6675 and RFC 8985 in one). A record is a small integer into typed arrays that all connections
 * share; a super-segment that the device cuts is one record of several packets, split only when a part of it is SACKed,
 * lost or retransmitted alone.
 */
export class SentTable extends Rows {
  private readonly spare: SentList[] = [];

  constructor() {
    super(FIELDS, TIMES, NEXT);
  }

  /** Appends a first transmission of [seq, end) at the end of `sender`'s list. */
  append(sender: Sender, seq: Seq, end: Seq, packets: number, flags: number, now: Millis): number {
    if (sender.sent === NOTHING_SENT) sender.sent = this.spare.pop() ?? new SentList();
    const list = sender.sent;
    const record = this.take();
    const i = record * FIELDS;
    const f = this.fields;
    f[i + SEQ] = seq;
    f[i + END] = end;
    f[i + FLAGS] = flags;
    f[i + PACKETS] = packets;
    f[i + NEXT] = NONE;
    f[i + PREV] = list.tail;
    f[i + DELIVERED] = 0;
    if (list.tail === NONE) list.head = record;
    else f[list.tail * FIELDS + NEXT] = record;
    list.tail = record;
    const t = record * TIMES;
    this.times[t + SENT_AT] = now;
    this.times[t + FIRST_SENT_AT] = now;
    this.times[t + DELIVERED_AT] = now;
    this.linkLatest(list, record);
    return record;
  }

  /** The record was transmitted again now: it moves to the end of the time order. */
  resent(list: SentList, record: number, now: Millis): void {
    this.leaveTimeOrder(list, record);
    this.times[record * TIMES + SENT_AT] = now;
    this.linkLatest(list, record);
  }

  /** The record is SACKed or lost: RACK need not look at it until it is sent again. */
  leaveTimeOrder(list: SentList, record: number): void {
    if (this.fields[record * FIELDS + LATER] === UNTIMED) return;
    this.unlinkTime(list, record);
    this.fields[record * FIELDS + LATER] = UNTIMED;
    this.fields[record * FIELDS + EARLIER] = UNTIMED;
  }

  private linkLatest(list: SentList, record: number): void {
    const f = this.fields;
    f[record * FIELDS + LATER] = NONE;
    f[record * FIELDS + EARLIER] = list.latest;
    if (list.latest === NONE) list.earliest = record;
    else f[list.latest * FIELDS + LATER] = record;
    list.latest = record;
  }

  private unlinkTime(list: SentList, record: number): void {
    const f = this.fields;
    const later = f[record * FIELDS + LATER]!;
    const earlier = f[record * FIELDS + EARLIER]!;
    if (earlier === NONE) list.earliest = later;
    else f[earlier * FIELDS + LATER] = later;
    if (later === NONE) list.latest = earlier;
    else f[later * FIELDS + EARLIER] = earlier;
  }

  /** Cuts a record at `at`, strictly inside it: the record keeps the front; the returned one is the rest. */
  split(list: SentList, record: number, at: Seq, mss: number): number {
    const rest = this.take();
    const f = this.fields;
    const i = record * FIELDS;
    const k = rest * FIELDS;
    assert(
      seqDiff(at, f[i + SEQ]! as Seq) > 0 && seqDiff(at, f[i + END]! as Seq) < 0,
      'a split lies inside the record',
    );
    f[k + SEQ] = at;
    f[k + END] = f[i + END]!;
    f[k + FLAGS] = f[i + FLAGS]! & ~HAS_SYN;
    f[i + FLAGS] = f[i + FLAGS]! & ~HAS_FIN;
    f[k + DELIVERED] = f[i + DELIVERED]!;
    f[i + END] = at;
    f[i + PACKETS] = Math.ceil(((at - f[i + SEQ]!) | 0) / mss);
    f[k + PACKETS] = Math.ceil(((f[k + END]! - at) | 0) / mss);
    f[k + PREV] = record;
    f[k + NEXT] = f[i + NEXT]!;
    if (f[i + NEXT] === NONE) list.tail = rest;
    else f[f[i + NEXT]! * FIELDS + PREV] = rest;
    f[i + NEXT] = rest;
    if (f[i + LATER] === UNTIMED) {
      f[k + EARLIER] = f[k + LATER] = UNTIMED;
    } else {
      f[k + EARLIER] = record;
      f[k + LATER] = f[i + LATER]!;
      if (f[i + LATER] === NONE) list.latest = rest;
      else f[f[i + LATER]! * FIELDS + EARLIER] = rest;
      f[i + LATER] = rest;
    }
    if (list.highestSacked === record) list.highestSacked = rest;
    this.times.copyWithin(rest * TIMES, record * TIMES, record * TIMES + TIMES);
    return rest;
  }

  /** The record takes in the one behind it, text, FIN and all; whoever counts packets corrects them. */
  absorbNext(list: SentList, record: number): void {
    const f = this.fields;
    const next = f[record * FIELDS + NEXT]!;
    f[record * FIELDS + END] = f[next * FIELDS + END]!;
    f[record * FIELDS + FLAGS] =
      f[record * FIELDS + FLAGS]! | (f[next * FIELDS + FLAGS]! & (HAS_FIN | EVER_RETRANSMITTED));
    f[record * FIELDS + PACKETS] = f[record * FIELDS + PACKETS]! + f[next * FIELDS + PACKETS]!;
    if (list.lostHint === next) list.lostHint = record;
    this.remove(list, next);
  }

  remove(list: SentList, record: number): void {
    const f = this.fields;
    const i = record * FIELDS;
    const next = f[i + NEXT]!;
    const prev = f[i + PREV]!;
    if (prev === NONE) list.head = next;
    else f[prev * FIELDS + NEXT] = next;
    if (next === NONE) list.tail = prev;
    else f[next * FIELDS + PREV] = prev;
    if (f[i + LATER] !== UNTIMED) this.unlinkTime(list, record);
    if (list.lostHint === record) list.lostHint = next;
    if (list.highestSacked === record) list.highestSacked = NONE;
    this.give(record);
  }

  /** Takes the list of `sender` back if it is empty. */
  settle(sender: Sender): void {
    const list = sender.sent;
    if (list.head !== NONE || list === NOTHING_SENT) return;
    list.lostHint = list.highestSacked = NONE;
    sender.sent = NOTHING_SENT;
    if (this.spare.length < SPARE_MAX) this.spare.push(list);
  }

  clear(sender: Sender): void {
    const list = sender.sent;
    while (list.head !== NONE) this.remove(list, list.head);
    this.settle(sender);
  }

  next(record: number): number {
    return this.fields[record * FIELDS + NEXT]!;
  }
  prev(record: number): number {
    return this.fields[record * FIELDS + PREV]!;
  }
  /** The next one in order of transmission. */
  later(record: number): number {
    return this.fields[record * FIELDS + LATER]!;
  }
  seq(record: number): Seq {
    return this.fields[record * FIELDS + SEQ]! as Seq;
  }
  /** One past the last sequence number, SYN and FIN counted. */
  end(record: number): Seq {
    return this.fields[record * FIELDS + END]! as Seq;
  }
  setSeq(record: number, seq: Seq): void {
    this.fields[record * FIELDS + SEQ] = seq;
  }
  flags(record: number): number {
    return this.fields[record * FIELDS + FLAGS]!;
  }
  setFlags(record: number, flags: number): void {
    this.fields[record * FIELDS + FLAGS] = flags;
  }
  packets(record: number): number {
    return this.fields[record * FIELDS + PACKETS]!;
  }
  setPackets(record: number, packets: number): void {
    this.fields[record * FIELDS + PACKETS] = packets;
  }
  sentAt(record: number): Millis {
    return this.times[record * TIMES + SENT_AT]!;
  }
  delivered(record: number): number {
    return this.fields[record * FIELDS + DELIVERED]!;
  }
  deliveredAt(record: number): Millis {
    return this.times[record * TIMES + DELIVERED_AT]!;
  }
  firstSentAt(record: number): Millis {
    return this.times[record * TIMES + FIRST_SENT_AT]!;
  }
  /** Notes the connection's delivery state at (re)transmission, for rate samples. */
  setDelivery(record: number, delivered: number, deliveredAt: Millis, firstSentAt: Millis, appLimited: boolean): void {
    const i = record * FIELDS + FLAGS;
    const flags = this.fields[i]!;
    this.fields[i] = appLimited ? flags | APP_LIMITED : flags & ~APP_LIMITED;
    this.fields[record * FIELDS + DELIVERED] = delivered;
    this.times[record * TIMES + DELIVERED_AT] = deliveredAt;
    this.times[record * TIMES + FIRST_SENT_AT] = firstSentAt;
  }
  isAppLimited(record: number): boolean {
    return (this.fields[record * FIELDS + FLAGS]! & APP_LIMITED) !== 0;
  }
  /** The record's delivery was counted when it was SACKed: its cumulative acknowledgment is no sample of its own. */
  markSampled(record: number): void {
    this.times[record * TIMES + DELIVERED_AT] = -1;
  }
}
