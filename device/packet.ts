import { parseMac } from './cidr';
import { explain } from './errors';
import { loadNative, type Port, WISH_OFFLOAD, WISH_PROMISCUOUS } from './native';
import { NativeDevice } from './native-device';
import { findLink } from './netlink';

/** What `openPacket` takes. */
export interface PacketOptions {
  /** The interface to share, "eth0": one that carries Ethernet frames. */
  interface: string;
  /** Checksums and segments of up to 64 KiB are left to the kernel, where it can. Default true. */
  offload?: boolean;
  /**
   * The stack's link address. Default: the interface's own, so that no switch is surprised. With an address of its own
   * the interface is made promiscuous, for else it would not listen to it.
   */
  mac?: string;
  /** Receive every frame on the wire. Default: only with `mac`. */
  promiscuous?: boolean;
}

/**
 * Opens an existing interface beside the kernel, which sees every frame too: give the stack an IP address that the kernel
 * does not have, or the kernel will answer with resets of its own.
 *
 * @throws DeviceError naming cause and cure; NativeUnavailable; TypeError for a bad option.
 */
export function openPacket(options: PacketOptions): NativeDevice {
  const { interface: name, offload = true, mac } = options;
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > 15) {
    throw new TypeError(`"${name}" is not the name of an interface`);
  }
  const ownMac = mac === undefined ? null : parseMac(mac);
  const promiscuous = options.promiscuous ?? ownMac !== null;
  const native = loadNative();
  let port: Port | null = null;
  try {
    port = native.openPacket(name, (offload ? WISH_OFFLOAD : 0) | (promiscuous ? WISH_PROMISCUOUS : 0));
    const link = findLink(name);
    // Loopback's is longer than an IP datagram can be.
    const mtu = Math.min(link?.mtu ?? 1500, 65_535);
    return new NativeDevice(port, native.infoOf(port), mtu, ownMac ?? link?.mac ?? null, () => {});
  } catch (error) {
    if (port !== null) native.close(port);
    throw explain(error, `Cannot open interface ${name}`, name, 'tun');
  }
}
