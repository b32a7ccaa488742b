import { consume, peek, Text } from '../stack/tcp/calls';
import { type Connection, END, FAILED, READABLE } from '../stack/tcp/connection';
import type { DirectConsumer } from './direct';
import type { ClosedWhileLent } from './handle-state';
import { HandleWriting } from './handle-writing';
import { RESETS_BEHIND_TEXT_ARE_TOLD } from './running-node';
import { fill, takeChunk, viewOf } from './take-text';

/** The function that Node's http.Agent sets as `onread` of an idle socket. It asks libuv what came, so it is not called. */
const GUARD = 'freeSocketOnReadGuard';

/** What libuv reads at once. */
const READ_MAX = 65_536;

// Only used between a peek and the copy of its fields, never across a call into an application.
const text = new Text();

/** The half of a handle that receives: text, its end or the error that ended it, in the turns in which libuv would tell them. */
export abstract class HandleReading extends HandleWriting {
  /** What Node's http.Agent sets: the guard of an idle socket, which this Node may have, and later what was there before. */
  get onread(): ((...told: unknown[]) => unknown) | null {
    return this.reader;
  }
  set onread(reader: ((...told: unknown[]) => unknown) | null) {
    this.reader = reader;
    this.guarded = reader?.name === GUARD;
  }

  /** The same for agents of ours: from now on, or no longer, whatever comes ends the connection, silently. */
  guard(on: boolean): void {
    this.guarded = on;
    if (on && !this.reading) this.readStart();
  }

  readStart(): number {
    this.reading = true;
    this.hold();
    this.announce();
    return 0;
  }

  readStop(): number {
    this.reading = false;
    this.hold();
    return 0;
  }

  /** Something to read may wait since before anybody wanted it. */
  announce(): void {
    const c = this.connection;
    if (c === null || this.connecting || this.closed || this.eof) return;
    if (c.readable === 0 && !c.finReceived && c.error === null) return;
    this.endsAsText = c.error !== null && this.textToldIn === this.host.turns;
    // Accepted just now: libuv asks for it last.
    if (this.acceptedIn === this.host.turns) this.host.deferAccepted(c, READABLE);
    else this.host.stack.tcp.signal(c, READABLE);
    this.host.schedule();
  }

  /** Hands over one piece of what is there: text, then its end or the error that ended it. Returns READABLE for more. */
  protected deliver(c: Connection): number {
    if (this.guarded && this.reading) {
      this.owner?.handleAbandoned();
      return 0;
    }
    if (this.reading && c.readable > 0) {
      const { before } = this.host;
      // What libuv reads at once a parser gets at once, however many segments it came in.
      for (let left = READ_MAX; left > 0; ) {
        const bytes = c.readable;
        if (!this.deliverPiece(c)) return 0;
        before.readable -= bytes - c.readable;
        left -= bytes - c.readable;
        if (this.direct === null || !this.reading || before.readable <= 0 || c.readable === 0) break;
      }
      this.textTold = true;
      this.textToldIn = this.host.turns;
      if (before.readable <= 0 && c.readable > 0 && this.reading) {
        this.host.defer(c, READABLE);
        return 0;
      }
      return this.reading && (c.readable > 0 || c.finReceived || c.error !== null) ? READABLE : 0;
    }
    if (!this.reading || this.eof) {
      this.failWriter(c);
    } else if (c.finReceived) {
      // libuv sees the end of text only in its next poll, unless the connection was over in both directions when it asked.
      const { before } = this.host;
      if (this.textTold && !before.finQueued && !before.broken) {
        this.host.defer(c, END);
        return 0;
      }
      this.tellEnd();
      // A write that waits learns of the failure next.
      return c.error === null ? 0 : READABLE;
    } else if (c.error !== null) {
      // Text and a reset in one wake-up read as text and its end.
      if (!this.textTold) {
        this.tellError(c);
        return 0;
      }
      // It came while the text was told.
      if (!this.host.before.broken) {
        this.host.defer(c, FAILED);
        return 0;
      }
      if (RESETS_BEHIND_TEXT_ARE_TOLD) {
        // libuv writes after it has read: a write that waits is told first, and the reader of the next turn only an end.
        this.failWriter(c);
        if (!this.closed) this.host.defer(c, FAILED);
        return 0;
      }
      this.tellEnd();
      // A write that waits learns of the reset.
      return READABLE;
    }
    return 0;
  }

  /** One piece of text goes to whoever takes it. False: held back. */
  private deliverPiece(c: Connection): boolean {
    const owner = this.owner;
    if (owner === null) return false;
    owner.handleActive();
    if (this.direct !== null) return this.deliverDirect(c, this.direct);
    const { tcp } = this.host.stack;
    const now = this.host.now();
    let more: boolean;
    if (this.userBuffer === null) {
      const chunk = takeChunk(tcp, c, now);
      this.bytesRead += chunk.length;
      more = owner.handleText(chunk);
    } else {
      const bytes = fill(tcp, c, this.userBuffer, now);
      this.bytesRead += bytes;
      more = owner.handleFilled(bytes);
    }
    if (!more && !this.closed) this.readStop();
    return true;
  }

  private deliverDirect(c: Connection, direct: DirectConsumer): boolean {
    const { tcp } = this.host.stack;
    peek(tcp, c, text);
    const { at, end } = text;
    this.lent = end - at;
    if (this.heldBack !== 0) this.heldBack = 0;
    // One that throws has had it all: the same text again would only make it throw again.
    let used = this.lent;
    try {
      used = direct.onText(text.bytes, at, end);
    } finally {
      if (used > 0 && this.lent > 0) {
        this.bytesRead += used;
        consume(tcp, c, used, this.host.now());
      }
      this.lent = 0;
      if (this.closedWhileLent !== null) this.finishRead(this.closedWhileLent, direct);
    }
    if (used < end - at && this.direct === direct) {
      this.readStop();
      this.heldBack = Math.min(READ_MAX, this.host.before.readable) - used;
    }
    return used > 0;
  }

  /** Whoever ends the connection while he reads still gets the rest of what libuv would have read at once. */
  private finishRead({ slab, rest }: ClosedWhileLent, direct: DirectConsumer): void {
    this.closedWhileLent = null;
    slab.refs--;
    if (rest !== null && this.direct === direct) direct.onText(rest, 0, rest.length);
  }

  /** What the direct consumer looks at now, as a view to keep; null: it has to copy. */
  lentView(bytes: Uint8Array, at: number, end: number): Buffer | null {
    return this.lent === 0 ? null : viewOf(this.host.stack.tcp, this.connection!, bytes, at, end);
  }

  private tellEnd(): void {
    this.eof = true;
    this.hold();
    this.owner?.handleActive();
    this.direct?.onEnd();
    if (!this.closed) this.owner?.handleEnd();
  }

  private tellError(c: Connection): void {
    if (this.errorTold) return this.tellEnd();
    this.errorTold = true;
    this.eof = true;
    this.hold();
    this.owner?.handleActive();
    this.owner?.handleFailed(c.error!);
  }

  /**
   * What the direct consumer was given counts as read even if it closes before it returns: the peer gets a FIN. The memory
   * stays as it is until then.
   */
  protected readLent(c: Connection): void {
    const { lent, host } = this;
    const { tcp } = host.stack;
    if (lent === 0) {
      // What libuv had read with it is no text that was never read.
      if (this.heldBack > 0) consume(tcp, c, this.heldBack, host.now());
      return;
    }
    this.lent = 0;
    this.bytesRead += lent;
    // A host that was closed has nothing any more.
    if (!peek(tcp, c, text)) return;
    const slab = tcp.store.slabs.slabs[text.slab]!;
    slab.refs++;
    consume(tcp, c, lent, host.now());
    const more = Math.min(host.before.readable, READ_MAX, lent + c.readable) - lent;
    const rest = more > 0 ? Buffer.allocUnsafe(more) : null;
    if (rest !== null) this.bytesRead += fill(tcp, c, rest, host.now());
    this.closedWhileLent = { slab, rest };
  }
}
