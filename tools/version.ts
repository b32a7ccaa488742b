let known: string | null = null;

/** The package's version. */
export function version(): string {
  known ??= read();
  return known;
}

function read(): string {
  // One up from tools/, two up from dist/tools/.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return (require(path) as { version: string }).version;
    } catch {
      // Not this one.
    }
  }
  return 'unknown';
}
