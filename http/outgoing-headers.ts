import { invalidChar, invalidHeaderValue } from './errors';
import { hasInvalidChar, validateHeaderName } from './validators';

/** What a header value may be before it is text on the wire. */
export type HeaderValue = number | string | readonly string[];

/** Names that the head's renderer looks at; 0 for all others. */
export const HEADER_OTHER = 0;
export const HEADER_CONNECTION = 1;
export const HEADER_TRANSFER_ENCODING = 2;
export const HEADER_CONTENT_LENGTH = 3;
export const HEADER_DATE = 4;
export const HEADER_EXPECT = 5;
export const HEADER_TRAILER = 6;
export const HEADER_KEEP_ALIVE = 7;
export const HEADER_COOKIE = 8;
export const HEADER_CONTENT_DISPOSITION = 9;

const KINDS: Record<string, number> = {
  connection: HEADER_CONNECTION,
  'transfer-encoding': HEADER_TRANSFER_ENCODING,
  'content-length': HEADER_CONTENT_LENGTH,
  date: HEADER_DATE,
  expect: HEADER_EXPECT,
  trailer: HEADER_TRAILER,
  'keep-alive': HEADER_KEEP_ALIVE,
  cookie: HEADER_COOKIE,
  'content-disposition': HEADER_CONTENT_DISPOSITION,
};

const NOT_ASCII = /[^\t\x20-\x7e]/;

/** True when a header's text is the same in every encoding. Anything is tested as the text it becomes. */
export const isAscii = (value: unknown): boolean => !NOT_ASCII.test(value as string);

/** A header name in one spelling. Programs send the same few, often with the same value: both are checked once. */
export class HeaderName {
  readonly lower: string;
  readonly kind: number;
  /** The value checked last, and the line that it makes; '' until it was sent twice. */
  private value = '';
  private line = '';
  private ascii = true;

  constructor(readonly text: string) {
    this.lower = text.toLowerCase();
    this.kind = KINDS[this.lower] ?? HEADER_OTHER;
  }

  /** Checks a single value. @throws TypeError ERR_HTTP_INVALID_HEADER_VALUE, ERR_INVALID_CHAR */
  check(value: unknown): void {
    if (typeof value !== 'string') {
      if (value === undefined) throw invalidHeaderValue(value, this.text);
      if (hasInvalidChar(value)) throw invalidChar('header content', this.text);
      return;
    }
    if (value === this.value) {
      if (this.line === '' && this.ascii) this.line = `${this.text}: ${value}\r\n`;
      return;
    }
    const ascii = isAscii(value);
    if (!ascii && hasInvalidChar(value)) throw invalidChar('header content', this.text);
    // Long values are rarely sent twice, and should not be held for ever.
    if (value.length > 256) return;
    this.value = value;
    this.line = '';
    this.ascii = ascii;
  }

  /** `name: value CR LF` when that is ready and ASCII, else ''. */
  lineFor(value: unknown): string {
    return value === this.value ? this.line : '';
  }
}

const NAMES_MAX = 1000;
const names = new Map<string, HeaderName>();

/** The name in this spelling. @throws TypeError ERR_INVALID_HTTP_TOKEN */
export function headerName(text: string): HeaderName {
  const known = names.get(text);
  if (known !== undefined) return known;
  validateHeaderName(text);
  const name = new HeaderName(text);
  if (names.size < NAMES_MAX && text.length <= 64) names.set(text, name);
  return name;
}

/** The lower case of a name to look up; nothing is checked. */
function lowerOf(text: string): string {
  const known = names.get(text);
  return known !== undefined ? known.lower : text.toLowerCase();
}

/** The headers set on a message, in the order set: what `setHeader` and its family work on. */
export class OutgoingHeaders {
  readonly names: HeaderName[] = [];
  readonly values: unknown[] = [];

  private find(lower: string): number {
    const list = this.names;
    for (let i = 0; i < list.length; i++) if (list[i]!.lower === lower) return i;
    return -1;
  }

  /** A name set again keeps its place. */
  set(name: HeaderName, value: unknown): void {
    const i = this.find(name.lower);
    if (i < 0) {
      this.names.push(name);
      this.values.push(value);
    } else {
      this.names[i] = name;
      this.values[i] = value;
    }
  }

  append(name: HeaderName, value: unknown): void {
    const i = this.find(name.lower);
    if (i < 0 || !this.values[i]) {
      this.set(name, value);
      return;
    }
    const before = this.values[i];
    const list: unknown[] = Array.isArray(before) ? before : [before];
    if (Array.isArray(value)) list.push(...value);
    else list.push(value);
    this.values[i] = list;
  }

  get(text: string): unknown {
    const i = this.find(lowerOf(text));
    return i < 0 ? undefined : this.values[i];
  }

  has(text: string): boolean {
    return this.find(lowerOf(text)) >= 0;
  }

  remove(lower: string): void {
    const i = this.find(lower);
    if (i < 0) return;
    this.names.splice(i, 1);
    this.values.splice(i, 1);
  }

  lowerNames(): string[] {
    return this.names.map((name) => name.lower);
  }

  rawNames(): string[] {
    return this.names.map((name) => name.text);
  }

  /** How each name was spelled, by lower-case name. */
  spellings(): Record<string, string> {
    const object: Record<string, string> = Object.create(null);
    for (const name of this.names) object[name.lower] = name.text;
    return object;
  }

  /** Spells names otherwise, given by lower-case name. */
  respell(spellings: Record<string, string>): void {
    for (const lower of Object.keys(spellings)) {
      const i = this.find(lower);
      if (i >= 0) this.names[i] = headerName(spellings[lower]!);
    }
  }

  /** By lower-case name, without Object's prototype; lists are not copied. */
  toObject(): Record<string, unknown> {
    const object: Record<string, unknown> = Object.create(null);
    for (let i = 0; i < this.names.length; i++) object[this.names[i]!.lower] = this.values[i];
    return object;
  }
}
