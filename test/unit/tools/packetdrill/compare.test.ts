import type { PacketLine } from '../../../../tools/packetdrill/ast';
import { type CompareOptions, compare, Gathering } from '../../../../tools/packetdrill/compare';
import { linePieces, marks, printFlags, recordPieces, text } from '../../../../tools/packetdrill/notation';
import { ACK, type IcmpRecord, type PacketRecord, PSH, type TcpRecord } from '../../../../tools/packetdrill/packet';
import { parseScript } from '../../../../tools/packetdrill/parser';

const line = (source: string, options = ''): PacketLine =>
  parseScript('t', `${options} 0 ${source}`).events[0]!.action as PacketLine;

const LOOSE: CompareOptions = { strict: false, strictSegments: false, tsTickUs: 0, toleranceUs: 4000 };
const STRICT: CompareOptions = { ...LOOSE, strict: true, strictSegments: true };

const ECN = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: 2 } as const;

/** The record that a line describes, so that both sides of a test can be written in the notation. */
function record(source: string): PacketRecord {
  const l = line(source);
  const { ecn, tos, ttl, flowLabel } = l.ip;
  const ip = {
    version: 4 as const,
    ttl: ttl ?? 64,
    tos: tos ?? ECN[ecn ?? 'noecn'],
    flowLabel: flowLabel ?? 0,
    source: '',
    destination: '',
  };
  if (l.kind === 'icmp') throw new Error('not for ICMP');
  const ports = { sourcePort: l.ports?.source ?? 8080, destinationPort: l.ports?.destination ?? 40_000 };
  if (l.kind === 'udp') return { protocol: 'udp', ip, ...ports, payloadBytes: l.length };
  return {
    protocol: 'tcp',
    ip,
    ...ports,
    flags: l.flags,
    seq: l.from,
    ack: l.ack ?? 0,
    window: l.window ?? 500,
    urgent: l.urgent ?? 0,
    options: l.options === 'any' ? [] : [...l.options],
    payloadBytes: l.length,
  };
}

const found = (expected: string, actual: string, options = LOOSE): string[] =>
  compare(line(expected), record(actual), options).map(({ field, what }) => `${field}: ${what}`);

describe('what must be the same', () => {
  test.each([
    ['> . 1:1(0) ack 1', '> F. 1:1(0) ack 1', 'flags: flags F., not .'],
    ['> . 1:1(0) ack 1', '> - 1:1(0) ack 1', 'flags: flags -, not .'],
    ['> SEW 0:0(0)', '> S 0:0(0)', 'flags: flags S, not SEW'],
    ['> .5 1:1(0) ack 1', '> .4 1:1(0) ack 1', 'flags: flags .4, not .5'],
    ['> . 1:1(0) ack 1', '> . 2:2(0) ack 1', 'seq: seq 2, not 1'],
    ['> . 1:11(10) ack 1', '> . 1:21(20) ack 1', 'seq: 20 bytes of payload, not 10'],
    ['> . 1:1(0) ack 8', '> . 1:1(0) ack 1', 'ack: ack 1, not 8'],
    ['> R 1:1(0)', '> R 1:1(0) ack 5', 'ack: ack 5, not 0'],
    ['> . 1:1(0) ack 1 win 0', '> . 1:1(0) ack 1 win 5', 'win: win 5, not 0'],
    ['> . 1:1(0) ack 1 win 7', '> . 1:1(0) ack 1 win 0', 'win: win 0, not 7'],
    ['> U. 1:2(1) ack 1 urg 1', '> U. 1:2(1) ack 1 urg 2', 'urg: urg 2, not 1'],
    ['> . 1:1(0) ack 1', '> . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 2>', 'options: TS val 1 ecr 2, which is not expected'],
    ['> . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 2>', '> . 1:1(0) ack 1', 'options: no TS val 1 ecr 2 in its place'],
    ['> S 0:0(0) <mss 1460>', '> S 0:0(0) <mss 1000>', 'options: options mss 1000, not mss 1460'],
    [
      '> . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 2>',
      '> . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 3>',
      'options: options TS val 1 ecr 3, not TS val 1 ecr 2',
    ],
    [
      '> . 1:1(0) ack 1 <nop,nop,sack 1:2 5:6>',
      '> . 1:1(0) ack 1 <nop,nop,sack 5:6 1:2>',
      'options: options sack 5:6 1:2, not sack 1:2 5:6',
    ],
    ['> S 0:0(0) <FO abcd>', '> S 0:0(0) <FO abce>', 'options: options FO abce, not FO abcd'],
    ['> [ect0] . 1:1(0) ack 1', '> [ect1] . 1:1(0) ack 1', 'ip: ect1, not ect0'],
    ['> [ect01] . 1:1(0) ack 1', '> [noecn] . 1:1(0) ack 1', 'ip: noecn, not ect01'],
    ['> [tos 0x10] . 1:1(0) ack 1', '> [tos 0x12] . 1:1(0) ack 1', 'ip: tos 0x12, not 0x10'],
    ['> [ttl 5] . 1:1(0) ack 1', '> [ttl 6] . 1:1(0) ack 1', 'ip: ttl 6, not 5'],
    ['> [flowlabel 0x1] . 1:1(0) ack 1', '> [flowlabel 0x2] . 1:1(0) ack 1', 'ip: flowlabel 0x2, not 0x1'],
    ['> 8080 > 5 . 1:1(0) ack 1', '> 8080 > 6 . 1:1(0) ack 1', 'ports: 8080 > 6, not 8080 > 5'],
    ['> udp (10)', '> udp (11)', 'payload: 11 bytes of payload, not 10'],
    ['> udp (10)', '> . 1:11(10)', 'protocol: tcp, not udp'],
    ['> . 1:1(0)', '> udp (0)', 'protocol: udp, not tcp'],
  ])('%s against %s', (expected, actual, difference) => {
    expect(found(expected, actual)).toEqual([difference]);
    expect(found(expected, actual, STRICT).length).toBeGreaterThan(0);
  });

  test('every difference is told', () => {
    expect(found('> F. 1:1(0) ack 8 win 0', '> . 2:2(0) ack 7 win 1')).toEqual([
      'flags: flags ., not F.',
      'seq: seq 2, not 1',
      'ack: ack 7, not 8',
      'win: win 1, not 0',
    ]);
  });
});

describe('what may differ unless the run is strict', () => {
  test.each([
    ['PSH', '> P. 1:11(10) ack 1', '> . 1:11(10) ack 1'],
    ['the size of the window', '> . 1:1(0) ack 1 win 100', '> . 1:1(0) ack 1 win 200'],
    ['the order of options', '> S 0:0(0) <mss 1460,sackOK,nop,nop>', '> S 0:0(0) <nop,nop,sackOK,mss 1460>'],
    ['padding', '> S 0:0(0) <mss 1460,nop,wscale 8>', '> S 0:0(0) <nop,mss 1460,wscale 8>'],
    ['the shift count', '> S 0:0(0) <mss 1460,nop,wscale 8>', '> S 0:0(0) <mss 1460,nop,wscale 7>'],
    [
      'the order of older SACK blocks',
      '> . 1:1(0) <nop,nop,sack 1:2 3:4 5:6>',
      '> . 1:1(0) <nop,nop,sack 1:2 5:6 3:4>',
    ],
  ])('%s', (_, expected, actual) => {
    expect(found(expected, actual)).toEqual([]);
    expect(found(expected, actual, STRICT)).toHaveLength(1);
  });

  test.each([
    ['an unspoken window', '> . 1:1(0) ack 1', '> . 1:1(0) ack 1 win 5'],
    ['options behind "..."', '> S 0:0(0) <...>', '> S 0:0(0) <mss 1460>'],
    ['TTL and TOS', '> . 1:1(0) ack 1', '> [ect0] . 1:1(0) ack 1'],
    ['either ECT', '> [ect01] . 1:1(0) ack 1', '> [ect1] . 1:1(0) ack 1'],
  ])('%s never matters', (_, expected, actual) => {
    expect(found(expected, actual, STRICT)).toEqual([]);
  });

  test('the value of a timestamp matters with a tick, within the tolerance', () => {
    const expected = '> . 1:1(0) ack 1 <nop,nop,TS val 100 ecr 2>';
    const actual = (value: number): string => `> . 1:1(0) ack 1 <nop,nop,TS val ${value} ecr 2>`;
    const ticks = { ...LOOSE, tsTickUs: 1000 };
    expect(found(expected, actual(999_999))).toEqual([]);
    expect(found(expected, actual(104), ticks)).toEqual([]);
    expect(found(expected, actual(96), ticks)).toEqual([]);
    expect(found(expected, actual(105), ticks)).toHaveLength(1);
    expect(found(expected, actual(101), { ...ticks, tsTickUs: 10_000 })).toEqual([]);
  });

  test('strict options stand in their order', () => {
    expect(found('> S 0:0(0) <nop,nop,sackOK,mss 1460>', '> S 0:0(0) <mss 1460,nop,nop,sackOK>', STRICT)).toEqual([
      'options: no nop in its place',
    ]);
  });
});

describe('ICMP', () => {
  const icmp = (part: Partial<IcmpRecord>): IcmpRecord => ({
    protocol: 'icmp',
    ip: { version: 4, ttl: 64, tos: 0, flowLabel: 0, source: '', destination: '' },
    type: 3,
    code: 3,
    mtu: 0,
    id: 0,
    quoted: null,
    payloadBytes: 0,
    ...part,
  });
  const quoted = {
    protocol: 17,
    source: '',
    destination: '',
    sourcePort: 1,
    destinationPort: 2,
    seq: 0,
    payloadBytes: 10,
  };
  const differences = (source: string, part: Partial<IcmpRecord>): string[] =>
    compare(line(source), icmp(part), LOOSE).map(({ what }) => what);

  test.each<[string, Partial<IcmpRecord>, string[]]>([
    ['> icmp unreachable port_unreachable', {}, []],
    ['> icmp unreachable', { code: 1 }, []],
    ['> icmp unreachable host_unreachable', {}, ['port_unreachable, not host_unreachable']],
    ['> icmp echo_reply', {}, ['unreachable, not echo_reply']],
    ['> icmp unreachable frag_needed mtu 5', { code: 4, mtu: 6 }, ['mtu 6, not 5']],
    ['> icmp echo_reply id 5', { type: 0, id: 6 }, ['id 6, not 5']],
    ['> icmp unreachable [udp (10)]', { quoted }, []],
    ['> icmp unreachable [udp (11)]', { quoted }, ['a quotation of 10 bytes, not 11']],
    ['> icmp unreachable [udp (10)]', {}, ['quotes no datagram']],
    ['> icmp unreachable [1:11(10)]', { quoted }, ['a quotation of IP protocol 17, not tcp']],
    [
      '> icmp unreachable [1:11(10)]',
      { quoted: { ...quoted, protocol: 6 } },
      ['a quotation of sequence number 0, not 1'],
    ],
    ['> icmp unreachable [raw (1)]', { quoted }, []],
  ])('%s', (source, part, expected) => {
    expect(differences(source, part)).toEqual(expected);
  });
});

describe('several segments for one line', () => {
  /** Verdicts one after the other. */
  function gather(expected: string, actual: string[], options = LOOSE): (string | string[])[] {
    const gathering = new Gathering(line(expected), options);
    return actual.map((source) => {
      const verdict = gathering.add(record(source));
      return Array.isArray(verdict) ? verdict.map(({ what }) => what) : verdict;
    });
  }

  test('equal sizes, a shorter last one, FIN on it', () => {
    expect(
      gather('> P. 1:2501(2500) ack 1', [
        '> . 1:1001(1000) ack 1',
        '> . 1001:2001(1000) ack 1',
        '> P. 2001:2501(500) ack 1',
      ]),
    ).toEqual(['more', 'more', 'done']);
    expect(gather('> FP. 1:2001(2000) ack 1', ['> . 1:1001(1000) ack 1', '> F. 1001:2001(1000) ack 1'])).toEqual([
      'more',
      'done',
    ]);
  });

  test.each<[string, string[], string[]]>([
    ['a gap', ['> . 1:1001(1000) ack 1', '> . 1002:2002(1000) ack 1'], ['seq 1002, not 1001']],
    ['the same again', ['> . 1:1001(1000) ack 1', '> . 1:1001(1000) ack 1'], ['seq 1, not 1001']],
    [
      'a shorter one in the middle',
      ['> . 1:1001(1000) ack 1', '> . 1001:1501(500) ack 1'],
      ['a segment of 500 bytes between segments of 1000'],
    ],
    [
      'a longer one',
      ['> . 1:501(500) ack 1', '> . 501:1501(1000) ack 1'],
      ['1000 bytes of payload after segments of 500'],
    ],
    ['another ack', ['> . 1:1001(1000) ack 1', '> . 1001:2001(1000) ack 2'], ['ack 2, not 1']],
    ['FIN too early', ['> F. 1:1001(1000) ack 1'], ['flags F., not .']],
    ['a bare ACK in between', ['> . 1:1001(1000) ack 1', '> . 1001:1001(0) ack 1'], ['0 bytes of payload, not 1500']],
    [
      'other options',
      ['> . 1:1001(1000) ack 1', '> . 1001:2001(1000) ack 1 <nop,nop,TS val 1 ecr 1>'],
      ['TS val 1 ecr 1, which is not expected'],
    ],
  ])('%s is refused', (_, segments, expected) => {
    expect(gather('> . 1:2501(2500) ack 1', segments).at(-1)).toEqual(expected);
  });

  test('more bytes than the line has are refused, at the first segment and at the last', () => {
    expect(gather('> . 1:1001(1000) ack 1', ['> . 1:2001(2000) ack 1'])).toEqual([['2000 bytes of payload, not 1000']]);
    expect(gather('> . 1:1501(1500) ack 1', ['> . 1:1001(1000) ack 1', '> . 1001:2001(1000) ack 1'])).toEqual([
      'more',
      ['1000 bytes of payload, not 500'],
    ]);
  });

  test('a FIN missing at the end is noticed', () => {
    expect(gather('> F. 1:2001(2000) ack 1', ['> . 1:1001(1000) ack 1', '> . 1001:2001(1000) ack 1'])).toEqual([
      'more',
      ['flags ., not F.'],
    ]);
  });

  test('CWR is on the first segment only', () => {
    expect(gather('> W. 1:2001(2000) ack 1', ['> W. 1:1001(1000) ack 1', '> . 1001:2001(1000) ack 1'])).toEqual([
      'more',
      'done',
    ]);
    expect(gather('> W. 1:2001(2000) ack 1', ['> . 1:1001(1000) ack 1'])).toEqual([['flags ., not W.']]);
  });

  test('SYN and RST lines, strict runs and strict_segments take one segment', () => {
    expect(gather('> S 0:1000(1000)', ['> S 0:500(500)'])).toEqual([['500 bytes of payload, not 1000']]);
    const one = { ...LOOSE, strictSegments: true };
    expect(gather('> . 1:2001(2000) ack 1', ['> . 1:1001(1000) ack 1'], one)).toEqual([
      ['1000 bytes of payload, not 2000'],
    ]);
  });

  test('other protocols pass through', () => {
    expect(gather('> udp (10)', ['> udp (10)'])).toEqual(['done']);
    expect(gather('> . 1:2001(2000) ack 1', ['> . 1:1001(1000) ack 1', '> udp (1)'])).toEqual([
      'more',
      ['udp, not tcp'],
    ]);
  });
});

describe('the notation', () => {
  test.each([
    '> [ect0] S. 0:0(0) ack 1 win 7 urg 3 <mss 1460,nop,wscale 8>',
    '> 8080 > 5 P.5 1:11(10) ack 1 <...>',
    '< - 1:1(0) win 5',
    '> . 1:1(0) ack 1 <nop,nop,sack 1:2 3:4>',
    '> S 0:0(0) <FO,FO abcd,nop,nop>',
    '> . 1:1(0) <ECN e0b 1 ceb 2 e1b 3,nop>',
    '> . 1:1(0) <md5 000102030405060708090a0b0c0d0e0f,nop,nop>',
    '> [tos 0x1c,ttl 5,flowlabel 0xabc] . 1:1(0)',
    '> udp (1000)',
    '< icmp unreachable frag_needed mtu 840 [0:1000(1000)]',
    '< icmp echo_request id 7 [raw (3)]',
  ])('%s is printed as it was read', (source) => {
    expect(text(linePieces(line(source)))).toBe(source);
  });

  test('an actual packet shows what the line speaks of', () => {
    const tcp = record('> . 1:11(10) ack 1 win 500 <nop,nop,TS val 1 ecr 2>') as TcpRecord;
    expect(text(recordPieces(tcp, line('> . 1:1(0) ack 1')))).toBe('> . 1:11(10) ack 1 <nop,nop,TS val 1 ecr 2>');
    expect(text(recordPieces(tcp, line('> 1 > 2 . 1:1(0) ack 1 win 4')))).toBe(
      '> 8080 > 40000 . 1:11(10) ack 1 win 500 <nop,nop,TS val 1 ecr 2>',
    );
    expect(text(recordPieces(tcp, null))).toBe('> . 1:11(10) ack 1 win 500 <nop,nop,TS val 1 ecr 2>');
  });

  test('differing pieces are underlined', () => {
    const pieces = recordPieces(record('> F. 1:11(10) ack 1'), line('> . 1:1(0) ack 2'));
    expect(text(pieces)).toBe('> F. 1:11(10) ack 1');
    expect(marks(pieces, new Set(['flags', 'ack']))).toBe('  ^^          ^^^^^');
    expect(marks(pieces, new Set(['mtu']))).toBe('');
  });

  test('flags', () => {
    expect(printFlags(0)).toBe('-');
    expect(printFlags(0x1ff)).toBe('FSRPEWUA.');
    expect(printFlags(ACK | PSH | 0x140, true)).toBe('P.5');
  });
});
