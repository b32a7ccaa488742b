import * as f from './frames';
import { Lab } from './lab';

/*
 * Whose datagrams are taken, and from whom: RFC 1122 §3.2.1.3, §3.3.4.2, §3.3.6; RFC 4291 §2.7.1, §2.8; RFC 4007 §4.
 */

const echo4 = (from: string, to: string): Uint8Array => f.ip4(f.ICMP, f.icmp4(8, 0, 1), { from, to });
const echo6 = (from: string, to: string): Uint8Array =>
  f.ip6(f.ICMP6, f.icmp6(128, 0, 1, [], { from, to }), { from, to });

const reasonFor = (frame: Uint8Array, options = {}): string => {
  const [sent, drops] = new Lab(options).answer(frame);
  return sent.length > 0 ? 'answered' : (Object.keys(drops)[0] ?? 'nothing');
};

describe('IPv4', () => {
  test.each([
    ['a neighbour', '10.0.0.2', '10.0.0.1', 'answered'],
    ['somebody else’s address', '10.0.0.2', '10.0.0.3', 'ip-not-for-us'],
    ['from 0.0.0.0', '0.0.0.0', '10.0.0.1', 'ip-bad-source'],
    ['from "this network"', '0.1.2.3', '10.0.0.1', 'ip-bad-source'],
    ['from the loopback network', '127.0.0.1', '10.0.0.1', 'ip-bad-source'],
    ['from a group', '224.0.0.9', '10.0.0.1', 'ip-bad-source'],
    ['from class E', '240.0.0.1', '10.0.0.1', 'ip-bad-source'],
    ['from everybody', '255.255.255.255', '10.0.0.1', 'ip-bad-source'],
    ['from our subnet’s broadcast address', '10.0.0.255', '10.0.0.1', 'ip-bad-source'],
    ['from ourselves', '10.0.0.1', '10.0.0.1', 'ip-bad-source'],
    ['to the loopback network', '10.0.0.2', '127.0.0.1', 'ip-bad-destination'],
    ['to everybody', '10.0.0.2', '255.255.255.255', 'icmp-broadcast'],
    ['to our subnet', '10.0.0.2', '10.0.0.255', 'icmp-broadcast'],
    ['to another subnet', '10.0.0.2', '10.0.1.255', 'ip-not-for-us'],
    ['to all hosts', '10.0.0.2', '224.0.0.1', 'icmp-broadcast'],
    ['to a group that nobody joined', '10.0.0.2', '224.0.0.2', 'ip-not-for-us'],
  ])('%s: %s > %s: %s', (_name, from, to, outcome) => {
    expect(reasonFor(echo4(from, to))).toBe(outcome);
  });

  test('0.0.0.0 may ask everybody: whoever gives addresses listens', () => {
    const lab = new Lab();
    const socket = lab.stack.udp.bind(null, 4, 67, false);
    const question = f.udp([1], { from: '0.0.0.0', to: '255.255.255.255', sport: 68, dport: 67 });
    lab.rx(f.ip4(f.UDP, question, { from: '0.0.0.0', to: '255.255.255.255' }));
    expect(socket).toMatchObject({ queue: [{ sourcePort: 68 }] });
  });

  test('a host has its addresses on every interface (the weak model)', () => {
    const lab = new Lab({ links: [{ addresses: ['10.0.0.1/24'] }, { addresses: ['10.1.0.1/24'] }] });
    expect(lab.answer(echo4('10.0.0.2', '10.1.0.1'))).toEqual([
      ['0: 10.1.0.1 > 10.0.0.2 icmp echo_reply id 0 seq 1 (0)'],
      {},
    ]);
  });

  test('§3.2.1.3 (g): the loopback network is at home on the loopback link only', () => {
    const links = [{ addresses: ['10.0.0.1/24'] }, { addresses: ['127.0.0.1/8'], mtu: 65_535 }];
    const lab = new Lab({ links });
    const onLoop = (frame: Uint8Array): string[] => {
      lab.rxOn(1, frame);
      return lab.sent();
    };
    expect(onLoop(echo4('127.0.0.1', '127.0.0.1'))).toEqual([
      '1: 127.0.0.1 > 127.0.0.1 icmp echo_reply id 0 seq 1 (0)',
    ]);
    expect(onLoop(echo4('127.0.0.1', '127.9.8.7'))).toEqual([
      '1: 127.9.8.7 > 127.0.0.1 icmp echo_reply id 0 seq 1 (0)',
    ]);
    expect(lab.answer(echo4('10.0.0.2', '127.0.0.1'))).toEqual([[], { 'ip-bad-destination': 1 }]);
  });

  test('RFC 1122 §2.4, §3.3.6: a link broadcast with one host’s address inside is discarded', () => {
    const options = { link: 'ethernet' as const };
    expect(reasonFor(f.ethernet(echo4('10.0.0.2', '10.0.0.1'), { to: f.BROADCAST }), options)).toBe(
      'ip-bad-destination',
    );
  });

  test('no subnet, no broadcast address: /31 and /32', () => {
    expect(reasonFor(echo4('10.0.0.0', '10.0.0.1'), { addresses: ['10.0.0.1/31'] })).toBe('answered');
    expect(reasonFor(echo4('10.0.0.2', '10.0.0.255'), { addresses: ['10.0.0.1/32'] })).toBe('ip-not-for-us');
  });
});

describe('IPv6', () => {
  test.each([
    ['a neighbour', 'fd00::2', 'fd00::1', 'answered'],
    ['a neighbour’s link-local address', 'fe80::2', 'fe80::1', 'answered'],
    ['somebody else’s address', 'fd00::2', 'fd00::3', 'ip-not-for-us'],
    ['from ::', '::', 'fd00::1', 'ip-no-route'],
    ['from ::1', '::1', 'fd00::1', 'ip-bad-source'],
    ['to ::1', 'fd00::2', '::1', 'ip-bad-destination'],
    ['from a mapped IPv4 address', '::ffff:a00:2', 'fd00::1', 'ip-bad-source'],
    ['to a mapped IPv4 address', 'fd00::2', '::ffff:a00:1', 'ip-not-for-us'],
    ['from a compatible IPv4 address', '::a00:2', 'fd00::1', 'ip-bad-source'],
    ['from a group', 'ff02::9', 'fd00::1', 'ip-bad-source'],
    ['from ourselves', 'fd00::1', 'fd00::1', 'ip-bad-source'],
    ['to all nodes on the link', 'fd00::2', 'ff02::1', 'answered'],
    ['to all nodes on the interface', 'fd00::2', 'ff01::1', 'answered'],
    ['to all nodes of a larger scope', 'fd00::2', 'ff05::1', 'ip-not-for-us'],
    ['to all routers', 'fd00::2', 'ff02::2', 'ip-not-for-us'],
    ['to our solicited-node group', 'fd00::2', 'ff02::1:ff00:1', 'answered'],
    ['to another solicited-node group', 'fd00::2', 'ff02::1:ff00:2', 'ip-not-for-us'],
    ['to what only looks like one', 'fd00::2', 'ff05::1:ff00:1', 'ip-not-for-us'],
  ])('%s: %s > %s: %s', (_name, from, to, outcome) => {
    expect(reasonFor(echo6(from, to))).toBe(outcome);
  });

  test('RFC 4007 §4: a link-local address is one of its own link only', () => {
    const links = [{ addresses: ['fe80::1/64', 'fd00::1/64'] }, { addresses: ['fe80::5/64', 'fd01::1/64'] }];
    const lab = new Lab({ links });
    expect(lab.answer(echo6('fe80::2', 'fe80::5'))).toEqual([[], { 'ip-not-for-us': 1 }]);
    expect(lab.answer(echo6('fd00::2', 'fd01::1'))).toEqual([
      ['0: fd01::1 > fd00::2 icmp6 echo_reply id 0 seq 1 (0)'],
      {},
    ]);
  });
});
