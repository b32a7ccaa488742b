import { send } from '../stack/tcp/calls';
import type { Connection } from '../stack/tcp/connection';
import type { Tcp } from '../stack/tcp/tcp';

const NOTHING: readonly Uint8Array[] = [];

/**
 * One write on its way into a connection's send buffer. What fits is copied at once; the rest stays here by reference
 * until there is room. A stream hands over one write at a time, so there is never a second.
 */
export class SendQueue {
  private chunks: readonly Uint8Array[] = NOTHING;
  private index = 0;
  private at = 0;
  private done: ((code: string | null) => void) | null = null;
  /** Bytes that did not fit yet. */
  waiting = 0;

  /** Returns true when everything fitted; else `done` is kept for `finish`. */
  start(tcp: Tcp, c: Connection, chunks: readonly Uint8Array[], done: (code: string | null) => void): boolean {
    let left = 0;
    for (let i = 0; i < chunks.length; i++) left += chunks[i]!.length;
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!;
      const taken = send(tcp, c, chunk, 0, chunk.length);
      left -= taken;
      if (taken === chunk.length) continue;
      this.chunks = chunks;
      this.index = i;
      this.at = taken;
      this.waiting = left;
      this.done = done;
      return false;
    }
    return true;
  }

  /** Sends more of what waits. True when nothing waits any more; `finish` is due then. */
  resume(tcp: Tcp, c: Connection): boolean {
    while (this.waiting > 0) {
      const chunk = this.chunks[this.index]!;
      const taken = send(tcp, c, chunk, this.at, chunk.length - this.at);
      this.at += taken;
      this.waiting -= taken;
      if (this.at < chunk.length) return false;
      this.index++;
      this.at = 0;
    }
    this.chunks = NOTHING;
    return true;
  }

  /** What waits will never be sent. */
  drop(): void {
    this.waiting = 0;
    this.chunks = NOTHING;
  }

  /** Calls back whoever waits for the write. */
  finish(code: string | null): void {
    const done = this.done;
    this.done = null;
    done?.(code);
  }
}
