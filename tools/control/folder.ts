import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/**
 * Where control sockets may stand, best first: $XDG_RUNTIME_DIR/tapwire, /run/user/UID/tapwire, and a folder of the
 * user's own under the system's temporary one.
 */
export function controlFolders(): string[] {
  const uid = userInfo().uid;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const folders = [`/run/user/${uid}/tapwire`, join(tmpdir(), `tapwire-${uid}`)];
  if (runtime?.startsWith('/') === true) folders.unshift(join(runtime, 'tapwire'));
  return [...new Set(folders)];
}

/** A folder that is ours alone: nobody else can put a socket of his in our place, or open ours. */
function isOurs(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === userInfo().uid && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/** The first folder that can be used, made when it is not there; null when there is none. */
export function makeControlFolder(): string | null {
  for (const folder of controlFolders()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch {
      // It is there already, or its parent is not.
    }
    if (isOurs(folder)) return folder;
  }
  return null;
}

/** A process that can be asked. */
export interface ControlPoint {
  readonly pid: number;
  readonly path: string;
}

/** The control sockets that stand in our folders, by process. Some may be left over from processes that were killed. */
export function findControlPoints(): ControlPoint[] {
  const found = new Map<number, ControlPoint>();
  for (const folder of controlFolders().filter(isOurs)) {
    for (const name of readdirSync(folder)) {
      const pid = Number(/^(\d{1,10})\.sock$/.exec(name)?.[1] ?? 'none');
      if (!Number.isNaN(pid) && !found.has(pid)) found.set(pid, { pid, path: join(folder, name) });
    }
  }
  return [...found.values()].sort((a, b) => a.pid - b.pid);
}
