import type { Device } from '../device/device';
import { type Address, type Cidr, parseAddress, parseCidr } from '../stack/base/address';
import type { StackLimits } from '../stack/stack';
import { PROFILES, type TcpProfile } from '../stack/tcp/profile';
import type { Loop } from './loop';

/** One device of a host, with the addresses to use on it. */
export interface Attachment {
  device: Device;
  /** "10.77.0.2/24", one or several. */
  addresses: readonly string[];
}

export interface RouteOption {
  /** "0.0.0.0/0" */
  destination: string;
  gateway?: string;
  /** Name of the device; default: the one whose subnet holds the gateway. */
  device?: string;
}

export interface HostOptions {
  devices: readonly Attachment[];
  routes?: readonly RouteOption[];
  /** Default: random. With a seed a host in memory behaves the same every time. */
  seed?: number;
  profile?: string | TcpProfile;
  limits?: Partial<StackLimits>;
  trace?: boolean;
  traceCapacity?: number;
  poison?: boolean;
  loop?: Loop;
  /** Connections to the host's own addresses stay inside it, as they do in a kernel. Default true. */
  loopback?: boolean;
  /** The host's table of names, asked before DNS: {"db.test": ["10.0.0.7"]}. `localhost` is always in it. */
  names?: Readonly<Record<string, readonly string[]>>;
  /** Which families names are looked up for when a program does not say. Default: those that the devices have. */
  families?: readonly (4 | 6)[];
}

/** Of every host's link to itself. */
export const LOOPBACK_ADDRESSES = ['127.0.0.1/8', '::1/128'];

/** Default: linux. @throws RangeError when no profile has the name. */
export function profileOf(profile: string | TcpProfile | undefined): TcpProfile {
  if (profile === undefined) return PROFILES['linux']!;
  if (typeof profile !== 'string') return profile;
  const known = PROFILES[profile];
  if (known === undefined)
    throw new RangeError(`unknown profile '${profile}': one of ${Object.keys(PROFILES).join(', ')}`);
  return known;
}

/** @throws RangeError when the text is no ADDRESS/LENGTH. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === null) throw new RangeError(`'${text}' is not an address with a prefix length, such as 10.77.0.2/24`);
  return cidr;
}

/** @throws RangeError when the text is no numeric address. */
export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new RangeError(`'${text}' is not an IPv4 or IPv6 address`);
  return address;
}

/** The host's table, with lower-case names and localhost. @throws RangeError when an address is none. */
export function namesOf(table: Readonly<Record<string, readonly string[]>>): Map<string, readonly string[]> {
  const names = new Map<string, readonly string[]>([
    ['localhost', LOOPBACK_ADDRESSES.map((text) => cidrOf(text).address.toString())],
  ]);
  for (const [name, addresses] of Object.entries(table)) {
    for (const address of addresses) addressOf(address);
    names.set(name.toLowerCase(), addresses);
  }
  return names;
}
