import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import type { TcpProfile } from './profile';
import { seqAfter } from './seq';

/**
 * RFC 6298 §2 with Linux's refinement: the variation that counts is the largest mean deviation of the last round trip,
 * it falls by a quarter a round trip only, and a sample below the mean that widens the deviation counts an eighth.
 * `c.mdev`, `c.mdevMax` and `c.rttvar` are four times the deviation, as they enter the RTO.
 */
export function rttSample(c: Connection, rtt: Millis, profile: TcpProfile): void {
  if (rtt < 0) return;
  c.minRtt = Math.min(c.minRtt, rtt);
  const floor = profile.rtoFloorsVariance ? profile.rtoMinMs : 0;
  if (c.srtt === 0) {
    c.srtt = Math.max(rtt, 0.001);
    c.mdev = 2 * rtt;
    c.rttvar = Math.max(c.mdev, floor);
    c.mdevMax = c.rttvar;
    c.rttSeq = c.sndNxt;
  } else if (profile.rtoFloorsVariance) {
    refine(c, rtt, floor);
  } else {
    // RFC 6298 §2.3: the variation before the mean, since it uses the old mean.
    c.rttvar += (4 * Math.abs(c.srtt - rtt) - c.rttvar) / 4;
    c.srtt += (rtt - c.srtt) / 8;
  }
  setRto(c, profile);
}

function refine(c: Connection, rtt: Millis, floor: Millis): void {
  const error = rtt - c.srtt;
  c.srtt = Math.max(c.srtt + error / 8, 0.001);
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
