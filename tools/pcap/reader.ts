import { closeSync, openSync, readSync } from 'node:fs';
import { type CapturedPacket, CaptureParser } from './parser';

const CHUNK_BYTES = 1 << 18;
const STDIN = 0;
const IDLE_WAIT_MS = 10;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Packets of a capture that is in memory. Throws CaptureError where it is damaged, after the packets before. */
export function* readCapture(bytes: Uint8Array, parser = new CaptureParser()): Generator<CapturedPacket, void, void> {
  parser.push(bytes);
  yield* drain(parser);
  parser.end();
}

/**
 * Packets of a capture file, or of standard input for "-", read as they are asked for. Throws the system's error when
 * it cannot be opened or read, CaptureError where it is damaged. Pass a parser to see interfaces, names and comments;
 * `beforeRead` is called before each read, which may wait.
 */
export function* readCaptureFile(
  path: string,
  parser = new CaptureParser(),
  beforeRead: () => void = () => {},
): Generator<CapturedPacket, void, void> {
  const fd = path === '-' ? STDIN : openSync(path, 'r');
  const chunk = new Uint8Array(CHUNK_BYTES);
  try {
    for (;;) {
      beforeRead();
      const bytes = readSome(fd, chunk);
      if (bytes === 0) break;
      parser.push(chunk.subarray(0, bytes));
      yield* drain(parser);
    }
    parser.end();
  } finally {
    if (fd !== STDIN) closeSync(fd);
  }
}

/** Packets of a capture that arrives in pieces: a readable stream, a socket. Errors as with readCaptureFile. */
export async function* readCaptureStream(
  source: AsyncIterable<Uint8Array>,
  parser = new CaptureParser(),
): AsyncGenerator<CapturedPacket, void, void> {
  for await (const bytes of source) {
    parser.push(bytes);
    yield* drain(parser);
  }
  parser.end();
}

function* drain(parser: CaptureParser): Generator<CapturedPacket, void, void> {
  for (let packet = parser.next(); packet !== null; packet = parser.next()) yield packet;
}

/** A terminal or a pipe that somebody made non-blocking answers EAGAIN while nothing waits. */
function readSome(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into, 0, into.length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(sleeper, 0, 0, IDLE_WAIT_MS);
    }
  }
}
