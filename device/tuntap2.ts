import { Duplex } from 'node:stream';
import { Arenas, heapRegions, SLAB_BYTES, Slab } from '../stack/base/memory';
import { TxQueue } from '../stack/base/tx-queue';
import { type Cidr, cidrText, macText, parseCidr, parseMac } from './cidr';
import { type FrameBatch, newBatch, RX_AT, RX_BYTES, RX_FIELDS } from './device';
import { DeviceError, explain } from './errors';
import type { NativeDevice } from './native-device';
import { addAddress, findLink, type Link, type LinkSettings, listAddresses, removeAddress, setLink } from './netlink';
import { openTap, openTun } from './tun';

/*
 * The interface of the npm package tuntap2, for programs written for it: a TUN or TAP device as a Duplex of frames. Every
 * chunk read is one frame, every chunk written is sent as one. For a stack use openTun or openTap: they are many times
 * faster.
 */

type Done = (error?: Error | null) => void;

/** Frames of one batch before the reader is asked again; the stream's own limit counts frames too. */
const READ_AHEAD_FRAMES = 256;

/** What Tun and Tap share. */
export class Tuntap extends Duplex {
  private readonly device: NativeDevice;
  private readonly batch: FrameBatch = newBatch(new Slab(0, new Uint8Array(SLAB_BYTES)));
  private readonly queue = new TxQueue(new Arenas(heapRegions));
  private listening = false;

  /**
   * Makes the interface, named by the kernel, still without address and down.
   *
   * @throws DeviceError naming cause and cure.
   */
  constructor(private readonly mode: 'tun' | 'tap') {
    super({ readableObjectMode: true, readableHighWaterMark: READ_AHEAD_FRAMES, decodeStrings: true });
    this.device = (mode === 'tap' ? openTap : openTun)({ offload: false, up: false });
  }

  /** "tun0", "tap3". */
  get name(): string {
    return this.device.name;
  }
  get isTap(): boolean {
    return this.mode === 'tap';
  }
  get isTun(): boolean {
    return this.mode === 'tun';
  }

  /** The kernel's link address, "02:11:22:33:44:55"; '' on a TUN device, which has none and refuses one. */
  get mac(): string {
    return macText(this.link().mac);
  }
  set mac(mac: string) {
    if (this.isTun) throw new TypeError('a TUN device has no link address');
    this.change({ mac: parseMac(mac) });
  }

  /** In bytes. */
  get mtu(): number {
    return this.link().mtu;
  }
  set mtu(mtu: number) {
    this.change({ mtu });
  }

  /** The kernel's address and prefix, "10.0.0.100/24"; null while it has none. Setting it replaces those before. */
  get ipv4(): string | null {
    return this.address(4);
  }
  set ipv4(cidr: string) {
    this.replaceAddress(4, cidr);
  }

  /** Likewise, "fd00::1/64". Link-local addresses are neither told nor replaced. */
  get ipv6(): string | null {
    return this.address(6);
  }
  set ipv6(cidr: string) {
    this.replaceAddress(6, cidr);
  }

  get isUp(): boolean {
    return this.link().up;
  }
  set isUp(up: boolean) {
    this.change({ up });
  }

  /** Closes the stream and removes the interface at once. `done` is called when the stream has closed. */
  release(done?: Done): void {
    if (done !== undefined) {
      if (this.closed) process.nextTick(done, null);
      else this.once('close', () => done(null));
    }
    this.device.close();
    this.destroy();
  }

  /** The name that file streams have for it. */
  close(done?: Done): void {
    this.release(done);
  }

  /** Sends one frame. Kept for programs of the package's first versions; `write` does the same. */
  writePacket(frame: Uint8Array, done?: Done): void {
    this.write(frame, done);
  }

  /** Assigning a function calls it with each frame, as the package's first versions did; `on('data')` does the same. */
  set onReceive(listener: (frame: Buffer) => void) {
    this.on('data', listener);
  }

  override _read(): void {
    if (this.listening) return;
    this.listening = true;
    this.device.onReadable(() => this.pull());
  }

  /** Stops listening as soon as the reader has enough: then the kernel queues, and drops what overflows its queue. */
  private pull(): void {
    const { slab, records } = this.batch;
    slab.fill = 0;
    const count = this.device.receive(this.batch);
    let more = true;
    for (let i = 0; i < count; i++) {
      const at = records[i * RX_FIELDS + RX_AT]!;
      more = this.push(Buffer.from(slab.bytes.subarray(at, at + records[i * RX_FIELDS + RX_BYTES]!)));
    }
    if (this.device.failure !== null) this.destroy(this.device.failure);
    else if (!more) {
      this.listening = false;
      this.device.onReadable(null);
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const { queue, device } = this;
    if (chunk.length > queue.header.length / 2) {
      done(new RangeError(`a frame of ${chunk.length} bytes is too long`));
      return;
    }
    const before = device.counters.txErrors;
    queue.header.set(chunk, queue.begin());
    queue.headers(chunk.length);
    queue.commit();
    const taken = device.transmit(queue, 0, 1);
    queue.clear();
    done(taken === 1 && device.counters.txErrors === before ? null : this.refused(chunk.length));
  }

  override _destroy(error: Error | null, done: Done): void {
    this.device.close();
    done(error);
  }

  private refused(bytes: number): DeviceError {
    return new DeviceError({
      what: `Cannot send on ${this.name}`,
      cause: `the kernel refused a frame of ${bytes} bytes`,
      code: 'EIO',
      cure: `Is the interface up (isUp = true), and is the frame ${this.isTap ? 'an Ethernet frame' : 'an IP datagram'}?`,
      syscall: 'write',
    });
  }

  private link(): Link {
    const link = this.destroyed ? null : findLink(this.name);
    if (link !== null) return link;
    throw new DeviceError({
      what: `Cannot read the settings of ${this.name}`,
      cause: 'its interface is gone',
      code: 'ENODEV',
      cure: 'Do not use the device after release().',
    });
  }

  private change(settings: LinkSettings): void {
    const { index } = this.link();
    this.explained(() => setLink(index, settings));
  }

  private addresses(family: 4 | 6): Cidr[] {
    const linkLocal = (cidr: Cidr): boolean => cidr.address[0] === 0xfe && (cidr.address[1]! & 0xc0) === 0x80;
    return listAddresses(this.link().index).filter(
      (cidr) => cidr.family === family && !(family === 6 && linkLocal(cidr)),
    );
  }

  private address(family: 4 | 6): string | null {
    const [first] = this.addresses(family);
    return first === undefined ? null : cidrText(first);
  }

  private replaceAddress(family: 4 | 6, text: string): void {
    const cidr = parseCidr(text);
    if (cidr.family !== family) throw new TypeError(`"${text}" is not an IPv${family} address with a prefix length`);
    const { index } = this.link();
    this.explained(() => {
      for (const old of this.addresses(family)) removeAddress(index, old);
      addAddress(index, cidr);
    });
  }

  private explained(change: () => void): void {
    try {
      change();
    } catch (error) {
      throw explain(error, `Cannot set up ${this.name}`, this.name, this.mode);
    }
  }
}

/** A TUN device: frames are IP datagrams. */
export class Tun extends Tuntap {
  constructor() {
    super('tun');
  }
}

/** A TAP device: frames are Ethernet frames. */
export class Tap extends Tuntap {
  constructor() {
    super('tap');
  }
}

/** What the older package node-tuntap takes; name and the rest are not chosen by the program. */
export interface TuntapOptions {
  type: 'tun' | 'tap';
  mtu?: number;
  /** The kernel's IPv4 address. */
  addr?: string;
  /** Its network mask, "255.255.255.0". Default: the address alone. */
  mask?: string;
  up?: boolean;
  name?: string;
}

/**
 * Makes and sets up a device in one call.
 *
 * @throws TypeError for a type other than tun and tap, a mask with holes, or a name, which the kernel chooses.
 */
export function tuntap(options: TuntapOptions): Tuntap {
  if (options.name) throw new TypeError('the name of a device cannot be chosen here; openTun and openTap take one');
  if (options.type !== 'tun' && options.type !== 'tap') throw new TypeError(`"${options.type}" is neither tun nor tap`);
  const prefix = options.mask === undefined ? 32 : prefixOf(options.mask);
  const device = options.type === 'tap' ? new Tap() : new Tun();
  try {
    if (options.mtu !== undefined) device.mtu = options.mtu;
    if (options.addr !== undefined) device.ipv4 = `${options.addr}/${prefix}`;
    if (options.up) device.isUp = true;
  } catch (error) {
    device.release();
    throw error;
  }
  return device;
}

function prefixOf(mask: string): number {
  const bits = Array.from(parseCidr(mask).address, (byte) => byte.toString(2).padStart(8, '0')).join('');
  if (bits.length !== 32 || !/^1*0*$/.test(bits)) throw new TypeError(`"${mask}" is not a network mask`);
  return bits.lastIndexOf('1') + 1;
}
