/** A frame, a slab, an arena: always a plain Uint8Array on the packet path, never sometimes a Buffer. */
export type Bytes = Uint8Array;

/** A point in time or a span, in milliseconds with a fraction. Only the host knows what zero means. */
export type Millis = number;

/** A deadline that never comes. */
export const NEVER = Infinity;

export const u8 = (b: Bytes, at: number): number => b[at]!;
export const u16 = (b: Bytes, at: number): number => (b[at]! << 8) | b[at + 1]!;
/** 32 bits as a signed integer: V8 keeps it unboxed. Use u32 where the sign matters. */
export const i32 = (b: Bytes, at: number): number =>
  (b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!;
export const u32 = (b: Bytes, at: number): number => i32(b, at) >>> 0;

export function put16(b: Bytes, at: number, value: number): void {
  b[at] = value >>> 8;
  b[at + 1] = value;
}

export function put32(b: Bytes, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}
