import { ArpPacket, readArp, writeArp } from '../../../../stack/ethernet/arp';
import {
  etherType,
  formatMac,
  isGroup,
  isSourceGroup,
  macEquals,
  writeEthernet,
} from '../../../../stack/ethernet/frame';
import { DEFAULT_CONFIG } from '../../../../stack/stack';
import * as f from '../ip/frames';
import { Lab, type LabOptions } from '../ip/lab';
import { Flow, udpSend, udpSocket } from '../ip/transports';

/* ARP and Neighbor Discovery through the whole stack: RFC 826, RFC 1122 §2.3.2, RFC 4861 §7, RFC 5227. */

const ETHERNET: LabOptions = { link: 'ethernet' };
const echo4 = f.ip4(f.ICMP, f.icmp4(8, 0, 1));
const echo6 = f.ip6(f.ICMP6, f.icmp6(128, 0, 1));
const WHO = 'arp who-has 10.0.0.2 tell 10.0.0.1';
const NS = 'fd00::1 > ff02::1:ff00:2 icmp6 neighbor_solicitation who-has fd00::2 <source 02:00:00:00:00:01>';
const UNICAST_NS = 'fd00::1 > fd00::2 icmp6 neighbor_solicitation who-has fd00::2 <source 02:00:00:00:00:01>';

const toMac = (lab: Lab): string[] => lab.take().map(({ bytes }) => formatMac(bytes));

describe('the header', () => {
  test('what is written is read back', () => {
    const b = new Uint8Array(20);
    writeEthernet(b, 3, Uint8Array.from(f.mac(f.BROADCAST)), Uint8Array.from(f.mac(f.OUR_MAC)), 0x0806);
    expect([etherType(b, 3), isGroup(b, 3), isSourceGroup(b, 3)]).toEqual([0x0806, true, false]);
    expect([formatMac(b, 3), formatMac(b, 9)]).toEqual([f.BROADCAST, f.OUR_MAC]);
    expect(macEquals(b, 9, Uint8Array.from(f.mac(f.OUR_MAC)))).toBe(true);
    expect(macEquals(b, 9, Uint8Array.from(f.mac(f.PEER_MAC)))).toBe(false);
  });

  test('cut at every length', () => {
    const frame = f.ethernet(echo4);
    for (let bytes = 0; bytes < 14; bytes++) {
      expect(new Lab(ETHERNET).answer(frame.subarray(0, bytes))).toEqual([[], { 'ethernet-truncated': 1 }]);
    }
  });

  test.each([
    ['a length instead of a type (IEEE 802.3)', 0x0040],
    ['a VLAN tag', 0x8100],
    ['RARP', 0x8035],
  ])('%s is not understood', (_name, type) => {
    expect(new Lab(ETHERNET).answer(f.ethernet(echo4, { type }))).toEqual([[], { 'ethernet-unknown-type': 1 }]);
  });

  test('padding to 60 bytes is no part of the datagram', () => {
    const padded = new Uint8Array(60).fill(0xaa);
    padded.set(f.ethernet(f.ip4(f.ICMP, f.icmp4(8, 0, 1))));
    const lab = new Lab(ETHERNET);
    lab.rx(f.arp(), padded);
    expect(lab.sent()).toContain('10.0.0.1 > 10.0.0.2 icmp echo_reply id 0 seq 1 (0)');
  });
});

describe('the ARP packet (RFC 826)', () => {
  test('what is written is read back', () => {
    const b = new Uint8Array(40);
    const [sender, target] = [Uint8Array.from(f.mac(f.OUR_MAC)), Uint8Array.from(f.mac(f.PEER_MAC))];
    writeArp(b, 5, 2, sender, 0x0a000001, target, 0xc0000201 | 0);
    const arp = new ArpPacket();
    expect(readArp(b, 5, 33, arp)).toBeNull();
    expect(arp).toMatchObject({ operation: 2, senderMac: sender, senderIp: 0x0a000001, targetIp: 0xc0000201 | 0 });
    expect([...b.subarray(23, 29)]).toEqual(f.mac(f.PEER_MAC));
  });

  test('cut at every length', () => {
    const packet = f.arp();
    for (let bytes = 14; bytes < 42; bytes++) {
      expect(new Lab(ETHERNET).answer(packet.subarray(0, bytes))).toEqual([[], { 'arp-truncated': 1 }]);
    }
  });

  test.each([
    ['another hardware', 15, 6],
    ['another protocol', 16, 0x86],
    ['longer link addresses', 18, 8],
    ['longer protocol addresses', 19, 16],
    ['an unknown operation', 21, 8],
  ])('%s: malformed', (_name, at, value) => {
    const packet = f.arp();
    packet[at] = value;
    expect(new Lab(ETHERNET).answer(packet)).toEqual([[], { 'arp-malformed': 1 }]);
  });

  test('a sender with a group address is believed nothing', () => {
    const packet = f.arp();
    packet[22] = 3;
    expect(new Lab(ETHERNET).answer(packet)).toEqual([[], { 'arp-bad-sender': 1 }]);
  });
});

describe('answers', () => {
  test('who asks for us hears it, by unicast, and is known from then on', () => {
    const lab = new Lab(ETHERNET);
    expect(lab.answer(f.arp())).toEqual([['arp reply 10.0.0.1 is-at 02:00:00:00:00:01'], {}]);
    lab.rx(f.ethernet(echo4));
    expect(toMac(lab)).toEqual([f.PEER_MAC]);
  });

  test('RFC 5227 §2.1.1: a probe for our address is answered, and teaches nothing', () => {
    const lab = new Lab(ETHERNET);
    expect(lab.answer(f.arp({ sender: '0.0.0.0' }))).toEqual([['arp reply 10.0.0.1 is-at 02:00:00:00:00:01'], {}]);
    expect([...lab.stack.neighbors(lab.links[0]!)!]).toEqual([]);
  });

  test('RFC 4861 §7.2.4: a solicitation is answered to its sender; one without sender to all', () => {
    const lab = new Lab(ETHERNET);
    const group = { to: '33:33:ff:00:00:01' };
    const answer = 'icmp6 neighbor_advertisement fd00::1 is-at';
    const mine = '<target 02:00:00:00:00:01>';
    expect(lab.answer(f.ethernet(f.solicitation(), group))[0]).toEqual([`fd00::1 > fd00::2 ${answer} [SO] ${mine}`]);
    const probe = f.solicitation({ from: '::', options: [] });
    expect(lab.answer(f.ethernet(probe, group))[0]).toEqual([`fd00::1 > ff02::1 ${answer} [O] ${mine}`]);
    lab.rx(f.ethernet(probe, group));
    expect(toMac(lab)).toEqual(['33:33:00:00:00:01']);
  });

  test.each([
    ['a hop limit of 254', { hops: 254 }],
    ['a code other than 0', { code: 1 }],
    ['a group as target', { target: 'ff02::9', to: f.US6 }],
    ['an option of length 0', { options: [1, 0, 2, 0, 0, 0, 0, 2] }],
    ['an option beyond the end', { options: [1, 2, 2, 0, 0, 0, 0, 2] }],
    ['half an option', { options: [1] }],
    ['no sender but a link address', { from: '::' }],
    ['no sender and not to the solicited-node group', { from: '::', options: [], to: f.US6 }],
  ])('§7.1.1: a solicitation with %s is invalid', (_name, fields) => {
    expect(new Lab(ETHERNET).answer(f.ethernet(f.solicitation(fields)))).toEqual([[], { 'ndp-invalid': 1 }]);
  });

  test.each([
    ['a hop limit of 254', { hops: 254 }],
    ['a code other than 0', { code: 9 }],
    ['a group as target', { target: 'ff02::9' }],
    ['an option of length 0', { options: [2, 0, 2, 0, 0, 0, 0, 2] }],
    ['"solicited", to a group', { to: 'ff02::1' }],
  ])('§7.1.2: an advertisement with %s is invalid', (_name, fields) => {
    expect(new Lab(ETHERNET).answer(f.ethernet(f.advertisement(fields)))).toEqual([[], { 'ndp-invalid': 1 }]);
  });

  test('§7.1: shorter than 24 bytes is invalid', () => {
    for (let bytes = 8; bytes < 24; bytes++) {
      const message = f.icmp6(135, 0, 0, new Array<number>(bytes - 8).fill(0xfd));
      expect(new Lab(ETHERNET).answer(f.ethernet(f.ip6(f.ICMP6, message, { hops: 255 })))[1]).toEqual({
        'ndp-invalid': 1,
      });
    }
  });

  test.each([
    ['a solicitation', f.solicitation()],
    ['an advertisement', f.advertisement()],
  ])('RFC 6980 §5: %s in fragments, or with a fragment header, is invalid', (_name, whole) => {
    const body = whole.subarray(40);
    const ends = { hops: 255, to: whole[24] === 0xff ? f.solicited(f.US6) : f.US6 };
    const piece = (from: number, to: number): Uint8Array =>
      f.ethernet(
        f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.ICMP6, from, to < body.length), ...body.subarray(from, to)], ends),
      );
    const lab = new Lab(ETHERNET);
    expect(lab.answer(piece(0, body.length))).toEqual([[], { 'ndp-invalid': 1 }]);
    expect(lab.answer(piece(0, 16), piece(16, body.length))).toEqual([[], { 'ndp-invalid': 1 }]);
    // It holds for the message, not for those behind it.
    expect(lab.answer(f.ethernet(f.solicitation()))[0]).toHaveLength(1);
  });

  test('§7.1: options that nobody knows are passed over', () => {
    const options = [14, 1, 1, 2, 3, 4, 5, 6, ...f.linkOption(1, f.PEER_MAC), 99, 2, ...new Array<number>(14).fill(7)];
    const lab = new Lab(ETHERNET);
    expect(lab.answer(f.ethernet(f.solicitation({ options })))[0]).toHaveLength(1);
    lab.rx(f.ethernet(echo6));
    expect(toMac(lab)).toEqual([f.PEER_MAC]);
  });

  test('on a link without addresses nobody is a neighbour', () => {
    expect(new Lab().answer(f.solicitation())).toEqual([[], { 'ndp-not-for-us': 1 }]);
  });
});

describe('conflicts are told to whoever configures addresses', () => {
  const conflicts = (lab: Lab): string[] => {
    const heard: string[] = [];
    lab.stack.link.onConflict = (iface, address, mac) => heard.push(`${iface.name} ${address} ${formatMac(mac)}`);
    return heard;
  };

  test('RFC 5227 §2.4: an ARP packet from our address', () => {
    const lab = new Lab(ETHERNET);
    const heard = conflicts(lab);
    expect(lab.answer(f.arp({ sender: f.US, target: f.US }))).toEqual([[], { 'arp-conflict': 1 }]);
    expect(heard).toEqual([`link0 10.0.0.1 ${f.PEER_MAC}`]);
  });

  test('RFC 4862 §5.4.4: an advertisement of our address', () => {
    const lab = new Lab(ETHERNET);
    const heard = conflicts(lab);
    const claim = f.advertisement({ target: f.US6, to: 'ff02::1', flags: f.OVERRIDE_FLAG });
    expect(lab.answer(f.ethernet(claim, { to: '33:33:00:00:00:01' }))).toEqual([[], { 'ndp-conflict': 1 }]);
    expect(heard).toEqual([`link0 fd00::1 ${f.PEER_MAC}`]);
  });

  test('our own frames, come back over a loop, are none', () => {
    const lab = new Lab(ETHERNET);
    const heard = conflicts(lab);
    lab.rx(f.arp({ sender: f.US, target: f.US, senderMac: f.OUR_MAC }));
    expect([heard, lab.drops()]).toEqual([[], { 'arp-conflict': 1 }]);
  });
});

describe.each([
  ['IPv4', echo4, WHO, WHO, f.arp({ operation: 2 }), 'echo_reply'],
  ['IPv6', echo6, NS, UNICAST_NS, f.ethernet(f.advertisement()), 'echo_reply'],
])('resolution: %s', (_name, echo, question, probe, answer, reply) => {
  test('the first frame waits, is sent when the address is known, and only then', () => {
    const lab = new Lab(ETHERNET);
    expect(lab.answer(f.ethernet(echo))[0]).toEqual([question]);
    lab.after(500).rx(answer);
    expect(lab.take().map((frame) => [formatMac(frame.bytes), lab.line(frame).includes(reply)])).toEqual([
      [f.PEER_MAC, true],
    ]);
    lab.rx(f.ethernet(echo));
    expect(toMac(lab)).toEqual([f.PEER_MAC]);
    expect(lab.drops()).toEqual({});
  });

  test('RFC 1122 §2.3.2.1: a thousand frames for an absent host, a request a second at most', () => {
    const lab = new Lab(ETHERNET);
    const times: number[] = [];
    for (let i = 0; i < 1000; i++) {
      lab.after(10).rx(f.ethernet(echo));
      times.push(...lab.take().map(({ at }) => at));
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(times.length).toBeGreaterThan(5);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000);
  });

  test('RFC 1122 §2.3.2.2: the latest frames are kept', () => {
    const parkedMax = 2;
    const lab = new Lab({ ...ETHERNET, config: { neighbors: { ...DEFAULT_CONFIG.neighbors, parkedMax } } });
    const v6 = echo[0]! >> 4 === 6;
    for (let seq = 1; seq <= 5; seq++) {
      lab.rx(f.ethernet(v6 ? f.ip6(f.ICMP6, f.icmp6(128, 0, seq)) : f.ip4(f.ICMP, f.icmp4(8, 0, seq))));
    }
    expect(lab.drops()).toEqual({ 'ip-no-neighbor': 3 });
    lab.sent();
    lab.rx(answer);
    expect(lab.sent().map((line) => / seq (\d)/.exec(line)?.[1])).toEqual(['4', '5']);
  });

  test('RFC 4861 §7.3.3: used after 30 s it is checked: 5 s later by unicast, three times; then it is unknown', () => {
    const lab = new Lab(ETHERNET);
    lab.rx(f.ethernet(echo)).rx(answer);
    lab.at(30_000).rx(f.ethernet(echo));
    lab.take();
    lab.at(34_999);
    expect(lab.sent()).toEqual([]);
    lab.at(40_000);
    const probes = lab.take();
    expect(probes.map((frame) => [frame.at, formatMac(frame.bytes), lab.line(frame)])).toEqual(
      [35_000, 36_000, 37_000].map((at) => [at, f.PEER_MAC, probe]),
    );
    expect(lab.answer(f.ethernet(echo))[0]).toEqual([question]);
  });

  test('an answer to the probe ends the doubt', () => {
    const lab = new Lab(ETHERNET);
    lab.rx(f.ethernet(echo)).rx(answer);
    lab.at(30_000).rx(f.ethernet(echo));
    lab.at(35_500).rx(answer);
    lab.sent();
    lab.at(60_000);
    expect(lab.sent()).toEqual([]);
  });

  test('the frame that waits is gone when nobody answers', () => {
    const lab = new Lab(ETHERNET);
    lab.rx(f.ethernet(echo)).at(3000);
    expect(lab.drops()).toEqual({ 'ip-no-neighbor': 1 });
    expect(lab.stack.neighbors(lab.links[0]!)!.parkedBytes).toBe(0);
  });
});

describe('nobody answers (RFC 4861 §7.2.2)', () => {
  test.each([f.PEER, f.PEER6])('opening a connection to %s fails with EHOSTUNREACH after three seconds', (remote) => {
    const lab = new Lab(ETHERNET);
    const t = new Flow(lab, remote);
    lab.at(2999);
    expect(t.tell().errors).toEqual([]);
    lab.at(3000);
    expect(t.tell().errors).toEqual(['EHOSTUNREACH']);
  });

  test('an open connection is told, and goes on trying', () => {
    const lab = new Lab(ETHERNET);
    const t = new Flow(lab, f.PEER);
    lab.rx(f.arp({ operation: 2 }));
    const answer = t.segment({ flags: f.SYN | f.ACK, seq: 7000, ack: t.iss + 1, options: [2, 4, 5, 180] });
    lab.rx(f.ethernet(answer));
    t.write(10).tell();
    lab.at(60_000);
    expect([t.tell().advice[0], t.errors, t.c.state]).toEqual(['EHOSTUNREACH', [], 'ESTABLISHED']);
    lab.sent();
    lab.at(200_000);
    const lines = lab.sent();
    expect(lines.length).toBeGreaterThan(0);
    // The neighbour is back: what waits goes out.
    lab.at(200_500);
    lab.rx(f.arp());
    lab.at(330_000);
    expect(lab.sent().some((line) => line.includes('P. 100001:100011(10)'))).toBe(true);
  });

  test('a connected UDP socket is not: Linux does not tell it either', () => {
    const lab = new Lab(ETHERNET);
    const socket = udpSocket(lab, 9, f.PEER);
    udpSend(lab, socket, f.PEER);
    lab.at(5000);
    expect([socket.error, lab.drops()]).toEqual([null, { 'ip-no-neighbor': 1 }]);
  });
});

describe('TCP and its next hop', () => {
  test('RFC 4861 §7.3.1: a connection that moves keeps its neighbour reachable, without a probe', () => {
    const lab = new Lab(ETHERNET);
    const t = new Flow(lab, f.PEER);
    lab.rx(f.arp({ operation: 2 }));
    const answer = t.segment({ flags: f.SYN | f.ACK, seq: 7000, ack: t.iss + 1, options: [2, 4, 5, 180] });
    lab.rx(f.ethernet(answer));
    for (let second = 1; second <= 300; second++) {
      lab.at(second * 1000);
      t.write(10);
      lab.after(5).rx(f.ethernet(t.segment({ flags: f.ACK, seq: 7001, ack: t.iss + 1 + second * 10 })));
    }
    expect(lab.sent().filter((line) => line.startsWith('arp'))).toEqual([WHO]);
  });
});

describe('groups and broadcasts have computed link addresses (RFC 1112 §6.4, RFC 2464 §7)', () => {
  test.each([
    ['224.0.0.251', '01:00:5e:00:00:fb'],
    ['239.129.2.3', '01:00:5e:01:02:03'],
    ['255.255.255.255', f.BROADCAST],
    ['10.0.0.255', f.BROADCAST],
    ['ff02::fb', '33:33:00:00:00:fb'],
    ['ff05::1:ff12:3456', '33:33:ff:12:34:56'],
  ])('%s: %s', (remote, mac) => {
    const lab = new Lab(ETHERNET);
    const socket = udpSocket(lab, 9);
    socket.broadcast = true;
    expect(udpSend(lab, socket, remote)).toBeNull();
    udpSend(lab, socket, remote);
    expect(toMac(lab)).toEqual([mac, mac]);
  });
});

describe('bounds', () => {
  test('a flood of questions in one batch is answered in part, and the next batch again', () => {
    const lab = new Lab(ETHERNET);
    const flood = Array.from({ length: 120 }, (_, i) => f.arp({ sender: `10.0.0.${i + 100}` }));
    const [sent, drops] = lab.answer(...flood);
    expect([sent.length, drops]).toEqual([64, { 'link-busy': 56 }]);
    expect(lab.answer(f.arp())[0]).toHaveLength(1);
  });

  test.each([
    ['10.0.0.77', (i: number) => f.arp({ sender: `10.0.0.${100 + i}` }), f.arp({ sender: '10.0.0.77', operation: 2 })],
    [
      'fd00::77',
      (i: number) => f.ethernet(f.solicitation({ from: `fd00::1${i}` })),
      f.ethernet(f.advertisement({ from: 'fd00::77' })),
    ],
  ])('strangers who make themselves known do not push out whom we ask for: %s', (asked, stranger, answer) => {
    const lab = new Lab({ ...ETHERNET, config: { neighbors: { ...DEFAULT_CONFIG.neighbors, entriesMax: 8 } } });
    for (let i = 0; i < 20; i++) lab.rx(stranger(i));
    udpSend(lab, udpSocket(lab, 9), asked);
    for (let i = 20; i < 40; i++) lab.rx(stranger(i));
    lab.sent();
    lab.rx(answer);
    expect(lab.sent()).toEqual([expect.stringContaining(`${asked}.7 udp (1)`)]);
    expect(lab.drops()).toEqual({});
  });

  test('a large datagram to an unknown neighbour arrives whole', () => {
    const lab = new Lab(ETHERNET);
    udpSend(lab, udpSocket(lab, 9), f.PEER, 7, new Uint8Array(60_000));
    expect(lab.sent()).toEqual([WHO]);
    lab.rx(f.arp({ operation: 2 }));
    expect(lab.take()).toHaveLength(Math.ceil(60_008 / 1480));
    expect(lab.drops()).toEqual({});
  });

  test('a full queue loses nothing of what was released', () => {
    const lab = new Lab({ ...ETHERNET, config: { neighbors: { ...DEFAULT_CONFIG.neighbors, parkedMax: 700 } } });
    const socket = udpSocket(lab, 9);
    for (let i = 0; i < 700; i++) udpSend(lab, socket, f.PEER);
    lab.sent();
    lab.rx(f.arp({ operation: 2 }));
    expect(lab.take()).toHaveLength(700);
  });
});

test('an interface that is down asks nothing and answers nothing', () => {
  const lab = new Lab(ETHERNET);
  lab.rx(f.ethernet(echo4));
  lab.sent();
  lab.links[0]!.up = false;
  lab.at(10_000).rx(f.arp());
  expect(lab.sent()).toEqual([]);
});
