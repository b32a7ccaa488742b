import type { EventEmitter } from 'node:events';
import type { SocketName } from './handle-owner';

/** A server that begins to listen on a port, and what it was asked for. */
export interface PortAsked {
  /** Null: all addresses. */
  readonly address: string | null;
  readonly port: number;
  readonly addressType: number;
}

export interface ListeningServer extends EventEmitter {
  address(): SocketName | string | null;
  close(callback: () => void): unknown;
  readonly listening: boolean;
}

/**
 * Who is told of servers that would share their port with others, where there were any: those that are not `exclusive`. Null:
 * nobody. In a worker of a cluster a drop-in is, which tells the primary.
 */
export const sharedPort: { asked: ((server: ListeningServer, asked: PortAsked) => void) | null } = { asked: null };
