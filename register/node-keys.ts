import { AsyncResource } from 'node:async_hooks';
import nodeHttp from 'node:http';
import nodeNet from 'node:net';
import { asyncIds } from '../http/agent';
import { OutgoingMessage } from '../http/outgoing';
import { headerName, OutgoingHeaders } from '../http/outgoing-headers';
import { classKeys } from '../http/server';
import { rootContext } from '../net/context';
import { Socket } from '../net/socket';

/**
 * Symbols under which Node keeps things to itself, and under which programs that look for them find them: each is taken
 * from an object of Node's own and leads to what of ours corresponds to it.
 */

/** The symbol that `object` or its prototype has under this description, in the running version of Node. */
function keyIn(object: object, description: string): symbol | undefined {
  const keys = [
    ...Object.getOwnPropertySymbols(object),
    ...Object.getOwnPropertySymbols(Object.getPrototypeOf(object)),
  ];
  return keys.find((key) => key.description === description);
}

function define<T extends object>(
  target: T,
  key: symbol | undefined,
  get: (self: T) => unknown,
  set?: Setter<T>,
): void {
  if (key === undefined) return;
  Object.defineProperty(target, key, {
    get(this: T) {
      return get(this);
    },
    set(this: T, value: unknown) {
      if (set !== undefined) set(this, value);
      else Object.defineProperty(this, key, { value, writable: true, configurable: true });
    },
    configurable: true,
  });
}

type Setter<T> = (self: T, value: unknown) => void;

/** Node's form of the headers: by lower-case name, each with its spelling. */
type NodeHeaders = Record<string, [name: string, value: unknown]>;

function nodeHeaders({ _outHeaders: set }: OutgoingMessage): NodeHeaders | null {
  if (set === null) return null;
  const headers: NodeHeaders = Object.create(null);
  for (const [i, name] of set.names.entries()) headers[name.lower] = [name.text, set.values[i]];
  return headers;
}

function takeHeaders(self: OutgoingMessage, headers: unknown): void {
  if (headers == null) {
    self._outHeaders = null;
    return;
  }
  const set = new OutgoingHeaders();
  for (const [name, value] of Object.values(headers as NodeHeaders)) set.set(headerName(name), value);
  self._outHeaders = set;
}

/** What Node's classes do with the timer of a socket below them. One that was cleared stays, as in Node. */
function timerOf({ _idle: idle, timeout }: Socket): object | null {
  if (idle !== null) return { _idleTimeout: timeout, refresh: () => idle.activity() };
  return timeout ? { _idleTimeout: -1, refresh: () => {} } : null;
}

/** What tells the number of a handle of ours: its own, unless an agent shows another. */
interface Numbered {
  asyncIdShown?: number | undefined;
  getAsyncId?(): number;
}

function asyncIdOf({ _handle }: Socket): number {
  const handle = _handle as Numbered | null;
  return handle?.asyncIdShown ?? handle?.getAsyncId?.() ?? -1;
}

function showAsyncId({ _handle }: Socket, id: unknown): void {
  if (_handle !== null) (_handle as Numbered).asyncIdShown = id as number;
}

/** To be called before Node's modules are replaced. */
export function defineNodeKeys(): void {
  const message = new nodeHttp.OutgoingMessage();
  const outgoing = OutgoingMessage.prototype;
  define(outgoing, keyIn(message, 'kOutHeaders'), nodeHeaders, takeHeaders);
  define(outgoing, keyIn(message, 'kHighWaterMark'), (self) => self.writableHighWaterMark);
  const { kIncomingMessage } = require('node:_http_common') as { kIncomingMessage?: symbol };
  const { kServerResponse } = require('node:_http_server') as { kServerResponse?: symbol };
  if (kIncomingMessage !== undefined) classKeys.message = kIncomingMessage;
  if (kServerResponse !== undefined) classKeys.response = kServerResponse;
  const socket = new nodeNet.Socket();
  const sockets = Socket.prototype;
  define(sockets, keyIn(socket, 'timeout'), timerOf);
  const asyncId = keyIn(rootContext, 'async_id_symbol') ?? keyIn(new AsyncResource('X'), 'async_id_symbol');
  define(sockets, asyncId, asyncIdOf, showAsyncId);
  asyncIds.key = asyncId ?? null;
  // Secured sockets call Node's own, whatever `net` has become.
  const again = keyIn(socket, 'kReinitializeHandle');
  const method = again && (nodeNet.Socket.prototype as unknown as Record<symbol, unknown>)[again];
  if (again !== undefined) Object.defineProperty(sockets, again, { value: method, writable: true, configurable: true });
}
