import type { Played } from '../../../fault/scenarios';

/** How a client calls itself; http, ours and undici say nothing. */
const NAMES: Readonly<Record<string, RegExp>> = { fetch: /^(node|undici)$/, axios: /^axios\//, got: /^got / };
/** So many times at most does a client make of one request; got tries again by itself, twice. */
const TRIES: Readonly<Record<string, number>> = { got: 3 };

/** Why what was seen on the wire is not the work of this client; '' when it is. */
export function notPlayedBy(client: string, { asked, connections, requests, userAgents }: Played): string {
  const tries = TRIES[client] ?? 1;
  if (requests > asked * tries) return `${requests} requests on the wire, but the client was told to make ${asked}`;
  if (asked === 0 || connections === 0) return `${asked} requests, ${connections} connections`;
  const stranger = userAgents.find((name) => (NAMES[client] ?? /^$/).test(name) === false);
  return stranger === undefined ? '' : `User-Agent '${stranger}', which is not that of ${client}`;
}
