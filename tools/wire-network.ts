import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Device } from '../device/device';
import { DeviceError } from '../device/errors';
import { openTun } from '../device/tun';
import { Address, Cidr, parseAddress } from '../stack/base/address';
import { UsageError } from './exit';

/** One process's place in a network that several share. */
export interface NetworkPlace {
  device: Device;
  /** The stack's own address, with the prefix of the network. */
  address: Cidr;
  /** The kernel, which carries packets between the processes. */
  gateway: Address;
}

export interface NetworkWishes {
  /** The stack's own address; default: the first that nobody has. */
  address?: Cidr;
  mtu?: number;
  offload: boolean;
}

/** Where addresses of processes begin: the network's first is the kernel's. */
const FIRST = 2;
const PREFIX_MIN = 16;
const PREFIX_MAX = 30;

/**
 * Joins a network of TUN devices: each process has one of its own, with one address, and the kernel, which has the
 * network's first address on all of them, forwards from one to the other. The name of the device is made of the address
 * and claims it: of processes that start at the same time each gets another. All is gone when the device is closed.
 *
 * @throws UsageError, DeviceError: one line that names the cure
 */
export function joinNetwork(network: Cidr, wishes: NetworkWishes): NetworkPlace {
  checkNetwork(network);
  const gateway = nth(network, 1);
  if (wishes.address !== undefined) return { ...claimed(network, wishes, gateway), gateway };
  const size = 2 ** (32 - network.prefixLength);
  for (let i = FIRST; i < size - 1; i++) {
    const address = new Cidr(nth(network, i), network.prefixLength);
    const device = claim(address, gateway, wishes);
    if (device !== null) return { device, address, gateway };
  }
  throw new UsageError(`${network} is full: choose a larger network`);
}

function claimed(network: Cidr, wishes: NetworkWishes, gateway: Address): Pick<NetworkPlace, 'device' | 'address'> {
  const { address } = wishes.address!;
  if (!network.contains(address) || address.equals(gateway)) {
    throw new UsageError(`--address ${address} is none of ${network}'s, whose first is the kernel's`);
  }
  const own = new Cidr(address, network.prefixLength);
  const device = claim(own, gateway, wishes);
  if (device === null) throw new UsageError(`${address} is taken by another process: choose one that is free`);
  return { device, address: own };
}

/** The device of this address, or null when a process has it. */
function claim(address: Cidr, gateway: Address, { mtu, offload }: NetworkWishes): Device | null {
  const name = deviceName(address.address);
  try {
    const device = openTun({ name, address: String(address), hostAddress: `${gateway}/32`, mtu, offload });
    forward(device);
    return device;
  } catch (error) {
    if (error instanceof DeviceError && error.code === 'EBUSY') return null;
    throw error;
  }
}

const deviceName = (address: Address): string => `tw${(address.w3 >>> 0).toString(16).padStart(8, '0')}`;

/** What comes from this device may go out by the others. The kernel's own interfaces stay as they are. */
function forward(device: Device): void {
  const setting = `/proc/sys/net/ipv4/conf/${device.name}/forwarding`;
  try {
    writeFileSync(setting, '1');
  } catch (error) {
    device.close();
    throw new UsageError(`cannot set ${setting}, without which processes do not reach each other: ${error}`);
  }
}

function nth(network: Cidr, n: number): Address {
  const hostBits = 32 - network.prefixLength;
  return Address.v4((((network.address.w3 >>> hostBits) << hostBits) | n) >>> 0);
}

function checkNetwork(network: Cidr): void {
  if (network.address.family !== 4 || network.prefixLength < PREFIX_MIN || network.prefixLength > PREFIX_MAX) {
    throw new UsageError(`--network takes an IPv4 network from /${PREFIX_MIN} to /${PREFIX_MAX}, such as 10.77.0.0/24`);
  }
  for (const [name, list] of Object.entries(networkInterfaces())) {
    if (/^tw[0-9a-f]{8}$/.test(name)) continue;
    for (const info of list ?? []) {
      const address = parseAddress(info.address);
      if (address === null || !network.contains(address)) continue;
      throw new UsageError(`${network} is in use: ${name} has the address ${address} of it. Choose another network.`);
    }
  }
}
