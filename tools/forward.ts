import type net from 'node:net';
import { UsageError } from './exit';
import { type HostPort, hostPortText } from './wire-options';

/** What is used of a Node-shaped net module: the kernel's or a stack's. */
export type NetModule = Pick<typeof net, 'connect' | 'createServer'>;

/** One end of a forward: a module's address. */
export interface ForwardEnd extends HostPort {
  over: NetModule;
}

/** Connections to one place, each carried on to another. */
export interface Forward {
  /** Where it listens, with the port that was chosen. */
  readonly at: HostPort;
  /** Connections that are carried now. */
  readonly count: number;
  /** No new connections; those that are there may end by themselves. */
  stop(): void;
  /** Cuts what is left. */
  cut(): void;
}

/**
 * Listens at `from` and carries every connection to `to`, both directions, half-closed states and resets included: from
 * the kernel into a stack, or out of a stack into the kernel.
 *
 * @param failed hears why `to` could not be reached: all that the near side sees of it is a reset.
 * @throws UsageError when the address is taken or not ours.
 */
export function startForward(from: ForwardEnd, to: ForwardEnd, failed?: (error: Error) => void): Promise<Forward> {
  const carried = new Set<net.Socket>();
  const server = from.over.createServer({ allowHalfOpen: true }, (near) => {
    const far = to.over.connect({ host: to.host, port: to.port, allowHalfOpen: true });
    carry(near, far);
    if (failed !== undefined) {
      far.once('error', failed);
      far.once('connect', () => far.off('error', failed));
    }
    carried.add(near);
    near.on('close', () => carried.delete(near));
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, from)));
    server.listen(from.port, from.host, () => {
      const { port } = server.address() as net.AddressInfo;
      resolve({
        at: { host: from.host, port },
        get count() {
          return carried.size;
        },
        stop: () => void server.close(),
        cut: () => {
          for (const near of carried) abandon(near);
        },
      });
    });
  });
}

/** Each side's end and failure become the other's. */
function carry(near: net.Socket, far: net.Socket): void {
  near.setNoDelay(true);
  far.setNoDelay(true);
  // What comes before the far side is connected waits where it came in.
  far.once('connect', () => {
    near.pipe(far);
    far.pipe(near);
  });
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => abandon(other));
    one.on('close', () => {
      if (!one.readableEnded || !one.writableFinished) abandon(other);
    });
  }
}

/**
 * The peer learns by a reset that the connection was not ended but lost. Not while our own end is on its way: Node 20 then
 * loses track of the handle, and the process cannot exit.
 */
function abandon(socket: net.Socket): void {
  if (socket.destroyed) return;
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

function explain(error: NodeJS.ErrnoException, at: HostPort): Error {
  const where = hostPortText(at);
  if (error.code === 'EADDRINUSE') {
    const next = hostPortText({ host: at.host, port: at.port < 65_535 ? at.port + 1 : 8077 });
    return new UsageError(`${where} is taken by another program. Stop it, or choose another port: --forward ${next}`);
  }
  if (error.code === 'EACCES')
    return new UsageError(`${where}: ports below 1024 need root. Choose a higher one: --forward ${at.host}:8077`);
  if (error.code === 'EADDRNOTAVAIL')
    return new UsageError(`${where} is not an address of this machine: try --forward 127.0.0.1:${at.port}`);
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN')
    return new UsageError(`${at.host} is no name that resolves: try --forward 127.0.0.1:${at.port}`);
  return error;
}
