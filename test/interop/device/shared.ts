import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { Device } from '../../../device/device';
import { findLink, setLink } from '../../../device/netlink';
import { Arenas, heapRegions, SLAB_BYTES, Slab } from '../../../stack/base/memory';
import { TX_CHECKSUM_PARTIAL, TX_SEGMENT, TxQueue } from '../../../stack/base/tx-queue';
import { type Received, receiveOnce } from '../../unit/device/frames';

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

export const interfaces = (): string[] => readdirSync('/proc/self/net/dev_snmp6').sort();

/** Frames until `wanted` says that one is it; fails after two seconds. */
export async function firstFrame(device: Device, wanted: (frame: Received) => boolean): Promise<Received> {
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

export const sum16 = (bytes: Uint8Array, initial = 0): number => {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
};

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const bytes4 = (address: string): number[] => address.split('.').map(Number);

export const word = (value: number): number[] => [value >>> 8, value & 0xff];

/** An IPv4 header, checksum included. */
export function ipv4(from: string, to: string, protocol: number, payloadBytes: number): number[] {
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

export function udp4(from: string, fromPort: number, to: string, toPort: number, payload: Uint8Array): Uint8Array {
  const udp = [...word(fromPort), ...word(toPort), ...word(8 + payload.length), 0, 0, ...payload];
  return Uint8Array.from([...ipv4(from, to, 17, udp.length), ...udp]);
}

export function udp6(
  from: Uint8Array,
  to: Uint8Array,
  fromPort: number,
  toPort: number,
  payload: Uint8Array,
): Uint8Array {
  const udp = [...word(fromPort), ...word(toPort), ...word(8 + payload.length), 0, 0, ...payload];
  const pseudo = sum16(Uint8Array.from([...from, ...to, 0, 0, ...word(udp.length), 0, 0, 0, 17]));
  udp.splice(6, 2, ...word(~sum16(Uint8Array.from(udp), pseudo) & 0xffff));
  return Uint8Array.from([0x60, 0, 0, 0, ...word(udp.length), 17, 64, ...from, ...to, ...udp]);
}

export const isUdp4 = (f: Received): boolean => f.bytes[0]! >>> 4 === 4 && f.bytes[9] === 17;

export const ethernet = (to: string, from: string, type: number, payload: Uint8Array): Uint8Array =>
  Uint8Array.from([...Buffer.from(to, 'hex'), ...Buffer.from(from, 'hex'), ...word(type), ...payload]);

export const tcpOf = (f: Received): DataView | null =>
  f.bytes[0]! >>> 4 === 4 && f.bytes[9] === 6 ? new DataView(f.bytes.buffer, 20, f.bytes.length - 20) : null;

/** The crudest TCP: enough to make the kernel send and take one burst. Numbers are in `this`. */
export class CrudeTcp {
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

/** A whole TCP segment in its datagram, every checksum complete. */
export function tcp4(
  from: string,
  to: string,
  ports: readonly [number, number],
  numbers: readonly [number, number],
  flags: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const n = (value: number): number[] => [...word(value >>> 16), ...word(value & 0xffff)];
  const tcp = [
    ...word(ports[0]),
    ...word(ports[1]),
    ...n(numbers[0]),
    ...n(numbers[1]),
    0x50,
    flags,
    0xff,
    0xff,
    0,
    0,
    0,
    0,
  ];
  tcp.push(...payload);
  const pseudo = Uint8Array.from([...bytes4(from), ...bytes4(to), 0, 6, ...word(tcp.length)]);
  tcp.splice(16, 2, ...word(~sum16(Uint8Array.from(tcp), sum16(pseudo)) & 0xffff));
  return Uint8Array.from([...ipv4(from, to, 6, tcp.length), ...tcp]);
}

/** A cable: left0 and right0, up, quiet. */
export function vethPair(): void {
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
