import { parseCommandText } from '../../../../tools/packetdrill/commands';
import { explainScript } from '../../../../tools/packetdrill/explain';
import { type Mutant, mutants } from '../../../../tools/packetdrill/mutate';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { exitCode } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { Source, Unsupported } from '../../../../tools/packetdrill/source';
import { numberOf } from '../../../../tools/packetdrill/values';
import { ACCEPTED } from './toy-script';
import { toyStack } from './toy-stack';

describe('commands in back quotes', () => {
  const sysctl = (name: string, value: string): object => ({ kind: 'sysctl', name, value });

  test.each<[string, object[]]>([
    ['sysctl -q net.ipv4.tcp_sack=0', [sysctl('net.ipv4.tcp_sack', '0')]],
    ['sysctl -w net.ipv4.a=1 net.ipv4.b=2', [sysctl('net.ipv4.a', '1'), sysctl('net.ipv4.b', '2')]],
    ['/sbin/sysctl -e -q net/ipv4/a=1 # why', [sysctl('net.ipv4.a', '1')]],
    ['sysctl -q net.ipv4.tcp_rmem="4096 10000 2097152"', [sysctl('net.ipv4.tcp_rmem', '4096 10000 2097152')]],
    [
      '../common/set_sysctls.py /proc/sys/net/ipv4/a=0 \\\n  /proc/sys/net/ipv4/b=0x207',
      [sysctl('net.ipv4.a', '0'), sysctl('net.ipv4.b', '0x207')],
    ],
    ['../common/defaults.sh\nsysctl -q net.ipv4.a=1', [{ kind: 'defaults' }, sysctl('net.ipv4.a', '1')]],
    ['/tmp/sysctl_restore_$PPID.sh', [{ kind: 'nothing' }]],
    ['true; true && true', [{ kind: 'nothing' }, { kind: 'nothing' }, { kind: 'nothing' }]],
    ['nstat > /dev/null', [{ kind: 'nothing' }]],
    ['nstat | grep x', [{ kind: 'nothing' }]],
    ['ip tcp_metrics flush all > /dev/null 2>&1', [{ kind: 'flush-metrics' }]],
    ['ip tcp_metrics flush all &> /dev/null', [{ kind: 'flush-metrics' }]],
    ['tc qdisc replace dev tun0 root pfifo limit 0', [{ kind: 'blackhole', on: true }]],
    [
      'tc qdisc delete dev tun0 root 2>/dev/null ; tc qdisc add dev tun0 root pfifo limit 0',
      [
        { kind: 'blackhole', on: false },
        { kind: 'blackhole', on: true },
      ],
    ],
    [
      'ip route change 192.0.2.2 via 192.168.0.2 dev tun0 advmss 1430 mtu lock 1470',
      [{ kind: 'route', metrics: { mtu: 1470, advmss: 1430, initcwnd: null } }],
    ],
    ['ss -4 -n | grep :8080', [{ kind: 'unknown', text: 'ss -4 -n' }]],
    ['sysctl -q net.ipv4.a', [{ kind: 'unknown', text: 'sysctl -q net.ipv4.a' }]],
    ['', []],
    ['# only a comment', []],
  ])('%j', (text, expected) => {
    expect(parseCommandText(text)).toEqual(expected);
  });
});

const SCRIPT = `${ACCEPTED}+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0
+0 read(4, ..., 10) = -1 EAGAIN
+0 write(4, ..., 2500) = 2500
+0 > P. 1:2501(2500) ack 1
+0 %{ assert tcpi_unacked == 2500; assert tcpi_snd_cwnd == 10 }%
+.1 < . 1:1(0) ack 2501 win 1000
+0 close(4) = 0
+0 > F. 2501:2501(0) ack 1`;

const options = { factory: toyStack(), profile: 'linux' as const, strict: false, seed: 1 };

describe('falsified copies', () => {
  const show = ({ kind, line, what }: Mutant): string => `${kind} ${line} ${what}`;

  test('one of each kind', () => {
    expect(mutants(parseScript('t', SCRIPT)).map(show)).toEqual([
      'ack 15 expects ack 8 instead of 1',
      'len 11 expects 2503 bytes instead of 2500',
      'flag 15 expects RST instead of FIN',
      'time 15 expects the packet 0.7 s later',
      'ret 10 expects write to return 2499 instead of 2500',
      'errno 9 expects EBADF instead of EAGAIN',
      'assert 12 asserts 12 instead of 10',
      'missing 15 expects one more packet, which never comes',
    ]);
  });

  test('one for each place', () => {
    const kinds = mutants(parseScript('t', SCRIPT), true).map(({ kind, line }) => `${kind} ${line}`);
    expect(kinds).toEqual([
      ...['ack 5', 'ack 11', 'ack 15', 'len 11', 'flag 15', 'time 5', 'time 11', 'time 15', 'ret 10', 'errno 9'],
      ...['assert 12', 'missing 15'],
    ]);
  });

  test('the script passes, and every copy fails with an expectation', () => {
    const script = parseScript('t', SCRIPT);
    expect(runScript(script, options).failure).toBeUndefined();
    for (const mutant of mutants(script, true)) {
      expect([show(mutant), exitCode(runScript(mutant.script, options))]).toEqual([show(mutant), 1]);
    }
  });

  test('each copy fails where it was falsified', () => {
    const kinds = mutants(parseScript('t', SCRIPT)).map((mutant) => runScript(mutant.script, options).failure?.kind);
    expect(kinds).toEqual(['packet', 'packet', 'packet', 'time', 'syscall', 'syscall', 'assert', 'missing-packet']);
  });

  test('a late packet is late enough for a wide tolerance', () => {
    const what = (text: string): string | undefined =>
      mutants(parseScript('t', text)).find(({ kind }) => kind === 'time')?.what;
    expect(what('--tolerance_usecs=1000000 +1 > . 1:1(0) ack 1')).toBe('expects the packet 2 s later');
    expect(what('+70 > . 1:1(0) ack 1')).toBe('expects the packet 20 s later');
    expect(what('+1~+2 > . 1:1(0) ack 1')).toBe('expects the packet 0.7 s later');
    expect(what('* > . 1:1(0) ack 1')).toBeUndefined();
  });

  test('a script without packets from the stack has nothing to expect', () => {
    expect(mutants(parseScript('t', '0 close(3) = 0'))).toEqual([]);
    expect(mutants(parseScript('t', '0 > udp (10)')).map(show)).toEqual([
      'len 1 expects 13 bytes instead of 10',
      'time 1 expects the packet 0.7 s later',
    ]);
  });

  test('the original is not touched', () => {
    const script = parseScript('t', SCRIPT);
    mutants(script, true);
    expect(script).toEqual(parseScript('t', SCRIPT));
  });
});

describe('in words', () => {
  test('every kind of line', () => {
    const text = `\`sysctl -q net.ipv4.tcp_sack=0\`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+.1...0.2 read(3, ..., 10) = -1 EAGAIN
+.1 < [ect0] SEW 0:0(0) win 7 <mss 1000,nop,wscale 7>
* > S. 0:0(0) ack 1 win 0 <...>
0.1~0.2 > P. 1:11(10) ack 1 <nop,nop,TS val 1 ecr 2>
+.1~+.2 > . 11:11(0) ack 1 <nop,nop,sack 5:8>
+0 > R 1:1(0)
+0 < . 1:3(2) win 5
+0 < - 1:1(0) win 5 urg 3
+0 < icmp unreachable frag_needed mtu 5 [1:2(1)]
+0 > udp (5)
+0 %{ assert tcpi_rtt == 5 }%
+0 setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0
+0 \`tc qdisc add dev tun0 root pfifo limit 0; frob; ip tcp_metrics flush all\`
\`true\``;
    expect(explainScript(parseScript('t', text))).toEqual([
      'The stack at 192.168.0.1 talks to a peer at 192.0.2.1 over IPv4, MTU 1500.',
      'line 1: before all else net.ipv4.tcp_sack is set to 0.',
      'line 2: At 0 s the application calls socket(..., SOCK_STREAM, IPPROTO_TCP), which must return 3.',
      'line 3: 0.1 s later the application calls read(3, ..., 10), which must fail with EAGAIN, not before 0.2 s on the same clock.',
      'line 4: 0.1 s later the peer sends a SYN+ECE+CWR, sequence number 0, window 7, marked ect0, with MSS 1000, window scale 7.',
      'line 5: At any later time the stack must send a SYN+ACK, sequence number 0, acknowledging everything before 1, a closed window, whatever options.',
      'line 6: Between 0.1 s and 0.2 s the stack must send data, bytes 1 to 10 (10 of them), acknowledging everything before 1, with timestamp 1 echoing 2.',
      'line 7: Between 0.1 s and 0.2 s later the stack must send an ACK, acknowledging everything before 1, with SACK of 5 to 7.',
      'line 8: At once the stack must send an RST, sequence number 1.',
      'line 9: At once the peer sends data, bytes 1 to 2 (2 of them), window 5.',
      'line 10: At once the peer sends a segment without flags, window 5, urgent pointer 3.',
      'line 11: At once the peer sends an ICMP message (unreachable, frag_needed, next-hop MTU 5, about the segment that begins at 1).',
      'line 12: At once the stack must send a UDP datagram of 5 bytes.',
      'line 13: At once this must hold: assert tcpi_rtt == 5.',
      'line 14: At once the application calls setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4), which must return 0.',
      'line 15: At once the link begins to lose everything that the stack sends; "frob" is not run; what was learned about the peer is forgotten.',
      'line 16: at the end nothing happens.',
    ]);
  });
});

describe('places in a text', () => {
  const source = new Source('f', 'ab\n\tcd\r\n\nx');

  test.each([
    [0, 1, 1],
    [2, 1, 3],
    [3, 2, 1],
    [5, 2, 3],
    [8, 3, 1],
    [9, 4, 1],
    [10, 4, 2],
  ])('offset %d is line %d, column %d', (at, line, column) => {
    expect([source.line(at), source.column(at)]).toEqual([line, column]);
  });

  test('the excerpt keeps tabs', () => {
    expect(source.excerpt(5)).toBe('\tcd\n\t ^');
    expect(source.lineText(9)).toBe('');
  });
});

describe('numbers of words', () => {
  const value = (text: string): number => {
    const { action } = parseScript('t', `0 f(${text}) = 0`).events[0]!;
    if (action.kind !== 'call') throw new Error('not a call');
    return numberOf(action.args[0]!);
  };

  test.each([
    ['EPOLLIN|EPOLLET', 0x8000_0001],
    ['MSG_FASTOPEN|MSG_DONTWAIT', 0x2000_0040],
    ['O_RDWR|O_NONBLOCK', 0x802],
    ['ECONNREFUSED', 111],
    ['EWOULDBLOCK', 11],
    ['TCP_NODELAY', 1],
    ['htons(80)', 80],
    ['NULL', 0],
  ])('%s is %d', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  test.each([
    ['NOSUCH', 'the constant NOSUCH'],
    ['"s"', 'a string where a number is expected'],
    ['toString', 'the constant toString'],
    ['{1, 2}', 'a list where a number is expected'],
    ['inet_addr("1.2.3.4")', 'inet_addr(...) where a number is expected'],
  ])('%s is none', (text, message) => {
    expect(() => value(text)).toThrow(new Unsupported(message));
  });
});
