/** Error numbers of Linux by name. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
  ESPIPE: 29,
  EPIPE: 32,
  EDOM: 33,
  ENOMSG: 42,
  EPROTO: 71,
  EOVERFLOW: 75,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  ENONET: 64,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
} as const;

/** The name of an error, as a failed call gives it. */
export type Errno = keyof typeof ERRNO;

const ERRNO_ALIASES: Readonly<Record<string, Errno>> = {
  EWOULDBLOCK: 'EAGAIN',
  ENOTSUP: 'EOPNOTSUPP',
  EDEADLOCK: 'EBUSY',
};

/** The name under which an error is known here; null for a word that names none. */
export function errnoOf(word: string): Errno | null {
  if (Object.hasOwn(ERRNO_ALIASES, word)) return ERRNO_ALIASES[word]!;
  return Object.hasOwn(ERRNO, word) ? (word as Errno) : null;
}

export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_TCP = 6;
const SOL_UDP = 17;
export const SOL_IPV6 = 41;

/** Socket options: level and number. The names are unique across levels. */
export const SOCKET_OPTIONS = {
  SO_REUSEADDR: [SOL_SOCKET, 2],
  SO_TYPE: [SOL_SOCKET, 3],
  SO_ERROR: [SOL_SOCKET, 4],
  SO_DONTROUTE: [SOL_SOCKET, 5],
  SO_BROADCAST: [SOL_SOCKET, 6],
  SO_SNDBUF: [SOL_SOCKET, 7],
  SO_RCVBUF: [SOL_SOCKET, 8],
  SO_KEEPALIVE: [SOL_SOCKET, 9],
  SO_OOBINLINE: [SOL_SOCKET, 10],
  SO_PRIORITY: [SOL_SOCKET, 12],
  SO_LINGER: [SOL_SOCKET, 13],
  SO_REUSEPORT: [SOL_SOCKET, 15],
  SO_RCVLOWAT: [SOL_SOCKET, 18],
  SO_SNDLOWAT: [SOL_SOCKET, 19],
  SO_RCVTIMEO: [SOL_SOCKET, 20],
  SO_SNDTIMEO: [SOL_SOCKET, 21],
  SO_TIMESTAMP: [SOL_SOCKET, 29],
  SO_ACCEPTCONN: [SOL_SOCKET, 30],
  SO_SNDBUFFORCE: [SOL_SOCKET, 32],
  SO_RCVBUFFORCE: [SOL_SOCKET, 33],
  SO_TIMESTAMPNS: [SOL_SOCKET, 35],
  SO_MARK: [SOL_SOCKET, 36],
  SO_TIMESTAMPING: [SOL_SOCKET, 37],
  SO_PROTOCOL: [SOL_SOCKET, 38],
  SO_DOMAIN: [SOL_SOCKET, 39],
  SO_BUSY_POLL: [SOL_SOCKET, 46],
  SO_MAX_PACING_RATE: [SOL_SOCKET, 47],
  SO_INCOMING_CPU: [SOL_SOCKET, 49],
  SO_ZEROCOPY: [SOL_SOCKET, 60],
  TCP_NODELAY: [SOL_TCP, 1],
  TCP_MAXSEG: [SOL_TCP, 2],
  TCP_CORK: [SOL_TCP, 3],
  TCP_KEEPIDLE: [SOL_TCP, 4],
  TCP_KEEPINTVL: [SOL_TCP, 5],
  TCP_KEEPCNT: [SOL_TCP, 6],
  TCP_SYNCNT: [SOL_TCP, 7],
  TCP_LINGER2: [SOL_TCP, 8],
  TCP_DEFER_ACCEPT: [SOL_TCP, 9],
  TCP_WINDOW_CLAMP: [SOL_TCP, 10],
  TCP_INFO: [SOL_TCP, 11],
  TCP_QUICKACK: [SOL_TCP, 12],
  TCP_CONGESTION: [SOL_TCP, 13],
  TCP_MD5SIG: [SOL_TCP, 14],
  TCP_THIN_LINEAR_TIMEOUTS: [SOL_TCP, 16],
  TCP_THIN_DUPACK: [SOL_TCP, 17],
  TCP_USER_TIMEOUT: [SOL_TCP, 18],
  TCP_REPAIR: [SOL_TCP, 19],
  TCP_FASTOPEN: [SOL_TCP, 23],
  TCP_TIMESTAMP: [SOL_TCP, 24],
  TCP_NOTSENT_LOWAT: [SOL_TCP, 25],
  TCP_CC_INFO: [SOL_TCP, 26],
  TCP_SAVE_SYN: [SOL_TCP, 27],
  TCP_SAVED_SYN: [SOL_TCP, 28],
  TCP_FASTOPEN_CONNECT: [SOL_TCP, 30],
  TCP_ULP: [SOL_TCP, 31],
  TCP_FASTOPEN_KEY: [SOL_TCP, 33],
  TCP_FASTOPEN_NO_COOKIE: [SOL_TCP, 34],
  TCP_ZEROCOPY_RECEIVE: [SOL_TCP, 35],
  TCP_INQ: [SOL_TCP, 36],
  TCP_TX_DELAY: [SOL_TCP, 37],
  IP_TOS: [SOL_IP, 1],
  IP_TTL: [SOL_IP, 2],
  IP_MTU_DISCOVER: [SOL_IP, 10],
  IP_RECVERR: [SOL_IP, 11],
  IP_MTU: [SOL_IP, 14],
  IP_FREEBIND: [SOL_IP, 15],
  IP_TRANSPARENT: [SOL_IP, 19],
  IP_BIND_ADDRESS_NO_PORT: [SOL_IP, 24],
  IPV6_UNICAST_HOPS: [SOL_IPV6, 16],
  IPV6_MTU_DISCOVER: [SOL_IPV6, 23],
  IPV6_MTU: [SOL_IPV6, 24],
  IPV6_RECVERR: [SOL_IPV6, 25],
  IPV6_V6ONLY: [SOL_IPV6, 26],
  IPV6_AUTOFLOWLABEL: [SOL_IPV6, 70],
  IPV6_TCLASS: [SOL_IPV6, 67],
  IPV6_FREEBIND: [SOL_IPV6, 78],
} as const;

/** The name of a socket option. */
export type SocketOptionName = keyof typeof SOCKET_OPTIONS;

export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_ZEROCOPY = 0x400_0000;
/** How the calls that move data without copying it ask a socket. */
export const MSG_SPLICE_PAGES = 0x800_0000;
export const MSG_FASTOPEN = 0x2000_0000;

export const POLLIN = 0x1;
export const POLLPRI = 0x2;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 0x1000_0000;
export const EPOLLONESHOT = 0x4000_0000;
export const EPOLLET = 0x8000_0000;

export const O_RDWR = 0x2;
export const O_NONBLOCK = 0x800;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = 0x8_0000;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const F_GETFL = 3;
export const F_SETFL = 4;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
const SHUT_RDWR = 2;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
export const SIOCOUTQNSD = 0x894b;
export const FIONBIO = 0x5421;

const SIMPLE: Readonly<Record<string, number>> = {
  NULL: 0,
  AF_UNSPEC,
  AF_INET,
  AF_INET6,
  PF_INET: AF_INET,
  PF_INET6: AF_INET6,
  SOCK_STREAM,
  SOCK_DGRAM,
  SOCK_RAW: 3,
  SOCK_NONBLOCK,
  SOCK_CLOEXEC,
  IPPROTO_IP: 0,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_IPV6: 41,
  IPPROTO_ICMPV6: 58,
  SOL_IP,
  SOL_SOCKET,
  SOL_TCP,
  SOL_UDP,
  SOL_IPV6,
  MSG_OOB,
  MSG_PEEK,
  MSG_DONTROUTE: 0x4,
  MSG_CTRUNC: 0x8,
  MSG_TRUNC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_WAITALL,
  MSG_FIN: 0x200,
  MSG_SYN: 0x400,
  MSG_CONFIRM: 0x800,
  MSG_RST: 0x1000,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_MORE,
  MSG_WAITFORONE: 0x1_0000,
  MSG_ZEROCOPY,
  MSG_FASTOPEN,
  POLLIN,
  POLLPRI,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL,
  POLLRDNORM: 0x40,
  POLLWRNORM: 0x100,
  POLLRDHUP,
  EPOLLIN: POLLIN,
  EPOLLPRI: POLLPRI,
  EPOLLOUT: POLLOUT,
  EPOLLERR: POLLERR,
  EPOLLHUP: POLLHUP,
  EPOLLRDNORM: 0x40,
  EPOLLWRNORM: 0x100,
  EPOLLRDHUP: POLLRDHUP,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  EPOLLET,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_CLOEXEC: 0x8_0000,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR,
  O_CREAT: 0x40,
  O_TRUNC: 0x200,
  O_NONBLOCK,
  O_NDELAY: O_NONBLOCK,
  O_CLOEXEC: 0x8_0000,
  F_GETFL,
  F_SETFL,
  SHUT_RD,
  SHUT_WR,
  SHUT_RDWR,
  SIOCINQ,
  FIONREAD: SIOCINQ,
  SIOCOUTQ,
  TIOCOUTQ: SIOCOUTQ,
  SIOCOUTQNSD,
  FIONBIO,
  SPLICE_F_MOVE: 1,
  SPLICE_F_NONBLOCK: 2,
  SPLICE_F_MORE: 4,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IP_PMTUDISC_PROBE: 3,
  IPV6_PMTUDISC_DONT: 0,
  IPV6_PMTUDISC_WANT: 1,
  IPV6_PMTUDISC_DO: 2,
  IPV6_PMTUDISC_PROBE: 3,
  SO_EE_ORIGIN_NONE: 0,
  SO_EE_ORIGIN_LOCAL: 1,
  SO_EE_ORIGIN_ICMP: 2,
  SO_EE_ORIGIN_ICMP6: 3,
  SO_EE_ORIGIN_TIMESTAMPING: 4,
  SO_EE_ORIGIN_ZEROCOPY: 5,
  SO_EE_CODE_ZEROCOPY_COPIED: 1,
  SCM_TIMESTAMPING: 37,
  SCM_TSTAMP_SND: 0,
  SCM_TSTAMP_SCHED: 1,
  SCM_TSTAMP_ACK: 2,
  TCP_CM_INQ: 36,
  SOF_TIMESTAMPING_TX_HARDWARE: 0x1,
  SOF_TIMESTAMPING_TX_SOFTWARE: 0x2,
  SOF_TIMESTAMPING_RX_HARDWARE: 0x4,
  SOF_TIMESTAMPING_RX_SOFTWARE: 0x8,
  SOF_TIMESTAMPING_SOFTWARE: 0x10,
  SOF_TIMESTAMPING_SYS_HARDWARE: 0x20,
  SOF_TIMESTAMPING_RAW_HARDWARE: 0x40,
  SOF_TIMESTAMPING_OPT_ID: 0x80,
  SOF_TIMESTAMPING_TX_SCHED: 0x100,
  SOF_TIMESTAMPING_TX_ACK: 0x200,
  SOF_TIMESTAMPING_OPT_CMSG: 0x400,
  SOF_TIMESTAMPING_OPT_TSONLY: 0x800,
  SOF_TIMESTAMPING_OPT_STATS: 0x1000,
};

/** The number that a word of the script stands for on Linux, or null. */
export function constant(word: string): number | null {
  if (Object.hasOwn(SIMPLE, word)) return SIMPLE[word]!;
  const errno = errnoOf(word);
  if (errno !== null) return ERRNO[errno];
  return Object.hasOwn(SOCKET_OPTIONS, word) ? SOCKET_OPTIONS[word as SocketOptionName][1] : null;
}

/** The name of the option with a level and a number, or null. */
export function socketOption(level: number, number: number): SocketOptionName | null {
  for (const [name, [itsLevel, itsNumber]] of Object.entries(SOCKET_OPTIONS)) {
    if (itsLevel === level && itsNumber === number) return name as SocketOptionName;
  }
  return null;
}

/** Names that code blocks may use beside `tcpi_*`: states, congestion states and flags of TCP_INFO on Linux. */
export const CODE_CONSTANTS: Readonly<Record<string, number>> = {
  TCP_ESTABLISHED: 1,
  TCP_SYN_SENT: 2,
  TCP_SYN_RECV: 3,
  TCP_FIN_WAIT1: 4,
  TCP_FIN_WAIT2: 5,
  TCP_TIME_WAIT: 6,
  TCP_CLOSE: 7,
  TCP_CLOSE_WAIT: 8,
  TCP_LAST_ACK: 9,
  TCP_LISTEN: 10,
  TCP_CLOSING: 11,
  TCP_CA_Open: 0,
  TCP_CA_Disorder: 1,
  TCP_CA_CWR: 2,
  TCP_CA_Recovery: 3,
  TCP_CA_Loss: 4,
  TCPI_OPT_TIMESTAMPS: 1,
  TCPI_OPT_SACK: 2,
  TCPI_OPT_WSCALE: 4,
  TCPI_OPT_ECN: 8,
  TCPI_OPT_ECN_SEEN: 16,
  TCPI_OPT_SYN_DATA: 32,
  TCPI_OPT_USEC_TS: 64,
  TCP_INFINITE_SSTHRESH: 0x7fff_ffff,
};
