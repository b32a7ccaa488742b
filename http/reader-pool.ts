import { type HttpHandler, HttpReader } from './connection';
import type { Role } from './head';
import { LENIENT_ALL } from './parse-errors';

/** Idle readers kept for each kind of connection: `setMaxIdleHTTPParsers`. */
let idleMax = 1000;

export const idleReadersMax = (): number => idleMax;

export function setIdleReadersMax(max: number): void {
  idleMax = max;
}

const NOBODY: HttpHandler = {
  onBegin() {},
  onHead: () => 0,
  onBody() {},
  onTrailers() {},
  onComplete() {},
};

/**
 * Readers for connections of one kind. A connection needs one only while a message is coming in, so a few serve
 * thousands of idle connections.
 */
export class ReaderPool {
  private readonly idle: HttpReader[] = [];

  constructor(
    readonly role: Role,
    readonly maxHeaderSize: number,
    readonly lenient: number,
  ) {}

  take(handler: HttpHandler): HttpReader {
    const reader = this.idle.pop();
    if (reader === undefined) {
      const { role, maxHeaderSize, lenient } = this;
      return new HttpReader({ role, maxHeaderSize, lenient }, handler);
    }
    reader.handler = handler;
    return reader;
  }

  /** Takes a reader back that is between messages. */
  give(reader: HttpReader): void {
    reader.handler = NOBODY;
    if (this.idle.length < idleMax) this.idle.push(reader);
  }

  /** Takes a reader back in whatever state. */
  discard(reader: HttpReader): void {
    reader.reset(NOBODY);
    if (this.idle.length < idleMax) this.idle.push(reader);
  }
}

const pools = new Map<string, ReaderPool>();
/** The pool asked for last, one a role: nearly always the one asked for next. */
let requests: ReaderPool | null = null;
let responses: ReaderPool | null = null;

/** @param maxHeaderSize bytes; 0 refuses every head */
export function readerPool(role: Role, maxHeaderSize: number, insecure: boolean): ReaderPool {
  const lenient = insecure ? LENIENT_ALL : 0;
  const last = role === 'request' ? requests : responses;
  if (last !== null && last.maxHeaderSize === maxHeaderSize && last.lenient === lenient) return last;
  const key = `${role} ${maxHeaderSize} ${insecure}`;
  let pool = pools.get(key);
  if (pool === undefined) {
    pool = new ReaderPool(role, maxHeaderSize, lenient);
    pools.set(key, pool);
  }
  if (role === 'request') requests = pool;
  else responses = pool;
  return pool;
}
