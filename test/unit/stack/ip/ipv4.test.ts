import { Datagram } from '../../../../stack/base/datagram';
import { makeWholeV4, readIpv4, writeIpv4 } from '../../../../stack/ip/ipv4';
import * as f from './frames';
import { Lab } from './lab';

const read = (bytes: Uint8Array, end = bytes.length): [string | null, Datagram] => {
  const d = new Datagram();
  return [readIpv4(bytes, 0, end, d), d];
};

describe('the header (RFC 791 §3.1)', () => {
  test('every field is read where it stands, padding is cut off', () => {
    const bytes = f.ip4(f.UDP, f.bytesOf(24), {
      from: '198.51.100.7',
      to: f.US,
      ttl: 9,
      tos: 0xb9,
      id: 0xfedc,
      df: true,
    });
    const padded = Uint8Array.from([...bytes, 0xee, 0xee]);
    const [bad, d] = read(padded);
    expect(bad).toBeNull();
    expect(d).toMatchObject({
      family: 4,
      headerAt: 0,
      bodyAt: 20,
      end: 44,
      protocol: 17,
      tos: 0xb9,
      ttl: 9,
      identification: 0xfedc,
      fragmentAt: 0,
      moreFragments: false,
      problemCode: -1,
    });
    expect([d.s0, d.s1, d.s2, d.s3 >>> 0]).toEqual([0, 0, 0xffff, 0xc6336407]);
    expect([d.d0, d.d1, d.d2, d.d3 >>> 0]).toEqual([0, 0, 0xffff, 0x0a000001]);
    expect(d.pseudoSum).toBe(0xc633 + 0x6407 + 0x0a00 + 1 + 17 + 24);
  });

  test('what is written is read back', () => {
    const b = new Uint8Array(80);
    writeIpv4(b, 10, 50, 0x1234, 0x4000, 0x2e, 33, 6, 0x0a000001, 0xcb007105 | 0);
    const d = new Datagram();
    expect(readIpv4(b, 10, 60, d)).toBeNull();
    expect(d).toMatchObject({ bodyAt: 30, end: 60, tos: 0x2e, ttl: 33, protocol: 6, identification: 0x1234 });
    expect(d.d3 >>> 0).toBe(0xcb007105);
  });

  test('cut at every length: never read beyond the end, never taken for whole', () => {
    const bytes = f.ip4(f.UDP, f.udp(f.bytesOf(40)), { options: [7, 7, 4, 0, 0, 0, 0] });
    for (let end = 0; end < bytes.length; end++) expect([end, read(bytes, end)[0]]).toEqual([end, 'ip-truncated']);
    expect(read(bytes)[0]).toBeNull();
  });

  test.each([
    [4, 'ip-bad-header-length'],
    [15, 'ip-truncated'],
  ])('a header length of %d words: %s', (words, reason) => {
    const bytes = f.ip4(f.UDP, f.udp([]));
    bytes[0] = 0x40 | words;
    bytes[3] = 28;
    expect([reason, 'ip-bad-total-length']).toContain(read(bytes)[0]);
  });

  test.each([5, 6, 0, 15])('RFC 1122 §3.2.1.1: version %d is discarded in silence', (version) => {
    const bytes = f.ip4(f.ICMP, f.icmp4(8, 0, 1));
    bytes[0] = (version << 4) | 5;
    const lab = new Lab();
    const [sent, drops] = lab.answer(bytes);
    expect(sent).toEqual([]);
    expect(Object.keys(drops)).toHaveLength(1);
  });

  test('RFC 1122 §3.2.1.2: every single wrong bit of the header is found by its checksum, or elsewhere', () => {
    const good = f.ip4(f.ICMP, f.icmp4(8, 0, 1));
    for (let bit = 0; bit < 160; bit++) {
      const bytes = good.slice();
      bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
      expect([bit, new Lab().answer(bytes)[0]]).toEqual([bit, []]);
    }
  });

  test('RFC 1122 §3.2.1.7: a hop limit of 0 or 1 is no reason to drop what is for us', () => {
    for (const ttl of [0, 1]) {
      expect(new Lab().answer(f.ip4(f.ICMP, f.icmp4(8, 0, 1), { ttl }))[0]).toEqual([
        '10.0.0.1 > 10.0.0.2 icmp echo_reply id 0 seq 1 (0)',
      ]);
    }
  });

  test('the header of a first fragment becomes that of the whole', () => {
    const bytes = f.ip4(f.UDP, f.bytesOf(8), { more: true, tos: 2, options: [148, 4, 0, 0] });
    makeWholeV4(bytes, 0, bytes.length, 3);
    const [bad, d] = read(bytes);
    expect(bad).toBeNull();
    expect(d).toMatchObject({ tos: 3, fragmentAt: 0, moreFragments: false, bodyAt: 24 });
  });
});

describe('options (RFC 1122 §3.2.1.8)', () => {
  const answers = (options: number[]): [number, object] => {
    const [sent, drops] = new Lab().answer(f.ip4(f.ICMP, f.icmp4(8, 0, 1), { options }));
    return [sent.length, drops];
  };

  test.each([
    ['end of list', [0, 7, 7, 7]],
    ['no operation', [1, 1, 1, 1]],
    ['record route', [7, 7, 4, 0, 0, 0, 0]],
    ['timestamp', [68, 8, 5, 0, 0, 0, 0, 0]],
    ['router alert', [148, 4, 0, 0]],
    ['one nobody knows', [94, 4, 1, 2]],
    ['as many as fit', new Array<number>(40).fill(1)],
  ])('%s: passed over', (_name, options) => {
    expect(answers([...options])).toEqual([1, {}]);
  });

  test.each([
    ['a length of 0', [7, 0, 0, 0]],
    ['a length of 1', [7, 1, 0, 0]],
    ['a length beyond the header', [7, 5, 4, 0]],
    ['a kind without its length', [1, 1, 1, 7]],
  ])('%s: discarded', (_name, options) => {
    expect(answers([...options])).toEqual([0, { 'ip-bad-option': 1 }]);
  });

  test.each([
    ['loose', 131],
    ['strict', 137],
  ])('RFC 7126 §4.3, §4.4: a %s source route is refused', (_name, kind) => {
    expect(answers([kind, 7, 4, 10, 0, 0, 9, 0])).toEqual([0, { 'ip-source-route-refused': 1 }]);
  });
});
