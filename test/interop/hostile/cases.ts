import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type Growth, Stand, until } from './stand';

/*
 * Each runs in a process and a network of its own, and returns what was seen.
 */

export interface Seen {
  /** "curl: 200 …", "ok" and the like, by how often. */
  readonly polite: Record<string, number>;
  /** First lines that attackers were told, or their errors, by how often. */
  readonly told: Record<string, number>;
  /** What the server's process took at most beyond what it had. */
  readonly most: Growth;
  readonly left: object;
  readonly more: Record<string, number>;
}

const nothing = (): void => {};

/** Heads that never end. */
export async function slowloris(connections: number): Promise<Seen> {
  const stand = new Stand(nothing, { headersTimeout: 0, requestTimeout: 0, connectionsCheckingInterval: 20 });
  let server!: import('node:http').Server;
  await stand.start((it) => {
    server = it;
  });
  const attack = await stand.attack(connections, { first: ['GET / HTTP/1.1\r\n'], reads: true });
  for (const send of ['Host: a\r\n', 'X-1: b\r\n', 'X-']) {
    const before = stand.held.devices[0]!.rxFrames;
    attack.tell({ send });
    await until('all have sent', () => stand.held.devices[0]!.rxFrames - before >= connections);
  }
  await until('nothing received is kept', () => stand.held.receiveNodes === 0);
  const { connectionsTotal, receiveNodes } = stand.held;
  await stand.stillServes();
  server.headersTimeout = 1;
  const told = await attack.over();
  server.headersTimeout = 0;
  return { ...(await stand.end()), told, more: { connectionsTotal, receiveNodes } };
}

/** Heads, trailers and chunk extensions without end. */
export async function bombs(connections: number): Promise<Seen> {
  const stand = new Stand((request, response) => {
    request.resume();
    request.on('error', nothing);
    response.on('error', nothing);
  });
  const refused: Record<string, number> = {};
  await stand.start((server) => {
    // The default answer, and a note of it: what a reset lets an attacker still read is the kernel's business.
    server.on('clientError', (error: Error & { code: string }, socket) => {
      refused[error.code] = (refused[error.code] ?? 0) + 1;
      socket.destroy();
    });
  });
  const before = stand.held.devices[0]!.rxBytes;
  const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const first = ['GET / HTTP/1.1\r\nHost: a\r\n', 'GET / HTTP/1.1\r\nHost: ', 'GET / HTTP/1.1\r\nHost: a\r\n', 'GET /'];
  const attack = await stand.attack(connections, {
    first: [...first, `${POST}1;`, `${POST}0\r\n`],
    flood: ['x', 'x', 'a: b\r\n', 'x', 'ext=ension;', 'a: b\r\n'],
    reads: true,
  });
  const told = await attack.over();
  const rxBytes = stand.held.devices[0]!.rxBytes - before;
  await stand.stillServes();
  return { ...(await stand.end()), told, more: { ...refused, rxBytes } };
}

/** Bodies without end that nobody reads. */
export async function chunks(connections: number): Promise<Seen> {
  const held: IncomingMessage[] = [];
  const stand = new Stand((request) => {
    request.on('error', nothing);
    // Opened, so that its body comes in; never read.
    request.on('data', nothing).pause();
    held.push(request);
  });
  await stand.start();
  const attack = await stand.attack(connections, {
    first: ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
    flood: [`400\r\n${'x'.repeat(1024)}\r\n`],
    reads: true,
  });
  await until('all are held', () => held.length === connections);
  const attackers = [...stand.host.stack.tcp.connections].filter((c) => c.remote.toString() !== '10.0.0.1');
  await until('windows are closed', () => attackers.every((c) => c.charged >= c.receiveLimit - 2 * c.mss));
  const unread = Math.max(...held.map((request) => request.readableLength));
  const beyond = Math.max(...attackers.map((c) => c.charged - c.receiveLimit));
  const bytes = attackers.reduce((sum, c) => sum + c.readable, 0);
  await stand.stillServes();
  attack.tell({ leave: true });
  const told = await attack.over();
  return { ...(await stand.end()), told, more: { unread, beyond, bytes } };
}

/** Responses that nobody takes. */
export async function stalled(connections: number, sendBytesMax: number): Promise<Seen> {
  const body = Buffer.alloc(1_000_000, 'x');
  const writing: ServerResponse[] = [];
  // The kernel takes little, so that the stack has to keep the rest.
  const kernel = { 'ipv4/tcp_rmem': '4096 4096 4096' };
  const stand = new Stand(
    (_request, response) => {
      response.on('error', nothing);
      writing.push(response);
      response.end(body);
    },
    {},
    { sendBytesMax },
    { kernel },
  );
  await stand.start();
  const attack = await stand.attack(connections, { first: ['GET /big HTTP/1.1\r\nHost: a\r\n\r\n'], reads: false });
  await until('all are written to', () => writing.length === connections);
  const { blocks } = stand.host.stack;
  await until('all memory for it is taken', () => blocks.holders >= connections && !blocks.hasRoom);
  await stand.stillServes();
  const { bytesInUse } = blocks;
  const finished = writing.filter((response) => response.writableFinished).length;
  attack.tell({ leave: true });
  const told = await attack.over();
  return { ...(await stand.end()), told, more: { bytesInUse, finished } };
}

/** SYNs from everywhere, of which nothing more is heard. */
export async function halfOpen(frames: number): Promise<Seen> {
  const stand = new Stand(nothing, {}, {}, { link: 'tap' });
  await stand.start();
  const { tcp } = stand.host.stack;
  let connectionsMax = 0;
  const watch = setInterval(() => {
    connectionsMax = Math.max(connectionsMax, tcp.connections.size);
  }, 5);
  const before = stand.held.devices[0]!.rxFrames;
  const mac = [...stand.mac!].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
  const flood = { kind: 'syn', frames, mac, port: 80, kernelPort: 0 };
  const child = join(__dirname, '..', 'kernel', 'child.cjs');
  const flooder = spawn(process.execPath, [child, 'flooder', JSON.stringify(flood)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(flooder, 'exit');
  clearInterval(watch);
  await stand.stillServes();
  const { cookiesSent } = tcp.counters;
  const framesIn = stand.held.devices[0]!.rxFrames - before;
  return { ...(await stand.end()), told: {}, more: { code, connectionsMax, cookiesSent, framesIn } };
}

const CASES: Readonly<Record<string, (...args: number[]) => Promise<Seen>>> = {
  slowloris,
  bombs,
  chunks,
  stalled,
  halfOpen,
};

async function main([name, ...args]: string[]): Promise<void> {
  const seen = await CASES[name!]!(...args.map(Number));
  process.stdout.write(`\n${JSON.stringify(seen)}\n`, () => process.exit(0));
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
