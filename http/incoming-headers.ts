import { KNOWN_NAMES, KNOWN_NAMES_LOWER, NAME_SHIFT, SPELLING_CANONICAL, SPELLING_LOWER } from './field-names';
import type { FieldOffsets } from './field-offsets';
import {
  FIELD_FOLDED,
  FIELD_INTS,
  FIELD_NAME_AT,
  FIELD_NAME_BYTES,
  FIELD_NAME_ID,
  FIELD_VALUE_AT,
  FIELD_VALUE_BYTES,
} from './head';

/** Header fields as `IncomingMessage.headers` has them: by lower-case name; `set-cookie` is a list. */
export type IncomingHeaders = Record<string, string | string[] | undefined>;

/** What becomes of a second field of the same name. */
const JOIN = 0;
const FIRST_WINS = 1;
const COOKIE = 2;
const LIST = 3;

const SINGLETONS =
  'age authorization content-length content-type etag expires from host if-modified-since if-unmodified-since ' +
  'last-modified location max-forwards proxy-authorization referer retry-after server user-agent';

/** By lower-case name; names not listed are joined with a comma (RFC 9110 §5.2). */
const merges = new Map<string, number>(SINGLETONS.split(' ').map((name) => [name, FIRST_WINS]));
merges.set('cookie', COOKIE);
merges.set('set-cookie', LIST);

/** The same by number of the known name. */
const knownMerges = Uint8Array.from(KNOWN_NAMES_LOWER, (name) => merges.get(name) ?? JOIN);

/** Adds one field to `headers`, its name in lower case. */
function merge(headers: IncomingHeaders, name: string, value: string, how: number, joinAll: boolean): void {
  const before = headers[name];
  if (how === LIST) {
    if (before === undefined) headers[name] = [value];
    else (before as string[]).push(value);
  } else if (before === undefined || (how === JOIN && typeof before !== 'string')) {
    headers[name] = value;
  } else if (how === COOKIE) {
    headers[name] = `${before}; ${value}`;
  } else if (how === JOIN || joinAll) {
    headers[name] = `${before}, ${value}`;
  }
}

/** Adds a field by its name as sent. */
export function addHeader(headers: IncomingHeaders, name: string, value: string, joinAll: boolean): void {
  const lower = name.toLowerCase();
  merge(headers, lower, value, merges.get(lower) ?? JOIN, joinAll);
}

/** Adds a field to `headersDistinct`: every value in a list. */
export function addDistinct(headers: Record<string, string[]>, name: string, value: string): void {
  const lower = name.toLowerCase();
  const list = headers[lower];
  if (list === undefined) headers[lower] = [value];
  else list.push(value);
}

/** The name of a field as it was sent; interned when it is known in that spelling. */
function nameAt(text: string, fields: Int32Array, at: number): string {
  const id = fields[at + FIELD_NAME_ID]!;
  const spelling = id & 3;
  if (spelling === SPELLING_CANONICAL) return KNOWN_NAMES[id >> NAME_SHIFT]!;
  if (spelling === SPELLING_LOWER) return KNOWN_NAMES_LOWER[id >> NAME_SHIFT]!;
  const from = fields[at + FIELD_NAME_AT]!;
  return text.slice(from, from + fields[at + FIELD_NAME_BYTES]!);
}

/** A field's value; one folded over lines comes without the line ends. */
function valueAt(text: string, fields: Int32Array, at: number): string {
  const from = fields[at + FIELD_VALUE_AT]!;
  const value = text.slice(from, from + fields[at + FIELD_VALUE_BYTES]!);
  return fields[at + FIELD_NAME_ID]! & FIELD_FOLDED ? value.replace(/[\r\n]+/g, '') : value;
}

/** Names and values in turn, as received. */
export function rawHeadersFrom(text: string, kept: FieldOffsets): string[] {
  const fields = kept._fields;
  const raw = new Array<string>(kept._fieldCount * 2);
  for (let i = 0, at = kept._fieldsAt; i < raw.length; i += 2, at += FIELD_INTS) {
    raw[i] = nameAt(text, fields, at);
    raw[i + 1] = valueAt(text, fields, at);
  }
  return raw;
}

/** The first `count` fields as one object. Known names are not even decoded. */
export function headersFrom(text: string, kept: FieldOffsets, count: number, joinAll: boolean): IncomingHeaders {
  const headers: IncomingHeaders = {};
  const fields = kept._fields;
  for (let i = 0, at = kept._fieldsAt; i < count; i++, at += FIELD_INTS) {
    const known = fields[at + FIELD_NAME_ID]! >> NAME_SHIFT;
    const value = valueAt(text, fields, at);
    if (known !== 0) merge(headers, KNOWN_NAMES_LOWER[known]!, value, knownMerges[known]!, joinAll);
    else addHeader(headers, nameAt(text, fields, at), value, joinAll);
  }
  return headers;
}
