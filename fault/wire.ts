import http from 'node:http';
import https from 'node:https';
import { createHttp, type HttpModule, type NetModule } from '../http';
import { createHttps, type HttpsModule } from '../http/https';
import { createNet, type Net, type Socket } from '../net';
import type { Millis } from '../stack/base/bytes';
import type { TcpProfile } from '../stack/tcp/profile';
import type { Action } from './actions';
import {
  agentOver,
  type ConnectHooks,
  type ConnectorOptions,
  connectOver,
  connectorOver,
  type DispatcherOptions,
  dispatcherFor,
  feedServer,
  secureAgentOver,
  type UndiciConnector,
} from './adapters';
import { type Reply, type RequestOptions, requestWith } from './client';
import type { Side } from './conn';
import type { TaskClock } from './dispatcher';
import { Driver } from './driver';
import { FaultEngine, type Tap } from './engine';
import { waitOn } from './idle-waits';
import type { Match } from './match';
import type { Box, BoxOptions } from './middlebox';
import type { Unused } from './misses';
import { Origin } from './origin';
import { freeParsers } from './parsers';
import { type PeerScript, servePeer } from './peer';
import { type Report, reportOf } from './report';
import { limitOn } from './request-limits';
import type { Rule, RuleBuilder } from './rule';
import type { Trace } from './trace';
import { CLIENT_ADDRESS, profileNamed, SERVER_ADDRESS, VirtualMedium } from './virtual';

/** What a wire may be told. Everything has a default. */
export interface WireOptions {
  /** Everything random comes from it. Default 1. */
  readonly seed?: number;
  /**
   * TCP's constants: 'linux-node20' (default; SYNs as kernels before 6.5 send them), 'linux-6.5' (the same, and SYNs as from 6.5
   * on), 'linux' (that of packetdrill scripts), 'rfc', or a table of your own.
   */
  readonly profile?: string | TcpProfile;
  /** From where to where the client's own ports go. Default: as in the profile. */
  readonly clientPorts?: readonly [number, number];
  /** Milliseconds of a round trip. Default 20. */
  readonly rtt?: Millis;
  /**
   * 'memory': two hosts of ours in virtual time. The two other ways have entries of their own, because they need devices:
   * `faultDevice` for TUN, `openMiddlebox` and `FaultProxy` for programs that know nothing of us.
   */
  readonly mode?: 'memory';
  /** Default 1500. */
  readonly mtu?: number;
  /**
   * 'wire': only what goes over the wire has virtual time (default). 'global': setTimeout, setInterval, Date and
   * performance.now have it too, until `close`; the test runner's own timers, taken before, keep running.
   */
  readonly timers?: 'wire' | 'global';
  /** How long a request that makes no progress may wait on the wire's clock before time stands still. Default 2 hours. */
  readonly patience?: Millis;
  /** Whose http serves and asks: Node's own, or ours. Default 'node'. */
  readonly http?: 'node' | 'tapwire';
  /** 'off': rules, actions and middleboxes do nothing. A test that still passes then did not test its fault. Default 'on'. */
  readonly faults?: 'on' | 'off';
  /** What the tear-down of `tapwire/jest` does about sockets that are left when a test is over. Default 'fail'. */
  readonly leaks?: 'fail' | 'ignore';
  /**
   * What that tear-down does about rules and middleboxes that never acted: a test with one tests less than it says. Default
   * 'fail'; of single rules, `on(…).optional()`.
   */
  readonly unused?: 'fail' | 'ignore';
}

/** The clock of a wire. */
export interface Clock {
  /** Milliseconds since the wire was made. */
  now(): Millis;
  /** Time passes, with all that happens in it. */
  advance(ms: Millis): Promise<void>;
  /** Time passes until no frame is on its way and nothing is due at once. */
  settle(): Promise<void>;
  /** A host's clock leaps ahead. */
  jump(host: 'client' | 'server', ms: Millis): void;
  /** A host's clock runs `rate` times as fast as this one from now on. */
  skew(host: 'client' | 'server', rate: number): void;
  /** Has an action, or a function, done at a time of this clock. */
  at(ms: Millis, what: Action | (() => void)): void;
  /** Resolves when so much time has passed: for handlers that are slow. Does not make time pass by itself. */
  sleep(ms: Millis): Promise<void>;
}

/** What `serve` may be told. */
export interface ServeOptions extends http.ServerOptions {
  /** Default 80. */
  readonly port?: number;
  readonly backlog?: number;
  readonly keepAliveTimeout?: number;
  readonly headersTimeout?: number;
  readonly http?: 'node' | 'tapwire';
}

const SETTLE_MS = 0.1;
/** More than TIME-WAIT lasts, and what closes a connection that says nothing for a minute. */
const LINGER_MS = 130_000;
/** A day: who waits for longer waits for ever. */
const RUN_MS = 86_400_000;

const wires = new Set<Wire>();

/** Wires that are open, the latest last: what matchers look at. */
export const openWires = (): Wire[] => [...wires];

/** What rules that never acted of wires that were closed had to say, until somebody asks. Bounded. */
let closedUnused: Unused[] = [];
const CLOSED_KEPT = 1000;

/** The rules and boxes that never acted, of all wires that were closed since this was called last; but `unused: 'ignore'`. */
export function unusedOfClosed(): Unused[] {
  const list = closedUnused;
  closedUnused = [];
  return list;
}

/** A client host and a server host with a wire between them on which faults happen. */
export class Wire {
  readonly engine: FaultEngine;
  readonly clock: Clock;
  readonly seed: number;
  readonly clientNet: Net;
  readonly serverNet: Net;
  readonly origins: Origin[] = [];
  /** Responses that `request` and `get` resolved with: "GET /a", and bytes of body. */
  readonly deliveries: { readonly title: string; readonly bytes: number }[] = [];
  readonly medium: VirtualMedium;
  /** In a race: how often requests were sent again, by what `toRetry` was told; over all orders. */
  retries: Map<number, number> | null = null;
  private readonly driver: Driver;
  private readonly agents: http.Agent[] = [];
  private readonly dispatchers: { destroy(): Promise<void> }[] = [];
  private readonly listeners: { close(): unknown }[] = [];
  private sharedAgent: http.Agent | null = null;
  private sharedDispatcher: object | null = null;
  private closed = false;

  constructor(readonly options: WireOptions = {}) {
    if (options.mode !== undefined && options.mode !== 'memory')
      throw new RangeError(
        `mode '${String(options.mode)}': createWire is in memory; see faultDevice, openMiddlebox and FaultProxy`,
      );
    this.seed = options.seed ?? 1;
    const rtt = options.rtt ?? 20;
    if (!(rtt >= 0 && rtt < 3_600_000)) throw new RangeError(`rtt is ${rtt} ms`);
    this.medium = new VirtualMedium({
      seed: this.seed,
      rtt,
      linkType: 'ip',
      profile: typeof options.profile === 'object' ? options.profile : profileNamed(options.profile ?? 'linux-node20'),
      mtu: options.mtu ?? 1500,
      clientPorts: options.clientPorts,
      timers: options.timers === 'global',
    });
    const { medium } = this;
    this.engine = new FaultEngine({ medium, hosts: medium, seed: this.seed, faults: options.faults });
    medium.arrives = (from, frame) => this.engine.arrives(from, frame);
    this.driver = new Driver(
      medium.world,
      () => medium.isStopped || this.engine.isBusy,
      () => this.progressMark(),
      options.patience ?? 7_200_000,
    );
    this.clientNet = createNet(medium.hosts.left.host);
    this.serverNet = createNet(medium.hosts.right.host);
    this.clock = this.makeClock();
    wires.add(this);
  }

  private progressMark(): string {
    const { conns, connCount, exchanges } = this.engine;
    let sent = 0;
    for (const { c, s, over } of conns) sent += c.got.next + s.got.next + (over ? 1 : 0);
    return `${connCount} ${exchanges.count} ${sent}`;
  }

  private makeClock(): Clock {
    const { medium, driver } = this;
    const now = (): Millis => medium.now();
    return {
      now,
      advance: (ms) => driver.reach(now() + checkMs(ms)),
      settle: async () => {
        // What was called just now has to reach the wire first.
        await driver.reach(now() + SETTLE_MS);
        await driver.until(() => medium.world.isQuiet && !this.engine.isBusy);
      },
      jump: (host, ms) => medium.jump(sideOf(host), checkMs(ms)),
      skew: (host, rate) => medium.skew(sideOf(host), rate),
      at: (ms, what) => medium.world.at(ms, typeof what === 'function' ? what : () => this.do(what)),
      sleep: (ms) => new Promise((resolve) => medium.world.at(now() + checkMs(ms), resolve)),
    };
  }

  // ── rules ──

  /** `on(res(1).bodyByte(4096)).do(rst({ to: 'c' }))` */
  on(match: Match): RuleBuilder {
    this.mustBeOpen();
    return this.engine.on(match);
  }
  /** At once: `do(freeze('client', 3_600_000))`. */
  do(...actions: Action[]): void {
    this.engine.do(...actions);
    this.driver.poke();
  }
  tap(tap: Tap): () => void {
    return this.engine.tap(tap);
  }
  middlebox(options: BoxOptions): Box {
    return this.engine.middlebox(options);
  }
  /** A NAT with so many ports; what does not get one is lost. */
  nat(options: { ports: number; idle?: Millis; lingerMs?: Millis }): Box {
    const { idle } = options;
    return this.engine.middlebox({ label: 'nat', expired: idle === undefined ? undefined : 'blackhole', ...options });
  }
  /** Opens a gate that `hold` closed. */
  release(gate: string): void {
    this.engine.release(gate);
    this.driver.poke();
  }
  get rules(): readonly Rule[] {
    return this.engine.rules;
  }
  /** Rules and middleboxes that never acted so far and need to, each with what came nearest to it. */
  unused(): Unused[] {
    return this.engine.unused();
  }

  // ── the client's side ──

  private readonly resolve = (host: string): string =>
    /^[\d.]+$/.test(host) && host !== '127.0.0.1' ? host : SERVER_ADDRESS;

  /** An http.Agent of Node's own whose connections go over the wire: for http.request, axios, got, any client that takes one. */
  agent(options: http.AgentOptions = {}, hooks: ConnectHooks = {}): http.Agent {
    const agent = agentOver(this.clientNet, this.resolve, options, hooks);
    this.agents.push(agent);
    return agent;
  }
  /** The same for https. */
  secureAgent(options: https.AgentOptions = {}, hooks: ConnectHooks = {}): https.Agent {
    const agent = secureAgentOver(this.clientNet, this.resolve, options, hooks);
    this.agents.push(agent);
    return agent;
  }
  /** A socket factory, as `createConnection`. */
  get connect(): ReturnType<typeof connectOver> {
    return connectOver(this.clientNet, this.resolve);
  }
  /** For undici: `new Agent({ connect: wire.connector() })`. */
  connector(options: ConnectorOptions = {}): UndiciConnector {
    return connectorOver(this.clientNet, this.resolve, options);
  }
  /** Our own http on the client's host. */
  get http(): HttpModule {
    return createHttp(this.clientNet as unknown as NetModule);
  }
  /** Our own https on the client's host. */
  get https(): HttpsModule {
    return createHttps(this.clientNet as unknown as NetModule);
  }
  /** The built-in fetch over the wire. Relative URLs are of the first origin. */
  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    this.mustBeOpen();
    const target = new URL(url, this.origins[0]?.url ?? `http://${SERVER_ADDRESS}`);
    return fetch(target, { dispatcher: await this.dispatcher(), ...init } as RequestInit);
  }
  /** The loop that a client's program runs in, and its clock. */
  get clientLoop(): TaskClock {
    return this.medium.hosts.left.loop;
  }
  /** A dispatcher for the built-in fetch, its time limits on the wire's clock; without options it is one for the whole wire. */
  async dispatcher(options?: DispatcherOptions): Promise<object> {
    if (options === undefined && this.sharedDispatcher !== null) return this.sharedDispatcher;
    const made = await this.driver.prepare(dispatcherFor(this.connector(options?.connect), this.clientLoop, options));
    this.dispatchers.push(made);
    if (options === undefined) this.sharedDispatcher = made;
    return made;
  }
  /** One request with Node's http (or ours: option `http`) and an agent that keeps connections. */
  request(options: RequestOptions & { host?: string; port?: number; secure?: boolean } = {}): Promise<Reply> {
    this.mustBeOpen();
    const own = this.options.http === 'tapwire';
    const secure = options.secure === true;
    const base = {
      host: options.host ?? SERVER_ADDRESS,
      port: options.port ?? (secure ? 443 : (this.origins[0]?.port ?? 80)),
      agent: this.pool,
      http: (secure ? (own ? this.https : https) : own ? this.http : http) as typeof http,
    };
    // Node's meaning of false is an agent for this one request; its own would leave the wire.
    const agent = options.agent === false ? this.agentOf({ keepAlive: false }) : options.agent;
    const replied = requestWith(base, { ...options, agent }, (text) => this.note('left', text));
    const title = `${options.method ?? 'GET'} ${options.path ?? '/'}`;
    return replied.then((reply) => {
      this.deliveries.push({ title, bytes: reply.body.length });
      return reply;
    });
  }
  /** `get('/b')`, `get('/b', { timeout: 2000 })`, or `get({ connectTimeout: 2500 })` for '/'. */
  get(path: string | RequestOptions = '/', options: RequestOptions = {}): Promise<Reply> {
    return this.request(typeof path === 'string' ? { ...options, path } : path);
  }
  /** The agent that `request` and `get` share. */
  get pool(): http.Agent {
    this.sharedAgent ??= this.agentOf();
    return this.sharedAgent;
  }
  /** An agent of the http that the wire was made with: Node's own, or ours. */
  agentOf(options: http.AgentOptions = {}, hooks: ConnectHooks = {}): http.Agent {
    if (this.options.http !== 'tapwire') return this.agent(options, hooks);
    return this.ownAgent(new this.http.Agent({ keepAlive: true, ...options, lookup: hooks.lookup }) as never, hooks);
  }
  /** The same for https. */
  secureAgentOf(options: https.AgentOptions = {}, hooks: ConnectHooks = {}): https.Agent {
    if (this.options.http !== 'tapwire') return this.secureAgent(options, hooks);
    return this.ownAgent(new this.https.Agent({ keepAlive: true, ...options, lookup: hooks.lookup }) as never, hooks);
  }
  private ownAgent<T extends http.Agent>(agent: T, { onSocket }: ConnectHooks): T {
    const made = agent as unknown as { createConnection(...args: unknown[]): Socket };
    const connect = made.createConnection.bind(agent);
    made.createConnection = (...args) => {
      const socket = connect(...args);
      onSocket?.(socket);
      return socket;
    };
    this.agents.push(agent);
    return agent;
  }

  // ── the server's side ──

  /** A server on the server's host, with Node's http (or ours). */
  async serve(handler: http.RequestListener, options: ServeOptions = {}): Promise<Origin> {
    const { port = 80, backlog, keepAliveTimeout, headersTimeout, http: whose, ...rest } = options;
    const own = (whose ?? this.options.http) === 'tapwire';
    const module = own ? (createHttp(this.serverNet as unknown as NetModule) as unknown as typeof http) : http;
    const server = module.createServer(rest);
    if (own) waitOn(this.medium.hosts.right.host.loop, server as never);
    if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout;
    if (headersTimeout !== undefined) server.headersTimeout = headersTimeout;
    const listener = own ? server : feedServer(server, this.serverNet);
    // The origin listens first, so that a request is noted before its handler runs.
    const origin = new Origin(
      server,
      `http://${SERVER_ADDRESS}:${port}`,
      SERVER_ADDRESS,
      port,
      () => void listener.close(),
    );
    server.on('request', handler);
    server.on('request', (request: http.IncomingMessage) =>
      this.note('right', `request ${request.method} ${request.url}`),
    );
    // Told without being a listener: one would take over what Node does by itself.
    const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean;
    server.emit = ((event: string, ...args: unknown[]) => {
      if (event === 'clientError') {
        origin.clientErrors.push(args[0] as Error);
        this.note('right', `clientError ${(args[0] as Error).message}`);
      }
      return emit(event, ...args);
    }) as typeof server.emit;
    await new Promise<void>((resolve, reject) => {
      (listener as http.Server).once('error', reject);
      (listener as http.Server).listen({ port, host: SERVER_ADDRESS, backlog }, resolve);
    });
    if (!own) server.emit('listening');
    limitOn(this.medium.hosts.right.loop, server);
    this.listeners.push(listener as http.Server);
    if (!own) this.listeners.push(server);
    this.origins.push(origin);
    return origin;
  }

  /** A scripted peer instead of a server: it reads and writes bytes as told. */
  peer(script: PeerScript, options: { port?: number } = {}): Promise<{ close(): void }> {
    return servePeer(this.serverNet, this.clock, script, options.port ?? 80).then((peer) => {
      this.listeners.push(peer);
      return peer;
    });
  }

  // ── running ──

  /** Time passes, over silences too, until the promise is settled; rejects when that takes longer, or can never be. */
  async run<T>(promise: PromiseLike<T>, withinMs: Millis = RUN_MS): Promise<T> {
    let settled = false;
    const began = this.clock.now();
    // The clock stops there on its way to what comes later.
    const stop = withinMs < RUN_MS ? this.medium.at(began + withinMs, () => {}) : null;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    await this.driver.until(() => settled || this.clock.now() - began >= withinMs);
    if (stop !== null) this.medium.cancel(stop);
    if (!settled) {
      const took = this.clock.now() - began;
      const why = took >= withinMs ? `within ${withinMs} ms` : 'and nothing is left to happen';
      throw new Error(`the promise is not settled ${why} (at ${this.clock.now().toFixed(1)} ms)`);
    }
    return promise;
  }

  /** Writes a line into the story: what a program was told, which step of a test begins. */
  note(side: Side | null, text: string): void {
    this.engine.trace.note(this.clock.now(), 'event', side, text);
  }

  /** The story so far. */
  trace(): Trace {
    return this.engine.trace;
  }

  /** Equal for runs that did the same. */
  hash(): string {
    return `${this.medium.world.hash()}-${this.engine.decisions.hash()}`;
  }

  /** pcapng with comments, a ladder, JSON. */
  report(title = 'wire'): Report {
    return reportOf(this.engine, title, this.seed);
  }

  /** Addresses, for clients that want one. */
  get addresses(): { client: string; server: string } {
    return { client: CLIENT_ADDRESS, server: SERVER_ADDRESS };
  }

  // ── the end ──

  /** Lets go of what the test left by design: idle connections of agents and servers. */
  async quiesce(forMs: Millis = LINGER_MS): Promise<void> {
    for (const agent of this.agents) agent.destroy();
    await Promise.all(this.dispatchers.map((dispatcher) => dispatcher.destroy().catch(() => {})));
    for (const origin of this.origins) {
      origin.server.closeIdleConnections();
      origin.close();
    }
    await this.clock.advance(forMs);
  }

  /**
   * As if nothing had happened, but for the clock, which goes on: connections come to their end, then requests count from 1,
   * rules and boxes have done nothing yet, gates are open and hosts are up. Servers go on listening. `race` does it before
   * each order.
   *
   * @throws Error when sockets are left that nobody closes
   */
  async restart(): Promise<void> {
    this.mustBeOpen();
    this.engine.rest();
    for (const agent of this.agents) agent.destroy();
    for (const origin of this.origins) origin.restart();
    // What gives up late, such as data that is never acknowledged.
    for (const ms of [LINGER_MS, 3_600_000, 86_400_000]) {
      await this.clock.advance(ms);
      if (this.leftovers().length === 0) break;
    }
    const left = this.leftovers();
    if (left.length > 0) throw new Error(`sockets are left of the run before: ${left.join(', ')}`);
    this.deliveries.length = 0;
    this.engine.restart();
  }

  /** What is left on the hosts, in words; empty: nothing. */
  leftovers(): string[] {
    const words: string[] = [];
    for (const { name, stack } of Object.values(this.medium.hosts)) {
      for (const c of stack.tcp.connections) words.push(`${name}: port ${c.localPort} is ${c.state}`);
    }
    return words;
  }

  /** @throws Error that says so, where what a closed wire does would look like a fault */
  private mustBeOpen(): void {
    if (this.closed) throw new Error('the wire is closed: each test makes its own, and the tear-down closes all');
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Ends the world. Sockets that are open are forgotten. Safe to call twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    wires.delete(this);
    if (this.options.unused !== 'ignore' && closedUnused.length < CLOSED_KEPT) closedUnused.push(...this.unused());
    this.driver.stop();
    for (const agent of this.agents) agent.destroy();
    for (const dispatcher of this.dispatchers) void dispatcher.destroy().catch(() => {});
    for (const listener of this.listeners) listener.close();
    this.medium.world.close();
    freeParsers(
      this.origins.map(({ server }) => server),
      this.agents,
    );
  }
}

const sideOf = (host: 'client' | 'server'): Side => (host === 'client' ? 'left' : 'right');

function checkMs(ms: Millis): Millis {
  if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw new RangeError(`${ms} is no time in milliseconds`);
  return ms;
}

const OPTIONS: Readonly<Record<keyof WireOptions, true>> = {
  seed: true,
  profile: true,
  clientPorts: true,
  rtt: true,
  mode: true,
  mtu: true,
  timers: true,
  patience: true,
  http: true,
  faults: true,
  leaks: true,
  unused: true,
};

/** A wire in memory and virtual time: `const wire = createWire({ seed: 42 })`. */
export function createWire(options: WireOptions = {}): Wire {
  const strange = Object.keys(options).find((key) => !Object.hasOwn(OPTIONS, key));
  if (strange !== undefined)
    throw new RangeError(`a wire has no option '${strange}': ${Object.keys(OPTIONS).join(', ')}`);
  return new Wire(options);
}
