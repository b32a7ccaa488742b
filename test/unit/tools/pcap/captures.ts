/** Builds capture files byte by byte, in either byte order, for the tests of the parser. */
export class FileBuilder {
  private readonly bytes: number[] = [];

  constructor(readonly little: boolean) {}

  u8(...values: number[]): this {
    this.bytes.push(...values.map((v) => v & 255));
    return this;
  }
  u16(...values: number[]): this {
    for (const v of values) {
      if (this.little) this.u8(v, v >>> 8);
      else this.u8(v >>> 8, v);
    }
    return this;
  }
  u32(...values: number[]): this {
    for (const v of values) {
      if (this.little) this.u8(v, v >>> 8, v >>> 16, v >>> 24);
      else this.u8(v >>> 24, v >>> 16, v >>> 8, v);
    }
    return this;
  }
  raw(values: Iterable<number>): this {
    for (const v of values) this.bytes.push(v);
    return this;
  }
  pad(): this {
    while (this.bytes.length % 4 !== 0) this.bytes.push(0);
    return this;
  }
  option(code: number, value: Iterable<number>): this {
    const v = [...value];
    return this.u16(code, v.length).raw(v).pad();
  }
  /** A pcapng block around what `body` adds. */
  block(type: number, body: (b: FileBuilder) => void): this {
    const inner = new FileBuilder(this.little);
    body(inner);
    inner.pad();
    const length = inner.bytes.length + 12;
    return this.u32(type, length).raw(inner.bytes).u32(length);
  }
  section(): this {
    return this.block(0x0a0d0d0a, (b) => b.u32(0x1a2b3c4d).u16(1, 0).u32(0xffffffff, 0xffffffff));
  }
  face(linkType: number, snapLength = 0, options: (b: FileBuilder) => void = () => {}): this {
    return this.block(1, (b) => {
      b.u16(linkType, 0).u32(snapLength);
      options(b);
    });
  }
  /** An enhanced packet block. */
  packet(id: number, high: number, low: number, data: Uint8Array, options: (b: FileBuilder) => void = () => {}): this {
    return this.block(6, (b) => {
      b.u32(id, high, low, data.length, data.length).raw(data).pad();
      options(b);
    });
  }
  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

export interface ClassicOptions {
  magic?: number;
  minor?: number;
  snapLength?: number;
  linkType?: number;
  /** Bytes between a record's lengths and its data, as some variants have them. */
  extra?: number;
}

/** A pcap file of packets with time (seconds, fraction), data, and a length on the wire. */
export function classic(
  little: boolean,
  packets: { seconds: number; fraction: number; data: Uint8Array; original?: number }[],
  options: ClassicOptions = {},
): Uint8Array {
  const f = new FileBuilder(little);
  f.u32(options.magic ?? 0xa1b2c3d4)
    .u16(2, options.minor ?? 4)
    .u32(0, 0, options.snapLength ?? 262144, options.linkType ?? 101);
  for (const p of packets) {
    f.u32(p.seconds, p.fraction, p.data.length, p.original ?? p.data.length);
    for (let i = 0; i < (options.extra ?? 0); i++) f.u8(0xee);
    f.raw(p.data);
  }
  return f.done();
}
