import type { Millis } from '../base/bytes';
import type { Connection, RecoveryState } from './connection';
import type { Tcp } from './tcp';

/** Linux's tcp_ca_state numbers, as tcp_info and traces show them. */
export const RECOVERY_NUMBERS: Readonly<Record<RecoveryState, number>> = {
  Open: 0,
  Disorder: 1,
  CWR: 2,
  Recovery: 3,
  Loss: 4,
};

/** Every change of the recovery state goes through here; the controller hears of it. */
export function enterState(tcp: Tcp, c: Connection, state: RecoveryState, now: Millis): void {
  if (tcp.trace.on) {
    const from = RECOVERY_NUMBERS[c.recovery];
    tcp.trace.add('congestion', now, c.id, from, RECOVERY_NUMBERS[state], c.cwnd, c.ssthresh, c.inFlight);
  }
  c.congestion.stateChanges(c, state, now);
  c.recovery = state;
}
