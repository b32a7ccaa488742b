import { Duplex, type DuplexOptions } from 'node:stream';
import type { TcpHandle } from './handle';
import type { KernelHandle } from './kernel-handle';

/** What a server tells the sockets that it accepts: one object for all of them, as long as its options are the same. */
export class StreamOptions implements DuplexOptions {
  // 'close' is the socket's own to emit: it waits for the handle.
  readonly emitClose = false;
  readonly autoDestroy = true;
  readonly decodeStrings = false;

  constructor(
    readonly allowHalfOpen: boolean,
    readonly readableHighWaterMark: number,
    readonly writableHighWaterMark: number,
  ) {}
}

/** What is added to `SocketMethods` by `defineLazyStream`. */
export interface LazyStream {
  /** Set while the stream is not made: what it is to be made with. */
  _streamOptions: StreamOptions | null;
  _readState: unknown;
  _writeState: unknown;
  /** Node's deprecated domains, if the program uses them. */
  domain?: unknown;
  readonly _handle: TcpHandle | KernelHandle | null;
}

/** What Node's constructor begins with, so that listeners added before it find the same object in the same shape. */
export const newEvents = (): object => ({
  close: undefined,
  error: undefined,
  prefinish: undefined,
  finish: undefined,
  drain: undefined,
  data: undefined,
  end: undefined,
  readable: undefined,
});

function makeStream(self: LazyStream): void {
  const options = self._streamOptions;
  self._streamOptions = null;
  const { domain } = self;
  Reflect.apply(Duplex as unknown as () => void, self, [options]);
  // Of when the socket was made, not of who looks at it first.
  if (domain !== undefined) self.domain = domain;
  // The handle reads already: the stream has to know that it asked for it.
  if (self._handle?.reading) Duplex.prototype.read.call(self as unknown as Duplex, 0);
}

/** What a stream that nobody has used says of itself. */
const UNUSED: Readonly<Record<string, unknown>> = {
  destroyed: false,
  readable: true,
  readableEncoding: null,
  readableEnded: false,
  readableFlowing: null,
  readableLength: 0,
  writable: true,
  writableCorked: 0,
  writableEnded: false,
  writableFinished: false,
  writableLength: 0,
  writableNeedDrain: false,
};

function descriptorOf(prototype: object, name: string): PropertyDescriptor {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  return own ?? descriptorOf(Object.getPrototypeOf(prototype) as object, name);
}

/** Those that make no stream just by being asked. */
function defineUnused(prototype: LazyStream, name: string, value: unknown): void {
  const { get, set, enumerable } = descriptorOf(Duplex.prototype, name);
  Object.defineProperty(prototype, name, {
    get(this: LazyStream) {
      return this._streamOptions ? value : Reflect.apply(get!, this, []);
    },
    set,
    enumerable: enumerable === true,
    configurable: true,
  });
}

/**
 * Half of what an accepted socket consists of is the state of its stream, and one that a parser reads in place never needs
 * it. So Node's constructor runs when somebody first looks at that state, and not before.
 */
export function defineLazyStream(prototype: LazyStream): void {
  const states = { _readableState: '_readState', _writableState: '_writeState' } as const;
  for (const [name, field] of Object.entries(states) as [string, '_readState' | '_writeState'][]) {
    Object.defineProperty(prototype, name, {
      get(this: LazyStream) {
        if (this._streamOptions) makeStream(this);
        return this[field];
      },
      set(this: LazyStream, state: unknown) {
        this[field] = state;
      },
      enumerable: false,
      configurable: true,
    });
  }
  for (const [name, value] of Object.entries(UNUSED)) defineUnused(prototype, name, value);
  const { get } = descriptorOf(Duplex.prototype, 'writableHighWaterMark');
  Object.defineProperty(prototype, 'writableHighWaterMark', {
    get(this: LazyStream) {
      return this._streamOptions ? this._streamOptions.writableHighWaterMark : Reflect.apply(get!, this, []);
    },
    enumerable: false,
    configurable: true,
  });
}
