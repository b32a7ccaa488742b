import type { LinkType } from '../../device/device';
import { RX_CHECKSUM_PARTIAL, RX_CHECKSUM_VALID } from '../../device/device';
import type { Bytes, Millis } from '../../stack/base/bytes';
import {
  TX_BYTES,
  TX_CHECKSUM_FIELD,
  TX_CHECKSUM_PARTIAL,
  TX_CHECKSUM_START,
  TX_FLAGS,
  TX_SEGMENT,
  TX_SEGMENT_BYTES,
  type TxQueue,
} from '../../stack/base/tx-queue';
import { completeChecksum, completeReceived, cutSegment, findParts, Parts, segmentCount } from './complete';
import * as f from './format';
import type { CaptureSink } from './sink';

/** One capture point: becomes an interface description block. */
export interface InterfaceOptions {
  /** As people know it: "tw0", "client". */
  name: string;
  linkType: LinkType;
  description?: string;
  /** Six bytes. */
  mac?: Uint8Array | null;
  /** Unit of the timestamps; nanoseconds by default. */
  resolution?: 'ns' | 'us';
  /** Bytes kept of each frame; 0, the default, keeps all. */
  snapLength?: number;
}

/** How a capture is written. */
export interface WriterOptions {
  /** The wall-clock time of the frames' time 0, in milliseconds since 1970; 0 for virtual time. */
  epochMs?: number;
  /** Named in the section header as the program that wrote it. */
  application?: string;
  /** A comment on the whole capture: the command line, the seed. */
  comment?: string;
  /** Records super-frames as the segments that a device would cut from them. */
  segment?: boolean;
  /** Hands on what is buffered when a frame comes this long after the last flush; 0 flushes every frame. */
  flushEveryMs?: Millis;
  /** The file does not grow beyond this; later frames are counted as dropped. */
  bytesMax?: number;
  /** Told once when the sink fails (a full disk); recording stops, the run goes on. Without it `close` throws. */
  onError?: (error: Error) => void;
}

/** Statistics of one interface. */
interface Interface {
  readonly ethernet: boolean;
  readonly snapLength: number;
  readonly ticksPerMs: number;
  /** `epochMs` in ticks, as two 32-bit halves. */
  readonly epochHigh: number;
  readonly epochLow: number;
  received: number;
  written: number;
  /** Frames that the interface lost before they were seen, as the caller reports. */
  dropped: number;
  /** Frames that the writer could not record. */
  lost: number;
  firstMs: Millis;
  lastMs: Millis;
}

const BUFFER_BYTES = 1 << 18;
const OPTION_BYTES_MAX = 0xffff;
/** Framing, fixed fields, flags option and end of options of an enhanced packet block without its frame. */
const PACKET_BLOCK_BYTES = 32 + 8 + 4;
/** What `begin` and `end` add around a block's own room. */
const BLOCK_SLACK = 32;
/** More than the headers of any TCP segment: Ethernet with a VLAN tag, IPv4 and TCP with all their options. */
const HEADERS_MAX = 160;
const TWO_32 = 0x1_0000_0000;

function copy(from: Bytes, at: number, length: number, to: Bytes, toAt: number): void {
  if (length <= 64) for (let k = 0; k < length; k++) to[toAt + k] = from[at + k]!;
  else to.set(from.subarray(at, at + length), toAt);
}

/**
 * Writes a pcapng capture. Blocks are built in one buffer, so a frame costs one copy and no allocation; the sink gets
 * whole blocks. Partial checksums are completed in that copy: the frame itself is never changed. Nothing here throws
 * because of a frame or of the sink: see `WriterOptions.onError`.
 */
export class PcapngWriter {
  private buffer = new Uint8Array(BUFFER_BYTES);
  private fill = 0;
  private blockAt = 0;
  private handedOn = 0;
  private lastFlushMs = -Infinity;
  private readonly interfaces: Interface[] = [];
  private readonly parts = new Parts();
  /** A gathered super-frame, before it is cut. */
  private whole = new Uint8Array(0);
  private readonly encoder = new TextEncoder();
  private readonly epochMs: number;
  private readonly segment: boolean;
  private readonly flushEveryMs: number;
  private readonly bytesMax: number;
  private closed = false;
  /** Why recording stopped, or null. */
  failure: Error | null = null;

  constructor(
    private readonly sink: CaptureSink,
    private readonly options: WriterOptions = {},
  ) {
    this.epochMs = options.epochMs ?? 0;
    this.segment = options.segment ?? false;
    this.flushEveryMs = options.flushEveryMs ?? Infinity;
    this.bytesMax = options.bytesMax ?? Infinity;
    this.sectionHeader(options.application ?? 'tapwire', options.comment);
  }

  /** Bytes of the capture so far, buffered ones included. */
  get bytes(): number {
    return this.handedOn + this.fill;
  }

  /** Describes an interface and returns its number, which every frame names. */
  addInterface(options: InterfaceOptions): number {
    const micros = options.resolution === 'us';
    const ticksPerMs = micros ? 1e3 : 1e6;
    const epoch = BigInt(Math.round(this.epochMs * 1e3)) * (micros ? 1n : 1000n);
    const snapLength = options.snapLength ?? 0;
    this.interfaces.push({
      ethernet: options.linkType === 'ethernet',
      snapLength: snapLength > 0 ? snapLength : Infinity,
      ticksPerMs,
      epochHigh: Number(epoch >> 32n),
      epochLow: Number(epoch & 0xffffffffn),
      received: 0,
      written: 0,
      dropped: 0,
      lost: 0,
      firstMs: 0,
      lastMs: 0,
    });
    this.begin(f.BLOCK_INTERFACE, 64 + 3 * OPTION_BYTES_MAX);
    this.word16(options.linkType === 'ethernet' ? f.LINK_ETHERNET : f.LINK_RAW);
    this.word16(0);
    this.word32(snapLength);
    this.textOption(f.IF_NAME, options.name);
    if (options.description) this.textOption(f.IF_DESCRIPTION, options.description);
    if (options.mac) this.bytesOption(f.IF_MAC, options.mac.subarray(0, 6));
    this.bytesOption(f.IF_TSRESOL, Uint8Array.of(micros ? 6 : 9));
    this.endOptions();
    this.end();
    return this.interfaces.length - 1;
  }

  /** Records a frame as it is. `direction` is one of the DIRECTION_ constants. */
  writeFrame(
    id: number,
    timeMs: Millis,
    bytes: Bytes,
    at: number,
    length: number,
    direction: number,
    comment?: string,
  ): void {
    const to = this.beginFrame(id, timeMs, length, comment);
    if (to < 0) return;
    copy(bytes, at, length, this.buffer, to);
    this.endFrame(id, timeMs, length, direction, comment);
  }

  /** Records a frame that a device received: `rxFlags` and `segmentBytes` are the batch record's fields. */
  writeReceived(
    id: number,
    timeMs: Millis,
    bytes: Bytes,
    at: number,
    length: number,
    rxFlags: number,
    segmentBytes: number,
    comment?: string,
  ): void {
    const face = this.interfaces[id]!;
    if (this.segment && segmentBytes > 0) {
      if (this.writeSegments(id, timeMs, bytes, at, length, segmentBytes, f.DIRECTION_INBOUND, comment)) return;
    }
    const to = this.beginFrame(id, timeMs, length, comment);
    if (to < 0) return;
    copy(bytes, at, length, this.buffer, to);
    if ((rxFlags & RX_CHECKSUM_VALID) !== 0 && findParts(this.buffer, to, to + length, face.ethernet, this.parts)) {
      completeReceived(this.buffer, this.parts, (rxFlags & RX_CHECKSUM_PARTIAL) !== 0);
    }
    this.endFrame(id, timeMs, length, f.DIRECTION_INBOUND, comment);
  }

  /** Records the frame of a transmit queue whose record begins at `record`. */
  writeTransmitted(id: number, timeMs: Millis, queue: TxQueue, record: number, comment?: string): void {
    const r = queue.records;
    const flags = r[record + TX_FLAGS]!;
    const length = r[record + TX_BYTES]!;
    if (this.segment && (flags & TX_SEGMENT) !== 0) {
      if (this.whole.length < length) this.whole = new Uint8Array(Math.max(length, 1 << 17));
      queue.copyFrame(record, this.whole, 0);
      const cut = r[record + TX_SEGMENT_BYTES]!;
      if (this.writeSegments(id, timeMs, this.whole, 0, length, cut, f.DIRECTION_OUTBOUND, comment)) return;
    }
    const to = this.beginFrame(id, timeMs, length, comment);
    if (to < 0) return;
    queue.copyFrame(record, this.buffer, to);
    if ((flags & TX_CHECKSUM_PARTIAL) !== 0) {
      const start = to + r[record + TX_CHECKSUM_START]!;
      completeChecksum(this.buffer, start, start + r[record + TX_CHECKSUM_FIELD]!, to + length);
    }
    this.endFrame(id, timeMs, length, f.DIRECTION_OUTBOUND, comment);
  }

  /** False when the frame is not one that a device would cut; then nothing is written. */
  private writeSegments(
    id: number,
    timeMs: Millis,
    b: Bytes,
    at: number,
    length: number,
    segmentBytes: number,
    direction: number,
    comment?: string,
  ): boolean {
    const p = this.parts;
    if (!findParts(b, at, at + length, this.interfaces[id]!.ethernet, p)) return false;
    const count = segmentCount(b, p, segmentBytes);
    if (count <= 1) return false;
    for (let i = 0; i < count; i++) {
      const note = i === 0 ? comment : undefined;
      const to = this.beginFrame(id, timeMs, Math.min(length, segmentBytes + HEADERS_MAX), note);
      if (to < 0) continue;
      const bytes = cutSegment(b, at, p, segmentBytes, i, count, this.buffer, to);
      this.endFrame(id, timeMs, bytes, direction, note);
    }
    return true;
  }

  /** Adds names for addresses: a name resolution block. An address is 4 or 16 bytes. */
  writeNames(entries: Iterable<{ address: Uint8Array; name: string }>): void {
    const records = [...entries].map(({ address, name }) => ({ address, name: this.encoder.encode(`${name}\0`) }));
    this.begin(
      f.BLOCK_NAMES,
      records.reduce((n, r) => n + r.address.length + r.name.length + 8, 16),
    );
    for (const { address, name } of records) {
      this.word16(address.length === 4 ? f.NRB_IPV4 : f.NRB_IPV6);
      this.word16(address.length + name.length);
      this.bytesIn(address);
      this.bytesIn(name);
      this.pad();
    }
    this.word32(f.NRB_END);
    this.end();
  }

  /** Adds TLS secrets in NSS key log format, with which Wireshark decrypts; best before the packets they open. */
  writeTlsKeyLog(lines: string): void {
    const secrets = this.encoder.encode(lines.endsWith('\n') ? lines : `${lines}\n`);
    this.begin(f.BLOCK_SECRETS, secrets.length + 16);
    this.word32(f.SECRETS_TLS_KEY_LOG);
    this.word32(secrets.length);
    this.bytesIn(secrets);
    this.pad();
    this.end();
  }

  /** Reports frames that the interface lost before the capture saw them, for the statistics at the end. */
  countDropped(id: number, frames: number): void {
    this.interfaces[id]!.dropped += frames;
  }

  /** Hands everything buffered to the sink. */
  flush(): void {
    if (this.fill === 0) return;
    const bytes = this.buffer.subarray(0, this.fill);
    this.handedOn += this.fill;
    this.fill = 0;
    if (this.failure === null) this.attempt(() => this.sink.write(bytes));
  }

  /** Writes the interfaces' statistics, flushes and closes the sink. Safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (let id = 0; id < this.interfaces.length; id++) this.statistics(id);
    this.flush();
    this.attempt(() => this.sink.close?.());
    if (this.failure !== null && this.options.onError === undefined) throw this.failure;
  }

  private attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (this.failure !== null) return;
      this.failure = error as Error;
      this.options.onError?.(this.failure);
    }
  }

  private sectionHeader(application: string, comment?: string): void {
    this.begin(f.BLOCK_SECTION, 64 + 2 * OPTION_BYTES_MAX);
    this.word32(f.BYTE_ORDER_MAGIC);
    this.word16(1);
    this.word16(0);
    this.word32(0xffffffff);
    this.word32(0xffffffff);
    this.textOption(f.SHB_APPLICATION, application);
    if (comment) this.textOption(f.OPT_COMMENT, comment);
    this.endOptions();
    this.end();
  }

  private statistics(id: number): void {
    const face = this.interfaces[id]!;
    this.begin(f.BLOCK_STATISTICS, 128);
    this.word32(id);
    this.timestamp(face, face.lastMs);
    if (face.received > 0) {
      this.option(f.ISB_STARTTIME, 8);
      this.timestamp(face, face.firstMs);
      this.option(f.ISB_ENDTIME, 8);
      this.timestamp(face, face.lastMs);
    }
    this.countOption(f.ISB_IFRECV, face.received + face.dropped);
    this.countOption(f.ISB_IFDROP, face.dropped);
    this.countOption(f.ISB_OSDROP, face.lost);
    this.countOption(f.ISB_USRDELIV, face.written);
    this.endOptions();
    this.end();
  }

  /** Makes room for a frame of `length` bytes and returns where in `buffer` it goes; -1 when it cannot be recorded. */
  private beginFrame(id: number, timeMs: Millis, length: number, comment: string | undefined): number {
    const face = this.interfaces[id]!;
    if (face.received++ === 0) face.firstMs = timeMs;
    face.lastMs = timeMs;
    if (this.lastFlushMs === -Infinity) this.lastFlushMs = timeMs;
    const room =
      PACKET_BLOCK_BYTES + length + 4 + (comment === undefined ? 0 : Math.min(comment.length * 3, 65_535) + 8);
    if (this.failure !== null || this.closed || this.bytes + room > this.bytesMax) {
      face.lost++;
      return -1;
    }
    this.begin(f.BLOCK_PACKET, room);
    this.word32(id);
    this.timestamp(face, timeMs);
    return this.fill + 8;
  }

  /** The frame of `length` bytes stands in the buffer: adds what surrounds it. */
  private endFrame(id: number, timeMs: Millis, length: number, direction: number, comment: string | undefined): void {
    const face = this.interfaces[id]!;
    const kept = Math.min(length, face.snapLength);
    this.word32(kept);
    this.word32(length);
    this.fill += kept;
    this.pad();
    if (comment !== undefined) this.textOption(f.OPT_COMMENT, comment);
    if (direction !== f.DIRECTION_UNKNOWN) {
      this.option(f.EPB_FLAGS, 4);
      this.word32(direction);
    }
    if (direction !== f.DIRECTION_UNKNOWN || comment !== undefined) this.endOptions();
    this.end();
    face.written++;
    if (timeMs - this.lastFlushMs >= this.flushEveryMs) {
      this.lastFlushMs = timeMs;
      this.flush();
    }
  }

  /** Begins a block after making sure of `room` bytes for it; everything below then advances `fill`. */
  private begin(type: number, room: number): void {
    if (this.fill + room + BLOCK_SLACK > this.buffer.length) {
      this.flush();
      if (room + BLOCK_SLACK > this.buffer.length) this.buffer = new Uint8Array(room + BUFFER_BYTES);
    }
    this.blockAt = this.fill;
    this.word32(type);
    this.word32(0);
  }

  private end(): void {
    const bytes = this.fill + 4 - this.blockAt;
    this.word32(bytes);
    const here = this.fill;
    this.fill = this.blockAt + 4;
    this.word32(bytes);
    this.fill = here;
  }

  private timestamp(face: Interface, timeMs: Millis): void {
    const ticks = Math.max(0, Math.round(timeMs * face.ticksPerMs));
    const low = face.epochLow + (ticks % TWO_32);
    this.word32(face.epochHigh + Math.floor(ticks / TWO_32) + (low >= TWO_32 ? 1 : 0));
    this.word32(low);
  }

  private option(code: number, bytes: number): void {
    this.word16(code);
    this.word16(bytes);
  }

  private countOption(code: number, count: number): void {
    this.option(code, 8);
    this.word32(count % TWO_32);
    this.word32(Math.floor(count / TWO_32));
  }

  private bytesOption(code: number, bytes: Uint8Array): void {
    this.option(code, bytes.length);
    this.bytesIn(bytes);
    this.pad();
  }

  /** A text of more than 65,535 bytes is cut at a character. */
  private textOption(code: number, text: string): void {
    const at = this.fill;
    this.fill += 4;
    const { written } = this.encoder.encodeInto(text, this.buffer.subarray(this.fill, this.fill + OPTION_BYTES_MAX));
    this.fill = at;
    this.option(code, written);
    this.fill += written;
    this.pad();
  }

  private endOptions(): void {
    this.word32(f.OPT_END);
  }

  private bytesIn(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.fill);
    this.fill += bytes.length;
  }

  private pad(): void {
    while ((this.fill & 3) !== 0) this.buffer[this.fill++] = 0;
  }

  private word16(value: number): void {
    this.buffer[this.fill++] = value;
    this.buffer[this.fill++] = value >>> 8;
  }

  private word32(value: number): void {
    this.buffer[this.fill++] = value;
    this.buffer[this.fill++] = value >>> 8;
    this.buffer[this.fill++] = value >>> 16;
    this.buffer[this.fill++] = value >>> 24;
  }
}
