import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import type { NetworkError } from '../base/datagram';
import type { Timed } from '../base/deadlines';
import { NONE } from '../base/memory';
import type { Path } from '../base/transmit';
import { type Cells, defineCells, newTimes, ORDINARY, UNTIMED, UNTROUBLED } from './cells';
import type { CongestionControl } from './congestion/control';
import type { CubicGrowth } from './congestion/cubic';
import type { FastOpening } from './fast-open';
import type { Listener } from './listener';
import type { MtuSearch } from './mtu-search';
import type { TcpProfile } from './profile';
import { SendBuffer } from './send-buffer';
import { NOTHING_SENT } from './sent-table';
import type { Seq } from './seq';
import type { Tcp } from './tcp';

/** RFC 9293 §3.3.2. LISTEN is a Listener; TIME-WAIT, once reached by a connection that is let go, is a TimeWait. */
export type State =
  | 'CLOSED'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT';

/** In the order of Linux's tcp_info numbers, which `ss` and scripts use: index + 1, LISTEN being 10, CLOSING 11. */
export const STATE_NUMBERS: Readonly<Record<State, number>> = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  CLOSING: 11,
};

/** What the application is to be told, as bits; the host hands them over after a batch (Connection.signals). */
export const CONNECTED = 1;
export const READABLE = 2;
/** Room in the send buffer after it had been full. */
export const WRITABLE = 4;
/** The peer's FIN is reached: no more text will come. */
export const END = 8;
/** `error` is set: the connection has failed. */
export const FAILED = 16;
/** The connection is gone; the last signal. */
export const CLOSED = 32;
/** `softError` is set: advice, such as an ICMP unreachable; the connection lives (SHLD-25). */
export const ADVICE = 64;
export const URGENT = 128;
/** The peer acknowledged new bytes; only for owners that asked (`wantsAcknowledged`). */
export const ACKNOWLEDGED = 256;

/** Why a connection failed, by Node's and Linux's names. */
export type TcpError = NetworkError | 'ECONNRESET' | 'ECONNABORTED' | 'ETIMEDOUT' | 'EPIPE' | 'ENOBUFS';

/** All of them; traces show the position. */
export const TCP_ERRORS: readonly TcpError[] = [
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOBUFS',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENONET',
  'EPROTO',
  'ENOPROTOOPT',
  'EOPNOTSUPP',
  'EMSGSIZE',
  'EACCES',
];

/** Linux's congestion states: what loss recovery is in the middle of. */
export type RecoveryState = 'Open' | 'Disorder' | 'CWR' | 'Recovery' | 'Loss';

/** What the retransmission timer is armed for; only one of them at a time. */
export type RetransmitTimer = 'none' | 'rto' | 'probe' | 'reorder' | 'persist';

/** What goes out before all else: packets taken to be lost, or, to find out whether they are (F-RTO), new text. */
export type Resend = 'nothing' | 'lost' | 'new';

/** Whoever uses the connection. Called by the host between batches, never from inside the core. */
export interface ConnectionOwner {
  onSignals(connection: Connection, signals: number): void;
  /** The whole stack was closed: the connection is gone without a word to the peer, and so is its text. */
  onAbandoned?(connection: Connection): void;
}

/**
 * The Transmission Control Block (RFC 9293 §3.3.1). Names are the RFC's; times are milliseconds, windows bytes,
 * congestion figures packets as in Linux. Functions in this folder work on it; `enter` alone changes its state.
 */
export class Connection implements Timed, Cells {
  // Where the fields that are only declared here really stand: cells.ts.
  readonly times = newTimes();
  seldom = UNTIMED;
  bits = 0;
  trouble = UNTROUBLED;
  rare = ORDINARY;
  settings: readonly number[];

  /** 'CLOSED' until opened, and again at the end. */
  state: State = 'CLOSED';
  owner: ConnectionOwner | null = null;
  /** The owner has closed: nobody will read or write any more. */
  declare orphaned: boolean;
  /** SYN-RECEIVED came from LISTEN, not from SYN-SENT (MUST-11). */
  get passive(): boolean {
    return this.listener !== null;
  }
  path: Path;
  /** Bits to hand to the owner. */
  signals = 0;
  declare error: TcpError | null;
  declare softError: TcpError | null;
  /** Position in the connection table. */
  slot = -1;
  hash = 0;

  // ── send sequence space ──
  iss = 0 as Seq;
  sndUna = 0 as Seq;
  sndNxt = 0 as Seq;
  /** SND.WND in bytes, scaled, and the segment that last set it (MUST: WL1/WL2 guard). */
  sndWnd = 0;
  sndWl1 = 0 as Seq;
  sndWl2 = 0 as Seq;
  /** The largest window the peer ever offered: RFC 5961 §5.2 and sender SWS avoidance. */
  sndWndMax = 0;
  sndScale = 0;
  /** SND.UP; valid while `urgentOut`. */
  declare sndUp: Seq;
  declare urgentOut: boolean;
  readonly sendBuffer: SendBuffer;
  /** The application has closed its direction; the FIN goes behind the last byte. */
  declare finQueued: boolean;
  declare finSent: boolean;
  /** End of the last segment below the MSS (Minshall's Nagle). */
  sndSmall = 0 as Seq;
  /** Text per segment at most: the peer's MSS and the path, less options (MUST-16). */
  mss = 536;
  /** SEG.MSS of the peer's SYN, or the default. */
  peerMss = 536;
  /** What is in flight; of connections with nothing in flight, one for all of them (sent-table.ts). */
  sent = NOTHING_SENT;
  declare sendLimit: number;
  /** TCP_NOTSENT_LOWAT: no more than so many bytes may wait to be sent. */
  declare notSentLimit: number;
  /** A write did not fit: tell WRITABLE when there is room. */
  declare wantsRoom: boolean;
  declare wantsAcknowledged: boolean;

  // ── receive sequence space ──
  irs = 0 as Seq;
  rcvNxt = 0 as Seq;
  /** RCV.NXT when the window was last told, and the window then: their sum must never move left (SHLD-14). */
  rcvWup = 0 as Seq;
  rcvWnd = 0;
  /** The rightmost edge ever told. */
  rcvEdge = 0 as Seq;
  rcvScale = 0;
  lastAckSent = 0 as Seq;
  /** Unread in-order text: a list in the ReceiveStore. */
  readHead = NONE;
  readTail = NONE;
  readable = 0;
  /** Text beyond a hole, sorted. */
  declare oooHead: number;
  declare oooTail: number;
  declare oooNodes: number;
  /** What the queued text costs, in bytes, overhead included. */
  charged = 0;
  declare receiveLimit: number;
  /** An application that set its buffer size switches autotuning off. */
  declare receiveLimitFixed: boolean;
  declare sendLimitFixed: boolean;
  declare finReceived: boolean;
  /** Where the peer's FIN stands; valid once `finSeqKnown`, though text before it may still be missing. */
  declare finSeq: Seq;
  declare finSeqKnown: boolean;
  /** RCV.UP; valid while `urgentIn`. */
  declare rcvUp: Seq;
  declare urgentIn: boolean;
  /** The largest segments that the peer sends, for the ACK and window decisions. */
  rcvMss = 536;
  /** Edges of recently received blocks beyond the hole, newest first; null before the first. */
  declare sackRecent: Int32Array | null;
  declare sackRecentCount: number;
  /** Edges of a duplicate to report once (RFC 2883). */
  declare dsackStart: Seq;
  declare dsackEnd: Seq;
  declare hasDsack: boolean;
  /** Receive buffer autotuning: bytes the application took in the current round trip. */
  rcvSpace = 0;
  rcvSpaceSeq = 0 as Seq;
  declare rcvSpaceAt: Millis;
  declare rcvRtt: Millis;
  rcvRttSeq = 0 as Seq;
  declare rcvRttAt: Millis;
  copied = 0 as Seq;

  // ── acknowledging ──
  declare ackNow: boolean;
  /** Received text not yet acknowledged. */
  declare ackPending: boolean;
  declare delayedAckAt: Millis;
  /** ACKs to send without delay. */
  quickAcks = 0;
  /** The estimated gap between arrivals: how long to delay. */
  declare ato: Millis;
  declare lastTextAt: Millis;
  /** Request and response alternate: ACKs can wait for the response. */
  pingPong = 0;
  declare challengeWindowAt: Millis;
  declare challenges: number;
  declare lastInvalidAckAt: Millis;

  // ── options agreed ──
  declare timestamps: boolean;
  declare sackOk: boolean;
  declare ecnOk: boolean;
  tsRecent = 0;
  declare tsRecentAt: Millis;
  /** Added to the clock so that timestamps of different connections are unrelated (RFC 7323 §5.4). */
  tsOffset = 0;

  // ── round-trip time and the one retransmission timer ──
  declare srtt: Millis;
  declare rttvar: Millis;
  declare mdev: Millis;
  declare mdevMax: Millis;
  rttSeq = 0 as Seq;
  /** The shortest round trip of the last minutes (rtt.ts), and what it is kept with. */
  declare minRtt: Millis;
  declare minRttNewer: Millis;
  declare minRttSince: Millis;
  /** With the doublings since the last sample (RFC 6298 §5.5). */
  declare rto: Millis;
  /** Doublings of the RTO, or of the distance between window probes, since the last sample or answer. */
  declare backoff: number;
  retransmitTimer: RetransmitTimer = 'none';
  declare retransmitAt: Millis;
  /** Timeouts since the last progress. */
  declare retransmits: number;
  /** When the first of them was, or -1: R1, R2 and the user timeout count from here. */
  declare stalledAt: Millis;
  /** When the first retransmission of this recovery went out, or -1: what is echoed from before it is the original's. */
  declare retransmittedAt: Millis;
  /** Unanswered probes of a closed window, and when the first one was due, or -1. */
  declare windowProbes: number;
  declare windowProbesSince: Millis;
  declare keepAlive: boolean;
  declare keepAliveIdle: Millis;
  declare keepAliveInterval: Millis;
  declare keepAliveProbes: number;
  /** Unanswered keep-alive probes. */
  declare probesSent: number;
  declare keepAliveAt: Millis;
  /** FIN-WAIT-2 of an orphan, linger, SYN-RECEIVED: the state's own end. */
  declare lingerAt: Millis;
  declare userTimeout: Millis;
  declare lastReceivedAt: Millis;
  declare lastSentAt: Millis;
  /** When text was last sent: how long the connection has been idle (RFC 5681 §4.1). */
  declare lastTextSentAt: Millis;
  declare lastAckReceivedAt: Millis;

  // ── the scoreboard (packets) ──
  recovery: RecoveryState = 'Open';
  packetsOut = 0;
  /** Without SACK: the duplicate ACKs since the last progress, each of which says that a packet has left the network. */
  declare sackedOut: number;
  declare lostOut: number;
  declare retransOut: number;
  /** Ever taken to be lost. */
  declare lost: number;
  /** SND.NXT when recovery began: it ends when this is acknowledged. */
  declare highSeq: Seq;
  /** The end of what was SACKed; valid while `sackedOut` is not 0. */
  declare highestSack: Seq;
  /** The SACK blocks of the last ACK in order, edges in pairs, so that they are not walked again; null before the first. */
  declare sackSeen: Int32Array | null;
  declare sackSeenBlocks: number;
  /** How far apart, in packets, the network has been seen to reorder, at least profile.reordering; and how often it did. */
  declare reordering: number;
  declare reorderings: number;
  /** The peer has forgotten what it had SACKed (RFC 2018 §8). */
  declare sackReneged: boolean;
  /** Duplicates that the peer reported. */
  declare duplicates: number;
  /** What output is to send first when an acknowledgment or a timer has said so. */
  declare resend: Resend;

  // ── RACK-TLP (RFC 8985) ──
  /** Transmission time and end of the packet sent last among those delivered, and its round-trip time. */
  declare rackSentAt: Millis;
  rackEnd = 0 as Seq;
  declare rackRtt: Millis;
  /** They changed since losses were last looked for. */
  declare rackAdvanced: boolean;
  /** The reordering timer has been restarted by a duplicate ACK already. */
  declare rackProlonged: boolean;
  declare rackDuplicateSeen: boolean;
  /** Quarters of the minimal round trip that reordering is allowed to take. */
  declare rackSteps: number;
  /** Recoveries that this still holds for. */
  declare rackPersist: number;
  declare rackLastDelivered: number;
  /** A loss probe is out: SND.NXT when it was sent, and whether it was a retransmission. */
  declare probeOut: boolean;
  declare probeEnd: Seq;
  declare probeRetransmitted: boolean;

  // ── undoing what turns out to have been no loss ──
  /** Everything that recovery did can be undone: it began at `undoMarker`, and so many retransmissions are unproven. */
  declare undoable: boolean;
  declare undoMarker: Seq;
  declare undoRetransmissions: number;
  /** The threshold and window before the reduction; threshold 0: they must not be restored. */
  declare priorSsthresh: number;
  declare priorCwnd: number;
  /** F-RTO (RFC 5682) is finding out whether the timeout was spurious. */
  declare frto: boolean;

  // ── congestion control (packets) ──
  cwnd: number;
  declare ssthresh: number;
  /** Acknowledged packets towards the next increase of cwnd. */
  declare cwndCredit: number;
  congestion: CongestionControl;
  /** What CUBIC knows once the first slow start is over; null before, and with others. */
  declare growth: CubicGrowth | null;
  /** What HyStart goes by: the shortest delay, and of this round trip its beginning, last ACK in a train, end, delay. */
  declare minDelay: Millis;
  declare roundStart: Millis;
  declare roundLastAck: Millis;
  roundEnd = 0 as Seq;
  declare roundRtt: Millis;
  declare roundSamples: number;
  /** Slow start was ended early. */
  declare slowStartFound: boolean;
  /** RFC 6937: delivered and sent since the reduction began. */
  declare prrDelivered: number;
  declare prrOut: number;
  /** Packets that count as in flight though no output has sent them yet (prr.ts). */
  declare prrHeld: number;
  /** The network, not the application, limited the current window's flight (RFC 7661): only then may cwnd grow. */
  declare cwndLimited: boolean;
  /** The window that this is about ends here; the most that was in flight in it. */
  cwndUsageEnd = 0 as Seq;
  packetsOutMax = 0;
  /** Since when, and with how much in flight, an application has not used its window. */
  declare cwndUsedAt: Millis;
  cwndUsed = 0;
  /** Delivered so far, and when last; when the packet that was delivered last had been sent. */
  delivered = 0;
  declare deliveredAt: Millis;
  declare firstSentAt: Millis;
  /** `delivered` when the gap that the application left will have passed through the network; 0: there is none. */
  appLimited = 0;
  /** The last rate that the network set: packets per interval, for tcp_info. */
  rateDelivered = 0;
  declare rateInterval: Millis;
  declare rateAppLimited: boolean;
  /** Bytes a millisecond that output may send; Infinity: as many as the window lets it. */
  declare pacingRate: number;
  /** When the next segment may go, and the deadline for it while output waits. */
  declare pacingNext: Millis;
  declare pacingAt: Millis;
  /** It was pacing that stopped output last, not a window or the end of the text. */
  declare pacingHeld: boolean;
  /** RFC 3168: CE arrived and is echoed until CWR comes; our next text carries CWR. */
  declare ecnEcho: boolean;
  declare ecnReducedDue: boolean;
  /** The peer marks its text as ECN-capable; and packets whose acknowledgments echoed congestion. */
  declare ecnSeen: boolean;
  declare deliveredCe: number;

  // ── what is to be sent, decided by arrivals, calls and timeouts, done by output ──
  /** Stands in the layer's list of connections that want output. */
  declare ready: boolean;
  declare synDue: boolean;
  /** A probe of one of these kinds is due. */
  declare probeDue: 'none' | 'keep-alive' | 'window';
  /** RFC 8985 §7.3 loss probe: retransmit the tail or send one new segment beyond cwnd. */
  declare tailProbeDue: boolean;
  declare noDelay: boolean;
  declare corked: boolean;
  /** The last write said that more follows at once: a small rest waits for it, until an acknowledgment comes. */
  declare more: boolean;
  /** What waits goes at once, even if corked: the application has just said so. Until the next write. */
  declare pushing: boolean;
  /** Ends of records that no segment may reach across, as far as they are not sent; null before the first. */
  declare recordEnds: Seq[] | null;
  declare linger: Millis;
  /** Fast Open (RFC 7413); null without it. */
  declare fast: FastOpening | null;
  /** The search for the path's MTU (RFC 4821); null without one. */
  declare mtuSearch: MtuSearch | null;
  /** TCP_MAXSEG, TCP_WINDOW_CLAMP: the application's own limits, in bytes; 0: none. */
  declare userMss: number;
  declare windowClamp: number;
  /** Repetitions of our SYN; -1: as the profile says. */
  declare synRetries: number;
  /** How long FIN-WAIT-2 lasts without an application; negative: not at all. */
  declare finWait2: Millis;
  declare tos: number;
  declare hopLimit: number;

  // ── counters for tcp_info ──
  bytesSent = 0;
  bytesAcked = 0;
  bytesReceived = 0;
  declare bytesRetransmitted: number;
  segmentsOut = 0;
  segmentsIn = 0;
  dataSegmentsOut = 0;
  dataSegmentsIn = 0;
  /** Segments that came beyond a hole. */
  declare outOfOrder: number;
  declare totalRetransmits: number;
  declare openedAt: Millis;
  /** What the sender is doing, since when, and how long it did before (busy-time.ts). */
  timeKind = 0;
  declare timeSince: Millis;
  declare busyTime: Millis;
  declare windowLimitedTime: Millis;
  declare bufferLimitedTime: Millis;

  queueIndex = -1;
  declare queueKey: Millis;

  constructor(
    readonly tcp: Tcp,
    /** A number for people and traces, never 0. */
    readonly id: number,
    readonly local: Address,
    readonly localPort: number,
    readonly remote: Address,
    readonly remotePort: number,
    path: Path,
    profile: TcpProfile,
    congestion: CongestionControl,
    readonly listener: Listener | null,
  ) {
    this.settings = tcp.initialSettings;
    this.path = path;
    this.sendBuffer = new SendBuffer(tcp.blocks, 0 as Seq);
    this.rto = profile.rtoInitialMs;
    this.cwnd = profile.initialWindow;
    this.congestion = congestion;
  }

  nextDeadline(): Millis {
    return Math.min(this.retransmitAt, this.delayedAckAt, this.keepAliveAt, this.lingerAt, this.pacingAt);
  }

  /** Packets believed to be in the network (RFC 6675's pipe). */
  get inFlight(): number {
    return this.packetsOut - this.sackedOut - this.lostOut + this.retransOut;
  }

  /** Synchronised: both sides know both sequence numbers. */
  get synchronized(): boolean {
    return this.state !== 'CLOSED' && this.state !== 'SYN-SENT' && this.state !== 'SYN-RECEIVED';
  }

  /** Text may be sent: synchronised, or opened fast by the peer. */
  get mayTransfer(): boolean {
    return this.synchronized || (this.fast?.child === true && this.state === 'SYN-RECEIVED');
  }

  /** Bytes that `send` would take now. */
  get sendSpace(): number {
    const room = Math.max(0, this.sendLimit - this.sendBuffer.bytes);
    if (this.notSentLimit === NEVER) return room;
    return Math.min(room, Math.max(0, this.notSentLimit - this.unsent));
  }

  /** Bytes written and never sent. */
  get unsent(): number {
    return Math.max(0, (this.sendBuffer.end - this.sndNxt) | 0);
  }
}

defineCells(Connection.prototype);
