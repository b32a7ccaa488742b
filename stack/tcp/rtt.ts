import type { Millis } from '../base/bytes';
import { ACKED, type AckSample, MAYBE_DELAYED } from './ack-sample';
import type { Connection } from './connection';
import type { Segment } from './header';
import { timestampNow } from './options';
import type { TcpProfile } from './profile';
import { seqAfter } from './seq';

/** A round trip of no measurable length: the estimators take 0 to mean "none". */
const RTT_MIN: Millis = 0.001;
/** Half the time for which the shortest round trip is remembered. */
const MIN_RTT_HALF_MS = 150_000;

/**
 * Takes the round-trip times that an acknowledgment gave: of the cumulatively acknowledged packet sent first, of the SACKed
 * one sent first, and of the last one of either (-1: none). Returns whether there was one. Without any, timestamps tell,
 * but only from ACKs that advance SND.UNA (RFC 7323 §4.1).
 */
export function updateRtt(c: Connection, s: AckSample, seg: Segment, profile: TcpProfile, now: Millis): boolean {
  s.measuredRtt = s.ackedRtt >= 0 ? s.ackedRtt : s.sackedRtt;
  if (s.measuredRtt < 0 && c.timestamps && seg.hasTimestamps && seg.tsEcr !== 0 && (s.flags & ACKED) !== 0) {
    const age = (timestampNow(c, now) - seg.tsEcr) | 0;
    // Older than any packet lives: not our clock.
    if (age >= 0 && age < 0x7fffffff / 1000) s.measuredRtt = s.rtt = Math.max(age, 1);
  }
  if (s.measuredRtt < 0) return false;
  noteMinRtt(c, s, now);
  smooth(c, s, profile);
  // RFC 6298 §5.7: only a measurement ends the backoff (Karn).
  c.backoff = 0;
  return true;
}

/** The shortest round trip of the last 150 to 300 s: two halves, the older one forgotten as a whole. */
function noteMinRtt(c: Connection, s: AckSample, now: Millis): void {
  const rtt = Math.max(s.rtt, RTT_MIN);
  if (now - c.minRttSince > MIN_RTT_HALF_MS) {
    c.minRtt = now - c.minRttSince > 2 * MIN_RTT_HALF_MS ? rtt : Math.min(c.minRttNewer, rtt);
    c.minRttNewer = rtt;
    c.minRttSince = now;
    return;
  }
  if ((s.flags & MAYBE_DELAYED) !== 0 && rtt > c.minRtt) return;
  if (rtt < c.minRttNewer) c.minRttNewer = rtt;
  if (rtt < c.minRtt) c.minRtt = rtt;
}

/**
 * RFC 6298 §2 with Linux's refinement: the variation that counts is the largest mean deviation of the last round trip,
 * it falls by a quarter a round trip only, and a sample below the mean that widens the deviation counts an eighth.
 * `c.mdev`, `c.mdevMax` and `c.rttvar` are four times the deviation, as they enter the RTO.
 */
function smooth(c: Connection, s: AckSample, profile: TcpProfile): void {
  const rtt = s.measuredRtt;
  const floor = profile.rtoFloorsVariance ? profile.rtoMinMs : 0;
  if (c.srtt === 0) {
    c.srtt = Math.max(rtt, RTT_MIN);
    c.mdev = 2 * rtt;
    c.rttvar = Math.max(c.mdev, floor);
    c.mdevMax = c.rttvar;
    c.rttSeq = c.sndNxt;
  } else if (profile.rtoFloorsVariance) {
    refine(c, s, floor);
  } else {
    // RFC 6298 §2.3: the variation before the mean, since it uses the old mean.
    c.rttvar += (4 * Math.abs(c.srtt - rtt) - c.rttvar) / 4;
    c.srtt = Math.max(c.srtt + (rtt - c.srtt) / 8, RTT_MIN);
  }
  setRto(c, profile);
}

function refine(c: Connection, s: AckSample, floor: Millis): void {
  const error = s.measuredRtt - c.srtt;
  c.srtt = Math.max(c.srtt + error / 8, RTT_MIN);
  let change: number;
  if (error < 0) {
    change = -error - c.mdev / 4;
    if (change > 0) change /= 8;
  } else {
    change = error - c.mdev / 4;
  }
  c.mdev += change;
  if (c.mdev > c.mdevMax) {
    c.mdevMax = c.mdev;
    if (c.mdevMax > c.rttvar) c.rttvar = c.mdevMax;
  }
  if (seqAfter(c.sndUna, c.rttSeq)) {
    if (c.mdevMax < c.rttvar) c.rttvar -= (c.rttvar - c.mdevMax) / 4;
    c.rttSeq = c.sndNxt;
    c.mdevMax = floor;
  }
}

/** RTO from SRTT and RTTVAR, without backoff. */
export function setRto(c: Connection, profile: TcpProfile): void {
  const rto = profile.rtoFloorsVariance ? c.srtt + c.rttvar : Math.max(profile.rtoMinMs, c.srtt + c.rttvar);
  c.rto = Math.min(rto, profile.rtoMaxMs);
}
