import type nodeHttp from 'node:http';
import type nodeNet from 'node:net';
import { MODULES, type Modules, quietTurns } from './exchange';

/** What one side of a scenario saw. */
export interface Recording {
  /** Events in order, as the scenario names them. */
  events: string[];
  /** Bytes that the server sent, as latin1 text without the date. */
  wire: string;
  /** Whether the server closed the connection by itself. */
  closed: boolean;
}

export interface WireScenario {
  options?: nodeHttp.ServerOptions;
  setUp?(server: nodeHttp.Server, log: (event: string) => void, http: typeof nodeHttp): void;
  handler?(req: nodeHttp.IncomingMessage, res: nodeHttp.ServerResponse, log: (event: string) => void): void;
  /** Bytes to send, each as soon as the server was silent for a moment. */
  send: readonly (string | Buffer)[];
}

/** The server said something: it may say more. */
const SILENCE_MS = 40;
/** It has not answered yet. */
const ANSWER_MS = 120;

/** Runs a scenario against an HTTP server, with a plain socket as its client. */
export function record({ http, net }: Modules, scenario: WireScenario): Promise<Recording> {
  const { promise, resolve } = deferred<Recording>();
  const events: string[] = [];
  const log = (event: string): void => void events.push(event);
  const server = http.createServer(scenario.options ?? {}, (req, res) => scenario.handler?.(req, res, log));
  scenario.setUp?.(server, log, http);
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect((server.address() as nodeNet.AddressInfo).port, '127.0.0.1');
    let wire = '';
    let closed = false;
    let step = 0;
    let timer: NodeJS.Timeout;
    const wait = (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () =>
          quietTurns(
            () => wire.length,
            next,
            () => wait(ms),
          ),
        ms,
      );
    };
    const next = (): void => {
      if (!closed && step < scenario.send.length) {
        client.write(scenario.send[step++]!);
        wait(ANSWER_MS);
        return;
      }
      client.destroy();
      server.closeAllConnections();
      server.close(() => resolve({ events, wire: masked(wire), closed }));
    };
    client.on('connect', next);
    client.on('data', (data) => {
      wire += data.toString('latin1');
      wait(SILENCE_MS);
    });
    client.on('end', () => {
      closed = true;
    });
    client.on('error', () => {
      closed = true;
    });
  });
  return promise;
}

const masked = (wire: string): string => wire.replace(/Date: [^\r]*/g, 'Date: X');

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Runs a scenario on all modules and expects what Node does. */
export async function expectSame(scenario: WireScenario): Promise<Recording> {
  const names = Object.keys(MODULES) as (keyof typeof MODULES)[];
  const all = await Promise.all(names.map((name) => record(MODULES[name], scenario)));
  for (const [i, name] of names.entries()) expect({ [name]: all[i] }).toEqual({ [name]: all[0] });
  return all[0]!;
}
