import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inNamespace } from './device/namespace';

const ALL = { checksum: true, tso4: true, tso6: true };
const NONE = { checksum: false, tso4: false, tso6: false };
/** The usual node is root's alone; this one, for the namespace only, may be opened by all. */
const OPEN_NODE = {
  unshare: ['-m'],
  before:
    'n=$(mktemp -d) && mknod -m 0666 $n/tun c 10 200 && mount --bind $n/tun /dev/net/tun && rm -rf $n 2>/dev/null; :',
};

describe('TUN', () => {
  test('frames both ways, IPv4 and IPv6', () => {
    expect(inNamespace('tunBothWays')).toEqual({
      toStack: 'to the stack',
      toStackFlags: 3,
      toKernel: ['to the kernel', '10.0.0.2', 9],
      toStack6: 'six',
      toKernel6: 'six back',
      txFrames: 2,
      txBytes: 97,
      txErrors: 0,
      rxAtLeastTwo: true,
      device: { linkType: 'ip', mtu: 1500, mac: null, offloads: ALL },
    });
  });

  test('offload: partial checksums and segments above the MTU, both ways', () => {
    const seen = inNamespace('tunOffload') as Record<string, unknown>;
    expect(seen).toMatchObject({
      synFlags: 3,
      largeFlags: 3,
      largeIsWhatWasSent: true,
      segmentBytes: 1460,
      kernelGot: 0,
      txErrors: 0,
    });
    expect(seen['largeBytes']).toBeGreaterThanOrEqual(40 + 2 * 1460);
  });

  test('offload: a large frame is cut into the segments that it stands for', () => {
    expect(inNamespace('tunSegments')).toEqual({
      lengths: [1400, 1400, 1400, 1400, 1400, 1400, 1400, 200],
      numbers: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => 7000 + i * 1400),
      // CWR in the first alone, PSH in the last alone.
      flags: [0x90, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x18],
      checksums: new Array(8).fill(0xffff),
      whole: 0,
      errors: 0,
    });
  });

  test('without offload: complete checksums, and partial ones are refused', () => {
    expect(inNamespace('tunNoOffload')).toEqual({
      offloads: NONE,
      flags: 0,
      checksum: 0xffff,
      partialRefused: 1,
      queueLength: 5000,
    });
  });

  test('addresses, routes, MTU and queue length are set, and gone after close', () => {
    expect(inNamespace('addresses')).toEqual({
      up: {
        name: 'lab0',
        mtu: [1400, 1400],
        up: true,
        queueLength: 321,
        addresses: ['lab0', 'UNKNOWN', '10.0.0.1/24', '10.1.0.1/16', 'fd00::1/64'],
        routes: ['10.0.0.0/24', '10.1.0.0/16', '192.0.2.9', '198.51.100.0/24'],
        routes6: ['2001:db8::9', 'fd00::/64', 'fe80::/64'],
      },
      after: [['lo'], ''],
    });
  });

  test('a persistent interface stays, without what was set on it', () => {
    expect(inNamespace('persistent')).toEqual({
      before: 2,
      stays: true,
      during: [1, 2],
      after: [0, ''],
      gone: true,
    });
  });

  test('two queues share one interface', () => {
    expect(inNamespace('multiQueue')).toEqual({ total: 64, both: true, staysWithOne: true, gone: true });
  });

  test('frames that cannot be sent are refused and counted, and nothing is read outside of an arena', () => {
    expect(inNamespace('badFrames')).toEqual([
      [1, 0],
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
      [0, 0],
      [0, 0],
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
  });
});

describe('TAP', () => {
  test('Ethernet frames both ways, with the link addresses asked for', () => {
    expect(inNamespace('tapBothWays')).toEqual({
      to: '020000000007',
      from: '020000000008',
      ipAligned: true,
      payload: 'ethernet',
      message: 'back',
      linkType: 'ethernet',
      tentative: false,
      gone: true,
    });
  });

  test('without IPv6 the kernel sends nothing by itself', () => {
    expect(inNamespace('quiet')).toBe(0);
  });
});

describe('packet sockets', () => {
  test('frames both ways, VLAN tags kept, own frames not seen, too long ones counted', () => {
    expect(inNamespace('packets')).toEqual({
      same: 0,
      own: 0,
      vlan: 0,
      aligned: [0, 0],
      datagram: 'over the wire',
      flags: 3,
      message: 'and back',
      device: { name: 'left0', linkType: 'ethernet', mtu: 1500, mac: '020000000101', offloads: ALL },
      tooLong: [1, 1],
    });
  });

  test('down is a pause, removed is the end', () => {
    expect(inNamespace('packetDownAndGone')).toEqual({ got: [1, 3], failed: null, code: 'ENODEV', calls: 1 });
  });

  test('a full socket pushes back, and ready tells when there is room', () => {
    expect(inNamespace('packetPushBack')).toEqual({
      first: true,
      left: 0,
      calls: true,
      spurious: 0,
      afterwards: 0,
      errors: 0,
    });
  });

  test('an own link address is listened to', () => {
    expect(inNamespace('promiscuous')).toEqual({ during: true, after: false, mac: [2, 0, 0, 0, 9, 9] });
  });

  test('loopback', () => {
    expect(inNamespace('packetLoopback')).toEqual({ flags: 3, mtu: 65_535 });
  });
});

describe('readiness', () => {
  test('waiting packets come in bounded batches, in order, other events in between', () => {
    expect(inNamespace('batches')).toEqual({
      total: 400,
      inOrder: true,
      atMost: true,
      turns: [true, false, true, false],
    });
  });

  test('the device may be closed inside ready', () => {
    expect(inNamespace('closeInsideCallback')).toEqual({ calls: 1, gone: true });
  });

  test('what ready throws is an uncaught exception and nothing else', () => {
    expect(inNamespace('throwInsideCallback')).toEqual({ caught: ['from the host'], calledAgain: true });
  });

  test('an interface removed by somebody is told once', () => {
    expect(inNamespace('removed')).toEqual({
      calls: 1,
      code: 'ENODEV',
      message: 'The device gone0 stopped working: its interface was removed (ENODEV). Close it and open a new one.',
      taken: 1,
      txErrors: 1,
    });
  });
});

describe('life', () => {
  test('a hundred devices opened and closed leave no descriptor and no interface', () => {
    expect(inNamespace('cycles')).toEqual({ leaked: 0, interfaces: ['lo'] });
  });

  test('in worker threads, which end with the device open', () => {
    const one = (i: number): unknown[] => ['open', `to worker ${i}`, 1, true];
    expect(inNamespace('workers')).toEqual([...one(0), ...one(1), ...one(2)]);
  });

  test('a device kept open keeps the process alive, unless told not to', () => {
    expect(inNamespace('staysAlive')).toEqual({ endedBefore: false });
    expect(inNamespace('endsByItself')).toBe('ended');
    expect(inNamespace('exits')).toBe('exited');
  });

  test('a forgotten device is closed by the collector', () => {
    expect(inNamespace('collected', { node: ['--expose-gc'] })).toEqual({ open: 1, left: 0, gone: true });
  });
});

describe('without root', () => {
  test('a child gets the descriptor of its parent', () => {
    expect(inNamespace('inherited')).toEqual({
      child: { uid: 65_534, name: 'tun0', offloads: ALL, payload: 'to the child' },
      message: 'from the child',
      stays: true,
      gone: true,
    });
  });

  test('a persistent device is opened by its owner; all else names the cause and the cure', () => {
    const seen = inNamespace('owner', OPEN_NODE) as {
      stays: unknown[];
      attempts: Record<string, string>;
      support: unknown;
    };
    expect(seen.stays).toEqual([true, '10.0.0.1/24']);
    expect(seen.attempts['own']).toBe('own0 1 0');
    expect(seen.attempts['own, as it is']).toBe('own0 1 0');
    expect(seen.attempts['own, other address']).toMatch(/own0: setting up .* `ip addr add 10\.77\.0\.1\/24 dev own0`/);
    expect(seen.attempts['own, other mtu']).toMatch(/own0: setting up the interface needs CAP_NET_ADMIN \(EPERM\)/);
    expect(seen.attempts['new']).toMatch(
      /new0: this user may not make or open the interface \(EPERM\)\. Run it with sudo/,
    );
    expect(seen.attempts['packet']).toMatch(/lo: a packet socket needs CAP_NET_RAW \(EPERM\)/);
    expect(seen.support).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/EPERM/),
      cure: expect.stringMatching(/sudo/),
    });
  });

  test('a network namespace of the user', () => {
    expect(inNamespace('unprivilegedNamespace', OPEN_NODE)).toMatchObject({
      toStack: 'to the stack',
      toKernel6: 'six back',
    });
  });
});

describe('errors', () => {
  test('each is one line with the cause and the cure, and leaks nothing', () => {
    const seen = inNamespace('failures') as {
      messages: string[];
      leaked: number;
      interfaces: string[];
      heldWorks: number;
    };
    expect(seen.messages.map((message) => message.split(/(?<=\([A-Z_]+\))\./)[0])).toEqual([
      'Cannot open TUN device held0: another program has the interface open (EBUSY)',
      expect.stringMatching(
        /^Cannot open TUN device held1: an interface of that name exists and is not a tun .* \(EINVAL\)$/,
      ),
      expect.stringMatching(
        /^Cannot open TUN device lo: an interface of that name exists and is not a tun .* \(EINVAL\)$/,
      ),
      expect.stringMatching(/^Cannot use descriptor 0: the descriptor is not a TUN or TAP device \((ENOTTY|EINVAL)\)$/),
      'Cannot use descriptor 999: no such descriptor is open (EBADF)',
      expect.stringMatching(/^Cannot use descriptor \d+: the descriptor is the other kind of device \(EPROTOTYPE\)$/),
      expect.stringMatching(/^Cannot use descriptor \d+: this process already uses the descriptor \(EEXIST\)$/),
      'mtu is 1000, too small for fd00::1/64: IPv6 needs 1280 bytes',
      'Cannot open TUN device new0: the kernel refuses the address (EADDRNOTAVAIL)',
      'Cannot open interface nowhere0: no such interface is in this network namespace (ENODEV)',
      'Cannot open interface held0: the interface does not carry Ethernet frames (EPROTONOSUPPORT)',
    ]);
    expect(seen.messages.filter((message) => message.includes('\n') || /NAME|MODE/.test(message))).toEqual([]);
    expect(seen).toMatchObject({ leaked: 0, interfaces: ['held0', 'held1', 'lo'], heldWorks: 1 });
  });

  test('without the addon memory works, and the rest names the cure', () => {
    const cure = /`npm rebuild tapwire`/;
    expect(inNamespace('withoutAddon', { before: 'export TAPWIRE_PREBUILD=/nonexistent' })).toEqual({
      frames: 1,
      name: 'NativeUnavailable',
      code: 'ERR_TAPWIRE_NATIVE',
      message: expect.stringMatching(cure),
      support: {
        ok: false,
        reason: expect.stringMatching(/not available.*\(ERR_TAPWIRE_NATIVE\)\.$/),
        cure: expect.stringMatching(cure),
      },
    });
  });

  test('support is probed without making anything', () => {
    expect(inNamespace('support')).toEqual({ support: { ok: true, reason: '', cure: '' }, changed: 0 });
  });
});

/** An optional package, which needs a compiler to install. */
const rawSocket = existsSync(join(__dirname, '../../node_modules/raw-socket'));

(rawSocket ? describe : describe.skip)('raw sockets (skipped without the package raw-socket)', () => {
  test('TCP with the kernel as the peer', () => {
    expect(inNamespace('rawTcp')).toEqual({
      client: { outcome: 'connected', chunk: 'hello kernel' },
      flags: 1,
      data: 'hello raw',
      counters: expect.objectContaining({ txFrames: 2, txErrors: 0 }),
      linkType: 'ip',
      name: 'raw-10.7.0.1',
      offloads: NONE,
    });
  });

  test('a second protocol, back-pressure, and what cannot be sent', () => {
    expect(inNamespace('rawOthers')).toMatchObject({
      taken: [2, 2, 1],
      asked: true,
      replies: [0, 0],
      counters: { txFrames: 2, txErrors: 3 },
    });
  });

  test('without privileges the error names the cure', () => {
    expect(inNamespace('rawRefused')).toMatch(
      /^Cannot open raw sockets: this user may not .*\(EPERM\)\. Run it with sudo/,
    );
  });
});

describe('the interface of tuntap2', () => {
  test('properties', () => {
    expect(inNamespace('tuntap2Properties')).toEqual({
      before: ['tun0', true, false, false, null, null, 1500, ''],
      shown: ['tun0', 'UNKNOWN', '10.0.1.100/16', 'abcd:1:2:3::/64'],
      after: [true, '10.0.1.100/16', 'abcd:1:2:3::/64', 1400, 1400],
      down: false,
      errors: [
        'a TUN device has no link address',
        '"fd00::1/64" is not an IPv4 address with a prefix length',
        expect.stringMatching(/^Cannot set up tun0: .*\(EINVAL\)$/),
      ],
      tap: ['tap0', true, '00:11:22:33:44:55'],
      gone: 'ENODEV',
      interfaces: ['lo'],
    });
  });

  test('a Duplex of frames', () => {
    expect(inNamespace('tuntap2Frames')).toEqual({
      payloads: ['frame 0', 'frame 1', 'frame 2', 'frame 3', 'frame 4', 'while paused'],
      paused: 5,
      message: 'written',
      gone: true,
    });
  });

  test('errors', () => {
    expect(inNamespace('tuntap2Errors')).toEqual({
      outcomes: [
        'Cannot send on TUN: the kernel refused a frame of 20 bytes (EIO)',
        'Cannot send on TUN: the kernel refused a frame of 20 bytes (EIO)',
        'a frame of 200000 bytes is too long',
        'The device TUN stopped working: its interface was removed (ENODEV)',
      ],
      interfaces: ['lo'],
    });
  });
});
