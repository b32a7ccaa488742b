import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, limitOfDescriptors, type Server } from './lab';
import { median, type Row } from './table';

/*
 * What a kept-open HTTP connection costs whoever serves it. A round is a fresh process of each side; connections come in
 * steps, each used once and then idle, and after each step all garbage is collected and memory read.
 */

const STEPS = 8;
const EXTENSION = __filename.endsWith('.ts') ? '.ts' : '.js';
const CLIENT = join(__dirname, 'clients', `idle${EXTENSION}`);
/** Ports of one address, of which each connection takes one. */
const PORTS_MAX = 60_000;
/** Descriptors of a server beside its connections. */
const DESCRIPTORS_BESIDE = 100;

/** What the kernel keeps for a TCP socket. Directory entries, another 192 bytes each, are too many of others to count. */
const SOCKET_CACHES = /^(TCP|TCPv6|sock_inode_cache|filp|eventpoll_epi) +(\d+) +\d+ +(\d+)/gm;

/** One reading, in bytes. */
interface Reading {
  readonly connections: number;
  readonly resident: number;
  readonly heap: number;
  readonly kernel: number;
}

/** Why so many connections cannot be had here, or null. */
export function idleRefusal(connections: number): string | null {
  const most = Math.min(PORTS_MAX, limitOfDescriptors() - DESCRIPTORS_BESIDE);
  if (connections <= most) return null;
  return `--idle ${connections}: at most ${most} connections here, for ports or open files (ulimit -n)`;
}

function kernelBytes(): number {
  let text: string;
  try {
    text = readFileSync('/proc/slabinfo', 'latin1');
  } catch {
    return Number.NaN;
  }
  let bytes = 0;
  for (const [, , objects, size] of text.matchAll(SOCKET_CACHES)) bytes += Number(objects) * Number(size);
  return bytes;
}

async function read(server: Server, connections: number): Promise<Reading> {
  const { rss, heapUsed, external } = await server.ask('memory');
  return { connections, resident: rss!, heap: heapUsed! + external!, kernel: kernelBytes() };
}

/** The line through the points, by least squares: its slope, and where it begins. */
function line(points: readonly Reading[], of: (reading: Reading) => number): { slope: number; start: number } {
  const n = points.length;
  const meanX = points.reduce((sum, p) => sum + p.connections, 0) / n;
  const meanY = points.reduce((sum, p) => sum + of(p), 0) / n;
  let above = 0;
  let below = 0;
  for (const p of points) {
    above += (p.connections - meanX) * (of(p) - meanY);
    below += (p.connections - meanX) ** 2;
  }
  const slope = above / below;
  return { slope, start: meanY - slope * meanX };
}

/**
 * `each`: resident bytes of the process for each connection, by the line through the second half of the steps, where V8's
 * young generation has grown to its size on both sides. `first`: the same for the first half from a process that has
 * served nothing yet, all that grows once included. `heap`: the part of `each` that JavaScript's objects and buffers are.
 * `kernel`: what the kernel keeps for sockets, those of the client included. `base`: megabytes without a connection.
 */
function summary(readings: readonly Reading[]): Record<string, number> {
  const half = readings.length >> 1;
  const steady = readings.slice(half);
  const { slope, start } = line(steady, (r) => r.resident);
  const [fresh, middle] = [readings[0]!, readings[half]!];
  return {
    each: slope,
    first: (middle.resident - fresh.resident) / middle.connections,
    heap: line(steady, (r) => r.heap).slope,
    kernel: line(readings, (r) => r.kernel).slope,
    'base MB': start / 1e6,
  };
}

async function round(lab: Lab, start: (lab: Lab) => Promise<Server>, connections: number) {
  const server = await start(lab);
  const client = await lab.companion(CLIENT, [server.host]);
  const readings = [await read(server, 0)];
  for (let step = 1; step <= STEPS; step++) {
    const held = Math.round((connections * step) / STEPS);
    await lab.tell(client, String(held - readings[step - 1]!.connections));
    readings.push(await read(server, held));
  }
  client.kill('SIGKILL');
  await server.stop();
  return summary(readings);
}

/** Medians of `rounds` rounds of each subject, in turns. */
export async function idleMemory(
  lab: Lab,
  rounds: number,
  connections: number,
  subjects: ReadonlyArray<{ readonly name: string; start(lab: Lab): Promise<Server> }>,
): Promise<Row[]> {
  const results: Record<string, number[]>[] = subjects.map(() => ({}));
  for (let n = 0; n < rounds; n++) {
    for (const [i, subject] of subjects.entries()) {
      const values = await round(lab, subject.start, connections);
      for (const [key, value] of Object.entries(values)) (results[i]![key] ??= []).push(value);
    }
  }
  return subjects.map(({ name }, i) => ({
    name,
    values: Object.fromEntries(Object.entries(results[i]!).map(([key, list]) => [key, median(list)])),
  }));
}
