import { dissect } from '../../../../tools/pcap/dissect';
import { type Candidate, compileFilter, FilterError } from '../../../../tools/pcap/filter';
import { arp, CLIENT6, ethernet, icmp, ip, SERVER6, tcp, udp } from '../frames';

function candidate(frame: Uint8Array, link: 'ip' | 'ethernet' = 'ip', more: Partial<Candidate> = {}): Candidate {
  const packet = dissect(frame, 0, frame.length, link);
  return { packet, view: null, length: frame.length, direction: 0, comments: [], names: new Map(), ...more };
}

const bad = tcp({ text: 'abc' });
bad[36]! ^= 1;
const names = new Map([['10.77.0.2', 'web.lab']]);
const view = { flow: 3, fromOpener: true, seqBase: 0, ackBase: 0, notes: ['spurious retransmission'] };

const SAMPLES: Record<string, Candidate> = {
  syn: candidate(tcp({ flags: 'S' }), 'ip', { direction: 2, names }),
  get: candidate(tcp({ flags: 'P.', text: 'GET / HTTP/1.1\r\n\r\n' }), 'ip', { view, comments: ['c'] }),
  reply: candidate(tcp({ from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234, flags: 'R.' }), 'ip', {
    direction: 1,
  }),
  six: candidate(tcp({ from: CLIENT6, to: SERVER6, dport: 443, flags: 'FEWU.' })),
  dns: candidate(udp({ text: 'x' })),
  ping: candidate(icmp(8, 0, 1, new Uint8Array(100))),
  ping6: candidate(icmp(128, 0, 1, new Uint8Array(1), { from: CLIENT6, to: SERVER6 })),
  arp: candidate(arp(1, '10.77.0.1', '10.77.0.9'), 'ethernet'),
  frag: candidate(ip(17, new Uint8Array(8), { fragment: 5 })),
  bad: candidate(bad),
  lldp: candidate(ethernet(0x88cc, new Uint8Array(9)), 'ethernet'),
};

function matches(expression: string): string {
  const filter = compileFilter(expression);
  return Object.entries(SAMPLES)
    .filter(([, c]) => filter(c))
    .map(([name]) => name)
    .join(' ');
}

test.each([
  ['tcp', 'syn get reply six bad'],
  ['udp', 'dns frag'],
  ['icmp', 'ping'],
  ['icmp6', 'ping6'],
  ['arp', 'arp'],
  ['ip6', 'six ping6'],
  ['ip and not tcp', 'dns ping frag'],
  ['frag', 'frag'],
  ['syn', 'syn'],
  ['rst', 'reply'],
  ['psh', 'get'],
  ['fin and ece and cwr and urg', 'six'],
  ['ack and not psh', 'reply six bad'],
  ['text', 'get dns bad'],
  ['http', 'get'],
  ['bad', 'bad'],
  ['noted', 'get'],
  ['retransmission', 'get'],
  ['comment', 'get'],
  ['in', 'reply'],
  ['out', 'syn'],
  ['flow 3', 'get'],
  ['flow != 3 and tcp', 'syn reply six bad'],
  ['len > 100', 'ping'],
  ['len>=128', 'ping'],
  ['len < 30', 'dns frag lldp'],
  ['host 10.77.0.9', 'arp'],
  ['src host 10.77.0.2', 'reply'],
  ['src 10.77.0.2', 'reply'],
  ['dst fd00:0::2', 'six ping6'],
  ['10.77.0.9', 'arp'],
  ['host web.lab', 'syn'],
  ['net 10.77.0.0/28 and arp', 'arp'],
  ['net 10.77.0.0/29 and arp', 'arp'],
  ['dst net 10.77.0.8/29', 'arp'],
  ['src fd00::/8', 'six ping6'],
  ['net ::/0', 'six ping6'],
  ['net 0.0.0.0/0 and not ip', 'arp'],
  ['port 443', 'six'],
  ['src port 80', 'reply'],
  ['dst port 80', 'syn get bad'],
  ['port 50-60', 'dns'],
  ['tcp port 80', 'syn get reply bad'],
  ['udp port 80', ''],
  ['tcp dst port 443', 'six'],
  ['ip host 10.77.0.2 and port 53', 'dns'],
  ['port 443 or 53', 'six dns'],
  ['src port 80 or 5000', 'reply dns'],
  ['host 10.77.0.9 or fd00::2', 'six ping6 arp'],
  ['arp or icmp and icmp6', 'arp'],
  ['(arp or icmp) and not icmp6', 'ping arp'],
  ['not (tcp or udp)', 'ping ping6 arp lldp'],
  ['!tcp&&!udp||syn', 'syn ping ping6 arp lldp'],
  ['not not arp', 'arp'],
  ['NOT TCP AND ARP', 'arp'],
])('%s', (expression, expected) => {
  expect(matches(expression)).toBe(expected);
});

test.each([
  ['', 'the filter is empty', 0],
  ['   ', 'the filter is empty', 3],
  ['tcp and', 'the filter ends where a test was expected', 7],
  ['host', 'an address was expected', 4],
  ['host and port 80', 'an address was expected', 5],
  ['host 10.0.0.300', 'an address was expected', 5],
  ['port http', 'a port between 0 and 65535', 5],
  ['port 70000', 'a port between 0 and 65535', 5],
  ['port 90-80', 'a port between 0 and 65535', 5],
  ['net 10.0.0.0', 'a network such as 10.0.0.0/8', 4],
  ['net 10.0.0.0/33', 'a network such as 10.0.0.0/8', 4],
  ['(tcp', '")" is missing', 4],
  ['tcp)', '")" was not expected here', 3],
  ['tcp udp', '"udp" was not expected here', 4],
  ['tcp or bogus', '"bogus" is not a test; there are: host', 7],
  ['constructor', '"constructor" is not a test', 0],
  ['tcp[13] == 2', '"tcp[13]" is not a test', 0],
  ['len > many', 'a number was expected after "len"', 6],
  ['%', '"%" is not a test', 0],
  [`${'('.repeat(300)}tcp`, 'the filter is nested too deeply', 200],
])('"%s" is refused with a caret', (expression, message, column) => {
  let error: FilterError | null = null;
  try {
    compileFilter(expression);
  } catch (e) {
    error = e as FilterError;
  }
  expect(error).toBeInstanceOf(FilterError);
  const [what, shown, caret] = error!.message.split('\n');
  expect(what).toContain(message);
  expect(shown).toBe(`  ${expression}`);
  expect(caret).toBe(`  ${' '.repeat(column)}^`);
});
