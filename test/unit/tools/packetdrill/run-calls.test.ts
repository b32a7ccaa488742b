import { exitCode } from '../../../../tools/packetdrill/report';
import { ACCEPTED, CONNECTED, run, wrong } from './toy-script';

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
