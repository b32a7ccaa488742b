import http from 'node:http';
import type { FaultEngine } from './engine';
import { isUnused, missOf } from './misses';
import { FaultProxy, type ProxyOptions } from './proxy';
import type { Rule } from './rule';
import { ruleFrom } from './rule-json';
import { packageVersion } from './token';
import { checkToxic, type Toxic, ToxicTaken } from './toxics';

const BODY_MAX = 1 << 20;
const PROXIES_MAX = 1000;
const RULES_MAX = 1000;

/** A status and what goes with it. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Proxies with an HTTP control API: toxiproxy's paths and names where the meaning is the same (/proxies, /proxies/NAME,
 * /proxies/NAME/toxics, /populate, /reset, /version), and rules of our own under /proxies/NAME/rules, /proxies/NAME/trace and
 * /proxies/NAME/capture.
 */
export class ControlServer {
  readonly proxies = new Map<string, FaultProxy>();
  /** Engines between devices, under /wires/NAME/rules, trace and capture. */
  readonly wires = new Map<string, FaultEngine>();
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
    if (this.proxies.size >= PROXIES_MAX) throw new Refusal(400, `${PROXIES_MAX} proxies are enough`);
    if (this.proxies.has(options.name)) throw new Refusal(409, `there is a proxy '${options.name}' already`);
    const proxy = new FaultProxy(options);
    this.proxies.set(options.name, proxy);
    try {
      if (options.enabled !== false) await proxy.enable();
    } catch (error) {
      this.proxies.delete(options.name);
      await proxy.close();
      throw Object.assign(new Refusal(400, (error as Error).message), { cause: error });
    }
    return proxy;
  }

  private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let status = 200;
    let body: unknown;
    response.on('error', () => {});
    try {
      // A page that a browser shows could ask, too, for whoever wrote it.
      if (/^Mozilla\//.test(request.headers['user-agent'] ?? '') || request.headers.origin !== undefined)
        throw new Refusal(403, 'browsers are not answered');
      [status, body] = await this.route(
        request.method ?? 'GET',
        new URL(request.url ?? '/', 'http://control'),
        await read(request),
      );
    } catch (error) {
      status = statusOf(error as Error);
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
      .map(decoded);
    if (first === 'version') return [200, { version: packageVersion() }];
    if (first === 'reset' && method === 'POST') return this.reset();
    if (first === 'populate' && method === 'POST') return this.populate(body);
    if (first === 'wires') return this.wire(method, name, part, body);
    if (first !== 'proxies') throw new Refusal(404, `there is no ${url.pathname}`);
    if (name === undefined) return this.all(method, body);
    const proxy = this.proxies.get(name);
    if (proxy === undefined) throw new Refusal(404, `there is no proxy '${name}'`);
    if (part === undefined) return this.one(method, proxy, body);
    if (part === 'toxics') return toxics(method, proxy, item, body);
    return ofEngine(method, proxy.engine, proxy.name, part, body);
  }

  private wire(method: string, name: string | undefined, part: string | undefined, body: Json): [number, unknown] {
    if (name === undefined) return [200, [...this.wires.keys()]];
    const engine = this.wires.get(name);
    if (engine === undefined) throw new Refusal(404, `there is no wire '${name}'`);
    return ofEngine(method, engine, name, part ?? 'rules', body);
  }

  private async all(method: string, body: Json): Promise<[number, unknown]> {
    if (method === 'GET') return [200, Object.fromEntries(this.proxies)];
    if (method !== 'POST') throw new Refusal(405, `${method} /proxies`);
    return [201, await this.create(proxyOptions(body))];
  }

  /** Many at once; those that are there already are changed. */
  private async populate(body: unknown): Promise<[number, unknown]> {
    if (!Array.isArray(body)) throw new Refusal(400, 'a list of proxies was expected');
    const proxies: FaultProxy[] = [];
    try {
      for (const options of body.map((one) => proxyOptions(one as Json))) proxies.push(await this.populated(options));
    } catch (error) {
      const status = statusOf(error as Error);
      return [status, { error: (error as Error).message, status, proxies }];
    }
    return [201, { proxies }];
  }

  private async populated(options: ProxyOptions): Promise<FaultProxy> {
    const known = this.proxies.get(options.name);
    if (known !== undefined && sameAddress(known.listen, options.listen) && known.upstream === options.upstream)
      return known;
    if (known !== undefined) await this.drop(known);
    return this.create(options);
  }

  private async drop(proxy: FaultProxy): Promise<void> {
    this.proxies.delete(proxy.name);
    await proxy.close();
  }

  private async one(method: string, proxy: FaultProxy, body: Json): Promise<[number, unknown]> {
    if (method === 'DELETE') {
      await this.drop(proxy);
      return [204, undefined];
    }
    if (method === 'GET') return [200, proxy];
    if (method !== 'POST' && method !== 'PATCH') throw new Refusal(405, `${method} /proxies/${proxy.name}`);
    return [200, await this.change(proxy, body)];
  }

  /** Another address is another proxy, with the toxics of the old one. */
  private async change(proxy: FaultProxy, body: Json): Promise<FaultProxy> {
    const { listen, upstream, enabled } = proxyOptions({
      ...body,
      name: proxy.name,
      upstream: body['upstream'] || proxy.upstream,
    });
    const moves = body['listen'] !== undefined && !sameAddress(proxy.listen, listen);
    if (moves || upstream !== proxy.upstream) {
      await this.drop(proxy);
      const made = await this.create({
        name: proxy.name,
        listen: moves ? listen : proxy.listen,
        upstream,
        enabled: enabled ?? proxy.enabled,
      });
      for (const toxic of proxy.toxics) made.add(toxic);
      return made;
    }
    if (enabled === true) await proxy.enable();
    if (enabled === false) await proxy.disable();
    return proxy;
  }

  private async reset(): Promise<[number, unknown]> {
    for (const proxy of this.proxies.values()) {
      for (const { name } of [...proxy.toxics]) proxy.remove(name);
      for (const rule of [...proxy.engine.rules]) proxy.engine.remove(rule);
      await proxy.enable();
    }
    return [204, undefined];
  }
}

type Json = Readonly<Record<string, unknown>>;

const NAME_MAX = 256;

/** @throws Refusal when something has the wrong type */
function proxyOptions(body: Json): ProxyOptions {
  const { name, listen, upstream, enabled } = (body ?? {}) as Json;
  const isText = (value: unknown): value is string =>
    typeof value === 'string' && value !== '' && value.length <= NAME_MAX;
  if (!isText(name) || !isText(upstream)) throw new Refusal(400, 'a proxy needs "name" and "upstream"');
  if (listen !== undefined && listen !== '' && !isText(listen)) throw new Refusal(400, 'listen is "HOST:PORT"');
  if (enabled !== undefined && typeof enabled !== 'boolean') throw new Refusal(400, 'enabled is true or false');
  return { name, upstream, enabled, listen: (listen as string | undefined) || '127.0.0.1:0' };
}

const LOCAL = /^(localhost|127\.0\.0\.1|)(?=:)/;
const sameAddress = (a: string, b: string): boolean => a.replace(LOCAL, '') === b.replace(LOCAL, '');

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw new Refusal(400, `'${word}' in the path cannot be decoded`);
  }
}

function toxics(method: string, proxy: FaultProxy, item: string | undefined, body: Json): [number, unknown] {
  if (item === undefined) {
    if (method === 'GET') return [200, proxy.toxics];
    if (method !== 'POST') throw new Refusal(405, `${method} toxics`);
    return [200, proxy.add(body as unknown as Toxic)];
  }
  const toxic = proxy.toxics.find(({ name }) => name === item);
  if (toxic === undefined) throw new Refusal(404, `there is no toxic '${item}'`);
  if (method === 'DELETE') {
    proxy.remove(item);
    return [204, undefined];
  }
  if (method === 'GET') return [200, toxic];
  if (method !== 'POST' && method !== 'PATCH') throw new Refusal(405, `${method} toxics`);
  const attributes = { ...toxic.attributes, ...(body['attributes'] as Record<string, number> | undefined) };
  const toxicity = (body['toxicity'] as number | undefined) ?? toxic.toxicity;
  const changed = checkToxic({ ...toxic, toxicity, attributes }, []);
  proxy.remove(item);
  return [200, proxy.add(changed)];
}

/** What proxies and wires have in common: rules, and what happened. */
function ofEngine(method: string, engine: FaultEngine, name: string, part: string, body: Json): [number, unknown] {
  if (part === 'rules') return rules(method, engine, body);
  if (method !== 'GET') throw new Refusal(405, `${method} ${part}`);
  if (part === 'trace') return [200, { lines: engine.trace.lines() }];
  if (part !== 'capture') throw new Refusal(404, `there is no '${part}' of '${name}'`);
  const { reportOf } = require('./report') as typeof import('./report');
  return [200, reportOf(engine, name, 0).pcapng()];
}

function statusOf(error: Error): number {
  if (error instanceof Refusal) return error.status;
  if (error instanceof ToxicTaken) return 409;
  const { code } = error as NodeJS.ErrnoException;
  return error instanceof RangeError || error instanceof SyntaxError || code === 'ERR_INVALID_URL' ? 400 : 500;
}

/** A rule as the API tells it; one that should have acted and never did, with what came nearest to it. */
function shownRule(rule: Rule, engine: FaultEngine): object {
  const { label, hits, active } = rule;
  return { label, hits, active, ...(isUnused(rule) ? { unused: missOf(rule, engine) } : {}) };
}

function rules(method: string, engine: FaultEngine, body: Json): [number, unknown] {
  if (method === 'GET') return [200, engine.rules.map((rule) => shownRule(rule, engine))];
  if (method === 'DELETE') {
    for (const rule of [...engine.rules]) if (!rule.label.startsWith('toxic ')) engine.remove(rule);
    return [204, undefined];
  }
  if (method !== 'POST') throw new Refusal(405, `${method} rules`);
  if (engine.rules.length >= RULES_MAX) throw new Refusal(400, `${RULES_MAX} rules are enough for one proxy`);
  const rule = engine.add(ruleFrom(body));
  return [201, { label: rule.label }];
}

/** The body as an object. What is too much is read all the same, so that the sender gets to the answer. */
async function read(request: http.IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_MAX) chunks.push(chunk);
    });
    request.on('end', resolve);
    request.on('error', reject);
  });
  if (bytes > BODY_MAX) throw new Refusal(413, `more than ${BODY_MAX} bytes`);
  const text = Buffer.concat(chunks).toString();
  if (text === '') return {};
  const body = JSON.parse(text) as unknown;
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'an object was expected');
  return body as Json;
}
