import { memoryPair } from '../../../device/memory';
import { parseAddress, parseCidr } from '../../../stack/base/address';
import { UsageError } from '../../../tools/exit';
import { openWire } from '../../../tools/wire';
import type { WireOptions } from '../../../tools/wire-options';

jest.mock('../../../device/tun', () => ({ openTun: jest.fn(), openTap: jest.fn() }));
jest.mock('../../../device/packet', () => ({ openPacket: jest.fn() }));

const cidr = (text: string) => parseCidr(text)!;
const [stack, kernel] = [[cidr('203.0.113.2/24')], [cidr('203.0.113.1/24')]];

/** What is said of a wire that cannot be: before anything is opened. */
function refusal(options: Partial<WireOptions>): string {
  try {
    openWire({ offload: true, ...options }, null).close();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  return 'opened';
}

test.each<[string, Partial<WireOptions>, RegExp]>([
  ['two wires', { tun: 't0', tap: 't1' }, /^--tun and --tap exclude each other/],
  [
    'the kernel elsewhere',
    { tun: 't0', address: stack, hostAddress: [cidr('10.1.0.1/24')] },
    /10\.1\.0\.1\/24 \(--host-address\) is in no subnet of the stack's, 203\.0\.113\.2\/24: give both one subnet/,
  ],
  ['one address twice', { tap: 't0', address: stack, hostAddress: stack }, /203\.0\.113\.2\/24 cannot be both/],
  [
    'a gateway beyond the link',
    { tun: 't0', address: stack, gateway: parseAddress('9.9.9.9')! },
    /^--gateway 9\.9\.9\.9 is in no subnet/,
  ],
  [
    'the same in memory',
    { forward: { host: '127.0.0.1', port: 0 }, address: stack, gateway: parseAddress('9.9.9.9')! },
    /^--gateway/,
  ],
  ['an MTU of somebody else', { packet: 'eth9', address: stack, mtu: 1000 }, /ip link set eth9 mtu 1000$/],
  ["the kernel's own addresses", { packet: 'eth9', address: stack, hostAddress: kernel }, /says nothing with --packet/],
  ['more than a place', { network: stack[0], address: [...stack, ...stack] }, /at most one --address$/],
  [
    'a link too narrow for IPv6',
    { tun: 't0', address: [cidr('fd00::2/64')], mtu: 1279 },
    /1279 is too small for fd00::2\/64/,
  ],
  ['half an address plan', { tunFd: 3, hostAddress: kernel }, /needs --address too/],
])('%s: one line that names the cure', (_what, options, message) => {
  expect(refusal(options)).toMatch(message);
});

test('what fits together is opened', () => {
  const forward = { host: '127.0.0.1', port: 0 };
  expect(refusal({ forward, address: stack, hostAddress: kernel, gateway: kernel[0]!.address })).toBe('opened');
  const { openTun } = jest.requireMock<{ openTun: jest.Mock }>('../../../device/tun');
  openTun.mockReturnValueOnce(memoryPair()[0]);
  expect(refusal({ tun: 't0', address: stack, hostAddress: [cidr('203.0.113.1/16')] })).toBe('opened');
});
