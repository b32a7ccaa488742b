import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import type { NetworkError } from '../base/datagram';
import type { Timed } from '../base/deadlines';
import { NONE } from '../base/memory';
import type { Path } from '../base/transmit';
import type { CongestionControl } from './congestion/control';
import type { FastOpening } from './fast-open';
import type { Listener } from './listener';
import type { TcpProfile } from './profile';
import { SendBuffer } from './send-buffer';
import { SentList } from './sent-table';
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

/** Linux's congestion states: what loss recovery is in the middle of. */
export type RecoveryState = 'Open' | 'Disorder' | 'CWR' | 'Recovery' | 'Loss';

/** What the retransmission timer is armed for; only one of them at a time. */
export type RetransmitTimer = 'none' | 'rto' | 'probe' | 'reorder' | 'persist';

/** What goes out before all else: packets taken to be lost, or, to find out whether they are (F-RTO), new text. */
export type Resend = 'nothing' | 'lost' | 'new';

/** Whoever uses the connection. Called by the host between batches, never from inside the core. */
export interface ConnectionOwner {
  onSignals(connection: Connection, signals: number): void;
}

/**
 * The Transmission Control Block (RFC 9293 §3.3.1). Names are the RFC's; times are milliseconds, windows bytes,
 * congestion figures packets as in Linux. Functions in this folder work on it; `enter` alone changes its state.
 */
export class Connection implements Timed {
  /** 'CLOSED' until opened, and again at the end. */
  state: State = 'CLOSED';
  owner: ConnectionOwner | null = null;
  /** The owner has closed: nobody will read or write any more. */
  orphaned = false;
  /** SYN-RECEIVED came from LISTEN, not from SYN-SENT (MUST-11). */
  readonly passive: boolean;
  path: Path;
  /** Bits to hand to the owner. */
  signals = 0;
  error: TcpError | null = null;
  softError: TcpError | null = null;
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
  sndUp = 0 as Seq;
  urgentOut = false;
  readonly sendBuffer: SendBuffer;
  /** The application has closed its direction; the FIN goes behind the last byte. */
  finQueued = false;
  finSent = false;
  /** End of the last segment below the MSS (Minshall's Nagle). */
  sndSmall = 0 as Seq;
  /** Text per segment at most: the peer's MSS and the path, less options (MUST-16). */
  mss = 536;
  /** SEG.MSS of the peer's SYN, or the default. */
  peerMss = 536;
  readonly sent = new SentList();
  sendLimit: number;
  /** TCP_NOTSENT_LOWAT: no more than so many bytes may wait to be sent. */
  notSentLimit: number;
  /** A write did not fit: tell WRITABLE when there is room. */
  wantsRoom = false;
  wantsAcknowledged = false;

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
  oooHead = NONE;
  oooTail = NONE;
  oooNodes = 0;
  /** What the queued text costs, in bytes, overhead included. */
  charged = 0;
  receiveLimit: number;
  /** An application that set its buffer size switches autotuning off. */
  receiveLimitFixed = false;
  sendLimitFixed = false;
  finReceived = false;
  /** Where the peer's FIN stands; valid once `finSeqKnown`, though text before it may still be missing. */
  finSeq = 0 as Seq;
  finSeqKnown = false;
  /** RCV.UP; valid while `urgentIn`. */
  rcvUp = 0 as Seq;
  urgentIn = false;
  /** The largest segments that the peer sends, for the ACK and window decisions. */
  rcvMss = 536;
  /** Edges of recently received blocks beyond the hole, newest first, and of a duplicate to report once (RFC 2883). */
  readonly sackRecent = new Int32Array(8);
  sackRecentCount = 0;
  dsackStart = 0 as Seq;
  dsackEnd = 0 as Seq;
  hasDsack = false;
  /** Receive buffer autotuning: bytes the application took in the current round trip. */
  rcvSpace = 0;
  rcvSpaceSeq = 0 as Seq;
  rcvSpaceAt: Millis = 0;
  rcvRtt: Millis = 0;
  rcvRttSeq = 0 as Seq;
  rcvRttAt: Millis = 0;
  copied = 0 as Seq;

  // ── acknowledging ──
  ackNow = false;
  /** Received text not yet acknowledged. */
  ackPending = false;
  delayedAckAt: Millis = NEVER;
  /** ACKs to send without delay. */
  quickAcks = 0;
  /** The estimated gap between arrivals: how long to delay. */
  ato: Millis = 0;
  lastTextAt: Millis = 0;
  /** Request and response alternate: ACKs can wait for the response. */
  pingPong = 0;
  challengeWindowAt: Millis = 0;
  challenges = 0;
  lastInvalidAckAt: Millis = -1e9;

  // ── options agreed ──
  timestamps = false;
  sackOk = false;
  ecnOk = false;
  tsRecent = 0;
  tsRecentAt: Millis = 0;
  /** Added to the clock so that timestamps of different connections are unrelated (RFC 7323 §5.4). */
  tsOffset = 0;

  // ── round-trip time and the one retransmission timer ──
  srtt: Millis = 0;
  rttvar: Millis = 0;
  mdev: Millis = 0;
  mdevMax: Millis = 0;
  rttSeq = 0 as Seq;
  /** The shortest round trip of the last minutes (rtt.ts), and what it is kept with. */
  minRtt: Millis = NEVER;
  minRttNewer: Millis = NEVER;
  minRttSince: Millis = 0;
  /** With the doublings since the last sample (RFC 6298 §5.5). */
  rto: Millis;
  /** Doublings of the RTO, or of the distance between window probes, since the last sample or answer. */
  backoff = 0;
  retransmitTimer: RetransmitTimer = 'none';
  retransmitAt: Millis = NEVER;
  /** Timeouts since the last progress. */
  retransmits = 0;
  /** When the first of them was, or -1: R1, R2 and the user timeout count from here. */
  stalledAt: Millis = -1;
  /** When the first retransmission of this recovery went out, or -1: what is echoed from before it is the original's. */
  retransmittedAt: Millis = -1;
  /** Unanswered probes of a closed window, and when the first one was due, or -1. */
  windowProbes = 0;
  windowProbesSince: Millis = -1;
  keepAlive = false;
  keepAliveIdle: Millis;
  keepAliveInterval: Millis;
  keepAliveProbes: number;
  /** Unanswered keep-alive probes. */
  probesSent = 0;
  keepAliveAt: Millis = NEVER;
  /** FIN-WAIT-2 of an orphan, linger, SYN-RECEIVED: the state's own end. */
  lingerAt: Millis = NEVER;
  userTimeout: Millis;
  lastReceivedAt: Millis = 0;
  lastSentAt: Millis = 0;
  /** When text was last sent: how long the connection has been idle (RFC 5681 §4.1). */
  lastTextSentAt: Millis = 0;
  lastAckReceivedAt: Millis = 0;

  // ── the scoreboard (packets) ──
  recovery: RecoveryState = 'Open';
  packetsOut = 0;
  /** Without SACK: the duplicate ACKs since the last progress, each of which says that a packet has left the network. */
  sackedOut = 0;
  lostOut = 0;
  retransOut = 0;
  /** Ever taken to be lost. */
  lost = 0;
  /** SND.NXT when recovery began: it ends when this is acknowledged. */
  highSeq = 0 as Seq;
  /** The end of what was SACKed; valid while `sackedOut` is not 0. */
  highestSack = 0 as Seq;
  /** The SACK blocks of the last ACK in order, edges in pairs, so that they are not walked again; null before the first. */
  sackSeen: Int32Array | null = null;
  sackSeenBlocks = 0;
  /** How far apart, in packets, the network has been seen to reorder, at least profile.reordering; and how often it did. */
  reordering: number;
  reorderings = 0;
  /** The peer has forgotten what it had SACKed (RFC 2018 §8). */
  sackReneged = false;
  /** Duplicates that the peer reported. */
  duplicates = 0;
  /** What output is to send first when an acknowledgment or a timer has said so. */
  resend: Resend = 'nothing';

  // ── RACK-TLP (RFC 8985) ──
  /** Transmission time and end of the packet sent last among those delivered, and its round-trip time. */
  rackSentAt: Millis = -1;
  rackEnd = 0 as Seq;
  rackRtt: Millis = 0;
  /** They changed since losses were last looked for. */
  rackAdvanced = false;
  /** The reordering timer has been restarted by a duplicate ACK already. */
  rackProlonged = false;
  rackDuplicateSeen = false;
  /** Quarters of the minimal round trip that reordering is allowed to take. */
  rackSteps = 1;
  /** Recoveries that this still holds for. */
  rackPersist = 0;
  rackLastDelivered = 0;
  /** A loss probe is out: SND.NXT when it was sent, and whether it was a retransmission. */
  probeOut = false;
  probeEnd = 0 as Seq;
  probeRetransmitted = false;

  // ── undoing what turns out to have been no loss ──
  /** Everything that recovery did can be undone: it began at `undoMarker`, and so many retransmissions are unproven. */
  undoable = false;
  undoMarker = 0 as Seq;
  undoRetransmissions = 0;
  /** The threshold and window before the reduction; threshold 0: they must not be restored. */
  priorSsthresh = 0;
  priorCwnd = 0;
  /** F-RTO (RFC 5682) is finding out whether the timeout was spurious. */
  frto = false;

  // ── congestion control (packets) ──
  cwnd: number;
  ssthresh = 0x7fffffff;
  /** Acknowledged packets towards the next increase of cwnd. */
  cwndCredit = 0;
  congestion: CongestionControl;
  /** RFC 6937: delivered and sent since the reduction began. */
  prrDelivered = 0;
  prrOut = 0;
  /** The network, not the application, limited the current window's flight (RFC 7661): only then may cwnd grow. */
  cwndLimited = false;
  /** The window that this is about ends here; the most that was in flight in it. */
  cwndUsageEnd = 0 as Seq;
  packetsOutMax = 0;
  /** Since when, and with how much in flight, an application has not used its window. */
  cwndUsedAt: Millis = 0;
  cwndUsed = 0;
  /** Delivered so far, and when last; when the packet that was delivered last had been sent. */
  delivered = 0;
  deliveredAt: Millis = 0;
  firstSentAt: Millis = 0;
  /** `delivered` when the gap that the application left will have passed through the network; 0: there is none. */
  appLimited = 0;
  /** The last rate that the network set: packets per interval, for tcp_info. */
  rateDelivered = 0;
  rateInterval: Millis = 0;
  rateAppLimited = false;
  /** Bytes a millisecond that output may send; Infinity: as many as the window lets it. */
  pacingRate = NEVER;
  /** When the next segment may go, and the deadline for it while output waits. */
  pacingNext: Millis = 0;
  pacingAt: Millis = NEVER;
  /** It was pacing that stopped output last, not a window or the end of the text. */
  pacingHeld = false;
  /** RFC 3168: CE arrived and is echoed until CWR comes; our next text carries CWR. */
  ecnEcho = false;
  ecnReducedDue = false;

  // ── what is to be sent, decided by arrivals, calls and timeouts, done by output ──
  /** Stands in the layer's list of connections that want output. */
  ready = false;
  synDue = false;
  /** A probe of one of these kinds is due. */
  probeDue: 'none' | 'keep-alive' | 'window' = 'none';
  /** RFC 8985 §7.3 loss probe: retransmit the tail or send one new segment beyond cwnd. */
  tailProbeDue = false;
  noDelay = false;
  corked = false;
  /** The last write said that more follows at once: a small rest waits for it, until an acknowledgment comes. */
  more = false;
  /** What waits goes at once, even if corked: the application has just said so. Until the next write. */
  pushing = false;
  /** Ends of records that no segment may reach across, as far as they are not sent; null before the first. */
  recordEnds: Seq[] | null = null;
  linger: Millis = -1;
  /** Fast Open (RFC 7413); null without it. */
  fast: FastOpening | null = null;
  /** TCP_MAXSEG, TCP_WINDOW_CLAMP: the application's own limits, in bytes; 0: none. */
  userMss = 0;
  windowClamp = 0;
  /** Repetitions of our SYN; -1: as the profile says. */
  synRetries = -1;
  /** How long FIN-WAIT-2 lasts without an application; negative: not at all. */
  finWait2: Millis;
  tos = 0;
  hopLimit = 64;

  // ── counters for tcp_info ──
  bytesSent = 0;
  bytesAcked = 0;
  bytesReceived = 0;
  bytesRetransmitted = 0;
  segmentsOut = 0;
  segmentsIn = 0;
  dataSegmentsOut = 0;
  dataSegmentsIn = 0;
  totalRetransmits = 0;
  openedAt: Millis = 0;
  /** What the sender is doing, since when, and how long it did before (busy-time.ts). */
  timeKind = 0;
  timeSince: Millis = 0;
  busyTime: Millis = 0;
  windowLimitedTime: Millis = 0;
  bufferLimitedTime: Millis = 0;

  queueIndex = -1;
  queueKey: Millis = NEVER;

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
    this.path = path;
    this.passive = listener !== null;
    this.sendBuffer = new SendBuffer(tcp.blocks, 0 as Seq);
    this.sendLimit = profile.sendBufferInitial;
    this.notSentLimit = profile.notSentLimit;
    this.receiveLimit = profile.receiveBufferInitial;
    this.rto = profile.rtoInitialMs;
    this.cwnd = profile.initialWindow;
    this.reordering = profile.reordering;
    this.keepAliveIdle = profile.keepAliveIdleMs;
    this.keepAliveInterval = profile.keepAliveIntervalMs;
    this.keepAliveProbes = profile.keepAliveProbes;
    this.userTimeout = profile.userTimeoutMs;
    this.finWait2 = profile.finWait2Ms;
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
