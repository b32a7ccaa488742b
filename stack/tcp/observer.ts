import type { Millis } from '../base/bytes';
import type { Connection, State, TcpError } from './connection';

/**
 * Hears of what happens to connections at the moment it happens: for diagnostics, which must not change the stack. What the
 * event log says in numbers this says with the connection itself.
 */
export interface TcpObserver {
  /** `c` exists: an active open, or a SYN that a listener took. */
  opened(c: Connection, now: Millis): void;
  /** The state changed from `from` to `c.state`. */
  entered(c: Connection, from: State, now: Millis): void;
  /** The connection failed; its owner is told of `error`. */
  failed(c: Connection, error: TcpError, now: Millis): void;
  /** A retransmission goes out: `bytes` of text. */
  retransmitted(c: Connection, bytes: number, now: Millis): void;
}
