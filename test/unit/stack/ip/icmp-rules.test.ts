import { DEFAULT_LIMITS } from '../../../../stack/stack';
import * as f from './frames';
import { Lab, type LabOptions } from './lab';

/*
 * When a host answers with ICMP and when it must not: RFC 1122 §3.2.2, RFC 1812 §4.3.2, RFC 4443 §2.4.
 */

const ETHERNET: LabOptions = { link: 'ethernet' };

/** A lab on Ethernet that knows its peer's link address. */
function withPeer(options: LabOptions = {}): Lab {
  const lab = new Lab({ ...ETHERNET, ...options });
  lab.rx(f.arp(), f.ethernet(f.solicitation()));
  lab.sent();
  return lab;
}

const withSource = (from: string): Uint8Array =>
  from.includes(':')
    ? f.ip6(f.UDP, f.udp([1], { from, to: f.US6 }), { from })
    : f.ip4(f.UDP, f.udp([1], { from, to: f.US }), { from });

const toDestination = (to: string): Uint8Array =>
  to.includes(':') ? f.ip6(f.UDP, f.udp([1], { v6: true, to }), { to }) : f.ip4(f.UDP, f.udp([1], { to }), { to });

describe('what earns an error', () => {
  const [quote4, quote6] = ['[10.0.0.2.5000 > 10.0.0.1.7 udp (1)]', '[fd00::2.5000 > fd00::1.7 udp (1)]'];
  test.each([
    ['IPv4, a closed port', f.ip4(f.UDP, f.udp([1])), `icmp unreachable port_unreachable ${quote4}`],
    ['IPv6, a closed port', f.ip6(f.UDP, f.udp([1], { v6: true })), `icmp6 unreachable port_unreachable ${quote6}`],
    ['IPv4, an unknown protocol', f.ip4(77, [1]), 'icmp unreachable protocol_unreachable [10.0.0.2 > 10.0.0.1'],
    ['IPv6, an unknown header', f.ip6(77, [1]), 'icmp6 parameter_problem unknown_next_header pointer 6 [fd00::2'],
  ])('%s', (_name, packet, line) => {
    const [sent] = withPeer().answer(f.ethernet(packet));
    expect(sent).toEqual([expect.stringContaining(line)]);
  });

  test('RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c): as much as fits into 576 and 1280 bytes is quoted, unchanged', () => {
    const lab = withPeer();
    const packets = [
      f.ip4(f.UDP, f.udp(f.bytesOf(1400)), { tos: 0x28, id: 0x4321, ttl: 7 }),
      f.ip6(f.UDP, f.udp(f.bytesOf(1400), { v6: true }), { tos: 0x28, hops: 7 }),
    ];
    lab.rx(...packets.map((packet) => f.ethernet(packet)));
    const sent = lab.take().map(({ bytes }) => bytes.subarray(14));
    expect(sent.map((bytes) => bytes.length)).toEqual([576, 1280]);
    expect([...sent[0]!.subarray(28)]).toEqual([...packets[0]!.subarray(0, 548)]);
    expect([...sent[1]!.subarray(48)]).toEqual([...packets[1]!.subarray(0, 1232)]);
    // RFC 1812 §4.3.2.5: with the precedence of internetwork control.
    expect(sent[0]![1]).toBe(0xc0);
    expect(sent[0]![8]).toBe(64);
  });

  test('RFC 1122 §3.2.2: the source of an error is the address that was spoken to', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24'] });
    expect(lab.answer(f.ip4(f.UDP, f.udp([], { to: '10.0.0.5' }), { to: '10.0.0.5' }))[0]).toEqual([
      expect.stringContaining('10.0.0.5 > 10.0.0.2 [tos 0xc0] icmp unreachable'),
    ]);
  });
});

describe('what never does', () => {
  const silent = (frame: Uint8Array, lab = withPeer()): void => expect(lab.answer(frame)[0]).toEqual([]);

  const ERRORS4: readonly [string, number][] = [
    ['unreachable', 3],
    ['source quench', 4],
    ['redirect', 5],
    ['time exceeded', 11],
    ['parameter problem', 12],
    ['one nobody knows', 44],
  ];
  const ERRORS6: readonly [string, number][] = [
    ['unreachable', 1],
    ['packet too big', 2],
    ['time exceeded', 3],
    ['parameter problem', 4],
    ['one nobody knows', 99],
    ['redirect', 137],
  ];

  test.each(ERRORS4)('IPv4: an ICMP error that cannot be used: %s', (_name, type) => {
    silent(f.ethernet(f.ip4(f.ICMP, f.icmp4(type, 0, 0, f.ip4(f.UDP, f.udp([]), { from: f.US, to: f.PEER })))));
  });

  test.each(ERRORS4)('IPv4: the first fragment of an ICMP error that is not completed: %s', (_name, type) => {
    const lab = withPeer();
    lab.rx(f.ethernet(f.ip4(f.ICMP, f.icmp4(type, 0, 0, f.bytesOf(24)), { more: true }))).at(70_000);
    expect(lab.sent().filter((line) => line.includes('time_exceeded'))).toEqual([]);
  });

  test.each(ERRORS6)('IPv6: an ICMP error behind an option that asks for an answer: %s', (_name, type) => {
    const header = f.optionsHeader(f.ICMP6, [0xbe, 0]);
    silent(f.ethernet(f.ip6(f.DESTINATION, [...header, ...f.icmp6(type, 0, 0, f.bytesOf(48))])));
  });

  test('IPv6: an informational message behind such an option is answered', () => {
    const header = f.optionsHeader(f.ICMP6, [0xbe, 0]);
    const [sent] = withPeer().answer(f.ethernet(f.ip6(f.DESTINATION, [...header, ...f.icmp6(128, 0, 0)])));
    expect(sent).toHaveLength(1);
  });

  test.each(['255.255.255.255', '10.0.0.255', '224.0.0.1', 'ff02::1', 'ff01::1', 'ff02::1:ff00:1'])(
    'a datagram to %s',
    (to) => silent(f.ethernet(toDestination(to), { to: f.BROADCAST })),
  );

  test('a link broadcast or multicast with one host’s address inside', () => {
    for (const to of [f.BROADCAST, '01:00:5e:00:00:01', '33:33:00:00:00:01']) {
      silent(f.ethernet(f.ip4(f.UDP, f.udp([1])), { to }));
      silent(f.ethernet(f.ip6(f.UDP, f.udp([1], { v6: true })), { to }));
    }
  });

  test('IPv4: a later fragment', () => {
    silent(f.ethernet(f.ip4(200, f.bytesOf(8), { offset: 8, more: true })));
  });

  test.each([
    '0.0.0.0',
    '127.0.0.1',
    '224.0.0.5',
    '10.0.0.255',
    '255.255.255.255',
    '240.0.0.1',
    '::',
    '::1',
    'ff02::5',
  ])('a datagram from %s, which is not one host', (from) => silent(f.ethernet(withSource(from))));
});

describe('types (RFC 1122 §3.2.2, RFC 4443 §2.4)', () => {
  test('unknown ones are dropped in silence', () => {
    const lab = withPeer();
    for (const type of [1, 2, 6, 7, 9, 10, 13, 15, 17, 19, 30, 255]) {
      expect(lab.answer(f.ethernet(f.ip4(f.ICMP, f.icmp4(type, 0, 0))))).toEqual([[], { 'icmp-unknown-type': 1 }]);
    }
    for (const type of [130, 133, 134, 138, 200, 255]) {
      expect(lab.answer(f.ethernet(f.ip6(f.ICMP6, f.icmp6(type, 0, 0))))).toEqual([[], { 'icmp-unknown-type': 1 }]);
    }
  });

  test('ICMPv6 in IPv4 and ICMP in IPv6 are protocols that nobody knows', () => {
    const lab = new Lab();
    expect(lab.answer(f.ip4(f.ICMP6, f.icmp4(8, 0, 1)))[0]).toEqual([expect.stringContaining('protocol_unreachable')]);
    expect(lab.answer(f.ip6(f.ICMP, f.icmp4(8, 0, 1)))[0]).toEqual([expect.stringContaining('unknown_next_header')]);
  });

  test('cut at every length: no answer', () => {
    const messages = [f.icmp4(8, 0, 1, f.bytesOf(8)), f.icmp6(128, 0, 1, f.bytesOf(8))];
    for (let length = 0; length < 8; length++) {
      expect(new Lab().answer(f.ip4(f.ICMP, messages[0]!.slice(0, length)))).toEqual([[], { 'icmp-truncated': 1 }]);
      expect(new Lab().answer(f.ip6(f.ICMP6, messages[1]!.slice(0, length)))).toEqual([[], { 'icmp-truncated': 1 }]);
    }
    for (let length = 8; length < 16; length++) {
      expect(new Lab().answer(f.ip4(f.ICMP, messages[0]!.slice(0, length)))).toEqual([[], { 'icmp-bad-checksum': 1 }]);
      expect(new Lab().answer(f.ip6(f.ICMP6, messages[1]!.slice(0, length)))).toEqual([[], { 'icmp-bad-checksum': 1 }]);
    }
  });

  test('RFC 4443 §2.3: the ICMPv6 checksum covers the pseudo-header, the ICMP one does not', () => {
    expect(new Lab().answer(f.ip6(f.ICMP6, f.icmp4(128, 0, 1)))[1]).toEqual({ 'icmp-bad-checksum': 1 });
    expect(new Lab().answer(f.ip4(f.ICMP, f.icmp6(8, 0, 1)))[1]).toEqual({ 'icmp-bad-checksum': 1 });
  });
});

describe('echo (RFC 1122 §3.2.2.6, RFC 4443 §4.2)', () => {
  test('the same text, identifier and number, from the address that was asked, with the same type of service', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64', 'fd00::5/64'] });
    lab.rx(
      f.ip4(f.ICMP, f.icmp4(8, 0, 0xbeef0007, f.bytesOf(31)), { to: '10.0.0.5', tos: 0xb8 | 1 }),
      f.ip6(f.ICMP6, f.icmp6(128, 0, 0xbeef0007, f.bytesOf(31), { to: 'fd00::5' }), { to: 'fd00::5', tos: 0xb8 | 1 }),
    );
    const sent = lab.take();
    expect(sent.map((frame) => lab.line(frame))).toEqual([
      '10.0.0.5 > 10.0.0.2 [tos 0xb8] icmp echo_reply id 48879 seq 7 (31)',
      'fd00::5 > fd00::2 [tos 0xb8] icmp6 echo_reply id 48879 seq 7 (31)',
    ]);
    expect([...sent[0]!.bytes.subarray(28)]).toEqual([...f.bytesOf(31)]);
    expect([...sent[1]!.bytes.subarray(48)]).toEqual([...f.bytesOf(31)]);
  });

  test('a reply is passed to who waits for it', () => {
    const lab = new Lab();
    const heard: unknown[] = [];
    lab.stack.control.onEchoReply = (source, id, seq, bytes) => heard.push([String(source), id, seq, bytes]);
    lab.rx(f.ip4(f.ICMP, f.icmp4(0, 0, 0xffff0003, [1, 2])), f.ip6(f.ICMP6, f.icmp6(129, 0, 0x10004)));
    expect(heard).toEqual([
      ['10.0.0.2', 65_535, 3, 2],
      ['fd00::2', 1, 4, 0],
    ]);
    expect(lab.sent()).toEqual([]);
  });

  test('so many in one batch are answered, no more', () => {
    const lab = new Lab({ config: { limits: { ...DEFAULT_LIMITS, echoesMax: 5 } } });
    const [sent, drops] = lab.answer(...new Array<Uint8Array>(8).fill(f.ip4(f.ICMP, f.icmp4(8, 0, 1))));
    expect([sent.length, drops]).toEqual([5, { 'icmp-rate-limited': 3 }]);
    // The text was read where it lay: nothing holds the slab any more.
    expect(lab.stack.slabs.pinned()).toBe(0);
    expect(lab.answer(f.ip4(f.ICMP, f.icmp4(8, 0, 1)))[0]).toHaveLength(1);
  });

  test('RFC 4291 §2.5.2: who asks without an address gets no answer, whatever the routes', () => {
    const everywhere = { routes: ['0.0.0.0/0 via 10.0.0.254', '::/0 via fd00::fe'] };
    const nobody = f.ip6(f.ICMP6, f.icmp6(128, 0, 1, [], { from: '::' }), { from: '::' });
    expect(new Lab(everywhere).answer(nobody)).toEqual([[], { 'ip-no-route': 1 }]);
  });

  test('to everybody: an IPv4 host keeps silent, an IPv6 one answers from its own address', () => {
    const lab = withPeer();
    const all4 = f.ip4(f.ICMP, f.icmp4(8, 0, 1), { to: '10.0.0.255' });
    expect(lab.answer(f.ethernet(all4, { to: f.BROADCAST }))).toEqual([[], { 'icmp-broadcast': 1 }]);
    const all6 = f.ip6(f.ICMP6, f.icmp6(128, 0, 1, [], { to: 'ff02::1' }), { to: 'ff02::1' });
    expect(lab.answer(f.ethernet(all6, { to: '33:33:00:00:00:01' }))[0]).toEqual([
      'fd00::1 > fd00::2 icmp6 echo_reply id 0 seq 1 (0)',
    ]);
  });
});

describe('the rate of errors (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f))', () => {
  const limits = { ...DEFAULT_LIMITS, icmpPerSecond: 100, icmpBurst: 20 };
  const closedPort = f.ip4(f.UDP, f.udp([]));
  const sentOf = (lab: Lab, packets: number): number => {
    let sent = 0;
    for (let i = 0; i < packets; i += 10) sent += lab.answer(...new Array<Uint8Array>(10).fill(closedPort))[0].length;
    return sent;
  };

  test('a burst, then so many a second', () => {
    const lab = new Lab({ config: { limits } });
    const burst = sentOf(lab, 1000);
    // A message costs one token on average.
    expect(burst).toBeGreaterThan(8);
    expect(burst).toBeLessThan(45);
    let later = 0;
    for (let second = 0; second < 50; second++) later += sentOf(lab.after(20), 100);
    expect(later).toBeGreaterThan(70);
    expect(later).toBeLessThan(135);
  });

  test('how many exactly depends on chance: nobody can count along', () => {
    const counts = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => sentOf(new Lab({ config: { limits, seed } }), 200));
    expect(new Set(counts).size).toBeGreaterThan(2);
  });

  test('echo replies are not errors: they have their own limit', () => {
    const lab = new Lab({ config: { limits: { ...limits, icmpPerSecond: 0 } } });
    sentOf(lab, 100);
    expect(lab.answer(f.ip4(f.ICMP, f.icmp4(8, 0, 1)))[0]).toHaveLength(1);
  });

  test('the default is Linux’s: a thousand a second, fifty at once', () => {
    expect([DEFAULT_LIMITS.icmpPerSecond, DEFAULT_LIMITS.icmpBurst]).toEqual([1000, 50]);
  });
});
