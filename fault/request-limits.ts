import type http from 'node:http';
import type { VirtualLoop } from '../sim/loop';
import type { Millis } from '../stack/base/bytes';

/** A connection that a server reads a message from: a parser of Node's, or a connection of our http. */
interface Reading {
  readonly socket: object | null;
  /** Node's: the message whose head was read. */
  readonly incoming?: object | null;
  /** Ours. */
  readonly headRead?: boolean;
  readonly messageStart?: number;
  readonly next?: Reading | null;
  expired?: unknown;
}

/** What servers keep under symbols, by their descriptions. */
interface Inside {
  readonly connections: { active(): Reading[]; expired?: unknown } | undefined;
  readonly check: (NodeJS.Timeout & { _onTimeout?(): void }) | undefined;
}

function insideOf(server: http.Server): Inside {
  const fields = server as unknown as Record<symbol, unknown>;
  const named = (name: string): unknown => {
    const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === name);
    return symbol === undefined ? undefined : fields[symbol];
  };
  return {
    connections: named('http.server.connections') as Inside['connections'],
    check: named('http.server.connectionsCheckingInterval') as Inside['check'],
  };
}

interface Message {
  readonly start: Millis;
  headRead: boolean;
  timer: unknown;
}

/**
 * Has a server measure `headersTimeout` and `requestTimeout` on the clock of a host's loop. What it does when they are over is
 * its own; only when its messages began is looked up here, after each turn of the host, because servers ask the real clock.
 *
 * @returns false when the server has no such checks, as far as is known: then its limits are of the real clock
 */
export function limitOn(loop: VirtualLoop, server: http.Server): boolean {
  const { connections, check } = insideOf(server);
  const checkNow = check?._onTimeout;
  const isOwn = '_firstConnection' in server;
  if (check === undefined || checkNow === undefined || (!isOwn && connections === undefined)) return false;
  clearInterval(check);
  const messages = new Map<Reading, Message>();
  const began = loop.now();
  const all = (): Reading[] => {
    if (!isOwn) return connections!.active();
    const made: Reading[] = [];
    const own = server as unknown as { _firstConnection?: Reading | null };
    for (let c = own._firstConnection ?? null; c !== null; c = c.next ?? null) if (c.messageStart !== 0) made.push(c);
    return made;
  };
  const expire = (reading: Reading): void => {
    messages.delete(reading);
    // The server's own check is told who is late, and does the rest.
    const place = isOwn ? all() : [connections!];
    for (const one of place) one.expired = isOwn ? () => one === reading : () => [reading];
    try {
      checkNow.call(check);
    } finally {
      for (const one of place) delete one.expired;
    }
  };
  /** At the first of the server's checks that is behind the limit. */
  const arm = (reading: Reading, message: Message): void => {
    if (message.timer !== null) loop.clear(message.timer);
    message.timer = null;
    const { headersTimeout, requestTimeout } = server;
    const limits = message.headRead ? [requestTimeout] : [headersTimeout, requestTimeout];
    const limit = Math.min(...limits.filter((ms) => ms > 0));
    if (limit === Number.POSITIVE_INFINITY) return;
    const every = (server as unknown as { connectionsCheckingInterval?: Millis }).connectionsCheckingInterval ?? 30_000;
    const checks = Math.floor((message.start + limit - began) / every) + 1;
    message.timer = loop.timer(began + checks * every, () => expire(reading));
  };
  const ran = loop.ran;
  loop.ran = () => {
    ran.call(loop);
    const active = new Set(all());
    for (const [reading, message] of messages) {
      if (active.has(reading)) continue;
      loop.clear(message.timer);
      messages.delete(reading);
    }
    for (const reading of active) {
      const headRead = isOwn ? reading.headRead === true : reading.incoming != null;
      const known = messages.get(reading);
      if (known?.headRead === headRead) continue;
      const message: Message = known ?? { start: loop.now(), headRead, timer: null };
      message.headRead = headRead;
      messages.set(reading, message);
      arm(reading, message);
    }
  };
  return true;
}
