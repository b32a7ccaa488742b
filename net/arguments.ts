import nodeNet, { type LookupFunction } from 'node:net';

/** What `net.connect` and `socket.connect` may be told. */
export interface ConnectOptions {
  port?: number | string | null;
  host?: string;
  path?: string;
  localAddress?: string;
  localPort?: number;
  family?: number | string;
  hints?: number;
  lookup?: LookupFunction;
  autoSelectFamily?: boolean;
  autoSelectFamilyAttemptTimeout?: number;
  timeout?: number;
  [other: string]: unknown;
}

/** What `server.listen` may be told. */
export interface ListenOptions {
  port?: number | string | null;
  host?: string;
  path?: string;
  backlog?: number;
  exclusive?: boolean;
  ipv6Only?: boolean;
  signal?: AbortSignal;
  readableAll?: boolean;
  writableAll?: boolean;
  fd?: number;
  [other: string]: unknown;
}

type Callback = (...args: never[]) => void;

/** Options and callback, whichever of its forms a call had. Marked, so that they are not read twice. */
export type NormalizedArguments<O> = [options: O, callback: Callback | null] & { [normalized]?: boolean };

/** Node's own mark: whoever uses its `_normalizeArgs` and ours may mix them. */
const normalized: unique symbol = nodesMark() as never;

function nodesMark(): symbol {
  const normalize = (nodeNet as unknown as { _normalizeArgs?(args: unknown[]): object })._normalizeArgs;
  const [mark] = normalize === undefined ? [] : Object.getOwnPropertySymbols(normalize([]));
  return mark ?? Symbol('normalizedArgs');
}

/** A number from 0 on, or false. */
export function toNumber(value: unknown): number | false {
  const number = Number(value);
  return number >= 0 ? number : false;
}

export const isPath = (value: unknown): value is string => typeof value === 'string' && toNumber(value) === false;

/** Reads (options[, callback]), (path[, callback]) and ([port][, host][, callback]). */
export function normalizeArguments<O extends object>(args: readonly unknown[]): NormalizedArguments<O> {
  const [first, second] = args;
  let options: Record<string, unknown> = {};
  if (typeof first === 'object' && first !== null) {
    options = first as Record<string, unknown>;
  } else if (isPath(first)) {
    options['path'] = first;
  } else if (args.length > 0) {
    options['port'] = first;
    if (typeof second === 'string') options['host'] = second;
  }
  const last = args[args.length - 1];
  const result = [options, typeof last === 'function' ? last : null] as NormalizedArguments<O>;
  result[normalized] = true;
  return result;
}

export const isNormalized = <O>(value: unknown): value is NormalizedArguments<O> =>
  Array.isArray(value) && (value as NormalizedArguments<O>)[normalized] === true;
