import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** An editor writes a file in several steps: they count as one change. */
const SETTLE_MS = 60;

/**
 * Calls back with the scripts that changed, whenever some did: files by their names, all scripts below a folder. Returns
 * what stops it. Throws the system's error for a path that is not there.
 */
export function watchScripts(paths: readonly string[], changed: (files: readonly string[]) => void): () => void {
  const touched = new Set<string>();
  let timer: NodeJS.Timeout | null = null;
  const tell = (): void => {
    timer = null;
    const files = [...touched].sort();
    touched.clear();
    changed(files);
  };
  const touch = (file: string): void => {
    touched.add(file);
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(tell, SETTLE_MS);
  };
  const watchers: FSWatcher[] = paths.map((path) => {
    if (statSync(path).isDirectory()) {
      return watch(path, { recursive: true }, (_, name) => {
        if (name?.endsWith('.pkt') === true) touch(join(path, name));
      });
    }
    // Editors replace a file by a new one of its name: only its folder sees both.
    return watch(dirname(path), (_, name) => {
      if (name === basename(path)) touch(path);
    });
  });
  return () => {
    if (timer !== null) clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
