import { closeSync, openSync, readSync } from 'node:fs';
import { UsageError } from '../exit';

/** Far more than anybody has written; what never ends (/dev/zero) is not waited for. */
const SCRIPT_BYTES_MAX = 16 << 20;
const CHUNK_BYTES = 1 << 16;

/** The text of a script. @throws the system's error, and UsageError for a file of a size that no script has. */
export function readScript(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let bytes = 0; bytes <= SCRIPT_BYTES_MAX; ) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const n = readSync(fd, chunk);
      if (n === 0) return Buffer.concat(chunks).toString('utf8');
      chunks.push(chunk.subarray(0, n));
      bytes += n;
    }
    throw new UsageError(`${path}: it is larger than ${SCRIPT_BYTES_MAX >> 20} MiB: no script`);
  } finally {
    closeSync(fd);
  }
}
