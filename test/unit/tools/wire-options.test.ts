import { Command } from 'commander';
import { parseCidr } from '../../../stack/base/address';
import { UsageError } from '../../../tools/exit';
import { addWireOptions, hostAddresses, hostPort, hostPortText, integer } from '../../../tools/wire-options';

const cidr = (text: string) => parseCidr(text)!;

test.each([
  ['127.0.0.1:8077', '127.0.0.1:8077'],
  [':80', '127.0.0.1:80'],
  ['[::1]:0', '[::1]:0'],
  ['localhost:65535', 'localhost:65535'],
])('%s is %s', (text, shown) => {
  expect(hostPortText(hostPort(text))).toBe(shown);
});

test.each(['80', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '::1:80', '[::1]', 'a:b', ''])(
  '"%s" is refused',
  (text) => {
    expect(() => hostPort(text)).toThrow('Give HOST:PORT');
  },
);

test('whole numbers only', () => {
  const parse = integer(1, 10);
  expect([parse('1'), parse('10')]).toEqual([1, 10]);
  for (const text of ['0', '11', '-1', '1.5', '1e1', '', ' 1', '0x1'])
    expect(() => parse(text)).toThrow('from 1 to 10');
});

test.each([
  ['10.77.0.2/24', '10.77.0.1/24'],
  ['10.77.0.1/24', '10.77.0.2/24'],
  ['10.77.0.200/25', '10.77.0.129/25'],
  ['192.168.255.9/16', '192.168.0.1/16'],
  ['10.0.0.1/30', '10.0.0.2/30'],
  ['fd77::2/64', 'fd77::1/64'],
  ['fd77::1/64', 'fd77::2/64'],
])('the kernel beside %s gets %s', (mine, theirs) => {
  expect(hostAddresses([cidr(mine)], undefined).map(String)).toEqual([theirs]);
});

test('an address alone leaves the kernel none', () => {
  expect(() => hostAddresses([cidr('10.0.0.1/32')], undefined)).toThrow(UsageError);
  expect(hostAddresses([cidr('10.0.0.1/32')], [cidr('10.9.9.9/24')]).map(String)).toEqual(['10.9.9.9/24']);
});

test.each(['', 'a/b', 'a b', 'a:b', '.', '..', 'sixteen-letters-'])('"%s" names no interface', (name) => {
  const command = addWireOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  expect(() => command.parse(['--tun', name], { from: 'user' })).toThrow('Give a name of at most 15 bytes');
});
