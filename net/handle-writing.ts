import { shutdown } from '../stack/tcp/calls';
import type { Connection } from '../stack/tcp/connection';
import { HandleState } from './handle-state';
import { SendQueue } from './send-queue';

/** The half of a handle that sends. */
export abstract class HandleWriting extends HandleState {
  /** Bytes that the peer acknowledged. What is known when the connection ends is what remains known. */
  get bytesAcknowledged(): number {
    const c = this.connection;
    if (c === null || this.closed) return this.acknowledgedBefore;
    // Over without an error: the FIN was acknowledged, and all before it.
    const held = c.state !== 'CLOSED' ? c.sendBuffer.bytes : c.error === null && c.finSent ? 0 : null;
    if (held !== null) this.acknowledgedBefore = this.bytesWritten - this.writeQueueSize - held;
    return this.acknowledgedBefore;
  }

  /** Calls `listener`, the only one, whenever the peer acknowledged more; null ends that. */
  watchAcknowledged(listener: (() => void) | null): void {
    this.ownerOfAcknowledged = listener;
    if (this.connection !== null) this.connection.wantsAcknowledged = listener !== null;
  }

  /**
   * Sends `chunks`. Returns true when all fitted the send buffer: the caller may go on at once. False: `done` is called
   * when the rest did, or with the reason why it never will. A string: it cannot be sent for this reason.
   */
  write(chunks: readonly Uint8Array[], done: (code: string | null) => void): boolean | string {
    const c = this.connection;
    const broken = c === null || this.closed ? 'EBADF' : this.brokenFor(c);
    if (broken !== null) return broken;
    this.queue ??= new SendQueue();
    for (let i = 0; i < chunks.length; i++) this.bytesWritten += chunks[i]!.length;
    const fitted = this.queue.start(this.host.stack.tcp, c!, chunks, done);
    this.sent();
    if (!fitted) this.hold();
    return fitted;
  }

  /** Something was put into the send buffer. */
  sent(): void {
    const c = this.connection!;
    // The peer may be gone, and within one machine that shows at once.
    if (c.finReceived && this.host.isLoopback(c)) this.host.sendNow();
    else this.host.schedule();
  }

  /** Why nothing can be sent: the connection's error, told once; after that, and on a closed one, EPIPE. */
  protected brokenFor(c: Connection): string | null {
    if (c.state !== 'CLOSED' && !c.finQueued) return null;
    if (c.error === null || this.errorTold) return 'EPIPE';
    this.errorTold = true;
    return c.error;
  }

  protected writable(c: Connection): void {
    const { queue } = this;
    const waited = this.writeQueueSize > 0;
    if (waited && !queue!.resume(this.host.stack.tcp, c)) return this.failWriter(c);
    this.hold();
    if (waited) queue!.finish(null);
    if (!this.closed) this.direct?.onRoom();
  }

  /** Whoever does not read learns of the failure when he waits to write. */
  protected failWriter(c: Connection): void {
    if (c.error === null || this.writeQueueSize === 0 || this.closed) return;
    const code = this.brokenFor(c);
    if (code === null) return;
    this.queue!.drop();
    this.hold();
    this.queue!.finish(code);
  }

  /** FIN behind what was written; `done` one turn later. */
  shutdown(done: () => void): void {
    const c = this.connection;
    if (c !== null) {
      shutdown(this.host.stack.tcp, c, this.host.now());
      this.host.schedule();
    }
    this.shutdownDone = done;
    this.hold();
    this.host.soon(() => this.host.callIn(this.resource, this.finishShutdown, this));
  }

  protected finishShutdown(): void {
    const done = this.shutdownDone;
    this.shutdownDone = null;
    this.hold();
    done?.();
  }
}
