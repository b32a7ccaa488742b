import * as fc from 'fast-check';
import { addressText, ipv6Text, macText, parseAddress } from '../../../../tools/pcap/addresses';

const v6 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

test.each([
  ['20010db8000000000000000000000001', '2001:db8::1'],
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000000000000001', '::1'],
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['00010000000000010000000000000001', '1:0:0:1::1'],
  ['fe800000000000000000000000000000', 'fe80::'],
  ['00000000000000000000ffff0a000001', '::ffff:10.0.0.1'],
])('RFC 5952: %s is %s', (hex, text) => {
  expect(ipv6Text(v6(hex), 0)).toBe(text);
  expect([...parseAddress(text)!]).toEqual([...v6(hex)]);
});

test.each([
  '1.2.3',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4.5',
  '',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8:9',
  '12345::',
  'g::',
  '1.2.3.4::',
  '::1.2.3',
  'host',
])('"%s" is no address', (text) => {
  expect(parseAddress(text)).toBeNull();
});

test('every address survives being written and read', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((a) => Uint8Array.from(a)),
      ),
      (bytes) => {
        expect([...parseAddress(addressText(bytes, 0, bytes.length))!]).toEqual([...bytes]);
      },
    ),
  );
});

test('a link address', () => {
  expect(macText(Uint8Array.of(9, 2, 0, 0xab, 0xcd, 0xef, 1), 1)).toBe('02:00:ab:cd:ef:01');
});
