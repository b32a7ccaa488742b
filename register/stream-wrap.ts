import { Socket as NodeSocket } from 'node:net';
import { isOurs } from '../http/tls';

/**
 * Node's HTTP/2 takes a socket of ours for a stream, and puts something of its own between: a socket in name only, which
 * knows nothing of the connection. These make it say what the socket below it says.
 */

interface Below {
  connecting: boolean;
  once(event: string, listener: () => void): unknown;
  [method: string]: unknown;
}

interface Wrap extends NodeSocket {
  stream?: Below;
  [key: string]: unknown;
}

const PASSED_ON = ['ref', 'unref', 'setNoDelay', 'setKeepAlive', '_getpeername', '_getsockname'] as const;

const nodes = NodeSocket.prototype as unknown as Record<string, (this: Wrap, ...args: unknown[]) => unknown>;
const read = nodes['read']!;

/** Its class's prototype, which Node does not show: it alone has a method of this name. */
function wrapPrototype(socket: Wrap): object | null {
  const prototype = Object.getPrototypeOf(socket) as object;
  return Object.hasOwn(prototype, 'doShutdown') && isOurs(socket.stream) ? prototype : null;
}

/** Users wait for the connection on what they see. */
function awaitConnection(wrap: Wrap, below: Below): void {
  below.once('connect', () => {
    wrap.read(0);
    wrap.emit('connect');
    wrap.emit('ready');
  });
}

function complete(prototype: object): void {
  const connecting = Symbol('connecting');
  Object.defineProperty(prototype, 'connecting', {
    get(this: Wrap & { [connecting]?: boolean }) {
      return isOurs(this.stream) ? (this.stream as unknown as Below).connecting : this[connecting];
    },
    set(this: { [connecting]?: boolean }, value: boolean) {
      this[connecting] = value;
    },
    configurable: true,
  });
  for (const name of PASSED_ON) {
    const own = nodes[name]!;
    const value = function (this: Wrap, ...args: unknown[]): unknown {
      if (!isOurs(this.stream)) return own.apply(this, args);
      const told = (this.stream as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
      return name.startsWith('_get') ? told : this;
    };
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}

/** To be called before Node's modules are replaced. Its constructor's last step, to read, is where it can be met. */
export function completeStreamWraps(): void {
  const seen = new WeakSet<object>();
  let completed = false;
  nodes['read'] = function (this: Wrap, ...args: unknown[]): unknown {
    const prototype = this.stream === undefined ? null : wrapPrototype(this);
    if (prototype !== null && !seen.has(this)) {
      seen.add(this);
      if (!completed) {
        completed = true;
        complete(prototype);
      }
      // The first was made before its class was complete.
      if (Object.hasOwn(this, 'connecting')) delete (this as { connecting?: boolean }).connecting;
      const below = this.stream!;
      if (below.connecting) awaitConnection(this, below);
    }
    return read.apply(this, args);
  };
}
