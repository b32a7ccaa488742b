import type { Connection } from '../../stack/tcp/connection';
import { type Seq, seqDiff } from '../../stack/tcp/seq';
import { constant, ERRNO, MSG_ERRQUEUE, MSG_TRUNC, SOL_IP, SOL_IPV6, SOL_SOCKET } from './constants';
import type { ControlData, ControlMessage, Received } from './target';

const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const SCM_TIMESTAMPING = 37;

const flag = (name: string): number => constant(name)!;
const TX_SOFTWARE = flag('SOF_TIMESTAMPING_TX_SOFTWARE');
const TX_SCHED = flag('SOF_TIMESTAMPING_TX_SCHED');
const TX_ACK = flag('SOF_TIMESTAMPING_TX_ACK');
const OPT_ID = flag('SOF_TIMESTAMPING_OPT_ID');
const OPT_TSONLY = flag('SOF_TIMESTAMPING_OPT_TSONLY');
const TX_ANY = TX_SOFTWARE | TX_SCHED | TX_ACK;

const ORIGIN_TIMESTAMPING = flag('SO_EE_ORIGIN_TIMESTAMPING');
const ORIGIN_ZEROCOPY = flag('SO_EE_ORIGIN_ZEROCOPY');
const COPIED = flag('SO_EE_CODE_ZEROCOPY_COPIED');
const AT_SND = flag('SCM_TSTAMP_SND');
const AT_SCHED = flag('SCM_TSTAMP_SCHED');
const AT_ACK = flag('SCM_TSTAMP_ACK');

type ErrorData = Extract<ControlData, { kind: 'error' }>;

/** One message that waits to be read with MSG_ERRQUEUE; `us`: when it happened, -1 for those without a time. */
interface Entry {
  error: ErrorData;
  readonly us: number;
  readonly truncated: boolean;
}

/** A write whose fate is still to be told: its end, whether it was sent, what its notices say. */
interface Watched {
  readonly end: Seq;
  sent: boolean;
  /** SOF_TIMESTAMPING_* bits when it was written, and the key of its last byte; 0: no times. */
  readonly times: number;
  readonly key: number;
  /** Number of the zero-copy write, or -1. */
  readonly zeroCopy: number;
}

/**
 * The error queue of a socket (recvmsg with MSG_ERRQUEUE): transmit times (SO_TIMESTAMPING) and the completion of writes
 * with MSG_ZEROCOPY, which on a link without scatter-gather are copied after all.
 */
export class ErrorQueue {
  private readonly entries: Entry[] = [];
  private readonly watched: Watched[] = [];
  private zeroCopies = 0;
  /** SOF_TIMESTAMPING_* bits, and where the keys of bytes count from. */
  private times = 0;
  private keyBase = 0 as Seq;

  constructor(private readonly domain: 'inet' | 'inet6') {}

  get isEmpty(): boolean {
    return this.entries.length === 0;
  }

  get isWatching(): boolean {
    return this.watched.length > 0;
  }

  /** SO_TIMESTAMPING was set. */
  setTimes(bits: number, c: Connection | null): void {
    const begins = (bits & OPT_ID) !== 0 && (this.times & OPT_ID) === 0;
    this.times = bits;
    if (begins && c !== null) this.keyBase = c.sndUna;
  }

  /** Bytes up to `c.sendBuffer.end` were just written. */
  wrote(c: Connection, zeroCopy: boolean): void {
    const times = this.times & TX_ANY ? this.times : 0;
    if (times === 0 && !zeroCopy) return;
    const { end } = c.sendBuffer;
    const key = (times & OPT_ID) !== 0 ? seqDiff(end, this.keyBase) - 1 : 0;
    this.watched.push({ end, sent: false, times, key, zeroCopy: zeroCopy ? this.zeroCopies++ : -1 });
  }

  /** Looks what has become of the writes. Returns whether anything was queued. */
  update(c: Connection, nowUs: number): boolean {
    const before = this.entries.length;
    let queued = false;
    for (const write of this.watched) {
      if (write.sent || seqDiff(c.sndNxt, write.end) < 0) continue;
      write.sent = true;
      if ((write.times & TX_SCHED) !== 0) this.stamp(write, AT_SCHED, nowUs);
      if ((write.times & TX_SOFTWARE) !== 0) this.stamp(write, AT_SND, nowUs);
    }
    while (this.watched.length > 0) {
      const write = this.watched[0]!;
      const gone = c.state === 'CLOSED';
      if (!gone && seqDiff(c.sndUna, write.end) < 0) break;
      this.watched.shift();
      if (!gone && (write.times & TX_ACK) !== 0) this.stamp(write, AT_ACK, nowUs);
      if (write.zeroCopy >= 0) queued = this.complete(write.zeroCopy) || queued;
    }
    return queued || this.entries.length > before;
  }

  private stamp({ times, key }: Watched, info: number, us: number): void {
    const error = { kind: 'error', errno: ERRNO.ENOMSG, origin: ORIGIN_TIMESTAMPING, type: 0, code: 0 } as const;
    // The packet itself comes along, for which nobody has room.
    this.entries.push({ error: { ...error, info, data: key }, us, truncated: (times & OPT_TSONLY) === 0 });
  }

  /** A range of completed writes grows as long as nobody has read it. */
  private complete(id: number): boolean {
    const last = this.entries.at(-1);
    if (last?.error.origin === ORIGIN_ZEROCOPY && last.error.data === id - 1) {
      last.error = { ...last.error, data: id };
      return true;
    }
    const error = { kind: 'error', errno: 0, origin: ORIGIN_ZEROCOPY, type: 0, code: COPIED } as const;
    this.entries.push({ error: { ...error, info: id, data: id }, us: -1, truncated: false });
    return true;
  }

  /** The first message, or null. */
  take(): Received | null {
    const entry = this.entries.shift();
    if (entry === undefined) return null;
    const control: ControlMessage[] = [];
    if (entry.us >= 0) {
      control.push({ level: SOL_SOCKET, type: SCM_TIMESTAMPING, data: { kind: 'timestamp', us: entry.us } });
    }
    const level = this.domain === 'inet' ? SOL_IP : SOL_IPV6;
    const type = this.domain === 'inet' ? IP_RECVERR : IPV6_RECVERR;
    control.push({ level, type, data: entry.error });
    return { bytes: 0, flags: MSG_ERRQUEUE | (entry.truncated ? MSG_TRUNC : 0), control };
  }
}
