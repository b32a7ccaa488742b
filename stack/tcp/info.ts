import { type Millis, NEVER } from '../base/bytes';
import { BUFFER_LIMITED, BUSY, timeOf, WINDOW_LIMITED } from './busy-time';
import { type Connection, STATE_NUMBERS } from './connection';
import type { Listener } from './listener';
import { announcedMss } from './options';
import { currentWindow } from './receive-window';
import { RECOVERY_NUMBERS } from './recovery-state';
import type { Tcp } from './tcp';

/** Bits of `tcpi_options`. */
const OPT_TIMESTAMPS = 1;
const OPT_SACK = 2;
const OPT_WSCALE = 4;
const OPT_ECN = 8;
const OPT_ECN_SEEN = 16;
const OPT_SYN_DATA = 32;

const LISTEN_STATE = 10;
const NO_THRESHOLD = 0x7fff_ffff;
const UNLIMITED = 0xffff_ffff;

/** The fields of Linux's `struct tcp_info`, by their names there: what `ss -i` shows and TCP_INFO returns. */
export type TcpInfo = Readonly<Record<string, number>>;

const micros = (ms: Millis): number => Math.round(ms * 1000);

/** Milliseconds since `then`; 0 when it never was. */
const since = (then: Millis, now: Millis): number => Math.max(0, Math.floor(now - then));

/** TCP_INFO of a connection. Times ending in nothing are microseconds, `last_*` milliseconds, windows bytes. */
export function tcpInfo(_tcp: Tcp, c: Connection, now: Millis): TcpInfo {
  return { ...stateOf(c, now), ...scoreboardOf(c), ...timesOf(c, now), ...countersOf(c, now) };
}

function stateOf(c: Connection, now: Millis): TcpInfo {
  const scaled = c.sndScale > 0 || c.rcvScale > 0;
  const options =
    (c.timestamps ? OPT_TIMESTAMPS : 0) |
    (c.sackOk ? OPT_SACK : 0) |
    (scaled ? OPT_WSCALE : 0) |
    (c.ecnOk ? OPT_ECN : 0) |
    (c.ecnSeen ? OPT_ECN_SEEN : 0) |
    (c.fast?.textAcked === true ? OPT_SYN_DATA : 0);
  return {
    tcpi_state: STATE_NUMBERS[c.state],
    tcpi_ca_state: RECOVERY_NUMBERS[c.recovery],
    tcpi_retransmits: c.retransmits,
    tcpi_probes: c.windowProbes + c.probesSent,
    tcpi_backoff: c.backoff,
    tcpi_options: options,
    tcpi_snd_wscale: c.sndScale,
    tcpi_rcv_wscale: c.rcvScale,
    tcpi_last_data_sent: since(c.lastTextSentAt || c.openedAt, now),
    tcpi_last_ack_sent: 0,
    tcpi_last_data_recv: since(c.lastTextAt || c.openedAt, now),
    tcpi_last_ack_recv: since(c.lastAckReceivedAt || c.openedAt, now),
  };
}

/** What is in flight, in packets, and how much may be. */
function scoreboardOf(c: Connection): TcpInfo {
  return {
    tcpi_unacked: c.packetsOut,
    tcpi_sacked: c.sackedOut,
    tcpi_lost: c.lostOut,
    tcpi_retrans: c.retransOut,
    tcpi_fackets: 0,
    tcpi_snd_cwnd: c.cwnd,
    tcpi_snd_ssthresh: Math.min(c.ssthresh, NO_THRESHOLD),
    tcpi_reordering: c.reordering,
    tcpi_snd_mss: c.mss,
    tcpi_rcv_mss: c.rcvMss,
    tcpi_advmss: announcedMss(c),
    tcpi_pmtu: c.path.mtu,
    tcpi_snd_wnd: c.sndWnd,
    tcpi_rcv_wnd: currentWindow(c),
    tcpi_rcv_space: c.rcvSpace,
    tcpi_rcv_ssthresh: c.receiveLimit,
    tcpi_notsent_bytes: c.unsent,
  };
}

function timesOf(c: Connection, _now: Millis): TcpInfo {
  return {
    tcpi_rto: micros(c.rto),
    tcpi_ato: micros(c.ato),
    tcpi_rtt: micros(c.srtt),
    tcpi_rttvar: micros(c.mdev / 4),
    tcpi_min_rtt: c.minRtt === NEVER ? 0xffff_ffff : micros(c.minRtt),
    tcpi_rcv_rtt: micros(c.rcvRtt),
  };
}

function countersOf(c: Connection, now: Millis): TcpInfo {
  const windowLimited = timeOf(c, WINDOW_LIMITED, now);
  const bufferLimited = timeOf(c, BUFFER_LIMITED, now);
  return {
    tcpi_busy_time: micros(timeOf(c, BUSY, now) + windowLimited + bufferLimited),
    tcpi_rwnd_limited: micros(windowLimited),
    tcpi_sndbuf_limited: micros(bufferLimited),
    tcpi_total_retrans: c.totalRetransmits,
    tcpi_bytes_acked: c.bytesAcked,
    tcpi_bytes_received: c.bytesReceived,
    tcpi_bytes_sent: c.bytesSent,
    tcpi_bytes_retrans: c.bytesRetransmitted,
    tcpi_segs_out: c.segmentsOut,
    tcpi_segs_in: c.segmentsIn,
    tcpi_data_segs_out: c.dataSegmentsOut,
    tcpi_data_segs_in: c.dataSegmentsIn,
    tcpi_delivered: c.delivered,
    tcpi_delivered_ce: c.deliveredCe,
    tcpi_rcv_ooopack: c.outOfOrder,
    tcpi_delivery_rate: deliveryRate(c),
    tcpi_delivery_rate_app_limited: c.rateAppLimited ? 1 : 0,
    tcpi_pacing_rate: c.pacingRate === NEVER ? UNLIMITED : Math.round(c.pacingRate * 1000),
    tcpi_dsack_dups: c.duplicates,
    tcpi_reord_seen: c.reorderings,
  };
}

/** Bytes a second. */
const deliveryRate = (c: Connection): number =>
  c.rateInterval > 0 ? Math.round((c.rateDelivered * c.mss * 1000) / c.rateInterval) : 0;

/** TCP_INFO of a listener: how many wait to be accepted, and how many may. */
export function listenerInfo(listener: Listener): TcpInfo {
  return {
    tcpi_state: LISTEN_STATE,
    tcpi_unacked: listener.accepted.length,
    tcpi_sacked: listener.backlog,
  };
}
