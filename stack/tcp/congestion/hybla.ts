import { NEVER } from '../../base/bytes';
import type { Connection } from '../connection';
import { isWindowUsed } from '../window-use';
import { additiveIncrease, Controller, slowStart } from './control';

/**
 * TCP Hybla (Caini and Firrincieli, 2004; Linux has it as tcp_hybla): Reno whose rate does not depend on the round trip.
 * Each flow grows as one of the reference round trip would: rho squared packets a round trip, rho being how many times
 * longer its own is. So flows of different round trips share a link evenly, where those of Reno and of CUBIC at small windows
 * share it as 1/RTT. The price is loss: the longer the round trip, the more a full queue is overrun.
 *
 * Slow start is RFC 5681's. The proposal has it grow by 2^rho - 1 for each packet acknowledged, 63 at 150 ms: a burst that no
 * queue holds, and nothing that long flows share by.
 */
export class Hybla extends Controller {
  constructor(private readonly referenceRttMs: number) {
    super();
  }

  get name(): string {
    return 'hybla';
  }

  acknowledged(c: Connection, acked: number): void {
    if (!isWindowUsed(c)) return;
    if (c.cwnd < c.ssthresh) {
      acked = slowStart(c, acked);
      if (acked === 0) return;
    }
    const rho = c.minRtt === NEVER ? 1 : Math.max(c.minRtt / this.referenceRttMs, 1);
    // Never faster than slow start.
    additiveIncrease(c, Math.max(c.cwnd / (rho * rho), 1), acked);
  }

  threshold(c: Connection): number {
    return Math.max(c.cwnd >> 1, 2);
  }
}
