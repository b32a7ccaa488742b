import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import type { Segment } from './header';
import type { Tcp } from './tcp';

/** RFC 9293 §3.7.1: what a peer that names no MSS is taken to accept (MUST-15). */
export const DEFAULT_MSS_V4 = 536;
export const DEFAULT_MSS_V6 = 1220;
const IP_TCP_HEADERS_V4 = 40;
const IP_TCP_HEADERS_V6 = 60;
/** Below this an announced MSS is an attack on us, not a limit of the peer's (Linux's tcp_min_snd_mss). */
const MSS_MIN = 48;
const TIMESTAMPS_BYTES = 12;
/** RFC 7323 §2.3: larger shifts are used as 14. */
const SHIFT_MAX = 14;

/** Bytes of IP and TCP header, without options. */
export const headersOf = (c: Connection): number => (c.local.family === 4 ? IP_TCP_HEADERS_V4 : IP_TCP_HEADERS_V6);

/** The MSS we announce: what the interface can take (MUST-67). */
export function announcedMss(c: Connection): number {
  // Where the path takes less than the link, its way back most likely does as well (Linux announces likewise).
  const most = Math.min(c.path.linkMtu, c.path.mtu, 65_535) - headersOf(c);
  return c.userMss > 0 ? Math.min(c.userMss, most) : most;
}

/** RFC 9293 §3.7.1: EffSndMss from the peer's word and the path, less the options that every segment carries. */
export function effectiveMss(c: Connection): void {
  let limit = Math.min(c.peerMss, c.path.mtu - headersOf(c));
  if (c.userMss > 0) limit = Math.min(limit, c.userMss);
  if (c.mtuSearch !== null) limit = Math.min(limit, c.mtuSearch.low - headersOf(c));
  c.mss = Math.max(Math.max(limit, MSS_MIN) - (c.timestamps ? TIMESTAMPS_BYTES : 0), 8);
}

/** Takes over what the peer's SYN offers, of what we do ourselves. */
export function applySynOptions(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  const profile = tcp.profile;
  c.peerMss = seg.mss > 0 ? seg.mss : c.local.family === 4 ? DEFAULT_MSS_V4 : DEFAULT_MSS_V6;
  c.sackOk = profile.sack && seg.sackPermitted;
  c.timestamps = profile.timestamps && seg.hasTimestamps;
  if (c.timestamps) {
    c.tsRecent = seg.tsVal;
    c.tsRecentAt = now;
  }
  if (profile.windowScale >= 0 && seg.windowScale >= 0) {
    c.sndScale = Math.min(seg.windowScale, SHIFT_MAX);
    c.rcvScale = profile.windowScale;
  } else {
    c.sndScale = c.rcvScale = 0;
  }
  effectiveMss(c);
  // Until segments have shown what the peer sends: not more than everybody can.
  c.rcvMss = Math.min(c.mss, announcedMss(c), DEFAULT_MSS_V4);
}

/** The millisecond clock that our timestamps show (RFC 7323 §5.4: 1 ms to 1 s a tick). */
export const timestampNow = (c: Connection, now: Millis): number => (Math.floor(now) + c.tsOffset) | 0;
