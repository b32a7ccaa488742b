import { type Millis, NEVER } from '../base/bytes';
import type { CongestionControl } from './congestion/control';

/**
 * Every constant that TCP implementations differ in, as data. `linux` is the default, because its behaviour is what peers,
 * tools and scripts expect; `rfc` takes the values that the RFCs recommend where Linux departs from them.
 */
export interface TcpProfile {
  readonly name: string;
  /** RFC 6298: before the first sample, and the floor (of the variance term for Linux) and ceiling. */
  readonly rtoInitialMs: Millis;
  readonly rtoMinMs: Millis;
  readonly rtoMaxMs: Millis;
  /** True: RTO = SRTT + max(rtoMin, 4 RTTVAR), as Linux does; false: max(rtoMin, SRTT + 4 RTTVAR), RFC 6298 §2.4. */
  readonly rtoFloorsVariance: boolean;
  /** Retransmissions of a SYN or SYN-ACK before giving up. */
  readonly synRetries: number;
  readonly synAckRetries: number;
  /**
   * So many times a SYN is sent again without doubling the wait, as Linux does from 6.5 on (its default: 4). It is given up
   * when as much time has passed as `synRetries` doublings take, whether there were more SYNs or not.
   */
  readonly synLinearTimeouts: number;
  /** R1: after so many retransmissions the IP layer is advised (MUST-20). */
  readonly retries1: number;
  /** R2: after so many doublings of the RTO the connection fails with ETIMEDOUT. */
  readonly retries2: number;
  /** The same for a connection that no application holds any more. */
  readonly orphanRetries: number;
  /** RFC 6928, in segments. */
  readonly initialWindow: number;
  /** ... and in bytes, though two segments always: what segments larger than Ethernet's make of it. */
  readonly initialWindowBytes: number;
  readonly delayedAckMinMs: Millis;
  readonly delayedAckMaxMs: Millis;
  /** Segments acknowledged at once when a connection is young or has just been idle or lossy. 0: delay from the start. */
  readonly quickAcks: number;
  /** Responses sent right after requests until the two are taken to alternate, so that ACKs wait for the response. */
  readonly pingPongThreshold: number;
  readonly timeWaitMs: Millis;
  readonly finWait2Ms: Millis;
  /** Keep-alive, once switched on (RFC 9293 §3.8.4). */
  readonly keepAliveIdleMs: Millis;
  readonly keepAliveIntervalMs: Millis;
  readonly keepAliveProbes: number;
  readonly windowScale: number;
  readonly timestamps: boolean;
  /** RFC 7323 §3.2: where they were agreed, segments without them are dropped (a SHOULD; Linux takes them). */
  readonly timestampsRequired: boolean;
  readonly sack: boolean;
  readonly dsack: boolean;
  /** RFC 2018 §8: at a timeout forget all that was SACKed. False: only when the peer is seen to have forgotten it. */
  readonly forgetSackAtTimeout: boolean;
  /** RFC 3168: never; when the peer's SYN asks for it; on our own SYNs as well. */
  readonly ecn: 'off' | 'accept' | 'request';
  /** RFC 8985; without it losses are found by counting SACKed packets (RFC 6675). */
  readonly rack: boolean;
  readonly tailLossProbe: boolean;
  /** RFC 5682. */
  readonly frto: boolean;
  /** A name of congestion/controllers.ts, or of `controllers`. */
  readonly congestion: string;
  /** Controllers of one's own by name, each made for one connection. */
  readonly controllers?: Readonly<Record<string, (profile: TcpProfile) => CongestionControl>>;
  /** How CUBIC leaves slow start before losses: Linux's HyStart, HyStart++ of RFC 9406, or not. */
  readonly slowStartExit: 'linux' | 'rfc9406' | 'off';
  /** The round trip whose growth all of Hybla's flows have; Linux's rtt0. */
  readonly hyblaRttMs: Millis;
  /** RFC 5681 §4.1: cwnd starts again after an idle RTO, and decays while it is not used. */
  readonly slowStartAfterIdle: boolean;
  /** Packets that may arrive out of order before a loss is assumed (RFC 5681's three duplicate ACKs). */
  readonly reordering: number;
  /** ... and as many as the network is ever believed to reorder by. */
  readonly reorderingMax: number;
  /** Receive and send buffers: at the start, and as far as autotuning may grow them. Bytes. */
  readonly receiveBufferInitial: number;
  readonly receiveBufferMax: number;
  readonly sendBufferInitial: number;
  readonly sendBufferMax: number;
  /** Linux's tcp_notsent_lowat, in bytes; Infinity: the buffer is the limit. */
  readonly notSentLimit: number;
  /** Challenge ACKs a connection may send in a second (RFC 5961 §10 asks for a limit), and duplicates' minimal distance. */
  readonly challengeAcksPerSecond: number;
  readonly invalidAckIntervalMs: Millis;
  /** RFC 6191: a SYN may take over a TIME-WAIT; RFC 1337: a RST must not end one. */
  readonly timeWaitReuse: boolean;
  readonly protectTimeWait: boolean;
  readonly abortOnOverflow: boolean;
  readonly synCookies: boolean;
  /** 'minshall': Linux's Nagle, which lets a full-size write's tail go while no small segment is in flight. */
  /** Any ICMP error ends a handshake, as in Linux (RFC 5461 §4.2); false: only hard ones do (MUST-56). */
  readonly softErrorsRefuse: boolean;
  /** RFC 7413: bits of fast-open.ts, as in Linux's tcp_fastopen. */
  readonly fastOpen: number;
  /** After SYNs with Fast Open have vanished, plain ones for so long (RFC 7413 §4.1.3.1); 0: never mind. */
  readonly fastOpenPauseMs: Millis;
  /** RFC 4821: search for the path's MTU never, when large segments seem to vanish, or on every connection. */
  readonly mtuProbing: 'off' | 'black-hole' | 'always';
  /** Text of the segments that a search begins with, and of the smallest that it resorts to. */
  readonly mtuProbeBase: number;
  readonly mtuProbeFloor: number;
  /** Bytes that are not worth another probe, and how long the result is believed. */
  readonly mtuProbeThreshold: number;
  readonly mtuProbeIntervalMs: Millis;
  readonly nagle: 'minshall' | 'rfc';
  readonly userTimeoutMs: Millis;
  readonly ephemeralPorts: readonly [number, number];
}

/** TCP as Linux has it by default: the kernel's constants where it differs from the RFCs. Times in milliseconds. */
export const LINUX: TcpProfile = {
  name: 'linux',
  rtoInitialMs: 1000,
  rtoMinMs: 200,
  rtoMaxMs: 120_000,
  rtoFloorsVariance: true,
  synRetries: 5,
  synAckRetries: 5,
  synLinearTimeouts: 0,
  retries1: 3,
  retries2: 15,
  orphanRetries: 8,
  initialWindow: 10,
  initialWindowBytes: Infinity,
  delayedAckMinMs: 40,
  delayedAckMaxMs: 200,
  quickAcks: 16,
  pingPongThreshold: 1,
  timeWaitMs: 60_000,
  finWait2Ms: 60_000,
  keepAliveIdleMs: 7_200_000,
  keepAliveIntervalMs: 75_000,
  keepAliveProbes: 9,
  windowScale: 8,
  timestamps: true,
  timestampsRequired: false,
  sack: true,
  dsack: true,
  forgetSackAtTimeout: false,
  ecn: 'accept',
  rack: true,
  tailLossProbe: true,
  frto: true,
  congestion: 'cubic',
  slowStartExit: 'linux',
  hyblaRttMs: 25,
  slowStartAfterIdle: false,
  reordering: 3,
  reorderingMax: 300,
  receiveBufferInitial: 131_072,
  receiveBufferMax: 6 * 1024 * 1024,
  sendBufferInitial: 131_072,
  sendBufferMax: 4 * 1024 * 1024,
  notSentLimit: NEVER,
  challengeAcksPerSecond: 10,
  invalidAckIntervalMs: 500,
  timeWaitReuse: true,
  protectTimeWait: false,
  abortOnOverflow: false,
  synCookies: true,
  softErrorsRefuse: true,
  fastOpen: 1,
  fastOpenPauseMs: 3_600_000,
  mtuProbing: 'off',
  mtuProbeBase: 1024,
  mtuProbeFloor: 48,
  mtuProbeThreshold: 8,
  mtuProbeIntervalMs: 600_000,
  nagle: 'minshall',
  userTimeoutMs: 0,
  ephemeralPorts: [32_768, 60_999],
};

/** TCP as the RFCs have it, where Linux differs from them. Times in milliseconds. */
export const RFC: TcpProfile = {
  ...LINUX,
  name: 'rfc',
  forgetSackAtTimeout: true,
  rtoMinMs: 1000,
  rtoMaxMs: 60_000,
  rtoFloorsVariance: false,
  initialWindowBytes: 14_600,
  synRetries: 7,
  delayedAckMinMs: 200,
  delayedAckMaxMs: 499,
  quickAcks: 0,
  timestampsRequired: true,
  timeWaitMs: 240_000,
  finWait2Ms: Infinity,
  nagle: 'rfc',
  softErrorsRefuse: false,
  congestion: 'reno',
  slowStartAfterIdle: true,
  protectTimeWait: true,
  synCookies: false,
  ephemeralPorts: [49_152, 65_535],
};

export const PROFILES: Readonly<Record<string, TcpProfile>> = { linux: LINUX, rfc: RFC };
