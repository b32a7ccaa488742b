import { parseAddress } from '../../../../stack/base/address';
import { meaningOf } from '../../../../stack/ip/icmp-errors';
import { RFC } from '../../../../stack/tcp/profile';
import * as f from './frames';
import { Lab } from './lab';
import { Flow, udpSend, udpSocket } from './transports';

/* What ICMP says of packets of ours: RFC 1122 §3.2.2, §4.1.3.3, §4.2.3.9; RFC 4443 §3; RFC 5461; RFC 5927. */

type Kind = readonly [type: number, code: number];

const HARD4: readonly [string, Kind, string][] = [
  ['protocol unreachable', [3, 2], 'ENOPROTOOPT'],
  ['port unreachable', [3, 3], 'ECONNREFUSED'],
];
const SOFT4: readonly [string, Kind, string][] = [
  ['net unreachable', [3, 0], 'ENETUNREACH'],
  ['host unreachable', [3, 1], 'EHOSTUNREACH'],
  ['source route failed', [3, 5], 'EOPNOTSUPP'],
  ['net unknown', [3, 6], 'ENETUNREACH'],
  ['host unknown', [3, 7], 'EHOSTDOWN'],
  ['source host isolated', [3, 8], 'ENONET'],
  ['net prohibited', [3, 9], 'ENETUNREACH'],
  ['host prohibited', [3, 10], 'EHOSTUNREACH'],
  ['net unreachable for its type of service', [3, 11], 'ENETUNREACH'],
  ['host unreachable for its type of service', [3, 12], 'EHOSTUNREACH'],
  ['filtered', [3, 13], 'EHOSTUNREACH'],
  ['hop limit exceeded', [11, 0], 'EHOSTUNREACH'],
  ['reassembly time exceeded', [11, 1], 'EHOSTUNREACH'],
  ['parameter problem', [12, 0], 'EPROTO'],
];
const HARD6: readonly [string, Kind, string][] = [
  ['prohibited', [1, 1], 'EACCES'],
  ['port unreachable', [1, 4], 'ECONNREFUSED'],
  ['unknown next header', [4, 1], 'EPROTO'],
];
const SOFT6: readonly [string, Kind, string][] = [
  ['no route', [1, 0], 'ENETUNREACH'],
  ['beyond scope', [1, 2], 'EHOSTUNREACH'],
  ['address unreachable', [1, 3], 'EHOSTUNREACH'],
  ['source policy', [1, 5], 'EACCES'],
  ['rejected', [1, 6], 'EACCES'],
  ['hop limit exceeded', [3, 0], 'EHOSTUNREACH'],
  ['parameter problem', [4, 0], 'EPROTO'],
];
const [PEER4, PEER6] = ['10.0.0.2', 'fd00::2'];
const HARD = [...HARD4.map((row) => [...row, PEER4] as const), ...HARD6.map((row) => [...row, PEER6] as const)];
const SOFT = [...SOFT4.map((row) => [...row, PEER4] as const), ...SOFT6.map((row) => [...row, PEER6] as const)];

describe('TCP', () => {
  test.each(HARD)('RFC 1122 §4.2.3.9: %s refuses a connection that is being opened', (_name, kind, code, remote) => {
    const t = new Flow(new Lab(), remote);
    t.lab.rx(t.error(kind, -1, 0, 60));
    expect(t.tell().errors).toEqual([code]);
    expect(t.c.state).toBe('CLOSED');
  });

  test.each(SOFT)('profile linux: %s does so as well, as every error does on Linux', (_name, kind, code, remote) => {
    const t = new Flow(new Lab(), remote);
    t.lab.rx(t.error(kind, -1, 0, 60));
    expect([t.tell().errors, t.c.state]).toEqual([[code], 'CLOSED']);
  });

  test.each(SOFT)('MUST-56: profile rfc: %s does not, but is advice', (_name, kind, code, remote) => {
    const t = new Flow(new Lab({ config: { profile: RFC } }), remote);
    t.lab.rx(t.error(kind, -1, 0, 60));
    expect(t.tell().advice).toEqual([code]);
    expect([t.errors, t.c.state]).toEqual([[], 'SYN-SENT']);
    // The SYN is sent again, and the connection opens all the same.
    t.lab.at(1000);
    t.establish();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test.each([...HARD, ...SOFT])('profile linux: %s leaves an open connection alone', (_name, kind, code, remote) => {
    const t = new Flow(new Lab(), remote).establish().write(10);
    t.lab.rx(t.error(kind, 0));
    expect(t.tell().advice).toEqual([code]);
    expect([t.errors, t.c.state]).toEqual([[], 'ESTABLISHED']);
  });

  test.each(HARD)('SHLD-26: profile rfc: %s ends it', (_name, kind, code, remote) => {
    const t = new Flow(new Lab({ config: { profile: RFC } }), remote).establish().write(10);
    t.lab.rx(t.error(kind, 0));
    expect([t.tell().errors, t.c.state]).toEqual([[code], 'CLOSED']);
  });

  test.each(SOFT)('MUST-56: profile rfc: %s does not', (_name, kind, code, remote) => {
    const t = new Flow(new Lab({ config: { profile: RFC } }), remote).establish().write(10);
    t.lab.rx(t.error(kind, 0));
    expect([t.tell().errors, t.advice, t.c.state]).toEqual([[], [code], 'ESTABLISHED']);
  });

  test('RFC 5461 §4: a connection that times out later names the advice as its reason', () => {
    const t = new Flow(new Lab(), PEER4).establish().write(10);
    t.lab.rx(t.error([3, 1], 0));
    t.lab.at(3_000_000);
    expect(t.tell().errors).toEqual(['EHOSTUNREACH']);
  });

  test.each([
    ['not yet sent', 5000],
    ['acknowledged long ago', -5000],
    ['the next to be sent', 10],
  ])('MUST-54, RFC 5927 §4.1: about text %s: a forgery', (_name, offset) => {
    const t = new Flow(new Lab({ config: { profile: RFC } }), PEER4).establish().write(10);
    t.lab.drops();
    t.lab.rx(t.error([3, 3], offset));
    expect([t.tell().errors, t.advice, t.lab.drops()]).toEqual([[], [], { 'icmp-bad-quote': 1 }]);
  });

  test('MUST-55, RFC 6633 §3: a source quench is discarded in silence', () => {
    const t = new Flow(new Lab(), PEER4).establish().write(10);
    const { cwnd } = t.c;
    t.lab.drops();
    t.lab.rx(t.error([4, 0], 0));
    expect([t.tell().advice, t.c.cwnd, t.lab.drops()]).toEqual([[], cwnd, { 'icmp-unknown-type': 1 }]);
  });

  test('codes that nobody has defined mean nothing', () => {
    const t = new Flow(new Lab(), PEER4).establish().write(10);
    t.lab.rx(t.error([3, 16], 0), t.error([3, 255], 0));
    expect([t.tell().advice, t.errors]).toEqual([[], []]);
    expect(meaningOf(6, { type: 1, code: 7, rest: 0, bodyAt: 0, end: 0 })).toBeNull();
    expect(meaningOf(6, { type: 5, code: 0, rest: 0, bodyAt: 0, end: 0 })).toBeNull();
  });

  test('a quote without eight bytes of the transport header is of no use', () => {
    const t = new Flow(new Lab(), PEER4).establish().write(10);
    const quote = t.quote(0);
    for (let bytes = 0; bytes < quote.length; bytes++) {
      const frame = f.ip4(f.ICMP, f.icmp4(3, 3, 0, quote.subarray(0, bytes)), { from: '10.0.0.254' });
      expect(t.lab.answer(frame)).toEqual([[], { 'icmp-bad-quote': 1 }]);
    }
    const v6 = new Flow(new Lab(), PEER6).establish().write(10);
    const quote6 = v6.quote(0).subarray(0, 48);
    for (let bytes = 0; bytes < quote6.length; bytes++) {
      const frame = f.ip6(f.ICMP6, f.icmp6(1, 4, 0, quote6.subarray(0, bytes)));
      expect(v6.lab.answer(frame)).toEqual([[], { 'icmp-bad-quote': 1 }]);
    }
  });

  test('a quote of a later fragment, of another version, with a broken header', () => {
    const t = new Flow(new Lab(), PEER4).establish().write(10);
    const bent = (at: number, value: number): Uint8Array => {
      const quote = t.quote(0);
      quote[at] = value;
      return f.ip4(f.ICMP, f.icmp4(3, 3, 0, quote), { from: '10.0.0.254' });
    };
    for (const frame of [bent(7, 1), bent(0, 0x65), bent(0, 0x44), bent(0, 0x4f)]) {
      expect(t.lab.answer(frame)).toEqual([[], { 'icmp-bad-quote': 1 }]);
    }
  });
});

describe('UDP (RFC 1122 §4.1.3.3)', () => {
  const errorAbout = (sent: Uint8Array, [type, code]: Kind): Uint8Array =>
    sent[0]! >> 4 === 6 ? f.ip6(f.ICMP6, f.icmp6(type, code, 0, sent)) : f.ip4(f.ICMP, f.icmp4(type, code, 0, sent));

  const FATAL4 = new Set(['3,2', '3,3', '3,6', '3,7', '3,8', '3,9', '3,10', '3,13', '12,0']);
  const FATAL6 = new Set(['1,4', '1,5', '1,6', '4,0', '4,1']);

  test.each([...HARD, ...SOFT])('a connected socket and %s: as on Linux', (_name, kind, code, remote) => {
    const lab = new Lab();
    const socket = udpSocket(lab, 9, remote);
    udpSend(lab, socket, remote);
    lab.rx(errorAbout(lab.take()[0]!.bytes, kind));
    const fatal = (remote === PEER4 ? FATAL4 : FATAL6).has(String(kind));
    expect(socket.error).toBe(fatal ? code : null);
    expect(lab.stack.udp.signalled).toHaveLength(fatal ? 1 : 0);
    expect(lab.drops()).toEqual({});
  });

  test('an unconnected socket is told nothing: it could not know which datagram is meant', () => {
    const lab = new Lab();
    const socket = udpSocket(lab, 9);
    udpSend(lab, socket, PEER4);
    lab.rx(errorAbout(lab.take()[0]!.bytes, [3, 3]));
    expect([socket.error, lab.drops()]).toEqual([null, {}]);
  });

  test('a socket connected elsewhere cannot have sent it', () => {
    const lab = new Lab();
    const socket = udpSocket(lab, 9, PEER4);
    udpSend(lab, socket, PEER4);
    const [sent] = lab.take();
    lab.stack.udp.connect(socket, parseAddress('10.0.0.3')!, 7);
    lab.rx(errorAbout(sent!.bytes, [3, 3]));
    expect([socket.error, lab.drops()]).toEqual([null, { 'icmp-bad-quote': 1 }]);
  });
});

test('an error about what is neither UDP nor TCP has nobody to go to', () => {
  const lab = new Lab();
  const ping = f.ip4(f.ICMP, f.icmp4(8, 0, 1), { from: f.US, to: f.PEER });
  expect(lab.answer(f.ip4(f.ICMP, f.icmp4(3, 1, 0, ping)))).toEqual([[], { 'icmp-bad-quote': 1 }]);
});
