import { writeFully } from './sink';

/** Where a command's text goes. */
export interface Output {
  /** False when nobody reads any more (`| head`): stop. */
  write(text: string): boolean;
  flush(): void;
}

/** Standard output takes no more, and nobody left: a full disk. */
export class OutputError extends Error {}

const STDOUT = 1;
const BUFFER_CHARACTERS = 1 << 16;

/**
 * Standard output, buffered and synchronous: the reader's pace is ours, and a reader who left is noticed at the next
 * write instead of after the whole file.
 */
export class StdoutOutput implements Output {
  private waiting = '';
  private closed = false;

  write(text: string): boolean {
    this.waiting += text;
    if (this.waiting.length >= BUFFER_CHARACTERS) this.flush();
    return !this.closed;
  }

  flush(): void {
    if (this.waiting === '' || this.closed) return;
    const bytes = new TextEncoder().encode(this.waiting);
    this.waiting = '';
    try {
      writeFully(STDOUT, bytes);
    } catch (error) {
      this.closed = true;
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EPIPE') throw new OutputError(`the output cannot be written: ${message}`);
    }
  }
}
