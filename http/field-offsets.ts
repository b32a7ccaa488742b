import { FIELD_INTS, type Head } from './head';

/**
 * The positions of a head's fields outlive the head: its message may be asked for them later. They are copied into blocks
 * of integers that many messages share, since one small typed array a message costs more than all the rest of it.
 */
const BLOCK_INTS = 4096;
let block = new Int32Array(BLOCK_INTS);
let used = 0;

/** A message's own copy of positions: `block[at ...]`, FIELD_INTS integers for each field. */
export interface FieldOffsets {
  _fields: Int32Array;
  _fieldsAt: number;
  _fieldCount: number;
}

/** Copies the positions of `head`'s first `count` fields for `message`. */
export function keepOffsets(head: Head, count: number, message: FieldOffsets): void {
  const ints = count * FIELD_INTS;
  message._fieldCount = count;
  const from = head.fields;
  if (used + ints > BLOCK_INTS) {
    if (ints > BLOCK_INTS >> 2) {
      message._fields = from.slice(0, ints);
      message._fieldsAt = 0;
      return;
    }
    block = new Int32Array(BLOCK_INTS);
    used = 0;
  }
  const to = block;
  const at = used;
  message._fields = to;
  message._fieldsAt = at;
  for (let i = 0; i < ints; i++) to[at + i] = from[i]!;
  used = at + ints;
}
