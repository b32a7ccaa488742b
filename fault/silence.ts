import type { Context } from './acting';
import type { Fitting } from './fitting';
import type { Flow } from './flow';
import type { Medium } from './medium';
import { fitsConn, type Rule } from './rule';

/** Rules for silence between two exchanges. */
export class Silence {
  constructor(
    private readonly medium: Medium,
    private readonly fitting: Fitting,
    private readonly rules: readonly Rule[],
    private readonly fire: (context: Context) => void,
  ) {}

  /** Something was said: the silence begins anew. */
  rearm(flow: Flow): void {
    for (const timer of flow.idleTimers.values()) this.medium.cancel(timer);
    flow.idleTimers.clear();
    this.arm(flow);
  }

  /** Waits for silences that rules name. */
  arm(flow: Flow): void {
    for (const rule of this.rules) {
      const { idle } = rule.match;
      if (idle === undefined || rule.spent || flow.idleTimers.has(rule)) continue;
      const at = Math.max(this.medium.now(), flow.conn.activeAt + idle.after);
      flow.idleTimers.set(
        rule,
        this.medium.at(at, () => {
          flow.idleTimers.delete(rule);
          this.silent(flow, rule);
        }),
      );
    }
  }

  private silent(flow: Flow, rule: Rule): void {
    const { conn } = flow;
    const now = this.medium.now();
    const m = rule.match;
    if (rule.spent || conn.over || conn.open !== null || conn.served < (m.idle!.served ?? 1)) return;
    if (now - conn.activeAt < m.idle!.after - 0.001 || !fitsConn(m, conn, now)) return;
    rule.fits++;
    if (!this.fitting.drawn(rule, conn, 'idle')) return;
    this.fire({ rule, conn, dir: null, offset: 0 });
  }
}
