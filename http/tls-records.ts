/** Type, version, length (RFC 8446 §5.1). */
const HEAD = 5;

/**
 * Cuts what arrives into TLS's records: at most one piece of a program's text is in each, so that it hears of it before TLS
 * knows of the next, as where Node reads from a kernel. What is no TLS may be cut anywhere.
 */
export class TlsRecords {
  /** So many bytes of the head of the record are known. */
  private known = 0;
  /** So many of its bytes are still to come. */
  private left = 0;

  /** Where the record that begins or goes on at `at` ends, or `end`. */
  cut(bytes: Uint8Array, at: number, end: number): number {
    let i = at;
    for (; this.known < HEAD; i++) {
      if (i === end) return end;
      this.known++;
      if (this.known === 4) this.left = bytes[i]! << 8;
      else if (this.known === HEAD) this.left |= bytes[i]!;
    }
    const to = Math.min(end, i + this.left);
    this.left -= to - i;
    if (this.left === 0) this.known = 0;
    return to;
  }
}
