import { ACKNOWLEDGED, CLOSED, type Connection, type ConnectionOwner, FAILED } from '../stack/tcp/connection';
import type { Host } from './host';

/** So long at most a process waits for the acknowledgment of its last words. */
const LINGER_MS = 3000;

/**
 * A connection that its socket has closed and whose last words, or FIN, the peer has not acknowledged. A kernel would
 * see to them after the process is gone; here the process has to stay for a moment.
 */
export class Lingering implements ConnectionOwner {
  private timer: unknown;
  private over = false;

  constructor(
    private readonly host: Host,
    private readonly connection: Connection,
  ) {
    host.retain();
    connection.owner = this;
    connection.wantsAcknowledged = true;
    this.timer = host.loop.timer(host.now() + LINGER_MS, () => {
      this.timer = null;
      this.end();
    });
  }

  onSignals(c: Connection, bits: number): void {
    if ((bits & (ACKNOWLEDGED | CLOSED | FAILED)) !== 0 && isDone(c)) this.end();
  }

  onAbandoned(): void {
    this.end();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    if (this.timer !== null) this.host.loop.clear(this.timer);
    if (this.connection.owner === this) this.connection.owner = null;
    this.host.release();
  }
}

/** Whether the peer has everything, the FIN too, or never will. */
export function isDone(c: Connection): boolean {
  return c.state === 'CLOSED' || c.state === 'FIN-WAIT-2' || c.state === 'TIME-WAIT';
}
