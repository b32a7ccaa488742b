import fc from 'fast-check';
import { Address, LOOPBACK_V4, LOOPBACK_V6, parseAddress, parseCidr } from '../../../../stack/base/address';

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe('text', () => {
  test.each([
    '0.0.0.0',
    '255.255.255.255',
    '127.0.0.1',
    '::',
    '::1',
    '1::',
    'fe80::1',
    '2001:db8::1:0:0:1',
    '2001:db8:0:1:1:1:1:1',
    '::ffff:192.0.2.1',
    'ff02::1:ff00:1',
  ])('%s is read and written', (text) => {
    expect(String(parseAddress(text))).toBe(text);
  });

  test.each([
    ['2001:DB8::A', '2001:db8::a'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('RFC 5952: %s is written %s', (text, canonical) => {
    expect(String(parseAddress(text))).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '-1.2.3.4',
    '1.2.3.0x4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    'g::1',
    '12345::1',
    '::1.2.3',
    '1.2.3.4::',
    'fe80::1%eth0',
    'localhost',
  ])('"%s" is no address', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  test('every address survives being written and read', () => {
    fc.assert(
      fc.property(word, word, word, word, (w0, w1, w2, w3) => {
        const six = new Address(6, w0, w1, w2, w3);
        const again = parseAddress(String(six))!;
        expect([again.w0, again.w1, again.w2, again.w3]).toEqual([w0, w1, w2, w3]);
        const four = Address.v4(w3);
        expect(parseAddress(String(four))!.equals(four)).toBe(true);
      }),
    );
  });
});

describe('kinds', () => {
  test.each([
    ['224.0.0.1', 'isMulticast'],
    ['239.255.255.255', 'isMulticast'],
    ['ff02::1', 'isMulticast'],
    ['127.3.2.1', 'isLoopback'],
    ['::1', 'isLoopback'],
    ['0.0.0.0', 'isUnspecified'],
    ['::', 'isUnspecified'],
    ['169.254.1.1', 'isLinkLocal'],
    ['fe80::1', 'isLinkLocal'],
    ['febf::1', 'isLinkLocal'],
    ['255.255.255.255', 'isLimitedBroadcast'],
  ] as const)('%s %s, 192.0.2.1 and 2001:db8::1 are not', (text, kind) => {
    expect(parseAddress(text)![kind]).toBe(true);
    expect(parseAddress('192.0.2.1')![kind]).toBe(false);
    expect(parseAddress('2001:db8::1')![kind]).toBe(false);
  });

  test('an IPv4 address equals no IPv6 address, though its words are those of the mapped one', () => {
    expect(LOOPBACK_V4.equals(parseAddress('::ffff:127.0.0.1')!)).toBe(false);
    expect(LOOPBACK_V6.equals(LOOPBACK_V6)).toBe(true);
    expect(parseAddress('::ffff:0.0.0.0')!.isUnspecified).toBe(false);
  });
});

describe('networks', () => {
  test.each([
    ['10.1.2.3/24', '10.1.2.255', '10.1.3.0'],
    ['10.1.2.3/0', '200.1.1.1', null],
    ['10.1.2.3/32', '10.1.2.3', '10.1.2.2'],
    ['10.1.2.3/31', '10.1.2.2', '10.1.2.4'],
    ['2001:db8::/33', '2001:db8:7fff::1', '2001:db8:8000::1'],
    ['2001:db8::/0', 'fe80::1', null],
    ['2001:db8::1', '2001:db8::1', '2001:db8::2'],
  ])('%s holds %s, not %s', (text, inside, outside) => {
    const cidr = parseCidr(text)!;
    expect(cidr.contains(parseAddress(inside)!)).toBe(true);
    if (outside !== null) expect(cidr.contains(parseAddress(outside)!)).toBe(false);
  });

  test('a network of one family holds nothing of the other', () => {
    expect(parseCidr('0.0.0.0/0')!.contains(parseAddress('::ffff:1.2.3.4')!)).toBe(false);
    expect(parseCidr('::/0')!.contains(parseAddress('1.2.3.4')!)).toBe(false);
  });

  test.each([
    ['10.1.2.3/24', '10.1.2.255'],
    ['10.1.2.3/30', '10.1.2.3'],
    ['10.1.2.3/8', '10.255.255.255'],
    ['10.1.2.3/31', 'null'],
    ['10.1.2.3/32', 'null'],
    ['2001:db8::/64', 'null'],
  ])('the broadcast address of %s is %s', (text, broadcast) => {
    expect(String(parseCidr(text)!.broadcast)).toBe(broadcast);
  });

  test.each(['10.0.0.1/33', '10.0.0.1/-1', '10.0.0.1/', '10.0.0.1/8x', '::/129', 'x/8'])('"%s" is none', (text) => {
    expect(parseCidr(text)).toBeNull();
  });
});
