/**
 * What differs between the versions of Node that programs run on. Ours does what the one does that it runs on, where
 * programs can tell. Versions given are the first of each line known to behave so.
 */

const numbers = (version: string): number[] => version.split('.').map(Number);

function isAtLeast(wanted: readonly number[], version: string): boolean {
  const parts = numbers(version);
  for (let i = 0; i < 3; i++) {
    const difference = parts[i]! - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Whether this Node is one of these versions, or a later one of the same line, or of a line after the last. */
function since(...versions: string[]): boolean {
  const { node } = process.versions;
  const [running] = numbers(node);
  const parsed = versions.map(numbers);
  const line = parsed.find(([major]) => major === running);
  return line === undefined ? running! > parsed[parsed.length - 1]![0]! : isAtLeast(line, node);
}

/** A write that waits when its socket closes fails with ECANCELED; before, it was said to be done. */
export const WRITES_ARE_CANCELED = since('22.0.0');

/** A reset behind text in one wake-up is told in the next; before libuv 1.52 it read as the end of the text. */
export const RESETS_BEHIND_TEXT_ARE_TOLD = isAtLeast([1, 52], process.versions.uv!);

/** A request with more fields than `maxHeadersCount` is refused; before, those beyond were left out (CVE-2026-58044). */
export const EXTRA_FIELDS_ARE_REFUSED = since('22.23.2', '24.18.1', '26.5.1');

/** `rawHeaders` of a response ends at `maxHeadersCount`, not with the batch of fields in which that is reached. */
export const RAW_HEADERS_ARE_EXACT = since('22.23.2', '24.18.1', '26.5.1');

/** `writableCorked` of a message counts its own corks only. */
export const MESSAGES_COUNT_CORKS = since('22.0.0');

/** Callbacks of `end` are called before 'finish', with null, also of a second `end`; `writableFinished` is true from then on. */
export const END_CALLS_BACK_FIRST = since('24.21.0');

/** An idle connection in the pool of an agent that gets anything is destroyed, silently (CVE-2026-48931). */
export const FREE_SOCKETS_ARE_GUARDED = since('22.23.3', '24.21.0');

/** A request whose upload goes on behind its response hears of its socket's error; and all responses of a pipeline close. */
export const UPLOADS_FAIL_AFTER_RESPONSES = since('24.21.0');

/** Whether the undici that is this Node's fetch is this version or later. */
export const undiciIsAtLeast = (major: number, minor: number): boolean =>
  isAtLeast([major, minor], process.versions['undici'] ?? '0.0.0');
