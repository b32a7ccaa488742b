import type http from 'node:http';

/** A parser of Node's http, as far as it matters here. */
interface Parser {
  readonly socket?: Parsed | null;
  remove(): void;
  close(): void;
}
interface Parsed {
  parser?: Parser | null;
}

/**
 * Gives back the parsers of connections that nobody will close any more: those of a world that has ended. Node holds a parser,
 * and with it the server, its handler and all that these were loaded with, until its connection closes; a test runner's
 * process would grow by every test.
 */
export function freeParsers(servers: readonly http.Server[], agents: readonly http.Agent[]): void {
  const parsed: Parsed[] = [];
  for (const server of servers) for (const { socket } of connectionsOf(server)) if (socket != null) parsed.push(socket);
  for (const { sockets, freeSockets } of agents)
    for (const list of [...Object.values(sockets ?? {}), ...Object.values(freeSockets ?? {})])
      parsed.push(...((list ?? []) as Parsed[]));
  for (const socket of parsed) free(socket);
}

/** Parsers that a server of Node's knows of; none of ours, which is no handle of Node's. */
function connectionsOf(server: http.Server): readonly Parser[] {
  const symbol = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  );
  const list = symbol && (server as unknown as Record<symbol, { all?(): readonly Parser[] } | undefined>)[symbol];
  return typeof list?.all === 'function' ? list.all() : [];
}

function free(socket: Parsed): void {
  const { parser } = socket;
  if (parser?.constructor.name !== 'HTTPParser') return;
  // A socket that has it could put it among those that are used again.
  socket.parser = null;
  parser.remove();
  parser.close();
}
