import { readdir, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { escapeHtml, htmlPage } from './html';
import { send as reply, sendText } from './labs';

/** What is used of the package send, which brings no types. */
interface SendStream {
  on(event: 'error', listener: (error: Error & { status?: number }) => void): SendStream;
  on(event: 'directory', listener: (res: ServerResponse, path: string) => void): SendStream;
  pipe(res: ServerResponse): void;
}
type Send = (req: IncomingMessage, path: string, options: Readonly<Record<string, unknown>>) => SendStream;

const sendFile = require('send') as Send;

/** More names than this are not listed: the page would be of no use, and it is made in memory. */
const NAMES_MAX = 10_000;

/**
 * Serves the files of `root`: ranges, conditional requests and types are the library's; a folder without index.html is
 * listed. Names that begin with a dot do not exist. `missing` is called for what is not there.
 */
export function serveFile(root: string, req: IncomingMessage, res: ServerResponse, missing: () => void): void {
  if (req.method !== 'GET' && req.method !== 'HEAD') return missing();
  const path = (req.url ?? '/').split(/[?#]/, 1)[0]!;
  sendFile(req, path, { root, dotfiles: 'ignore', index: 'index.html' })
    .on('error', (error) => {
      const status = error.status ?? 500;
      if (status === 404) list();
      else sendText(res, status, `${error.message}\n`);
    })
    .on('directory', list)
    .pipe(res);

  function list(): void {
    if (!path.endsWith('/')) return void redirectOrMissing();
    listFolder(root, path).then(
      (html) => (html === null ? missing() : reply(res, 200, 'text/html; charset=utf-8', html)),
      (error: Error) => sendText(res, 500, `${error.message}\n`),
    );
  }

  function redirectOrMissing(): void {
    const name = decoded(path);
    if (name === null) return missing();
    isFolder(join(root, name)).then(
      (yes) => {
        if (!yes) return missing();
        // "//host" would be another site to a browser.
        res.setHeader('Location', `${path.replace(/^\/+/, '/')}/`);
        sendText(res, 301, `${path}/\n`);
      },
      () => missing(),
    );
  }
}

/** The path without percent signs, with nothing in it that leaves the folder or is hidden; null when it has. */
function decoded(path: string): string | null {
  try {
    const text = decodeURIComponent(path);
    const parts = text.split('/');
    return text.includes('\0') || parts.some((part) => part.startsWith('.')) ? null : text;
  } catch {
    return null;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}

/** The page that lists a folder; null when there is no such folder. */
async function listFolder(root: string, path: string): Promise<string | null> {
  const name = decoded(path);
  if (name === null) return null;
  const folder = join(root, name);
  let entries: { name: string; folder: boolean }[];
  try {
    const found = await readdir(folder, { withFileTypes: true });
    entries = found
      .filter((entry) => !entry.name.startsWith('.'))
      .map((entry) => ({ name: entry.name, folder: entry.isDirectory() }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return null;
    throw error;
  }
  entries.sort((a, b) => Number(b.folder) - Number(a.folder) || (a.name < b.name ? -1 : 1));
  const rows = await Promise.all(entries.slice(0, NAMES_MAX).map((entry) => rowOf(folder, entry)));
  const up = name === '/' ? '' : '<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n';
  const more = entries.length > NAMES_MAX ? `<p>and ${entries.length - NAMES_MAX} more</p>` : '';
  return htmlPage(`Index of ${name}`, `<table>\n${up}${rows.join('')}</table>${more}`);
}

async function rowOf(folder: string, entry: { name: string; folder: boolean }): Promise<string> {
  const shown = entry.folder ? `${entry.name}/` : entry.name;
  const href = `./${encodeURIComponent(entry.name)}${entry.folder ? '/' : ''}`;
  let size = '';
  let changed = '';
  try {
    const { size: bytes, mtime } = await stat(join(folder, entry.name));
    size = entry.folder ? '' : String(bytes);
    changed = mtime.toISOString().slice(0, 16).replace('T', ' ');
  } catch {
    // A dangling link: shown, without figures.
  }
  return `<tr><td><a href="${escapeHtml(href)}">${escapeHtml(shown)}</a></td><td class="n">${size}</td><td>${changed}</td></tr>\n`;
}
