import type { TcpProfile } from '../../stack/tcp/profile';
import type { Tcp } from '../../stack/tcp/tcp';
import { Unsupported } from './source';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Apply = (profile: Mutable<TcpProfile>, value: string) => void;

const number = (value: string): number => {
  const n = Number(value);
  if (!Number.isFinite(n)) throw new Unsupported(`the sysctl value ${value}`);
  return n;
};

const flag =
  (set: (profile: Mutable<TcpProfile>, on: boolean) => void): Apply =>
  (profile, value) =>
    set(profile, number(value) !== 0);

/** The last of "4096 131072 6291456": the most that autotuning may take; the middle one is where it starts. */
function buffer(value: string): { initial: number; max: number } {
  const words = value.replace(/"/g, '').trim().split(/\s+/).map(number);
  return { initial: words[1] ?? words[0]!, max: words[2] ?? words[0]! };
}

/** Kernel variables that the profile knows. */
const APPLIED: Readonly<Record<string, Apply>> = {
  'net.ipv4.tcp_timestamps': flag((p, on) => (p.timestamps = on)),
  'net.ipv4.tcp_sack': flag((p, on) => (p.sack = on)),
  'net.ipv4.tcp_dsack': flag((p, on) => (p.dsack = on)),
  'net.ipv4.tcp_window_scaling': flag((p, on) => (p.windowScale = on ? 8 : -1)),
  'net.ipv4.tcp_ecn': (p, value) => (p.ecn = (['off', 'request', 'accept'] as const)[number(value)] ?? 'accept'),
  'net.ipv4.tcp_slow_start_after_idle': flag((p, on) => (p.slowStartAfterIdle = on)),
  'net.ipv4.tcp_congestion_control': (p, value) => (p.congestion = value.replace(/"/g, '')),
  'net.ipv4.tcp_reordering': (p, value) => (p.reordering = number(value)),
  'net.ipv4.tcp_recovery': (p, value) => (p.rack = (number(value) & 1) !== 0),
  'net.ipv4.tcp_frto': (p, value) => (p.frto = number(value) !== 0),
  'net.ipv4.tcp_early_retrans': (p, value) => (p.tailLossProbe = number(value) >= 3),
  'net.ipv4.tcp_syn_retries': (p, value) => (p.synRetries = number(value)),
  'net.ipv4.tcp_synack_retries': (p, value) => (p.synAckRetries = number(value)),
  'net.ipv4.tcp_retries1': (p, value) => (p.retries1 = number(value)),
  'net.ipv4.tcp_retries2': (p, value) => (p.retries2 = number(value)),
  'net.ipv4.tcp_orphan_retries': (p, value) => (p.orphanRetries = number(value) || 8),
  'net.ipv4.tcp_fin_timeout': (p, value) => (p.finWait2Ms = 1000 * number(value)),
  'net.ipv4.tcp_keepalive_time': (p, value) => (p.keepAliveIdleMs = 1000 * number(value)),
  'net.ipv4.tcp_keepalive_intvl': (p, value) => (p.keepAliveIntervalMs = 1000 * number(value)),
  'net.ipv4.tcp_keepalive_probes': (p, value) => (p.keepAliveProbes = number(value)),
  'net.ipv4.tcp_syncookies': (p, value) => (p.synCookies = number(value) !== 0),
  'net.ipv4.tcp_abort_on_overflow': flag((p, on) => (p.abortOnOverflow = on)),
  'net.ipv4.tcp_rfc1337': flag((p, on) => (p.protectTimeWait = on)),
  'net.ipv4.tcp_invalid_ratelimit': (p, value) => (p.invalidAckIntervalMs = number(value)),
  'net.ipv4.tcp_challenge_ack_limit': (p, value) => (p.challengeAcksPerSecond = number(value)),
  'net.ipv4.tcp_mtu_probing': (p, value) =>
    (p.mtuProbing = (['off', 'black-hole', 'always'] as const)[number(value)] ?? 'off'),
  'net.ipv4.tcp_base_mss': (p, value) => (p.mtuProbeBase = number(value)),
  'net.ipv4.tcp_mtu_probe_floor': (p, value) => (p.mtuProbeFloor = number(value)),
  'net.ipv4.tcp_probe_threshold': (p, value) => (p.mtuProbeThreshold = number(value)),
  'net.ipv4.tcp_probe_interval': (p, value) => (p.mtuProbeIntervalMs = 1000 * number(value)),
  'net.ipv4.tcp_fastopen': (p, value) => (p.fastOpen = number(value)),
  'net.ipv4.tcp_fastopen_blackhole_timeout_sec': (p, value) => (p.fastOpenPauseMs = 1000 * number(value)),
  'net.ipv4.tcp_rmem': (p, value) => {
    const { initial, max } = buffer(value);
    p.receiveBufferInitial = initial;
    p.receiveBufferMax = max;
  },
  'net.ipv4.tcp_wmem': (p, value) => {
    const { initial, max } = buffer(value);
    p.sendBufferInitial = initial;
    p.sendBufferMax = max;
  },
  'net.ipv4.tcp_notsent_lowat': (p, value) => {
    const bytes = number(value) >>> 0;
    p.notSentLimit = bytes === 0xffff_ffff || bytes === 0 ? Number.POSITIVE_INFINITY : bytes;
  },
  'net.ipv4.ip_local_port_range': (p, value) => {
    const [low, high] = value.replace(/"/g, '').trim().split(/\s+/).map(number);
    p.ephemeralPorts = [low!, high!];
  },
};

/** Variables that are no constants of the profile. */
const ON_STACK: Readonly<Record<string, (tcp: Tcp, value: string) => void>> = {
  'net.ipv4.tcp_fastopen_key': (tcp, value) => tcp.fastOpen.setKeys(value.replace(/"/g, '').split(',').map(keyOf)),
};

/** "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4": the words of a key. */
function keyOf(text: string): number[] {
  const words = text.trim().split('-');
  if (words.length !== 4 || !words.every((word) => /^[0-9a-fA-F]{1,8}$/.test(word))) {
    throw new Unsupported(`the key ${text}`);
  }
  return words.map((word) => Number.parseInt(word, 16) | 0);
}

/** Variables of mechanisms that this stack does not need: it cuts segments as they fit, by virtual time. */
const WITHOUT_EFFECT = new Set([
  'net.ipv4.tcp_min_tso_segs',
  'net.ipv4.tcp_tso_win_divisor',
  'net.ipv4.tcp_limit_output_bytes',
  'net.ipv4.tcp_autocorking',
  'net.ipv4.tcp_syn_linear_timeouts',
  'net.ipv4.tcp_fack',
  'net.ipv4.tcp_no_metrics_save',
]);

/** Sets a variable of Linux. False when it is unknown here. */
export function applySysctl(tcp: Tcp, profile: Mutable<TcpProfile>, name: string, value: string): boolean {
  if (Object.hasOwn(ON_STACK, name)) {
    ON_STACK[name]!(tcp, value);
    return true;
  }
  if (!Object.hasOwn(APPLIED, name)) return WITHOUT_EFFECT.has(name);
  APPLIED[name]!(profile, value);
  tcp.profileChanged();
  return true;
}
