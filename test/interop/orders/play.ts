import type { EventEmitter } from 'node:events';
import type nodeHttp from 'node:http';
import type nodeNet from 'node:net';
import { fieldsOf } from '../../unit/net/both';

/** What one side of a wire programs with, and the address that it listens at. */
export interface Side {
  readonly net: typeof nodeNet;
  readonly http: typeof nodeHttp;
  readonly address: string;
}

/** What was told: by everything of the subject's in one order, and by each of its peer's. */
export interface Told {
  readonly subject: readonly string[];
  readonly peer: Readonly<Record<string, readonly string[]>>;
}

export const SOCKET = ['connect', 'ready', 'data', 'end', 'drain', 'finish', 'timeout', 'error', 'close'];
export const REQUEST = [
  'socket',
  'finish',
  'response',
  'continue',
  'information',
  'abort',
  'timeout',
  'error',
  'close',
];
export const MESSAGE = ['data', 'end', 'aborted', 'error', 'close'];
export const ANSWER = ['finish', 'error', 'close'];

/**
 * One run of a scenario: a subject, which is Node's own modules over the kernel or ours over a device, and its peer, which is the
 * kernel either way.
 */
export class Play {
  private readonly lines: string[] = [];
  private readonly peers: Record<string, string[]> = {};
  private readonly servers: nodeNet.Server[] = [];
  private readonly sockets: { destroy(): unknown }[] = [];
  private over = false;

  constructor(
    readonly subject: Side,
    readonly peer: Side,
  ) {}

  /** How much came in one piece is up to the wire, so pieces one behind the other count as one. */
  log(who: string, what: string): void {
    if (this.over) return;
    let lines = this.lines;
    let line = `${who} ${what}`;
    if (who.startsWith('peer')) {
      this.peers[who] ??= [];
      lines = this.peers[who];
      line = what;
    }
    if (what === 'data' && lines.at(-1) === line) return;
    lines.push(line);
  }

  /** Logs what `emitter` tells under a name; those of the peer's begin with "peer". */
  watch<E extends EventEmitter>(who: string, emitter: E, events: readonly string[]): E {
    for (const event of events) {
      emitter.on(event, (...args: unknown[]) => {
        const told = args.filter((arg) => typeof arg !== 'object' || arg instanceof Error).map(this.shown, this);
        this.log(who, [event, ...(event === 'data' ? [] : told)].join(' '));
      });
    }
    if ('destroy' in emitter) this.sockets.push(emitter as unknown as { destroy(): unknown });
    return emitter;
  }

  private shown(arg: unknown): string {
    return fieldsOf(arg)
      .split(this.subject.address)
      .join('ADDRESS')
      .split(this.peer.address)
      .join('ADDRESS')
      .replace(/\b\d{4,5}\b/g, 'PORT');
  }

  /** Returns where `server` listens now. */
  async listen(server: nodeNet.Server, { address }: Side): Promise<{ host: string; port: number }> {
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return { host: address, port: (server.address() as nodeNet.AddressInfo).port };
  }

  /** The end of the run: nothing more is logged, and all that is open is closed. */
  async finish(): Promise<Told> {
    this.over = true;
    for (const socket of this.sockets) {
      (socket as unknown as EventEmitter).on('error', () => {});
      socket.destroy();
    }
    const closed = this.servers
      .filter((server) => server.listening)
      .map((server) => new Promise<unknown>((resolve) => server.close(resolve)));
    for (const server of this.servers) (server as Partial<nodeHttp.Server>).closeAllConnections?.();
    await Promise.all(closed);
    return { subject: this.lines, peer: this.peers };
  }
}

/** Resolves when each of `emitters` has told `event`. */
export const told = (event: string, ...emitters: readonly EventEmitter[]): Promise<unknown> =>
  Promise.all(emitters.map((emitter) => new Promise<void>((resolve) => emitter.once(event, () => resolve()))));

export const closed = (...emitters: readonly EventEmitter[]): Promise<unknown> => told('close', ...emitters);
