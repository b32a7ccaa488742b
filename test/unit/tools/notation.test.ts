import { put16 } from '../../../stack/base/bytes';
import { notation } from '../../../tools/notation';
import { FlowTracker } from '../../../tools/pcap/flows';
import {
  addressBytes,
  arp,
  ascii,
  CLIENT6,
  concat,
  ethernet,
  icmp,
  ip,
  SERVER6,
  type TcpFields,
  tcp,
  udp,
} from './frames';

const line = (frame: Uint8Array, link: 'ip' | 'ethernet' | number = 'ip'): string =>
  notation(frame, 0, frame.length, link);

const reply = { from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234 };

describe('TCP', () => {
  const all = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 8];

  test.each<[string, TcpFields]>([
    [
      '10.77.0.1.51234 > 10.77.0.2.80 S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>',
      { flags: 'S', win: 64240, options: all },
    ],
    ['10.77.0.2.80 > 10.77.0.1.51234 S. 0:0(0) ack 1 win 65535', { ...reply, flags: 'S.', ack: 1 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 P. 1:4(3) ack 1 win 65535', { flags: 'P.', seq: 1, ack: 1, text: 'abc' }],
    ['10.77.0.1.51234 > 10.77.0.2.80 FP. 1:4(3) ack 1 win 65535', { flags: 'PF.', seq: 1, ack: 1, text: 'abc' }],
    ['10.77.0.1.51234 > 10.77.0.2.80 R 9:9(0) win 0', { flags: 'R', seq: 9, win: 0 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 SEW 0:0(0) win 65535', { flags: 'SEW' }],
    ['10.77.0.1.51234 > 10.77.0.2.80 SEWA 0:0(0) win 65535', { flags: 'SEWA' }],
    ['10.77.0.1.51234 > 10.77.0.2.80 - 0:0(0) win 65535', { flags: '' }],
    ['10.77.0.1.51234 > 10.77.0.2.80 U. 5:5(0) ack 0 win 65535 urg 7', { flags: 'U.', seq: 5, urg: 7 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 [ect0] . 0:0(0) ack 0 win 65535', { tos: 2 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 [ce] . 0:0(0) ack 0 win 65535', { tos: 3 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 [tos 0x10] . 0:0(0) ack 0 win 65535', { tos: 16 }],
    ['fd00::1.51234 > fd00::2.80 . 0:0(0) ack 0 win 65535', { from: CLIENT6, to: SERVER6 }],
    ['10.77.0.1.51234 > 10.77.0.2.80 . 4294967295:1(2) ack 0 win 65535', { seq: 0xffffffff, text: 'ab' }],
  ])('%s', (text, fields) => {
    expect(line(tcp(fields))).toBe(text);
  });

  test.each([
    ['nop,nop,sack 1:2 3:4', [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]],
    ['FO 0102030405060708,nop,nop', [34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]],
    ['FO,nop,nop', [34, 2, 1, 1]],
    ['FOEXP aabb,nop,nop', [254, 6, 0xf9, 0x89, 0xaa, 0xbb, 1, 1]],
    [
      'md5 000102030405060708090a0b0c0d0e0f,nop,nop',
      [19, 18, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 1],
    ],
    ['ECN e0b 1 ceb 2 e1b 3,nop', [172, 11, 0, 0, 1, 0, 0, 2, 0, 0, 3, 1]],
    ['ECN e0b 3 ceb 2 e1b 1,nop', [174, 11, 0, 0, 1, 0, 0, 2, 0, 0, 3, 1]],
    ['ECN ceb 2 e1b 1', [174, 8, 0, 0, 1, 0, 0, 2]],
    ['option-30 0x0102', [30, 4, 1, 2]],
    ['option-2 0x01,nop', [2, 3, 1, 1]],
    ['nop,eol', [1, 0, 9, 9]],
  ])('options <%s>', (text, options) => {
    expect(line(tcp({ options }))).toBe(`10.77.0.1.51234 > 10.77.0.2.80 . 0:0(0) ack 0 win 65535 <${text}>`);
  });

  test('the first line of an HTTP head is shown, and nothing that could move a cursor', () => {
    const at = (text: string): string => line(tcp({ text })).split('HTTP: ')[1] ?? '';
    expect(at('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('GET / HTTP/1.1');
    expect(at('HTTP/1.1 200 OK\r\n\r\n')).toBe('HTTP/1.1 200 OK');
    expect(at('HTTP/1.1 204\n\n')).toBe('HTTP/1.1 204');
    expect(at('HTTP/1.1 200 \x1b[2Jred\r\n\r\n')).toBe('HTTP/1.1 200 \\x1b[2Jred');
    expect(at('M-SEARCH * HTTP/1.1\r\n\r\n')).toBe('M-SEARCH * HTTP/1.1');
    expect(at('GET /half')).toBe('GET /half...');
    expect(at(`GET /${'a'.repeat(500)} HTTP/1.1\r\n`)).toBe(`GET /${'a'.repeat(95)}...`);
    expect(at('get / HTTP/1.1\r\n')).toBe('');
    expect(at('HELLO WORLD')).toBe('');
    expect(at('GET \x07 HTTP/1.1\r\n')).toBe('');
  });
});

describe('other protocols', () => {
  test.each([
    ['arp who-has 10.0.0.2 tell 10.0.0.1', arp(1, '10.0.0.1', '10.0.0.2')],
    ['arp reply 10.0.0.1 is-at 02:00:00:00:00:01', arp(2, '10.0.0.1', '10.0.0.2')],
    ['arp operation 9 10.0.0.1 > 10.0.0.2 [arp operation 9 at byte 20]', arp(9, '10.0.0.1', '10.0.0.2')],
    [
      'vlan 7 10.77.0.1.5000 > 10.77.0.2.53 udp (3)',
      ethernet(0x8100, concat(Uint8Array.of(0, 7, 8, 0), udp({ text: 'abc' }))),
    ],
    ['02:00:00:00:00:01 > 02:00:00:00:00:02 lldp (3) 0x010203', ethernet(0x88cc, Uint8Array.of(1, 2, 3))],
    ['02:00:00:00:00:01 > 02:00:00:00:00:02 llc (3) 0x424203', ethernet(3, Uint8Array.of(0x42, 0x42, 3, 0, 0, 0))],
    ['02:00:00:00:00:01 > 02:00:00:00:00:02 ethertype-0x1234 (0)', ethernet(0x1234, new Uint8Array(0))],
  ])('%s', (text, frame) => {
    expect(line(frame, 'ethernet')).toBe(text);
  });

  test.each([
    ['10.77.0.1.5000 > 10.77.0.2.53 udp (5)', udp({ text: 'hello' })],
    ['fd00::1.5000 > fd00::2.53 udp (5)', udp({ text: 'hello', from: CLIENT6, to: SERVER6 })],
    ['10.77.0.1 > 10.77.0.2 icmp echo_request id 7 seq 1 (2)', icmp(8, 0, 0x70001, ascii('ab'))],
    ['10.77.0.1 > 10.77.0.2 icmp echo_reply id 7 seq 1 (0)', icmp(0, 0, 0x70001, new Uint8Array(0))],
    [
      '10.77.0.1 > 10.77.0.2 icmp unreachable port_unreachable [10.77.0.1.5000 > 10.77.0.2.53 udp (5)]',
      icmp(3, 3, 0, udp({ text: 'hello' })),
    ],
    [
      '10.77.0.1 > 10.77.0.2 icmp unreachable frag_needed mtu 1400 [10.77.0.2.80 > 10.77.0.1.51234 tcp seq 77]',
      icmp(3, 4, 1400, tcp({ ...reply, seq: 77, text: 'x'.repeat(100) }).subarray(0, 28)),
    ],
    [
      '10.77.0.1 > 10.77.0.2 icmp time_exceeded exceeded_ttl [10.77.0.1.51234 > 10.77.0.2.80 S 5:5(0) win 65535]',
      icmp(11, 0, 0, tcp({ flags: 'S', seq: 5 })),
    ],
    [
      '10.77.0.1 > 10.77.0.2 icmp redirect host_redirect to 10.0.0.9 [10.77.0.1 > 10.77.0.2 tcp]',
      icmp(5, 1, 0x0a000009, tcp().subarray(0, 20)),
    ],
    ['10.77.0.1 > 10.77.0.2 icmp unreachable code_77 [unreadable quote]', icmp(3, 77, 0, Uint8Array.of(0x45))],
    ['10.77.0.1 > 10.77.0.2 icmp type_99 code_3', icmp(99, 3, 0, new Uint8Array(0))],
    [
      'fd00::1 > fd00::2 icmp6 packet_too_big mtu 1280 [fd00::2.80 > fd00::1.51234 . 0:9(9) ack 0 win 65535]',
      icmp(2, 0, 1280, tcp({ from: SERVER6, to: CLIENT6, sport: 80, dport: 51234, text: 'x'.repeat(9) }), {
        from: CLIENT6,
        to: SERVER6,
      }),
    ],
    [
      'fd00::1 > ff02::1:ff00:2 icmp6 neighbor_solicitation who-has fd00::2 <source 02:00:00:00:00:01>',
      icmp(135, 0, 0, concat(addressBytes(SERVER6), Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 1)), {
        from: CLIENT6,
        to: 'ff02::1:ff00:2',
      }),
    ],
    [
      'fd00::2 > fd00::1 icmp6 neighbor_advertisement fd00::2 is-at [RSO] <target 02:00:00:00:00:02>',
      icmp(136, 0, 0xe0000000, concat(addressBytes(SERVER6), Uint8Array.of(2, 1, 2, 0, 0, 0, 0, 2)), {
        from: SERVER6,
        to: CLIENT6,
      }),
    ],
    [
      'fd00::1 > ff02::2 icmp6 router_solicitation <bad option 1>',
      icmp(133, 0, 0, Uint8Array.of(1, 9, 0, 0, 0, 0, 0, 0), { from: CLIENT6, to: 'ff02::2' }),
    ],
    [
      'fd00::2 > ff02::1 icmp6 router_advertisement hops 64 [MO] lifetime 1800 <mtu 1500,prefix fd00::/64>',
      icmp(
        134,
        0,
        0x40c00708,
        concat(
          new Uint8Array(8),
          Uint8Array.of(5, 1, 0, 0, 0, 0, 5, 220),
          Uint8Array.of(3, 4, 64, 0xc0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0),
          addressBytes('fd00::'),
        ),
        { from: SERVER6, to: 'ff02::1' },
      ),
    ],
    [
      '10.77.0.1 > 10.77.0.2 sctp (20) 0x000102030405060708090a0b0c0d0e0f...',
      ip(
        132,
        Uint8Array.from({ length: 20 }, (_, i) => i),
      ),
    ],
    ['10.77.0.1 > 10.77.0.2 ip-proto-253 (1) 0xff', ip(253, Uint8Array.of(255))],
  ])('%s', (text, frame) => {
    expect(line(frame)).toBe(text);
  });

  test('fragments', () => {
    const text = 'x'.repeat(24);
    const first = udp({ text, fragment: 0x2000, id: 9 });
    put16(first, 24, 4008);
    expect(line(first)).toBe('10.77.0.1.5000 > 10.77.0.2.53 udp (4000) frag 9:32@0+');
    expect(line(ip(17, ascii(text), { fragment: 0x2004, id: 9 }))).toBe('10.77.0.1 > 10.77.0.2 udp frag 9:24@32+');
    expect(line(ip(17, ascii(text), { fragment: 7, id: 9 }))).toBe('10.77.0.1 > 10.77.0.2 udp frag 9:24@56');
    const v6 = { from: CLIENT6, to: SERVER6 };
    const header = (offset: number): Uint8Array => Uint8Array.of(17, 0, offset >>> 8, offset & 255, 0, 0, 1, 0);
    expect(line(ip(44, concat(header(0x11), ascii(text)), v6))).toBe('fd00::1 > fd00::2 udp frag 256:24@16+');
    expect(line(ip(44, concat(header(0x10), ascii(text)), v6))).toBe('fd00::1 > fd00::2 udp frag 256:24@16');
  });

  test('behind the header of a later fragment nothing is a header', () => {
    const later = concat(Uint8Array.of(60, 0, 0, 8, 0, 0, 1, 0), Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0), ascii('x'));
    const v6 = { from: CLIENT6, to: SERVER6 };
    expect(line(ip(44, later, v6))).toBe('fd00::1 > fd00::2 destination-options frag 256:9@8');
  });

  test('IPv6 extension headers are passed', () => {
    const v6 = { from: CLIENT6, to: SERVER6 };
    const datagram = udp({ ...v6, text: 'abc' }).subarray(40);
    const chain = concat(Uint8Array.of(60, 0, 1, 4, 0, 0, 0, 0), Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0), datagram);
    expect(line(ip(0, chain, v6))).toBe('fd00::1.5000 > fd00::2.53 udp (3)');
    const endless = new Uint8Array(8 * 40);
    expect(line(ip(0, endless, v6))).toContain('[more than 32 extension headers]');
    expect(line(ip(60, Uint8Array.of(17, 200, 0, 0, 0, 0, 0, 0), v6))).toContain(
      'truncated extension header: 8 of 1608',
    );
    expect(line(ip(59, ascii('zz'), v6))).toBe('fd00::1 > fd00::2 no-next-header (2) 0x7a7a');
  });

  test('other link types', () => {
    const frame = udp({ text: 'abc' });
    const text = '10.77.0.1.5000 > 10.77.0.2.53 udp (3)';
    for (const link of [12, 14, 101, 228]) expect(line(frame, link)).toBe(text);
    expect(line(ethernet(0x0800, frame), 1)).toBe(text);
    expect(line(concat(Uint8Array.of(2, 0, 0, 0), frame), 0)).toBe(text);
    expect(line(concat(Uint8Array.of(0, 0, 0, 2), frame), 108)).toBe(text);
    const cooked = new Uint8Array(16);
    put16(cooked, 14, 0x0800);
    expect(line(concat(cooked, frame), 113)).toBe(text);
    const cooked2 = new Uint8Array(20);
    put16(cooked2, 0, 0x0800);
    expect(line(concat(cooked2, frame), 276)).toBe(text);
    expect(line(Uint8Array.of(1, 2), 999)).toBe('linktype-999 (2) 0x0102');
  });
});

describe('what is wrong, and where', () => {
  const broken = (change: (b: Uint8Array) => void, frame = tcp({ text: 'abcd', options: [2, 4, 5, 0xb4] })): string => {
    const b = frame.slice();
    change(b);
    return (/\[.*/.exec(line(b)) ?? [''])[0];
  };

  test.each<[string, (b: Uint8Array) => void]>([
    ['[bad tcp checksum 0x0001 at byte 36, right is 0x', (b) => put16(b, 36, 1)],
    ['[bad ip checksum 0x0001 at byte 10, right is 0x262b]', (b) => put16(b, 10, 1)],
    ['[bad tcp header length 8, less than 20, at byte 32]', (b) => void (b[32] = 0x20)],
    ['[bad tcp header length 60, more than the 28 that are there, at byte 32]', (b) => void (b[32] = 0xf0)],
    ['[bad tcp option 2: length 0 with 4 left, at byte 40]', (b) => void (b[41] = 0)],
    ['[bad tcp option 2: length 9 with 4 left, at byte 40]', (b) => void (b[41] = 9)],
    ['[bad ip header length 16 at byte 0]', (b) => void (b[0] = 0x44)],
    ['[bad ip length 5, less than its header, at byte 2]', (b) => put16(b, 2, 5)],
    ['[truncated datagram: 48 of 49 bytes]', (b) => put16(b, 2, 49)],
    ['[ip length 0, presumably cut later by a device]', (b) => put16(b, 2, 0)],
    ['[ip version 15 at byte 0]', (b) => void (b[0] = 0xf5)],
    ['[truncated tcp header: 19 of 20 bytes at byte 20]', (b) => put16(b, 2, 39)],
  ])('%s', (text, change) => {
    expect(broken(change)).toContain(text);
  });

  test('the checksum that is called right is right', () => {
    const frame = tcp({ text: 'abc' });
    const right = (frame[36]! << 8) | frame[37]!;
    const text = broken((b) => put16(b, 36, 0xdead), frame);
    expect(text).toBe(`[bad tcp checksum 0xdead at byte 36, right is 0x${right.toString(16).padStart(4, '0')}]`);
  });

  test('UDP', () => {
    const frame = udp({ text: 'abc' });
    expect(broken((b) => put16(b, 24, 7), frame)).toBe('[bad udp length 7 with 11 bytes there, at byte 24]');
    expect(broken((b) => put16(b, 24, 12), frame)).toBe('[bad udp length 12 with 11 bytes there, at byte 24]');
    expect(broken((b) => put16(b, 26, 0), frame)).toBe('');
    expect(broken((b) => put16(b, 26, 1), frame)).toMatch(/bad udp checksum 0x0001 at byte 26/);
    const six = udp({ text: 'abc', from: CLIENT6, to: SERVER6 });
    expect(broken((b) => put16(b, 46, 0), six)).toBe('[no udp checksum, which IPv6 requires]');
  });

  test('ICMP', () => {
    expect(broken((b) => put16(b, 22, 1), icmp(8, 0, 1, ascii('ab')))).toMatch(/bad icmp checksum 0x0001 at byte 22/);
    const six = icmp(128, 0, 1, ascii('ab'), { from: CLIENT6, to: SERVER6 });
    expect(broken((b) => put16(b, 42, 1), six)).toMatch(/bad icmp6 checksum 0x0001 at byte 42/);
    expect(line(ip(1, Uint8Array.of(8, 0, 0)))).toContain('[truncated icmp header: 3 of 8 bytes at byte 20]');
  });

  test('a checksum that the sender left to its device is no error', () => {
    expect(line(tcp({ text: 'abc', partial: true }))).not.toContain('[');
  });

  test('the link and the datagram disagree', () => {
    expect(line(ethernet(0x86dd, tcp()), 'ethernet')).toContain('[the link says IPv6, the datagram IPv4]');
  });

  test('a frame that the capture cut is not malformed', () => {
    const frame = tcp({ text: 'abcd', options: [2, 4, 5, 0xb4] });
    const cut = (bytes: number): string => notation(frame, 0, bytes, 'ip', { originalLength: frame.length });
    expect(cut(46)).toBe('10.77.0.1.51234 > 10.77.0.2.80 . 0:4(4) ack 0 win 65535 <mss 1460>');
    expect(cut(41)).toContain('[cut in the tcp options]');
    expect(cut(30)).toBe('10.77.0.1 > 10.77.0.2 tcp [cut in the tcp header]');
    expect(cut(10)).toBe('[cut in the ip header]');
    expect(cut(0)).toBe('[cut in the ip header]');
  });

  test('padding of a short frame is not text', () => {
    const padded = concat(ethernet(0x0800, tcp()), new Uint8Array(6));
    expect(line(padded, 'ethernet')).toBe('10.77.0.1.51234 > 10.77.0.2.80 . 0:0(0) ack 0 win 65535');
  });

  test('cut at every length, with and without the cause: always a line', () => {
    const frames = [
      tcp({ text: 'GET / HTTP/1.1\r\n', options: [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2] }),
      icmp(3, 4, 1400, tcp({ text: 'abc' })),
      ip(0, concat(Uint8Array.of(44, 0, 1, 4, 0, 0, 0, 0), Uint8Array.of(17, 0, 0, 1, 0, 0, 0, 1), ascii('abcdefgh')), {
        from: CLIENT6,
        to: SERVER6,
      }),
      icmp(134, 0, 0, new Uint8Array(64), { from: SERVER6, to: CLIENT6 }),
    ];
    for (const frame of frames) {
      for (let end = 0; end <= frame.length; end++) {
        for (const originalLength of [undefined, frame.length]) {
          expect(notation(frame, 0, end, 'ip', { originalLength })).not.toBe('');
          expect(notation(ethernet(0x86dd, frame), 0, end, 'ethernet', { originalLength })).not.toBe('');
        }
      }
    }
  });

  test('positions count from the frame, wherever it stands', () => {
    const frame = tcp();
    put16(frame, 36, 1);
    const slab = concat(new Uint8Array(77), frame, new Uint8Array(9));
    expect(notation(slab, 77, 77 + frame.length, 'ip')).toBe(line(frame));
  });
});

describe('relative numbers', () => {
  test('count from the initial sequence numbers, also in SACK blocks and in quotes', () => {
    const tracker = new FlowTracker();
    const say = (frame: Uint8Array, absolute = false): string =>
      notation(frame, 0, frame.length, 'ip', { tracker, absolute }).replace(/^\S+ > \S+ /, '');
    const client = 0xfffffff0;
    expect(say(tcp({ flags: 'S', seq: client }))).toBe('S 0:0(0) win 65535');
    expect(say(tcp({ ...reply, flags: 'S.', seq: 7000, ack: client + 1 }))).toBe('S. 0:0(0) ack 1 win 65535');
    const request = tcp({ flags: 'P.', seq: (client + 1) >>> 0, ack: 7001, text: 'x'.repeat(100) });
    expect(say(request)).toBe('P. 1:101(100) ack 1 win 65535');
    expect(say(request, true)).toContain('P. 4294967281:85(100) ack 7001 win 65535');
    const sack = [1, 1, 5, 10, 0, 0, 0x1b, 0x5b, 0, 0, 0x1b, 0x5d];
    expect(say(tcp({ seq: 85, ack: 7001, options: sack }))).toContain('<nop,nop,sack 3:5>');
    const quote = icmp(3, 4, 576, request.subarray(0, 28), { from: '10.77.0.9', to: '10.77.0.1' });
    expect(say(quote)).toBe('icmp unreachable frag_needed mtu 576 [10.77.0.1.51234 > 10.77.0.2.80 tcp seq 1]');
  });

  test('a connection whose beginning was not seen counts its first byte as 1', () => {
    const tracker = new FlowTracker();
    const frame = tcp({ seq: 500, ack: 900, text: 'ab' });
    expect(notation(frame, 0, frame.length, 'ip', { tracker })).toContain('. 1:3(2) ack 1 win');
    const back = tcp({ ...reply, seq: 900, ack: 502 });
    expect(notation(back, 0, back.length, 'ip', { tracker })).toContain('. 1:1(0) ack 3 win');
  });

  test('a reset founds no numbers', () => {
    const tracker = new FlowTracker();
    const syn = tcp({ flags: 'S', seq: 500 });
    notation(syn, 0, syn.length, 'ip', { tracker });
    const rst = tcp({ ...reply, flags: 'R.', seq: 0, ack: 501, win: 0 });
    expect(notation(rst, 0, rst.length, 'ip', { tracker })).toContain('R. 0:0(0) ack 1 win 0');
  });
});
