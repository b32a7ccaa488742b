import { type Command, InvalidArgumentError, Option } from 'commander';
import { Address, Cidr, parseAddress, parseCidr } from '../stack/base/address';
import { PROFILES } from '../stack/tcp/profile';
import { UsageError } from './exit';

/** Which frames a command's stack lives on, as the command line gives it. */
export interface WireOptions {
  tun?: string;
  tap?: string;
  packet?: string;
  /** A network that several processes share. */
  network?: Cidr;
  tunFd?: number;
  forward?: HostPort;
  address?: Cidr[];
  hostAddress?: Cidr[];
  gateway?: Address;
  mtu?: number;
  offload: boolean;
  pcap?: string;
  qlog?: string;
  seed?: number;
  profile?: string;
}

export interface HostPort {
  host: string;
  port: number;
}

/** Adds the options that choose and describe the wire. */
export function addWireOptions(command: Command): Command {
  return command
    .option('--tun <name>', 'make a TUN device: IP packets, no link layer', interfaceName)
    .option('--tap <name>', 'make a TAP device: Ethernet frames, with ARP', interfaceName)
    .option('--packet <interface>', 'share an interface that exists (AF_PACKET); needs --address')
    .option('--network <cidr>', 'share a network of TUN devices with other processes, such as 10.77.0.0/24', network)
    .option('--tun-fd <number>', 'use a TUN descriptor that the parent process opened', integer(0, 1 << 20))
    .option('--address <cidr>', "the stack's own address (default: 10.77.0.2/24); may be repeated", cidrs)
    .option('--host-address <cidr>', "the kernel's address on the link (default: 10.77.0.1/24); may be repeated", cidrs)
    .option('--gateway <address>', 'where everything beyond the link goes (default: the kernel)', address)
    .option('--mtu <bytes>', 'largest IP packet on the link', integer(68, 65_535))
    .option('--no-offload', 'complete checksums and packets no larger than the MTU, as on a cable')
    .option('--pcap <file>', 'record every frame in a pcapng file, which Wireshark opens')
    .option('--qlog <file>', 'record what TCP does, and why, as qlog (JSON-SEQ; a line a record with .ndjson)')
    .option('--seed <number>', 'all randomness of the stack comes from it (default: random)', integer(0, 0xffff_ffff))
    .addOption(new Option('--profile <name>', 'constants of the TCP').choices(Object.keys(PROFILES)));
}

/** A parser for commander: a whole number in a range. */
export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) {
      throw new InvalidArgumentError(`Give a whole number from ${low} to ${high}.`);
    }
    return value;
  };
}

const INTERFACE_NAME_BYTES_MAX = 15;

function interfaceName(text: string): string {
  const fits = text !== '' && Buffer.byteLength(text) <= INTERFACE_NAME_BYTES_MAX;
  if (!fits || /[\s/:]/.test(text) || text === '.' || text === '..') {
    throw new InvalidArgumentError('Give a name of at most 15 bytes, without spaces, "/" or ":", such as tapwire0.');
  }
  return text;
}

function cidrs(text: string, before: Cidr[] = []): Cidr[] {
  const cidr = parseCidr(text);
  if (cidr === null || !text.includes('/')) {
    throw new InvalidArgumentError('Give an address and the length of its prefix, such as 10.77.0.2/24 or fd77::2/64.');
  }
  return [...before, cidr];
}

function network(text: string): Cidr {
  return cidrs(text)[0]!;
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === null) throw new InvalidArgumentError('Give an IPv4 or IPv6 address, such as 10.77.0.1.');
  return parsed;
}

/** "127.0.0.1:8077", "[::1]:8077" or ":8077"; port 0 lets the kernel choose. */
export function hostPort(text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? 'none');
  if (match === null || !(port <= 65_535)) {
    throw new InvalidArgumentError('Give HOST:PORT, such as 127.0.0.1:8077; port 0 takes a free one.');
  }
  return { host: match[1] ?? (match[2] === '' ? '127.0.0.1' : match[2]!), port };
}

export const hostPortText = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

export const DEFAULT_ADDRESS = new Cidr(Address.v4(0x0a4d0002), 24);
export const DEFAULT_HOST_ADDRESS = new Cidr(Address.v4(0x0a4d0001), 24);

/**
 * The kernel's addresses on the link: as given, or the first of each subnet of the stack's, or the second when the stack
 * has the first.
 */
export function hostAddresses(stack: readonly Cidr[], given: readonly Cidr[] | undefined): Cidr[] {
  if (given !== undefined) return [...given];
  return stack.map((mine) => {
    const bits = (mine.address.family === 4 ? 32 : 128) - mine.prefixLength;
    if (bits < 2)
      throw new UsageError(`${mine} leaves the kernel no address on the link: give it a shorter prefix, such as /24`);
    const hostBits = Math.min(bits, 32);
    const network = hostBits === 32 ? 0 : (mine.address.w3 >>> hostBits) << hostBits;
    const { family, w0, w1, w2 } = mine.address;
    const first = new Address(family, w0, w1, w2, network | 1);
    return new Cidr(
      first.equals(mine.address) ? new Address(family, w0, w1, w2, network | 2) : first,
      mine.prefixLength,
    );
  });
}
