import { clearInterval, setImmediate, setInterval } from 'node:timers';

/** Runs a task soon, but not before it returns. */
export type Schedule = (task: () => void) => void;

/**
 * The `onReadable` of a device without a descriptor: calls `ready` once a turn while `wants` says that there is something
 * to do, and holds the process as long as somebody waits.
 */
export class Readiness {
  private ready: (() => void) | null = null;
  private scheduled: NodeJS.Immediate | true | null = null;
  private keepAlive: NodeJS.Timeout | null = null;
  private refed = true;

  /**
   * @param schedule null: setImmediate, and real timers to hold the process.
   * @param wants whether frames wait, or something else is to be told.
   * @param told called just before `ready`.
   */
  constructor(
    private readonly schedule: Schedule | null,
    private readonly wants: () => boolean,
    private readonly told: () => void = () => {},
  ) {}

  set(ready: (() => void) | null): void {
    this.ready = ready;
    this.hold();
    this.wake();
  }

  /** Arranges one call of `ready` if it has something to do. To be called whenever that may have changed. */
  wake(): void {
    if (this.ready === null || this.scheduled !== null || !this.wants()) return;
    if (this.schedule !== null) {
      this.scheduled = true;
      this.schedule(this.turn);
    } else {
      this.scheduled = setImmediate(this.turn);
      if (!this.refed) this.scheduled.unref();
    }
  }

  private readonly turn = (): void => {
    this.scheduled = null;
    // The frames may have been taken since, by a host that was awake for another reason.
    if (this.ready === null || !this.wants()) return;
    this.told();
    try {
      this.ready();
    } finally {
      // Even when the host threw, the frames that still wait are announced again, as a real descriptor would.
      this.wake();
    }
  };

  /** A real timer that never matters, because nothing else tells Node that someone waits here. */
  private hold(): void {
    const wanted = this.refed && this.ready !== null && this.schedule === null;
    if (wanted && this.keepAlive === null) this.keepAlive = setInterval(() => {}, 0x7fffffff);
    else if (!wanted && this.keepAlive !== null) {
      clearInterval(this.keepAlive);
      this.keepAlive = null;
    }
  }

  ref(): void {
    this.refed = true;
    if (this.scheduled !== null && this.scheduled !== true) this.scheduled.ref();
    this.hold();
  }

  unref(): void {
    this.refed = false;
    if (this.scheduled !== null && this.scheduled !== true) this.scheduled.unref();
    this.hold();
  }
}

/** What all devices have in common that tell by a Readiness: who is told, who waits, and that they close once. */
export abstract class ReadyDevice {
  protected abstract readonly readiness: Readiness;
  protected closed = false;

  /** Lets go of what the device holds. Called once; from then on it is `closed`. */
  protected abstract release(): void;

  onReadable(ready: (() => void) | null): void {
    if (!this.closed) this.readiness.set(ready);
  }

  ref(): void {
    this.readiness.ref();
  }

  unref(): void {
    this.readiness.unref();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.readiness.set(null);
    this.release();
  }
}
