import { DeviceError, explain, isSystemError } from '../../../device/errors';
import { NativeUnavailable } from '../../../device/native';
import { openPacket } from '../../../device/packet';
import { openRaw } from '../../../device/raw';
import { openTap, openTun } from '../../../device/tun';

const failed = (syscall: string, code: string): Error =>
  Object.assign(new Error(`${code}: the system's words, ${syscall}`), { code, errno: -1, syscall });

describe('explain', () => {
  test.each([
    ['open', 'ENOENT', /does not exist.*modprobe tun/],
    ['open', 'EACCES', /may not open \/dev\/net\/tun.*sudo/],
    ['TUNSETIFF', 'EPERM', /sudo.*unshare -Urn.*ip tuntap add dev lab0 mode tap user USER.*--tun-fd/],
    ['TUNSETIFF', 'EBUSY', /another program.*another name/],
    ['TUNSETIFF', 'EINVAL', /not a tap device.*ip -d link show lab0/],
    ['TUNGETIFF', 'EBADF', /no such descriptor/],
    ['netlink', 'EPERM', /CAP_NET_ADMIN.*sudo/],
    ['socket', 'EPERM', /CAP_NET_RAW.*sudo/],
    ['SIOCGIFINDEX', 'ENODEV', /no such interface/],
  ])('%s %s: one line with cause and cure', (syscall, code, words) => {
    const error = explain(failed(syscall, code), 'Cannot open TAP device lab0', 'lab0', 'tap') as DeviceError;
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.message).toMatch(words);
    expect(error.message).toMatch(/^Cannot open TAP device lab0: .* \(E\w+\)\. .*\.$/);
    expect(error.message).not.toMatch(/\n|NAME|MODE/);
    expect(error).toMatchObject({ code, errno: -1, syscall, name: 'DeviceError' });
    expect(error.message.endsWith(error.cure)).toBe(true);
  });

  test("of an unknown failure keeps the system's words", () => {
    const error = explain(failed('TUNSETIFF', 'EXDEV'), 'Cannot open', '', 'tun') as DeviceError;
    expect(error.message).toMatch(/^Cannot open: TUNSETIFF failed, the system's words \(EXDEV\)\. /);
  });

  test('leaves mistakes of the program alone', () => {
    const mistake = new TypeError('no');
    expect(explain(mistake, 'Cannot open', '', 'tun')).toBe(mistake);
    expect([isSystemError(mistake), isSystemError(null), isSystemError('EPERM')]).toEqual([false, false, false]);
  });
});

test('an unavailable addon is a DeviceError of its own class', () => {
  const error = new NativeUnavailable({ what: 'a', cause: 'b', code: 'ERR_TAPWIRE_NATIVE', cure: 'c.' });
  expect(error).toBeInstanceOf(DeviceError);
  expect([error.name, error.message]).toEqual(['NativeUnavailable', 'a: b (ERR_TAPWIRE_NATIVE). c.']);
});

describe('options are refused before anything is opened', () => {
  test.each([
    { name: 'a name that is too long' },
    { name: 'a b' },
    { name: 'a/b' },
    { name: '..' },
    { hostAddress: '10.0.0.1/33' },
    { address: '10.0.0.2/24', hostAddress: '10.0.0.2/24' },
    { routes: ['nowhere'] },
    { mtu: 67 },
    { mtu: 65_536 },
    { mtu: 1279, address: 'fd00::2/64' },
    { mtu: 1279, hostAddress: 'fd00::1/64' },
    { queueLength: -1 },
    { fd: -1 },
    { fd: 1.5 },
    { fd: 3, name: 'tun0' },
  ])('openTun(%j)', (options) => {
    expect(() => openTun(options)).toThrow(/name|address|mtu|queueLength|fd|cannot be both/);
  });

  test.each([{ mac: '01:00:00:00:00:01' }, { hostMac: 'x' }])('openTap(%j)', (options) => {
    expect(() => openTap(options)).toThrow(TypeError);
  });

  test.each([{ interface: '' }, { interface: 'a name that is too long' }, { interface: 'lo', mac: 'x' }])(
    'openPacket(%j)',
    (options) => {
      expect(() => openPacket(options)).toThrow(TypeError);
    },
  );

  test.each([
    { address: [] },
    { address: 'fd00::1' },
    { address: '10.0.0.1', mtu: 20 },
    { address: '10.0.0.1', queueFrames: 0 },
  ])('openRaw(%j)', (options) => {
    expect(() => openRaw(options)).toThrow(/IPv4|mtu|queueFrames/);
  });
});
