/** "PRI * HTTP/2.0", with which a client begins (RFC 9113 §3.4). */
const PREFACE = 24;
const P = 0x50;
const HEAD = 9;
/** DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY and CONTINUATION (RFC 9113 §6): programs hear of these. */
const HEARD = new Set([0, 1, 3, 5, 7, 9]);

/**
 * Cuts what arrives behind frames that programs hear of (RFC 9113 §4.1). There they hear of each before the session knows of
 * the next, as where Node reads from a kernel.
 */
export class Http2Frames {
  /** Bytes of the frame that is under way, or of the preface. */
  private left = 0;
  private heard = false;
  private began = false;
  /** The head of a frame, of which so many bytes are known. */
  private readonly head = new Uint8Array(HEAD);
  private known = 0;

  /** Where the piece that begins at `at` ends: at `end`, if nothing is to be heard before that. */
  cut(bytes: Uint8Array, at: number, end: number): number {
    let i = at;
    while (i < end) {
      if (this.left === 0) i = this.begin(bytes, i, end);
      const taken = Math.min(this.left, end - i);
      this.left -= taken;
      i += taken;
      if (this.left === 0 && this.known === 0 && this.heard) return i;
    }
    return i;
  }

  /** Reads the head of the next frame, or as much of it as there is. */
  private begin(bytes: Uint8Array, at: number, end: number): number {
    let i = at;
    if (!this.began) {
      this.began = true;
      // A server's first frame begins otherwise: it would be longer than any may be.
      if (bytes[i] === P) {
        this.left = PREFACE;
        return i;
      }
    }
    const { head } = this;
    while (i < end && this.known < HEAD) head[this.known++] = bytes[i++]!;
    if (this.known < HEAD) return i;
    this.known = 0;
    this.left = (head[0]! << 16) | (head[1]! << 8) | head[2]!;
    this.heard = HEARD.has(head[3]!);
    return i;
  }
}
