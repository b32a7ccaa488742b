/** What a row of the truth table is written against: a host under test, and raw peers. Ours in memory, or the kernel. */
import type dgram from 'node:dgram';
import type http from 'node:http';
import type net from 'node:net';
import type { WireOptions } from '../../../../fault';
import { type Reply, type ReplyError, type RequestOptions, requestWith } from '../../../../fault/client';
import { type Newer, saidWith } from '../../../../fault/versions';
import { LINUX, type TcpProfile } from '../../../../stack/tcp/profile';
import type { RawPeer } from './raw-peer';

export const PEER = '10.0.0.2';
export const HOST = '10.0.0.1';
/** The settings of the kernel's runs, where waits are shortened. */
export const SHORT_WAITS: TcpProfile = { ...LINUX, synRetries: 1, retries2: 3 };

export interface TruthWorld {
  /** The other end of connections to this port of PEER. */
  peer(port: number): RawPeer;
  /** A raw client, from a port of PEER. */
  client(port: number): RawPeer;
  connect(options: net.NetConnectOpts): net.Socket;
  createServer(options: net.ServerOpts, listener: (socket: net.Socket) => void): net.Server;
  agent(options?: http.AgentOptions): http.Agent;
  /** Serves on a port of HOST. */
  serve(server: http.Server, port: number): Promise<void>;
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** Node's http over the kernel; ours over ours, whose timers have the time of the wire. */
  createHttpServer(options: http.ServerOptions, listener: http.RequestListener): http.Server;
  /** A datagram socket. Every port of PEER is closed, and says so. */
  createUdp(): dgram.Socket;
  /** Runs `calls` while the host has a single port of its own to give, or no descriptor for another socket. */
  scarce(what: 'ports' | 'descriptors', calls: () => void): void;
  /** Has `dial` opened connections that the program has not accepted when what follows is called. */
  unaccepted(dial: () => Promise<void>): Promise<void>;
  /** Calls as a user who may not have the ports of the privileged. */
  asNobody(calls: () => void): void;
  /** A program that connects to this port of PEER, writes, and is gone: its process has ended. */
  exiting(port: number, text: string): Promise<void>;
  /** For names when no server of names answers; undefined where that is so anyway. */
  readonly lookup: net.LookupFunction | undefined;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** What `send` sends reaches the host, and its program has no turn before what follows is called. */
  unseen(send: () => void): Promise<void>;
  /** Lets time pass until the promise is settled. */
  wait<T>(promise: PromiseLike<T>): Promise<T>;
}

/** A row: what happens on the wire, and what the program is told. */
export interface Row {
  /** As the catalogue has it. */
  readonly name: string;
  /** With Node 20. */
  readonly said: readonly string[];
  /** With newer versions of Node that say something else. */
  readonly newer?: Newer<readonly string[]>;
  /** Where the kernel and Node on it say something else, and why. */
  readonly kernel?: { readonly said: readonly string[]; readonly why: string };
  /** What the kernel says as well, when the program was so busy that a timer of the kernel's came first. */
  readonly busy?: readonly string[];
  /** Of our wire. */
  readonly wire?: WireOptions;
  /** Of the kernel, in /proc/sys/net/ipv4, while the row runs: as ours has it. */
  readonly settings?: Readonly<Record<string, number>>;
  run(world: TruthWorld, port: number): Promise<readonly string[]>;
}

/** What the Node that runs this says in a row. */
export const saidHere = ({ said, newer }: Row): readonly string[] => saidWith(said, newer);

/** A row of which newer versions of Node say something else. */
export const differing = (row: Row, newer: Newer<readonly string[]>): Row => ({ ...row, newer });

/** "read ECONNRESET -104 read", with address and port where the error has them. */
export function errorWords(error: unknown): string {
  const e = error as NodeJS.ErrnoException & { address?: string; port?: number; errors?: Error[] };
  const words = [e.message === '' ? "''" : e.message.replace(/:\d{4,5}\b/g, ':PORT')];
  if (e.code !== undefined && !e.message.includes(e.code)) words.push(e.code);
  for (const value of [e.errno, e.syscall, e.address]) if (value !== undefined) words.push(String(value));
  if (e.port !== undefined) words.push('PORT');
  if (e.errors !== undefined) words.push(`of ${e.errors.map(({ message }) => errorWords({ message })).join(', ')}`);
  return words.join(' ');
}

/** A socket's events as words, in order. */
export function listen(socket: net.Socket, events: string[] = [], without: readonly string[] = []): string[] {
  for (const event of ['connect', 'data', 'end', 'timeout', 'error', 'close']) {
    if (without.includes(event)) continue;
    socket.on(event, (detail: unknown) => {
      const shown = event === 'close' ? `(${String(detail)})` : event === 'error' ? `(${errorWords(detail)})` : '';
      events.push(`${event}${shown}`);
    });
  }
  return events;
}

export const closed = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => void socket.on('close', () => resolve()));

/** A socket on its way, with its events. */
export function opened(world: TruthWorld, port: number, more: object = {}): { socket: net.Socket; events: string[] } {
  const socket = world.connect({ host: PEER, port, ...more });
  return { socket, events: listen(socket) };
}

/** All that the peer sent has come, and the program had its turns: what follows has a wake-up of its own. */
export async function settled(world: TruthWorld, peer: RawPeer): Promise<void> {
  await world.wait(peer.taken());
  await world.sleep(60);
}

/** A socket that is connected. */
export async function established(
  world: TruthWorld,
  port: number,
  more: object = {},
): Promise<{ socket: net.Socket; events: string[]; peer: RawPeer }> {
  const peer = world.peer(port);
  const { socket, events } = opened(world, port, more);
  const connected = new Promise<void>((resolve) => void socket.once('connect', () => resolve()));
  await world.wait(Promise.all([peer.accept(), connected]));
  await world.sleep(60);
  return { socket, events, peer };
}

/** A request, and all that it told in the end. What is told before the request is out is left away: its order is the loop's. */
export async function asked(
  world: Pick<TruthWorld, 'agent' | 'wait' | 'sleep'>,
  port: number,
  options: Omit<RequestOptions, 'agent'> & { agent?: http.Agent } = {},
): Promise<string[]> {
  const { agent = world.agent({ keepAlive: true }), ...rest } = options;
  const told = await world.wait(
    requestWith({ host: PEER, port, agent }, { ...rest, until: 'close' }, () => {}).then(
      (reply: Reply) => ({ events: reply.events, last: `success ${reply.body} complete ${reply.complete}` }),
      (error: ReplyError) => ({
        events: error.events ?? [],
        last: `${errorWords(error)} reused ${error.reusedSocket}`,
      }),
    ),
  );
  // The socket may tell its end after the request.
  await world.sleep(30);
  const before = ['req.socket', 'sock.connect', 'req.finish'];
  return [...told.events.filter((event) => !before.includes(event)), told.last];
}

/** What a fetch gave. */
export async function fetched(
  world: Pick<TruthWorld, 'fetch' | 'wait'>,
  port: number,
  init: RequestInit = {},
): Promise<string[]> {
  try {
    const made = await world.wait(world.fetch(`http://${PEER}:${port}/`, init));
    const said = [`status ${made.status}`];
    try {
      return [...said, `body ${await world.wait(made.text())}`];
    } catch (error) {
      return [...said, causes(error)];
    }
  } catch (error) {
    return [causes(error)];
  }
}

const causes = (error: unknown): string => {
  const { message, cause } = error as Error & { cause?: unknown };
  return cause === undefined ? message : `${message}: ${errorWords(cause)}`;
};

export const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n';
export const UNTIL_CLOSE = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n';
