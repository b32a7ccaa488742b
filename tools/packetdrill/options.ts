import { parseAddress } from './address';
import type { IpVersion } from './packet';

/** Which sockets the script opens on which wire. */
export type SocketFamily = 'ipv4' | 'ipv6' | 'ipv4-mapped-ipv6';

/** Everything that the options of a script or of the command line decide. */
export interface ScriptConfig {
  family: SocketFamily;
  wireVersion: IpVersion;
  localIp: string;
  remoteIp: string;
  gatewayIp: string;
  netmaskIp: string;
  /** The port that `bind(fd, ..., ...)` takes. */
  bindPort: number;
  /** The port that `connect(fd, ..., ...)` goes to. */
  connectPort: number;
  /** The largest datagram of the link, in bytes. */
  mtu: number;
  /** The MSS to advertise, 0 for the one that follows from the MTU. */
  mss: number;
  toleranceUs: number;
  /** True when an option set it: then it holds in strict runs too. */
  toleranceGiven: boolean;
  /** Of the distance to the previous event's time. */
  tolerancePercent: number;
  /** Length of a timestamp tick, in microseconds; 0: TS values are not compared. */
  tsTickUs: number;
  /** An inbound TS echo that no packet carried is interpolated instead of refused. */
  tsEcrScaled: boolean;
  /** One expected packet is one segment. */
  strictSegments: boolean;
  nonFatal: { packet: boolean; syscall: boolean };
  dryRun: boolean;
  verbose: boolean;
  anyIp: boolean;
  defines: Map<string, string>;
}

type Setter = (config: ScriptConfig, value: string) => string | null;

/** A number within bounds; the error sentence otherwise. */
function number(
  low: number,
  high: number,
  assign: (config: ScriptConfig, value: number) => void,
  fraction = false,
): Setter {
  return (config, text) => {
    const value = Number(text);
    if (
      text === '' ||
      !(fraction ? Number.isFinite(value) : Number.isSafeInteger(value)) ||
      value < low ||
      value > high
    )
      return `expected ${fraction ? 'a number' : 'an integer'} from ${low} to ${high}`;
    assign(config, value);
    return null;
  };
}

function text(assign: (config: ScriptConfig, value: string) => void): Setter {
  return (config, value) => {
    if (value === '') return 'expected a value';
    assign(config, value);
    return null;
  };
}

function flag(assign: (config: ScriptConfig, on: boolean) => void): Setter {
  return (config, value) => {
    if (!['', '0', '1', 'true', 'false'].includes(value)) return 'expected no value';
    assign(config, value !== '0' && value !== 'false');
    return null;
  };
}

function setFamily(config: ScriptConfig, value: string): string | null {
  if (value !== 'ipv4' && value !== 'ipv6' && value !== 'ipv4-mapped-ipv6') {
    return 'expected ipv4, ipv6 or ipv4-mapped-ipv6';
  }
  config.family = value;
  config.wireVersion = value === 'ipv6' ? 6 : 4;
  return null;
}

function define(config: ScriptConfig, value: string): string | null {
  const found = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/.exec(value);
  if (found === null) return 'expected SYMBOL=value';
  config.defines.set(found[1]!, found[2]!);
  return null;
}

function setNonFatal(config: ScriptConfig, value: string): string | null {
  for (const kind of value.split(',')) {
    if (kind === 'packet' || kind === 'packets') config.nonFatal.packet = true;
    else if (kind === 'syscall' || kind === 'syscalls') config.nonFatal.syscall = true;
    else return 'expected packet, syscall or both with a comma';
  }
  return null;
}

/** The options that have an effect. */
export const OPTIONS: Readonly<Record<string, Setter>> = {
  ip_version: setFamily,
  local_ip: text((c, v) => (c.localIp = v)),
  remote_ip: text((c, v) => (c.remoteIp = v)),
  gateway_ip: text((c, v) => (c.gatewayIp = v)),
  netmask_ip: text((c, v) => (c.netmaskIp = v)),
  bind_port: number(1, 65_535, (c, v) => (c.bindPort = v)),
  connect_port: number(1, 65_535, (c, v) => (c.connectPort = v)),
  mtu: number(68, 65_535, (c, v) => (c.mtu = v)),
  mss: number(0, 65_535, (c, v) => (c.mss = v)),
  tolerance_usecs: number(0, 3_600_000_000, (c, v) => {
    c.toleranceUs = v;
    c.toleranceGiven = true;
  }),
  tolerance_percent: number(0, 1000, (c, v) => (c.tolerancePercent = v), true),
  tcp_ts_tick_usecs: number(0, 1_000_000, (c, v) => (c.tsTickUs = v)),
  tcp_ts_ecr_scaled: flag((c, on) => (c.tsEcrScaled = on)),
  strict_segments: flag((c, on) => (c.strictSegments = on)),
  non_fatal: setNonFatal,
  define,
  D: define,
  dry_run: flag((c, on) => (c.dryRun = on)),
  verbose: flag((c, on) => (c.verbose = on)),
  v: flag((c, on) => (c.verbose = on)),
  is_anyip: flag((c, on) => (c.anyIp = on)),
};

/** Those of them that take no value. */
export const FLAG_OPTIONS: ReadonlySet<string> = new Set([
  'tcp_ts_ecr_scaled',
  'strict_segments',
  'dry_run',
  'verbose',
  'v',
  'is_anyip',
]);

/** Options of the original tool that mean nothing on a virtual clock and an in-memory wire. */
const IGNORED = new Set(['speed', 'init_scripts', 'send_omit_free', 'persistent_tun_dev']);
const IGNORED_PREFIXES = ['code_', 'so_', 'wire_', 'psp_'];

/** True for an option that is accepted without effect. */
export const isIgnoredOption = (name: string): boolean =>
  IGNORED.has(name) || IGNORED_PREFIXES.some((prefix) => name.startsWith(prefix));

/** The defaults before any option. Addresses that no option gave are filled in by `completeConfig`. */
export function defaultConfig(): ScriptConfig {
  return {
    family: 'ipv4',
    wireVersion: 4,
    localIp: '',
    remoteIp: '',
    gatewayIp: '',
    netmaskIp: '',
    bindPort: 8080,
    connectPort: 8080,
    mtu: 1500,
    mss: 0,
    toleranceUs: 4000,
    toleranceGiven: false,
    tolerancePercent: 12.5,
    tsTickUs: 0,
    tsEcrScaled: false,
    strictSegments: false,
    nonFatal: { packet: false, syscall: false },
    dryRun: false,
    verbose: false,
    anyIp: false,
    defines: new Map(),
  };
}

const ADDRESSES = {
  4: { localIp: '192.168.0.1', remoteIp: '192.0.2.1', gatewayIp: '192.168.0.2', netmaskIp: '255.255.0.0' },
  6: { localIp: 'fd3d:a0b:17d6::1', remoteIp: 'fd3d:fa7b:d17d::1', gatewayIp: 'fd3d:a0b:17d6:8888::', netmaskIp: '' },
} as const;

/** Fills in the addresses that no option gave, by the wire's IP version. Returns what is wrong with one, or null. */
export function completeConfig(config: ScriptConfig): string | null {
  const defaults = ADDRESSES[config.wireVersion];
  const bytes = config.wireVersion === 4 ? 4 : 16;
  for (const key of ['localIp', 'remoteIp', 'gatewayIp', 'netmaskIp'] as const) {
    if (config[key] === '') config[key] = defaults[key];
    if (config[key] === '' || parseAddress(config[key])?.length === bytes) continue;
    return `${config[key]} is not an IPv${config.wireVersion} address`;
  }
  return null;
}

/** Applies one option. Returns what is wrong with it, or null. `value` is '' for an option without one. */
export function applyOption(config: ScriptConfig, name: string, value: string): string | null {
  const setter = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (setter !== undefined) return setter(config, unquote(value));
  return isIgnoredOption(name) ? null : `unknown option --${name}`;
}

/** Takes the quotes off a quoted value, except of a definition, where they say what the symbol is. */
function unquote(value: string): string {
  return /^".*"$/s.test(value) ? value.slice(1, -1) : value;
}
