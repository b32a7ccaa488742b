import type { Listener, ListenerOwner } from '../stack/tcp/listener';
import { rootContext } from './context';
import { type SocketName, TcpHandle } from './handle';
import { HandleResource } from './handle-resource';
import { addressOf, type Host } from './host';
import { handleClosed, handleOpened } from './live-handles';
import { ProcessHold } from './process-hold';

/** A listening port as its server sees it: the counterpart of Node's `server._handle`. */
export class ServerHandle extends ProcessHold implements ListenerOwner {
  /** Called with 0 and each connection, in the context that listened. */
  onconnection: ((error: number, handle: TcpHandle) => void) | null = null;
  private listener: Listener | null = null;
  private readonly resource = new HandleResource('TCPSERVERWRAP', this);
  readonly kind = 'TCPServerWrap';
  readonly requests = [];
  /** Its server. */
  owner: object | null = null;

  private constructor(
    readonly host: Host,
    /** The address as the program gave it. */
    private readonly address: string,
  ) {
    super();
  }

  protected get awaited(): boolean {
    return this.refed;
  }

  /** Listens. Returns why not: EADDRINUSE, EADDRNOTAVAIL. `::` takes IPv4 as well, unless `ipv6Only`. */
  static listen(host: Host, address: string, port: number, backlog: number, ipv6Only: boolean): ServerHandle | string {
    const local = addressOf(address);
    const handle = new ServerHandle(host, address);
    const family = local.family === 6 && !ipv6Only ? 0 : local.family;
    const listener = local.isUnspecified
      ? host.listen(null, family, port, backlog, handle)
      : host.listen(local, local.family, port, backlog, handle);
    if (typeof listener === 'string') return listener;
    handle.listener = listener;
    handle.hold();
    handleOpened(handle);
    return handle;
  }

  onAcceptable(listener: Listener): void {
    try {
      for (let first = true; !this.closed && listener.accepted.length > 0; first = false) {
        // As libuv, which accepts one each time that it asks. Over a wire it makes no difference to anybody.
        if (!first && this.host.isLoopback(listener.accepted[0]!)) break;
        const handle = rootContext.runInAsyncScope(this.newHandle, this);
        this.host.callIn(this.resource, this.acceptOne, this, listener, handle);
        if (listener.accepted.length > 0) this.host.loop.between();
      }
    } finally {
      // The others that wait are told in a later turn, also when a 'connection' listener threw.
      if (listener.accepted.length > 0 && !this.closed) this.host.stack.tcp.signalListener(listener);
    }
  }

  /** An accepted connection's own events belong to nobody's context, as those of Node's. */
  private newHandle(): TcpHandle {
    return new TcpHandle(this.host, this.address.includes(':'));
  }

  private acceptOne(listener: Listener, handle: TcpHandle): void {
    const connection = this.host.accept(listener, handle);
    if (connection === null) return;
    handle.accept(connection);
    this.onconnection?.(0, handle);
  }

  getsockname(out: Partial<SocketName>): number {
    if (this.listener === null) return -9;
    out.address = this.address;
    out.family = this.address.includes(':') ? 'IPv6' : 'IPv4';
    out.port = this.listener.port;
    return 0;
  }

  getAsyncId(): number {
    return this.resource.asyncId();
  }

  /** Connections that nobody accepted yet are reset. `done` one turn later. */
  close(done?: () => void): void {
    if (this.closed) return;
    this.closed = true;
    if (this.listener !== null) this.host.closeListener(this.listener);
    // Even without a callback: a loop that closes something turns once more.
    this.host.closing(() => {
      handleClosed(this);
      if (done !== undefined) this.host.callIn(this.resource, done, this);
      this.resource.emitDestroy();
    });
    this.hold();
  }
}
