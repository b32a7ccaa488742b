import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { parseCidr } from '../../device/cidr';
import { type Device, FRAMES_PER_BATCH } from '../../device/device';
import type { NativeDevice } from '../../device/native-device';
import { addAddress, addNeighbor, bringLoopbackUp, findLink, listAddresses, setLink } from '../../device/netlink';
import { openPacket } from '../../device/packet';
import { tunSupport } from '../../device/support';
import { openTap, openTun } from '../../device/tun';
import { Arenas, heapRegions, SLAB_BYTES, Slab } from '../../stack/base/memory';
import { TX_CHECKSUM_PARTIAL, TX_FIXED, TX_FLAGS, TX_PIECES, TX_SEGMENT, TxQueue } from '../../stack/base/tx-queue';
import { put, type Received, receiveOnce, send } from '../unit/device/frames';

/* What the tests of device.test.ts do inside a namespace. Each function is one scenario; its result is checked there. */

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;
const interfaces = (): string[] => readdirSync('/proc/self/net/dev_snmp6').sort();

/** Frames until `wanted` says that one is it; fails after two seconds. */
async function firstFrame(device: Device, wanted: (frame: Received) => boolean): Promise<Received> {
  const slab = new Slab(0, new Uint8Array(SLAB_BYTES));
  let stop = (): void => {};
  const late = setTimeout(() => stop(), 2000);
  const found = await new Promise<Received | null>((resolve) => {
    stop = () => resolve(null);
    device.onReadable(() => {
      slab.fill = 0;
      const frame = receiveOnce(device, slab).find(wanted);
      if (frame) resolve(frame);
    });
  });
  clearTimeout(late);
  device.onReadable(null);
  if (found === null) throw new Error('no such frame in two seconds');
  return found;
}

const sum16 = (bytes: Uint8Array, initial = 0): number => {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
};

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const bytes4 = (address: string): number[] => address.split('.').map(Number);
const word = (value: number): number[] => [value >>> 8, value & 0xff];

/** An IPv4 header, checksum included. */
function ipv4(from: string, to: string, protocol: number, payloadBytes: number): number[] {
  const header = [
    0x45,
    0,
    ...word(20 + payloadBytes),
    0,
    0,
    0x40,
    0,
    64,
    protocol,
    0,
    0,
    ...bytes4(from),
    ...bytes4(to),
  ];
  header.splice(10, 2, ...word(~sum16(Uint8Array.from(header)) & 0xffff));
  return header;
}

function udp4(from: string, fromPort: number, to: string, toPort: number, payload: Uint8Array): Uint8Array {
  const udp = [...word(fromPort), ...word(toPort), ...word(8 + payload.length), 0, 0, ...payload];
  return Uint8Array.from([...ipv4(from, to, 17, udp.length), ...udp]);
}

function udp6(from: Uint8Array, to: Uint8Array, fromPort: number, toPort: number, payload: Uint8Array): Uint8Array {
  const udp = [...word(fromPort), ...word(toPort), ...word(8 + payload.length), 0, 0, ...payload];
  const pseudo = sum16(Uint8Array.from([...from, ...to, 0, 0, ...word(udp.length), 0, 0, 0, 17]));
  udp.splice(6, 2, ...word(~sum16(Uint8Array.from(udp), pseudo) & 0xffff));
  return Uint8Array.from([0x60, 0, 0, 0, ...word(udp.length), 17, 64, ...from, ...to, ...udp]);
}

const isUdp4 = (f: Received): boolean => f.bytes[0]! >>> 4 === 4 && f.bytes[9] === 17;

/** A datagram from the kernel reaches the device, and one from the device a socket of the kernel. */
export async function tunBothWays(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: ['10.0.0.1/24', 'fd00::1/64'] });
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  const socket6 = createSocket('udp6').bind(700, 'fd00::1');
  await Promise.all([once(socket, 'listening'), once(socket6, 'listening')]);
  socket.send('to the stack', 9, '10.0.0.2');
  const out = await firstFrame(device, isUdp4);
  const arrived = once(socket, 'message');
  send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('to the kernel')));
  const [message, info] = await arrived;
  const mine6 = parseCidr('fd00::2').address;
  socket6.send('six', 9, 'fd00::2');
  const out6 = await firstFrame(device, (f) => f.bytes[0]! >>> 4 === 6 && f.bytes[6] === 17);
  const arrived6 = once(socket6, 'message');
  send(device, udp6(mine6, parseCidr('fd00::1').address, 9, 700, text('six back')));
  const [message6] = await arrived6;
  const { counters, linkType, mtu, mac, offloads } = device;
  const result = {
    toStack: Buffer.from(out.bytes.subarray(28)).toString(),
    toStackFlags: out.flags,
    toKernel: [String(message), info.address, info.port],
    toStack6: Buffer.from(out6.bytes.subarray(48)).toString(),
    toKernel6: String(message6),
    txFrames: counters.txFrames,
    txBytes: counters.txBytes,
    txErrors: counters.txErrors,
    rxAtLeastTwo: counters.rxFrames >= 2 && counters.rxBytes >= out.bytes.length + out6.bytes.length,
    device: { linkType, mtu, mac, offloads },
  };
  device.close();
  socket.close();
  socket6.close();
  return result;
}

export async function tapBothWays(): Promise<unknown> {
  const device = openTap({
    name: 'tap7',
    mac: '02:00:00:00:00:07',
    hostMac: '02:00:00:00:00:08',
    hostAddress: '10.0.0.1/24',
  });
  const link = findLink('tap7')!;
  addNeighbor(link.index, parseCidr('10.0.0.2'), device.mac!);
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  socket.send('ethernet', 9, '10.0.0.2');
  const out = await firstFrame(device, (f) => f.bytes[12] === 8 && f.bytes[13] === 0 && f.bytes[23] === 17);
  const arrived = once(socket, 'message');
  const back = udp4('10.0.0.2', 9, '10.0.0.1', 700, text('back'));
  send(device, Uint8Array.from([...link.mac, ...device.mac!, 8, 0, ...back]));
  const [message] = await arrived;
  device.close();
  socket.close();
  return {
    to: Buffer.from(out.bytes.subarray(0, 6)).toString('hex'),
    from: Buffer.from(out.bytes.subarray(6, 12)).toString('hex'),
    ipAligned: (out.at + 14) % 4 === 0,
    payload: Buffer.from(out.bytes.subarray(42)).toString(),
    message: String(message),
    linkType: device.linkType,
    gone: findLink('tap7') === null,
  };
}

/** The crudest TCP: enough to make the kernel send and take one burst. Numbers are in `this`. */
class CrudeTcp {
  readonly queue = new TxQueue(new Arenas(heapRegions));
  next = 5000;
  peerNext = 0;

  constructor(
    readonly device: Device,
    readonly peerPort: number,
    readonly port: number,
    readonly segmentBytes: number,
  ) {}

  /** Sends one segment, its checksum and its cutting left to the device. */
  send(flags: number, payload: Uint8Array = new Uint8Array(0)): void {
    const options = flags & 2 ? [2, 4, ...word(this.segmentBytes)] : [];
    const n = (value: number): number[] => [...word(value >>> 16), ...word(value & 0xffff)];
    const bytes = 20 + options.length;
    const tcp = [...word(this.port), ...word(this.peerPort), ...n(this.next), ...n(this.peerNext)];
    tcp.push((bytes / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0, ...options);
    const ends = Uint8Array.from([...bytes4('10.0.0.2'), ...bytes4('10.0.0.1'), 0, 6, ...word(bytes + payload.length)]);
    tcp.splice(16, 2, ...word(sum16(ends)));
    const headers = Uint8Array.from([...ipv4('10.0.0.2', '10.0.0.1', 6, bytes + payload.length), ...tcp]);
    const at = this.queue.begin();
    this.queue.header.set(headers, at);
    this.queue.headers(headers.length);
    if (payload.length > 0) {
      const arena = this.queue.arenas.add(payload.length);
      this.queue.arenas.list[arena]!.set(payload);
      this.queue.piece(arena, 0, payload.length);
    }
    const cut = payload.length > this.segmentBytes;
    this.queue.offload(TX_CHECKSUM_PARTIAL | (cut ? TX_SEGMENT : 0), 20, 16, cut ? this.segmentBytes : 0);
    this.queue.commit();
    if (this.device.transmit(this.queue, 0, 1) !== 1) throw new Error('not taken');
    this.queue.clear();
    this.next += payload.length + (flags & 3 ? 1 : 0);
  }
}

const tcpOf = (f: Received): DataView | null =>
  f.bytes[0]! >>> 4 === 4 && f.bytes[9] === 6 ? new DataView(f.bytes.buffer, 20, f.bytes.length - 20) : null;

/** Large segments and partial checksums, both ways: a kernel's TCP connection against CrudeTcp. */
export async function tunOffload(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const client: Socket = netConnect({ host: '10.0.0.2', port: 80 });
  client.on('error', () => {});
  const syn = await firstFrame(device, (f) => tcpOf(f) !== null);
  const tcp = new CrudeTcp(device, tcpOf(syn)!.getUint16(0), 80, 1460);
  tcp.peerNext = tcpOf(syn)!.getUint32(4) + 1;
  tcp.send(0x12);
  await once(client, 'connect');
  const sent = Buffer.alloc(14_000, 'kernel ');
  client.write(sent);
  const large = await firstFrame(device, (f) => tcpOf(f) !== null && f.bytes.length > 1500);
  tcp.peerNext += sent.length;
  const back = Uint8Array.from({ length: 40_000 }, (_, i) => (i * 7) & 0xff);
  const got: Buffer[] = [];
  let bytes = 0;
  const whole = new Promise<void>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      got.push(chunk);
      bytes += chunk.length;
      if (bytes >= back.length) resolve();
    });
  });
  tcp.send(0x18, back);
  await Promise.race([whole, sleep(2000, undefined, { ref: false })]);
  const result = {
    synFlags: syn.flags,
    largeFlags: large.flags,
    largeBytes: large.bytes.length,
    largeIsWhatWasSent:
      Buffer.compare(Buffer.from(large.bytes.subarray(40)), sent.subarray(0, large.bytes.length - 40)) === 0,
    segmentBytes: large.segmentBytes,
    kernelGot: Buffer.compare(Buffer.concat(got), back),
    txErrors: device.counters.txErrors,
  };
  client.destroy();
  device.close();
  return result;
}

/** The same connection without offload: nothing above the MTU arrives, nothing is marked, checksums are complete. */
export async function tunNoOffload(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24', offload: false });
  const client = netConnect({ host: '10.0.0.2', port: 80 }).on('error', () => {});
  const syn = await firstFrame(device, (f) => tcpOf(f) !== null);
  const segment = syn.bytes.subarray(20);
  const pseudo = Uint8Array.from([...syn.bytes.subarray(12, 20), 0, 6, ...word(segment.length)]);
  const tcp = new CrudeTcp(device, tcpOf(syn)!.getUint16(0), 80, 1460);
  tcp.send(0x12);
  client.destroy();
  const result = {
    offloads: device.offloads,
    flags: syn.flags,
    checksum: sum16(segment, sum16(pseudo)),
    partialRefused: device.counters.txErrors,
    queueLength: findLink(device.name)!.queueLength,
  };
  device.close();
  return result;
}

export function addresses(): unknown {
  const device = openTun({
    name: 'lab%d',
    address: ['10.0.0.2/24', '192.0.2.9', '2001:db8::9'],
    hostAddress: ['10.0.0.1/24', '10.1.0.1/16', 'fd00::1/64'],
    routes: ['198.51.100.0/24'],
    mtu: 1400,
    queueLength: 321,
  });
  const link = findLink(device.name)!;
  const up = {
    name: device.name,
    mtu: [device.mtu, link.mtu],
    up: link.up,
    queueLength: link.queueLength,
    addresses: ip('-br', 'address', 'show', device.name)
      .trim()
      .split(/\s+/)
      .filter((word) => !word.startsWith('fe80')),
    routes: ip('route', 'show', 'dev', device.name)
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    routes6: ip('-6', 'route', 'show', 'dev', device.name)
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
  };
  device.close();
  device.close();
  return { up, after: [interfaces(), ip('route').trim()] };
}

/** No IPv6 was asked for, so the kernel says nothing by itself when the interface comes up. */
export async function quiet(): Promise<unknown> {
  const device = openTap({ hostAddress: '10.0.0.1/24' });
  let frames = 0;
  device.onReadable(() => {
    frames += receiveOnce(device).length;
  });
  await sleep(300);
  device.close();
  return frames;
}

/** A persistent interface stays and may be opened again; what was set on it is taken back. */
export function persistent(): unknown {
  const first = openTun({ name: 'keep0', persist: true });
  const before = ip('-br', 'address', 'show', 'dev', 'keep0').trim().split(/\s+/).length;
  first.close();
  const stays = findLink('keep0') !== null;
  const second = openTun({ name: 'keep0', hostAddress: '10.0.0.1/24', routes: ['10.9.0.0/16'] });
  const during = [listAddresses(findLink('keep0')!.index).length, ip('route').trim().split('\n').length];
  second.close();
  const after = [listAddresses(findLink('keep0')!.index).length, ip('route').trim()];
  const third = openTun({ name: 'keep0', persist: false });
  third.close();
  return { before, stays, during, after, gone: findLink('keep0') === null };
}

export async function cycles(): Promise<unknown> {
  openTun({ hostAddress: '10.0.0.1/24' }).close();
  const before = openDescriptors();
  for (let i = 0; i < 100; i++) {
    const device = i % 2 ? openTun({ hostAddress: '10.0.0.1/24' }) : openTap();
    device.onReadable(() => {});
    if (i % 10 === 0) await sleep(0);
    device.close();
  }
  await sleep(0);
  return { leaked: openDescriptors() - before, interfaces: interfaces() };
}

/** Failed attempts leak nothing either. */
export function failures(): unknown {
  const held = openTun({ name: 'held0' });
  const tap = openTap({ name: 'held1', persist: true });
  tap.close();
  const before = openDescriptors();
  const attempts: (() => unknown)[] = [
    () => openTun({ name: 'held0' }),
    () => openTun({ name: 'held1' }),
    () => openTun({ name: 'lo' }),
    () => openTun({ fd: 0 }),
    () => openTun({ fd: 999 }),
    () => openTap({ fd: held.fd }),
    () => openTun({ fd: held.fd }),
    () => openTun({ name: 'new0', hostAddress: 'fd00::1/64', mtu: 1000 }),
    () => openPacket({ interface: 'nowhere0' }),
    () => openPacket({ interface: 'held0' }),
  ];
  const messages = attempts.map((attempt) => {
    try {
      attempt();
      return 'no error';
    } catch (error) {
      return (error as Error).message;
    }
  });
  const result = {
    messages,
    leaked: openDescriptors() - before,
    interfaces: interfaces(),
    heldWorks: send(held, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('x'))),
  };
  held.close();
  return result;
}

export async function closeInsideCallback(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const socket = createSocket('udp4');
  let calls = 0;
  device.onReadable(() => {
    calls++;
    device.close();
    device.onReadable(() => calls++);
    device.ref();
    device.unref();
    receiveOnce(device);
    send(device, new Uint8Array(20));
  });
  for (let i = 0; i < 5; i++) socket.send('x', 9, '10.0.0.2');
  await sleep(100);
  socket.close();
  return { calls, gone: findLink('tun0') === null };
}

/** What ready throws is an uncaught exception, as for any event, and the device lives on. */
export async function throwInsideCallback(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const socket = createSocket('udp4');
  const caught: string[] = [];
  process.on('uncaughtException', (error) => caught.push(error.message));
  let calls = 0;
  device.onReadable(() => {
    if (++calls === 1) throw new Error('from the host');
    receiveOnce(device);
  });
  socket.send('x', 9, '10.0.0.2');
  await sleep(100);
  socket.close();
  device.close();
  return { caught, calledAgain: calls > 1 };
}

/** 400 waiting packets come in batches, one call a turn, and other events get their turn in between. */
export async function batches(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const socket = createSocket('udp4');
  for (let i = 0; i < 400; i++) socket.send(`packet ${i}`, 9, '10.0.0.2');
  await sleep(50);
  const counts: number[] = [];
  const order: string[] = [];
  const slab = new Slab(0, new Uint8Array(SLAB_BYTES));
  device.onReadable(() => {
    slab.fill = 0;
    const frames = receiveOnce(device, slab).filter(isUdp4);
    if (frames.length === 0) return;
    counts.push(frames.length);
    order.push(...frames.map((f) => Buffer.from(f.bytes.subarray(28)).toString()));
    setImmediate(() => counts.push(0));
  });
  await sleep(200);
  device.close();
  socket.close();
  const inOrder = order.every((payload, i) => payload === `packet ${i}`);
  return {
    total: order.length,
    inOrder,
    atMost: Math.max(...counts) <= FRAMES_PER_BATCH,
    turns: counts.slice(0, 4).map((n) => n > 0),
  };
}

const WORKER = `
  require(${JSON.stringify(require.resolve('./device-child.cjs'))});
`;

/** In a worker: open, wait for a frame, tell, and leave the device open. */
export async function insideWorker(): Promise<void> {
  const { parentPort } = require('node:worker_threads') as typeof import('node:worker_threads');
  const device = openTun({ name: 'work0', address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  parentPort!.postMessage('open');
  const frame = await firstFrame(device, isUdp4);
  device.onReadable(() => {});
  parentPort!.postMessage(Buffer.from(frame.bytes.subarray(28)).toString());
}

export async function workers(): Promise<unknown> {
  const results: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(WORKER, { eval: true, argv: ['insideWorker'] });
    const [opened] = await once(worker, 'message');
    const socket = createSocket('udp4');
    socket.send(`to worker ${i}`, 9, '10.0.0.2');
    const [said] = await once(worker, 'message');
    socket.close();
    results.push(opened, said, await worker.terminate(), findLink('work0') === null);
  }
  return results;
}

/** Ends with two devices open and watched: unref lets the process go, and nothing hangs or crashes. */
export function endsByItself(): unknown {
  for (const device of [openTun(), openTap()]) {
    device.onReadable(() => {});
    device.unref();
  }
  return 'ended';
}

export function exits(): void {
  openTun().onReadable(() => {});
  process.stdout.write('"exited"\n');
  process.exit(0);
}

/** A watched device keeps the process alive until it is let go. */
export async function staysAlive(): Promise<unknown> {
  const device = openTun();
  device.onReadable(() => {});
  let ended = false;
  process.on('beforeExit', () => {
    ended = true;
  });
  setTimeout(() => {
    process.stdout.write(`${JSON.stringify({ endedBefore: ended })}\n`);
    device.unref();
  }, 100).unref();
  return undefined;
}

/** A device that nobody holds or watches is closed by the collector. */
export async function collected(): Promise<unknown> {
  const before = openDescriptors();
  openTun({ name: 'lost0' });
  const open = openDescriptors() - before;
  for (let i = 0; i < 10 && findLink('lost0') !== null; i++) {
    (globalThis as unknown as { gc: () => void }).gc();
    await sleep(10);
  }
  return { open, left: openDescriptors() - before, gone: findLink('lost0') === null };
}

/** The interface is deleted under the device. */
export async function removed(): Promise<unknown> {
  const device = openTun({ name: 'gone0' });
  let calls = 0;
  device.onReadable(() => {
    calls++;
    receiveOnce(device);
  });
  await sleep(20);
  calls = 0;
  ip('link', 'delete', 'gone0');
  await sleep(100);
  const failure = device.failure as (Error & { code?: string }) | null;
  const taken = send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('x')));
  const result = { calls, code: failure?.code, message: failure?.message, taken, txErrors: device.counters.txErrors };
  device.close();
  return result;
}

/** The parent opened the device; this child got its descriptor and no privileges. */
export async function inheritor(): Promise<unknown> {
  const device = openTun({ fd: 3 });
  process.stderr.write('ready\n');
  const frame = await firstFrame(device, isUdp4);
  send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('from the child')));
  device.close();
  return {
    uid: process.getuid!(),
    name: device.name,
    offloads: device.offloads,
    payload: Buffer.from(frame.bytes.subarray(28)).toString(),
  };
}

/** Runs another scenario as user nobody, its standard output collected. */
function asNobody(
  name: string,
  stdio: (number | 'pipe')[],
): { child: ReturnType<typeof spawn>; said: Promise<string> } {
  const child = spawn(process.execPath, [require.resolve('./device-child.cjs'), name], {
    uid: 65_534,
    gid: 65_534,
    stdio,
  });
  let out = '';
  child.stdout!.on('data', (chunk) => {
    out += chunk;
  });
  return { child, said: once(child, 'close').then(() => out) };
}

export async function inherited(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const { child, said } = asNobody('inheritor', [0, 'pipe', 'pipe', device.fd]);
  const errors: string[] = [];
  child.stderr!.on('data', (chunk) => errors.push(String(chunk)));
  await once(child.stderr!, 'data');
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  const answer = once(socket, 'message');
  socket.send('to the child', 9, '10.0.0.2');
  const out = await said;
  if (out === '') throw new Error(errors.join(''));
  const [message] = await answer;
  const stays = findLink(device.name) !== null;
  device.close();
  socket.close();
  return { child: JSON.parse(out), message: String(message), stays, gone: findLink(device.name) === null };
}

export function ownerOpens(): unknown {
  const attempts: Record<string, string> = {};
  const attempt = (what: string, open: () => NativeDevice): void => {
    try {
      const device = open();
      attempts[what] =
        `${device.name} ${send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('x')))} ${device.counters.txErrors}`;
      device.close();
    } catch (error) {
      attempts[what] = (error as Error).message;
    }
  };
  attempt('own', () => openTun({ name: 'own0' }));
  attempt('own, other mtu', () => openTun({ name: 'own0', mtu: 1400 }));
  attempt('new', () => openTun({ name: 'new0' }));
  attempt('packet', () => openPacket({ interface: 'lo' }));
  return { uid: process.getuid!(), attempts, support: tunSupport() };
}

/** A persistent device of user nobody's, opened by nobody (with a device node that all may open). */
export async function owner(): Promise<unknown> {
  openTun({ name: 'own0', persist: { uid: 65_534 }, hostAddress: '10.0.0.1/24' }).close();
  setLink(findLink('own0')!.index, { up: true });
  const { said } = asNobody('ownerOpens', [0, 'pipe', 2]);
  return JSON.parse(await said);
}

export async function unprivilegedNamespace(): Promise<unknown> {
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['-Urn', '--', process.execPath, require.resolve('./device-child.cjs'), 'tunBothWays'],
    { uid: 65_534, gid: 65_534, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

export function support(): unknown {
  const before = interfaces();
  return { support: tunSupport(), changed: interfaces().length - before.length };
}

/** Two queues of one interface; the kernel sends each flow to one of them. */
export async function multiQueue(): Promise<unknown> {
  const first = openTun({ name: 'multi0', multiQueue: true, address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const second = openTun({ name: 'multi0', multiQueue: true });
  const counts = [0, 0];
  for (const [i, device] of [first, second].entries()) {
    device.onReadable(() => {
      counts[i]! += receiveOnce(device).filter(isUdp4).length;
    });
  }
  const sockets = Array.from({ length: 64 }, () => createSocket('udp4'));
  for (const socket of sockets) socket.send('x', 9, '10.0.0.2');
  await sleep(100);
  first.close();
  const staysWithOne = findLink('multi0') !== null;
  second.close();
  for (const socket of sockets) socket.close();
  return {
    total: counts[0]! + counts[1]!,
    both: counts.every((n) => n > 0),
    staysWithOne,
    gone: findLink('multi0') === null,
  };
}

function vethPair(): void {
  ip(
    'link',
    'add',
    'left0',
    'address',
    '02:00:00:00:01:01',
    'type',
    'veth',
    'peer',
    'name',
    'right0',
    'address',
    '02:00:00:00:01:02',
  );
  for (const name of ['left0', 'right0']) setLink(findLink(name)!.index, { linkLocal: false });
  for (const name of ['left0', 'right0']) setLink(findLink(name)!.index, { up: true });
}

const ethernet = (to: string, from: string, type: number, payload: Uint8Array): Uint8Array =>
  Uint8Array.from([...Buffer.from(to, 'hex'), ...Buffer.from(from, 'hex'), ...word(type), ...payload]);

/** Two packet devices at the ends of a cable, and the kernel as a peer behind one of them. */
export async function packets(): Promise<unknown> {
  vethPair();
  const left = openPacket({ interface: 'left0' });
  const right = openPacket({ interface: 'right0' });
  const plain = ethernet(
    '020000000102',
    '020000000101',
    0x88b5,
    text('an experiment that is long enough to be a frame.'),
  );
  send(left, plain);
  const experiment = (f: Received): boolean =>
    f.bytes.subarray(12).join() !== '' && f.bytes[12] === 0x88 && f.bytes[13] === 0xb5;
  const seen = await firstFrame(right, experiment);
  await sleep(20);
  const own = receiveOnce(left).filter(experiment).length;
  const tagged = ethernet(
    '020000000102',
    '020000000101',
    0x8100,
    Uint8Array.from([0x20, 5, 0x88, 0xb5, ...text('tagged')]),
  );
  send(left, tagged);
  const vlan = await firstFrame(right, (f) => f.bytes[12] === 0x81 && f.bytes[13] === 0);
  right.close();
  addAddress(findLink('right0')!.index, parseCidr('10.0.0.1/24'));
  addNeighbor(findLink('right0')!.index, parseCidr('10.0.0.2'), left.mac!);
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  socket.send('over the wire', 9, '10.0.0.2');
  const datagram = await firstFrame(left, (f) => f.bytes[12] === 8 && f.bytes[23] === 17);
  const arrived = once(socket, 'message');
  send(left, ethernet('020000000102', '020000000101', 0x800, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('and back'))));
  const [message] = await arrived;
  const tooLong = send(left, new Uint8Array(1600));
  const result = {
    same: Buffer.compare(seen.bytes, plain),
    own,
    vlan: Buffer.compare(vlan.bytes, tagged),
    aligned: [(seen.at + 14) % 4, (vlan.at + 18) % 4],
    datagram: Buffer.from(datagram.bytes.subarray(42)).toString(),
    flags: datagram.flags,
    message: String(message),
    device: {
      name: left.name,
      linkType: left.linkType,
      mtu: left.mtu,
      mac: Buffer.from(left.mac!).toString('hex'),
      offloads: left.offloads,
    },
    tooLong: [tooLong, left.counters.txErrors],
  };
  left.close();
  socket.close();
  return result;
}

/** The interface goes down and comes back: the device goes on; then it is removed, which ends it. */
export async function packetDownAndGone(): Promise<unknown> {
  vethPair();
  const left = openPacket({ interface: 'left0' });
  const right = openPacket({ interface: 'right0' });
  const got: number[] = [];
  let calls = 0;
  right.onReadable(() => {
    calls++;
    got.push(...receiveOnce(right).map((f) => f.bytes.at(-1)!));
  });
  const frame = (mark: number): Uint8Array =>
    ethernet('020000000102', '020000000101', 0x88b5, new Uint8Array(50).fill(mark));
  send(left, frame(1));
  await sleep(30);
  setLink(findLink('right0')!.index, { up: false });
  await sleep(30);
  send(left, frame(2));
  setLink(findLink('right0')!.index, { up: true });
  await sleep(30);
  send(left, frame(3));
  await sleep(30);
  const failed = right.failure;
  calls = 0;
  ip('link', 'delete', 'left0');
  await sleep(100);
  const result = { got, failed, code: (right.failure as { code?: string } | null)?.code, calls };
  left.close();
  right.close();
  return result;
}

/** An own link address makes the interface promiscuous while the device is open. */
export function promiscuous(): unknown {
  vethPair();
  const flags = (): boolean => ip('-d', 'link', 'show', 'left0').includes('promiscuity 1');
  const device = openPacket({ interface: 'left0', mac: '02:00:00:00:09:09' });
  const during = flags();
  device.close();
  return { during, after: flags(), mac: Array.from(device.mac!) };
}

/** Loopback carries the kernel's own large segments; TCP over it is seen whole. */
export async function packetLoopback(): Promise<unknown> {
  bringLoopbackUp();
  const device = openPacket({ interface: 'lo' });
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = netConnect((server.address() as { port: number }).port, '127.0.0.1');
  await once(client, 'connect');
  client.write(Buffer.alloc(50_000));
  const large = await firstFrame(device, (f) => f.bytes.length > 20_000);
  client.destroy();
  server.close();
  device.close();
  return { flags: large.flags, mtu: device.mtu };
}

/** Frames that point outside of their arenas, or that the device cannot carry, are refused and counted. */
export function badFrames(): unknown {
  const device = openTun({ hostAddress: '10.0.0.1/24' });
  const results: number[][] = [];
  const attempt = (spoil: (queue: TxQueue) => void): void => {
    const queue = new TxQueue(new Arenas(heapRegions));
    put(queue, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('payload')), 28);
    spoil(queue);
    const before = device.counters.txErrors;
    results.push([device.transmit(queue, 0, 1), device.counters.txErrors - before]);
  };
  attempt(() => {});
  attempt((queue) => (queue.records[TX_FIXED] = 99));
  attempt((queue) => (queue.records[TX_FIXED + 1] = -1));
  attempt((queue) => (queue.records[TX_FIXED + 2] = 0x7fffffff));
  attempt((queue) => (queue.records[TX_PIECES] = 0));
  attempt((queue) => (queue.records[TX_PIECES] = 41));
  const asking = (flags: number, segmentBytes: number, start: number, field: number) => (queue: TxQueue) =>
    queue.records.set([flags, segmentBytes, start, field], TX_FLAGS);
  attempt(asking(TX_SEGMENT, 3, 20, 16));
  attempt(asking(TX_SEGMENT | TX_CHECKSUM_PARTIAL, 3, 20, 6));
  attempt(asking(TX_CHECKSUM_PARTIAL, 0, 60_000, 16));
  attempt((queue) => queue.header.fill(0xff, 0, 1));
  device.close();
  return results;
}
