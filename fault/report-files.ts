import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Report } from './report';

/**
 * Makes a folder, with those above it, and makes sure that files can be written there: before the work whose outcome they
 * are to hold.
 *
 * @throws the system's error, with its path
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.unshift(at);
  // One by one: where a file system refuses with ENOENT, as /proc does, Node's recursive way tries for ever.
  for (const one of missing) mkdirSync(one);
  const probe = join(folder, `.tapwire-${process.pid}`);
  try {
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (error) {
    throw Object.assign(error as Error, { path: folder });
  }
}

/** Writes a file: all of it, or what was there before stays. @throws the system's error, with the path */
export function writeWhole(file: string, content: string | Uint8Array): void {
  const part = `${file}.part`;
  try {
    writeFileSync(part, content);
    renameSync(part, file);
  } catch (error) {
    try {
      rmSync(part, { force: true });
    } catch {
      // Why it could not be written is what there is to say.
    }
    throw Object.assign(error as Error, { path: file });
  }
}

/** Writes a report's four forms to a folder that is there; returns them as `NAME.{pcapng,txt,mmd,json}`. */
export function writeReport(folder: string, title: string, report: Omit<Report, 'title'>): string {
  const name = join(folder, title);
  writeWhole(`${name}.pcapng`, report.pcapng());
  writeWhole(`${name}.txt`, report.ladder());
  writeWhole(`${name}.mmd`, report.mermaid());
  writeWhole(`${name}.json`, JSON.stringify(report.json(), null, 2));
  return `${name}.{pcapng,txt,mmd,json}`;
}
