import type { Expression } from './ast';
import { AF_UNSPEC, constant } from './constants';
import { Unsupported } from './source';

/** A null pointer as an argument. */
const isNull = (e: Expression | undefined): boolean => e?.kind === 'word' && e.name === 'NULL';

/** The number that an expression stands for. Throws Unsupported for a word that names none. */
export function numberOf(e: Expression): number {
  switch (e.kind) {
    case 'integer':
      return e.value;
    case 'word': {
      const value = constant(e.name);
      if (value === null) throw new Unsupported(`the constant ${e.name}`);
      return value;
    }
    case 'or':
      return e.parts.reduce((bits, part) => (bits | numberOf(part)) >>> 0, 0);
    case 'conversion':
      if (typeof e.value === 'number') return e.value;
  }
  throw new Unsupported(`${describe(e)} where a number is expected`);
}

/** What an argument is, for messages. */
export function describe(e: Expression): string {
  switch (e.kind) {
    case 'ellipsis':
      return '"..."';
    case 'integer':
      return String(e.value);
    case 'word':
      return e.name;
    case 'string':
      return 'a string';
    case 'array':
      return 'an array';
    case 'list':
      return 'a list';
    case 'or':
      return e.parts.map(describe).join('|');
    case 'conversion':
      return `${e.name}(...)`;
    case 'assign':
      return `${e.name}=...`;
  }
  return `a ${e.kind}`;
}

/** True for AF_UNSPEC as an address. */
export const isUnspec = (e: Expression | undefined): boolean =>
  e?.kind === 'word' && constant(e.name) === AF_UNSPEC && e.name.startsWith('AF_');

const zeros: Uint8Array[] = [new Uint8Array(0)];

/** A buffer of zeros, shared: nobody writes into what a script sends. */
export function zeroBytes(length: number): Uint8Array {
  if (zeros[0]!.length < length) zeros[0] = new Uint8Array(Math.max(length, 65_536));
  return zeros[0]!.subarray(0, length);
}

/** The buffer that `...`, a string or both stand for, of the given length; null for a null pointer. */
export function bufferOf(e: Expression, length: number): Uint8Array | null {
  if (isNull(e)) return null;
  if (length < 0 || length > BUFFER_MAX) throw new Unsupported(`a buffer of ${length} bytes`);
  if (e.kind === 'ellipsis') return zeroBytes(length);
  if (e.kind !== 'string') throw new Unsupported(`${describe(e)} as a buffer`);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < Math.min(length, e.value.length); i++) bytes[i] = e.value.charCodeAt(i);
  return bytes;
}

const BUFFER_MAX = 1 << 30;
