import type { Host } from '../net/host';
import type { Millis } from '../stack/base/bytes';

/** The parts of a host that lie between its stack and its program. */
interface Inside {
  dispatch(): void;
  wakeLater(): void;
  arm(): void;
}

/**
 * Stands between a host's stack and its program. While it is closed the stack goes on: segments are acknowledged, a FIN or a
 * reset is taken note of; but no callback of a socket runs and no socket times out, as when the program's event loop is
 * blocked. What the program calls itself goes through: that is what a blocked loop's own turn does.
 */
export class ProgramGate {
  private openAt: Millis = 0;
  private owed = false;
  private arming = false;
  private timersDue: (() => void)[] = [];

  constructor(private readonly host: Host) {
    const inside = host as unknown as Inside;
    const dispatch = inside.dispatch.bind(host);
    const wakeLater = inside.wakeLater.bind(host);
    const arm = inside.arm.bind(host);
    inside.dispatch = () => this.unlessClosed(dispatch);
    inside.wakeLater = () => this.unlessClosed(wakeLater);
    inside.arm = () => {
      this.arming = true;
      arm();
      this.arming = false;
    };
    const { loop } = host;
    const timer = loop.timer.bind(loop);
    // The stack's one timer is set by `arm`; all others are sockets'.
    loop.timer = (at, task) => timer(at, this.arming ? task : () => this.whenOpen(task));
    this.wake = wakeLater;
  }

  private readonly wake: () => void;

  get isClosed(): boolean {
    return this.openAt > 0;
  }

  private unlessClosed(task: () => void): void {
    if (this.isClosed) this.owed = true;
    else task();
  }

  private whenOpen(task: () => void): void {
    if (this.isClosed) this.timersDue.push(task);
    else task();
  }

  /** The program does nothing until `ms` from now. */
  close(ms: Millis): void {
    const at = this.host.now() + ms;
    if (at <= this.openAt) return;
    this.openAt = at;
    const { loop } = this.host;
    this.arming = true;
    loop.timer(at, () => {
      if (this.openAt === at) this.open();
    });
    this.arming = false;
  }

  /** Ends it early. */
  openNow(): void {
    if (this.isClosed) this.open();
  }

  /** Timers first, as in Node's loop, then what sockets are to be told. */
  private open(): void {
    this.openAt = 0;
    for (const task of this.timersDue.splice(0)) {
      task();
      this.host.loop.between();
    }
    if (this.owed) this.wake();
    this.owed = false;
  }
}
