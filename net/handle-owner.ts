import type { Address } from '../stack/base/address';

/** An address as `socket.address()` and `server.address()` show it. */
export interface SocketName {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

/** What a handle tells its socket. Every call runs in the handle's asynchronous context. */
export interface HandleOwner {
  /** Whom it stands for, where tools list what is open. */
  readonly standsFor?: object;
  /** The connection is open, or could not be opened for the reason given. */
  handleConnected(handle: object, code: string | null): void;
  /** Text arrived. False: no more until `readStart`. */
  handleText(chunk: Buffer): boolean;
  /** `bytes` bytes were put into `handle.userBuffer`. False: no more until `readStart`. */
  handleFilled(bytes: number): boolean;
  handleEnd(): void;
  /** The connection broke; `code` says how, `syscall` whether reading or writing. */
  handleFailed(code: string, syscall?: string): void;
  /** The connection is to end at once: the host was closed, or something came while the socket waited in a pool. */
  handleAbandoned(): void;
  /** Something moved: the idle time begins anew. */
  handleActive(): void;
}

/** The text form that an application sees: an IPv4 peer of a dual-stack socket is ::ffff:a.b.c.d. */
export const nameOf = (address: Address, port: number, mapped: boolean): SocketName =>
  address.family === 4 && !mapped
    ? { address: address.toString(), family: 'IPv4', port }
    : { address: address.family === 4 ? `::ffff:${address}` : address.toString(), family: 'IPv6', port };
