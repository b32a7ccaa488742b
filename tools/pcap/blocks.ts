import { addressText } from './addresses';
import * as f from './format';
import type { CaptureInterface } from './parser';

/** The body of a pcapng block: where it stands and how its numbers are to be read. */
export interface BlockView {
  readonly view: DataView;
  /** After the block's type and length. */
  readonly at: number;
  /** Before its trailing length. */
  readonly end: number;
  readonly little: boolean;
  /** Throws the parser's error with the block's place in the file. */
  fail(what: string): never;
}

const utf8 = new TextDecoder('utf-8');

/** A text value; writers that end it with a zero byte are forgiven. */
export function stringOf(block: BlockView, at: number, bytes: number): string {
  while (bytes > 0 && block.view.getUint8(at + bytes - 1) === 0) bytes--;
  return utf8.decode(new Uint8Array(block.view.buffer, block.view.byteOffset + at, bytes));
}

/** Calls `option` for each option of the list at [at, block.end): its code, where its value stands and its length. */
export function walkOptions(
  block: BlockView,
  at: number,
  option: (code: number, at: number, bytes: number) => void,
): void {
  while (at + 4 <= block.end) {
    const code = block.view.getUint16(at, block.little);
    const bytes = block.view.getUint16(at + 2, block.little);
    if (code === f.OPT_END) return;
    if (at + 4 + bytes > block.end) {
      block.fail(`option ${code} claims ${bytes} bytes, but ${block.end - at - 4} are left in its block`);
    }
    option(code, at + 4, bytes);
    at += 4 + ((bytes + 3) & ~3);
  }
}

/** An interface description block. */
export function readInterface(block: BlockView, id: number): CaptureInterface {
  const { view, at, little } = block;
  let name: string | null = null;
  let description: string | null = null;
  let resolution = 6;
  let offsetNs = 0n;
  const comments: string[] = [];
  walkOptions(block, at + 8, (code, optionAt, bytes) => {
    if (code === f.IF_NAME) name = stringOf(block, optionAt, bytes);
    else if (code === f.IF_DESCRIPTION) description = stringOf(block, optionAt, bytes);
    else if (code === f.OPT_COMMENT) comments.push(stringOf(block, optionAt, bytes));
    else if (code === f.IF_TSRESOL && bytes >= 1) resolution = view.getUint8(optionAt);
    else if (code === f.IF_TSOFFSET && bytes >= 8) offsetNs = view.getBigInt64(optionAt, little) * 1_000_000_000n;
  });
  // The highest bit says whether the rest is a power of two or of ten.
  const unit = (resolution & 0x80) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & 0x7f);
  const whole = 1_000_000_000n % unit === 0n;
  return {
    id,
    linkType: view.getUint16(at, little),
    snapLength: view.getUint32(at + 4, little),
    name,
    description,
    multiplier: whole ? 1_000_000_000n / unit : 1_000_000_000n,
    divisor: whole ? 1n : unit,
    offsetNs,
    comments,
    packets: 0,
    received: null,
    dropped: null,
  };
}

/** A name resolution block: adds to `names`. */
export function readNames(block: BlockView, names: Map<string, string>): void {
  const { view, little } = block;
  let at = block.at;
  while (at + 4 <= block.end) {
    const type = view.getUint16(at, little);
    const bytes = view.getUint16(at + 2, little);
    if (type === f.NRB_END) return;
    if (at + 4 + bytes > block.end) block.fail(`a name record claims ${bytes} bytes, more than its block has`);
    const size = type === f.NRB_IPV4 ? 4 : type === f.NRB_IPV6 ? 16 : 0;
    if (size > 0 && bytes > size) {
      const b = new Uint8Array(view.buffer, view.byteOffset + at + 4, size);
      const name = stringOf(block, at + 4 + size, bytes - size).split('\0')[0]!;
      if (name !== '') names.set(addressText(b, 0, size), name);
    }
    at += 4 + ((bytes + 3) & ~3);
  }
}

/** An interface statistics block: the latest counts win. */
export function readStatistics(block: BlockView, face: CaptureInterface): void {
  let dropped: bigint | null = null;
  walkOptions(block, block.at + 12, (code, at, bytes) => {
    if (bytes < 8) return;
    const count = block.view.getBigUint64(at, block.little);
    if (code === f.ISB_IFRECV) face.received = count;
    else if (code === f.ISB_IFDROP || code === f.ISB_OSDROP) dropped = (dropped ?? 0n) + count;
  });
  if (dropped !== null) face.dropped = dropped;
}
