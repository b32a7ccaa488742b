import fc from 'fast-check';
import { finish, sum } from '../../../../stack/base/checksum';
import { formatAddress, parseAddress } from '../../../../tools/packetdrill/address';
import type { IcmpLine, PacketLine, TcpLine } from '../../../../tools/packetdrill/ast';
import { Connection } from '../../../../tools/packetdrill/connection';
import { decodeFrame } from '../../../../tools/packetdrill/decode';
import { encodeIcmp, encodeOptions, encodeTcp, encodeUdp } from '../../../../tools/packetdrill/encode';
import {
  AE,
  type IpFields,
  type IpVersion,
  type TcpOption,
  type TcpRecord,
} from '../../../../tools/packetdrill/packet';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { buildInbound } from '../../../../tools/packetdrill/wire';

const V4: IpFields = { version: 4, ttl: 64, tos: 2, flowLabel: 0, source: '192.0.2.1', destination: '192.168.0.1' };
const V6: IpFields = { version: 6, ttl: 63, tos: 3, flowLabel: 0xabcde, source: 'fd00::1', destination: 'fd00::2' };

const OPTIONS: TcpOption[] = [
  { kind: 'mss', value: 1460 },
  { kind: 'sackOK' },
  { kind: 'TS', value: 4_000_000_000, echo: 7 },
  { kind: 'nop' },
  { kind: 'wscale', value: 8 },
];

const segment = (ip: IpFields, part: Partial<TcpRecord> = {}): TcpRecord => ({
  protocol: 'tcp',
  ip,
  sourcePort: 40_000,
  destinationPort: 8080,
  flags: 0x112,
  seq: 4_000_000_000,
  ack: 3_000_000_000,
  window: 65_535,
  urgent: 5,
  options: OPTIONS,
  payloadBytes: 11,
  ...part,
});

describe('addresses', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['FD3D:0a0b:17d6::1', 'fd3d:a0b:17d6::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:0:0:4:0:0:0:8', '1:0:0:4::8'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('%s is %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  test.each(['', '1.2.3', '1.2.3.256', '1.2.3.4.5', '1::2::3', '1:2', '12345::', 'g::', '1:2:3:4:5:6:7::8', '::1.2.3'])(
    '"%s" is none',
    (text) => {
      expect(parseAddress(text)).toBeNull();
    },
  );
});

describe('what is encoded is decoded', () => {
  test.each([
    ['IPv4', V4],
    ['IPv6', V6],
  ])('TCP over %s', (_, ip) => {
    const decoded = decodeFrame(encodeTcp(segment(ip)));
    expect(decoded.error).toBeNull();
    expect(decoded.record).toEqual(segment(ip));
    expect(decoded.payload).toEqual(new Uint8Array(11));
  });

  test('every option', () => {
    const all: TcpOption[] = [
      { kind: 'sack', blocks: [{ from: 1, to: 4_294_967_295 }] },
      { kind: 'FO', cookie: 'abcd1234' },
      { kind: 'FOEXP', cookie: '' },
      { kind: 'ECN', counters: [{ name: 'e1b', value: 0x123456 }] },
      { kind: 'unknown', number: 77, bytes: '0102' },
      { kind: 'eol' },
    ];
    expect(encodeOptions(all)).toHaveLength(10 + 6 + 4 + 5 + 4 + 1);
    const records = [all.slice(0, 2), [...all.slice(2, 5), { kind: 'nop' as const }, all[5]!, all[5]!]];
    for (const options of records) {
      const padded = [...options];
      while (encodeOptions(padded).length % 4 !== 0) padded.push({ kind: 'nop' });
      expect(decodeFrame(encodeTcp(segment(V4, { options: padded }))).record).toMatchObject({ options: padded });
    }
    const md5: TcpOption[] = [
      { kind: 'md5', digest: '00112233445566778899aabbccddeeff' },
      { kind: 'nop' },
      { kind: 'nop' },
    ];
    expect(decodeFrame(encodeTcp(segment(V4, { options: md5 }))).record).toMatchObject({ options: md5 });
  });

  test('the experimental Fast Open option is known by its number F989', () => {
    expect(encodeOptions([{ kind: 'FOEXP', cookie: 'aabb' }])).toEqual(Uint8Array.of(254, 6, 0xf9, 0x89, 0xaa, 0xbb));
  });

  test('UDP', () => {
    const record = { protocol: 'udp' as const, ip: V6, sourcePort: 1, destinationPort: 2, payloadBytes: 3 };
    expect(decodeFrame(encodeUdp(record)).record).toEqual(record);
  });

  test('a UDP checksum that comes out as zero is sent as all ones (RFC 768)', () => {
    const datagram = (sourcePort: number): Uint8Array =>
      encodeUdp({ protocol: 'udp', ip: V4, sourcePort, destinationPort: 2, payloadBytes: 3 });
    const frame = datagram(0);
    const other = datagram((frame[26]! << 8) | frame[27]!);
    expect([...other.subarray(26, 28)]).toEqual([0xff, 0xff]);
    expect(decodeFrame(other).error).toBeNull();
  });

  test('ICMP with an MTU, and one with an identifier', () => {
    const frame = encodeIcmp({ ip: V4, type: 3, code: 4, mtu: 1200, id: 0, body: new Uint8Array(0) });
    expect(decodeFrame(frame).record).toMatchObject({ protocol: 'icmp', type: 3, code: 4, mtu: 1200, quoted: null });
    const big = encodeIcmp({ ip: V6, type: 2, code: 0, mtu: 70_000, id: 0, body: new Uint8Array(0) });
    expect(decodeFrame(big).record).toMatchObject({ mtu: 70_000 });
    const echo = encodeIcmp({ ip: V6, type: 128, code: 0, mtu: 0, id: 77, body: new Uint8Array(4) });
    expect(decodeFrame(echo).record).toMatchObject({ type: 128, id: 77, payloadBytes: 4 });
  });

  test('the checksums are those of RFC 791 and RFC 9293', () => {
    const frame = encodeTcp(segment(V4));
    expect(finish(sum(frame, 0, 20, 0))).toBe(0);
    expect(finish(sum(frame, 20, frame.length, sum(frame, 12, 20, 6 + frame.length - 20)))).toBe(0);
  });
});

describe('frames that are wrong', () => {
  const good = encodeTcp(segment(V4));
  const changed = (at: number, value: number): Uint8Array => good.with(at, value);

  test.each([
    ['not an IP datagram', changed(0, 0x05)],
    ['a bad IPv4 header length', changed(0, 0x44)],
    ['a bad IPv4 total length', changed(2, 0xff)],
    ['a bad IPv4 header checksum', changed(8, 1)],
    ['a bad TCP data offset', changed(32, 0x40)],
    ['a bad TCP checksum', changed(24, 1)],
    ['IP protocol 99', encodeWith(9, 99)],
    ['an IPv4 fragment', encodeWith(6, 0x20)],
  ])('%s', (error, frame) => {
    expect(decodeFrame(frame).error).toBe(error);
  });

  /** The good frame with one byte of the IP header changed and its checksum made right. */
  function encodeWith(at: number, value: number): Uint8Array {
    const frame = good.with(at, value).with(10, 0).with(11, 0);
    const check = finish(sum(frame, 0, 20, 0));
    return frame.with(10, check >>> 8).with(11, check & 0xff);
  }

  test('cut at every length: an error, never a throw', () => {
    for (const frame of [good, encodeTcp(segment(V6)), quoted('< icmp unreachable [1:11(10)]', 4)]) {
      for (let length = 0; length < frame.length; length++) {
        expect(decodeFrame(frame.subarray(0, length)).error).not.toBeNull();
      }
    }
  });

  test('an option with a bad length', () => {
    const frame = encodeTcp(
      segment(V4, { options: [{ kind: 'unknown', number: 77, bytes: '0102' }], payloadBytes: 0 }),
    );
    frame[41] = 9;
    frame[36] = 0;
    frame[37] = 0;
    const check = finish(sum(frame, 20, frame.length, sum(frame, 12, 20, 6 + frame.length - 20)));
    frame[36] = check >>> 8;
    frame[37] = check & 0xff;
    expect(decodeFrame(frame).error).toBe('a TCP option with a bad length');
  });

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.constantFrom(0x45, 0x60, 0x4f), (bytes, first) => {
        if (bytes.length > 0) bytes[0] = first;
        const decoded = decodeFrame(bytes);
        expect(decoded.error === null).toBe(decoded.record !== null);
      }),
      { numRuns: 2000 },
    );
  });
});

const line = (text: string, options = ''): PacketLine =>
  parseScript('t', `${options} 0 ${text}`).events[0]!.action as PacketLine;

function connection(version: IpVersion = 4): Connection {
  const [local, remote] = version === 4 ? ['192.168.0.1', '192.0.2.1'] : ['fd00::1', 'fd00::2'];
  return new Connection('tcp', false, { ip: local!, port: 8080 }, { ip: remote!, port: 40_000 });
}

function quoted(text: string, version: IpVersion): Uint8Array {
  const built = buildInbound(line(text, version === 6 ? '--ip_version=ipv6' : ''), connection(version), version, false);
  if ('error' in built) throw new Error(built.error);
  return built.frame;
}

describe('packets to the stack', () => {
  const record = (text: string): unknown => decodeFrame(quoted(text, 4)).record;

  test('a segment has the live addresses and ports, all fields, and zeros as payload', () => {
    expect(record('< [ect1] SU. 5:8(3) ack 0 win 7 urg 2 <mss 1000>')).toMatchObject({
      ip: { version: 4, ttl: 255, tos: 1, source: '192.0.2.1', destination: '192.168.0.1' },
      sourcePort: 40_000,
      destinationPort: 8080,
      flags: 0x32,
      seq: 5,
      window: 7,
      urgent: 2,
      options: [{ kind: 'mss', value: 1000 }],
      payloadBytes: 3,
    });
  });

  test.each([
    ['[tos 0x1c]', { tos: 0x1c }],
    ['[ttl 3]', { ttl: 3 }],
    ['[ce]', { tos: 3 }],
    ['[ect0]', { tos: 2 }],
    ['[noecn]', { tos: 0 }],
  ])('IP fields %s', (info, ip) => {
    expect(record(`< ${info} . 1:1(0) ack 1 win 5`)).toMatchObject({ ip });
  });

  test('ports of the line win', () => {
    expect(record('< 1 > 2 . 1:1(0) ack 1 win 5')).toMatchObject({ sourcePort: 1, destinationPort: 2 });
    expect(record('< udp 3 > 4 (5)')).toMatchObject({ sourcePort: 3, destinationPort: 4, payloadBytes: 5 });
  });

  test('the AE bit of AccECN', () => {
    expect((record('< S.4 0:0(0) ack 1 win 5') as TcpRecord).flags & AE).toBe(AE);
  });

  test.each<[string, IpVersion]>([
    ['IPv4', 4],
    ['IPv6', 6],
  ])('an ICMP error over %s quotes a segment of the connection', (_, version) => {
    const type = version === 4 ? 'unreachable frag_needed mtu 840' : 'packet_too_big mtu 1400';
    const frame = quoted(`< icmp ${type} [11:1011(1000)]`, version);
    const live = connection(version);
    expect(decodeFrame(frame).record).toMatchObject({
      mtu: version === 4 ? 840 : 1400,
      quoted: {
        protocol: 6,
        source: live.local.ip,
        destination: live.remote.ip,
        sourcePort: 8080,
        destinationPort: 40_000,
        seq: 11,
        payloadBytes: 1000,
      },
    });
  });

  test('without a quotation its number is 0; queries quote nothing', () => {
    expect(record('< icmp unreachable')).toMatchObject({ quoted: { seq: 0, payloadBytes: 0 } });
    expect(record('< icmp echo_request id 9')).toMatchObject({ id: 9, quoted: null, payloadBytes: 0 });
    expect(record('< icmp unreachable [udp (30)]')).toMatchObject({ quoted: { protocol: 17, payloadBytes: 30 } });
    expect(record('< icmp unreachable [raw (9)]')).toMatchObject({ payloadBytes: 9 });
  });

  test('what does not fit into a datagram is an error of the script', () => {
    expect(buildInbound(line('< . 0:70000(70000) ack 1 win 5') as TcpLine, connection(), 4, false)).toEqual({
      error: 'a datagram of 70020 bytes behind the IP header: at most 65515',
    });
    expect(line('< icmp unreachable') as IcmpLine).toMatchObject({ quote: null });
  });
});
