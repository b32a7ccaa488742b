import fc from 'fast-check';
import type { Call, TcpLine } from '../../../../tools/packetdrill/ast';
import { ScriptError } from '../../../../tools/packetdrill/source';
import { bare, errorOf, parse } from './parsing';

describe('files', () => {
  test('options, set-up, events, clean-up and comments', () => {
    const script = parse(`// a comment
--tolerance_usecs=10000 --mtu=1400 /* another
one */ --local_ip="10.0.0.1"
\`./defaults.sh\`
0 close(3) = 0 // a call
+1 \`true\`
+0 %{ assert 1 }%
\`restore\``);
    expect(script.config).toMatchObject({ toleranceUs: 10_000, toleranceGiven: true, mtu: 1400, localIp: '10.0.0.1' });
    expect(script.setUp?.text).toBe('./defaults.sh');
    expect(script.events.map((e) => [e.action.kind, e.line])).toEqual([
      ['call', 5],
      ['command', 6],
      ['code', 7],
    ]);
    expect(script.cleanUp?.text).toBe('restore');
  });

  test('defaults', () => {
    expect(parse('0 close(3) = 0').config).toMatchObject({
      family: 'ipv4',
      wireVersion: 4,
      localIp: '192.168.0.1',
      remoteIp: '192.0.2.1',
      bindPort: 8080,
      connectPort: 8080,
      mtu: 1500,
      toleranceUs: 4000,
      tolerancePercent: 12.5,
      tsTickUs: 0,
      strictSegments: false,
    });
    expect(parse('--ip_version=ipv6 0 close(3) = 0').config.localIp).toBe('fd3d:a0b:17d6::1');
    expect(parse('--ip_version="ipv4-mapped-ipv6" 0 close(3) = 0').config).toMatchObject({
      family: 'ipv4-mapped-ipv6',
      wireVersion: 4,
    });
  });

  test('options without effect are told', () => {
    expect(parse('--init_scripts=a.sh\n--so_filename=x 0 close(3) = 0').warnings).toEqual([
      'line 1: --init_scripts has no effect',
      'line 2: --so_filename has no effect',
    ]);
  });

  test.each([
    ['--nonsense=1 0 close(3) = 0', '--nonsense: unknown option --nonsense'],
    ['--mtu=big 0 close(3) = 0', '--mtu: expected an integer from 68 to 65535'],
    ['--mtu 0 close(3) = 0', '--mtu: expected an integer from 68 to 65535'],
    ['--local_ip=fd00::1 0 close(3) = 0', 'fd00::1 is not an IPv4 address'],
    ['--local_ip= 0 close(3) = 0', 'expected a value for --local_ip'],
    ['--non_fatal=all 0 close(3) = 0', '--non_fatal: expected packet, syscall or both with a comma'],
    ['', 'expected an event: a time, then a packet, a call, a command or a code block, found the end of the script'],
    [
      '0 close(3) = 0 `x` 0 close(3) = 0',
      'expected an event that begins with a time, or the end of the script, found "0"',
    ],
    ['0 close(3) = 0 %{ x', 'a code block that does not end with }%'],
    ['0 f("x', 'a string that does not end'],
    ['`x', 'a command in back quotes that does not end'],
    ['--toString=1 0 close(3) = 0', '--toString: unknown option --toString'],
    ['0 < icmp constructor', 'expected an ICMP type for IPv4'],
    ['0 < icmp unreachable toString', 'expected a code of unreachable'],
    ['0 < constructor 1:1(0) ack 1 win 1', 'expected TCP flags'],
    ['0 f({constructor=1}) = 0', 'the structure {constructor}'],
    ['0 %{ import os }%', '"import" is not part of the supported Python in a code block'],
  ])('%j is refused', (text, what) => {
    expect(errorOf(text).what.startsWith(what)).toBe(true);
  });

  test.each([
    ['+0 < S 0:0(0) win 1 <mss 1000', 30, '">" after the TCP options'],
    ['+0 < . 1:1(0) ack 1 win 5 <sack 1:2 // a comment', 36, '">" after the TCP options'],
    ['+0 f(3, ...', 12, '")" after the arguments of f'],
    ['+0 close(3)', 12, '"=" and the result of close'],
    ['+0 <', 5, 'TCP flags (letters of FSRPEWUA, "." for ACK, "-" for none)'],
    ['+0', 3, 'a system call, a packet ("<" or ">"), a command in back quotes or a code block'],
  ])('%s: what breaks off is told where it does', (text, column, wanted) => {
    for (const after of ['', '\n', '\n+0 > S. 0:0(0) ack 1\n']) {
      const { line, what, column: at } = errorOf(`0 close(3) = 0\n${text}${after}`);
      const found = after === '' && !text.includes('//') ? 'the end of the script' : 'the end of the line';
      if (after !== '') expect([line, at]).toEqual([2, column]);
      expect(what).toBe(`expected ${wanted}, found ${after === '' ? 'the end of the script' : found}`);
    }
  });

  test('what begins at the wrong place is told where it stands', () => {
    expect(errorOf('0 close(3) = 0\n  <mss 1000>')).toMatchObject({ line: 2, column: 3 });
    expect(errorOf('0 close(3) = 0\n/* never')).toMatchObject({
      line: 2,
      column: 1,
      what: 'a comment that does not end',
    });
  });

  test('what is no text', () => {
    const error = errorOf('0 close(3) = 0\n\x1b[2J\0');
    expect(error).toMatchObject({ line: 2, column: 5, what: 'a NUL byte: this is no text, or UTF-16' });
    expect(error.message.split('\n')).toEqual([`t.pkt:2:5: ${error.what}`, '\ufffd[2J\ufffd', '    ^']);
    const long = errorOf(`0 f(${'1, '.repeat(1000)}`).message.split('\n');
    expect(long[1]!.length).toBeLessThanOrEqual(160);
    expect(long[2]!.indexOf('^')).toBeLessThanOrEqual(160);
  });

  test('the command line is stronger than the script', () => {
    const given = [
      { name: 'mtu', value: '900' },
      { name: 'define', value: 'A=7' },
    ];
    const script = parse('--mtu=1000 --define=A=1 0 f(A) = 0', given);
    expect(script.config.mtu).toBe(900);
    expect((script.events[0]!.action as Call).args[0]).toMatchObject({ value: 7 });
    expect(() => parse('0 f() = 0', [{ name: 'mtu', value: 'x' }])).toThrow('--mtu of the command line');
  });

  test('symbols are numbers, words, strings or commands by what they are defined as', () => {
    const script = parse(
      '--define=N=0x10 --define=O=010 --define=W=SOL_TCP --define=S="a b" --define=C=`true` 0 f(N, O, W, S) = 0 +0 C',
    );
    expect(bare((script.events[0]!.action as Call).args)).toMatchObject([
      { kind: 'integer', value: 16 },
      { kind: 'integer', value: 8 },
      { kind: 'word', name: 'SOL_TCP' },
      { kind: 'string', value: 'a b' },
    ]);
    expect(script.events[1]!.action).toMatchObject({ kind: 'command', text: 'true' });
  });

  test('a cookie may be a symbol', () => {
    const script = parse('--define=COOKIE=3021b9d889017eeb 0 > S 0:0(0) <FO COOKIE,nop,nop>');
    expect((script.events[0]!.action as TcpLine).options).toContainEqual({ kind: 'FO', cookie: '3021b9d889017eeb' });
  });

  test('#ifdef leaves out what is not defined', () => {
    const text = '--define=A=1\n0 f(1) = 0\n#ifdef A\n0 f(2) = 0\n#endif\n#ifdef B\n0 f(3) = $!\n#endif\n0 f(4) = 0';
    expect(parse(text).events.map((e) => ((e.action as Call).args[0] as { value: number }).value)).toEqual([1, 2, 4]);
    expect(errorOf('0 f() = 0\n#ifdef B\n').what).toBe('#ifdef without #endif');
    expect(errorOf('0 f() = 0\n#endif\n').what).toBe('#endif without #ifdef');
  });

  test('an error names file, line and column and shows the line with a caret', () => {
    const error = errorOf('0 close(3) = 0\n\t+0 > . 1:1(0) foo');
    expect(error.message).toBe(
      't.pkt:2:16: expected an event that begins with a time, or the end of the script, found "foo"\n' +
        '\t+0 > . 1:1(0) foo\n\t              ^',
    );
    expect([error.line, error.column]).toEqual([2, 16]);
  });

  test('a byte order mark and carriage returns do no harm', () => {
    expect(parse('\uFEFF0 close(3) = 0\r\n+0 close(4) = 0\r\n').events).toHaveLength(2);
  });

  test('deep nesting is refused, not fatal', () => {
    expect(errorOf(`0 f(${'['.repeat(5000)}`).what).toBe('nested too deeply');
  });
});

describe('whatever the text, the parser answers with a script or an error that has a place', () => {
  const piece = fc.constantFrom(
    ...['0', '+0', '*', '~', '...', '<', '>', 'S.', '.', '-', '1:1(0)', 'ack', 'win', '5', '<mss', '1460', ',', 'nop>'],
    ...['icmp', 'udp', '(', ')', '[', ']', '{', '}', '=', '|', '"s"', '`c`', '%{ assert 1 }%', 'f', '-1', 'EPIPE'],
    ...['--mtu=1000', 'sack', '0x1f', '.5', 'TS val', 'ecr', '\n', '//', '/*', '"', '`', '%{', '#ifdef', 'msg_iov(1)='],
    ...['constructor', '__proto__=', 'toString', '--toString', '< icmp constructor', '< constructor', '{constructor='],
  );
  const answers = (text: string): void => {
    try {
      parse(text);
    } catch (error) {
      expect(error).toBeInstanceOf(ScriptError);
      expect((error as ScriptError).line).toBeGreaterThan(0);
    }
  };

  test('pieces of the language in any order', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => answers(pieces.join(' '))),
      { numRuns: 3000 },
    );
  });

  test('any characters', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), answers), { numRuns: 1000 });
  });
});
