import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { FREE_SOCKETS_ARE_GUARDED } from '../net/running-node';
import type { ClientSocket } from './client-connection';
import type { ClientRequest } from './client-request';
import { Bare, type Constructor, inherit, methods } from './construct';
import { validateNumber, validateOneOf, validateString } from './validators';

/** What `new Agent` takes, beside options for the sockets it makes. Times in milliseconds. */
export interface AgentOptions {
  keepAlive?: boolean;
  keepAliveMsecs?: number;
  maxSockets?: number;
  maxTotalSockets?: number;
  maxFreeSockets?: number;
  scheduling?: 'fifo' | 'lifo';
  timeout?: number;
  [other: string]: unknown;
}

/** Options of one connection: those of a request under those of its agent. */
export interface ConnectionOptions {
  host?: string;
  port?: number | string;
  localAddress?: string;
  family?: number;
  socketPath?: string;
  servername?: string;
  path?: unknown;
  [other: string]: unknown;
}

export interface AgentSocket extends ClientSocket {
  setKeepAlive?(enable: boolean, delay: number): void;
  ref?(): void;
  unref?(): void;
  _handle?: {
    asyncReset?(resource?: object): void;
    getAsyncId?(): number;
    getProviderType?(): string;
    guard?(on: boolean): void;
  } | null;
}

type Created = (error: Error | null | undefined, socket?: AgentSocket) => void;

/** Connections by name, and requests that wait for one. */
export interface Agent extends EventEmitter {
  defaultPort: number;
  protocol: string;
  options: AgentOptions;
  /** Requests that wait, by name. */
  requests: Record<string, QueuedRequest[]>;
  /** Connections in use, by name. */
  sockets: Record<string, AgentSocket[]>;
  /** Idle connections, by name, the longest idle first. */
  freeSockets: Record<string, AgentSocket[]>;
  keepAliveMsecs: number;
  keepAlive: boolean;
  maxSockets: number;
  maxFreeSockets: number;
  maxTotalSockets: number;
  totalSocketCount: number;
  scheduling: string;
  _onKeylog?: (this: AgentSocket, line: unknown) => void;

  createConnection(options: object, callback?: Created): AgentSocket | undefined;
  getName(options?: ConnectionOptions): string;
  addRequest(request: ClientRequest, options: ConnectionOptions | string, port?: number, localAddress?: string): void;
  createSocket(request: ClientRequest, options: ConnectionOptions, callback: Created): void;
  removeSocket(socket: AgentSocket, options: ConnectionOptions): void;
  keepSocketAlive(socket: AgentSocket): boolean;
  reuseSocket(socket: AgentSocket, request: ClientRequest): void;
  destroy(): void;
}

/** A request in a queue, with what is needed once its turn comes. */
interface QueuedRequest extends ClientRequest {
  _queuedOptions?: ConnectionOptions;
  _queuedScope?: AsyncResource | null;
}

export type AgentConstructor = Constructor<Agent, [options?: AgentOptions | null]> & { defaultMaxSockets: number };

/** How much sooner than a server announced an idle connection is given up, so that no request meets its end. */
const HINT_SLACK_MS = 1000;

// ── sockets of an agent ──

function setRequestSocket(agent: Agent, request: ClientRequest, socket: AgentSocket): void {
  request.onSocket(socket);
  const usual = agent.options.timeout || 0;
  if (request.timeout !== undefined && request.timeout !== usual) socket.setTimeout!(request.timeout);
}

/** What asynchronous hooks see of a handle from its second request on. Node's name for it, and Node's fields. */
class ReusedHandle {
  constructor(
    readonly type: unknown,
    readonly handle: object,
  ) {}
}

/** The symbol under which Node keeps a socket's number for asynchronous hooks; null where no program can know it. */
export const asyncIds: { key: symbol | null } = { key: null };

function showAsyncId(socket: AgentSocket, id: number): void {
  if (asyncIds.key !== null) (socket as unknown as Record<symbol, number>)[asyncIds.key] = id;
}

/** From now on what happens on the socket belongs to another request. */
function resetAsyncId(socket: AgentSocket): void {
  const handle = socket._handle;
  if (handle && typeof handle.asyncReset === 'function') {
    handle.asyncReset(new ReusedHandle(handle.getProviderType?.() ?? 'TCPWRAP', handle));
    if (handle.getAsyncId !== undefined) showAsyncId(socket, handle.getAsyncId());
  }
}

function destroyFailed(this: AgentSocket): void {
  this.destroy();
  this.emit('agentRemove');
}

function watch(agent: Agent, socket: AgentSocket, options: ConnectionOptions): void {
  const onFree = (): void => void agent.emit('free', socket, options);
  const onClose = (): void => {
    agent.totalSocketCount--;
    agent.removeSocket(socket, options);
  };
  const onTimeout = (): void => {
    const free = agent.freeSockets;
    if (Object.keys(free).some((name) => free[name]!.includes(socket))) socket.destroy();
  };
  // An upgrade, say, takes the socket for ever.
  const onRemove = (): void => {
    onClose();
    socket.removeListener('close', onClose);
    socket.removeListener('free', onFree);
    socket.removeListener('timeout', onTimeout);
    socket.removeListener('agentRemove', onRemove);
  };
  socket.on('free', onFree);
  socket.on('close', onClose);
  socket.on('timeout', onTimeout);
  socket.on('agentRemove', onRemove);
  if (agent._onKeylog) socket.on('keylog', agent._onKeylog);
}

/** 'free': a connection has done its work. The next request gets it, or the pool, or it ends. */
function onFree(this: Agent, socket: AgentSocket, options: ConnectionOptions): void {
  const name = this.getName(options);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const queue = this.requests[name];
  if (queue && queue.length > 0) {
    serveQueued(this, queue, name, socket);
    return;
  }
  const request = socket._httpMessage;
  if (!request?.shouldKeepAlive || !this.keepAlive || !hasRoomFor(this, name) || !this.keepSocketAlive(socket)) {
    socket.destroy();
    return;
  }
  (this.freeSockets[name] ??= []).push(socket);
  // It belongs to nobody.
  showAsyncId(socket, -1);
  socket._httpMessage = null;
  this.removeSocket(socket, options);
  socket.once('error', destroyFailed);
  if (!FREE_SOCKETS_ARE_GUARDED) return;
  if (socket.readableLength) socket.destroy();
  else socket._handle?.guard?.(true);
}

function serveQueued(agent: Agent, queue: QueuedRequest[], name: string, socket: AgentSocket): void {
  const request = queue.shift()!;
  const scope = request._queuedScope;
  if (scope) {
    scope.runInAsyncScope(() => {
      resetAsyncId(socket);
      setRequestSocket(agent, request, socket);
    });
    request._queuedScope = null;
  } else {
    setRequestSocket(agent, request, socket);
  }
  if (queue.length === 0) delete agent.requests[name];
}

function hasRoomFor(agent: Agent, name: string): boolean {
  const free = agent.freeSockets[name]?.length ?? 0;
  const inUse = agent.sockets[name]?.length ?? 0;
  return (
    agent.totalSocketCount <= agent.maxTotalSockets && free + inUse <= agent.maxSockets && free < agent.maxFreeSockets
  );
}

/** Key lines of TLS are passed on from the moment that somebody listens. */
function onNewListener(this: Agent, event: string): void {
  if (event !== 'keylog') return;
  this.removeListener('newListener', onNewListener);
  const agent = this;
  this._onKeylog = function onKeylog(line) {
    agent.emit('keylog', line, this);
  };
  for (const list of Object.values(this.sockets)) for (const socket of list) socket.on('keylog', this._onKeylog);
}

/** The name that TLS asks for: the Host field's, but never an address. @throws TypeError ERR_INVALID_ARG_TYPE */
function serverNameFor(options: ConnectionOptions, request: ClientRequest, isIP: (text: string) => number): string {
  let name = options.host as string;
  const field = request.getHeader('host');
  if (field) {
    validateString(field, 'options.headers.host');
    const bracket = field.startsWith('[') ? field.indexOf(']') : -1;
    if (bracket > 0) name = field.slice(1, bracket);
    else name = field.startsWith('[') ? field : field.split(':', 1)[0]!;
  }
  return isIP(name) ? '' : name;
}

function removeFrom(lists: Record<string, AgentSocket[]>, name: string, socket: AgentSocket): void {
  const list = lists[name];
  const at = list === undefined ? -1 : list.indexOf(socket);
  if (at < 0) return;
  list!.splice(at, 1);
  if (list!.length === 0) delete lists[name];
}

/** The request that can use the place of a socket that has gone: of the same name, else of the first without sockets. */
function nextWaiting(agent: Agent, name: string): QueuedRequest | undefined {
  const queue = agent.requests[name];
  if (queue && queue.length > 0) return queue[0];
  for (const other of Object.keys(agent.requests)) {
    if (agent.sockets[other] && agent.sockets[other].length > 0) return undefined;
    return agent.requests[other]![0];
  }
  return undefined;
}

/** "timeout=5" of a Keep-Alive field, in milliseconds; undefined without one. */
function keepAliveHint(socket: AgentSocket): number | undefined {
  const field = socket._httpMessage?.res?.headers['keep-alive'] as string | undefined;
  const seconds = field === undefined ? null : /^timeout=(\d+)/.exec(field);
  return seconds === null ? undefined : Number(seconds[1]) * 1000;
}

/** Connections of the same name are interchangeable. */
function getName(options: ConnectionOptions = {}): string {
  const { host, port, localAddress, family, socketPath } = options;
  return nameFrom(host, port, localAddress, family, socketPath);
}

function nameFrom(host: unknown, port: unknown, localAddress: unknown, family: unknown, socketPath: unknown): string {
  let name = `${host || 'localhost'}:${port || ''}:${localAddress || ''}`;
  if (family === 4 || family === 6) name += `:${family}`;
  if (socketPath) name += `:${socketPath}`;
  return name;
}

/** What an agent's own options do not say. */
const under = (asked: ConnectionOptions, own: AgentOptions, key: string): unknown =>
  Object.hasOwn(own, key) ? own[key] : asked[key];

/** The name of `asked` under `own`, without putting the two together. */
function nameUnder(asked: ConnectionOptions, own: AgentOptions): string {
  return nameFrom(
    under(asked, own, 'host'),
    under(asked, own, 'port'),
    under(asked, own, 'localAddress'),
    under(asked, own, 'family'),
    under(asked, own, 'socketPath'),
  );
}

/** An idle connection of this name, the one that scheduling says. */
function takeFree(agent: Agent, name: string): AgentSocket | undefined {
  const free = agent.freeSockets[name];
  if (free === undefined) return undefined;
  while (free.length > 0 && free[0]!.destroyed) free.shift();
  const socket = agent.scheduling === 'fifo' ? free.shift() : free.pop();
  if (free.length === 0) delete agent.freeSockets[name];
  return socket;
}

const agentMethods = (isIP: (text: string) => number): Partial<Agent> & ThisType<Agent> => {
  const complete = (options: ConnectionOptions, own: AgentOptions, request: ClientRequest): ConnectionOptions => {
    const all = Object.assign(new Bare(), options, own) as ConnectionOptions;
    if (all.socketPath) all.path = all.socketPath;
    if (!all.servername && all.servername !== '') all.servername = serverNameFor(all, request, isIP);
    return all;
  };

  return {
    getName,

    addRequest(request: QueuedRequest, given: ConnectionOptions | string, port?: number, localAddress?: string) {
      const asked = typeof given === 'string' ? { host: given, port, localAddress } : given;
      // An agent with names of its own may look at anything; else a pooled connection is found without all the rest.
      const plain = this.getName === getName;
      const options = plain ? null : complete(asked, this.options, request);
      const name = plain ? nameUnder(asked, this.options) : this.getName(options!);
      this.sockets[name] ??= [];
      const socket = takeFree(this, name);
      if (socket !== undefined) {
        resetAsyncId(socket);
        this.reuseSocket(socket, request);
        setRequestSocket(this, request, socket);
        this.sockets[name].push(socket);
        return;
      }
      const count = (this.freeSockets[name]?.length ?? 0) + this.sockets[name].length;
      const all = options ?? complete(asked, this.options, request);
      if (count < this.maxSockets && this.totalSocketCount < this.maxTotalSockets) {
        this.createSocket(request, all, (error, created) => {
          if (error) request.onSocket(created, error);
          else setRequestSocket(this, request, created!);
        });
      } else {
        request._queuedOptions = all;
        request._queuedScope = new AsyncResource('QueuedRequest');
        (this.requests[name] ??= []).push(request);
      }
    },

    createSocket(request: ClientRequest, given: ConnectionOptions, callback: Created) {
      const options = complete(given, this.options, request);
      const name = this.getName(options);
      options['_agentKey'] = name;
      options['encoding'] = null;
      let created = false;
      const onCreate: Created = (error, socket) => {
        if (created) return;
        created = true;
        if (error) {
          callback(error);
          return;
        }
        (this.sockets[name] ??= []).push(socket!);
        this.totalSocketCount++;
        watch(this, socket!, options);
        callback(null, socket);
      };
      if (this.keepAlive) {
        options['keepAlive'] = this.keepAlive;
        options['keepAliveInitialDelay'] = this.keepAliveMsecs;
      }
      const socket = this.createConnection(options, onCreate);
      if (socket) onCreate(null, socket);
    },

    removeSocket(socket: AgentSocket, given: ConnectionOptions) {
      const name = this.getName(given);
      removeFrom(this.sockets, name, socket);
      if (!socket.writable) removeFrom(this.freeSockets, name, socket);
      const request = nextWaiting(this, name);
      if (request === undefined) return;
      const sameName = this.requests[name]?.[0] === request;
      const options = sameName ? given : request._queuedOptions;
      if (!options) return;
      request._queuedOptions = undefined;
      this.createSocket(request, options, (error, created) => {
        if (error) request.onSocket(created, error);
        else created!.emit('free');
      });
    },

    /** Makes a connection wait for another request. False: it is to end instead. */
    keepSocketAlive(socket: AgentSocket) {
      socket.setKeepAlive!(true, this.keepAliveMsecs);
      socket.unref!();
      let timeout = this.options.timeout || 0;
      const hint = keepAliveHint(socket);
      const lasts = hint === undefined ? Infinity : hint - HINT_SLACK_MS;
      if (lasts > 0 && lasts < timeout) timeout = lasts;
      if (socket.timeout !== timeout) socket.setTimeout!(timeout);
      return lasts > 0;
    },

    reuseSocket(socket: AgentSocket, request: ClientRequest) {
      if (FREE_SOCKETS_ARE_GUARDED) socket._handle?.guard?.(false);
      socket.removeListener('error', destroyFailed);
      request.reusedSocket = true;
      socket.ref!();
    },

    destroy() {
      for (const lists of [this.freeSockets, this.sockets]) {
        for (const name of Object.keys(lists)) {
          // Ended sockets leave the list while it is walked.
          const list = lists[name]!;
          for (let i = 0; i < list.length; i++) list[i]!.destroy();
        }
      }
    },
  };
};

/** What the constructors of agents have in common. @throws TypeError, RangeError for options that make no sense */
function initialize(agent: Agent, options: AgentOptions | null | undefined, Class: AgentConstructor): void {
  agent.defaultPort = 80;
  agent.protocol = 'http:';
  agent.options = { __proto__: null, ...options } as AgentOptions;
  if (agent.options['noDelay'] === undefined) agent.options['noDelay'] = true;
  // Sockets would take a path for that of a local socket.
  agent.options['path'] = null;
  agent.requests = Object.create(null);
  agent.sockets = Object.create(null);
  agent.freeSockets = Object.create(null);
  agent.keepAliveMsecs = agent.options.keepAliveMsecs || 1000;
  agent.keepAlive = agent.options.keepAlive || false;
  agent.maxSockets = agent.options.maxSockets || Class.defaultMaxSockets;
  agent.maxFreeSockets = agent.options.maxFreeSockets || 256;
  agent.scheduling = agent.options.scheduling || 'lifo';
  agent.maxTotalSockets = agent.options.maxTotalSockets as number;
  agent.totalSocketCount = 0;
  validateOneOf(agent.scheduling, 'scheduling', ['fifo', 'lifo']);
  if (agent.maxTotalSockets === undefined) agent.maxTotalSockets = Infinity;
  else validateNumber(agent.maxTotalSockets, 'maxTotalSockets', 1);
  agent.on('free', onFree);
  agent.on('newListener', onNewListener);
}

/** The net module's part of an agent. */
export interface AgentEnvironment {
  // biome-ignore lint/suspicious/noExplicitAny: Node types it in a dozen ways
  readonly createConnection: (...args: any[]) => any;
  readonly isIP: (text: string) => number;
}

/** The class `http.Agent` over a net module. */
export function agentClass(net: AgentEnvironment): AgentConstructor {
  const Agent = function (this: Agent, options?: AgentOptions | null): unknown {
    if (!(this instanceof Agent)) return new Agent(options);
    (EventEmitter as unknown as { call(self: object): void }).call(this);
    initialize(this, options, Agent);
    return undefined;
  } as unknown as AgentConstructor;
  inherit(Agent, EventEmitter);
  Agent.defaultMaxSockets = Infinity;
  methods(Agent.prototype, { createConnection: net.createConnection as Agent['createConnection'] });
  methods(Agent.prototype, agentMethods(net.isIP));
  return Agent;
}
