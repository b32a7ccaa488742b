import { described, invalidArgType, invalidArgValue, nodeError, outOfRange } from './errors';

/** Argument checks with Node's errors. Each throws and otherwise returns nothing. */

export function validateString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value);
}

export function validateBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'boolean', value);
}

export function validateFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgType(name, 'Function', value);
}

export function validateNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value);
}

export function validateInt32(
  value: unknown,
  name: string,
  min = -2147483648,
  max = 2147483647,
): asserts value is number {
  validateNumber(value, name);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

export function validateUint32(value: unknown, name: string): asserts value is number {
  validateInt32(value, name, 0, 2 ** 32 - 1);
}

export function validateAbortSignal(value: unknown, name: string): asserts value is AbortSignal {
  if (value === undefined) return;
  if (value === null || typeof value !== 'object' || !('aborted' in value))
    throw invalidArgType(name, 'AbortSignal', value);
}

export function validateOneOf(value: unknown, name: string, oneOf: readonly unknown[]): void {
  if (oneOf.includes(value)) return;
  const allowed = oneOf.map((word) => (typeof word === 'string' ? `'${word}'` : String(word))).join(', ');
  throw invalidArgValue(name, value, `must be one of: ${allowed}`);
}

/** A port number, or its decimal or 0x text, from 0 (or 1) to 65535. @throws RangeError ERR_SOCKET_BAD_PORT. */
export function validatePort(value: unknown, name = 'Port', allowZero = true): number {
  const isText = typeof value === 'string';
  if ((typeof value === 'number' || (isText && value.trim() !== '')) && +value === +value >>> 0 && +value <= 0xffff) {
    if (allowZero || +value !== 0) return Number(value) | 0;
  }
  throw nodeError(
    RangeError,
    'ERR_SOCKET_BAD_PORT',
    `${name} should be ${allowZero ? '>=' : '>'} 0 and < 65536. Received ${described(value)}.`,
  );
}

const TIMEOUT_MAX = 2 ** 31 - 1;

/** Milliseconds for a timer: a finite number from 0; what timers cannot hold is cut with Node's warning. */
export function timerDuration(value: unknown, name: string): number {
  validateNumber(value, name);
  if (value < 0 || !Number.isFinite(value)) throw outOfRange(name, 'a non-negative finite number', value);
  if (value <= TIMEOUT_MAX) return value;
  process.emitWarning(
    `${value} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${TIMEOUT_MAX}.`,
    'TimeoutOverflowWarning',
  );
  return TIMEOUT_MAX;
}
