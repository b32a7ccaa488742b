import type http from 'node:http';
import type https from 'node:https';
import type { LookupFunction } from 'node:net';
import { type DispatcherOptions, warmUp } from '../adapters';
import type { Reply, ReplyError } from '../client';
import { timedDispatcher } from '../dispatcher';
import type { Wire } from '../wire';
import type { Ask, Client, ClientName, Outcome, Pool } from './scenario';

type Loaded = Record<string, unknown>;

const titleOf = (ask: Ask): string => `${ask.method ?? (ask.body === undefined ? 'GET' : 'POST')} ${ask.path ?? '/'}`;

/** The errors of an error, outermost first: fetch and its kind put the transport's own into `cause`. */
export function errorText(error: unknown): string {
  const words: string[] = [];
  for (
    let e = error as NodeJS.ErrnoException & { cause?: unknown };
    e != null && words.length < 3;
    e = e.cause as never
  ) {
    const message = e.message === '' ? (e.name ?? 'Error') : e.message;
    const text = typeof e.code !== 'string' || message.includes(e.code) ? message : `${message} [${e.code}]`;
    // Some wrap an error in one that says the same.
    if (text !== words.at(-1)) words.push(text);
    if (e.cause === undefined) break;
  }
  return words.join(': ');
}

/** A pool for requests that want one connection, one after the other. */
const QUEUED: Pool = { connections: 1 };
const OWN: Pool = {};
/** A name that a pool's addresses belong to. */
const NAME = 'two.test';
/** A day: no probe is sent before. */
const NO_PROBES_MS = 86_400_000;

const lookupOf = ({ addresses }: Pool): LookupFunction | undefined =>
  addresses === undefined
    ? undefined
    : (((_: string, __: object, done: (error: null, list: object[]) => void) =>
        done(
          null,
          addresses.map((address) => ({ address, family: 4 })),
        )) as never);

/** The host that a request names. */
const hostOf = (wire: Wire, { pool }: Ask): string => (pool?.addresses === undefined ? wire.addresses.server : NAME);

function urlOf(wire: Wire, ask: Ask): string {
  const port = ask.port === undefined ? '' : `:${ask.port}`;
  return `${ask.secure === true ? 'https' : 'http'}://${hostOf(wire, ask)}${port}${ask.path ?? '/'}`;
}

/** What a client calls a pool: made when it is first asked for, one for each pool and protocol. */
function poolsOf<T>(make: (pool: Pool, secure: boolean) => T): (ask: Ask) => T {
  const made = new Map<Pool, T>();
  const secured = new Map<Pool, T>();
  return (ask) => {
    if (ask.fresh === true) return make({ ...ask.pool, connections: 0 }, ask.secure === true);
    const pool = ask.pool ?? (ask.queued === true ? QUEUED : OWN);
    const known = ask.secure === true ? secured : made;
    if (!known.has(pool)) known.set(pool, make(pool, ask.secure === true));
    return known.get(pool)!;
  };
}

/** Pools as agents of http, for http itself and all that take one. */
function agentsOf(wire: Wire): (ask: Ask) => http.Agent {
  return poolsOf((pool, secure) => {
    if (pool === OWN && !secure) return wire.pool;
    const { connections, idle, probes, onSocket } = pool;
    const options: https.AgentOptions = {
      keepAlive: connections !== 0,
      ...(connections ? { maxSockets: connections } : {}),
      ...(idle === undefined ? {} : { timeout: idle }),
      ...(probes === false ? { keepAliveMsecs: NO_PROBES_MS } : {}),
      ...(pool.addresses === undefined ? {} : { autoSelectFamily: true }),
      ...(secure ? { rejectUnauthorized: false } : {}),
    };
    const hooks = { lookup: lookupOf(pool), onSocket };
    return secure ? wire.secureAgentOf(options, hooks) : wire.agentOf(options, hooks);
  });
}

/** Pools as options of undici's dispatchers. */
function dispatcherOptions(pool: Pool): DispatcherOptions {
  const { connections, idle, probes, onSocket } = pool;
  return {
    ...(connections ? { connections } : {}),
    ...(idle === undefined ? {} : { keepAliveTimeout: idle, keepAliveMaxTimeout: idle }),
    connect: {
      keepAlive: probes,
      onSocket,
      lookup: lookupOf(pool),
      autoSelectFamily: pool.addresses === undefined ? undefined : true,
    },
  };
}

/** Counts what a client is told to ask. */
function counting(client: Omit<Client, 'asked'>): Client {
  const counted = {
    ...client,
    asked: 0,
    ask(ask: Ask): Promise<Outcome> {
      counted.asked++;
      return client.ask(ask);
    },
  };
  return counted;
}

/** Node's http (or ours) with an agent that keeps connections. */
function httpClient(wire: Wire, name: 'http' | 'node' | 'tapwire'): Client {
  const agentFor = agentsOf(wire);
  return counting({
    name,
    close: () => {},
    async ask(ask): Promise<Outcome> {
      const done = (reply: Partial<Reply> | undefined, error: ReplyError | null): Outcome => ({
        request: titleOf(ask),
        status: reply?.status ?? null,
        bytes: reply?.body?.length ?? 0,
        body: reply?.body?.toString('latin1') ?? '',
        error: error === null ? null : errorText(error),
        reused: error === null ? (reply?.reusedSocket ?? null) : (error.reusedSocket ?? null),
      });
      const { path, method, body, timeout, headers, port, secure } = ask;
      const options = { path, method, body, timeout, headers, port, secure, host: hostOf(wire, ask) };
      try {
        return done(await wire.request({ ...options, until: 'close', agent: agentFor(ask) }), null);
      } catch (error) {
        const failure = error as ReplyError;
        return done(failure.reply, failure);
      }
    },
  });
}

/** Anything that gives a Response. */
async function fetched(wire: Wire, ask: Ask, made: Promise<Response>): Promise<Outcome> {
  let status: number | null = null;
  let body = '';
  try {
    const response = await made;
    status = response.status;
    const reader = response.body?.getReader();
    for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader!.read())
      body += Buffer.from(part.value as Uint8Array).toString('latin1');
    // Its pool has the connection back a moment after the body was read.
    await wire.clock.advance(1);
    return { request: titleOf(ask), status, bytes: body.length, body, error: null, reused: null };
  } catch (error) {
    return { request: titleOf(ask), status, bytes: body.length, body, error: errorText(error), reused: null };
  }
}

function fetchClient(wire: Wire): Client {
  const dispatcherOf = poolsOf((pool) => (pool === OWN ? wire.dispatcher() : wire.dispatcher(dispatcherOptions(pool))));
  return counting({
    name: 'fetch',
    // Before time begins: what is loaded for the first request takes turns of the real loop.
    ready: wire.dispatcher(),
    close: () => {},
    ask: (ask) =>
      fetched(
        wire,
        ask,
        dispatcherOf(ask).then((dispatcher) =>
          wire.fetch(urlOf(wire, ask), {
            dispatcher,
            method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
            body: ask.body as never,
            headers: ask.headers as Record<string, string>,
            signal: ask.timeout === undefined ? undefined : signalAfter(wire, ask.timeout),
          } as RequestInit),
        ),
      ),
  });
}

/** An AbortSignal on the wire's clock. */
function signalAfter(wire: Wire, ms: number): AbortSignal {
  const controller = new AbortController();
  wire.clock.at(wire.clock.now() + ms, () => controller.abort(new DOMException('the client gave up', 'TimeoutError')));
  return controller.signal;
}

/** A package of the program that asks, not of this one. */
const load = (name: string): Loaded => require(pathOf(name)) as Loaded;

function pathOf(name: string): string {
  try {
    return require.resolve(name, { paths: [process.cwd(), __dirname] });
  } catch {
    throw new Error(`the client '${name}' is not installed here: npm install --save-dev ${name}`);
  }
}

let undiciIsWarm: Promise<void> | null = null;

function undiciClient(wire: Wire): Client {
  const { Agent, request } = load('undici') as unknown as typeof import('undici');
  const made: { destroy(): Promise<void> }[] = [];
  const dispatcherOf = poolsOf((pool) => {
    const options = dispatcherOptions(pool);
    const agent = timedDispatcher(Agent as never, wire.connector(options.connect), wire.clientLoop, options);
    made.push(agent as InstanceType<typeof Agent>);
    return agent as InstanceType<typeof Agent>;
  });
  undiciIsWarm ??= warmUp(async (url, connect) => {
    const response = await request(url, { dispatcher: new Agent({ connect: connect as never }) });
    await response.body.text();
  });
  return counting({
    name: 'undici',
    ready: undiciIsWarm,
    close: async () => void (await Promise.all(made.map((agent) => agent.destroy()))),
    async ask(ask): Promise<Outcome> {
      let status: number | null = null;
      let body = '';
      try {
        const response = await request(urlOf(wire, ask), {
          dispatcher: dispatcherOf(ask),
          method: (ask.method ?? (ask.body === undefined ? 'GET' : 'POST')) as 'GET',
          body: ask.body as never,
          headers: ask.headers as Record<string, string>,
          signal: ask.timeout === undefined ? undefined : signalAfter(wire, ask.timeout),
        });
        status = response.statusCode;
        for await (const part of response.body) body += Buffer.from(part as Uint8Array).toString('latin1');
        await wire.clock.advance(1);
        return { request: titleOf(ask), status, bytes: body.length, body, error: null, reused: null };
      } catch (error) {
        return { request: titleOf(ask), status, bytes: body.length, body, error: errorText(error), reused: null };
      }
    },
  });
}

/** What axios and got have in common: options with an agent, and a result with a status and a body. */
function agentClient(
  wire: Wire,
  name: ClientName,
  send: (url: string, ask: Ask) => Promise<{ status: number; body: string }>,
  ready?: Promise<unknown>,
): Client {
  return counting({
    name,
    ready,
    close: () => {},
    async ask(ask): Promise<Outcome> {
      try {
        const { status, body } = await send(urlOf(wire, ask), ask);
        return { request: titleOf(ask), status, bytes: body.length, body, error: null, reused: null };
      } catch (error) {
        return { request: titleOf(ask), status: null, bytes: 0, body: '', error: errorText(error), reused: null };
      }
    },
  });
}

function axiosClient(wire: Wire): Client {
  type Axios = { request(options: object): Promise<{ status: number; data: string }> };
  const loaded = load('axios');
  const axios = (loaded['default'] ?? loaded) as Axios;
  const agentFor = agentsOf(wire);
  return agentClient(wire, 'axios', async (url, ask) => {
    const { status, data } = await axios.request({
      url,
      method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
      data: ask.body,
      headers: ask.headers,
      httpAgent: agentFor(ask),
      httpsAgent: agentFor(ask),
      timeout: ask.timeout,
      proxy: false,
      adapter: 'http',
      responseType: 'text',
      validateStatus: () => true,
    });
    return { status, body: String(data) };
  });
}

/** got is an ES module: it is imported when it is first asked. Its own retries are part of what is tested. */
function gotClient(wire: Wire): Client {
  type Got = (url: string, options: object) => Promise<{ statusCode: number; body: string }>;
  const bring = new Function('name', 'return import(name)') as (name: string) => Promise<{ default: Got }>;
  const agentFor = agentsOf(wire);
  const ready = bring(pathOf('got'));
  const send = async (url: string, ask: Ask): Promise<{ status: number; body: string }> => {
    const { default: got } = await ready;
    const { statusCode, body } = await got(url, {
      method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
      body: ask.body,
      headers: ask.headers,
      agent: { [ask.secure === true ? 'https' : 'http']: agentFor(ask) },
      timeout: ask.timeout === undefined ? undefined : { request: ask.timeout },
      throwHttpErrors: false,
    });
    return { status: statusCode, body };
  };
  return agentClient(wire, 'got', send, ready);
}

/** @throws Error when the client is unknown, or its package is not installed. */
export function clientNamed(name: string, wire: Wire): Client {
  switch (name) {
    case 'http':
    case 'node':
    case 'tapwire':
      return httpClient(wire, name);
    case 'fetch':
      return fetchClient(wire);
    case 'undici':
      return undiciClient(wire);
    case 'axios':
      return axiosClient(wire);
    case 'got':
      return gotClient(wire);
    default:
      throw new RangeError(`unknown client '${name}': http (or node), tapwire, fetch, undici, axios or got`);
  }
}
