export { timerDuration, validateBoolean, validateOneOf, validateString } from '../net/validate';

import {
  invalidArgType,
  invalidArgValue,
  invalidChar,
  invalidHeaderValue,
  invalidHttpToken,
  outOfRange,
} from './errors';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** True for a token (RFC 9110 §5.6.2): a method, a field name. */
export const isToken = (text: string): boolean => TOKEN.test(text);

/** True when a character may not stand in a field value (RFC 9110 §5.5). Anything is tested as the text it becomes. */
export const hasInvalidChar = (value: unknown): boolean => NOT_FIELD_VALUE.test(value as string);

/**
 * Checks a header name.
 * @throws TypeError ERR_INVALID_HTTP_TOKEN
 */
export function validateHeaderName(name: unknown, label?: string): void {
  if (typeof name !== 'string' || name === '' || !TOKEN.test(name))
    throw invalidHttpToken(label || 'Header name', name);
}

/**
 * Checks a header value.
 * @throws TypeError ERR_HTTP_INVALID_HEADER_VALUE, ERR_INVALID_CHAR
 */
export function validateHeaderValue(name: string, value: unknown): void {
  if (value === undefined) throw invalidHeaderValue(value, name);
  if (hasInvalidChar(value)) throw invalidChar('header content', name);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function validateObject(value: unknown, name: string): asserts value is object {
  if (value === null || Array.isArray(value) || typeof value !== 'object') throw invalidArgType(name, 'Object', value);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function validateNumber(value: unknown, name: string, min?: number): asserts value is number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
  if ((min !== undefined && value < min) || (min !== undefined && Number.isNaN(value))) {
    throw outOfRange(name, `>= ${min}`, value);
  }
}

/** A whole number of at least `min`. @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function validateInteger(value: unknown, name: string, min: number): asserts value is number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > Number.MAX_SAFE_INTEGER) {
    throw outOfRange(name, `>= ${min} && <= ${Number.MAX_SAFE_INTEGER}`, value);
  }
}

/** `<target>` and its parameters, `name`, `name=value` or `name="value"` (RFC 8288 §3, without quoted spaces as in Node). */
const LINK_VALUE = /^<[^>]*>(?:\s*;\s*(?:[^\s;"=]+|[^\s;"]+=[^\s;"]*|[^\s;"]+="[^\s;"]*"))*$/;

/** What `writeEarlyHints` takes for Link: text or a list of texts. @throws TypeError ERR_INVALID_ARG_VALUE */
export function linkHeaderValue(hints: unknown): string {
  const check = (value: unknown): void => {
    if (value === undefined || !LINK_VALUE.test(value as string)) {
      throw invalidArgValue(
        'hints',
        value,
        'must be an array or string of format "</styles.css>; rel=preload; as=style"',
      );
    }
  };
  if (typeof hints === 'string') {
    check(hints);
    return hints;
  }
  if (!Array.isArray(hints)) {
    throw invalidArgValue(
      'hints',
      hints,
      'must be an array or string of format "</styles.css>; rel=preload; as=style"',
    );
  }
  for (const link of hints) check(link);
  return hints.join(', ');
}
