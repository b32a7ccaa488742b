import { KNOWN_NAMES, KNOWN_NAMES_LOWER, NAME_SHIFT, SPELLING_CANONICAL, SPELLING_LOWER } from './field-names';
import { METHODS } from './grammar';
import {
  FIELD_FOLDED,
  FIELD_INTS,
  FIELD_NAME_AT,
  FIELD_NAME_BYTES,
  FIELD_NAME_ID,
  FIELD_VALUE_AT,
  FIELD_VALUE_BYTES,
  type Head,
} from './head';

type Slice = (this: Uint8Array, from: number, to: number) => string;
/** `toString('latin1')` without a Buffer around the bytes. */
const latin1Slice = (Buffer.prototype as unknown as { latin1Slice: Slice }).latin1Slice;

/** The whole head as latin1 text: the one decoding that all strings below are cut from. Call it while the head is lent. */
export function headText(head: Head): string {
  return latin1Slice.call(head.bytes, head.at, head.end);
}

/** The request's method; interned. */
export const methodOf = (head: Head): string => METHODS[head.method]!;

export const targetOf = (head: Head, text: string): string =>
  text.slice(head.targetAt, head.targetAt + head.targetBytes);

export const reasonOf = (head: Head, text: string): string =>
  text.slice(head.reasonAt, head.reasonAt + head.reasonBytes);

/** The name of field `i` as it was sent; interned when it is known in that spelling. */
export function fieldName(head: Head, text: string, i: number): string {
  const fields = head.fields;
  const at = i * FIELD_INTS;
  const id = fields[at + FIELD_NAME_ID]!;
  const spelling = id & 3;
  if (spelling === SPELLING_CANONICAL) return KNOWN_NAMES[id >> NAME_SHIFT]!;
  if (spelling === SPELLING_LOWER) return KNOWN_NAMES_LOWER[id >> NAME_SHIFT]!;
  const from = fields[at + FIELD_NAME_AT]!;
  return text.slice(from, from + fields[at + FIELD_NAME_BYTES]!);
}

/** The value of field `i`, without white space around it; a folded one without its line ends. */
export function fieldValue(head: Head, text: string, i: number): string {
  const fields = head.fields;
  const at = i * FIELD_INTS;
  const from = fields[at + FIELD_VALUE_AT]!;
  const value = text.slice(from, from + fields[at + FIELD_VALUE_BYTES]!);
  return fields[at + FIELD_NAME_ID]! & FIELD_FOLDED ? value.replace(/[\r\n]+/g, '') : value;
}

/** Names and values in turn, as `IncomingMessage.rawHeaders` has them. */
export function rawHeadersOf(head: Head, text: string): string[] {
  const count = head.fieldCount;
  const raw = new Array<string>(count * 2);
  for (let i = 0; i < count; i++) {
    raw[i * 2] = fieldName(head, text, i);
    raw[i * 2 + 1] = fieldValue(head, text, i);
  }
  return raw;
}
