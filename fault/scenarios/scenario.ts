import type http from 'node:http';
import type { Socket } from '../../net';
import type { Origin } from '../origin';
import type { Newer } from '../versions';
import type { ServeOptions, Wire, WireOptions } from '../wire';

/** What a client said of one request. */
export interface Outcome {
  /** "GET /a" */
  readonly request: string;
  /** Null: no response. */
  readonly status: number | null;
  readonly bytes: number;
  readonly body: string;
  /** "read ECONNRESET", with the code where the text does not tell it; null: none. */
  readonly error: string | null;
  /** What the client says of its socket; null when it says nothing. */
  readonly reused: boolean | null;
}

/** Connections of a client's own, and what their user tells it about them. Each client has a way of its own to say so. */
export interface Pool {
  /** So many connections at most. */
  readonly connections?: number;
  /** Milliseconds after which the client closes an idle connection. Default: what it does by itself. */
  readonly idle?: number;
  /** False: TCP does not probe idle connections (http.Agent: each second; undici and fetch: each minute). */
  readonly probes?: boolean;
  /** Addresses of the name that is asked for, all of which are tried. */
  readonly addresses?: readonly string[];
  /** Called with each socket, before it is connected. */
  readonly onSocket?: (socket: Socket) => void;
}

/** What a request under test is. */
export interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly body?: Uint8Array | string;
  /** Milliseconds of silence after which the client gives up. */
  readonly timeout?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A connection that nothing else shares. */
  readonly fresh?: boolean;
  /** Requests that say so share one connection, one after the other. */
  readonly queued?: boolean;
  /** Requests that name the same pool share its connections. Default: the client's own. */
  readonly pool?: Pool;
  /** Default 80, or 443. */
  readonly port?: number;
  /** https: whoever answers is believed. */
  readonly secure?: boolean;
}

/** The client under test, on a wire. */
export interface Client {
  readonly name: string;
  /** Has what it needs been loaded; awaited before the scenario begins. */
  readonly ready?: Promise<unknown>;
  ask(ask: Ask): Promise<Outcome>;
  /** How many requests its code was told to make. */
  readonly asked: number;
  close(): Promise<void> | void;
}

/**
 * The wire that a scenario has: without what makes connections or requests. Those are the client's, so that none is made by
 * anything but the client that was named.
 */
export type StageWire = Pick<
  Wire,
  'addresses' | 'clock' | 'do' | 'engine' | 'medium' | 'middlebox' | 'nat' | 'note' | 'on' | 'peer' | 'run' | 'trace'
>;

/** The number that the next request will have: a client may have tried the last one again. */
export const nextOf = ({ engine }: StageWire): number => engine.exchanges.count + 1;

/** Where a scenario plays. */
export interface Stage {
  readonly wire: StageWire;
  readonly client: Client;
  /** Starts the server. */
  serve(handler: http.RequestListener, options?: ServeOptions): Promise<Origin>;
  /** Asks with the client; what it says becomes a line of the result. */
  ask(ask?: Ask): Promise<Outcome>;
  /** Adds a line to the result: what a server or a socket said. */
  say(line: string): void;
  /** False when the scenario is played without its fault: for faults that are not on the wire but in a program. */
  readonly faulty: boolean;
}

/** Names of the clients that scenarios know. */
export type ClientName = 'http' | 'fetch' | 'tapwire' | 'undici' | 'axios' | 'got';

/** Lines that clients give, by client. */
export type Said = Readonly<Partial<Record<ClientName, readonly string[]>>>;

/** A failure of the real world: runnable, and described. */
export interface Scenario {
  /** For the command line: 'keepalive-fin-crosses-request'. */
  readonly id: string;
  /** Its number in the catalogue of failures. */
  readonly number: number;
  readonly title: string;
  /** Where it was seen: repository and issue. */
  readonly seen: readonly string[];
  /** What happens on the wire, and in which states. */
  readonly picture: string;
  /** What Node reports, and why. */
  readonly node: string;
  /** How a client, a pool or a server should deal with it. */
  readonly cope: string;
  readonly wire?: WireOptions;
  /** Lines that the clients give; `tapwire` as `http` unless it is there. Of others that are absent nothing is promised. */
  readonly expect: { readonly http: readonly string[] } & Partial<Record<ClientName, readonly string[]>>;
  /** What clients say instead with newer versions of Node than 20; `tapwire` as `http`, as above. */
  readonly newer?: Newer<Said>;
  play(stage: Stage): Promise<void>;
}

/** An outcome in one line: "GET /a: 200, 10 bytes", "GET /b: read ECONNRESET (reused)". */
export function outcomeText(outcome: Outcome): string {
  const words: string[] = [];
  if (outcome.status !== null) words.push(`${outcome.status}, ${outcome.bytes} bytes`);
  if (outcome.error !== null) words.push(outcome.error);
  if (words.length === 0) words.push('nothing');
  const reused = outcome.error !== null && outcome.reused !== null ? ` (${outcome.reused ? '' : 'not '}reused)` : '';
  return `${outcome.request}: ${words.join(', then ')}${reused}`;
}
