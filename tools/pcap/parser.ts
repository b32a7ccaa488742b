import { type BlockView, readInterface, readNames, readStatistics, stringOf, walkOptions } from './blocks';
import * as f from './format';

/** A capture file that cannot be read on: what is wrong and at which byte of the file. */
export class CaptureError extends Error {
  constructor(
    what: string,
    /** Bytes from the beginning of the file. */
    readonly offset: number,
  ) {
    super(`${what} (at byte ${offset})`);
    this.name = 'CaptureError';
  }
}

/** One capture point of a file; a pcap file has exactly one. */
export interface CaptureInterface {
  /** Counted over the whole file. */
  readonly id: number;
  /** LINKTYPE_ number. */
  readonly linkType: number;
  /** 0: unlimited. */
  readonly snapLength: number;
  readonly name: string | null;
  readonly description: string | null;
  /** Nanoseconds of a timestamp: ticks × multiplier ÷ divisor + offset. */
  readonly multiplier: bigint;
  readonly divisor: bigint;
  readonly offsetNs: bigint;
  readonly comments: readonly string[];
  packets: number;
  /** What the file's statistics say was received and dropped; null when it says nothing. */
  received: bigint | null;
  dropped: bigint | null;
}

/** One packet of a capture file. */
export interface CapturedPacket {
  /** From 1, in the file's order. */
  readonly number: number;
  /** Where its record begins in the file. */
  readonly offset: number;
  readonly iface: CaptureInterface;
  readonly linkType: number;
  /** Since 1970 (or since the zero of virtual time). */
  readonly timeNs: bigint;
  /** The same in milliseconds, to about a quarter of a microsecond at today's dates. */
  readonly timeMs: number;
  /** A copy of its own. */
  readonly bytes: Uint8Array;
  /** Bytes on the wire; more than `bytes` holds when the capture cut it. */
  readonly originalLength: number;
  /** One of the DIRECTION_ constants. */
  readonly direction: number;
  readonly comments: readonly string[];
}

/** Nothing that is read whole may be larger: a length field is a claim, not a reason to wait for memory. */
export const BLOCK_BYTES_MAX = 16 << 20;
/** libpcap's limit; a pcap header may claim more for its own packets, up to BLOCK_BYTES_MAX. */
const PACKET_BYTES_MAX = 262_144;

const PCAP_MICROS = 0xa1b2c3d4;
const PCAP_NANOS = 0xa1b23c4d;
/** Kuznetsov's variant: eight more bytes in each record header. */
const PCAP_MODIFIED = 0xa1b2cd34;
const PCAP_HEADER = 24;
const SECTION_MIN = 28;

const FOREIGN: readonly (readonly [number, string])[] = [
  [0x1f8b0000, 'compressed with gzip: give it decompressed ("gzip -dc FILE | tapwire decode -")'],
  [0x28b52ffd, 'compressed with zstd: give it decompressed ("zstd -dc FILE | tapwire decode -")'],
  [0x04224d18, 'compressed with lz4: give it decompressed ("lz4 -dc FILE | tapwire decode -")'],
  [0x736e6f6f, 'a snoop capture: convert it first ("editcap FILE out.pcapng")'],
];

/**
 * Takes a capture file in pieces of any size and gives its packets: `push`, then `next` until null, and `end` when
 * there is no more. Holds at most one incomplete record. Throws CaptureError, and nothing else, for any input; after
 * that it gives nothing more.
 */
export class CaptureParser {
  format: 'pcap' | 'pcapng' | null = null;
  /** All interfaces so far, of all sections. */
  readonly interfaces: CaptureInterface[] = [];
  /** Comments on sections. */
  readonly comments: string[] = [];
  /** The program that wrote the (latest) section. */
  application: string | null = null;
  /** Names of addresses, by address as text of the decoder. */
  readonly names = new Map<string, string>();
  /** Blocks that were skipped because their type is not known here. */
  skippedBlocks = 0;
  /** Decryption secrets blocks seen. */
  secrets = 0;
  packets = 0;

  private buffer = new Uint8Array(1 << 16);
  private view = new DataView(this.buffer.buffer);
  private at = 0;
  private fill = 0;
  /** Where `buffer[0]` is in the file. */
  private base = 0;
  private little = true;
  private failed = false;
  // pcap
  private recordHeader = 16;
  private swapLengths: 'never' | 'always' | 'when-larger' = 'never';
  private packetMax = PACKET_BYTES_MAX;
  // pcapng
  private firstInterface = 0;
  /** Rest of an unknown block that is being skipped, its trailing length excluded; and that length. */
  private skip = 0;
  private skipLength = 0;
  private skipAt = 0;

  /** Adds the file's next bytes; they are copied. */
  push(bytes: Uint8Array): void {
    if (this.fill + bytes.length > this.buffer.length) this.makeRoom(bytes.length);
    this.buffer.set(bytes, this.fill);
    this.fill += bytes.length;
  }

  /** The next packet, or null: more bytes are needed. */
  next(): CapturedPacket | null {
    if (this.failed) return null;
    if (this.format === null && !this.readMagic()) return null;
    return this.format === 'pcap' ? this.nextRecord() : this.nextBlock();
  }

  /** There are no more bytes. Throws when the file ends inside something. */
  end(): void {
    if (this.failed) return;
    if (this.format === null) {
      const bytes = this.fill - this.at;
      this.fail(bytes === 0 ? 'the file is empty' : `too short to be a capture: ${bytes} bytes`, this.base + this.at);
    }
    if (this.skip > 0 || this.skipLength > 0) this.fail('the file ends inside a block that begins here', this.skipAt);
    const left = this.fill - this.at;
    if (left > 0) {
      this.fail(
        `the file ends inside a ${this.format === 'pcap' ? 'packet' : 'block'} of which ${left} bytes are there`,
        this.base + this.at,
      );
    }
  }

  private makeRoom(bytes: number): void {
    const waiting = this.fill - this.at;
    const into = waiting + bytes > this.buffer.length ? new Uint8Array((waiting + bytes) * 2) : this.buffer;
    into.set(this.buffer.subarray(this.at, this.fill));
    this.base += this.at;
    this.at = 0;
    this.fill = waiting;
    if (into === this.buffer) return;
    this.buffer = into;
    this.view = new DataView(into.buffer);
  }

  private fail(what: string, offset: number): never {
    this.failed = true;
    throw new CaptureError(what, offset);
  }

  private has(bytes: number): boolean {
    return this.fill - this.at >= bytes;
  }
  private word(offset: number): number {
    return this.view.getUint32(this.at + offset, this.little);
  }
  private half(offset: number): number {
    return this.view.getUint16(this.at + offset, this.little);
  }

  /** False: more bytes are needed to tell what the file is. */
  private readMagic(): boolean {
    if (!this.has(4)) return false;
    const magic = this.view.getUint32(this.at, false);
    if (magic === f.BLOCK_SECTION) {
      this.format = 'pcapng';
      return true;
    }
    for (const little of [false, true]) {
      const read = this.view.getUint32(this.at, little);
      if (read !== PCAP_MICROS && read !== PCAP_NANOS && read !== PCAP_MODIFIED) continue;
      if (!this.has(PCAP_HEADER)) return false;
      this.little = little;
      this.readPcapHeader(read);
      return true;
    }
    for (const [sign, what] of FOREIGN) {
      const mask = (sign & 0xffff) === 0 ? 0xffff0000 : 0xffffffff;
      if ((magic & mask) >>> 0 === sign) this.fail(`the file is ${what}`, 0);
    }
    const begin = Buffer.from(this.buffer.subarray(this.at, this.at + 4)).toString('hex');
    return this.fail(`not a pcap or pcapng capture: it begins with ${begin}`, 0);
  }

  private readPcapHeader(magic: number): void {
    const major = this.half(4);
    const minor = this.half(6);
    if (major !== 2) this.fail(`pcap version ${major}.${minor} is not known`, 4);
    const snapLength = this.word(16);
    // Writers before 2.3 stored the two lengths the other way round; those of 2.3 did either.
    this.swapLengths = minor < 3 ? 'always' : minor === 3 ? 'when-larger' : 'never';
    this.packetMax = Math.max(PACKET_BYTES_MAX, Math.min(snapLength, BLOCK_BYTES_MAX));
    if (magic === PCAP_MODIFIED) this.recordHeader = 24;
    this.interfaces.push({
      id: 0,
      linkType: this.word(20) & 0x03ffffff,
      snapLength,
      name: null,
      description: null,
      multiplier: magic === PCAP_NANOS ? 1n : 1000n,
      divisor: 1n,
      offsetNs: 0n,
      comments: [],
      packets: 0,
      received: null,
      dropped: null,
    });
    this.format = 'pcap';
    this.at += PCAP_HEADER;
  }

  private nextRecord(): CapturedPacket | null {
    if (!this.has(this.recordHeader)) return null;
    let kept = this.word(8);
    let original = this.word(12);
    if (this.swapLengths === 'always' || (this.swapLengths === 'when-larger' && kept > original)) {
      [kept, original] = [original, kept];
    }
    const offset = this.base + this.at;
    if (kept > this.packetMax) {
      this.fail(`packet ${this.packets + 1} claims ${kept} bytes, more than ${this.packetMax}`, offset);
    }
    if (!this.has(this.recordHeader + kept)) return null;
    const face = this.interfaces[0]!;
    const timeNs = BigInt(this.word(0)) * 1_000_000_000n + BigInt(this.word(4)) * face.multiplier;
    const from = this.at + this.recordHeader;
    this.at = from + kept;
    return this.packet(offset, face, timeNs, from, kept, original, 0, NO_COMMENTS);
  }

  private packet(
    offset: number,
    iface: CaptureInterface,
    timeNs: bigint,
    from: number,
    kept: number,
    originalLength: number,
    direction: number,
    comments: readonly string[],
  ): CapturedPacket {
    iface.packets++;
    return {
      number: ++this.packets,
      offset,
      iface,
      linkType: iface.linkType,
      timeNs,
      timeMs: Number(timeNs) / 1e6,
      bytes: this.buffer.slice(from, from + kept),
      originalLength: Math.max(originalLength, kept),
      direction,
      comments,
    };
  }

  /** Reads blocks up to and with the next packet. */
  private nextBlock(): CapturedPacket | null {
    for (;;) {
      if (!this.finishSkip()) return null;
      if (!this.has(f.BLOCK_FRAMING_BYTES)) return null;
      const offset = this.base + this.at;
      const type = this.word(0);
      // The section header's type reads the same in both orders; its length needs the order that it declares.
      if (type === f.BLOCK_SECTION) this.readByteOrder(offset);
      const length = this.word(4);
      if (length < f.BLOCK_FRAMING_BYTES || (length & 3) !== 0) this.fail(`a block claims ${length} bytes`, offset);
      if (!KNOWN.has(type)) {
        this.beginSkip(length, offset);
        continue;
      }
      if (length > BLOCK_BYTES_MAX) {
        this.fail(`a block of type ${type} claims ${length} bytes, more than ${BLOCK_BYTES_MAX}`, offset);
      }
      if (!this.has(length)) return null;
      const trailer = this.word(length - 4);
      if (trailer !== length) this.fail(`a block begins with length ${length} and ends with ${trailer}`, offset);
      const packet = this.readBlock(type, length, offset);
      this.at += length;
      if (packet !== null) return packet;
    }
  }

  private readByteOrder(offset: number): void {
    if (this.view.getUint32(this.at + 8, true) === f.BYTE_ORDER_MAGIC) this.little = true;
    else if (this.view.getUint32(this.at + 8, false) === f.BYTE_ORDER_MAGIC) this.little = false;
    else this.fail('a section header without a byte-order magic', offset);
  }

  private beginSkip(length: number, offset: number): void {
    this.skippedBlocks++;
    this.skip = length - 4;
    this.skipLength = length;
    this.skipAt = offset;
  }

  /** False: more bytes are needed. */
  private finishSkip(): boolean {
    if (this.skipLength === 0) return true;
    const passed = Math.min(this.skip, this.fill - this.at);
    this.at += passed;
    this.skip -= passed;
    if (this.skip > 0 || !this.has(4)) return false;
    const trailer = this.word(0);
    if (trailer !== this.skipLength) {
      this.fail(`a block begins with length ${this.skipLength} and ends with ${trailer}`, this.skipAt);
    }
    this.at += 4;
    this.skipLength = 0;
    return true;
  }

  private readBlock(type: number, length: number, offset: number): CapturedPacket | null {
    const block: BlockView = {
      view: this.view,
      at: this.at + 8,
      end: this.at + length - 4,
      little: this.little,
      fail: (what) => this.fail(what, offset),
    };
    const bytes = block.end - block.at;
    if (bytes < BODY_MIN[type]!) this.fail(`a block of type ${type} has only ${bytes} bytes`, offset);
    switch (type) {
      case f.BLOCK_SECTION:
        this.readSection(block, offset);
        return null;
      case f.BLOCK_INTERFACE:
        this.interfaces.push(readInterface(block, this.interfaces.length));
        return null;
      case f.BLOCK_NAMES:
        readNames(block, this.names);
        return null;
      case f.BLOCK_STATISTICS:
        readStatistics(block, this.face(block.view.getUint32(block.at, this.little), offset));
        return null;
      case f.BLOCK_SECRETS:
        this.secrets++;
        return null;
      case f.BLOCK_SIMPLE_PACKET:
        return this.readSimplePacket(block, offset);
      default:
        return this.readPacket(block, type === f.BLOCK_PACKET_OBSOLETE, offset);
    }
  }

  private readSection(block: BlockView, offset: number): void {
    const major = block.view.getUint16(block.at + 4, this.little);
    if (major !== 1) this.fail(`pcapng version ${major} is not known`, offset);
    this.firstInterface = this.interfaces.length;
    walkOptions(block, block.at + SECTION_MIN - f.BLOCK_FRAMING_BYTES, (code, at, bytes) => {
      if (code === f.OPT_COMMENT) this.comments.push(stringOf(block, at, bytes));
      else if (code === f.SHB_APPLICATION) this.application = stringOf(block, at, bytes);
    });
  }

  private face(id: number, offset: number): CaptureInterface {
    const face = this.interfaces[this.firstInterface + id];
    if (face !== undefined) return face;
    return this.fail(
      `interface ${id} is named, but ${this.interfaces.length - this.firstInterface} are described`,
      offset,
    );
  }

  /** The enhanced packet block, and the packet block that it replaced. */
  private readPacket(block: BlockView, obsolete: boolean, offset: number): CapturedPacket {
    const { view, at, little } = block;
    const face = this.face(obsolete ? view.getUint16(at, little) : view.getUint32(at, little), offset);
    const ticks = (BigInt(view.getUint32(at + 4, little)) << 32n) | BigInt(view.getUint32(at + 8, little));
    const kept = view.getUint32(at + 12, little);
    const from = at + 20;
    if (kept > block.end - from) {
      this.fail(`packet ${this.packets + 1} claims ${kept} bytes in a block with ${block.end - from}`, offset);
    }
    let direction = f.DIRECTION_UNKNOWN;
    let comments = NO_COMMENTS;
    walkOptions(block, from + ((kept + 3) & ~3), (code, optionAt, bytes) => {
      if (code === f.OPT_COMMENT) comments = [...comments, stringOf(block, optionAt, bytes)];
      else if (code === f.EPB_FLAGS && bytes === 4) direction = view.getUint32(optionAt, little) & 3;
    });
    const timeNs = (ticks * face.multiplier) / face.divisor + face.offsetNs;
    return this.packet(
      offset,
      face,
      timeNs,
      from,
      kept,
      view.getUint32(at + 16, little),
      direction === 3 ? 0 : direction,
      comments,
    );
  }

  private readSimplePacket(block: BlockView, offset: number): CapturedPacket {
    const face = this.face(0, offset);
    const original = block.view.getUint32(block.at, this.little);
    const from = block.at + 4;
    const kept = Math.min(original, face.snapLength || original, block.end - from);
    // A simple packet has no time: it gets the zero of the file.
    return this.packet(offset, face, face.offsetNs, from, kept, original, f.DIRECTION_UNKNOWN, NO_COMMENTS);
  }
}

const NO_COMMENTS: readonly string[] = [];

/** Bytes of the fixed fields of each block that is read. */
const BODY_MIN: Readonly<Record<number, number>> = {
  [f.BLOCK_SECTION]: SECTION_MIN - f.BLOCK_FRAMING_BYTES,
  [f.BLOCK_INTERFACE]: 8,
  [f.BLOCK_PACKET_OBSOLETE]: 20,
  [f.BLOCK_SIMPLE_PACKET]: 4,
  [f.BLOCK_NAMES]: 0,
  [f.BLOCK_STATISTICS]: 12,
  [f.BLOCK_PACKET]: 20,
  [f.BLOCK_SECRETS]: 8,
};
const KNOWN = new Set(Object.keys(BODY_MIN).map(Number));
