import { Socket as NodeSocket } from 'node:net';
import { net } from '../net';

/** To the program, Node's own sockets are sockets, too: secured ones, terminals, what HTTP/2 shows. */
export function defineInstances(): void {
  const ordinary = Function.prototype[Symbol.hasInstance];
  // What the import names will be ours before long.
  const Native = NodeSocket;
  Object.defineProperty(net.Socket, Symbol.hasInstance, {
    value(this: unknown, object: unknown): boolean {
      return ordinary.call(this, object) || (this === net.Socket && object instanceof Native);
    },
  });
}
