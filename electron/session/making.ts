import { EventEmitter } from 'node:events';
import type * as NodeHttp from 'node:http';
import type { Duplex } from 'node:stream';
import { Attempt, type Dialed } from './attempt';
import { routeError } from './route-error';

/** What an agent is asked for a connection with. */
export interface ConnectOptions extends Record<string, unknown> {
  host: string;
  port: number | string;
  servername?: string;
}

/** Node's types say less than its agents do. */
export type Connecting = Omit<NodeHttp.Agent, 'createConnection' | 'getName'> & {
  createConnection(options: ConnectOptions, callback: Dialed): Duplex | undefined;
  createSocket(request: object, options: ConnectOptions, callback: Dialed): void;
  getName(options?: object): string;
  _getSession?(key: string): unknown;
  _cacheSession?(key: string, session: unknown): void;
  _evictSession?(key: string): void;
};

type Unserved = object & { onSocket(socket: undefined, error: Error): void };

/** A connection in the making takes a place among an agent's sockets, so that no more are made than a host may have. */
class Place extends EventEmitter {
  /** An agent ends its sockets so; attempts are ended by those who know them. */
  destroy(): void {}
}

interface Made {
  readonly attempt: Attempt;
  readonly name: string;
}

/**
 * The connections that an agent is making, and whom each is for: an agent does not count them, and cannot be told that
 * nobody wants one any more.
 */
export class Making {
  private readonly made = new WeakMap<object, Made[]>();
  /** Of requests that were cancelled while others waited. */
  private readonly leftToOthers = new Set<Made>();
  /** For whom the agent asks just now. */
  private asker: object | null = null;

  constructor(
    private readonly agent: Connecting,
    private readonly pending: Set<Attempt>,
  ) {
    const { createSocket } = agent;
    agent.createSocket = (request, options, callback) => {
      const waits = this.queueOf(request) !== undefined;
      this.asker = request;
      try {
        createSocket.call(agent, request, options, (error, socket) => {
          if (error === null) return callback(null, socket);
          // Who waited may have got another connection, or an answer, meanwhile.
          if (!waits || this.leaveQueue(request)) callback(error);
          process.nextTick(() => this.serveNext(options));
        });
      } finally {
        this.asker = null;
      }
    };
  }

  /** Has a connection made by `dial`; what that throws is the attempt's end. */
  begin(options: ConnectOptions, callback: Dialed, dial: (attempt: Attempt) => void): void {
    const name = this.agent.getName(options);
    const place = this.takePlace(name);
    const attempt = new Attempt(this.pending, (error, socket) => {
      this.givePlace(name, place);
      this.leftToOthers.delete(made);
      callback(error, socket);
    });
    const made: Made = { attempt, name };
    // For the first in the queue an agent makes as many as have ended.
    if (this.asker !== null) this.made.set(this.asker, [...this.under(this.asker), made]);
    attempt.run(() => dial(attempt));
  }

  /** The request, which has no connection yet, will not need one. What is made for it ends, unless others wait for that. */
  cancel(request: NodeHttp.ClientRequest): void {
    const queue = this.queueOf(request);
    const waited = this.leaveQueue(request);
    const under = this.under(request);
    const name = queue ?? under[0]?.name ?? '';
    if (this.agent.requests[name] !== undefined) {
      for (const made of under) this.leftToOthers.add(made);
    } else {
      const orphans = [...this.leftToOthers].filter((made) => made.name === name);
      for (const { attempt } of [...under, ...orphans]) attempt.cancel();
    }
    if (waited) (request as unknown as Unserved).onSocket(undefined, routeError('ERR_ABORTED', 'aborted'));
  }

  private under(request: object): Made[] {
    return (this.made.get(request) ?? []).filter(({ attempt }) => attempt.isPending);
  }

  // ── places ──

  private get sockets(): Record<string, object[] | undefined> {
    return this.agent.sockets as unknown as Record<string, object[] | undefined>;
  }

  private takePlace(name: string): Place {
    const place = new Place();
    const { sockets } = this;
    const list = sockets[name] ?? [];
    sockets[name] = list;
    list.push(place);
    return place;
  }

  private givePlace(name: string, place: Place): void {
    const list = this.sockets[name] ?? [];
    const at = list.indexOf(place);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) delete this.sockets[name];
  }

  /** Who waits behind a connection that failed would wait for ever: an agent looks after those only that have ended. */
  private serveNext(options: ConnectOptions): void {
    const { agent } = this;
    const name = agent.getName(options);
    const taken = (this.sockets[name]?.length ?? 0) + (agent.freeSockets[name]?.length ?? 0);
    const queue = (agent.requests[name] ?? []) as unknown as Unserved[];
    const next = queue.find((request) => this.under(request).length === 0);
    if (next === undefined || taken >= agent.maxSockets) return;
    agent.createSocket(next, options, (error, socket) => {
      if (error !== null) next.onSocket(undefined, error);
      else socket!.emit('free');
    });
  }

  // ── the queue ──

  /** The name of the queue that a request is in. */
  private queueOf(request: object): string | undefined {
    const lists = Object.entries(this.agent.requests as Record<string, object[] | undefined>);
    return lists.find(([, list]) => list!.includes(request))?.[0];
  }

  private leaveQueue(request: object): boolean {
    const name = this.queueOf(request);
    if (name === undefined) return false;
    const lists = this.agent.requests as Record<string, object[] | undefined>;
    const list = lists[name]!;
    list.splice(list.indexOf(request), 1);
    if (list.length === 0) delete lists[name];
    return true;
  }
}
