import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Report } from '../report';
import type { SocketEntry } from '../ss/entries';
import type { ControlPoint } from './folder';
import type { ControlHead, ControlRequest } from './server';

/** What one process told. */
export interface Told {
  readonly pid: number;
  readonly title: string;
  readonly lines: object[];
}

const PATIENCE_MS = 10_000;

/**
 * Asks one process. Null when nobody answers there any more; what a killed process left is removed.
 * @throws Error when it answers, but not as expected
 */
export function ask(point: ControlPoint, question: ControlRequest): Promise<Told | null> {
  return new Promise((resolve, reject) => {
    const chunks: string[] = [];
    const socket = connect(point.path);
    socket.setEncoding('utf8');
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`process ${point.pid} does not answer`)));
    socket.on('connect', () => socket.write(`${JSON.stringify(question)}\n`));
    socket.on('data', (piece) => chunks.push(String(piece)));
    socket.on('end', () => {
      try {
        resolve(read(chunks.join(''), point));
      } catch (error) {
        reject(error);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') rmSync(point.path, { force: true });
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(null);
      else reject(error);
    });
  });
}

function read(text: string, { pid }: ControlPoint): Told {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as object);
  const head = lines.shift() as Partial<ControlHead> | undefined;
  const last = lines.pop();
  if (head?.tapwire !== 1 || last === undefined || !('end' in last)) {
    throw new Error(`process ${pid} gave no complete answer`);
  }
  const refusal = lines.find((line): line is { error: string } => 'error' in line);
  if (refusal !== undefined) throw new Error(`process ${pid}: ${refusal.error}`);
  return { pid, title: String(head.title), lines };
}

/** The sockets of a process, by host. */
export async function askSockets(
  point: ControlPoint,
): Promise<{ title: string; hosts: Map<string, SocketEntry[]> } | null> {
  const told = await ask(point, { ask: 'sockets' });
  if (told === null) return null;
  const hosts = new Map<string, SocketEntry[]>();
  let entries: SocketEntry[] = [];
  for (const line of told.lines) {
    if ('host' in line) hosts.set(String(line.host), (entries = []));
    else entries.push(line as SocketEntry);
  }
  return { title: told.title, hosts };
}

/** What a process holds. */
export async function askReport(point: ControlPoint): Promise<{ title: string; report: Report } | null> {
  const told = await ask(point, { ask: 'report' });
  return told === null ? null : { title: told.title, report: told.lines[0] as Report };
}
