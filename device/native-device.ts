import type { Arenas } from '../stack/base/memory';
import type { TxQueue } from '../stack/base/tx-queue';
import {
  type Device,
  type DeviceCounters,
  type FrameBatch,
  type LinkType,
  type Offloads,
  RX_AT,
  RX_BYTES,
  RX_FIELDS,
} from './device';
import { DeviceError } from './errors';
import { loadNative, type Native, type Port, type PortInfo, TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 } from './native';

/** Positions in the counters that the addon keeps (device/native/port.h). */
const RX_FRAMES = 0;
const RX_BYTES_TOTAL = 1;
const TX_FRAMES = 2;
const TX_BYTES_TOTAL = 3;
const TX_ERRORS = 4;

/** The addon's counters under their names; they stay readable after close. */
class NativeCounters implements DeviceCounters {
  constructor(private readonly values: Float64Array) {}
  get rxFrames(): number {
    return this.values[RX_FRAMES]!;
  }
  get rxBytes(): number {
    return this.values[RX_BYTES_TOTAL]!;
  }
  get txFrames(): number {
    return this.values[TX_FRAMES]!;
  }
  get txBytes(): number {
    return this.values[TX_BYTES_TOTAL]!;
  }
  get txErrors(): number {
    return this.values[TX_ERRORS]!;
  }
  /** Frames that came too late for the addon to count. */
  lose(frames: number): void {
    this.values[TX_ERRORS]! += frames;
  }
}

/** A device over a descriptor of the kernel: the common part of TUN, TAP and packet sockets. */
export class NativeDevice implements Device {
  readonly name: string;
  readonly linkType: LinkType;
  readonly offloads: Offloads;
  readonly counters: NativeCounters;
  /** The descriptor, to hand to a child process; whoever reads it takes frames away from this device. */
  readonly fd: number;
  failure: Error | null = null;
  private readonly native: Native = loadNative();
  private arenas: Arenas | null = null;
  private arenasKnown = 0;
  private closed = false;

  constructor(
    private readonly port: Port,
    info: PortInfo,
    readonly mtu: number,
    readonly mac: Uint8Array | null,
    /** Takes back what was set on an interface that stays. */
    private readonly undo: () => void,
  ) {
    this.name = info.name;
    this.fd = info.fd;
    this.linkType = info.ipLink ? 'ip' : 'ethernet';
    this.offloads = {
      checksum: (info.offload & TUN_F_CSUM) !== 0,
      tso4: (info.offload & TUN_F_TSO4) !== 0,
      tso6: (info.offload & TUN_F_TSO6) !== 0,
    };
    this.counters = new NativeCounters(info.counters);
  }

  receive(batch: FrameBatch): number {
    if (this.closed) return 0;
    const slab = batch.slab;
    const count = this.native.receive(this.port, slab.bytes, slab.fill, batch.records);
    // A failed read needs nothing here: when the interface is gone, `onReady` says so.
    if (count <= 0) return 0;
    const last = (count - 1) * RX_FIELDS;
    slab.fill = (batch.records[last + RX_AT]! + batch.records[last + RX_BYTES]! + 63) & -64;
    return count;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    if (this.closed) {
      this.counters.lose(frames);
      return frames;
    }
    if (queue.arenas !== this.arenas || this.arenasKnown !== queue.arenas.list.length) this.learn(queue.arenas);
    return this.native.transmit(this.port, queue.records, firstRecord, frames);
  }

  /** The addon keeps a pointer to every arena; arenas are only ever added. */
  private learn(arenas: Arenas): void {
    if (arenas !== this.arenas) {
      this.native.dropArenas(this.port);
      this.arenas = arenas;
      this.arenasKnown = 0;
    }
    while (this.arenasKnown < arenas.list.length) this.native.addArena(this.port, arenas.list[this.arenasKnown++]!);
  }

  onReadable(ready: (() => void) | null): void {
    if (this.closed) return;
    const told = (status: number): void => {
      if (status < 0) this.failure = removed(this.name, status);
      ready?.();
    };
    this.native.onReady(this.port, ready === null ? null : told);
  }

  ref(): void {
    this.native.hold(this.port, true);
  }

  unref(): void {
    this.native.hold(this.port, false);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.undo();
    } finally {
      this.native.close(this.port);
      this.arenas = null;
    }
  }
}

function removed(name: string, errno: number): DeviceError {
  return new DeviceError({
    what: `The device ${name} stopped working`,
    cause: 'its interface was removed',
    code: 'ENODEV',
    cure: 'Close it and open a new one.',
    errno,
    syscall: 'read',
  });
}
