import type { Exchange } from './exchanges';
import type { TcpState } from './match';
import type { Origin } from './origin';
import { openWires, Wire } from './wire';

/** What a matcher says. */
export interface Verdict {
  readonly pass: boolean;
  message(): string;
}

const say = (pass: boolean, text: string): Verdict => ({ pass, message: () => text });

/** Where an exchange stood when it failed. */
export type Phase = 'connect' | 'request' | 'headers' | 'body' | 'idle';

/** What is expected of an error beside its code. */
export interface ErrorDetails {
  readonly syscall?: string;
  /** The request went over a connection that had carried one before, as the wire saw it. */
  readonly reused?: boolean;
  readonly phase?: Phase;
  readonly message?: string | RegExp;
}

/** The wire that a matcher looks at: the given one, or the one that was made last and is open. */
function wireOf(given: unknown): Wire {
  if (given instanceof Wire) return given;
  const wire = openWires().at(-1);
  if (wire === undefined) throw new Error('there is no open wire: createWire() comes first, wire.close() last');
  return wire;
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** Judges a value; of a promise what it gives, or throws: `await expect(wire.get('/')).toRetry(1)`. */
function judged(value: unknown, judge: (given: unknown) => Verdict): Verdict | Promise<Verdict> {
  return isPromise(value) ? Promise.resolve(value).then(judge, judge) : judge(value);
}

const isError = (value: unknown): value is NodeJS.ErrnoException =>
  typeof value === 'object' && value !== null && typeof (value as Error).message === 'string';

const shown = (error: NodeJS.ErrnoException): string =>
  `${error.name}: ${error.message} (code ${error.code}, syscall ${error.syscall}, errno ${error.errno})`;

/** The error of the transport: fetch puts it into `cause`. */
function rootOf(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const { cause } = error as { cause?: unknown };
  return error.code === undefined && isError(cause) ? rootOf(cause) : error;
}

/** How far the last exchange of a wire had come when it ended. */
export function phaseOf(wire: Wire): Phase {
  const { exchanges, conns } = wire.engine;
  const conn = conns.at(-1);
  const exchange = exchanges.list.at(-1);
  if (conn !== undefined && !conn.handshakeDone) return 'connect';
  if (exchange === undefined) return 'connect';
  const { got } = exchange.conn.c;
  const message = exchange.res ?? exchange.conn.messages('res').findLast(({ exchange: n }) => n === exchange.n);
  if (message === undefined || got.next <= message.begin) return 'request';
  if (message.headEnd < 0 || got.next < message.headEnd) return 'headers';
  return message.end < 0 || got.next < message.end ? 'body' : 'idle';
}

/** Whether `value` is the error that Node would give: code, system call, and where it happened. A promise is waited for. */
export function toBeNodeError(value: unknown, code: string, details: ErrorDetails = {}): Verdict | Promise<Verdict> {
  return judged(value, (given) => isNodeError(given, code, details));
}

function isNodeError(value: unknown, code: string, details: ErrorDetails): Verdict {
  if (!isError(value)) return say(false, `expected an error with code ${code}, received ${String(value)}`);
  const error = rootOf(value);
  const wrong: string[] = [];
  if (error.code !== code) wrong.push(`code is ${error.code}, not ${code}`);
  if (details.syscall !== undefined && error.syscall !== details.syscall)
    wrong.push(`syscall is ${error.syscall}, not ${details.syscall}`);
  const { message } = details;
  if (typeof message === 'string' ? error.message !== message : message !== undefined && !message.test(error.message))
    wrong.push(`message is "${error.message}"`);
  if (details.phase !== undefined || details.reused !== undefined) {
    const wire = wireOf(null);
    const phase = phaseOf(wire);
    if (details.phase !== undefined && phase !== details.phase)
      wrong.push(`the phase is ${phase}, not ${details.phase}`);
    const reused = (wire.engine.exchanges.list.at(-1)?.before ?? 0) > 0;
    if (details.reused !== undefined && reused !== details.reused) wrong.push(`reused is ${reused}`);
  }
  const pass = wrong.length === 0;
  return say(
    pass,
    pass ? `expected another error than ${shown(error)}` : `${wrong.join(', ')}; the error is ${shown(error)}`,
  );
}

/**
 * Whether the segments that came out of the wire read like this: flags, in order. `*` behind one: any number of it; `+`: one
 * or more; `?`: perhaps; `.`: any one; `...`: any number of any. "> " and "< " before one: from the client, from the server.
 */
export function toHaveWire(value: unknown, expected: string): Verdict {
  const wire = wireOf(value);
  const found = wire.trace().delivered();
  const text = found.map(({ dir, flags }) => `${dir === 'c2s' ? '>' : '<'}${flags} `).join('');
  const pass = patternOf(expected).test(text);
  return say(
    pass,
    `the wire is ${pass ? '' : 'not '}"${expected}": ${found.map(({ flags }) => flags).join(' ')}\n${wire.report().ladder()}`,
  );
}

/** @throws RangeError when the text is none that `toHaveWire` knows. */
function patternOf(expected: string): RegExp {
  const words = expected.trim().split(/\s+/);
  let pattern = '^';
  let dir = '[<>]';
  for (const word of words) {
    if (word === '>' || word === '<') {
      dir = word;
      continue;
    }
    if (word === '...') {
      pattern += '(?:[<>]\\S+ )*';
      continue;
    }
    const parsed = /^([<>]?)([SFRPA]+|-|\.)([*+?]?)$/.exec(word);
    if (parsed === null)
      throw new RangeError(`toHaveWire: '${word}' is neither flags (S F R P A, such as SA), nor . nor ...`);
    const [, side, flags, repeat] = parsed;
    const letters =
      flags === '.' ? '\\S+' : flags === '-' ? '-' : [...'SFRPA'].filter((c) => flags!.includes(c)).join('');
    pattern += `(?:${side || dir}${letters} )${repeat}`;
    dir = '[<>]';
  }
  return new RegExp(`${pattern}$`);
}

/** The exchanges that ask for the same as the last one, as far as they follow each other. */
function attempts(wire: Wire): Exchange[] {
  const { list } = wire.engine.exchanges;
  const last = list.at(-1);
  if (last === undefined) return [];
  const same: Exchange[] = [];
  for (let i = list.length - 1; i >= 0 && list[i]!.req?.title === last.req?.title; i--) same.unshift(list[i]!);
  return same;
}

/**
 * Whether the last request was sent again `n` times. The value may be a response, or a wire; a promise is waited for. In a
 * race: at most `n` times, and in one of its orders `n` times.
 */
export function toRetry(value: unknown, n: number): Verdict | Promise<Verdict> {
  return judged(value, (given) => isRetried(given, n));
}

function isRetried(value: unknown, n: number): Verdict {
  const wire = wireOf(value);
  const made = attempts(wire);
  const { retries } = wire;
  const again = made.length - 1;
  retries?.set(n, Math.max(retries.get(n) ?? 0, again));
  const pass = retries === null ? again === n : again >= 0 && again <= n;
  const list = made.map(({ n: number, outcome }) => `#${number} ${outcome}`).join(', ');
  return say(pass, `${made[0]?.req?.title ?? 'no request'} was sent ${made.length} times (${list}), not ${n + 1}`);
}

/** Whether the server's handler was called at most once for what carries `id` (target, a field, or body). */
export function toBeProcessedAtMostOnce(value: unknown, id: string): Verdict {
  const origin = value as Origin;
  if (typeof origin?.count !== 'function')
    throw new TypeError('toBeProcessedAtMostOnce: expect(origin), what serve() gave');
  const times = origin.count(id);
  return say(times <= 1, `${id} was processed ${times} times`);
}

/** What a client got: a Reply, a Response that was read, or text. */
function bodyOf(value: unknown): Uint8Array | string | null {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  const body = (value as { body?: unknown; data?: unknown } | null)?.body ?? (value as { data?: unknown } | null)?.data;
  return typeof body === 'string' || (typeof body === 'object' && body !== null && 'byteLength' in body)
    ? (body as string | Uint8Array)
    : null;
}

/**
 * Whether a client delivered the body: these bytes, or (as 'truncated-and-reported') all that the server sent, or else an
 * error. A body that is short without a word fails. `value` is what the client gave or threw; a promise is waited for.
 */
export function toDeliverBody(
  value: unknown,
  expected: string | Uint8Array | 'truncated-and-reported',
): Verdict | Promise<Verdict> {
  return judged(value, (given) => isDelivered(given, expected));
}

function isDelivered(value: unknown, expected: string | Uint8Array | 'truncated-and-reported'): Verdict {
  const body = bodyOf(value);
  const failed = isError(value);
  if (expected === 'truncated-and-reported') {
    if (failed) return say(true, `the client reported ${shown(value)}`);
    const sent = wireOf(null).engine.exchanges.list.at(-1)?.res?.bodyBytes ?? 0;
    const got = body === null ? 0 : Buffer.byteLength(body);
    return say(got >= sent, `the server sent ${sent} bytes of body, the client delivered ${got} and reported nothing`);
  }
  if (body === null) return say(false, failed ? `no body but an error: ${shown(value)}` : 'there is no body');
  const same = Buffer.compare(Buffer.from(body as string), Buffer.from(expected as string)) === 0;
  return say(
    same,
    `the body is ${same ? '' : 'not '}${JSON.stringify(
      Buffer.from(body as string)
        .toString()
        .slice(0, 200),
    )}`,
  );
}

/** Whether nothing is left on either host once agents and servers let go of what is idle, and two minutes passed. */
export async function toLeakNoSockets(value: unknown): Promise<Verdict> {
  const wire = wireOf(value);
  await wire.quiesce();
  const left = wire.leftovers();
  return say(left.length === 0, left.length === 0 ? 'no socket is left' : `sockets are left: ${left.join(', ')}`);
}

/** Whether an end of the latest connection is, or has been, in a state. */
export function toReachState(value: unknown, end: 'c' | 's', state: TcpState): Verdict {
  const wire = wireOf(value);
  const conn = wire.engine.conns.at(-1);
  if (conn === undefined) return say(false, 'there was no connection');
  const seen = wire
    .trace()
    .entries.filter((entry) => entry.conn === conn.id && entry.states !== '')
    .map(({ states }) => states.split('/')[end === 'c' ? 0 : 1]!);
  seen.push(conn.stateOf(end, wire.clock.now()));
  return say(seen.includes(state), `${end} went through ${[...new Set(seen)].join(', ')}`);
}

/** Whether a promise is settled within `ms` of the wire's clock, which this lets pass. */
export async function toSettleWithin(value: unknown, ms: number): Promise<Verdict> {
  const wire = wireOf(null);
  const began = wire.clock.now();
  const outcome = await wire.run(Promise.resolve(value as PromiseLike<unknown>).then(nothing, nothing), ms).then(
    () => true,
    () => false,
  );
  const took = (wire.clock.now() - began).toFixed(1);
  return say(outcome, outcome ? `it was settled after ${took} ms` : `it was not settled within ${ms} ms`);
}

const nothing = (): void => {};

/** Whether these events stand in the list, in this order; others may stand between them. */
export function toEmitInOrder(value: unknown, expected: readonly string[]): Verdict {
  const list = Array.isArray(value) ? (value as string[]) : ((value as { events?: string[] } | null)?.events ?? null);
  if (list === null) throw new TypeError('toEmitInOrder: a list of events, or something that has `events`');
  let at = 0;
  for (const name of expected) {
    const found = list.findIndex((event, i) => i >= at && (event === name || event.startsWith(`${name}(`)));
    if (found < 0)
      return say(false, `${name} does not come ${at > 0 ? `after ${list[at - 1]}` : ''}: ${list.join(' > ')}`);
    at = found + 1;
  }
  return say(true, `they come in this order: ${list.join(' > ')}`);
}

/** All of them, by name: what `expect.extend` takes. */
export const matchers = {
  toBeNodeError,
  toHaveWire,
  toRetry,
  toBeProcessedAtMostOnce,
  toDeliverBody,
  toLeakNoSockets,
  toReachState,
  toSettleWithin,
  toEmitInOrder,
};

/** The same as plain assertions, for node:test, vitest and anything else: `check.toHaveWire(wire, 'S SA')` throws. */
export const check = Object.fromEntries(
  Object.entries(matchers).map(([name, matcher]) => [
    name,
    (...args: unknown[]): void | Promise<void> => {
      const verdict = (matcher as (...args: unknown[]) => Verdict | Promise<Verdict>)(...args);
      const judge = ({ pass, message }: Verdict): void => {
        if (!pass) throw new Error(`${name}: ${message()}`);
      };
      return verdict instanceof Promise ? verdict.then(judge) : judge(verdict);
    },
  ]),
) as unknown as {
  [Name in keyof typeof matchers]: (
    ...args: Parameters<(typeof matchers)[Name]>
  ) => ReturnType<(typeof matchers)[Name]> extends Promise<Verdict>
    ? Promise<void>
    : Promise<Verdict> extends ReturnType<(typeof matchers)[Name]>
      ? void | Promise<void>
      : void;
};
