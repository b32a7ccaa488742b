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

/** The connections that an agent is making, and whom each is for: an agent cannot be told that nobody wants one any more. */
export class Making {
  private readonly attempts = new WeakMap<object, { under: Attempt[]; name: string }>();
  /** Cancelled, with others waiting for what is made for them. */
  private readonly leftToOthers = new WeakSet<object>();
  /** For whom the agent asks just now. */
  private asker: object | null = null;

  constructor(
    private readonly agent: Connecting,
    private readonly pending: Set<Attempt>,
  ) {
    const { createSocket } = agent;
    agent.createSocket = (request, options, callback) => {
      this.asker = request;
      try {
        createSocket.call(agent, request, options, (error, socket) => {
          const waited = error !== null && this.leaveQueue(request);
          callback(error, socket);
          const left = this.leftToOthers.delete(request);
          if (waited || (error !== null && left)) this.serveNext(options);
        });
      } finally {
        this.asker = null;
      }
    };
  }

  /** Has a connection made by `dial`; what that throws is the attempt's end. */
  begin(options: ConnectOptions, callback: Dialed, dial: (attempt: Attempt) => void): void {
    const attempt = new Attempt(this.pending, callback);
    // For the first in the queue an agent makes as many as have ended.
    if (this.asker !== null) {
      const under = this.attemptsFor(this.asker);
      this.attempts.set(this.asker, { under: [...under, attempt], name: this.agent.getName(options) });
    }
    attempt.run(() => dial(attempt));
  }

  /** The request, which has no connection yet, will not need one. What is made for it ends, unless others wait for that. */
  cancel(request: NodeHttp.ClientRequest): void {
    const waited = this.leaveQueue(request);
    const under = this.attemptsFor(request);
    const name = this.attempts.get(request)?.name ?? '';
    const othersWait = (this.agent.requests[name]?.length ?? 0) > 0;
    if (under.length > 0 && !othersWait) {
      for (const attempt of under) attempt.cancel();
      return;
    }
    if (under.length > 0) this.leftToOthers.add(request);
    if (waited) (request as unknown as Unserved).onSocket(undefined, routeError('ERR_ABORTED', 'aborted'));
  }

  private attemptsFor(request: object): Attempt[] {
    return (this.attempts.get(request)?.under ?? []).filter((attempt) => attempt.isPending);
  }

  /** What waits behind a request that got no connection would wait for ever: an agent tries for the first in the queue only. */
  private serveNext(options: ConnectOptions): void {
    const { agent } = this;
    const next = agent.requests[agent.getName(options)]?.[0] as unknown as Unserved | undefined;
    if (next === undefined) return;
    agent.createSocket(next, options, (error, socket) => {
      if (error !== null) next.onSocket(undefined, error);
      else socket!.emit('free');
    });
  }

  private leaveQueue(request: object): boolean {
    const lists = this.agent.requests as Record<string, object[] | undefined>;
    for (const [name, list] of Object.entries(lists)) {
      const at = list!.indexOf(request);
      if (at < 0) continue;
      list!.splice(at, 1);
      if (list!.length === 0) delete lists[name];
      return true;
    }
    return false;
  }
}
