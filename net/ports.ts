import type { Device } from '../device/device';
import { type Address, Cidr } from '../stack/base/address';
import type { Stack } from '../stack/stack';
import { addressOf, cidrOf, LOOPBACK_ADDRESSES, type RouteOption } from './host-options';
import { LoopbackDevice } from './loopback';
import { Port } from './port';

/** The links of one host: a port for each device, and one to itself, attached when it is first needed. */
export class Ports {
  readonly all: Port[] = [];
  /** The link to itself; null: nobody has needed it yet. */
  loopback: Port | null = null;
  /** They keep the process alive. */
  private held = false;

  /** @param mayLoop whether the host's own addresses are reached inside of it. */
  constructor(
    private readonly stack: Stack,
    private readonly mayLoop: boolean,
    private readonly onReadable: (port: Port) => void,
  ) {}

  attach(device: Device, addresses: readonly string[]): Port {
    const iface = this.stack.addInterface({
      name: device.name,
      link: device.linkType,
      mtu: device.mtu,
      mac: device.mac,
      addresses: addresses.map(cidrOf),
      checksumOffload: device.offloads.checksum,
      tso4: device.offloads.tso4,
      tso6: device.offloads.tso6,
    });
    const port = new Port(device, iface, this.stack.slabs.current);
    this.all.push(port);
    if (this.held) device.ref();
    else device.unref();
    device.onReadable(() => this.onReadable(port));
    return port;
  }

  /** Whether `address` is this host's own; if so the way to it is the loopback link. */
  reachesItself(address: Address): boolean {
    if (!this.mayLoop || !(address.isLoopback || this.stack.isLocal(address))) return false;
    if (this.loopback === null) this.loopback = this.attachLoopback();
    const { iface } = this.loopback;
    // Any 127.x.y.z is ours; one that is used becomes an address of the link, so that it is a source as well.
    if (address.isLoopback && !iface.owns(address) && this.stack.isLocal(address))
      iface.addresses.push(new Cidr(address, 32));
    return true;
  }

  private attachLoopback(): Port {
    const others = this.stack.interfaces.flatMap((iface) => iface.addresses);
    const port = this.attach(new LoopbackDevice(), LOOPBACK_ADDRESSES);
    for (const { address } of others) {
      this.stack.addRoute(new Cidr(address, address.family === 4 ? 32 : 128), null, port.iface);
    }
    return port;
  }

  /** @throws RangeError when no device reaches the gateway. */
  addRoute(route: RouteOption): void {
    const gateway = route.gateway === undefined ? null : addressOf(route.gateway);
    const port = this.all.find(({ device, iface }) =>
      route.device !== undefined
        ? device.name === route.device
        : gateway !== null && iface.addresses.some((cidr) => cidr.contains(gateway)),
    );
    if (port === undefined)
      throw new RangeError(`route ${route.destination}: no device reaches ${route.gateway ?? route.device ?? 'it'}`);
    this.stack.addRoute(cidrOf(route.destination), gateway, port.iface);
  }

  /**
   * The families for which an address is configured, that of loopback aside; both when there is none at all. What
   * AI_ADDRCONFIG goes by (RFC 3493 §6.1, as glibc reads it).
   */
  get families(): readonly (4 | 6)[] {
    const found = new Set<4 | 6>();
    for (const iface of this.stack.interfaces) {
      for (const { address } of iface.addresses) if (!address.isLoopback) found.add(address.family);
    }
    return found.size === 0 ? [4, 6] : [...found];
  }

  /** From now on what may arrive keeps the process alive. */
  ref(): void {
    this.held = true;
    for (const port of this.all) port.device.ref();
  }

  unref(): void {
    this.held = false;
    for (const port of this.all) port.device.unref();
  }

  close(): void {
    for (const port of this.all) port.device.close();
  }
}
