import nodeNet from 'node:net';
import { createNet, type Net, type Server, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';

/** What a scenario works with: a net module, Node's or ours, and a log that must come out the same for both. */
export interface Kit {
  net: Net;
  log(...words: unknown[]): void;
  /** Logs the events of a socket under a name. */
  watch(name: string, socket: Socket, events?: readonly string[]): Socket;
  /** A listening server; closed at the end of the scenario. */
  listen(onConnection?: (socket: Socket) => void, options?: object, listenOptions?: object): Promise<Server>;
  /** Where it listens. */
  port(server: Server): number;
}

export const EVENTS = [
  'lookup',
  'connect',
  'ready',
  'data',
  'end',
  'drain',
  'finish',
  'timeout',
  'error',
  'close',
] as const;

/** An error with every field, in the order in which the fields stand. */
export function fieldsOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error);
  const { name, message } = error as Error;
  const fields = Object.keys(error).map(
    (key) => `${key}=${String((error as unknown as Record<string, unknown>)[key])}`,
  );
  return [`${name}: ${message}`, ...fields].join(' ');
}

function shown(word: unknown): string {
  if (word instanceof Uint8Array) return word.length <= 40 ? Buffer.from(word).toString() : `${word.length} bytes`;
  return typeof word === 'object' && word !== null && 'message' in word ? fieldsOf(word) : String(word);
}

/** Runs a scenario over one net module and returns its log; ports are replaced by the order of their appearance. */
async function record(net: Net, scenario: (kit: Kit) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  const ports: string[] = [];
  let over = false;
  const log = (...words: unknown[]): void => {
    if (over) return;
    const line = words.map(shown).join(' ');
    lines.push(
      line.replace(/\b(?<![.\d])\d{4,5}\b(?! bytes)/g, (port) => {
        if (!ports.includes(port)) ports.push(port);
        return `PORT${ports.indexOf(port)}`;
      }),
    );
  };
  const kit: Kit = {
    net,
    log,
    watch(name, socket, events = EVENTS) {
      sockets.push(socket);
      for (const event of events) socket.on(event, (...args) => log(`${name}.${event}`, ...args));
      return socket;
    },
    async listen(onConnection, options = {}, listenOptions = {}) {
      const server = net.createServer(options, onConnection);
      servers.push(server);
      server.listen({ port: 0, ...listenOptions });
      await new Promise<void>((resolve) => server.on('listening', resolve));
      return server;
    },
    port: (server) => (server.address() as { port: number }).port,
  };
  try {
    await scenario(kit);
  } finally {
    over = true;
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    await turns(5);
  }
  return lines;
}

/** The log of a scenario over Node's own net and over a host of ours. */
export async function recordBoth(scenario: (kit: Kit) => Promise<void>): Promise<{ node: string[]; ours: string[] }> {
  const node = await record(nodeNet as unknown as Net, scenario);
  const host = createHost({ devices: [], poison: true });
  const ours = await record(createNet(host), scenario);
  for (let n = 0; n < 1000 && leaks(host).length > 0; n++) await turns(1);
  ours.push(...leaks(host));
  host.close();
  return { node, ours };
}

function leaks({ stack: { tcp, blocks } }: Host): string[] {
  return [
    tcp.connections.size > 0 ? `${tcp.connections.size} connections left` : '',
    tcp.store.inUse > 0 ? `${tcp.store.inUse} pieces of text left` : '',
    blocks.inUse > 0 ? `${blocks.inUse} send blocks left` : '',
  ].filter(Boolean);
}

export async function turns(n = 3): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for an event of a socket or server. */
export const once = (emitter: Socket | Server, event: string): Promise<void> =>
  new Promise((resolve) => emitter.once(event, () => resolve()));

/** Waits until both have emitted 'close'. */
export const closed = (...sockets: Array<Socket | Server>): Promise<void[]> =>
  Promise.all(sockets.map((socket) => once(socket, 'close')));

/**
 * At least so many milliseconds, for what only time brings about. They pass in several steps, with turns of the loop: a
 * machine that stands still for a while does not cut short what was under way.
 */
export async function pass(ms: number): Promise<void> {
  const steps = Math.min(ms, 20);
  for (let i = 0; i < steps; i++) {
    await turns(2);
    await new Promise((resolve) => setTimeout(resolve, ms / steps));
  }
}
