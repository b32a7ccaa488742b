import type { Bytes } from '../stack/base/bytes';
import type { Conn } from './conn';
import type { Dir, EndName } from './match';
import { ACK, FIN, PSH, RST, type Segment } from './segment';

const NOTHING: Bytes = new Uint8Array(0);

/** A segment that seems to come from the sender of `dir`; null while nothing of the connection was seen. */
function forge(conn: Conn, dir: Dir, flags: number, seq: number, text: Bytes): Segment | null {
  const from = conn.sender(dir);
  const to = conn.receiver(dir);
  const ack = to.known ? to.ownNxt() : 0;
  if (from.last !== null) {
    const made = from.last.rebuild(flags, seq, ack, text, false);
    made.window = from.lastWindow;
    return made.seal();
  }
  if (to.last === null) return null;
  const made = to.last.reply(flags, seq, ack, 0);
  return text.length === 0 ? made : made.rebuild(flags, seq, ack, text, false);
}

/** A reset to `end`: with the number that it expects, or `off` further. */
export function forgeRst(conn: Conn, end: EndName, off: number): Segment | null {
  const to = conn[end];
  const peer = end === 'c' ? conn.s : conn.c;
  const seq = peer.known ? (to.rcvNxt(peer) + off) | 0 : 0;
  return forge(conn, end === 'c' ? 's2c' : 'c2s', RST | ACK, seq, NOTHING);
}

/** The end of the stream, to `end`. */
export function forgeFin(conn: Conn, end: EndName): Segment | null {
  const to = conn[end];
  const peer = end === 'c' ? conn.s : conn.c;
  if (!peer.known || to.finGot) return null;
  return forge(conn, end === 'c' ? 's2c' : 'c2s', FIN | ACK, to.rcvNxt(peer), NOTHING);
}

/** Text in a direction's stream; null when nothing of the connection was seen. */
export function forgeText(conn: Conn, dir: Dir, seq: number, text: Bytes): Segment | null {
  const made = forge(conn, dir, PSH | ACK, seq, text);
  if (made === null) return null;
  const ack = conn.sender(dir).lastAck;
  if (ack !== 0) {
    made.ack = conn.receiver(dir).ownSeq(ack);
    made.seal();
  }
  return made;
}

/** The sender of `dir` announces a window; null: the one that it announced last itself. */
export function forgeWindow(conn: Conn, dir: Dir, bytes: number | null): Segment | null {
  const from = conn.sender(dir);
  const to = conn.receiver(dir);
  if (from.last === null) return null;
  const made = forge(conn, dir, ACK, from.sndNxt(), NOTHING)!;
  // It acknowledges what it has acknowledged: no more than it got.
  made.ack = to.ownSeq(from.lastAck === 0 ? from.rcvNxt(to) : from.lastAck);
  made.window = bytes === null ? from.lastWindow : Math.min(0xffff, bytes >>> from.scale);
  return made.seal();
}
