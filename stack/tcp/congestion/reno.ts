import type { Connection } from '../connection';
import { isWindowUsed } from '../window-use';
import { additiveIncrease, Controller, slowStart } from './control';

/** RFC 5681 and 6582. */
export class Reno extends Controller {
  get name(): string {
    return 'reno';
  }

  acknowledged(c: Connection, acked: number): void {
    if (!isWindowUsed(c)) return;
    if (c.cwnd < c.ssthresh) {
      acked = slowStart(c, acked);
      if (acked === 0) return;
    }
    additiveIncrease(c, c.cwnd, acked);
  }

  threshold(c: Connection): number {
    return Math.max(c.cwnd >> 1, 2);
  }
}
