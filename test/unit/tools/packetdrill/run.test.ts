import { parseScript } from '../../../../tools/packetdrill/parser';
import { describeResult, exitCode, type ScriptResult } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { type Quirks, toyStack } from './toy-stack';

interface Given {
  quirks?: Quirks;
  strict?: boolean;
  trace?: string[];
}

function run(text: string, given: Given = {}): ScriptResult {
  const { quirks, trace } = given;
  return runScript(parseScript('t.pkt', text), {
    factory: toyStack(quirks),
    profile: 'linux',
    strict: given.strict === true,
    seed: 1,
    ...(trace && { trace: (line: string) => void trace.push(line) }),
  });
}

/** What went wrong, in short: "packet 8: ack 9, not 8". '' when nothing did. */
function wrong(text: string, given: Given = {}): string {
  const { failure } = run(text, given);
  return failure === undefined ? '' : `${failure.kind} ${failure.line}: ${failure.message}`;
}

/** Lines 1 to 7: an accepted connection at 0.1 s, descriptor 4. */
const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
`;

/** Lines 1 to 5: a connection that the stack made, descriptor 3. */
const CONNECTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = 0
+0 > S 0:0(0) <mss 1460>
+.1 < S. 500:500(0) ack 1 win 1000 <mss 1000>
+0 > . 1:1(0) ack 1
`;

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

describe('system calls', () => {
  test.each([
    ['+0 write(4, ..., 10) = 11', 'syscall 8: write returned 10, not 11'],
    ['+0 write(4, ..., 10) = -1 EPIPE (Broken pipe)', 'syscall 8: write returned 10, not -1 EPIPE'],
    ['+0 write(9, ..., 10) = -1 EBADF', ''],
    ['+0 write(9, ..., 10) = -1', ''],
    ['+0 write(9, ..., 10) = -1 EPIPE', 'syscall 8: write returned -1 EBADF, not -1 EPIPE'],
    ['+0 write(9, ..., 10) = ...', ''],
    ['+0 write(4, NULL, 10) = -1 EFAULT', ''],
    ['+0 read(4, NULL, 10) = -1 EFAULT', ''],
    ['+0 writev(4, [{..., 10}, {"ab", 2}], 2) = 12', ''],
    ['+0 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 5},{..., 6}], msg_flags=0}, 0) = 11', ''],
    ['+0 send(4, ..., 10, MSG_NOSIGNAL|MSG_MORE) = 10', ''],
    ['+0 sendto(4, ..., 10, 0, ..., ...) = 10', ''],
    ['+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EWOULDBLOCK', ''],
    ['+0 fcntl(4, F_GETFL) = 0x2 (flags O_RDWR)', ''],
    ['+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 fcntl(4, F_GETFL) = 0x802', ''],
    ['+0 ioctl(4, FIONBIO, [1]) = 0\n+0 read(4, ..., 1) = -1 EAGAIN', ''],
    ['+0 getsockopt(4, SOL_SOCKET, SO_SNDBUF, [42000], [4]) = 0', ''],
    [
      '+0 getsockopt(4, SOL_SOCKET, SO_SNDBUF, [42001], [4]) = 0',
      'syscall 8: getsockopt: SO_SNDBUF is 42000, not 42001',
    ],
    [
      '+0 getsockopt(4, SOL_SOCKET, SO_SNDBUF, [42000], [8]) = 0',
      'syscall 8: getsockopt: the length of SO_SNDBUF is 4, not 8',
    ],
    ['+0 getsockopt(4, SOL_TCP, TCP_CONGESTION, "toy", [16]) = 0', ''],
    ['+0 getsockopt(4, SOL_TCP, TCP_MAXSEG, [1], [4]) = -1 ENOPROTOOPT', ''],
    ['+0 setsockopt(4, IPPROTO_TCP, 1, [1], 4) = 0', ''],
    ['+0 setsockopt(4, SOL_TCP, TCP_NODELAY, NULL, 4) = -1 EFAULT', ''],
    ['+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0', ''],
    ['+0 shutdown(4, SHUT_WR) = 0\n+0 shutdown(4, 7) = -1 EINVAL', ''],
    ['+0 < . 1:11(10) ack 1 win 5\n+0 ioctl(4, SIOCINQ, [10]) = 0', ''],
    ['+0 < . 1:11(10) ack 1 win 5\n+0 ioctl(4, SIOCINQ, [11]) = 0', 'syscall 9: ioctl: SIOCINQ is 10, not 11'],
    ['+0 close(4) = 0\n+0 close(4) = -1 EBADF', ''],
    ['+0 epoll_ctl(4, EPOLL_CTL_ADD, 3, {events=1, fd=3}) = -1 EINVAL', ''],
    ['+0 bind(4, {sa_family=AF_INET, sin_port=htons(5), sin_addr=inet_addr("10.0.0.1")}, 16) = 0', ''],
    ['+0 connect(4, AF_UNSPEC, ...) = -1 EAFNOSUPPORT', ''],
    ['+0 socket(7, SOCK_STREAM, 0) = -1 EAFNOSUPPORT', ''],
    ['+0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = -1 EPROTONOSUPPORT', ''],
    ['+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, 0) = 9\n+0 fcntl(9, F_GETFL) = 0x802', ''],
    ['+0 socket(..., SOCK_STREAM, 0) = -1 EMFILE', 'syscall 8: socket returned 5, not -1 EMFILE'],
  ])('%s', (lines, expected) => {
    expect(wrong(ACCEPTED + lines)).toBe(expected);
  });

  test('descriptors compare through a map', () => {
    const text = ACCEPTED.replaceAll('(3', '(13').replace('= 3', '= 13').replace('= 4', '= 44');
    expect(wrong(`${text}+0 write(44, ..., 1) = 1\n+0 write(4, ..., 1) = -1 EBADF`)).toBe('');
  });

  test.each([
    ['+0 nosuch(1) = 0', 'unsupported 8: the system call nosuch'],
    ['+0 write(4, ...) = 0', 'unsupported 8: write with 2 arguments: it takes 3'],
    ['+0 write(FD, ..., 1) = 0', 'unsupported 8: the constant FD'],
    ['+0 setsockopt(4, SOL_TCP, 9999, [1], 4) = 0', 'unsupported 8: the socket option 9999 of level SOL_TCP'],
    ['+0 write(4, ..., 1) = -1 EODD', 'unsupported 8: the error EODD'],
    ['+0 fcntl(4, 99) = 0', 'unsupported 8: fcntl 99'],
    ['+0 ioctl(4, 99, [1]) = 0', 'unsupported 8: ioctl 99'],
    ['+0 poll([5], 1, 0) = 0', 'unsupported 8: 5 in poll'],
    ['+0 write(4, 5, 1) = 1', 'unsupported 8: 5 as a buffer'],
  ])('%s cannot be run', (line, expected) => {
    const result = run(ACCEPTED + line);
    expect(wrong(ACCEPTED + line)).toBe(expected);
    expect(exitCode(result)).toBe(2);
  });

  test('--non_fatal=syscall turns a wrong result into a warning', () => {
    expect(run(`--non_fatal=syscall ${ACCEPTED}+0 write(4, ..., 10) = 11`)).toMatchObject({
      ok: true,
      warnings: ['line 8: syscall: write returned 10, not 11'],
    });
  });

  test('recvmsg checks flags and control messages', () => {
    const message = (control: string, flags = 0): string => `${ACCEPTED}+0 < . 1:11(10) ack 1 win 5
+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 4}], msg_flags=${flags}, msg_control=[${control}]}, 0) = 4`;
    const inq = (n: number): string => `{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=${n}}`;
    expect(wrong(message(inq(6)))).toBe('');
    expect(wrong(message(inq(7)))).toBe('syscall 9: recvmsg: control message 1 is 6, not 7');
    expect(wrong(message(inq(6), 1))).toBe('syscall 9: recvmsg: msg_flags is 0x0, not 0x1');
    expect(wrong(message(''))).toBe('syscall 9: recvmsg: control messages is level 6 type 36, not 0');
    expect(wrong(message(inq(6).replace('TCP_CM_INQ', '5')))).toContain('level 6 type 36, not level 6 type 5');
  });

  test('files and pipes', () => {
    expect(
      wrong(`${ACCEPTED}+0 open("/tmp/x", O_RDONLY) = 9
+0 sendfile(4, 9, [0], 50) = 50
+0 > P. 1:51(50) ack 1
+0 pipe([7, 8]) = 0
+0 < . 1:11(10) ack 51 win 5
+0 > . 51:51(0) ack 11
+0 splice(4, NULL, 8, NULL, 99, 0) = 10
+0 read(7, ..., 4) = 4
+0 splice(7, NULL, 4, NULL, 99, 0) = 6
+0 > P. 51:57(6) ack 11`),
    ).toBe('');
  });
});

describe('blocking calls', () => {
  const READ = `${ACCEPTED}+0...0.2 read(4, ..., 10) = 5\n`;

  test('return when the data comes, and later events run meanwhile', () => {
    expect(
      wrong(`${READ}+.1 %{ assert tcpi_state == TCP_ESTABLISHED }%\n+.1 < . 1:6(5) ack 1 win 5\n+0 > . 1:1(0) ack 6`),
    ).toBe('');
  });

  test.each([
    ['+.1 < . 1:6(5) ack 1 win 5', 'time 8: read returned 0.100 s too early'],
    ['+.4 < . 1:6(5) ack 1 win 5', 'time 8: read returned 0.200 s too late'],
    ['+.2 < . 1:5(4) ack 1 win 5', 'syscall 8: read returned 4, not 5'],
    ['+.1 write(4, ..., 1) = 1', 'time 8: read did not return'],
    ['+.9 `true`', 'time 8: read did not return'],
    ['+.1 `true`', 'time 8: read did not return'],
  ])('%s', (line, expected) => {
    expect(wrong(READ + line)).toBe(expected);
  });

  test('an overdue call fails before what comes after', () => {
    expect(wrong(`${READ}+.9 \`true\`\n+0 %{ assert 0 }%`)).toBe('time 8: read did not return');
  });

  test('one that need not wait is at its end at once', () => {
    expect(wrong(`${ACCEPTED}+0 < . 1:6(5) ack 1 win 5\n+0...0.000 read(4, ..., 10) = 5`)).toBe('');
    expect(wrong(`${ACCEPTED}+0 < . 1:6(5) ack 1 win 5\n+0...0.5 read(4, ..., 10) = 5`)).toBe(
      'time 9: read returned 0.500 s too early',
    );
  });

  test('a call that is not marked and waits is a failure', () => {
    expect(wrong(`${ACCEPTED}+0 read(4, ..., 10) = 5\n+.1 < . 1:6(5) ack 1 win 5`)).toBe('time 8: read did not return');
  });

  test('accept and connect', () => {
    const text = (end: string): string => `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0...${end} accept(3, ..., ...) = 4
+.1 < S 0:0(0) win 1000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 1000
+0 write(4, ..., 1) = 1`;
    expect(wrong(text('0.2'))).toBe('');
    expect(wrong(text('0.1'))).toBe('time 4: accept returned 0.100 s too late');
    expect(wrong(CONNECTED.replace('0...0.1', '0...0.3'))).toBe('time 2: connect returned 0.200 s too early');
    expect(
      wrong(`0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)
+0 > S 0:0(0) <mss 1460>
+.1 < R. 0:0(0) ack 1 win 0`),
    ).toBe('');
  });

  test('write waits for room until everything is written', () => {
    expect(
      wrong(`${ACCEPTED}+0...0.2 write(4, ..., 6000) = 6000
+0 > P. 1:4001(4000) ack 1
+.1 < . 1:1(0) ack 1001 win 1000
+0 > P. 4001:5001(1000) ack 1
+.1 < . 1:1(0) ack 2001 win 1000
+0 > P. 5001:6001(1000) ack 1`),
    ).toBe('');
  });

  test('poll and epoll_wait come back with their time-out or with an event', () => {
    const fd = '{fd=4, events=POLLIN, revents=POLLIN}';
    expect(wrong(`${ACCEPTED}+0...0.05 poll([${fd.replace('revents=POLLIN', 'revents=0')}], 1, 50) = 0`)).toBe('');
    expect(wrong(`${ACCEPTED}+0...0.1 poll([${fd}], 1, 500) = 1\n+.1 < . 1:6(5) ack 1 win 5`)).toBe('');
    expect(wrong(`${ACCEPTED}+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1`)).toBe(
      'syscall 8: poll: revents of descriptor 4 is POLLOUT, not POLLIN',
    );
    const epoll = `${ACCEPTED}+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0\n`;
    expect(wrong(`${epoll}+0...0.1 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, -1) = 1\n+.1 < . 1:6(5) ack 1 win 5`)).toBe(
      '',
    );
    expect(wrong(`${epoll}+0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0`)).toBe('');
  });

  test('close with a lingering time waits for acknowledgments', () => {
    const text = (
      end: string,
    ): string => `${ACCEPTED}+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=2}, 8) = 0
+0 write(4, ..., 1) = 1
+0 > P. 1:2(1) ack 1
+0...${end} close(4) = 0
+0 > F. 2:2(0) ack 1
`;
    expect(wrong(`${text('0.1')}+.1 < . 1:1(0) ack 3 win 5`)).toBe('');
    expect(wrong(text('2.0'))).toBe('');
    expect(wrong(text('0.1'))).toBe('time 11: close did not return');
  });
});

describe('epoll', () => {
  const head = (events: string): string =>
    `${ACCEPTED}+0 epoll_create1(0) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=${events}, u64=77}) = 0\n`;
  const READY = '+0 epoll_wait(5, {events=EPOLLOUT, u64=77}, 1, 0) = 1\n';
  const QUIET = '+0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0\n';

  test.each([
    ['level-triggered: again and again', 'EPOLLOUT', READY + READY],
    [
      'edge-triggered: once until something happens',
      'EPOLLOUT|EPOLLET',
      `${READY}${QUIET}+0 < . 1:2(1) ack 1 win 5\n${READY}${QUIET}`,
    ],
    [
      'one shot: once until modified',
      'EPOLLOUT|EPOLLONESHOT',
      `${READY}${QUIET}+0 epoll_ctl(5, EPOLL_CTL_MOD, 4, {events=EPOLLOUT, u64=77}) = 0\n${READY}`,
    ],
    ['what was not asked for is not told', 'EPOLLIN', QUIET],
    ['a closed descriptor is forgotten', 'EPOLLOUT', `+0 close(4) = 0\n${QUIET}`],
    [
      'deleted, it is forgotten',
      'EPOLLOUT',
      `+0 epoll_ctl(5, EPOLL_CTL_DEL, 4) = 0\n${QUIET}+0 epoll_ctl(5, EPOLL_CTL_DEL, 4) = -1 ENOENT`,
    ],
    ['added twice', 'EPOLLOUT', '+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=1, fd=4}) = -1 EEXIST'],
    ['modified without', 'EPOLLOUT', '+0 epoll_ctl(5, EPOLL_CTL_MOD, 3, {events=1, fd=4}) = -1 ENOENT'],
    ['an unknown operation', 'EPOLLOUT', '+0 epoll_ctl(5, 9, 4, {events=1, fd=4}) = -1 EINVAL'],
    ['no epoll', 'EPOLLOUT', '+0 epoll_wait(4, {events=0, ptr=0}, 1, 0) = -1 EINVAL'],
    ['nothing open', 'EPOLLOUT', '+0 epoll_wait(9, {events=0, ptr=0}, 1, 0) = -1 EBADF'],
  ])('%s', (_, events, lines) => {
    expect(wrong(head(events) + lines)).toBe('');
  });

  test('events and data are compared', () => {
    expect(wrong(head('EPOLLOUT') + READY.replace('EPOLLOUT', 'EPOLLIN'))).toContain(
      'events of report 1 is POLLOUT, not POLLIN',
    );
    expect(wrong(head('EPOLLOUT') + READY.replace('77', '78'))).toContain('data of report 1 is 77, not 78');
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
