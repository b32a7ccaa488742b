import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openPacket } from '../../../device/index';
import { Arenas, heapRegions } from '../../../stack/base/memory';
import { TxQueue } from '../../../stack/base/tx-queue';
import * as f from '../../unit/stack/ip/frames';
import {
  connected,
  digest,
  ip,
  KERNEL4,
  Lab,
  pass,
  pattern,
  readAll,
  type Socket,
  STACK4,
  settled,
  until,
} from './lab';

/** What a flooder sends: SYNs from everywhere, or segments that pretend to be of one connection. */
interface Flood {
  readonly kind: 'syn' | 'blind';
  readonly frames: number;
  /** The stack's link address. */
  readonly mac: string;
  readonly port: number;
  /** The connection's other port, for 'blind'. */
  readonly kernelPort: number;
}

/** The kinds of segment that somebody who sees nothing can send into a connection. */
const BLIND_FLAGS = [f.RST, f.RST | f.ACK, f.SYN, f.SYN | f.ACK, f.ACK, f.ACK, 1 | f.ACK];

function forged(flood: Flood, n: number): Uint8Array {
  const random = (): number => Math.floor(Math.random() * 0x1_0000_0000);
  if (flood.kind === 'syn') {
    const from = `198.${18 + (n % 2)}.${(n >> 9) & 255}.${(n >> 1) & 255}`;
    const options = [2, 4, 5, 180, 4, 2, 8, 10, ...f.long(n), 0, 0, 0, 0, 1, 3, 3, 7];
    const segment = f.tcp({
      from,
      to: STACK4,
      sport: 1024 + (random() % 60_000),
      dport: flood.port,
      seq: random(),
      options,
    });
    return f.ethernet(f.ip4(f.TCP, segment, { from, to: STACK4 }), { to: flood.mac });
  }
  const ends = { from: KERNEL4, to: STACK4, sport: flood.kernelPort, dport: flood.port };
  if (n % 10 === 9) {
    // A router's word about a segment that the stack has hardly sent.
    const quote = f.tcp({ from: STACK4, to: KERNEL4, sport: flood.port, dport: flood.kernelPort, seq: random() });
    const packet = f.ip4(f.TCP, quote.slice(0, 8), { from: STACK4, to: KERNEL4, length: 1500 });
    const [code, rest] = n % 20 === 9 ? [4, 600] : [3, 0];
    return f.ethernet(f.ip4(f.ICMP, f.icmp4(3, code, rest, packet)), { to: flood.mac });
  }
  const flags = BLIND_FLAGS[n % BLIND_FLAGS.length]!;
  const text = flags === f.ACK && n % 5 === 0 ? f.bytesOf(32) : [];
  return f.ethernet(
    f.ip4(f.TCP, f.tcp({ ...ends, flags, seq: random(), ack: random(), text }), { from: KERNEL4, to: STACK4 }),
    {
      to: flood.mac,
    },
  );
}

/** Runs in a process of its own, beside the one under attack: sends the flood out of the kernel's end of the link. */
export async function flooder(flood: Flood): Promise<number> {
  const device = openPacket({ interface: 'lab0', offload: false });
  const queue = new TxQueue(new Arenas(heapRegions));
  // Frames are made beforehand, so that they can be sent at any speed.
  const made = Array.from({ length: Math.min(flood.frames, 5000) }, (_, n) => forged(flood, n));
  let sent = 0;
  while (sent < flood.frames) {
    for (let i = 0; i < 200 && sent + i < flood.frames; i++) {
      const frame = made[(sent + i) % made.length]!;
      const at = queue.begin();
      queue.header.set(frame, at);
      queue.headers(frame.length);
      queue.commit();
    }
    const taken = device.transmit(queue, 0, queue.frames);
    sent += taken;
    queue.clear();
    // The link's queue is finite; what does not fit is lost, and attacks nobody.
    await pass(1);
  }
  device.close();
  return sent;
}

function startFlood(flood: Flood): ChildProcess {
  const child = join(__dirname, 'child.cjs');
  return spawn(process.execPath, [child, 'flooder', JSON.stringify(flood)], { stdio: ['ignore', 'ignore', 'inherit'] });
}

const macText = (mac: Uint8Array): string => [...mac].map((octet) => octet.toString(16).padStart(2, '0')).join(':');

interface Attack {
  readonly intact: boolean;
  readonly errors: string[];
  readonly cookies: number;
  readonly connectionsMax: number;
  readonly framesIn: number;
  /** Forged segments that fell into a window and were answered with a challenge (RFC 5961). */
  readonly challenged: number;
  readonly grownMb: number;
  readonly newcomer: boolean;
}

/** Sends text for as long as `busy` runs; resolves with whether exactly that arrived. */
async function steady(from: Socket, to: Socket, busy: Promise<unknown>): Promise<boolean> {
  let done = false;
  void busy.then(() => {
    done = true;
  });
  const piece = pattern(64_000);
  const arrived = readAll(to);
  let pieces = 0;
  while (!done) {
    if (!from.write(piece)) await once(from, 'drain');
    pieces++;
    await pass(2);
  }
  from.end();
  const got = await arrived;
  return got.bytes === pieces * piece.length && got.sha1 === digest(Buffer.concat(new Array(pieces).fill(piece)));
}

/** A transfer in both directions goes on while the stack is flooded. */
export async function flooded(kind: Flood['kind'], frames: number): Promise<Attack> {
  const lab = new Lab({ link: 'tap', offload: false });
  const { tcp } = lab.host.stack;
  const listener = lab.net.createServer((socket) => socket.resume().end('welcome'));
  listener.listen(7, lab.stack, 64);
  await once(listener, 'listening');
  const pair = await connected(lab, 'kernel');
  const errors: string[] = [];
  for (const socket of [pair.client, pair.server]) socket.on('error', (error) => errors.push(error.message));
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  // A busy machine lets the queue grow; it is not to lose the attack.
  ip('link', 'set', 'lab0', 'txqueuelen', '30000');
  const port = kind === 'syn' ? 7 : pair.server.localPort!;
  const flood = startFlood({ kind, frames, mac: macText(lab.device.mac!), port, kernelPort: pair.client.localPort! });
  const over = once(flood, 'close');
  let connectionsMax = 0;
  const watch = setInterval(() => {
    connectionsMax = Math.max(connectionsMax, tcp.connections.size);
  }, 5);
  const both = [steady(pair.client, pair.server, over), steady(pair.server, pair.client, over)];
  // In the middle of it all somebody new comes, if the port is under attack.
  const newcomer = kind === 'syn' ? await welcome(lab) : true;
  const intact = (await Promise.all(both)).every(Boolean);
  clearInterval(watch);
  globalThis.gc?.();
  const grownMb = Math.round((process.memoryUsage().rss - before) / 1e6);
  listener.close();
  const { cookiesSent } = tcp.counters;
  const { counts } = lab.host.stack.drops;
  const challenged =
    counts['tcp-rst-challenge'] + counts['tcp-syn-challenge'] + counts['tcp-old-ack'] + counts['tcp-bad-ack'];
  await until('half-open ones are few', () => tcp.connections.size <= 66);
  lab.close();
  const { rxFrames: framesIn } = lab.device.counters;
  return { intact, errors, cookies: cookiesSent, connectionsMax, framesIn, challenged, grownMb, newcomer };
}

/** A true client connects to the flooded port. */
async function welcome(lab: Lab): Promise<boolean> {
  await until('cookies are out', () => lab.host.stack.tcp.counters.cookiesSent > 100);
  const { client } = lab.sides('kernel');
  const socket = client.connect({ port: 7, host: lab.stack });
  // With cookies a server knows nothing of a client whose ACK the flood has swept away, until it speaks.
  socket.write('hello');
  return (await readAll(socket)).bytes === 7;
}

/** nmap looks at ports, versions and the kind of system while a transfer runs. Null: it is not installed. */
export async function scanned(): Promise<{ intact: boolean; ports: string[]; left: object } | null> {
  const lab = new Lab({ link: 'tap', offload: false });
  const listener = lab.net.createServer((socket) => socket.on('error', () => {}).end('hello\r\n'));
  listener.listen(7, lab.stack);
  await once(listener, 'listening');
  const pair = await connected(lab, 'kernel');
  const scan = promisify(execFile)('nmap', [
    '-n',
    '-Pn',
    '-sS',
    '-sV',
    '-O',
    '--version-light',
    '--max-os-tries',
    '1',
    '--max-retries',
    '1',
    '-T5',
    '-p',
    '7,9',
    lab.stack,
  ]).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  const intact = await steady(pair.client, pair.server, scan);
  pair.server.end();
  pair.client.resume();
  const result = await scan;
  listener.close();
  const left = await settled(lab);
  lab.close();
  if (result === null) return null;
  const ports = result.stdout.split('\n').filter((line) => /^\d+\/tcp/.test(line));
  return { intact, ports: ports.map((line) => line.split(/\s+/).slice(0, 2).join(' ')), left };
}
