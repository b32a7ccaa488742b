/** What a DeviceError is made of. */
export interface DeviceTrouble {
  /** What did not work: "Cannot open tap0". */
  readonly what: string;
  /** Why, without a full stop. */
  readonly cause: string;
  /** The system's code (EPERM) or one of ours (ERR_TAPWIRE_…). */
  readonly code: string;
  /** What to do about it: whole sentences. */
  readonly cure: string;
  readonly errno?: number;
  readonly syscall?: string;
}

/** A device could not be opened or set up. The message is one line: what, why, and the cure. */
export class DeviceError extends Error {
  readonly code: string;
  /** Negative, as in Node; absent when no system call failed. */
  readonly errno: number | undefined;
  readonly syscall: string | undefined;
  /** The cure alone, for programs that lay messages out themselves. */
  readonly cure: string;

  constructor(trouble: DeviceTrouble) {
    super(`${trouble.what}: ${trouble.cause} (${trouble.code}). ${trouble.cure}`);
    this.name = new.target.name;
    this.code = trouble.code;
    this.errno = trouble.errno;
    this.syscall = trouble.syscall;
    this.cure = trouble.cure;
  }
}

/** An Error with the fields that Node and the addon give to a failed system call. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** Whether a system call failed, as opposed to a mistake in the program. */
export function isSystemError(error: unknown): error is SystemError {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'errno' in error && 'code' in error;
}

const WITHOUT_ROOT =
  'Run it with sudo; or in a network of its own without root, `unshare -Urn node …`; or let root make the device once, ' +
  '`ip tuntap add dev NAME mode MODE user USER`; or pass a descriptor that a privileged parent opened (`fd`, --tun-fd).';

/** What each failure of each call means here, and what to do. NAME and MODE are filled in. */
const CAUSES: Readonly<Record<string, readonly [cause: string, cure: string]>> = {
  'open ENOENT': [
    '/dev/net/tun does not exist',
    'Load the driver with `modprobe tun`; give a container the device with `--device /dev/net/tun`.',
  ],
  'open ENODEV': ['the kernel has no TUN driver', 'Load it with `modprobe tun`.'],
  'open ENXIO': ['the kernel has no TUN driver', 'Load it with `modprobe tun`.'],
  'open EACCES': [
    'this user may not open /dev/net/tun',
    'Run it with sudo, or open the node to all once with `chmod 0666 /dev/net/tun` (a user still needs an own device or network).',
  ],
  'open EPERM': ['/dev/net/tun is forbidden here', 'Give the container the device: `--device /dev/net/tun`.'],
  'open EMFILE': ['the process has too many open files', 'Raise `ulimit -n`, or close devices that are not used.'],
  'TUNSETIFF EPERM': ['this user may not make or open the interface', WITHOUT_ROOT],
  'TUNSETIFF EBUSY': [
    'another program has the interface open',
    'Choose another name, or stop that program; to share the interface open it with multiQueue everywhere.',
  ],
  'TUNSETIFF EINVAL': [
    'an interface of that name exists and is not a MODE device with the same multiQueue setting',
    'Choose another name; `ip -d link show NAME` tells what it is.',
  ],
  'TUNSETIFF EEXIST': ['an interface of that name exists', 'Choose another name.'],
  'TUNSETIFF E2BIG': ['the interface has all the queues that the kernel allows', 'Close one of them.'],
  'TUNGETIFF EBADF': ['no such descriptor is open', 'Pass it in the parent: `stdio: [0, 1, 2, tunFd]`, then use 3.'],
  'TUNGETIFF ENOTTY': ['the descriptor is not a TUN or TAP device', 'Check which number the parent gave it.'],
  'TUNGETIFF EINVAL': ['the descriptor is not a TUN or TAP device', 'Check which number the parent gave it.'],
  'TUNGETIFF EPROTOTYPE': ['the descriptor is the other kind of device', 'TUN is opened by openTun, TAP by openTap.'],
  'TUNGETIFF ENOTSUP': ['the descriptor was opened without IFF_NO_PI', 'Let the parent set IFF_NO_PI with TUNSETIFF.'],
  'TUNGETIFF EBADFD': ['the descriptor has no interface yet', 'Attach it with TUNSETIFF before handing it over.'],
  'uv_poll_init EEXIST': ['this process already uses the descriptor', 'Open a device for it once only.'],
  'netlink EPERM': [
    'setting up the interface needs CAP_NET_ADMIN',
    `${WITHOUT_ROOT} A device that is there already root sets up once, with the kernel's address as it is asked for here: ` +
      '`ip addr add 10.77.0.1/24 dev NAME`, `ip link set NAME up`.',
  ],
  'netlink EADDRNOTAVAIL': ['the kernel refuses the address', 'Is IPv6 switched off (net.ipv6.conf.*.disable_ipv6)?'],
  'netlink EACCES': ['the kernel refuses the address', 'Is IPv6 switched off (net.ipv6.conf.*.disable_ipv6)?'],
  'netlink ENODEV': ['no such interface is in this network namespace', 'Check the name with `ip link`.'],
  'socket EPERM': [
    'a packet socket needs CAP_NET_RAW',
    'Run it with sudo, or in a network of its own without root: `unshare -Urn node …`.',
  ],
  'SIOCGIFINDEX ENODEV': ['no such interface is in this network namespace', 'Check the name with `ip link`.'],
  'SIOCGIFHWADDR EPROTONOSUPPORT': ['the interface does not carry Ethernet frames', 'Use a TUN device instead.'],
};

/**
 * Turns a failed system call into the one line that a person needs. Anything else is returned as it is.
 *
 * @param mode 'tun' or 'tap', for the cure.
 */
export function explain(error: unknown, what: string, name: string, mode: string): unknown {
  if (!isSystemError(error)) return error;
  const known = CAUSES[`${error.syscall} ${error.code}`];
  const fill = (text: string): string => text.replaceAll('NAME', name || `${mode}0`).replaceAll('MODE', mode);
  return new DeviceError({
    what,
    cause: known ? fill(known[0]) : `${error.syscall} failed, ${error.message.replace(/^E\w+: |, \w+$/g, '')}`,
    code: error.code,
    cure: known ? fill(known[1]) : "The system's own words are all that is known; `dmesg` may tell more.",
    errno: error.errno,
    syscall: error.syscall,
  });
}
