import tls from 'node:tls';
import { nodeLoop } from '../net/loop';

/**
 * Between any two callbacks that a socket of the kernel causes, Node runs what the first left behind: ticks and promise
 * jobs. HTTP/2 counts on it: it tells of a response in a tick, and of the text behind it at once. TLS over a stream of the
 * program's, as ours are to it, decrypts a piece of text in one go, and calls HTTP/2 back several times: 'data' would come
 * before 'response'.
 *
 * Whatever HTTP/2 is called back for begins with asking the native object whose it is. Here that question first runs what
 * is left.
 */

type Native = object & {
  readBuffer?: (chunk: Uint8Array) => unknown;
  request?: (...args: unknown[]) => unknown;
};

type Keyed = Record<symbol, unknown>;

/** Where the owner of a native object is kept from now on. */
const OWNER = Symbol('owner');

let feeding = false;
/** Nothing was called back for this piece of text yet. */
let first = false;

/** The symbol under which Node keeps a native object's owner. */
let ownerKey: symbol | undefined;
let handleKey: symbol | undefined;
const asked = new WeakSet<object>();

function runTicks(): void {
  try {
    nodeLoop.between();
  } catch (error) {
    nodeLoop.failed!(error);
  }
}

/** `handle` is Node's stream that stands for a socket of ours: what it is given goes to TLS. */
export function tellCallbackByCallback(handle: Native): void {
  const own = handle.readBuffer;
  if (own === undefined) return;
  handle.readBuffer = function (this: Native, chunk: Uint8Array): unknown {
    const outer = feeding;
    feeding = first = true;
    try {
      return own.call(this, chunk);
    } finally {
      feeding = outer;
    }
  };
}

/** Objects of this class are asked for their owner by callbacks of Node's. */
function runTicksBeforeCallbacks(handle: Native): void {
  const prototype = Object.getPrototypeOf(handle) as object;
  if (!asked.has(prototype)) {
    asked.add(prototype);
    Object.defineProperty(prototype, ownerKey!, {
      get(this: Keyed) {
        if (feeding) {
          if (first) first = false;
          else runTicks();
        }
        return this[OWNER];
      },
      set(this: Keyed, owner: unknown) {
        this[OWNER] = owner;
      },
      configurable: true,
    });
  }
  // One that had its owner before.
  const own = Object.getOwnPropertyDescriptor(handle, ownerKey!);
  if (own === undefined) return;
  delete (handle as Keyed)[ownerKey!];
  (handle as Keyed)[OWNER] = own.value;
}

const keyOf = (object: object, matches: (symbol: symbol) => boolean): symbol | undefined =>
  Object.getOwnPropertySymbols(object).find(matches);

/** The first native session shows its class, and that of streams as soon as it has one. */
function adopt(session: Keyed, handle: Native): void {
  ownerKey = keyOf(handle, (symbol) => (handle as Keyed)[symbol] === session);
  if (ownerKey === undefined) return;
  runTicksBeforeCallbacks(handle);
  const prototype = Object.getPrototypeOf(handle) as Native;
  const own = prototype.request;
  if (own === undefined) return;
  prototype.request = function (this: Native, ...args: unknown[]): unknown {
    const stream = own.apply(this, args);
    if (typeof stream === 'object' && stream !== null) {
      prototype.request = own;
      runTicksBeforeCallbacks(stream as Native);
    }
    return stream;
  };
}

/** The session that was put over a socket. Node 20 forgot the symbol it keeps it under: there it is a property 'undefined'. */
function sessionOver(socket: object): Keyed | undefined {
  for (const key of ['undefined', ...Object.getOwnPropertySymbols(socket)]) {
    const value = (socket as Record<string | symbol, unknown>)[key];
    if (typeof value === 'object' && value !== null && /Http2Session$/.test(value.constructor?.name))
      return value as Keyed;
  }
  return undefined;
}

/** HTTP/2 has just been put over `socket`; its session has no native object yet. */
function watchHttp2(socket: object): void {
  if (handleKey !== undefined) return;
  const session = sessionOver(socket);
  const key = session === undefined ? undefined : keyOf(session, (symbol) => symbol.description === 'kHandle');
  if (key === undefined) return;
  handleKey = key;
  Object.defineProperty(session, key, {
    get: () => undefined,
    set(this: Keyed, handle: Native | undefined) {
      Object.defineProperty(this, key, { value: handle, writable: true, enumerable: true, configurable: true });
      if (handle !== undefined) adopt(this, handle);
      else handleKey = undefined;
    },
    enumerable: true,
    configurable: true,
  });
}

/** To be called before Node's modules are replaced. */
export function watchHttp2OverTls(): void {
  const prototype = tls.TLSSocket.prototype as { disableRenegotiation(): unknown };
  const own = prototype.disableRenegotiation;
  prototype.disableRenegotiation = function (): unknown {
    watchHttp2(this);
    return own.call(this);
  };
}
