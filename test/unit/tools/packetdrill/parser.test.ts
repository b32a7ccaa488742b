import type { Action, Call, Event, Expression, IcmpLine, TcpLine } from '../../../../tools/packetdrill/ast';
import { ACE_BITS, ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../../../../tools/packetdrill/packet';
import { bare, errorOf, parse } from './parsing';

const event = (text: string): Event => parse(text).events[0]!;
const action = (text: string): Action => event(`0 ${text}`).action;
const tcp = (text: string): TcpLine => action(text) as TcpLine;
const icmp = (text: string, options = ''): IcmpLine => parse(`${options} 0 ${text}`).events[0]!.action as IcmpLine;
const call = (text: string): Call => action(text) as Call;
const argument = (text: string): Expression => call(`f(${text}) = 0`).args[0]!;

describe('times', () => {
  test.each([
    ['0', { kind: 'absolute', us: 0 }],
    ['1.5', { kind: 'absolute', us: 1_500_000 }],
    ['.25', { kind: 'absolute', us: 250_000 }],
    ['+0', { kind: 'relative', us: 0 }],
    ['+.000001', { kind: 'relative', us: 1 }],
    ['+ 2', { kind: 'relative', us: 2_000_000 }],
    ['*', { kind: 'any' }],
    ['0.1~0.2', { kind: 'absolute-range', us: 100_000, toUs: 200_000 }],
    ['+.1~+.2', { kind: 'relative-range', us: 100_000, toUs: 200_000 }],
  ])('%s', (time, expected) => {
    expect(event(`${time} > . 1:1(0) ack 1`).time).toEqual(expected);
  });

  test.each([
    ['* < . 1:1(0) ack 1 win 5', '"*" is for packets from the stack only', 1],
    ['0~1 close(3) = 0', 'a range of times is for packets from the stack only', 1],
    ['0.2~0.1 > . 1:1(0)', 'the range ends before it begins', 5],
    ['+0.1~0.2 > . 1:1(0)', 'expected "+" before the end of a range of relative times, found "0.2"', 6],
    ['-1 close(3) = 0', 'expected a time from 0 to 315360000 seconds', 1],
    ['+x close(3) = 0', 'expected a time in seconds, found "x"', 2],
  ])('%s is refused', (text, what, column) => {
    const error = errorOf(text);
    expect([error.what, error.column, error.kind]).toEqual([what, column, 'parse']);
  });
});

describe('TCP lines', () => {
  test('a whole line', () => {
    expect(tcp('> [ect0] 8080 > 40000 FP. 1:1001(1000) ack 7 win 257 urg 3 <nop,nop,TS val 1 ecr 2>')).toMatchObject({
      kind: 'tcp',
      direction: 'out',
      ip: { ecn: 'ect0', tos: null, ttl: null, flowLabel: null },
      ports: { source: 8080, destination: 40000 },
      flags: FIN | PSH | ACK,
      ace: null,
      from: 1,
      length: 1000,
      ack: 7,
      window: 257,
      urgent: 3,
      options: [{ kind: 'nop' }, { kind: 'nop' }, { kind: 'TS', value: 1, echo: 2 }],
    });
  });

  test('what is not written is null', () => {
    const line = tcp('> . 1:1(0)');
    expect([line.ack, line.window, line.urgent, line.ports, line.ip.ecn]).toEqual([null, null, null, null, null]);
    expect(line.options).toEqual([]);
  });

  test.each([
    ['S', SYN],
    ['S.', SYN | ACK],
    ['F.', FIN | ACK],
    ['R', RST],
    ['.', ACK],
    ['-', 0],
    ['SEW', SYN | ECE | CWR],
    ['U.', URG | ACK],
    ['SEWA', SYN | ECE | CWR | AE],
  ])('flags %s', (text, flags) => {
    expect(tcp(`> ${text} 0:0(0)`)).toMatchObject({ flags, ace: null });
  });

  test('an AccECN counter is three flag bits', () => {
    expect(tcp('> P.5 1:2(1)')).toMatchObject({ flags: PSH | ACK | AE | ECE, ace: 5 });
    expect(tcp('> .0 1:2(1)')).toMatchObject({ flags: ACK, ace: 0 });
    expect(tcp('> .7 1:2(1)').flags & ACE_BITS).toBe(ACE_BITS);
  });

  test('all options', () => {
    const options = tcp('> . 1:1(0) <mss 1460,nop,wscale 8>').options;
    expect(options).toEqual([{ kind: 'mss', value: 1460 }, { kind: 'nop' }, { kind: 'wscale', value: 8 }]);
    expect(tcp('> . 1:1(0) <nop,nop,sack 1:2 5:6>').options).toContainEqual({
      kind: 'sack',
      blocks: [
        { from: 1, to: 2 },
        { from: 5, to: 6 },
      ],
    });
    expect(tcp('> S 0:0(0) <sackOK,FO,FO ABCD1234,nop,nop>').options).toEqual([
      { kind: 'sackOK' },
      { kind: 'FO', cookie: '' },
      { kind: 'FO', cookie: 'abcd1234' },
      { kind: 'nop' },
      { kind: 'nop' },
    ]);
    expect(tcp('> S 0:0(0) <FOEXP 1234,eol,eol>').options).toContainEqual({ kind: 'FOEXP', cookie: '1234' });
    expect(tcp('> . 0:0(0) <ECN e0b 1 ceb 2 e1b 3,nop>').options).toContainEqual({
      kind: 'ECN',
      counters: [
        { name: 'e0b', value: 1 },
        { name: 'ceb', value: 2 },
        { name: 'e1b', value: 3 },
      ],
    });
    expect(tcp('> . 0:0(0) <md5 000102030405060708090a0b0c0d0e0f,nop,nop>').options).toContainEqual({
      kind: 'md5',
      digest: '000102030405060708090a0b0c0d0e0f',
    });
    expect(tcp('> . 1:1(0) <...>').options).toBe('any');
  });

  test.each([
    ['[ect01]', { ecn: 'ect01' }],
    ['(noecn)', { ecn: 'noecn' }],
    ['[tos 0x1f]', { tos: 31 }],
    ['(ttl 5)', { ttl: 5 }],
    ['[flowlabel 0xabcde]', { flowLabel: 0xabcde }],
    ['[ce,flowlabel 0x1]', { ecn: 'ce', flowLabel: 1 }],
  ])('IP fields %s', (text, ip) => {
    expect(tcp(`> ${text} . 1:1(0)`).ip).toMatchObject(ip);
  });

  test('sequence numbers wrap', () => {
    expect(tcp('> . 4294967295:4(5)')).toMatchObject({ from: 0xffff_ffff, length: 5 });
  });

  test.each([
    ['> . 1:1000(1000)', 'expected 1001: 1 and 1000 bytes'],
    ['> X 1:1(0)', 'expected TCP flags (letters of FSRPEWUA, "." for ACK, "-" for none), found "X"'],
    ['> 1:1(0)', 'expected ">" between the ports, found ":"'],
    ['< . 1:1(0) ack 1', 'expected "win" on a packet to the stack'],
    ['< . 1:1(0) ack 1 win 5 <...>', '"<...>" is for packets from the stack only'],
    [
      '> . 1:1(0) <mss 1460,nop>',
      'these TCP options take 5 bytes: expected a multiple of 4 (add nop or eol), at most 40',
    ],
    ['> . 1:1(0) <mss 99999>', 'expected an MSS from 0 to 65535, found 99999'],
    [
      '> . 1:1(0) <bad>',
      'expected a TCP option (mss, nop, eol, wscale, sackOK, sack, TS, FO, FOEXP, md5, ECN), found "bad"',
    ],
    ['> . 1:1(0) <FO abc>', 'expected a cookie in hexadecimal, two digits a byte, found "abc"'],
    ['> . 1:1(0) <ECN ceb 1>', 'expected e0b, ceb, e1b or e1b, ceb, e0b after ECN, the last ones left out if wished'],
    ['> . 1:1(0) win 70000', 'expected a window from 0 to 65535, found 70000'],
    ['> [ecx] . 1:1(0)', 'expected ect0, ect1, ce, noecn, ect01, tos, ttl or flowlabel, found "ecx"'],
  ])('%s is refused', (text, what) => {
    expect(errorOf(`0 ${text}`).what).toBe(what);
  });
});

describe('UDP and ICMP lines', () => {
  test('UDP with and without ports and spaces', () => {
    expect(action('> udp (1000)')).toMatchObject({ kind: 'udp', direction: 'out', length: 1000, ports: null });
    expect(action('< udp 5 > 6 (0)')).toMatchObject({ ports: { source: 5, destination: 6 }, length: 0 });
  });

  test('ICMP with everything', () => {
    expect(icmp('< icmp unreachable frag_needed mtu 840 [0:1000(1000)]')).toMatchObject({
      type: { name: 'unreachable', number: 3 },
      code: { name: 'frag_needed', number: 4 },
      mtu: 840,
      quote: { protocol: 'tcp', from: 0, length: 1000 },
    });
    expect(icmp('< icmp echo_request id 7')).toMatchObject({ type: { number: 8 }, code: null, id: 7, quote: null });
    expect(icmp('< icmp type_255 code_9').code).toEqual({ name: 'code_9', number: 9 });
    expect(icmp('> icmp unreachable port_unreachable [udp (100)]').quote).toEqual({ protocol: 'udp', length: 100 });
    expect(icmp('< icmp echo_reply [raw (28)]').quote).toEqual({ protocol: 'raw', length: 28 });
  });

  test('the quoted packet may stand in front', () => {
    expect(icmp('< [1:1461(1460)] icmp unreachable frag_needed mtu 1200').quote).toEqual({
      protocol: 'tcp',
      from: 1,
      length: 1460,
    });
  });

  test('types and codes are those of the IP version', () => {
    expect(icmp('< icmp packet_too_big mtu 1400', '--ip_version=ipv6').type.number).toBe(2);
    expect(icmp('< icmp unreachable no_route', '--ip_version=ipv6').code?.number).toBe(0);
    expect(errorOf('0 < icmp packet_too_big mtu 1400').what).toMatch(/^expected an ICMP type for IPv4/);
    expect(errorOf('0 < icmp unreachable no_route').what).toMatch(/^expected a code of unreachable/);
  });
});

describe('calls', () => {
  test('a blocking call with an error and a note', () => {
    expect(event('+.1...0.2 read(3, ..., 10) = -1 EAGAIN (Resource temporarily (un)available)').action).toMatchObject({
      name: 'read',
      endUs: 200_000,
      errno: 'EAGAIN',
      result: { kind: 'integer', value: -1 },
    });
  });

  test('an error needs no note, a note no error', () => {
    expect(call('write(3, ..., 1) = -1 EPIPE')).toMatchObject({ errno: 'EPIPE', endUs: null });
    expect(call('fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)')).toMatchObject({
      errno: null,
      result: { value: 2, hex: true },
    });
  });

  test('no arguments', () => {
    expect(call('f() = ...')).toMatchObject({ args: [], result: { kind: 'ellipsis' } });
  });

  test.each<[string, unknown]>([
    ['...', { kind: 'ellipsis' }],
    ['-5', { kind: 'integer', value: -5, hex: false }],
    ['0xfF', { kind: 'integer', value: 255, hex: true }],
    ['SOL_TCP', { kind: 'word', name: 'SOL_TCP' }],
    ['"a\\n" "\\x41"', { kind: 'string', value: 'a\nA', open: false }],
    ['"ab"...', { kind: 'string', value: 'ab', open: true }],
    ['[]', { kind: 'array', items: [] }],
    [
      '[1, A]',
      {
        kind: 'array',
        items: [
          { kind: 'integer', value: 1, hex: false },
          { kind: 'word', name: 'A' },
        ],
      },
    ],
    ['inet_addr("1.2.3.4")', { kind: 'conversion', name: 'inet_addr', value: '1.2.3.4' }],
    ['htons(80)', { kind: 'conversion', name: 'htons', value: 80 }],
    ['x=1', { kind: 'assign', name: 'x', value: { kind: 'integer', value: 1, hex: false } }],
    [
      '{sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.168.0.1")}',
      { kind: 'sockaddr', family: 'AF_INET', port: 8080, address: '192.168.0.1' },
    ],
    ['{..., 1000}', { kind: 'iovec', base: { kind: 'ellipsis' }, length: 1000 }],
    ['{iov_base=..., iov_len=5}', { kind: 'iovec', base: { kind: 'ellipsis' }, length: 5 }],
    ['{onoff=1, linger=0}', { kind: 'linger', onoff: 1, linger: 0 }],
    [
      '{fd=4, events=POLLIN, revents=0}',
      {
        kind: 'pollfd',
        fd: { kind: 'integer', value: 4, hex: false },
        events: { kind: 'word', name: 'POLLIN' },
        revents: { kind: 'integer', value: 0, hex: false },
      },
    ],
    [
      '{events=EPOLLIN|EPOLLET, u64=9}',
      {
        kind: 'epoll_event',
        events: {
          kind: 'or',
          parts: [
            { kind: 'word', name: 'EPOLLIN' },
            { kind: 'word', name: 'EPOLLET' },
          ],
        },
        member: 'u64',
        data: { kind: 'integer', value: 9, hex: false },
      },
    ],
    ['{scm_sec=1,scm_nsec=2}', { kind: 'scm_timestamping', seconds: 1, nanoseconds: 2 }],
    ['{1, 2, 3}', { kind: 'list', items: [1, 2, 3].map((value) => ({ kind: 'integer', value, hex: false })) }],
  ])('argument %s', (text, expected) => {
    expect(bare(argument(text))).toEqual(expected);
  });

  test('a message with iovecs, flags and control messages', () => {
    const message = argument(
      '{msg_name(...)=..., msg_iov(2)=[{..., 1},{...,2}], msg_flags=MSG_ERRQUEUE|MSG_TRUNC, ' +
        'msg_control=[{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=0, ee_origin=5, ee_type=0, ee_code=1, ee_info=0, ee_data=2}}]}',
    );
    expect(message).toMatchObject({
      kind: 'msghdr',
      name: { kind: 'ellipsis' },
      iov: [
        { kind: 'iovec', length: 1 },
        { kind: 'iovec', length: 2 },
      ],
      flags: { kind: 'or' },
      control: [{ kind: 'cmsghdr', data: { kind: 'sock_extended_err', data: { value: 2 } } }],
    });
  });

  test('msg_control may be missing or empty', () => {
    expect(argument('{msg_name(...)=..., msg_iov(1)=[{...,0}]}')).toMatchObject({ control: null, flags: null });
    expect(argument('{msg_name(...)=..., msg_iov(1)=[{...,0}], msg_control=[]}')).toMatchObject({ control: [] });
  });

  test.each<[string, string, 'parse' | 'unsupported']>([
    ['f(1', 'expected ")" after the arguments of f, found the end of the script', 'parse'],
    ['f(1) 0', 'expected "=" and the result of f, found "0"', 'parse'],
    ['f(', 'expected an expression, found the end of the script', 'parse'],
    ['f({onoff=1}) = 0', 'expected linger in the structure', 'parse'],
    ['f({onoff=1, x=2}) = 0', 'expected one of onoff, linger, found "x"', 'parse'],
    ['f({sinfo_stream=1}) = 0', 'the structure {sinfo_stream}', 'unsupported'],
    ['f({events=1}) = 0', 'expected {events=..., fd=...} with one of fd, ptr, u32 and u64', 'parse'],
    ['f({msg_name(...)=..., msg_iov(1)=3}) = 0', 'expected [{..., length}, ...] for msg_iov', 'parse'],
    ['f(g(1)) = 0', 'g(...) as an argument', 'unsupported'],
    ['f(99999999999999999999) = 0', 'the number 99999999999999999999 is too large', 'parse'],
    ['f(1) = 0 (never', 'a note that does not end', 'parse'],
    [
      '+',
      'expected a system call, a packet ("<" or ">"), a command in back quotes or a code block, found "+"',
      'parse',
    ],
  ])('%s is refused', (text, what, kind) => {
    const error = errorOf(`0 ${text}`);
    expect([error.what, error.kind]).toEqual([what, kind]);
  });
});

describe('what this interpreter refuses', () => {
  test.each([
    ['< sctp: COOKIE_ACK[flgs=0]', 'SCTP'],
    ['< udplite(1, 2)', 'UDP-Lite'],
    ['> ipv4 1.2.3.4 > 5.6.7.8: . 1:1(0)', 'IPv4 encapsulation'],
    ['> gre: . 1:1(0)', 'GRE encapsulation'],
    ['> mpls (label 0, tc 0, ttl 0): . 1:1(0)', 'MPLS encapsulation'],
    ['> [ect0] encap psp spi 1 . 1:1(0)', 'PSP encapsulation'],
    ['< . 1:1(0) ack 1 win 5 / udp(1 > 2)', 'UDP encapsulation of TCP'],
  ])('%s', (text, what) => {
    expect(errorOf(`0 ${text}`)).toMatchObject({ kind: 'unsupported', what });
  });
});
