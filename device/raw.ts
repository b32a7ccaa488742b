import { TX_BYTES, type TxQueue } from '../stack/base/tx-queue';
import { addressText, parseCidr } from './cidr';
import {
  type Device,
  type DeviceCounters,
  type FrameBatch,
  type LinkType,
  NO_OFFLOADS,
  newCounters,
  type Offloads,
  RX_CHECKSUM_VALID,
} from './device';
import { DeviceError } from './errors';
import { FrameQueue } from './frame-queue';
import { Readiness, ReadyDevice } from './readiness';

/** The protocols that a raw socket can be opened for here. */
export type RawProtocol = 'tcp' | 'udp' | 'icmp';

/** What `openRaw` takes. */
export interface RawOptions {
  /** The stack's own IPv4 addresses, which the kernel must have too: other traffic of the machine is left alone. */
  address: string | readonly string[];
  /** One raw socket is opened for each. Default: TCP alone. */
  protocols?: readonly RawProtocol[];
  /** The largest datagram to send, in bytes. Default 1500. */
  mtu?: number;
  /** Frames that wait for the stack, or for the sockets, before they push back. Default 1024. */
  queueFrames?: number;
}

/** What is used of the raw-socket package, which brings no types. */
interface RawSocket {
  on(event: 'message', listener: (message: Buffer, source: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  send(bytes: Buffer, offset: number, length: number, address: string, done: (error: Error | null) => void): void;
  setOption(level: number, option: number, value: number): void;
  pauseRecv(): void;
  resumeRecv(): void;
  close(): void;
}

interface RawSocketPackage {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
  readonly AddressFamily: { readonly IPv4: number };
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
}

const PROTOCOL_NUMBERS: Readonly<Record<RawProtocol, number>> = { icmp: 1, tcp: 6, udp: 17 };
const IP_BYTES_MAX = 65_535;
const HEADER_BYTES = 20;
const PROTOCOL_AT = 9;
const DESTINATION_AT = 16;

/**
 * A device over the raw-socket package: IPv4 datagrams of a few protocols, to and from addresses that are the kernel's own.
 *
 * It needs no interface of its own, but CAP_NET_RAW, and it is slow (one packet for each turn of the event loop). The
 * kernel sees every packet too and answers TCP that it knows nothing of with a reset. Keep it quiet with
 * `ip rule add ipproto tcp sport PORT type blackhole`: its resets find no route, and raw packets are not asked for a port
 * (for peers on other machines; a peer on this one is reached by the table `local`, before any such rule). Or drop them:
 * `iptables -A OUTPUT -p tcp --tcp-flags RST RST --sport PORT -j DROP`. A TUN device has none of these troubles.
 *
 * The process stays alive until `close`: the package cannot let go of its descriptor, so `unref` does nothing.
 */
export class RawDevice extends ReadyDevice implements Device {
  readonly name: string;
  readonly linkType: LinkType = 'ip';
  readonly mac = null;
  readonly offloads: Offloads = NO_OFFLOADS;
  readonly counters: DeviceCounters = newCounters();
  failure: Error | null = null;
  private readonly incoming: FrameQueue;
  /** Kept for the life of the device: a socket that nobody refers to is collected and falls silent. By protocol number. */
  private readonly sockets = new Map<number, RawSocket>();
  protected override readonly readiness = new Readiness(null, () => this.incoming.frames > 0 || this.news);
  private sending = 0;
  private paused = false;
  private pushedBack = false;
  /** `ready` is owed: there is room again, or the device failed. */
  private news = false;

  constructor(
    private readonly addresses: ReadonlySet<number>,
    readonly mtu: number,
    private readonly queueFrames: number,
    name: string,
  ) {
    super();
    this.name = name;
    this.incoming = new FrameQueue(queueFrames, 1 << 22, 'ip');
  }

  /** Adds the socket of one protocol. For openRaw. */
  attach(protocol: number, socket: RawSocket): void {
    this.sockets.set(protocol, socket);
    socket.on('message', (message) => this.arrives(message));
    socket.on('error', (error) => this.fail(error));
  }

  /** `message` is a piece of the package's one buffer, so it is copied before this returns. */
  private arrives(message: Buffer): void {
    if (this.closed || message.length < HEADER_BYTES || !this.addresses.has(message.readUInt32BE(DESTINATION_AT)))
      return;
    const at = this.incoming.open(message.length);
    if (at < 0) {
      // This one is lost, as from a full socket buffer; the next ones wait in the kernel.
      this.pause(true);
      return;
    }
    this.incoming.bytes.set(message, at);
    // The kernel hands packets over as they are inside of it: those of this machine, and those that it merged, carry only
    // part of their checksum, and nothing tells which. Those from outside were checked by the link.
    this.incoming.commit(message.length, RX_CHECKSUM_VALID, 0);
    this.readiness.wake();
  }

  private pause(on: boolean): void {
    if (this.paused === on) return;
    this.paused = on;
    for (const socket of this.sockets.values()) on ? socket.pauseRecv() : socket.resumeRecv();
  }

  private fail(error: Error): void {
    if (this.closed || this.failure !== null) return;
    this.failure = error;
    this.news = true;
    this.readiness.wake();
  }

  receive(batch: FrameBatch): number {
    this.news = false;
    if (this.closed) return 0;
    const count = this.incoming.take(batch, this.counters);
    if (this.incoming.frames === 0) this.pause(false);
    return count;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    let record = firstRecord;
    for (let taken = 0; taken < frames; taken++) {
      if (this.sending >= this.queueFrames) {
        this.pushedBack = true;
        return taken;
      }
      this.send(queue, record);
      record = queue.next(record);
    }
    return frames;
  }

  /** The package sends later, and the queue's memory is used again before that: one Buffer for each frame. */
  private send(queue: TxQueue, record: number): void {
    const bytes = queue.records[record + TX_BYTES]!;
    const frame = Buffer.allocUnsafe(bytes);
    queue.copyFrame(record, frame, 0);
    const socket = this.sockets.get(bytes >= HEADER_BYTES && frame[0]! >>> 4 === 4 ? frame[PROTOCOL_AT]! : -1);
    if (this.closed || socket === undefined || bytes > this.mtu) {
      this.counters.txErrors++;
      return;
    }
    this.sending++;
    const to = addressText(frame.subarray(DESTINATION_AT, DESTINATION_AT + 4));
    socket.send(frame, 0, bytes, to, (error) => this.sent(error, bytes));
  }

  private sent(error: Error | null, bytes: number): void {
    this.sending--;
    if (error) this.counters.txErrors++;
    else {
      this.counters.txFrames++;
      this.counters.txBytes += bytes;
    }
    if (this.pushedBack && this.sending <= this.queueFrames / 2) {
      this.pushedBack = false;
      this.news = true;
      this.readiness.wake();
    }
  }

  protected override release(): void {
    this.incoming.drop();
    for (const socket of this.sockets.values()) socket.close();
    this.sockets.clear();
  }
}

/**
 * Opens a RawDevice; see there for what the kernel must be told.
 *
 * @throws DeviceError when the package is missing or the sockets are refused; TypeError for a bad option.
 */
export function openRaw(options: RawOptions): RawDevice {
  const { protocols = ['tcp'], mtu = 1500, queueFrames = 1024 } = options;
  const texts = typeof options.address === 'string' ? [options.address] : options.address;
  const cidrs = texts.map(parseCidr);
  if (cidrs.length === 0 || cidrs.some((cidr) => cidr.family !== 4))
    throw new TypeError('raw sockets need IPv4 addresses');
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > IP_BYTES_MAX) throw new RangeError(`mtu is ${mtu}`);
  if (!Number.isInteger(queueFrames) || queueFrames < 1) throw new RangeError(`queueFrames is ${queueFrames}`);
  const raw = loadPackage();
  const addresses = new Set(cidrs.map((cidr) => Buffer.from(cidr.address).readUInt32BE()));
  const device = new RawDevice(addresses, mtu, queueFrames, `raw-${texts[0]!.split('/')[0]}`);
  try {
    for (const protocol of protocols) {
      const number = PROTOCOL_NUMBERS[protocol];
      if (number === undefined) throw new TypeError(`"${protocol}" is not one of tcp, udp and icmp`);
      const socket = raw.createSocket({
        protocol: number,
        addressFamily: raw.AddressFamily.IPv4,
        bufferSize: IP_BYTES_MAX,
      });
      device.attach(number, socket);
      socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
    }
  } catch (error) {
    device.close();
    throw error instanceof TypeError ? error : refused(error as Error);
  }
  return device;
}

function loadPackage(): RawSocketPackage {
  try {
    return require('raw-socket') as RawSocketPackage;
  } catch (error) {
    throw new DeviceError({
      what: 'Cannot open raw sockets',
      cause: `the package raw-socket does not load, ${(error as Error).message.split('\n')[0]}`,
      code: 'ERR_TAPWIRE_RAW_SOCKET',
      cure: 'Install it beside tapwire: `npm install raw-socket`.',
    });
  }
}

/** The package gives the system's words and no code. */
function refused(error: Error): DeviceError {
  const permission = /not permitted|denied/i.test(error.message);
  return new DeviceError({
    what: 'Cannot open raw sockets',
    cause: permission ? 'this user may not (CAP_NET_RAW is needed)' : error.message,
    code: permission ? 'EPERM' : 'ERR_TAPWIRE_RAW_SOCKET',
    cure: 'Run it with sudo, or in a network of its own without root: `unshare -Urn node …`.',
    syscall: 'socket',
  });
}
