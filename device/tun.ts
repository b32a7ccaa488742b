import { type Cidr, cidrText, contains, parseCidr, parseMac } from './cidr';
import { explain, isSystemError } from './errors';
import { KIND_TAP, loadNative, type Native, type Port, type PortInfo, WISH_MULTI_QUEUE, WISH_OFFLOAD } from './native';
import { NativeDevice } from './native-device';
import {
  addAddress,
  addRoute,
  findLink,
  type Link,
  listAddresses,
  removeAddress,
  removeRoute,
  setLink,
} from './netlink';

/** Who else may open a persistent device, by number. */
export interface Owner {
  uid?: number;
  gid?: number;
}

/** What `openTun` takes. Everything has a default. */
export interface TunOptions {
  /** At most 15 bytes. A name with %d, or none, is numbered by the kernel: tun0, tap0. */
  name?: string;
  /** The stack's own address or addresses, "10.0.0.2/24": the kernel gets a route to each that hostAddress does not cover. */
  address?: string | readonly string[];
  /** The kernel's address or addresses on the link, "10.0.0.1/24" or "fd00::1/64". Gone after close. */
  hostAddress?: string | readonly string[];
  /** Further networks that the kernel routes into the device. */
  routes?: readonly string[];
  /** In bytes, 68 (IPv6: 1280) to 65,535. Default: what the interface has, 1500 for a new one. */
  mtu?: number;
  /** Checksums and segments of up to 64 KiB are left to the kernel. Default true; false shows every frame as on a cable. */
  offload?: boolean;
  /** A descriptor that a parent process opened and attached. It belongs to the device from here on. */
  fd?: number;
  /** The interface stays as it is when the device is closed, addresses included, and `persist.uid` or `persist.gid` may open it. Default false. */
  persist?: boolean | Owner;
  /** Packets that wait for a busy stack (txqueuelen). Default for a new interface 1000, without offload 5000. */
  queueLength?: number;
  /** Bring the interface up. Default true; false leaves that, and any routes, to the program. */
  up?: boolean;
  /** Several devices may share the interface: the kernel spreads flows over them. Set it on every one. */
  multiQueue?: boolean;
}

/** What `openTap` takes, beside what a TUN device does. */
export interface TapOptions extends TunOptions {
  /** The stack's link address, "02:00:00:00:00:02". Default: the kernel's with the last bit turned. */
  mac?: string;
  /** The kernel's link address on the interface. Default: random. */
  hostMac?: string;
}

const IFNAME_BYTES_MAX = 15;
const MTU_MIN = 68;
const MTU_MAX = 65_535;
/** RFC 8200 §5. */
const MTU_MIN_V6 = 1280;
const QUEUE_LENGTH = 1000;
/** Without offload a window of bulk data is hundreds of packets, and what overflows is lost silently. */
const QUEUE_LENGTH_NO_OFFLOAD = 5000;

/** Options, checked and read. */
interface Wishes {
  readonly name: string;
  readonly stack: readonly Cidr[];
  readonly host: readonly Cidr[];
  readonly routes: readonly Cidr[];
  readonly mac: Uint8Array | null;
  readonly hostMac: Uint8Array | null;
  readonly options: TunOptions;
}

/**
 * Opens a TUN device: frames are IP datagrams. Makes the interface, gives it its addresses and brings it up; all of it is
 * gone after `close`, unless it was there before or is to persist.
 *
 * @throws DeviceError naming cause and cure; NativeUnavailable; TypeError or RangeError for an option out of range.
 */
export function openTun(options: TunOptions = {}): NativeDevice {
  return open('tun', options, {});
}

/** Opens a TAP device: frames begin with an Ethernet header. See openTun. */
export function openTap(options: TapOptions = {}): NativeDevice {
  return open('tap', options, options);
}

function open(mode: 'tun' | 'tap', options: TunOptions, tap: TapOptions): NativeDevice {
  const wishes = check(options, tap);
  const native = loadNative();
  const title = mode.toUpperCase();
  const what =
    options.fd === undefined
      ? `Cannot open ${title} device ${wishes.name}`.trim()
      : `Cannot use descriptor ${options.fd}`;
  let port: Port | null = null;
  try {
    const existed = options.fd !== undefined || (wishes.name !== '' && findLink(wishes.name) !== null);
    port = attach(native, mode, wishes, options.fd);
    return configure(native, port, wishes, existed);
  } catch (error) {
    if (port !== null) native.close(port);
    throw explain(error, what, wishes.name, mode);
  }
}

function attach(native: Native, mode: 'tun' | 'tap', wishes: Wishes, fd: number | undefined): Port {
  const { offload = true, multiQueue = false } = wishes.options;
  const bits = (offload ? WISH_OFFLOAD : 0) | (multiQueue ? WISH_MULTI_QUEUE : 0);
  const tap = mode === 'tap' ? 1 : 0;
  return fd === undefined ? native.openTun(wishes.name, tap, bits) : native.adoptTun(fd, tap, bits);
}

function configure(native: Native, port: Port, wishes: Wishes, existed: boolean): NativeDevice {
  const info = native.infoOf(port);
  const link = findLink(info.name);
  const persist = wishes.options.persist;
  if (persist !== undefined) {
    const owner = typeof persist === 'object' ? persist : {};
    native.setPersistent(port, persist === false ? 0 : 1, owner.uid ?? -1, owner.gid ?? -1);
  }
  // A descriptor may come from another network namespace: then its interface is nobody's business here.
  if (link === null)
    return new NativeDevice(port, info, wishes.options.mtu ?? 1500, ownMac(info, wishes, null), () => {});
  const undo: (() => void)[] = [];
  try {
    setUp(link, info, wishes, existed, undo);
  } catch (error) {
    takeBack(undo);
    throw error;
  }
  if (persist) undo.length = 0;
  const after = findLink(info.name) ?? link;
  return new NativeDevice(port, info, after.mtu, ownMac(info, wishes, after), () => takeBack(undo));
}

/** Link settings first, then addresses, then up, then routes: the kernel refuses routes into what is down. */
function setUp(link: Link, info: PortInfo, wishes: Wishes, existed: boolean, undo: (() => void)[]): void {
  const { index } = link;
  const { options, host, stack } = wishes;
  const wantsIPv6 = [...host, ...stack, ...wishes.routes].some((cidr) => cidr.family === 6);
  const queueLength =
    options.queueLength ?? (existed ? undefined : info.offload ? QUEUE_LENGTH : QUEUE_LENGTH_NO_OFFLOAD);
  const mtu = options.mtu === link.mtu ? undefined : options.mtu;
  const mac = wishes.hostMac ?? undefined;
  const linkLocal = existed || wantsIPv6 ? undefined : false;
  if (mtu !== undefined || queueLength !== undefined || mac !== undefined || linkLocal === false) {
    setLink(index, { mtu, queueLength, mac, linkLocal });
  }
  // Who owns a device that root has set up may open it, not change it: what is there already is not asked for.
  const there = new Set(existed ? listAddresses(index).map(cidrText) : []);
  for (const cidr of host) {
    if (!there.has(cidrText(cidr)) && addAddress(index, cidr)) undo.push(() => removeAddress(index, cidr));
  }
  if (options.up === false) return;
  if (!link.up) setLink(index, { up: true });
  const uncovered = stack
    .filter((mine) => !host.some((theirs) => contains(theirs, mine.address)))
    .map((mine) => ({ ...mine, prefix: mine.family === 4 ? 32 : 128 }));
  for (const cidr of [...uncovered, ...wishes.routes]) {
    if (addRoute(index, cidr)) undo.push(() => removeRoute(index, cidr));
  }
}

/** Backwards. An interface that has meanwhile gone took everything with it. */
function takeBack(undo: (() => void)[]): void {
  for (const step of undo.splice(0).reverse()) {
    try {
      step();
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}

/** The stack is a station of its own on the link, so its address must differ from the kernel's. */
function ownMac(info: PortInfo, wishes: Wishes, link: Link | null): Uint8Array | null {
  if (info.kind !== KIND_TAP) return null;
  if (wishes.mac !== null) return wishes.mac;
  const mac = Uint8Array.from(link !== null && link.mac.length === 6 ? link.mac : [2, 0, 0, 0, 0, 1]);
  mac[0] = (mac[0]! | 2) & 0xfe;
  mac[5] = mac[5]! ^ 1;
  return mac;
}

function check(options: TunOptions, tap: TapOptions): Wishes {
  const { name = '', mtu, queueLength, fd } = options;
  if (Buffer.byteLength(name) > IFNAME_BYTES_MAX || /[\s/:\0]/.test(name) || name === '.' || name === '..') {
    throw new TypeError(`"${name}" cannot name an interface: at most ${IFNAME_BYTES_MAX} bytes, no spaces, "/" or ":"`);
  }
  inRange('mtu', mtu, MTU_MIN, MTU_MAX);
  inRange('queueLength', queueLength, 0, 1_000_000);
  inRange('fd', fd, 0, 0x7fffffff);
  if (fd !== undefined && name !== '') throw new TypeError('give either fd or name: a descriptor has its name already');
  const wishes: Wishes = {
    name,
    stack: list(options.address).map(parseCidr),
    host: list(options.hostAddress).map(parseCidr),
    routes: (options.routes ?? []).map(parseCidr),
    mac: tap.mac === undefined ? null : parseMac(tap.mac),
    hostMac: tap.hostMac === undefined ? null : parseMac(tap.hostMac),
    options,
  };
  const six = [...wishes.stack, ...wishes.host].find((cidr) => cidr.family === 6);
  if (six !== undefined && mtu !== undefined && mtu < MTU_MIN_V6) {
    throw new RangeError(`mtu is ${mtu}, too small for ${cidrText(six)}: IPv6 needs ${MTU_MIN_V6} bytes`);
  }
  const shared = wishes.stack.find((mine) =>
    wishes.host.some((theirs) => theirs.address.join() === mine.address.join()),
  );
  if (shared)
    throw new TypeError(
      `${cidrText(shared)} cannot be both the stack's and the kernel's: the kernel would answer for it`,
    );
  return wishes;
}

const list = (given: string | readonly string[] | undefined): readonly string[] =>
  given === undefined ? [] : typeof given === 'string' ? [given] : given;

function inRange(what: string, value: number | undefined, low: number, high: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= low && value <= high)) {
    throw new RangeError(`${what} is ${value}; it must be an integer from ${low} to ${high}`);
  }
}
