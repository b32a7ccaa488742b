import { networkInterfaces } from 'node:os';
import type { Device } from '../device/device';
import { DeviceError } from '../device/errors';
import { memoryPair } from '../device/memory';
import { openPacket } from '../device/packet';
import { tunSupport } from '../device/support';
import { openTap, openTun } from '../device/tun';
import { createHost, type Host, type RouteOption } from '../net/host';
import { Address, Cidr, parseAddress } from '../stack/base/address';
import { UsageError } from './exit';
import type { CaptureFile } from './pcap/recorder';
import { QlogFile } from './qlog/writer';
import { joinNetwork } from './wire-network';
import { DEFAULT_ADDRESS, DEFAULT_HOST_ADDRESS, hostAddresses, type WireOptions } from './wire-options';

/** A stack on its device, ready for use. */
export interface Wire {
  kind: 'tun' | 'tap' | 'packet' | 'memory';
  host: Host;
  device: Device;
  /** The other end, when it is in this process: a stack of its own. */
  peer: Host | null;
  /** The stack's first address. */
  address: Address;
  /** One line for people: the device, and whose addresses are whose. */
  text: string;
  /** Why this wire and no other. */
  why: string;
  /** Ends the stack and takes the device away. Safe to call twice. */
  close(): void;
}

const ALL_OFFLOADS = { checksum: true, tso4: true, tso6: true };
/** Subnets to try when the choice is ours: 10.77.0.0/24 and those behind it. */
const SUBNETS = 16;
const FLAGS = ['tun', 'tap', 'packet', 'network', 'tunFd', 'forward'] as const;

/**
 * Opens the wire that the options ask for. Without a wish it is TUN where that is permitted, and memory elsewhere.
 *
 * @param capture records what passes the stack's end.
 * @throws UsageError, DeviceError: one line that names the cure.
 */
export function openWire(
  options: WireOptions,
  capture: CaptureFile | null,
  vantagePoint: 'client' | 'server' = 'server',
): Wire {
  if (options.qlog === undefined) return openUnlogged(options, capture);
  const log = new QlogFile(options.qlog, { vantagePoint });
  try {
    const wire = openUnlogged(options, capture);
    log.record(wire.host);
    const close = (): void => {
      wire.close();
      log.close();
    };
    return { ...wire, close };
  } catch (error) {
    log.close();
    throw error;
  }
}

function openUnlogged(options: WireOptions, capture: CaptureFile | null): Wire {
  const asked = FLAGS.filter((flag) => options[flag] !== undefined);
  if (asked.length > 1) {
    throw new UsageError(`${asked.map(optionName).join(' and ')} exclude each other: choose one wire`);
  }
  checkMeaning(options);
  const why = asked.length === 0 ? '' : `${optionName(asked[0]!)} was given`;
  if (options.forward !== undefined) return memoryWire(options, capture, why);
  if (options.packet !== undefined) return packetWire(options, capture, why);
  if (options.network !== undefined) return networkWire(options, options.network, capture, why);
  if (asked.length > 0) return tunnelWire(options, capture, why);
  return chosenWire(options, capture);
}

/** What would have no effect is refused: who gives an option wants something. */
function checkMeaning({ packet, network, tunFd, address, hostAddress, mtu }: WireOptions): void {
  if (packet !== undefined && mtu !== undefined) {
    throw new UsageError(`--mtu is the interface's own with --packet: change it with ip link set ${packet} mtu ${mtu}`);
  }
  if (packet !== undefined && hostAddress !== undefined) {
    throw new UsageError('--host-address says nothing with --packet: the kernel keeps the addresses that it has');
  }
  if (network !== undefined && (hostAddress !== undefined || (address?.length ?? 0) > 1)) {
    throw new UsageError('--network gives the kernel its first address and each process one: at most one --address');
  }
  if (tunFd !== undefined && address === undefined && hostAddress !== undefined) {
    throw new UsageError("--host-address with --tun-fd needs --address too: the stack's own, in the same subnet");
  }
}

/** A host knows the way to what is in its own subnets, and to nothing else without a gateway that is. */
function checkSubnets(mine: readonly Cidr[], theirs: readonly Cidr[], gateway: Address | undefined): void {
  const reached = (address: Address): boolean => mine.some((cidr) => cidr.contains(address));
  const both = theirs.find((cidr) => mine.some(({ address }) => address.equals(cidr.address)));
  if (both !== undefined) {
    throw new UsageError(
      `${both} cannot be both the stack's (--address) and the kernel's (--host-address): the kernel would answer for it`,
    );
  }
  const far = theirs.find((cidr) => !reached(cidr.address));
  if (far !== undefined) {
    throw new UsageError(
      `the kernel's address ${far} (--host-address) is in no subnet of the stack's, ${mine.join(', ')}: give both one subnet`,
    );
  }
  if (gateway !== undefined && !reached(gateway)) {
    throw new UsageError(`--gateway ${gateway} is in no subnet of the stack's, ${mine.join(', ')}: give one that is`);
  }
}

const optionName = (flag: string): string => `--${flag === 'tunFd' ? 'tun-fd' : flag}`;

function chosenWire(options: WireOptions, capture: CaptureFile | null): Wire {
  const support = tunSupport();
  if (!support.ok)
    return memoryWire(options, capture, `TUN is not available: ${support.reason} ${support.cure}`.trim());
  const why = 'TUN is permitted here, and no other wire was asked for';
  const free = options.address === undefined ? freeSubnet() : [options.address, options.hostAddress];
  if (free === null) return memoryWire(options, capture, 'all subnets from 10.77.0.0/24 on are in use here');
  try {
    return tunnelWire({ ...options, tun: 'tapwire%d', address: free[0], hostAddress: free[1] }, capture, why);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return memoryWire(options, capture, `TUN did not work: ${error.message}`);
  }
}

// ── TUN and TAP ──

function tunnelWire(options: WireOptions, capture: CaptureFile | null, why: string): Wire {
  const name = options.tun ?? options.tap;
  const mine = options.address ?? [DEFAULT_ADDRESS];
  // A descriptor comes with an interface that its opener set up; only an explicit wish changes it.
  const setUp = options.tunFd === undefined || options.hostAddress !== undefined;
  const theirs = setUp ? hostAddresses(mine, options.hostAddress) : [];
  checkSubnets(mine, theirs, options.gateway);
  roomForIpv6(options.mtu, mine);
  if (options.tunFd === undefined) checkFree(mine, theirs, name);
  const device = (options.tap === undefined ? openTun : openTap)({
    name,
    fd: options.tunFd,
    address: setUp ? mine.map(String) : [],
    hostAddress: theirs.map(String),
    mtu: options.mtu,
    offload: options.offload,
  });
  const kind = options.tap === undefined ? 'tun' : 'tap';
  const kernel = theirs.length === 0 ? '' : `, the kernel's ${theirs.join(', ')}`;
  const text = `${kind.toUpperCase()} device ${device.name}: the stack's address is ${mine.join(', ')}${kernel}`;
  const gateways = options.gateway === undefined ? theirs.map((cidr) => cidr.address) : [options.gateway];
  return wireOn({ kind, device, addresses: mine, gateways, text, why }, options, capture);
}

/** The kernel would answer for an address that is its own, and route a subnet that it knows elsewhere. */
function checkFree(mine: readonly Cidr[], theirs: readonly Cidr[], ownName: string | undefined): void {
  const wanted = [...mine, ...theirs];
  for (const { name, address } of kernelAddresses()) {
    if (name === ownName) continue;
    const clash = wanted.find((cidr) => cidr.prefixLength > 0 && cidr.contains(address));
    if (clash === undefined) continue;
    throw new UsageError(
      `${clash} is in use: ${name} has the address ${address} of it. ` +
        'Choose another subnet with --address, such as --address 10.78.0.2/24, or stop the program that has it.',
    );
  }
}

function kernelAddresses(): { name: string; address: Address }[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).flatMap((info) => {
      const address = parseAddress(info.address);
      return address === null ? [] : [{ name, address }];
    }),
  );
}

/** The first pair of default addresses that nobody uses: a second `tapwire serve` gets the second. */
function freeSubnet(): [stack: Cidr[], kernel: Cidr[]] | null {
  const taken = kernelAddresses();
  for (let i = 0; i < SUBNETS; i++) {
    const [mine, theirs] = [DEFAULT_ADDRESS, DEFAULT_HOST_ADDRESS].map(
      (cidr) => new Cidr(Address.v4(cidr.address.w3 + (i << 8)), cidr.prefixLength),
    ) as [Cidr, Cidr];
    if (!taken.some(({ address }) => mine.contains(address))) return [[mine], [theirs]];
  }
  return null;
}

function networkWire(options: WireOptions, network: Cidr, capture: CaptureFile | null, why: string): Wire {
  const { address: wanted, mtu, offload, gateway: beyond } = options;
  checkSubnets([network], [], beyond);
  const { device, address, gateway } = joinNetwork(network, { address: wanted?.[0], mtu, offload });
  const text = `TUN device ${device.name} in the network ${network}: the stack's address is ${address}, the kernel's ${gateway}`;
  return wireOn(
    { kind: 'tun', device, addresses: [address], gateways: [beyond ?? gateway], text, why },
    options,
    capture,
  );
}

// ── an existing interface ──

function packetWire(options: WireOptions, capture: CaptureFile | null, why: string): Wire {
  const { packet, address, gateway } = options;
  if (address === undefined) {
    throw new UsageError(
      `--packet needs --address: one of ${packet}'s network that nobody has, such as 192.168.1.77/24`,
    );
  }
  for (const { name, address: known } of kernelAddresses()) {
    const same = address.find((cidr) => cidr.address.equals(known));
    if (same !== undefined) {
      throw new UsageError(
        `${same.address} is the kernel's own address on ${name}: it would answer too. Choose a free one.`,
      );
    }
  }
  checkSubnets(address, [], gateway);
  const device = openPacket({ interface: packet!, offload: options.offload });
  const text = `interface ${packet}, beside the kernel: the stack's address is ${address.join(', ')}`;
  const gateways = gateway === undefined ? [] : [gateway];
  return wireOn({ kind: 'packet', device, addresses: address, gateways, text, why }, options, capture);
}

/** A device that is open, and what is said of it. */
interface Opened {
  kind: Wire['kind'];
  device: Device;
  addresses: readonly Cidr[];
  gateways: readonly Address[];
  text: string;
  why: string;
}

function wireOn(opened: Opened, options: WireOptions, capture: CaptureFile | null): Wire {
  const { kind, device, addresses, gateways, text, why } = opened;
  try {
    roomForIpv6(device.mtu, addresses);
    const recorded = capture === null ? device : capture.record(device);
    const host = createHost({
      devices: [{ device: recorded, addresses: addresses.map(String) }],
      routes: gateways.map(defaultRoute),
      ...stackOptions(options),
    });
    return { kind, host, device, peer: null, address: addresses[0]!.address, text, why, close: () => host.close() };
  } catch (error) {
    device.close();
    throw error;
  }
}

/** RFC 8200 §5. */
const MTU_MIN_V6 = 1280;

function roomForIpv6(mtu: number | undefined, addresses: readonly Cidr[]): void {
  const six = addresses.find(({ address }) => address.family === 6);
  if (six === undefined || mtu === undefined || mtu >= MTU_MIN_V6) return;
  throw new UsageError(`an MTU of ${mtu} is too small for ${six}: IPv6 needs ${MTU_MIN_V6} bytes`);
}

const defaultRoute = (gateway: Address): RouteOption => ({
  destination: gateway.family === 4 ? '0.0.0.0/0' : '::/0',
  gateway: String(gateway),
});

const stackOptions = ({ seed, profile }: WireOptions) => ({ seed, profile, trace: true, traceCapacity: TRACE_EVENTS });

/** Enough for the page's story, and for the last moments in a report. */
const TRACE_EVENTS = 1 << 13;

// ── memory ──

function memoryWire(options: WireOptions, capture: CaptureFile | null, why: string): Wire {
  const mine = options.address ?? [DEFAULT_ADDRESS];
  const theirs = hostAddresses(mine, options.hostAddress);
  checkSubnets(mine, theirs, options.gateway);
  const [near, far] = memoryPair({
    mtu: options.mtu,
    offloads: options.offload ? ALL_OFFLOADS : undefined,
    names: ['memory-server', 'memory-client'],
  });
  const recorded = capture === null ? near : capture.record(near);
  const host = createHost({
    devices: [{ device: recorded, addresses: mine.map(String) }],
    routes: theirs.map((cidr) => defaultRoute(cidr.address)),
    ...stackOptions(options),
  });
  const peer = createHost({
    devices: [{ device: far, addresses: theirs.map(String) }],
    ...stackOptions(options),
    trace: false,
    // Two stacks with one seed would choose the same numbers.
    seed: options.seed === undefined ? undefined : (options.seed + 1) >>> 0,
  });
  const close = (): void => {
    host.close();
    peer.close();
  };
  const text = `in memory: this stack's address is ${mine.join(', ')}, that of the stack at the other end ${theirs.join(', ')}`;
  return { kind: 'memory', host, device: near, peer, address: mine[0]!.address, text, why, close };
}
