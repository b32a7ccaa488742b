import type http from 'node:http';
import { warmUp } from '../adapters';
import type { Reply, ReplyError } from '../client';

import type { Wire } from '../wire';
import type { Ask, Client, ClientName, Outcome } from './scenario';

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

/** Node's http (or ours) with an agent that keeps connections. */
/** Which agent a request is to be sent by. */
function agentsOf(wire: Wire): (ask: Ask) => http.Agent {
  let single: http.Agent | null = null;
  return (ask) => {
    if (ask.fresh === true) return wire.agentOf({ keepAlive: false });
    if (ask.queued !== true) return wire.pool;
    single ??= wire.agentOf({ maxSockets: 1 });
    return single;
  };
}

function httpClient(wire: Wire, name: 'http' | 'node' | 'tapwire'): Client {
  const agentFor = agentsOf(wire);
  return {
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
      try {
        return done(await wire.request({ ...ask, until: 'close', agent: agentFor(ask) }), null);
      } catch (error) {
        const failure = error as ReplyError;
        return done(failure.reply, failure);
      }
    },
  };
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
  let single: Promise<object> | undefined;
  const dispatcherFor = (ask: Ask): Promise<object> => {
    if (ask.fresh === true) return wire.dispatcher({});
    if (ask.queued !== true) return wire.dispatcher();
    single ??= wire.dispatcher({ connections: 1 });
    return single;
  };
  return {
    name: 'fetch',
    // Before time begins: what is loaded for the first request takes turns of the real loop.
    ready: wire.dispatcher(),
    close: () => {},
    ask: (ask) =>
      fetched(
        wire,
        ask,
        dispatcherFor(ask).then((dispatcher) =>
          wire.fetch(ask.path ?? '/', {
            dispatcher,
            method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
            body: ask.body as never,
            headers: ask.headers as Record<string, string>,
            signal: ask.timeout === undefined ? undefined : signalAfter(wire, ask.timeout),
          } as RequestInit),
        ),
      ),
  };
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
  const newAgent = (options: object): InstanceType<typeof Agent> => {
    const agent = new Agent({ ...options, connect: wire.connector() as never });
    made.push(agent);
    return agent;
  };
  const shared = newAgent({});
  let single: InstanceType<typeof Agent> | null = null;
  const dispatcherOf = (ask: Ask): InstanceType<typeof Agent> => {
    if (ask.fresh === true) return newAgent({});
    if (ask.queued !== true) return shared;
    single ??= newAgent({ connections: 1 });
    return single;
  };
  undiciIsWarm ??= warmUp(async (url, connect) => {
    const response = await request(url, { dispatcher: new Agent({ connect: connect as never }) });
    await response.body.text();
  });
  return {
    name: 'undici',
    ready: undiciIsWarm,
    close: async () => void (await Promise.all(made.map((agent) => agent.destroy()))),
    async ask(ask): Promise<Outcome> {
      let status: number | null = null;
      let body = '';
      try {
        const response = await request(`http://${wire.addresses.server}${ask.path ?? '/'}`, {
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
  };
}

/** What axios and got have in common: options with an agent, and a result with a status and a body. */
function agentClient(
  wire: Wire,
  name: ClientName,
  send: (url: string, ask: Ask) => Promise<{ status: number; body: string }>,
): Client {
  return {
    name,
    close: () => {},
    async ask(ask): Promise<Outcome> {
      try {
        const { status, body } = await send(`http://${wire.addresses.server}${ask.path ?? '/'}`, ask);
        return { request: titleOf(ask), status, bytes: body.length, body, error: null, reused: null };
      } catch (error) {
        return { request: titleOf(ask), status: null, bytes: 0, body: '', error: errorText(error), reused: null };
      }
    },
  };
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
  const client = agentClient(wire, 'got', async (url, ask) => {
    const { default: got } = await ready;
    const { statusCode, body } = await got(url, {
      method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
      body: ask.body,
      headers: ask.headers,
      agent: { http: agentFor(ask) },
      timeout: ask.timeout === undefined ? undefined : { request: ask.timeout },
      throwHttpErrors: false,
    });
    return { status: statusCode, body };
  });
  return { ...client, ready };
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
