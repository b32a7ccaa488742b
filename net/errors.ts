import { constants } from 'node:os';
import { getSystemErrorMap, inspect } from 'node:util';

/** An error as Node's own modules make them: `code` names it for programs, `message` for people. */
export interface NodeError extends Error {
  code: string;
}

/** An error of a system call, with Node's fields. `port` is absent where Node leaves it out. */
export interface SystemError extends NodeError {
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
  localAddress?: string;
  localPort?: number;
  hostname?: string;
}

type ErrorClass<E extends Error> = new (message?: string) => E;

/** An argument or state error: class, code and text as Node has them; the stack begins with `Class [CODE]: text`. */
export function nodeError<E extends Error>(Base: ErrorClass<E>, code: string, message: string): E & NodeError {
  const error = new Base(message) as E & NodeError;
  const plain = error.name;
  error.name = `${plain} [${code}]`;
  // Reading the stack fixes its first line.
  void error.stack;
  Reflect.deleteProperty(error, 'name');
  Object.defineProperty(error, 'toString', {
    value(this: Error) {
      return `${this.name} [${code}]: ${this.message}`;
    },
    enumerable: false,
    writable: true,
    configurable: true,
  });
  error.code = code;
  return error;
}

// ── errors of system calls ──

const errnos = constants.errno as Readonly<Record<string, number>>;
const EAI: Readonly<Record<string, number>> = { ENOTFOUND: -3008, EAI_AGAIN: -3001, EAI_FAIL: -3004 };

/** Node's negative errno of a code such as 'ECONNRESET'. */
export const errnoOf = (code: string): number => EAI[code] ?? -(errnos[code] ?? 0);

function systemError(message: string, code: string, syscall: string): SystemError {
  const error = new Error(message) as SystemError;
  error.errno = errnoOf(code);
  error.code = code;
  error.syscall = syscall;
  return error;
}

/** "read ECONNRESET", "write EPIPE": errors of an open connection carry no address. */
export const errnoException = (code: string, syscall: string): SystemError =>
  systemError(`${syscall} ${code}`, code, syscall);

/**
 * The same for what nobody called for, such as a peer's RST. Where we were when it came concerns nobody, and ten frames of it
 * would cost more than the rest of a short connection: like Node's, its stack is the place where it was noticed.
 */
export function noticedException(code: string, syscall: string): SystemError {
  const limit = Error.stackTraceLimit;
  // Neither assignment may throw where a program has frozen Error.
  Reflect.set(Error, 'stackTraceLimit', 1);
  const error = errnoException(code, syscall);
  Reflect.set(Error, 'stackTraceLimit', limit);
  return error;
}

/** "connect ECONNREFUSED 127.0.0.1:1", "bind EADDRNOTAVAIL 10.0.0.9". `local` becomes the suffix ` - Local (…)`. */
export function addressException(
  code: string,
  syscall: string,
  address: string,
  port?: number,
  local?: string,
): SystemError {
  const place = port !== undefined && port > 0 ? ` ${address}:${port}` : address ? ` ${address}` : '';
  const suffix = local === undefined ? '' : ` - Local (${local})`;
  const error = systemError(`${syscall} ${code}${place}${suffix}`, code, syscall);
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** "listen EADDRINUSE: address already in use :::80": unlike connect's, these explain the code. */
export function listenException(code: string, address: string, port: number): SystemError {
  const meaning = getSystemErrorMap().get(errnoOf(code))?.[1] ?? 'unknown error';
  const place = port > 0 ? ` ${address}:${port}` : address ? ` ${address}` : '';
  const error = new Error(`listen ${code}: ${meaning}${place}`) as SystemError;
  error.code = code;
  error.errno = errnoOf(code);
  error.syscall = 'listen';
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** "getaddrinfo ENOTFOUND nowhere.invalid". */
export function lookupException(code: string, hostname: string): SystemError {
  const error = systemError(`getaddrinfo ${code} ${hostname}`, code, 'getaddrinfo');
  error.hostname = hostname;
  return error;
}

/** Every address was tried in vain: the errors of all, the code of the first. */
export function aggregateError(errors: readonly Error[]): AggregateError & NodeError {
  const error = new AggregateError(errors) as AggregateError & NodeError;
  error.code = (errors[0] as NodeError).code;
  return error;
}

/** ERR_SOCKET_BUFFER_SIZE: what libuv answered to a question for a buffer's size. */
export function bufferSizeError(code: string, syscall: string): SystemError {
  const errno = errnoOf(code);
  const message = getSystemErrorMap().get(errno)?.[1] ?? 'unknown error';
  const info = { errno, code, message, syscall };
  const text = `Could not get or set buffer size: ${syscall} returned ${code} (${message})`;
  const error = nodeError(Error, 'ERR_SOCKET_BUFFER_SIZE', text) as Error as SystemError;
  Object.defineProperty(error, 'name', { value: 'SystemError', enumerable: false, configurable: true, writable: true });
  return Object.assign(error, { info, errno, syscall });
}

// ── errors of arguments ──

/** ERR_MISSING_ARGS for one argument. */
export const missingArgs = (name: string): TypeError & NodeError =>
  nodeError(TypeError, 'ERR_MISSING_ARGS', `The "${name}" argument must be specified`);

const KINDS = new Set(['string', 'function', 'number', 'object', 'boolean', 'bigint', 'symbol']);

const list = (words: readonly string[], last: string): string =>
  words.length < 3 ? words.join(` ${last} `) : `${words.slice(0, -1).join(', ')}, ${last} ${words[words.length - 1]}`;

/** What a wrong argument is, in the words of Node's messages: "type string ('x')", "an instance of Map", "null". */
export function described(value: unknown): string {
  if (value == null) return `${value}`;
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'function ';
  if (typeof value === 'object') {
    const name = (value as object).constructor?.name;
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  if (typeof value === 'string') {
    const text = value.length > 28 ? `${value.slice(0, 25)}...` : value;
    return `type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`;
  }
  return `type ${typeof value} (${inspect(value, { colors: false })})`;
}

const placeOf = (name: string): string =>
  name.endsWith(' argument') ? name : `"${name}" ${name.includes('.') ? 'property' : 'argument'}`;

/** ERR_INVALID_ARG_TYPE. `expected` holds type names ('string'), class names ('Buffer') and phrases ('false'). */
export function invalidArgType(
  name: string,
  expected: string | readonly string[],
  value: unknown,
): TypeError & NodeError {
  const kinds: string[] = [];
  const classes: string[] = [];
  const phrases: string[] = [];
  for (const word of typeof expected === 'string' ? [expected] : expected) {
    if (KINDS.has(word) || word === 'Object' || word === 'Function') kinds.push(word.toLowerCase());
    else if (/^[A-Z][a-zA-Z0-9]*$/.test(word)) classes.push(word);
    else phrases.push(word);
  }
  // Beside classes, "object" reads as one of them.
  if (classes.length > 0 && kinds.includes('object')) {
    kinds.splice(kinds.indexOf('object'), 1);
    classes.push('Object');
  }
  const parts: string[] = [];
  if (kinds.length > 0) parts.push(`${kinds.length > 1 ? 'one of type' : 'of type'} ${list(kinds, 'or')}`);
  if (classes.length > 0) parts.push(`an instance of ${list(classes, 'or')}`);
  if (phrases.length > 1) parts.push(`one of ${list(phrases, 'or')}`);
  else if (phrases.length > 0) parts.push(/[A-Z]/.test(phrases[0]!) ? `an ${phrases[0]}` : phrases[0]!);
  return nodeError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The ${placeOf(name)} must be ${parts.join(' or ')}. Received ${described(value)}`,
  );
}

/** ERR_INVALID_ARG_VALUE. */
export function invalidArgValue(name: string, value: unknown, reason = 'is invalid'): TypeError & NodeError {
  let text = inspect(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  const kind = name.includes('.') ? 'property' : 'argument';
  return nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${text}`);
}

const grouped = (n: number): string => {
  const [whole, fraction] = String(n).split('.');
  const digits = whole!.replace(/\B(?=(\d{3})+(?!\d))/g, '_');
  return fraction === undefined ? digits : `${digits}.${fraction}`;
};

/** ERR_OUT_OF_RANGE; integers beyond 2^32 are shown in groups of three digits. */
export function outOfRange(name: string, range: string, value: unknown): RangeError & NodeError {
  const big = Number.isInteger(value) && Math.abs(value as number) > 2 ** 32;
  const shown = big ? grouped(value as number) : typeof value === 'bigint' ? `${value}n` : inspect(value);
  return nodeError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`,
  );
}
