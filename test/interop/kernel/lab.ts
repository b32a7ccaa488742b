import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import kernelNet from 'node:net';
import type { Duplex } from 'node:stream';
import type { Device } from '../../../device/device';
import { type NativeDevice, openTap, openTun } from '../../../device/index';
import { createHost, type Host, type HostOptions } from '../../../net/host';
import { createNet, type Net } from '../../../net/index';
import { LINUX, type TcpProfile } from '../../../stack/tcp/profile';

/** A link between the kernel and the stack, and how both are set up. */
export interface Wire {
  readonly link?: 'tun' | 'tap';
  readonly v6?: boolean;
  readonly offload?: boolean;
  readonly mtu?: number;
  /** Changes to the stack's `linux` profile. */
  readonly profile?: Partial<TcpProfile>;
  /** The kernel's settings, by their names below /proc/sys/net: {"ipv4/tcp_sack": 0}. */
  readonly kernel?: Readonly<Record<string, number | string>>;
  readonly limits?: HostOptions['limits'];
}

export const KERNEL4 = '10.0.0.1';
export const STACK4 = '10.0.0.2';
const KERNEL6 = 'fd00::1';
const STACK6 = 'fd00::2';

export const command = (name: string, ...args: string[]): string => execFileSync(name, args, { encoding: 'utf8' });
export const ip = (...args: string[]): string => command('ip', ...args);

export const sysctl = (name: string, value: number | string): void =>
  writeFileSync(`/proc/sys/net/${name}`, String(value));

export const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `done` holds; throws after `ms`, which is long: other work may have the machine. */
export async function until(what: string, done: () => boolean, ms = 60_000): Promise<void> {
  const end = performance.now() + ms;
  while (!done()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await pass(2);
  }
}

/** The kernel and the stack, joined. */
export class Lab {
  readonly device: NativeDevice;
  readonly host: Host;
  /** The stack's sockets; the kernel's are `kernelNet`. */
  readonly net: Net;
  readonly kernel: string;
  readonly stack: string;

  constructor(
    readonly wire: Wire = {},
    wrap: (device: NativeDevice) => Device = (device) => device,
  ) {
    command('mount', '-t', 'sysfs', 'sysfs', '/sys');
    ip('link', 'set', 'lo', 'up');
    sysctl('ipv6/conf/default/accept_dad', 0);
    for (const [name, value] of Object.entries(wire.kernel ?? {})) sysctl(name, value);
    const open = wire.link === 'tap' ? openTap : openTun;
    const { offload, mtu } = wire;
    const addresses = wire.v6 === true ? [`${KERNEL6}/64`] : [`${KERNEL4}/24`];
    this.device = open({ name: 'lab0', hostAddress: addresses, offload, mtu });
    this.kernel = wire.v6 === true ? KERNEL6 : KERNEL4;
    this.stack = wire.v6 === true ? STACK6 : STACK4;
    this.host = createHost({
      devices: [{ device: wrap(this.device), addresses: [`${this.stack}/${wire.v6 === true ? 64 : 24}`] }],
      routes: [{ destination: wire.v6 === true ? '::/0' : '0.0.0.0/0', gateway: this.kernel }],
      profile: { ...LINUX, ...wire.profile },
      limits: wire.limits,
      poison: true,
    });
    this.net = createNet(this.host);
  }

  /** Both modules: who connects, and who listens. `side` names the one that connects. */
  sides(side: 'kernel' | 'stack'): { client: Net; server: Net; address: string } {
    const kernel = kernelNet as unknown as Net;
    return side === 'kernel'
      ? { client: kernel, server: this.net, address: this.stack }
      : { client: this.net, server: kernel, address: this.kernel };
  }

  /** What nothing may be left of, and what went wrong on the way; {} is good. */
  leftovers(): Record<string, number> {
    const { tcp, blocks, slabs, drops } = this.host.stack;
    const left: Record<string, number> = {
      connections: tcp.connections.size,
      'pieces of text': tcp.store.inUse,
      'send blocks': blocks.inUse,
      'pinned slabs': slabs.pinned(),
      'bad checksums':
        drops.counts['tcp-bad-checksum'] + drops.counts['ip-bad-checksum'] + drops.counts['udp-bad-checksum'],
    };
    return Object.fromEntries(Object.entries(left).filter(([, count]) => count > 0));
  }

  close(): void {
    this.host.close();
  }
}

/** `ss`'s words about the kernel's connections with the stack: "ts", "sack", "wscale:8,7", "mss:1448" … */
export const kernelSockets = (state = 'established'): string =>
  command('ss', '-tinoOH', 'state', state).replace(/\s+/g, ' ').trim();

export interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}
export type Socket = ReturnType<Net['connect']>;

/** Opens a connection from one side to the other; both sockets allow half-open connections. */
export async function connected(lab: Lab, side: 'kernel' | 'stack', options: object = {}): Promise<Pair> {
  const { client, server, address } = lab.sides(side);
  const listener = server.createServer({ allowHalfOpen: true });
  listener.listen(0, address);
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const socket = client.connect({ port, host: address, allowHalfOpen: true, ...options });
  await once(socket, 'connect');
  const [other] = await accepted;
  listener.close();
  return { client: socket, server: other };
}

/** Bytes that tell where in a stream they stand. */
export function pattern(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let i = 0; i + 4 <= bytes; i += 4) buffer.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i);
  return buffer.fill(0x5a, bytes & ~3);
}

export const digest = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

/** Reads to the end; resolves with how much there was and its digest. The other direction stays open. */
export function readAll(socket: Duplex): Promise<{ bytes: number; sha1: string }> {
  const hash = createHash('sha1');
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  return new Promise((resolve, reject) => {
    socket.on('end', () => resolve({ bytes, sha1: hash.digest('hex') }));
    socket.on('error', reject);
    socket.resume();
  });
}

/** Sends `bytes` from one socket to the other and ends; throws unless exactly they arrive. */
export async function send(from: Socket, to: Socket, bytes: number): Promise<void> {
  const text = pattern(bytes);
  const arrived = readAll(to);
  from.end(text);
  const got = await arrived;
  if (got.bytes !== bytes || got.sha1 !== digest(text))
    throw new Error(`${got.bytes} of ${bytes} bytes arrived, or others`);
}

/** Both directions at once. */
export const sendBoth = async ({ client, server }: Pair, bytes: number): Promise<void> => {
  await Promise.all([send(client, server, bytes), send(server, client, bytes)]);
};

/** Waits until neither side knows anything of the connections any more. */
export async function settled(lab: Lab): Promise<Record<string, number>> {
  await until('quiet', () => Object.keys(lab.leftovers()).length === 0, 30_000).catch(() => {});
  return lab.leftovers();
}

/** Another network, in a process that only holds it: the other side of a cable `far0` (there) – `near0` (here). */
export async function farNetwork(): Promise<{ pid: number; run(...args: string[]): string; close(): void }> {
  const holder = spawn('unshare', ['-n', 'sleep', '120'], { stdio: 'ignore' });
  const pid = holder.pid!;
  await until(
    'a network of its own',
    () => command('readlink', `/proc/${pid}/ns/net`) !== command('readlink', '/proc/self/ns/net'),
  );
  ip('link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'far0');
  ip('link', 'set', 'far0', 'netns', String(pid));
  return {
    pid,
    run: (...args) => command('nsenter', '-t', String(pid), '-n', ...args),
    close: () => {
      holder.kill('SIGKILL');
    },
  };
}
