import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { addressText, cidrText, contains, macText, parseCidr, parseMac } from '../../../device/cidr';

describe('parseCidr', () => {
  test.each([
    ['10.0.0.1/24', 4, [10, 0, 0, 1], 24],
    ['255.255.255.255', 4, [255, 255, 255, 255], 32],
    ['0.0.0.0/0', 4, [0, 0, 0, 0], 0],
    ['::/0', 6, new Array(16).fill(0), 0],
    ['fd00::1/64', 6, [0xfd, ...new Array(14).fill(0), 1], 64],
    ['::ffff:1.2.3.4', 6, [...new Array(10).fill(0), 255, 255, 1, 2, 3, 4], 128],
    ['1:2:3:4:5:6:7:8/128', 6, [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8], 128],
    ['1::', 6, [0, 1, ...new Array(14).fill(0)], 128],
  ])('%s', (text, family, address, prefix) => {
    expect(parseCidr(text)).toEqual({ family, address: Uint8Array.from(address), prefix });
  });

  test.each([
    '',
    '10.0.0.1/33',
    '10.0.0.1/',
    '10.0.0.1/24/1',
    '10.0.0/24',
    'fd00::1/129',
    'fe80::1%eth0/64',
    '::1::2',
    '10.0.0.1/-1',
    '10.0.0.1/1e1',
    ' 10.0.0.1',
    'localhost',
  ])('refuses "%s"', (text) => {
    expect(() => parseCidr(text)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });
});

describe('addressText', () => {
  // RFC 5952 §4: the longest run of zeros, the first of equals, never a single group.
  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8:0000:0001:0000:0001:0000:0001', '2001:db8:0:1:0:1:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['0:0:1:0:0:0:1:0', '0:0:1::1:0'],
    ['10.20.30.40', '10.20.30.40'],
  ])('%s is written %s', (long, short) => {
    expect(addressText(parseCidr(long).address)).toBe(short);
  });

  test('is read back as the same address', () => {
    const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.array(group, { minLength: 16, maxLength: 16 }),
        (four, six) => {
          for (const address of [four, Uint8Array.from(six)]) {
            expect(parseCidr(addressText(address)).address).toEqual(address);
          }
          expect(isIPv6(addressText(Uint8Array.from(six)))).toBe(true);
        },
      ),
      { seed: 1 },
    );
  });
});

test.each([
  ['10.0.0.1/24', '10.0.0.255', true],
  ['10.0.0.1/24', '10.0.1.0', false],
  ['10.0.0.0/9', '10.127.0.1', true],
  ['10.0.0.0/9', '10.128.0.1', false],
  ['0.0.0.0/0', '255.1.2.3', true],
  ['10.0.0.1/32', '10.0.0.1', true],
  ['10.0.0.1/32', '10.0.0.0', false],
  ['10.0.0.1/24', 'fd00::1', false],
  ['fd00::/63', 'fd00:0:0:1::9', true],
  ['fd00::/64', 'fd00:0:0:1::9', false],
])('%s contains %s: %s', (network, address, inside) => {
  expect(contains(parseCidr(network), parseCidr(address).address)).toBe(inside);
});

describe('link addresses', () => {
  test('are read and written', () => {
    expect(parseMac('02:aB:0:1:2:ff')).toEqual(Uint8Array.of(2, 0xab, 0, 1, 2, 255));
    expect(macText(Uint8Array.of(2, 0xab, 0, 1, 2, 255))).toBe('02:ab:00:01:02:ff');
    expect(cidrText(parseCidr('fd00:0::1/64'))).toBe('fd00::1/64');
  });

  test.each([
    '',
    '02:00:00:00:00',
    '02:00:00:00:00:00:00',
    '01:00:5e:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '02-00-00-00-00-01',
    'g2:0:0:0:0:1',
  ])('refuses "%s"', (text) => {
    expect(() => parseMac(text)).toThrow(TypeError);
  });
});
