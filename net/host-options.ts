import type { Device } from '../device/device';
import { type Address, type Cidr, parseAddress, parseCidr } from '../stack/base/address';
import type { StackLimits } from '../stack/stack';
import { controllerNames, newController } from '../stack/tcp/congestion/controllers';
import { LINUX, PROFILES, type TcpProfile } from '../stack/tcp/profile';
import type { Loop } from './loop';

/** One device of a host, with the addresses to use on it. */
export interface Attachment {
  device: Device;
  /** "10.77.0.2/24", one or several. */
  addresses: readonly string[];
}

/** A way to addresses beyond the subnets of the host's devices. */
export interface RouteOption {
  /** "0.0.0.0/0" */
  destination: string;
  gateway?: string;
  /** Name of the device; default: the one whose subnet holds the gateway. */
  device?: string;
}

/** What `createHost` of net takes. */
export interface HostOptions {
  devices: readonly Attachment[];
  routes?: readonly RouteOption[];
  /** Default: random. With a seed a host in memory behaves the same every time. */
  seed?: number;
  /** 'linux' (the default), 'rfc', or constants that differ from those of 'linux', or of the one that `name` names. */
  profile?: string | Partial<TcpProfile>;
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

/** Default: linux. @throws RangeError when no profile has the name, no constant the key, or no controller the name. */
export function profileOf(profile: string | Partial<TcpProfile> | undefined): TcpProfile {
  if (profile === undefined) return LINUX;
  if (typeof profile === 'string') return namedProfile(profile);
  const base = Object.hasOwn(PROFILES, profile.name ?? '') ? namedProfile(profile.name!) : LINUX;
  const given = Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== undefined));
  for (const [key, value] of Object.entries(given)) {
    if (key === 'controllers') continue;
    if (!Object.hasOwn(LINUX, key)) throw new RangeError(`a profile has no '${key}'`);
    const wanted = typeof LINUX[key as keyof TcpProfile];
    if (typeof value !== wanted) throw new RangeError(`${key} of a profile is a ${wanted}, not ${String(value)}`);
  }
  const whole: TcpProfile = { ...base, ...given };
  if (newController(whole.congestion, whole) === null) {
    const names = [...controllerNames(), ...Object.keys(whole.controllers ?? {})];
    throw new RangeError(`unknown congestion controller '${whole.congestion}': one of ${names.join(', ')}`);
  }
  return whole;
}

function namedProfile(name: string): TcpProfile {
  if (Object.hasOwn(PROFILES, name)) return PROFILES[name]!;
  throw new RangeError(`unknown profile '${name}': one of ${Object.keys(PROFILES).join(', ')}`);
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
