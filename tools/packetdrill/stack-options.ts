import { Secret } from '../../stack/base/random';
import { setNoDelay } from '../../stack/tcp/calls';
import { controllerNames } from '../../stack/tcp/congestion/controllers';
import { FAST_OPEN_CLIENT } from '../../stack/tcp/fast-open';
import { effectiveMss } from '../../stack/tcp/options';
import { ERRNO, type Errno, type SocketOptionName } from './constants';
import { Unsupported } from './source';
import type { StackSocket } from './stack-socket';
import type { OptionValue } from './target';

/** How one option is set and read. Without `get` it cannot be read. */
interface Handler {
  set?(socket: StackSocket, value: number): 0 | Errno;
  get?(socket: StackSocket): OptionValue;
}

/** An option that this layer only remembers. */
const remembered = (key: string, initial = 0): Handler => ({
  set: (socket, value) => {
    socket.switches.set(key, value);
    return 0;
  },
  get: (socket) => socket.switches.get(key) ?? initial,
});

/** A number of the settings that connections begin with. */
const setting = (
  set: (socket: StackSocket, value: number) => 0 | Errno,
  get: (socket: StackSocket) => number,
): Handler => ({
  set: (socket, value) => {
    const result = set(socket, value);
    if (result === 0) socket.settingsChanged();
    return result;
  },
  get,
});

const bool = (on: boolean): number => (on ? 1 : 0);
const readOnly = (get: (socket: StackSocket) => OptionValue): Handler => ({ set: () => 'ENOPROTOOPT', get });

const SNDBUF_MIN = 4608;
const RCVBUF_MIN = 2304;
const MSS_MIN = 88;
const MSS_MAX = 32_767;
const FAST_OPEN_KEY_BYTES = 16;
const KEEPALIVE_SECONDS_MAX = 32_767;
const KEEPALIVE_PROBES_MAX = 127;

const seconds = (low: number, high: number, value: number, set: (ms: number) => void): 0 | Errno => {
  if (value < low || value > high) return 'EINVAL';
  set(value * 1000);
  return 0;
};

// Linux shows twice of what was set, for its own bookkeeping.
const sendBuffer = setting(
  (socket, value) => {
    socket.settings.sendLimit = Math.max(2 * value, SNDBUF_MIN);
    return 0;
  },
  ({ settings, connection, target }) =>
    settings.sendLimit || (connection?.sendLimit ?? target.profile.sendBufferInitial),
);

const receiveBuffer = setting(
  (socket, value) => {
    socket.settings.receiveLimit = Math.max(value, RCVBUF_MIN / 2);
    return 0;
  },
  ({ settings, connection, target }) =>
    2 * settings.receiveLimit || (connection?.receiveLimit ?? target.profile.receiveBufferInitial),
);

const HANDLERS: Partial<Readonly<Record<SocketOptionName, Handler>>> = {
  SO_REUSEADDR: remembered('SO_REUSEADDR'),
  SO_REUSEPORT: remembered('SO_REUSEPORT'),
  SO_PRIORITY: remembered('SO_PRIORITY'),
  SO_MARK: remembered('SO_MARK'),
  SO_DONTROUTE: remembered('SO_DONTROUTE'),
  SO_OOBINLINE: remembered('SO_OOBINLINE'),
  SO_RCVLOWAT: remembered('SO_RCVLOWAT', 1),
  SO_BUSY_POLL: remembered('SO_BUSY_POLL'),
  SO_INCOMING_CPU: remembered('SO_INCOMING_CPU'),
  SO_MAX_PACING_RATE: remembered('SO_MAX_PACING_RATE', 0xffff_ffff),
  SO_TYPE: readOnly(() => 1),
  SO_PROTOCOL: readOnly(() => 6),
  SO_DOMAIN: readOnly(({ domain }) => (domain === 'inet' ? 2 : 10)),
  SO_ACCEPTCONN: readOnly(({ listener }) => bool(listener !== null)),
  SO_ERROR: readOnly((socket) => {
    const error = socket.takeError();
    return error === null ? 0 : ERRNO[error];
  }),
  SO_SNDBUF: sendBuffer,
  SO_SNDBUFFORCE: sendBuffer,
  SO_RCVBUF: receiveBuffer,
  SO_RCVBUFFORCE: receiveBuffer,
  SO_KEEPALIVE: setting(
    ({ settings }, value) => {
      settings.keepAlive = value !== 0;
      return 0;
    },
    ({ settings }) => bool(settings.keepAlive),
  ),
  TCP_NODELAY: setting(
    ({ settings, connection }, value) => {
      settings.noDelay = value !== 0;
      // Even one that is set already pushes what waits.
      if (connection !== null) setNoDelay(connection.tcp, connection, value !== 0);
      return 0;
    },
    ({ settings }) => bool(settings.noDelay),
  ),
  TCP_CORK: setting(
    ({ settings }, value) => {
      settings.corked = value !== 0;
      return 0;
    },
    ({ settings }) => bool(settings.corked),
  ),
  TCP_MAXSEG: setting(
    ({ settings }, value) => {
      if (value !== 0 && (value < MSS_MIN || value > MSS_MAX)) return 'EINVAL';
      settings.userMss = value;
      return 0;
    },
    ({ settings, connection, listener }) => {
      if (connection === null || listener !== null || connection.state === 'CLOSED') return settings.userMss || 536;
      effectiveMss(connection);
      return connection.mss;
    },
  ),
  TCP_KEEPIDLE: setting(
    ({ settings }, value) => seconds(1, KEEPALIVE_SECONDS_MAX, value, (ms) => (settings.keepAliveIdle = ms)),
    ({ settings, target }) => (settings.keepAliveIdle || target.profile.keepAliveIdleMs) / 1000,
  ),
  TCP_KEEPINTVL: setting(
    ({ settings }, value) => seconds(1, KEEPALIVE_SECONDS_MAX, value, (ms) => (settings.keepAliveInterval = ms)),
    ({ settings, target }) => (settings.keepAliveInterval || target.profile.keepAliveIntervalMs) / 1000,
  ),
  TCP_KEEPCNT: setting(
    ({ settings }, value) => {
      if (value < 1 || value > KEEPALIVE_PROBES_MAX) return 'EINVAL';
      settings.keepAliveProbes = value;
      return 0;
    },
    ({ settings, target }) => settings.keepAliveProbes || target.profile.keepAliveProbes,
  ),
  TCP_SYNCNT: setting(
    ({ settings }, value) => {
      if (value < 1 || value > KEEPALIVE_PROBES_MAX) return 'EINVAL';
      settings.synRetries = value;
      return 0;
    },
    ({ settings, target }) => (settings.synRetries >= 0 ? settings.synRetries : target.profile.synRetries),
  ),
  TCP_LINGER2: setting(
    ({ settings }, value) => {
      settings.finWait2 = value < 0 ? -1 : value === 0 ? Number.NaN : 1000 * value;
      return 0;
    },
    ({ settings, target }) => (settings.finWait2 < 0 ? -1 : (settings.finWait2 || target.profile.finWait2Ms) / 1000),
  ),
  TCP_USER_TIMEOUT: setting(
    ({ settings }, value) => {
      if (value < 0) return 'EINVAL';
      settings.userTimeout = value;
      return 0;
    },
    ({ settings }) => settings.userTimeout,
  ),
  TCP_NOTSENT_LOWAT: setting(
    ({ settings }, value) => {
      settings.notSentLimit = value >>> 0;
      return 0;
    },
    ({ settings }) => settings.notSentLimit,
  ),
  TCP_WINDOW_CLAMP: setting(
    ({ settings }, value) => {
      settings.windowClamp = value;
      return 0;
    },
    ({ settings }) => settings.windowClamp,
  ),
  TCP_QUICKACK: {
    set: ({ connection }, value) => {
      if (connection === null) return 0;
      connection.pingPong = value === 0 ? 3 : 0;
      if (value !== 0 && connection.ackPending) {
        connection.ackNow = true;
        connection.tcp.wantsOutput(connection);
      }
      return 0;
    },
    get: ({ connection }) => bool(connection === null || connection.pingPong === 0),
  },
  TCP_INQ: {
    set: (socket, value) => {
      if (value < 0 || value > 1) return 'EINVAL';
      socket.switches.set('TCP_INQ', value);
      return 0;
    },
    get: (socket) => socket.switches.get('TCP_INQ') ?? 0,
  },
  SO_ZEROCOPY: {
    set: (socket, value) => {
      if (value < 0 || value > 1) return 'EINVAL';
      socket.switches.set('SO_ZEROCOPY', value);
      return 0;
    },
    get: (socket) => socket.switches.get('SO_ZEROCOPY') ?? 0,
  },
  SO_TIMESTAMPING: {
    set: (socket, value) => {
      socket.switches.set('SO_TIMESTAMPING', value);
      socket.errorQueue.setTimes(value, socket.connection);
      return 0;
    },
    get: (socket) => socket.switches.get('SO_TIMESTAMPING') ?? 0,
  },
  TCP_FASTOPEN: {
    set: (socket, value) => {
      if (value < 0 || socket.connection !== null) return 'EINVAL';
      socket.switches.set('TCP_FASTOPEN', value);
      if (socket.listener !== null) socket.listener.fastOpenMax = value;
      return 0;
    },
    get: (socket) => socket.switches.get('TCP_FASTOPEN') ?? 0,
  },
  TCP_FASTOPEN_CONNECT: {
    set: (socket, value) => {
      if (value < 0 || value > 1) return 'EINVAL';
      if ((socket.target.profile.fastOpen & FAST_OPEN_CLIENT) === 0) return 'EOPNOTSUPP';
      if (socket.connection !== null || socket.listener !== null) return 'EINVAL';
      socket.switches.set('TCP_FASTOPEN_CONNECT', value);
      return 0;
    },
    get: (socket) => socket.switches.get('TCP_FASTOPEN_CONNECT') ?? 0,
  },
  TCP_FASTOPEN_NO_COOKIE: setting(
    ({ settings, connection }, value) => {
      if (value < 0 || value > 1 || connection !== null) return 'EINVAL';
      settings.fastOpenWithoutCookie = value !== 0;
      return 0;
    },
    ({ settings }) => bool(settings.fastOpenWithoutCookie),
  ),
  IP_TOS: setting(
    ({ settings }, value) => {
      settings.tos = value & 0xff;
      return 0;
    },
    ({ settings }) => settings.tos,
  ),
  IPV6_TCLASS: setting(
    ({ settings }, value) => {
      settings.tos = value & 0xff;
      return 0;
    },
    ({ settings }) => settings.tos,
  ),
  IP_TTL: setting(
    ({ settings }, value) => {
      if (value !== -1 && (value < 1 || value > 255)) return 'EINVAL';
      settings.hopLimit = value === -1 ? 64 : value;
      return 0;
    },
    ({ settings }) => settings.hopLimit || 64,
  ),
  IPV6_UNICAST_HOPS: setting(
    ({ settings }, value) => {
      if (value < -1 || value > 255) return 'EINVAL';
      settings.hopLimit = value === -1 ? 64 : value;
      return 0;
    },
    ({ settings }) => settings.hopLimit || 64,
  ),
  IP_MTU: readOnly(({ connection }) => connection?.path.mtu ?? 0),
  IPV6_MTU: readOnly(({ connection }) => connection?.path.mtu ?? 0),
  IPV6_V6ONLY: remembered('IPV6_V6ONLY'),
  IP_FREEBIND: remembered('FREEBIND'),
  IPV6_FREEBIND: remembered('FREEBIND'),
  IP_TRANSPARENT: remembered('FREEBIND'),
  IP_BIND_ADDRESS_NO_PORT: remembered('IP_BIND_ADDRESS_NO_PORT'),
  IP_MTU_DISCOVER: remembered('MTU_DISCOVER', 1),
  IPV6_MTU_DISCOVER: remembered('MTU_DISCOVER', 1),
  IPV6_AUTOFLOWLABEL: remembered('IPV6_AUTOFLOWLABEL'),
};

/** Sets an option as Linux does. Throws Unsupported for one that changes what goes over the wire and is not built. */
export function setStackOption(socket: StackSocket, name: SocketOptionName, value: OptionValue): 0 | Errno {
  if (name === 'SO_LINGER') return setLinger(socket, value);
  if (name === 'TCP_CONGESTION') return setCongestion(socket, String(value));
  if (name === 'TCP_FASTOPEN_KEY') return setFastOpenKey(socket, String(value));
  const set = HANDLERS[name]?.set;
  if (set === undefined) throw new Unsupported(`setting ${name}`);
  return typeof value === 'number' ? set(socket, value) : 'EINVAL';
}

function setLinger(socket: StackSocket, value: OptionValue): 0 | Errno {
  if (typeof value !== 'object') return 'EINVAL';
  socket.settings.linger = value.onoff === 0 ? -1 : value.linger * 1000;
  socket.settingsChanged();
  return 0;
}

/** One key of 16 bytes, or two: the one that makes cookies, and one that is still good. */
function setFastOpenKey(socket: StackSocket, bytes: string): 0 | Errno {
  if (bytes.length !== FAST_OPEN_KEY_BYTES && bytes.length !== 2 * FAST_OPEN_KEY_BYTES) return 'EINVAL';
  const word = (at: number): number =>
    bytes.charCodeAt(at) |
    (bytes.charCodeAt(at + 1) << 8) |
    (bytes.charCodeAt(at + 2) << 16) |
    (bytes.charCodeAt(at + 3) << 24);
  const keys: Secret[] = [];
  for (let at = 0; at < bytes.length; at += FAST_OPEN_KEY_BYTES) {
    keys.push(new Secret([word(at), word(at + 4), word(at + 8), word(at + 12)]));
  }
  socket.fastOpenKeys = keys;
  if (socket.listener !== null) socket.listener.fastOpenKeys = keys;
  return 0;
}

function setCongestion(socket: StackSocket, name: string): 0 | Errno {
  if (!controllerNames().includes(name)) return 'ENOENT';
  socket.settings.congestion = name;
  socket.settingsChanged();
  return 0;
}

/** Reads an option as Linux does. */
export function getStackOption(socket: StackSocket, name: SocketOptionName): OptionValue | { readonly error: Errno } {
  if (name === 'SO_LINGER') {
    const { linger } = socket.settings;
    return { onoff: bool(linger >= 0), linger: Math.max(0, linger / 1000) };
  }
  if (name === 'TCP_CONGESTION') return socket.settings.congestion || socket.target.profile.congestion;
  const get = HANDLERS[name]?.get;
  if (get === undefined) throw new Unsupported(`reading ${name}`);
  return get(socket);
}
