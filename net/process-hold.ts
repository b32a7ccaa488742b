import { defineFlags } from '../stack/base/flags';
import type { Host } from './host';

/** What keeps the process while something is expected of it and nobody has said `unref`: every handle. */
export abstract class ProcessHold {
  /** Booleans: those of `HOLD_FLAGS` below, and of a class derived from this. */
  bits = 0;
  declare protected refed: boolean;
  declare protected holding: boolean;
  declare protected closed: boolean;
  abstract readonly host: Host;

  constructor() {
    this.refed = true;
  }

  /** Whether something is expected of it while it is open. */
  protected abstract get awaited(): boolean;

  ref(): void {
    this.refed = true;
    this.hold();
  }

  unref(): void {
    this.refed = false;
    this.hold();
  }

  /** Of a closed one, too: Node's is gone by then. */
  hasRef(): boolean {
    return this.refed;
  }

  /** To be called after each change of what decides it. */
  protected hold(): void {
    const held = !this.closed && this.awaited;
    if (held === this.holding) return;
    this.holding = held;
    if (held) this.host.retain();
    else this.host.release();
  }
}

/** The place of the first flag that a class derived from this may have. */
export const HOLD_FLAGS = defineFlags(ProcessHold.prototype, ['refed', 'holding', 'closed']);
