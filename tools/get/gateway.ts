import { lookup } from 'node:dns/promises';
import type * as http from 'node:http';
import type * as https from 'node:https';
import * as kernel from 'node:net';
import { modulesOf } from '../../electron/modules';
import type { ElectronModules } from '../../electron/session-types';
import { createHttp, type NetModule } from '../../http';
import { createHttps, tlsOf } from '../../http/https';
import { createNet } from '../../net';
import { Cidr, parseAddress } from '../../stack/base/address';
import { type Forward, type NetModule as Forwarding, startForward } from '../forward';
import type { Wire } from '../wire';

/** Where further destinations stand on the wire: the first host of a block that is for tests between networks (RFC 2544). */
const FURTHER = (n: number): string => `198.18.${n >> 8}.${n & 255}`;

/**
 * The way from a stack whose other end is in this process into the world: the peer listens at an address of its own for
 * every host that is asked for, and carries what comes through the kernel.
 */
export class Gateway {
  private readonly addresses = new Map<string, string>();
  private readonly forwards = new Map<string, Promise<Forward>>();
  /** Why the kernel could not connect to where a connection was to go; null while it could. */
  failure: Error | null = null;

  constructor(private readonly wire: Wire) {}

  /** The peer's address for a host. */
  exitOf(host: string): string {
    const known = this.addresses.get(host);
    if (known !== undefined) return known;
    const iface = this.wire.peer!.stack.interfaces[0]!;
    let exit = String(iface.addresses[0]!.address);
    if (this.addresses.size > 0) {
      exit = FURTHER(this.addresses.size);
      iface.addAddress(new Cidr(parseAddress(exit)!, 32));
    }
    this.addresses.set(host, exit);
    return exit;
  }

  /** Makes `host:port` reachable, and tells at which address. @throws what resolving the name failed with */
  async open(host: string, port: number): Promise<string> {
    const { address } = await lookup(host, { order: 'ipv4first' });
    const exit = this.exitOf(host);
    const key = `${exit}:${port}`;
    let forward = this.forwards.get(key);
    if (forward === undefined) {
      const over = createNet(this.wire.peer!) as unknown as Forwarding;
      forward = startForward({ host: exit, port, over }, { host: address, port, over: kernel }, (error) => {
        this.failure = error;
      });
      this.forwards.set(key, forward);
    }
    await forward;
    return exit;
  }

  async close(): Promise<void> {
    for (const forward of await Promise.all(this.forwards.values())) {
      forward.stop();
      forward.cut();
    }
  }

  /** Node's modules on the stack, whose connections find their way through this. */
  modules(): ElectronModules {
    const usual = modulesOf(this.wire.host);
    const net = createNet(this.wire.host);
    const connect = (...given: unknown[]): unknown => {
      const [options, listener] = net._normalizeArgs(given) as [{ host?: string; port: number }, unknown];
      const { host = 'localhost', port } = options;
      // A name that only says that this is to be asked: addresses are not looked up.
      const through = { ...options, host: 'gateway.invalid', lookup: this.lookup(host, port) };
      return net.connect(through as Parameters<typeof net.connect>[0] & object, listener as () => void);
    };
    const gated = { ...net, connect, createConnection: connect } as unknown as NetModule;
    return {
      ...usual,
      net: gated as unknown as ElectronModules['net'],
      http: createHttp(gated) as unknown as typeof http,
      https: createHttps(gated) as unknown as typeof https,
      tls: tlsOf(gated) as unknown as ElectronModules['tls'],
    };
  }

  private lookup(host: string, port: number) {
    type Done = (error: Error | null, found?: unknown, family?: number) => void;
    return (_name: string, options: { all?: boolean }, done: Done): void => {
      this.open(host, Number(port)).then(
        (address) => (options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4)),
        (error: Error) => done(error),
      );
    };
  }
}
