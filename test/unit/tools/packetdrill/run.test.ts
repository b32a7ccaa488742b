import { describeResult, exitCode } from '../../../../tools/packetdrill/report';
import { ACCEPTED, CONNECTED, run, wrong } from './toy-script';

describe('a script that holds', () => {
  test('passes, with its packets in the numbers of the script', () => {
    const result = run(`${ACCEPTED}+0 write(4, ..., 2500) = 2500
+0 > P. 1:2501(2500) ack 1
+.2 > . 1:1001(1000) ack 1
+.1 < . 1:1(0) ack 2501 win 1000
+0 close(4) = 0
+0 > F. 2501:2501(0) ack 1`);
    expect(result.failure).toBeUndefined();
    expect([result.ok, exitCode(result), result.virtualUs]).toEqual([true, 0, 400_000]);
    expect(result.packets.map(({ atUs, text, line }) => `${line} ${atUs} ${text}`)).toEqual([
      '4 0 < S 0:0(0) win 1000 <mss 1000>',
      '5 0 > S. 0:0(0) ack 1 win 65535 <mss 1460>',
      '6 100000 < . 1:1(0) ack 1 win 1000',
      '9 100000 > . 1:1001(1000) ack 1 win 65535',
      '9 100000 > . 1001:2001(1000) ack 1 win 65535',
      '9 100000 > . 2001:2501(500) ack 1 win 65535',
      '10 300000 > . 1:1001(1000) ack 1 win 65535',
      '11 400000 < . 1:1(0) ack 2501 win 1000',
      '13 400000 > F. 2501:2501(0) ack 1 win 65535',
    ]);
  });

  test('what the stack sends after the last line is no failure, but in the log', () => {
    const result = run(`${ACCEPTED}+0 write(4, ..., 10) = 10`);
    expect(result.ok).toBe(true);
    expect(result.packets.at(-1)).toEqual({
      atUs: 100_000,
      direction: 'out',
      text: '> . 1:11(10) ack 1 win 65535',
      line: 0,
    });
  });

  test('a connection of the stack, its number and its port', () => {
    expect(wrong(`${CONNECTED}+0 write(3, ..., 10) = 10\n+0 > P. 1:11(10) ack 1`)).toBe('');
  });

  test.each(['ipv6', 'ipv4-mapped-ipv6'])('over %s', (version) => {
    expect(wrong(`--ip_version=${version} ${ACCEPTED}`)).toBe('');
    expect(wrong(`--ip_version=${version} ${CONNECTED}`)).toBe('');
  });

  test('timestamps', () => {
    const text = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000,sackOK,TS val 5 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 5>
+.1 < . 1:1(0) ack 1 win 1000 <nop,nop,TS val 6 ecr 100>
+0 accept(3, ..., ...) = 4
+0 < . 1:11(10) ack 1 win 1000 <nop,nop,TS val 7 ecr 100>
+0 > . 1:1(0) ack 11 <nop,nop,TS val 200 ecr 7>
`;
    expect(wrong(text)).toBe('');
    expect(wrong(`--tcp_ts_tick_usecs=1000 ${text}`)).toBe('');
    expect(wrong(`--tcp_ts_tick_usecs=1000 ${text.replace('val 200', 'val 250')}`)).toBe(
      'packet 9: options TS val 200 ecr 7, not TS val 250 ecr 7',
    );
    expect(wrong(text.replace('ecr 7>', 'ecr 6>'))).toBe('packet 9: options TS val 200 ecr 7, not TS val 200 ecr 6');
    const unknown = run(text.replace('val 7 ecr 100', 'val 7 ecr 101'));
    expect([unknown.failure?.message, exitCode(unknown)]).toEqual([
      'no packet from the stack carried the timestamp 101 that is echoed',
      2,
    ]);
    expect(wrong(`--tcp_ts_ecr_scaled ${text.replace('val 7 ecr 100', 'val 7 ecr 101')}`)).toBe('');
  });

  test('--dry_run runs nothing', () => {
    expect(run(`--dry_run 0 nosuch() = 0`)).toMatchObject({ ok: true, virtualUs: 0 });
    const broken = run('--dry_run 0 close(3) = 0\n+0 %{\nassert }%');
    expect([broken.ok, broken.failure?.kind, broken.failure?.line, exitCode(broken)]).toEqual([false, 'parse', 3, 2]);
  });
});

describe('packets that are wrong', () => {
  const data = `${ACCEPTED}+0 < P. 1:11(10) ack 1 win 1000\n`;

  test.each([
    ['+0 > . 1:1(0) ack 11', ''],
    ['+0 > . 1:1(0) ack 12', 'packet 9: ack 11, not 12'],
    ['+0 > F. 1:1(0) ack 11', 'packet 9: flags ., not F.'],
    ['+0 > . 2:2(0) ack 11', 'packet 9: seq 1, not 2'],
    ['+0 > . 1:6(5) ack 11', 'packet 9: 0 bytes of payload, not 5'],
    ['+0 > . 1:1(0) ack 11 win 0', 'packet 9: win 65535, not 0'],
    ['+0 > . 1:1(0) ack 11 <nop,nop,TS val 1 ecr 1>', 'packet 9: no TS val 1 ecr 1 in its place'],
    ['+0 > [ect0] . 1:1(0) ack 11', 'packet 9: noecn, not ect0'],
    ['+0 > udp (5)', 'packet 9: tcp, not udp'],
    ['+0 > icmp echo_reply', 'packet 9: tcp, not icmp'],
  ])('%s', (line, expected) => {
    expect(wrong(data + line)).toBe(expected);
  });

  test('the failure shows both sides, marks the difference and tells time, state and cause', () => {
    const result = run(`${data}+0 > . 1:1(0) ack 12`);
    expect(result.failure).toEqual({
      line: 9,
      kind: 'packet',
      message: 'ack 11, not 12',
      expected: '> . 1:1(0) ack 12',
      actual: '> . 1:1(0) ack 11',
      marks: '           ^^^^^^',
      atUs: 100_000,
      state: 'ESTABLISHED',
      cause: 'the toy felt like it',
      hint: '',
      source: '+0 > . 1:1(0) ack 12',
    });
    expect(describeResult(result)).toBe(`t.pkt:9: packet: ack 11, not 12
  line 9:  +0 > . 1:1(0) ack 12
  expected  > . 1:1(0) ack 12
  actual    > . 1:1(0) ack 11
                       ^^^^^^
  at 0.100 s, state ESTABLISHED, sent because the toy felt like it`);
    expect(exitCode(result)).toBe(1);
  });

  test('the same shift on the wire is found, too', () => {
    expect(wrong(`${data}+0 > . 1:1(0) ack 11`, { quirks: { ackShift: 3 } })).toBe('packet 5: ack 4, not 1');
  });

  test('a bad checksum', () => {
    expect(wrong(ACCEPTED, { quirks: { corrupt: true } })).toBe('packet 5: the stack sent a bad TCP checksum');
  });

  test('a payload that was never written, unless the script writes text', () => {
    const text = `${ACCEPTED}+0 write(4, ..., 4) = 4\n+0 > P. 1:5(4) ack 1`;
    expect(wrong(text)).toBe('');
    expect(wrong(text, { quirks: { fill: 7 } })).toBe(
      'packet 9: byte 2 of the payload is not zero, though only zeros were written',
    );
    expect(wrong(text.replace('4, ..., 4', '4, "abcd", 4'), { quirks: { fill: 7 } })).toBe('');
  });

  test('a packet that never comes', () => {
    const result = run(`${data}+0 > . 1:1(0) ack 11\n+.3 > R. 9:9(0) ack 1`);
    expect(result.failure).toMatchObject({
      kind: 'missing-packet',
      line: 10,
      message: 'timed out waiting for packet',
      expected: '> R. 9:9(0) ack 1',
      actual: 'nothing',
      atUs: 2_400_000,
    });
  });

  test('half a packet', () => {
    // The toy takes 4000 bytes before it is acknowledged; what follows is the retransmission.
    expect(
      wrong(`${ACCEPTED}+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 write(4, ..., 6000) = 4000\n+0 > P. 1:6001(6000) ack 1`),
    ).toBe('packet 10: after 4000 bytes of this packet: seq 1, not 4001');
  });

  test('a packet before the one that is expected', () => {
    expect(wrong(`${data}+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 11`)).toBe(
      'packet 10: 0 bytes of payload, not 10',
    );
  });

  test('--non_fatal=packet turns a wrong packet into a warning', () => {
    const result = run(`--non_fatal=packet ${data}+0 > . 1:1(0) ack 12`);
    expect([result.ok, result.warnings]).toEqual([true, ['line 9: packet: ack 11, not 12']]);
  });

  test('packets of other connections are not looked at', () => {
    expect(
      wrong(
        `${ACCEPTED}+0 write(4, ..., 10) = 10
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5
+0 connect(5, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460>
+.2 > S 0:0(0) <mss 1460>`.replace('+0 connect', '+0 fcntl(5, F_SETFL, O_NONBLOCK) = 0\n+0 connect'),
      ),
    ).toBe('');
  });

  test('nor packets to the same port of the peer from another port', () => {
    const connect = (fd: number): string => `+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = ${fd}
+0 connect(${fd}, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460>
`;
    // The first connection repeats its SYN at 0.2 s, 0.1 s before the second.
    expect(wrong(`${connect(3)}+.1 \`true\`\n${connect(4)}+.2 > S 0:0(0) <mss 1460>`)).toBe('');
  });

  test('a reset from a stack without a socket', () => {
    expect(wrong('0 < S 0:0(0) win 5\n+0 > R. 0:0(0) ack 1')).toBe('');
    expect(wrong('0 < . 7:7(0) ack 9 win 5\n+0 > R 9:9(0)')).toBe('');
  });
});

describe('time', () => {
  const wait = (line: string, head = ''): string =>
    `${head}${ACCEPTED}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n${line}`;

  test.each([
    ['+.2 > . 1:11(10) ack 1', ''],
    ['+.203 > . 1:11(10) ack 1', ''],
    ['+.1 > . 1:11(10) ack 1', 'time 10: 0.100 s too late (tolerance 0.0125 s)'],
    ['+.9 > . 1:11(10) ack 1', 'time 10: 0.700 s too early (tolerance 0.1125 s)'],
    ['0.3 > . 1:11(10) ack 1', ''],
    ['0.5 > . 1:11(10) ack 1', 'time 10: 0.200 s too early (tolerance 0.050 s)'],
    ['+.1~+.25 > . 1:11(10) ack 1', ''],
    ['+.1~+.15 > . 1:11(10) ack 1', 'time 10: 0.050 s too late (tolerance 0.0125 s)'],
    ['+.25~+.3 > . 1:11(10) ack 1', 'time 10: 0.050 s too early (tolerance 0.03125 s)'],
    ['0.2~0.25 > . 1:11(10) ack 1', 'time 10: 0.050 s too late (tolerance 0.0125 s)'],
    ['* > . 1:11(10) ack 1', ''],
    ['+3 > . 1:11(10) ack 1', 'time 10: 2.800 s too early (tolerance 0.375 s)'],
  ])('%s', (line, expected) => {
    expect(wrong(wait(line))).toBe(expected);
  });

  test('the tolerance is an option, and nothing in a strict run unless given', () => {
    expect(wrong(wait('+.21 > . 1:11(10) ack 1'))).toBe('');
    const exact = wait('+.21 > . 1:11(10) ack 1').replaceAll('P.', '.');
    expect(wrong(exact, { strict: true })).toBe('time 10: 0.010 s too early (tolerance 0.000 s)');
    const strict = `--tolerance_usecs=20000 ${exact}`;
    expect(wrong(strict, { strict: true })).toBe('');
    expect(wrong(wait('+.5 > . 1:11(10) ack 1', '--tolerance_usecs=300000 '))).toBe('');
    expect(wrong(wait('+.21 > . 1:11(10) ack 1', '--tolerance_percent=0 '))).toContain('too early');
  });

  test('"*" gives up when nothing can come any more', () => {
    expect(wrong(`${ACCEPTED}* > . 1:1(0) ack 1`)).toBe('missing-packet 8: timed out waiting for packet');
  });

  test('after "*" relative times count from the packet', () => {
    expect(wrong(wait('* > . 1:11(10) ack 1\n+.2 > . 1:11(10) ack 1'))).toBe('');
  });

  test('inbound packets in a row count from each other, all else from the clock', () => {
    const result = run(`${ACCEPTED}+.1 < . 1:2(1) ack 1 win 5\n+.1 < . 2:3(1) ack 1 win 5\n+.1 read(4, ..., 9) = 2`);
    expect([result.ok, result.virtualUs]).toEqual([true, 400_000]);
  });

  test('an inbound packet that is late does not make the next one late', () => {
    const text = wait('0.297 > . 1:11(10) ack 1\n0.298 < . 1:1(0) ack 11 win 5\n+.1 < . 1:1(0) ack 11 win 5');
    expect(run(text)).toMatchObject({ ok: true, virtualUs: 398_000 });
  });

  test('a script that stays behind its own clock', () => {
    expect(wrong(`${ACCEPTED}0.05 close(4) = 0`)).toBe('time 8: this is due at 0.050 s, but it is 0.100 s already');
  });

  test('a delayed acknowledgment comes when it is due', () => {
    const text = `${ACCEPTED}+0 < . 1:2(1) ack 1 win 5\n+.04 > . 1:1(0) ack 2`;
    expect(wrong(text, { quirks: { ackDelayUs: 40_000 } })).toBe('');
    expect(wrong(text)).toBe('time 9: 0.040 s too early (tolerance 0.005 s)');
  });
});

describe('code blocks and commands', () => {
  test('an assertion that fails names its line, the condition and the values', () => {
    const result = run(
      `${ACCEPTED}+0 %{\nassert tcpi_unacked == 0\nassert tcpi_snd_cwnd == 11, 'cwnd=%d' % tcpi_snd_cwnd\n}%`,
    );
    expect(result.failure).toMatchObject({
      kind: 'assert',
      line: 10,
      message: 'tcpi_snd_cwnd == 11 does not hold: cwnd=10',
      expected: 'tcpi_snd_cwnd == 11',
      actual: 'tcpi_snd_cwnd = 10',
    });
  });

  test('variables last from block to block, and print is traced', () => {
    const trace: string[] = [];
    expect(run(`${ACCEPTED}+0 %{ n = tcpi_snd_cwnd }%\n+0 %{ n += 1; print(n); assert n == 11 }%`, { trace }).ok).toBe(
      true,
    );
    expect(trace).toContain('11');
    expect(trace[0]).toBe('0.000  0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3');
  });

  test.each([
    ['%{ assert tcpi_nosuch == 1 }%', 'unsupported 8: the name tcpi_nosuch is not defined', 2],
    ['%{ assert 1 // 0 }%', 'assert 8: the code block: division by zero', 1],
    ['%{ +0.2 > R. 9:9(0) ack 1 }%', 'assert 8: the code block: expected a new line or ";", found .', 1],
  ])('%s', (code, expected, exit) => {
    expect(wrong(`${ACCEPTED}+0 ${code}`)).toBe(expected);
    expect(exitCode(run(`${ACCEPTED}+0 ${code}`))).toBe(exit);
  });

  test('a block without a socket', () => {
    expect(wrong('0 %{ assert tcpi_rtt == 1 }%')).toBe(
      'unsupported 1: the name tcpi_rtt is not defined (there is no socket to ask for TCP_INFO)',
    );
  });

  test('commands are interpreted, and what is not understood is told', () => {
    const text = `\`../common/defaults.sh
sysctl -q net.ipv4.tcp_sack=0
sysctl -q net.core.x=1
ss -n | grep foo\`
0 \`ip route change 1.2.3.4 via 1.1.1.1 mtu 5\`
+0 \`true\`
\`/tmp/sysctl_restore_1.sh\``;
    expect(run(text)).toMatchObject({
      ok: true,
      warnings: [
        'line 1: sysctl net.core.x is ignored',
        'line 1: command not run: ss -n',
        'line 5: a change of routes is ignored',
      ],
    });
  });

  test('a black hole swallows what the stack sends', () => {
    const text = (command: string): string =>
      `${ACCEPTED}+0 \`${command}\`\n+0 write(4, ..., 1) = 1\n+.1 \`tc qdisc del dev tun0 root\`\n+.1 > . 1:2(1) ack 1`;
    expect(wrong(text('tc qdisc replace dev tun0 root pfifo limit 0'))).toBe('');
    expect(wrong(text('true'))).toContain('too early');
  });
});

describe('a stack that breaks', () => {
  test('an endless loop at one instant is found', () => {
    expect(() => run(ACCEPTED, { quirks: { busy: true } })).toThrow(
      'the stack has something to do at 0 us and never gets it done',
    );
  });
});

test('the same script gives the same result twice', () => {
  const text = `${ACCEPTED}+0 write(4, ..., 2500) = 2500\n+0 > P. 1:2501(2500) ack 1\n+.2 > . 1:1001(1000) ack 2`;
  expect(run(text)).toEqual(run(text));
});
