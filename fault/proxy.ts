import net from 'node:net';
import { memoryPair } from '../device/memory';
import { createNet, type Net } from '../net';
import { createHost, type Host } from '../net/host';
import type { FaultEngine } from './engine';
import { type Middlebox, openMiddlebox } from './ports';
import type { Rule } from './rule';
import { applyToxic, checkToxic, labelOf, type Toxic } from './toxics';

/** A port of the kernel that leads, over a wire of ours, to another. */
export interface ProxyOptions {
  readonly name: string;
  /** "127.0.0.1:8474"; port 0 lets the kernel choose. */
  readonly listen: string;
  /** "127.0.0.1:5432" */
  readonly upstream: string;
  readonly enabled?: boolean;
  readonly seed?: number;
  /** They are there before the first connection can be. */
  readonly rules?: readonly Rule[];
}

interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** @throws RangeError when the text is no host:port. */
function hostPort(text: string): HostPort {
  const match = /^(.*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new RangeError(`'${text}' is not HOST:PORT`);
  return { host: match[1]!.replace(/^\[|\]$/g, '') || '127.0.0.1', port };
}

const INSIDE_PORT = 9;
const [NEAR, FAR] = ['10.255.255.1', '10.255.255.2'];

/**
 * A TCP proxy without root: the kernel's connection ends here, goes over two stacks of ours with the rules between them, and
 * on to the upstream. What happens on that wire happens to both programs: a reset is a reset, silence is silence.
 */
export class FaultProxy {
  readonly name: string;
  readonly upstream: string;
  listen: string;
  enabled = false;
  readonly toxics: Toxic[] = [];
  /** What is to be done when a toxic is taken away. */
  private readonly endings = new Map<string, () => void>();
  private readonly box: Middlebox;
  private readonly near: Host;
  private readonly far: Host;
  private readonly nearNet: Net;
  private readonly server: net.Server;
  private readonly sockets = new Set<{ destroy(): unknown }>();
  private closed = false;

  constructor(options: ProxyOptions) {
    this.name = options.name;
    this.listen = options.listen;
    this.upstream = options.upstream;
    hostPort(options.listen);
    const to = hostPort(options.upstream);
    const [a, left] = memoryPair();
    const [right, b] = memoryPair();
    this.box = openMiddlebox(left, right, { seed: options.seed });
    for (const rule of options.rules ?? []) this.box.engine.add(rule);
    this.near = createHost({ devices: [{ device: a, addresses: [`${NEAR}/30`] }], seed: options.seed ?? 1 });
    this.far = createHost({ devices: [{ device: b, addresses: [`${FAR}/30`] }], seed: (options.seed ?? 1) + 1 });
    this.nearNet = createNet(this.near);
    const farServer = createNet(this.far).createServer({ allowHalfOpen: true } as never, (socket) => {
      this.carry(socket as unknown as net.Socket, net.connect({ host: to.host, port: to.port, allowHalfOpen: true }));
    });
    farServer.listen({ port: INSIDE_PORT, host: FAR });
    farServer.unref();
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const inside = this.nearNet.connect({ host: FAR, port: INSIDE_PORT, allowHalfOpen: true } as never);
      this.carry(socket, inside as unknown as net.Socket);
    });
  }

  get engine(): FaultEngine {
    return this.box.engine;
  }

  /** Starts to listen: rules that exist by then miss no connection. */
  async enable(): Promise<void> {
    if (this.enabled) return;
    const { host, port } = hostPort(this.listen);
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    const bound = this.server.address() as net.AddressInfo;
    this.listen = `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
    this.enabled = true;
  }

  /** Stops to listen and cuts what is carried. */
  async disable(): Promise<void> {
    if (!this.enabled) return;
    this.enabled = false;
    const stopped = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await stopped;
  }

  private cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private carry(one: net.Socket, other: net.Socket): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      this.sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => reset(to));
      from.on('close', (hadError) => {
        this.sockets.delete(from);
        if (!hadError && !from.readableEnded) to.destroy();
      });
    }
    const join = (): void => {
      one.pipe(other);
      other.pipe(one);
    };
    if (other.connecting) other.once('connect', join);
    else join();
  }

  /** Adds a toxic; connections that exist are affected, too. @throws RangeError when it makes no sense */
  add(toxic: Toxic): Toxic {
    const made = checkToxic(toxic, this.toxics);
    this.toxics.push(made);
    this.endings.set(made.name, applyToxic(this.engine, made));
    return made;
  }

  /** Takes a toxic away. False: there was none of this name. */
  remove(name: string): boolean {
    const at = this.toxics.findIndex((toxic) => toxic.name === name);
    if (at < 0) return false;
    this.toxics.splice(at, 1);
    for (const rule of [...this.engine.rules]) if (rule.label === labelOf(name)) this.engine.remove(rule);
    this.endings.get(name)?.();
    this.endings.delete(name);
    return true;
  }

  toJSON(): object {
    const { name, listen, upstream, enabled, toxics } = this;
    return { name, listen, upstream, enabled, toxics };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.disable();
    this.cut();
    this.near.close();
    this.far.close();
    this.box.close();
  }
}

/** The peer learns by a reset that the connection was lost. */
function reset(socket: net.Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}
