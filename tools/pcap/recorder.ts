import { performance } from 'node:perf_hooks';
import {
  type Device,
  type DeviceCounters,
  type FrameBatch,
  type LinkType,
  type Offloads,
  RX_AT,
  RX_BYTES,
  RX_FIELDS,
  RX_FLAGS,
  RX_SEGMENT_BYTES,
} from '../../device/device';
import type { Millis } from '../../stack/base/bytes';
import type { TxQueue } from '../../stack/base/tx-queue';
import { FileSink } from './sink';
import { type InterfaceOptions, PcapngWriter, type WriterOptions } from './writer';

/**
 * A device that records what passes through it. Outgoing frames are recorded when the device has taken them, incoming
 * ones before the stack sees them. Closing it closes the device, not the capture: several devices may share one.
 */
export class RecordingDevice implements Device {
  private readonly id: number;

  constructor(
    private readonly inner: Device,
    private readonly writer: PcapngWriter,
    private readonly now: () => Millis,
    options: Partial<InterfaceOptions> = {},
  ) {
    this.id = writer.addInterface({ name: inner.name, linkType: inner.linkType, mac: inner.mac, ...options });
  }

  get name(): string {
    return this.inner.name;
  }
  get linkType(): LinkType {
    return this.inner.linkType;
  }
  get mtu(): number {
    return this.inner.mtu;
  }
  get mac(): Uint8Array | null {
    return this.inner.mac;
  }
  get offloads(): Offloads {
    return this.inner.offloads;
  }
  get counters(): DeviceCounters {
    return this.inner.counters;
  }

  receive(batch: FrameBatch): number {
    const frames = this.inner.receive(batch);
    if (frames === 0) return 0;
    const now = this.now();
    const r = batch.records;
    const bytes = batch.slab.bytes;
    for (let i = 0, at = 0; i < frames; i++, at += RX_FIELDS) {
      const flags = r[at + RX_FLAGS]!;
      this.writer.writeReceived(
        this.id,
        now,
        bytes,
        r[at + RX_AT]!,
        r[at + RX_BYTES]!,
        flags,
        r[at + RX_SEGMENT_BYTES]!,
      );
    }
    return frames;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    const taken = this.inner.transmit(queue, firstRecord, frames);
    if (taken === 0) return 0;
    const now = this.now();
    for (let i = 0, record = firstRecord; i < taken; i++, record = queue.next(record)) {
      this.writer.writeTransmitted(this.id, now, queue, record);
    }
    return taken;
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

/** How a capture file is written while a host runs. */
export interface CaptureFileOptions extends Omit<WriterOptions, 'epochMs' | 'flushEveryMs'> {
  /** How often buffered frames reach the file, in milliseconds; 1000 by default, 0 for at once. */
  flushEveryMs?: number;
}

/**
 * A capture of a live run: `const capture = new CaptureFile('run.pcapng'); createHost({ device: capture.record(tun) })`.
 * The file is whole blocks at every moment, so a killed process leaves a readable capture; `close` (or the process's
 * exit) adds the last second and the statistics.
 */
export class CaptureFile {
  readonly writer: PcapngWriter;
  private readonly timer: NodeJS.Timeout | null;
  private readonly atExit = (): void => {
    try {
      this.close();
    } catch (error) {
      process.stderr.write(`tapwire: the capture ${this.path} is not complete: ${(error as Error).message}\n`);
    }
  };

  /** Throws the system's error when `path` cannot be created. "-" is standard output. */
  constructor(
    readonly path: string,
    options: CaptureFileOptions = {},
  ) {
    const flushEveryMs = options.flushEveryMs ?? 1000;
    this.writer = new PcapngWriter(new FileSink(path), { ...options, epochMs: performance.timeOrigin, flushEveryMs });
    this.timer = flushEveryMs > 0 ? setInterval(() => this.writer.flush(), flushEveryMs).unref() : null;
    process.once('exit', this.atExit);
  }

  /** A device to use in the place of `device`, whose frames are recorded. */
  record(device: Device, options: Partial<InterfaceOptions> = {}): Device {
    return new RecordingDevice(device, this.writer, () => performance.now(), options);
  }

  /** Completes the file. Safe to call twice. Throws when the file could not be written and nobody listens for that. */
  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    process.off('exit', this.atExit);
    this.writer.close();
  }
}
