import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { cureFor } from '../../../../tools/exit';
import { registerPacketdrill, watchAndRun } from '../../../../tools/packetdrill/command';
import { stackTarget } from '../../../../tools/packetdrill/stack-target';
import type { TargetFactory } from '../../../../tools/packetdrill/target';
import { watchScripts } from '../../../../tools/packetdrill/watch';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from '../../../../tools/pcap/format';
import { readCaptureFile } from '../../../../tools/pcap/reader';
import { toyStack } from './toy-stack';

const GOOD = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
`;
/** Nobody listens: only a TCP that knows the numbers of a RST passes. */
const REFUSED = `0 < S 700:700(0) win 1000
+0 > R. 0:0(0) ack 1 win 0`;
const BAD = GOOD.replace('ack 1 <', 'ack 2 <');
const BROKEN = '0 socket(';
const STRANGE = '0 < sctp: ABORT[flgs=0]';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'packetdrill-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface Ran {
  out: string;
  err: string;
  code: number | null;
}

/** Runs the command; paths of the temporary folder are shown without it. */
function tapwire(args: string[], factory: TargetFactory = toyStack()): Ran {
  const ran: Ran = { out: '', err: '', code: null };
  const program = new Command();
  const io = {
    out: (text: string) => void (ran.out += text.replaceAll(`${folder}/`, '').replace(/ in [\d.]+ ms/g, '')),
    err: (text: string) => void (ran.err += text.replaceAll(`${folder}/`, '')),
    exit: (code: number) => void (ran.code = code),
  };
  program.exitOverride().configureOutput({ writeErr: io.err });
  registerPacketdrill(program, factory, io);
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: io.err });
  program.parse(['packetdrill', ...args], { from: 'user' });
  return ran;
}

describe('exit codes', () => {
  test.each<[string, string, number, string]>([
    ['all is well', GOOD, 0, 'a.pkt: ok, 0.000 s\n'],
    ['an expectation was not met', BAD, 1, 'a.pkt:5: packet: ack 1, not 2\n'],
    ['not the language', BROKEN, 2, 'a.pkt:1:10: expected an expression, found the end of the script\n'],
    ['not supported', STRANGE, 2, 'a.pkt:1:5: unsupported: SCTP\n'],
  ])('%s', (_, text, code, begins) => {
    const ran = tapwire([file('a.pkt', text)]);
    expect(ran.code).toBe(code);
    expect(ran.out.slice(0, begins.length)).toBe(begins);
    expect(ran.err).toBe('');
  });

  test('a stack that breaks is neither', () => {
    const ran = tapwire([file('a.pkt', GOOD), file('b.pkt', BAD)], toyStack({ busy: true }));
    expect([ran.code, ran.out]).toEqual([3, '2 scripts: 0 ok, 0 failed, 0 not run, 2 broken\n']);
    expect(ran.err).toContain('never gets it done');
  });

  test('the stack of this project is what scripts run on', () => {
    const program = new Command();
    let code = -1;
    let out = '';
    const io = { out: (text: string) => void (out += text), err: () => {}, exit: (n: number) => void (code = n) };
    registerPacketdrill(program, undefined, io);
    program.parse(['packetdrill', file('a.pkt', REFUSED)], { from: 'user' });
    expect([code, out]).toEqual([0, expect.stringContaining('ok')]);
  });

  test('a file that is not there', () => {
    const ran = tapwire([join(folder, 'nosuch.pkt')]);
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.err).toBe('tapwire packetdrill: nosuch.pkt: there is no such file or folder; check the path (ENOENT)\n');
  });

  test.each([
    [
      'a folder without scripts',
      [],
      /^tapwire packetdrill: empty: no script is in this folder: their names end in \.pkt\n$/,
    ],
    ['a folder for a capture', ['--record'], /^tapwire packetdrill: empty: it is a folder; name a file in it\n$/],
  ])('%s', (_, flags, message) => {
    mkdirSync(join(folder, 'empty'));
    const ran = tapwire([...flags, join(folder, 'empty')]);
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.err).toMatch(message);
  });
});

describe('what has no sense', () => {
  test('a file without an end is no script', () => {
    const ran = tapwire(['/dev/zero']);
    expect([ran.code, ran.out, ran.err]).toEqual([
      2,
      '',
      'tapwire packetdrill: /dev/zero: it is larger than 16 MiB: no script\n',
    ]);
  });

  test.each([
    ['--side', 'client'],
    ['--follow', '1'],
  ])('%s without --record', (flag, value) => {
    expect(() => tapwire([file('a.pkt', GOOD), flag, value])).toThrow(`${flag} goes with --record`);
  });

  test('a disk that is full is no fault of the stack', () => {
    for (const flag of ['--svg', '--pcap', '--qlog']) {
      let error: unknown;
      try {
        tapwire([file('a.pkt', GOOD), flag, '/dev/full']);
      } catch (thrown) {
        error = thrown;
      }
      expect(cureFor(error)).toBe('/dev/full: the disk is full; free some space, or choose another disk (ENOSPC)');
    }
  });
});

describe('folders', () => {
  test('all scripts below, by name, and a summary; a failure outweighs what was not run', () => {
    mkdirSync(join(folder, 'sub'));
    file('b.pkt', GOOD);
    file('a.pkt', BAD);
    file('note.txt', 'no script');
    file('sub/c.pkt', BROKEN);
    const ran = tapwire([folder]);
    expect(ran.code).toBe(1);
    expect(ran.out.match(/^[\w/]+\.pkt/gm)).toEqual(['a.pkt', 'b.pkt', 'sub/c.pkt']);
    expect(ran.out.trimEnd().split('\n').at(-1)).toBe('3 scripts: 1 ok, 1 failed, 1 not run, 0 broken');
  });
});

describe('--json', () => {
  const json = (text: string): Record<string, unknown> => {
    const { out } = tapwire(['--json', file('a.pkt', text)]);
    expect(out.endsWith('\n') && out.indexOf('\n') === out.length - 1).toBe(true);
    return JSON.parse(out);
  };

  test('one object', () => {
    expect(json(GOOD)).toEqual({
      file: 'a.pkt',
      ok: true,
      virtualUs: 0,
      wallMs: expect.any(Number),
      warnings: [],
      packets: [
        { atUs: 0, direction: 'in', text: '< S 0:0(0) win 1000 <mss 1000>', line: 4 },
        { atUs: 0, direction: 'out', text: '> S. 0:0(0) ack 1 win 65535 <mss 1460>', line: 5 },
      ],
    });
  });

  test.each([
    [BAD, { line: 5, kind: 'packet', message: 'ack 1, not 2' }],
    [BROKEN, { line: 1, kind: 'parse', message: 'expected an expression, found the end of the script' }],
    [STRANGE, { line: 1, kind: 'unsupported', message: 'SCTP', source: STRANGE }],
  ])('%j', (text, failure) => {
    expect(json(text)).toMatchObject({ ok: false, failure });
  });
});

describe('options', () => {
  test('those of the language, stronger than in the script', () => {
    const path = file('a.pkt', `--tolerance_usecs=0 ${GOOD}+.1 < . 1:1(0) ack 1 win W\n`);
    expect(tapwire(['-D', 'W=5', '--tolerance_usecs=100', '--strict_segments', path]).code).toBe(0);
    expect(tapwire([path]).code).toBe(2);
    expect(tapwire(['--mtu', 'x', path]).out).toContain('--mtu of the command line: expected an integer');
  });

  test('--dry-run and --explain run nothing', () => {
    const path = file('a.pkt', BAD);
    expect(tapwire(['--dry-run', path]).code).toBe(0);
    const { code, out } = tapwire(['--explain', path]);
    expect([code, out]).toEqual([0, expect.stringContaining('line 5: At once the stack must send a SYN+ACK')]);
  });

  test('--verbose shows the events', () => {
    expect(tapwire(['-v', file('a.pkt', GOOD)]).err).toContain('0.000  +0 > S. 0:0(0) ack 1 <mss 1460>\n');
  });

  test('--strict', () => {
    const path = file('a.pkt', GOOD.replace('<mss 1460>', 'win 7 <mss 1460>'));
    expect(tapwire([path]).code).toBe(0);
    expect(tapwire(['--strict', path]).code).toBe(1);
  });

  test('--mutate runs the falsified copies', () => {
    const path = file('a.pkt', GOOD);
    expect(tapwire(['--mutate', path])).toMatchObject({
      code: 0,
      out: 'a.pkt: ok, 0.000 s\na.pkt: 3 of 3 falsified copies failed, as they must\n',
    });
    expect(tapwire(['--mutate-every', '--json', path]).out.split('\n')[1]).toBe(
      '{"file":"a.pkt","mutants":3,"survivors":[]}',
    );
    expect(tapwire(['--mutate', file('b.pkt', BAD)]).out).not.toContain('falsified');
  });

  test('a copy that passes is reported, and is a failure', () => {
    const path = file('a.pkt', `--non_fatal=packet ${GOOD}`);
    const ran = tapwire(['--mutate', path]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('  passes although line 5 expects ack 8 instead of 1 (ack)\n');
  });

  test('an unknown option is refused', () => {
    expect(() => tapwire(['--nosuch', file('a.pkt', GOOD)])).toThrow('unknown option');
    expect(() => tapwire(['--profile', 'bsd', file('a.pkt', GOOD)])).toThrow('Allowed choices are linux, rfc');
    expect(() => tapwire(['--seed', 'x', file('a.pkt', GOOD)])).toThrow('expected an integer');
  });
});

describe('what crossed the wire', () => {
  test('--ladder draws it', () => {
    const { code, out } = tapwire(['--ladder', file('a.pkt', GOOD)], stackTarget);
    expect(code).toBe(0);
    expect(out).toBe(`a.pkt: ok, 0.000 s
            192.0.2.1                                                        192.168.0.1
    0.000000    |----------------------- S 0:0(0) win 1000 ---------------------->|  # line 4
    0.000000    |<------------------ S. 0:0(0) ack 1 win 65535 -------------------|  # the handshake asks for it (RFC 9293 §3.5)
`);
  });

  test('--svg <file>, also of a script that fails', () => {
    const path = join(folder, 'o.svg');
    expect(tapwire(['--svg', path, file('a.pkt', BAD)], stackTarget).code).toBe(1);
    const svg = readFileSync(path, 'utf8');
    expect(svg).toMatch(/^<svg .*>\n<title>192\.0\.2\.1, 192\.168\.0\.1: 2 packets<\/title>/);
    expect(svg).toContain('S. 0:0(0) ack 1 win 65535');
  });

  test.each(['--svg', '--pcap'])('%s <file> that cannot be written is not the fault of the stack', (option) => {
    const path = join(folder, 'nosuch/file');
    expect(() => tapwire([option, path, file('a.pkt', GOOD)])).toThrow('ENOENT');
  });

  test('--pcap <file> has an interface for each script, and says who sent what and why', () => {
    const path = join(folder, 'o.pcapng');
    expect(tapwire(['--pcap', path, file('a.pkt', GOOD), file('b.pkt', BAD)], stackTarget).code).toBe(1);
    const why = 'the handshake asks for it (RFC 9293 §3.5)';
    const packets = [...readCaptureFile(path)];
    expect(packets.map(({ iface, direction, comments }) => [iface.name, direction, comments])).toEqual([
      ['a', DIRECTION_INBOUND, ['line 4']],
      ['a', DIRECTION_OUTBOUND, [why]],
      ['b', DIRECTION_INBOUND, ['line 4']],
      ['b', DIRECTION_OUTBOUND, [why]],
    ]);
  });

  test('--record prints a script of a capture', () => {
    const path = join(folder, 'o.pcapng');
    tapwire(['--pcap', path, file('a.pkt', GOOD)], stackTarget);
    const { code, out } = tapwire(['--record', path]);
    expect([code, out]).toEqual([0, expect.stringContaining('\n0.000000 > S. 0:0(0) ack 1 <mss 1460>\n')]);
    expect(tapwire([file('b.pkt', out)], stackTarget).code).toBe(0);
    expect(tapwire(['--record', '--side', 'client', path]).out).toContain('the client is the stack');
    expect(tapwire(['--record', '--follow', '2', path])).toEqual({
      code: 2,
      out: '',
      err: 'tapwire packetdrill: o.pcapng: no connection 2: the capture has one\n',
    });
    expect(tapwire(['--record', file('c.pkt', GOOD), join(folder, 'nosuch')])).toEqual({
      code: 2,
      out: '',
      err: expect.stringMatching(
        /^tapwire packetdrill: c\.pkt: not a pcap or pcapng capture: .*\n.* nosuch: there is no such file .*\n$/,
      ),
    });
  });

  test('a failure names the reason of the stack', () => {
    expect(tapwire([file('a.pkt', BAD)], stackTarget).out).toContain(
      'sent because the handshake asks for it (RFC 9293 §3.5)',
    );
  });
});

describe('--watch', () => {
  /** Waits for the watcher to run something, in real time: it listens to the file system. */
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  test('runs what changes, and only that', async () => {
    const path = file('a.pkt', BAD);
    file('b.pkt', GOOD);
    const ran: Ran = { out: '', err: '', code: null };
    const io = {
      out: (text: string) => void (ran.out += text.replaceAll(`${folder}/`, '').replace(/ in [\d.]+ ms/g, '')),
      err: (text: string) => void (ran.err += text.replaceAll(`${folder}/`, '')),
      exit: (code: number) => void (ran.code = code),
    };
    const stop = watchAndRun([folder], { profile: 'linux', follow: 1, seed: 1, define: [] }, toyStack(), io);
    try {
      writeFileSync(path, GOOD);
      await until(() => ran.out !== '');
      expect(ran).toEqual({ out: 'a.pkt: ok, 0.000 s\n', err: `watching ${folder}\n`, code: 0 });
      writeFileSync(path, BAD);
      await until(() => ran.code === 1);
      rmSync(path);
      mkdirSync(join(folder, 'sub'));
      file('note.txt', 'no script');
      file('sub/c.pkt', GOOD);
      ran.out = '';
      await until(() => ran.out !== '');
      expect(ran.out).toBe('sub/c.pkt: ok, 0.000 s\n');
    } finally {
      stop();
    }
  });

  test('a file that an editor replaces', async () => {
    const path = file('a.pkt', GOOD);
    const seen: string[][] = [];
    const stop = watchScripts([path], (files) => void seen.push([...files]));
    try {
      file('b.pkt', GOOD);
      renameSync(file('new', BAD), path);
      await until(() => seen.length > 0);
      expect(seen).toEqual([[path]]);
    } finally {
      stop();
    }
  });

  test('a path that is not there', () => {
    expect(() => watchScripts([join(folder, 'nosuch.pkt')], () => {})).toThrow('ENOENT');
    const ran = tapwire(['--watch', join(folder, 'nosuch.pkt')]);
    expect([ran.code, ran.err]).toEqual([2, expect.not.stringContaining('watching')]);
  });
});
