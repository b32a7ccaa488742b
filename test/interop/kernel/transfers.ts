import { once } from 'node:events';
import type { Device, FrameBatch } from '../../../device/device';
import { RX_FIELDS } from '../../../device/device';
import type { TxQueue } from '../../../stack/base/tx-queue';
import {
  connected,
  digest,
  ip,
  kernelSockets,
  Lab,
  pass,
  pattern,
  readAll,
  send,
  sendBoth,
  settled,
  until,
  type Wire,
} from './lab';

type Side = 'kernel' | 'stack';

/** What a transfer showed. */
export interface Seen {
  /** Of the kernel's view of the connection: which of these words are in it. */
  readonly options: string[];
  readonly wscale: string | null;
  readonly mss: number;
  readonly retransmitted: number;
  readonly left: Record<string, number>;
}

/** Bytes go both ways at once over a connection that `side` opened; all must arrive. */
export async function transfer(wire: Wire, side: Side, bytes: number): Promise<Seen> {
  const lab = new Lab(wire);
  const pair = await connected(lab, side);
  const ss = kernelSockets();
  await sendBoth(pair, bytes);
  const left = await settled(lab);
  const { retransmitted } = lab.host.stack.tcp.counters;
  lab.close();
  const words = ss.split(' ');
  return {
    options: ['ts', 'sack', 'ecn', 'ecnseen'].filter((word) => words.includes(word)),
    wscale: /wscale:(\S+)/.exec(ss)?.[1] ?? null,
    mss: Number(/ mss:(\d+)/.exec(ss)?.[1]),
    retransmitted,
    left,
  };
}

/** Looks, 200 ms apart, at which nothing had moved. */
const QUIET_LOOKS = 3;

/** The reader does nothing until the writer is stuck; then it reads. Returns how much was held on the way. */
export async function closedWindow(wire: Wire, side: Side): Promise<{ held: number; left: Record<string, number> }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  const text = pattern(20_000_000);
  server.pause();
  let held = 0;
  for (let at = 0; at < text.length; at += 50_000) client.write(text.subarray(at, at + 50_000), () => (held += 50_000));
  client.end();
  // Stuck: nothing has moved for a while.
  for (let last = -1, quiet = 0; quiet < QUIET_LOOKS; await pass(200)) {
    quiet = held === last ? quiet + 1 : 0;
    last = held;
  }
  // The window stays closed for a while: probes are sent and answered.
  await pass(700);
  const got = await readAll(server);
  if (got.sha1 !== digest(text)) throw new Error(`${got.bytes} bytes arrived, or others`);
  server.end();
  await once(client, 'end').catch(() => {});
  client.resume();
  const left = await settled(lab);
  lab.close();
  return { held, left };
}

/** Many connections at once, each with its own bytes. */
export async function crowd(
  wire: Wire,
  side: Side,
  connections: number,
  bytes: number,
): Promise<Record<string, number>> {
  const lab = new Lab(wire);
  const pairs = await Promise.all(Array.from({ length: connections }, () => connected(lab, side)));
  await Promise.all(pairs.map((pair) => sendBoth(pair, bytes)));
  const left = await settled(lab);
  lab.close();
  return left;
}

/** Small pieces back and forth: every one waits for the one before. Returns what the faster quarter took at most, in ms. */
export async function pingPong(wire: Wire, side: Side, rounds: number): Promise<number> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  server.on('data', (chunk) => server.write(chunk));
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    client.write(`${i}`);
    await once(client, 'data');
    times.push(performance.now() - begin);
  }
  client.destroy();
  server.destroy();
  lab.close();
  return times.sort((a, b) => a - b)[rounds >> 2]!;
}

/** Loses every so-manieth frame in both directions, in a fixed order. */
class Lossy implements Device {
  private sent = 0;
  private received = 0;

  constructor(
    private readonly inner: Device,
    private readonly every: number,
  ) {}

  get name(): string {
    return this.inner.name;
  }
  get linkType(): Device['linkType'] {
    return this.inner.linkType;
  }
  get mtu(): number {
    return this.inner.mtu;
  }
  get mac(): Uint8Array | null {
    return this.inner.mac;
  }
  get offloads(): Device['offloads'] {
    return this.inner.offloads;
  }
  get counters(): Device['counters'] {
    return this.inner.counters;
  }

  private loses(n: number): boolean {
    return n > 20 && (n * 7919) % this.every === 0;
  }

  receive(batch: FrameBatch): number {
    const n = this.inner.receive(batch);
    let kept = 0;
    for (let i = 0; i < n; i++) {
      if (this.loses(++this.received)) continue;
      batch.records.copyWithin(kept * RX_FIELDS, i * RX_FIELDS, (i + 1) * RX_FIELDS);
      kept++;
    }
    // Nothing left is not the same as nothing there.
    return n > 0 && kept === 0 ? this.receive(batch) : kept;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    let record = firstRecord;
    for (let i = 0; i < frames; i++) {
      if (!this.loses(++this.sent) && this.inner.transmit(queue, record, 1) === 0) return i;
      record = queue.next(record);
    }
    return frames;
  }

  onReadable(ready: (() => void) | null): void {
    this.inner.onReadable(ready);
  }
  ref(): void {
    this.inner.ref();
  }
  unref(): void {
    this.inner.unref();
  }
  close(): void {
    this.inner.close();
  }
}

/** A transfer over a link that loses frames. Returns how much the stack sent again. */
export async function lossy(
  wire: Wire,
  side: Side,
  every: number,
  bytes: number,
): Promise<{ again: boolean; left: object }> {
  const lab = new Lab(wire, (device) => new Lossy(device, every));
  const pair = await connected(lab, side);
  await sendBoth(pair, bytes);
  const left = await settled(lab);
  const again = lab.host.stack.tcp.counters.retransmitted > 0;
  lab.close();
  return { again, left };
}

/** The kernel's route to the stack takes smaller packets from one moment on, and larger ones again later. */
export async function kernelRouteMtu(wire: Wire, side: Side): Promise<{ mss: number[]; left: object }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  const kernelSide = side === 'kernel' ? client : server;
  const stackSide = side === 'kernel' ? server : client;
  const mss: number[] = [];
  const arrived = readAll(stackSide);
  const piece = pattern(300_000);
  for (const mtu of [1500, 1300, 1400]) {
    // The kernel's own route to an IPv6 network has this metric; another would stand beside it.
    const route = wire.v6 === true ? ['fd00::/64', 'metric', '256'] : ['10.0.0.0/24'];
    // The kernel (6.18) loses count when an IPv6 route shrinks below what it is just about to send: it refuses some of a large
    // segment, sends the rest, and takes the acknowledgment of that for one of text it never sent, for ever.
    if (wire.v6 === true) await until('all is acknowledged', () => !kernelSockets().includes('unacked:'));
    ip(...(wire.v6 === true ? ['-6'] : []), 'route', 'replace', ...route, 'dev', 'lab0', 'mtu', 'lock', String(mtu));
    await new Promise((resolve) => kernelSide.write(piece, resolve));
    const headers = wire.v6 === true ? 72 : 52;
    const shown = (): number => Number(/ mss:(\d+)/.exec(kernelSockets())?.[1]);
    await until('the kernel has noticed', () => shown() === mtu - headers, 10_000).catch(() => {});
    mss.push(shown());
  }
  kernelSide.end();
  const got = await arrived;
  if (got.bytes !== 3 * piece.length) throw new Error(`${got.bytes} bytes arrived`);
  await send(stackSide, kernelSide, 100_000);
  const left = await settled(lab);
  lab.close();
  return { mss, left };
}

/** An idle connection that the kernel keeps alive: its probes are answered. */
export async function keptAlive(wire: Wire, side: Side): Promise<{ alive: boolean; left: object }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side, {});
  for (const socket of [client, server]) socket.setKeepAlive(true, 1000);
  await pass(3200);
  const alive = !client.destroyed && !server.destroyed;
  await sendBoth({ client, server }, 1000);
  const left = await settled(lab);
  lab.close();
  return { alive, left };
}

/** Once the device's own queue is full the kernel drops: bulk from it must still arrive. */
export async function shortQueue(wire: Wire): Promise<Record<string, number>> {
  const lab = new Lab(wire);
  ip('link', 'set', 'lab0', 'txqueuelen', '20');
  const { client, server } = await connected(lab, 'kernel');
  await send(client, server, 3_000_000);
  server.end();
  client.resume();
  await until('closed', () => Object.keys(lab.leftovers()).length === 0);
  lab.close();
  return lab.leftovers();
}
