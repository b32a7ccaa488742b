import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { FRAMES_PER_BATCH } from '../../../device/device';
import { findLink } from '../../../device/netlink';
import { openPacket } from '../../../device/packet';
import { tunSupport } from '../../../device/support';
import { openTap, openTun } from '../../../device/tun';
import { SLAB_BYTES, Slab } from '../../../stack/base/memory';
import { receiveOnce, send } from '../../unit/device/frames';
import { firstFrame, interfaces, ip, isUdp4, openDescriptors, text, udp4 } from './shared';

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
    // Refused when the interface is there already.
    () => openTun({ name: 'new0', hostAddress: 'ff02::1/64' }),
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
  require(${JSON.stringify(require.resolve('./child.cjs'))});
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

export function support(): unknown {
  const before = interfaces();
  return { support: tunSupport(), changed: interfaces().length - before.length };
}
