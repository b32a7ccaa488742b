import { chmodSync, rmSync } from 'node:fs';
import * as nodeNet from 'node:net';
import { join } from 'node:path';
import type { Host } from '../../net/host';
import { reportOn } from '../report';
import { hostSockets } from '../ss/entries';
import { makeControlFolder } from './folder';

/** Asked for as one line of JSON. */
export type ControlRequest = { readonly ask: 'sockets' | 'report' };

/** The first line of every answer. */
export interface ControlHead {
  readonly tapwire: 1;
  readonly pid: number;
  readonly title: string;
}

/** Taken before a drop-in replaces it. */
const { createServer } = nodeNet;

const REQUEST_BYTES_MAX = 4096;
const CLIENTS_MAX = 8;
const PATIENCE_MS = 10_000;
/** Lines that are made before others have their turn. */
const LINES_PER_TURN = 256;

const hosts = new Map<string, Host>();
let server: nodeNet.Server | null = null;
let path = '';
let title = '';

const removeAtExit = (): void => rmSync(path, { force: true });

/**
 * Lets `tapwire ss` look at `host`, under that name or one like it. The first host of a process opens a Unix socket that
 * only this user may open, PID.sock in a folder of his own; it does not keep the process alive. Returns what takes the
 * host away again, and the socket with the last one. Where no folder can be used nothing is opened.
 */
export function showHost(name: string, host: Host, processTitle: string): () => void {
  const unique = uniqueName(name);
  hosts.set(unique, host);
  if (server === null) open(processTitle);
  return () => {
    if (hosts.get(unique) !== host) return;
    hosts.delete(unique);
    if (hosts.size === 0) close();
  };
}

function uniqueName(name: string): string {
  let unique = name;
  for (let n = 2; hosts.has(unique); n++) unique = `${name}-${n}`;
  return unique;
}

function open(processTitle: string): void {
  const folder = makeControlFolder();
  if (folder === null) return;
  title = processTitle;
  path = join(folder, `${process.pid}.sock`);
  // A process that was killed had our number.
  rmSync(path, { force: true });
  const created = createServer(serve);
  server = created;
  created.maxConnections = CLIENTS_MAX;
  // Not being watchable is no reason to fail.
  created.on('error', close);
  created.listen(path, () => {
    try {
      chmodSync(path, 0o600);
    } catch {
      close();
    }
  });
  created.unref();
  process.once('exit', removeAtExit);
}

function close(): void {
  if (server === null) return;
  server.close();
  server = null;
  process.off('exit', removeAtExit);
  removeAtExit();
}

function serve(socket: nodeNet.Socket): void {
  let text = '';
  socket.unref();
  socket.setEncoding('utf8');
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (piece: string) => {
    text += piece;
    const end = text.indexOf('\n');
    if (text.length > REQUEST_BYTES_MAX) return void socket.destroy();
    if (end < 0) return;
    socket.pause();
    socket.removeAllListeners('data');
    pour(socket, answer(text.slice(0, end)));
  });
}

/** The lines of an answer, made one by one: a stack may have a hundred thousand sockets. */
function* answer(line: string): Generator<object> {
  yield { tapwire: 1, pid: process.pid, title } satisfies ControlHead;
  const ask = askOf(line);
  if (ask === 'report') yield reportOn(Object.fromEntries(hosts));
  else if (ask === 'sockets') {
    for (const [name, host] of hosts) {
      yield { host: name };
      yield* hostSockets(host);
    }
  } else yield { error: 'this process knows "sockets" and "report" only: both sides should have the same version' };
  yield { end: true };
}

function askOf(line: string): unknown {
  try {
    return (JSON.parse(line) as Partial<ControlRequest> | null)?.ask;
  } catch {
    return null;
  }
}

function pour(socket: nodeNet.Socket, lines: Generator<object>): void {
  let text = '';
  for (let n = 0; n < LINES_PER_TURN; n++) {
    const { value, done } = lines.next();
    if (done === true) return void socket.end(text);
    text += `${JSON.stringify(value)}\n`;
  }
  if (socket.destroyed) return;
  const again = (): void => pour(socket, lines);
  if (socket.write(text)) setImmediate(again);
  else socket.once('drain', again);
}
