import http from 'node:http';
import type { Action } from './actions';
import type { Match } from './match';
import { FaultProxy, type ProxyOptions } from './proxy';
import { Rule } from './rule';
import { packageVersion } from './token';
import type { Toxic } from './toxics';

const BODY_MAX = 1 << 20;

/** A status and what goes with it. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Rules of our own as JSON: a match and actions, as `on(match).do(...)` takes them. */
interface RuleJson {
  readonly match?: Match;
  readonly do: readonly Action[];
  readonly label?: string;
  readonly times?: number;
}

/**
 * Proxies with an HTTP control API: toxiproxy's paths and names where the meaning is the same (/proxies, /proxies/NAME,
 * /proxies/NAME/toxics, /reset, /version), and rules of our own under /proxies/NAME/rules, /proxies/NAME/trace and
 * /proxies/NAME/capture.
 */
export class ControlServer {
  readonly proxies = new Map<string, FaultProxy>();
  private readonly server = http.createServer((request, response) => void this.answer(request, response));

  /** Listens; resolves with the port. */
  listen(port: number, host = '127.0.0.1'): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => resolve((this.server.address() as { port: number }).port));
    });
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    await Promise.all([...this.proxies.values()].map((proxy) => proxy.close()));
    this.proxies.clear();
  }

  /** Makes a proxy; it listens when this resolves, unless `enabled` is false. @throws RangeError */
  async create(options: ProxyOptions): Promise<FaultProxy> {
    if (this.proxies.has(options.name)) throw new Refusal(409, `there is a proxy '${options.name}' already`);
    const proxy = new FaultProxy(options);
    this.proxies.set(options.name, proxy);
    try {
      if (options.enabled !== false) await proxy.enable();
    } catch (error) {
      this.proxies.delete(options.name);
      await proxy.close();
      throw new Refusal(400, (error as Error).message);
    }
    return proxy;
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let status = 200;
    let body: unknown;
    try {
      [status, body] = await this.route(
        request.method ?? 'GET',
        new URL(request.url ?? '/', 'http://control'),
        await read(request),
      );
    } catch (error) {
      status =
        error instanceof Refusal
          ? error.status
          : error instanceof RangeError || error instanceof SyntaxError
            ? 400
            : 500;
      body = { error: (error as Error).message, status };
    }
    if (body instanceof Uint8Array) {
      response.writeHead(status, { 'Content-Type': 'application/octet-stream' }).end(body);
      return;
    }
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }

  private async route(method: string, url: URL, body: Json): Promise<[number, unknown]> {
    const [first, name, part, item] = url.pathname
      .split('/')
      .filter((word) => word !== '')
      .map(decodeURIComponent);
    if (first === 'version') return [200, { version: packageVersion() }];
    if (first === 'reset' && method === 'POST') return this.reset();
    if (first !== 'proxies') throw new Refusal(404, `there is no ${url.pathname}`);
    if (name === undefined) return this.all(method, body);
    const proxy = this.proxies.get(name);
    if (proxy === undefined) throw new Refusal(404, `there is no proxy '${name}'`);
    if (part === undefined) return this.one(method, proxy, body);
    if (part === 'toxics') return toxics(method, proxy, item, body);
    if (part === 'rules') return rules(method, proxy, body);
    if (part === 'trace') return [200, { lines: proxy.engine.trace.lines() }];
    if (part === 'capture') {
      const { reportOf } = require('./report') as typeof import('./report');
      return [200, reportOf(proxy.engine, proxy.name, 0).pcapng()];
    }
    throw new Refusal(404, `there is no ${url.pathname}`);
  }

  private async all(method: string, body: Json): Promise<[number, unknown]> {
    if (method === 'GET') return [200, Object.fromEntries(this.proxies)];
    if (method !== 'POST') throw new Refusal(405, `${method} /proxies`);
    const { name, listen, upstream, enabled } = body as unknown as ProxyOptions;
    if (typeof name !== 'string' || typeof upstream !== 'string')
      throw new Refusal(400, 'a proxy needs name and upstream, and may have listen and enabled');
    return [201, await this.create({ name, listen: listen ?? '127.0.0.1:0', upstream, enabled })];
  }

  private async one(method: string, proxy: FaultProxy, body: Json): Promise<[number, unknown]> {
    if (method === 'DELETE') {
      this.proxies.delete(proxy.name);
      await proxy.close();
      return [204, undefined];
    }
    if ((method === 'POST' || method === 'PATCH') && typeof body['enabled'] === 'boolean') {
      if (body['enabled']) await proxy.enable();
      else await proxy.disable();
    }
    return [200, proxy];
  }

  private async reset(): Promise<[number, unknown]> {
    for (const proxy of this.proxies.values()) {
      for (const { name } of [...proxy.toxics]) proxy.remove(name);
      for (const rule of proxy.engine.rules) rule.off();
      await proxy.enable();
    }
    return [204, undefined];
  }
}

type Json = Readonly<Record<string, unknown>>;

function toxics(method: string, proxy: FaultProxy, item: string | undefined, body: Json): [number, unknown] {
  if (item === undefined) {
    if (method === 'GET') return [200, proxy.toxics];
    return [200, proxy.add(body as unknown as Toxic)];
  }
  const toxic = proxy.toxics.find(({ name }) => name === item);
  if (toxic === undefined) throw new Refusal(404, `there is no toxic '${item}'`);
  if (method === 'DELETE') {
    proxy.remove(item);
    return [204, undefined];
  }
  if (method === 'GET') return [200, toxic];
  proxy.remove(item);
  const attributes = { ...toxic.attributes, ...(body['attributes'] as Record<string, number> | undefined) };
  return [200, proxy.add({ ...toxic, ...(body as object), attributes })];
}

function rules(method: string, proxy: FaultProxy, body: Json): [number, unknown] {
  const { engine } = proxy;
  if (method === 'GET') return [200, engine.rules.map(({ label, hits, active }) => ({ label, hits, active }))];
  const { match = {}, do: actions, label, times } = body as unknown as RuleJson;
  if (!Array.isArray(actions)) throw new Refusal(400, 'a rule is {"match": {…}, "do": [{"do": "drop"}, …]}');
  const made = actions.map(revive);
  const rule = engine.add(new Rule(match, made, label ?? 'rule', times ?? Number.POSITIVE_INFINITY));
  return [201, { label: rule.label }];
}

/** What JSON cannot carry: bytes come as text. Fills in what the constructors of actions default. */
function revive(action: Action): Action {
  const { defaultsOf } = require('./action-json') as typeof import('./action-json');
  return defaultsOf(action as never);
}

async function read(request: http.IncomingMessage): Promise<Json> {
  let text = '';
  for await (const chunk of request) {
    text += (chunk as Buffer).toString();
    if (text.length > BODY_MAX) throw new Refusal(413, `more than ${BODY_MAX} bytes`);
  }
  if (text === '') return {};
  const body = JSON.parse(text) as unknown;
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'an object was expected');
  return body as Json;
}
