import { Socket as NodeSocket } from 'node:net';
import { tlsLooks } from '../http/tls';
import { net } from '../net';

/**
 * To the program, Node's own sockets are sockets, too: secured ones, terminals, what HTTP/2 shows. Node's TLS also asks, and
 * looks for a kernel's handle in every `net.Socket`: to it, those of ours are what any Duplex is.
 */
export function defineInstances(): void {
  const ordinary = Function.prototype[Symbol.hasInstance];
  // What the import names will be ours before long.
  const Native = NodeSocket;
  Object.defineProperty(net.Socket, Symbol.hasInstance, {
    value(this: unknown, object: unknown): boolean {
      if (tlsLooks.now) return false;
      return ordinary.call(this, object) || (this === net.Socket && object instanceof Native);
    },
  });
}
