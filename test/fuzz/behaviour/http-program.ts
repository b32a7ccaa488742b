import { Random } from '../../../stack/base/random';
import { type Op, VIAS, type Via } from './net-program';

/*
 * Small programs on HTTP messages, made up from a seed: some requests by one client to one server, and what is done to them
 * when something happens.
 */

/** A request at the client, its response there, both at the server, the sockets of both, or the server. */
export const KINDS = ['request', 'response', 'incoming', 'outgoing', 'socket', 'peer', 'server'] as const;
export type Kind = (typeof KINDS)[number];

/** When `kind` of the request `index` emits `on` for the first time, `ops` are done to `to` of the same request. */
export interface HttpRule {
  readonly kind: Kind;
  readonly index: number;
  readonly on: string;
  readonly via: Via;
  readonly to: Kind;
  readonly ops: readonly Op[];
}

export interface HttpProgram {
  readonly seed: number;
  readonly requests: readonly {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly ends: boolean;
  }[];
  readonly agent: 'none' | 'new' | 'kept' | 'one socket';
  /** Events that somebody listens to, of those that change what happens. */
  readonly listens: readonly string[];
  readonly serverOptions: Readonly<Record<string, unknown>>;
  /** Whether the client reads, and whether the server does. */
  readonly reads: readonly [boolean, boolean];
  readonly rules: readonly HttpRule[];
}

const EVENTS: Readonly<Record<Kind, readonly string[]>> = {
  request: [
    'start',
    'start',
    'socket',
    'response',
    'finish',
    'close',
    'error',
    'continue',
    'information',
    'wrote',
    'drain',
  ],
  response: ['start', 'start', 'data', 'data', 'end', 'close', 'aborted', 'error'],
  incoming: ['start', 'data', 'end', 'close', 'aborted', 'error'],
  outgoing: ['start', 'start', 'start', 'start', 'finish', 'close', 'wrote', 'drain', 'error'],
  socket: ['connect', 'close', 'end', 'free'],
  peer: ['start', 'close', 'end'],
  server: ['close'],
};

const READER = ['onData', 'resume', 'pause', 'destroy', 'destroyError', 'iterate', 'finished', 'setEncoding', 'read'];
const OPS: Readonly<Record<Kind, readonly string[]>> = {
  request: [
    'write',
    'write',
    'end',
    'end',
    'endWith',
    'abort',
    'destroy',
    'destroyError',
    'flushHeaders',
    'setHeader',
    'finished',
    'cork',
    'uncork',
  ],
  response: READER,
  incoming: READER,
  outgoing: [
    'write',
    'write',
    'write',
    'end',
    'end',
    'endWith',
    'endWith',
    'destroy',
    'destroyError',
    'writeHead',
    'writeContinue',
    'writeProcessing',
    'writeEarlyHints',
    'flushHeaders',
    'addTrailers',
    'setHeader',
    'setLength',
    'noKeepAlive',
    'status',
    'finished',
    'cork',
    'uncork',
  ],
  socket: ['destroy', 'reset', 'endSocket', 'destroySoon'],
  peer: ['destroy', 'reset', 'endSocket', 'destroySoon', 'garbage'],
  server: ['closeAll', 'closeIdle', 'close'],
};

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

function ruleOf(random: Random, requests: number): HttpRule {
  const kind = random.below(3) === 0 ? 'outgoing' : pick(random, KINDS);
  const to = random.below(3) === 0 ? pick(random, KINDS) : kind;
  const ops: Op[] = [];
  for (let left = 1 + random.below(3); left > 0; left--) {
    ops.push([pick(random, OPS[to]), 1 + random.below(random.below(3) === 0 ? 20_000 : 40)]);
  }
  const via = random.below(3) === 0 ? pick(random, VIAS) : 'now';
  return { kind, index: random.below(requests), on: pick(random, EVENTS[kind]), via, to, ops };
}

function requestOf(random: Random): HttpProgram['requests'][number] {
  const headers: Record<string, string> = {};
  const method = pick(random, ['GET', 'GET', 'POST', 'POST', 'HEAD', 'PUT', 'DELETE']);
  if (random.below(5) === 0) headers['connection'] = pick(random, ['close', 'keep-alive']);
  if (random.below(6) === 0) headers['expect'] = pick(random, ['100-continue', '100-continue', 'much']);
  if (random.below(8) === 0) headers['content-length'] = String(1 + random.below(20));
  if (random.below(12) === 0) headers['transfer-encoding'] = 'chunked';
  if (random.below(14) === 0) Object.assign(headers, { connection: 'upgrade', upgrade: 'other' });
  return { method, headers, ends: random.below(6) !== 0 };
}

/** The program of a seed. */
export function httpProgramOf(seed: number): HttpProgram {
  const random = new Random(seed);
  const requests = Array.from({ length: 1 + random.below(3) }, () => requestOf(random));
  const rules: HttpRule[] = [];
  for (let left = 1 + random.below(6); left > 0; left--) rules.push(ruleOf(random, requests.length));
  const serverOptions: Record<string, unknown> = {};
  if (random.below(8) === 0) serverOptions['maxRequestsPerSocket'] = 1;
  if (random.below(8) === 0) serverOptions['highWaterMark'] = 1 + random.below(100);
  if (random.below(8) === 0) serverOptions['rejectNonStandardBodyWrites'] = true;
  return {
    seed,
    requests,
    agent: pick(random, ['none', 'new', 'kept', 'one socket']),
    listens: [
      'checkContinue',
      'checkExpectation',
      'upgrade',
      'clientError',
      'clientUpgrade',
      'connect',
      'timeout',
    ].filter(() => random.below(4) === 0),
    serverOptions,
    reads: [random.below(6) !== 0, random.below(4) !== 0],
    rules,
  };
}

/** Programs that are a little smaller than `p`. */
export function* smallerHttp(p: HttpProgram): Generator<HttpProgram> {
  for (let i = 0; i < p.rules.length; i++) yield { ...p, rules: p.rules.filter((_, n) => n !== i) };
  if (p.requests.length > 1) {
    const requests = p.requests.slice(0, -1);
    yield { ...p, requests, rules: p.rules.filter((rule) => rule.index < requests.length) };
  }
  for (const [i, rule] of p.rules.entries()) {
    const instead = (r: HttpRule): HttpProgram => ({ ...p, rules: p.rules.map((old, n) => (n === i ? r : old)) });
    if (rule.ops.length > 1) {
      for (let k = 0; k < rule.ops.length; k++) yield instead({ ...rule, ops: rule.ops.filter((_, n) => n !== k) });
    }
    if (rule.via !== 'now') yield instead({ ...rule, via: 'now' });
  }
  for (const listen of p.listens) yield { ...p, listens: p.listens.filter((other) => other !== listen) };
  for (const key of Object.keys(p.serverOptions)) {
    const { [key]: _, ...serverOptions } = p.serverOptions;
    yield { ...p, serverOptions };
  }
  for (const [i, request] of p.requests.entries()) {
    const instead = (r: HttpProgram['requests'][number]): HttpProgram => ({
      ...p,
      requests: p.requests.map((old, n) => (n === i ? r : old)),
    });
    for (const key of Object.keys(request.headers)) {
      const { [key]: _, ...headers } = request.headers;
      yield instead({ ...request, headers });
    }
    if (request.method !== 'GET') yield instead({ ...request, method: 'GET' });
    if (!request.ends) yield instead({ ...request, ends: true });
  }
  if (p.agent !== 'none') yield { ...p, agent: 'none' };
}
