import { parseAddress } from '../../../../stack/base/address';
import { Datagram } from '../../../../stack/base/datagram';
import { hasWholeChain, readIpv6, upperLayerAt, writeIpv6 } from '../../../../stack/ip/ipv6';
import * as f from './frames';
import { Lab } from './lab';

const read = (bytes: Uint8Array, end = bytes.length): [string | null, Datagram] => {
  const d = new Datagram();
  return [readIpv6(bytes, 0, end, d), d];
};

const ping = f.icmp6(128, 0, 1);
const REPLY = ['fd00::1 > fd00::2 icmp6 echo_reply id 0 seq 1 (0)'];
const problem = (what: string): RegExp =>
  new RegExp(`^fd00::1 > fd00::2 icmp6 parameter_problem ${what} \\[fd00::2 > fd00::1`);

describe('the fixed header (RFC 8200 §3)', () => {
  test('every field is read where it stands, padding is cut off', () => {
    const bytes = f.ip6(f.UDP, f.bytesOf(9), { from: '2001:db8::1:2', hops: 3, tos: 0xb9 });
    bytes[1] = (bytes[1]! & 0xf0) | 0x0a;
    const [bad, d] = read(Uint8Array.from([...bytes, 0xee]));
    expect(bad).toBeNull();
    expect(d).toMatchObject({ family: 6, bodyAt: 40, end: 49, protocol: 17, tos: 0xb9, ttl: 3, fragmentAt: 0 });
    expect([d.s0, d.s1, d.s2, d.s3].map((w) => w >>> 0)).toEqual([0x20010db8, 0, 0, 0x10002]);
    expect([d.d0, d.d1, d.d2, d.d3].map((w) => w >>> 0)).toEqual([0xfd000000, 0, 0, 1]);
    expect(d.pseudoSum).toBe(0x2001 + 0x0db8 + 1 + 2 + 0xfd00 + 1 + 17 + 9);
  });

  test('what is written is read back', () => {
    const b = new Uint8Array(60);
    writeIpv6(b, 4, 12, 0x2e, 0xabcde, 77, 6, parseAddress('fd00::5')!, parseAddress('fe80::9')!);
    const d = new Datagram();
    expect(readIpv6(b, 4, 56, d)).toBeNull();
    expect(d).toMatchObject({ bodyAt: 44, end: 56, tos: 0x2e, ttl: 77, protocol: 6 });
    expect([d.s0 >>> 0, d.s3, d.d0 >>> 0, d.d3]).toEqual([0xfd000000, 5, 0xfe800000, 9]);
    expect((b[5]! << 16) | (b[6]! << 8) | b[7]!).toBe(0xeabcde);
  });

  test('cut at every length, extension headers included', () => {
    const chain = [
      ...f.optionsHeader(f.DESTINATION, [5, 2, 0, 0]),
      ...f.optionsHeader(f.ROUTING, []),
      ...f.routingHeader(f.UDP, 0, 0),
      ...f.udp(f.bytesOf(20), { v6: true }),
    ];
    const bytes = f.ip6(f.HOP_BY_HOP, chain);
    for (let end = 0; end < bytes.length; end++) expect([end, read(bytes, end)[0]]).toEqual([end, 'ip-truncated']);
    expect(read(bytes)[0]).toBeNull();
    // The same with the length field telling the truth about the cut.
    for (let length = 0; length < 24; length++) {
      expect(read(f.ip6(f.HOP_BY_HOP, chain.slice(0, length)))[0]).toBe('ip-truncated');
    }
  });

  test('nothing at all behind the header is a datagram of an unknown protocol', () => {
    expect(new Lab().answer(f.ip6(f.NO_NEXT, []))).toEqual([[], { 'ip-unknown-protocol': 1 }]);
  });
});

describe('extension headers (RFC 8200 §4)', () => {
  const answer = (next: number, headers: number[], to = f.US6) =>
    new Lab().answer(f.ip6(next, [...headers, ...ping], { to }));

  test.each([
    ['hop-by-hop options', f.HOP_BY_HOP, f.optionsHeader(f.ICMP6, [5, 2, 0, 0])],
    ['destination options', f.DESTINATION, f.optionsHeader(f.ICMP6, [1, 0])],
    ['one that says "skip"', f.DESTINATION, f.optionsHeader(f.ICMP6, [0x3e, 1, 7])],
    ['a routing header without segments left', f.ROUTING, f.routingHeader(f.ICMP6, 0, 0)],
    ['a fragment header of a whole datagram (RFC 6946)', f.FRAGMENT, f.fragmentHeader(f.ICMP6, 0, false)],
    [
      'options behind such a fragment header',
      f.FRAGMENT,
      [...f.fragmentHeader(f.DESTINATION, 0, false), ...f.optionsHeader(f.ICMP6, [])],
    ],
  ])('%s: passed over', (_name, next, headers) => {
    expect(answer(next, headers)).toEqual([REPLY, {}]);
  });

  test('§4.1: hop-by-hop options that do not stand first are an unknown header', () => {
    const [sent, drops] = answer(f.DESTINATION, [
      ...f.optionsHeader(f.HOP_BY_HOP, []),
      ...f.optionsHeader(f.ICMP6, []),
    ]);
    expect(sent).toEqual([expect.stringMatching(problem('unknown_next_header pointer 40'))]);
    expect(drops).toEqual({ 'ip-unknown-protocol': 1 });
  });

  test('§4.2: an option says itself what becomes of the packet', () => {
    const option = (kind: number): number[] => f.optionsHeader(f.ICMP6, [1, 0, kind, 0]);
    expect(answer(f.DESTINATION, option(0x7e))).toEqual([[], { 'ip-bad-option': 1 }]);
    expect(answer(f.DESTINATION, option(0xbe))[0]).toEqual([
      expect.stringMatching(problem('unknown_option pointer 44')),
    ]);
    expect(answer(f.DESTINATION, option(0xfe))[0]).toEqual([
      expect.stringMatching(problem('unknown_option pointer 44')),
    ]);
  });

  test('§4.2, RFC 4443 §2.4 (e.3): to a group, only the option that asks for it is told of', () => {
    const toGroup = (kind: number): string[] =>
      answer(f.DESTINATION, f.optionsHeader(f.ICMP6, [kind, 0]), 'ff02::1')[0];
    expect(toGroup(0xbe)).toEqual([expect.stringMatching(/^fd00::1 > fd00::2 icmp6 parameter_problem unknown_option/)]);
    expect(toGroup(0xfe)).toEqual([]);
  });

  test.each([
    ['an option longer than its header', [5, 9, 0, 0]],
    ['a kind without a length', [1, 3, 0, 0, 0, 5]],
  ])('%s: discarded', (_name, options) => {
    expect(answer(f.HOP_BY_HOP, f.optionsHeader(f.ICMP6, options))).toEqual([[], { 'ip-bad-option': 1 }]);
  });

  test('§4.4, RFC 5095: segments left are not forwarded, but told of', () => {
    const [sent, drops] = answer(f.ROUTING, f.routingHeader(f.ICMP6, 0, 1));
    expect(sent).toEqual([expect.stringMatching(problem('header_field pointer 42'))]);
    expect(drops).toEqual({ 'ip-bad-option': 1 });
  });

  test('a chain longer than any honest one is not walked to its end', () => {
    const headers = new Array(9).fill(f.optionsHeader(f.DESTINATION, [])).flat() as number[];
    headers[8 * 8] = f.ICMP6;
    expect(answer(f.DESTINATION, headers)).toEqual([[], { 'ip-bad-option': 1 }]);
    headers[7 * 8] = f.ICMP6;
    expect(answer(f.DESTINATION, headers.slice(0, 64))[0]).toEqual(REPLY);
  });

  test('RFC 4443 §3.4: an unknown protocol behind extension headers is pointed to', () => {
    const [sent] = new Lab().answer(f.ip6(f.DESTINATION, [...f.optionsHeader(200, []), 1, 2, 3]));
    expect(sent).toEqual([expect.stringMatching(problem('unknown_next_header pointer 40'))]);
  });
});

describe('what errors and fragments need to know of a chain', () => {
  const chain = [...f.optionsHeader(f.ROUTING, []), ...f.routingHeader(f.TCP, 0, 0)];

  test('where the upper layer begins', () => {
    const bytes = f.ip6(f.DESTINATION, [...chain, ...f.tcp({ v6: true })]);
    const into = { protocol: 0 };
    expect(upperLayerAt(bytes, 0, bytes.length, into)).toBe(56);
    expect(into.protocol).toBe(f.TCP);
    expect(upperLayerAt(bytes, 0, 55, into)).toBe(-1);
    const first = f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 0, true), 1]);
    expect(upperLayerAt(first, 0, first.length, into)).toBe(48);
    const later = f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 8, true), 1]);
    expect(upperLayerAt(later, 0, later.length, into)).toBe(-1);
  });

  test('RFC 7112 §5: whether all of it is there', () => {
    const bytes = Uint8Array.from([...chain, ...f.tcp({ v6: true })]);
    for (let end = 0; end < bytes.length; end++) {
      expect([end, hasWholeChain(bytes, 0, end, f.DESTINATION)]).toEqual([end, end >= 36]);
    }
    expect(hasWholeChain(bytes, 0, 8, f.UDP)).toBe(true);
    expect(hasWholeChain(bytes, 0, 7, f.UDP)).toBe(false);
    expect(hasWholeChain(bytes, 0, 1, 200)).toBe(true);
    expect(hasWholeChain(bytes, 0, 0, f.NO_NEXT)).toBe(true);
  });
});
