import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { type DecodeOptions, registerDecode, runDecode, secondsText } from '../../../tools/decode';
import { registerTrace, runTrace, type TraceOptions } from '../../../tools/ladder';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from '../../../tools/pcap/format';
import type { Output } from '../../../tools/pcap/output';
import { FileSink, MemorySink } from '../../../tools/pcap/sink';
import { PcapngWriter } from '../../../tools/pcap/writer';
import { arp, ethernet, type TcpFields, tcp, udp } from './frames';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tapwire-decode-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

class Collected implements Output {
  text = '';
  constructor(private readonly linesMax = Infinity) {}
  write(text: string): boolean {
    this.text += text;
    return this.lines.length < this.linesMax;
  }
  flush(): void {}
  get lines(): string[] {
    return this.text === '' ? [] : this.text.trimEnd().split('\n');
  }
}

interface Result {
  code: number;
  out: string;
  lines: string[];
  err: string;
}

function decode(file: string, options: DecodeOptions = {}, out = new Collected()): Result {
  let err = '';
  const code = runDecode(file, options, out, (text) => {
    err += text;
  });
  return { code, out: out.text, lines: out.lines, err };
}

function trace(file: string, options: TraceOptions = {}): Result {
  const out = new Collected();
  let err = '';
  const code = runTrace(file, options, out, (text) => {
    err += text;
  });
  return { code, out: out.text, lines: out.lines, err };
}

const back = { from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234 };

function save(name: string, write: (w: PcapngWriter, put: Put) => void): string {
  const path = join(dir, name);
  const writer = new PcapngWriter(new FileSink(path), { epochMs: 1_700_000_000_000 });
  write(writer, (face, timeMs, frame, direction = 0, comment) =>
    writer.writeFrame(face, timeMs, frame, 0, frame.length, direction, comment),
  );
  writer.close();
  return path;
}
type Put = (face: number, timeMs: number, frame: Uint8Array, direction?: number, comment?: string) => void;

const exchange = (put: Put, from = 0): void => {
  const step = (ms: number, fields: TcpFields, comment?: string): void =>
    put(0, from + ms, tcp(fields), fields.from === undefined ? DIRECTION_OUTBOUND : DIRECTION_INBOUND, comment);
  step(0, { flags: 'S', seq: 100 }, 'active open');
  step(1.5, { ...back, flags: 'S.', seq: 900, ack: 101 });
  step(1.5004, { flags: '.', seq: 101, ack: 901 });
  step(2, { flags: 'P.', seq: 101, ack: 901, text: 'GET / HTTP/1.1\r\n\r\n' });
  step(1002, { flags: 'P.', seq: 101, ack: 901, text: 'GET / HTTP/1.1\r\n\r\n' });
  step(1003, { ...back, flags: 'R.', seq: 901, ack: 119 }, 'evil\x1b[31m\nsecond line');
};

describe('tapwire decode', () => {
  const file = (): string =>
    save('exchange.pcapng', (w, put) => {
      w.addInterface({ name: 'tw0', linkType: 'ip' });
      exchange(put);
    });

  test('one line per packet: time, direction, packet, notes, comments', () => {
    expect(decode(file())).toMatchObject({
      code: 0,
      err: '',
      lines: [
        '0.000000 > 10.77.0.1.51234 > 10.77.0.2.80 S 0:0(0) win 65535 # active open',
        '0.001500 < 10.77.0.2.80 > 10.77.0.1.51234 S. 0:0(0) ack 1 win 65535',
        '0.001500 > 10.77.0.1.51234 > 10.77.0.2.80 . 1:1(0) ack 1 win 65535',
        '0.002000 > 10.77.0.1.51234 > 10.77.0.2.80 P. 1:19(18) ack 1 win 65535 HTTP: GET / HTTP/1.1',
        '1.002000 > 10.77.0.1.51234 > 10.77.0.2.80 P. 1:19(18) ack 1 win 65535 [retransmission] HTTP: GET / HTTP/1.1',
        '1.003000 < 10.77.0.2.80 > 10.77.0.1.51234 R. 1:1(0) ack 19 win 65535 # evil\\x1b[31m\\nsecond line',
      ],
    });
  });

  test('with several interfaces their names are shown', () => {
    const path = save('two.pcapng', (w, put) => {
      w.addInterface({ name: 'tw0', linkType: 'ip' });
      w.addInterface({ name: 'tap\x07', linkType: 'ethernet' });
      put(0, 0, udp({ text: 'a' }));
      put(1, 1, arp(1, '10.0.0.1', '10.0.0.2'));
    });
    expect(decode(path).lines).toEqual([
      '0.000000 tw0 10.77.0.1.5000 > 10.77.0.2.53 udp (1)',
      '0.001000 tap\\x07 arp who-has 10.0.0.2 tell 10.0.0.1',
    ]);
  });

  test('--absolute, --filter, --count and --hex', () => {
    expect(decode(file(), { absolute: true }).lines[1]).toContain('S. 900:900(0) ack 101 win');
    const filtered = decode(file(), { filter: 'retransmission or rst' });
    expect(filtered.lines.map((l) => l.slice(0, 8))).toEqual(['1.002000', '1.003000']);
    expect(decode(file(), { filter: 'ack', count: '2' }).lines).toHaveLength(2);
    const [, first, second] = decode(file(), { hex: true, count: '1' }).lines;
    expect(first).toMatch(/^\t0x0000: {2}4500 0028 0001 4000 4006 \w{4} 0a4d 0001 {2}E\.\.\(\.\.@\.@/);
    expect(second).toMatch(/^\t0x0010: {2}0a4d 0002 c822 0050 0000 0064/);
  });

  test('--json gives one object to a line', () => {
    const packets = decode(file(), { json: true }).lines.map((l) => JSON.parse(l));
    expect(packets).toHaveLength(6);
    expect(packets[3]).toMatchObject({
      number: 4,
      time: 0.002,
      epochNs: '1700000000002000000',
      interface: 'tw0',
      direction: 'out',
      length: 58,
      captured: 58,
      ip: { version: 4, source: '10.77.0.1', destination: '10.77.0.2', ttl: 64, length: 58, headerBytes: 20 },
      tcp: { sport: 51234, seq: 101, relativeSeq: 1, relativeAck: 1, flags: 'P.', length: 18, checksum: 'good' },
      http: 'GET / HTTP/1.1',
      flow: 1,
    });
    expect(packets[4].notes).toEqual(['retransmission']);
    expect(packets[5].comments).toEqual(['evil\x1b[31m\nsecond line']);
    expect(packets[0].line).toBe('10.77.0.1.51234 > 10.77.0.2.80 S 0:0(0) win 65535');
  });

  test('--stats sums up', () => {
    const { lines } = decode(file(), { stats: true });
    expect(lines[0]).toBe('6 packets, 276 bytes in 1.003000 s');
    expect(lines[1]).toBe('interface tw0: 6 packets');
    expect(lines).toContain('  1 × retransmission');
    expect(lines.at(-1)).toBe(
      '#1 10.77.0.1.51234 > 10.77.0.2.80: 6 packets, 36 bytes > 0 bytes <, 1.003 s, 1 sent again, reset',
    );
    const sums = JSON.parse(decode(file(), { stats: true, json: true }).out);
    expect(sums).toMatchObject({
      format: 'pcapng',
      packets: 6,
      notes: { retransmission: 1 },
      flows: [{ closed: 'rst' }],
    });
  });

  test('a reader that leaves ends the work without an error', () => {
    const result = decode(file(), {}, new Collected(2));
    expect(result).toMatchObject({ code: 0, err: '' });
    expect(result.lines).toHaveLength(2);
  });

  describe('what cannot be done is one clear message and exit code 2', () => {
    test.each<[string, () => string, DecodeOptions, RegExp]>([
      ['no file', () => join(dir, 'absent'), {}, /absent: there is no such file$/],
      ['a directory', () => dir, {}, /it is a directory$/],
      ['an empty file', () => '/dev/null', {}, /\/dev\/null: the file is empty \(at byte 0\)$/],
      ['garbage', () => __filename, {}, /not a pcap or pcapng capture: it begins with 696d706f/],
      ['a count of none', file, { count: '0' }, /--count: a number of at least 1 was expected, not "0"$/],
      ['a count of words', file, { count: 'many' }, /--count: .* not "many"$/],
      ['a bad filter', file, { filter: 'port http' }, /--filter: a port .* expected\n {2}port http\n {7}\^$/],
    ])('%s', (_what, path, options, message) => {
      const result = decode(path(), options);
      expect(result.code).toBe(2);
      expect(result.out).toBe('');
      expect(result.err).toMatch(/^tapwire decode: /);
      expect(result.err.trimEnd()).toMatch(message);
    });

    test('a damaged file: what could be read, then where it broke', () => {
      const path = file();
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.subarray(0, bytes.length - 200));
      const result = decode(path);
      expect(result.code).toBe(2);
      expect(result.lines.length).toBeGreaterThan(1);
      expect(result.err).toMatch(
        /^tapwire decode: .*: the file ends inside a block of which \d+ bytes are there \(at byte \d+\)\n$/,
      );
      const sums = decode(path, { stats: true });
      expect([sums.code, sums.lines.length > 3]).toEqual([2, true]);
    });
  });

  test('times', () => {
    expect(secondsText(0n)).toBe('0.000000');
    expect(secondsText(1_234_567_499n)).toBe('1.234567');
    expect(secondsText(-1_500n)).toBe('-0.000002');
    expect(secondsText(100_000_000_000_000n)).toBe('100000.000000');
  });
});

describe('tapwire trace', () => {
  /** A client and a server with a capture point each; 10 ms between them, the first request lost. */
  const twoEnds = (): string =>
    save('ends.pcapng', (w, put) => {
      w.addInterface({ name: 'client', linkType: 'ip' });
      w.addInterface({ name: 'server', linkType: 'ip' });
      const events: [number, () => void][] = [];
      let id = 0;
      const send = (ms: number, fields: TcpFields, latency: number | null): void => {
        const server = fields.from !== undefined;
        const number = ++id;
        const frame = tcp({ ...fields, id: number });
        events.push([ms, () => put(server ? 1 : 0, ms, frame, DIRECTION_OUTBOUND)]);
        if (latency === null) return;
        const arrived = frame.slice();
        arrived[8]! -= 1;
        arrived[10]! += 1;
        events.push([
          ms + latency,
          () => put(server ? 0 : 1, ms + latency, arrived, DIRECTION_INBOUND, `arrived ${number}`),
        ]);
      };
      const request = { flags: 'P.', seq: 101, ack: 901, text: 'GET / HTTP/1.1\r\n\r\n' };
      send(0, { flags: 'S', seq: 100 }, 10);
      send(10, { ...back, flags: 'S.', seq: 900, ack: 101 }, 10);
      send(20, request, null);
      send(220, request, 10);
      send(231, { ...back, flags: '.', seq: 901, ack: 119, text: 'x'.repeat(100) }, 40);
      send(232, { ...back, flags: 'P.', seq: 1001, ack: 119, text: 'y'.repeat(50) }, 12);
      send(300, { flags: '.', seq: 119, ack: 1051 }, null);
      for (const [, put1] of events.sort((a, b) => a[0] - b[0])) put1();
    });

  test('both ends recorded: arrival times, losses and reordering', () => {
    const text = trace(twoEnds()).out;
    expect(text).toBe(
      [
        '            10.77.0.1                                                         10.77.0.2',
        '    0.000000    |---------------------- S 0:0(0) win 65535 ---------------------->|  +10.000 ms, # arrived 1',
        '    0.010000    |<------------------ S. 0:0(0) ack 1 win 65535 -------------------|  +10.000 ms, # arrived 2',
        '    0.020000    |-------------- P. 1:19(18) ack 1 win 65535 -------------X        |  lost, GET / HTTP/1.1',
        '                :                                                                 :  0.200 s later',
        '    0.220000    |------------------ P. 1:19(18) ack 1 win 65535 ----------------->|  +10.000 ms, retransmission, GET / HTTP/1.1, # arrived 4',
        '    0.231000    |<---------------- . 1:101(100) ack 19 win 65535 -----------------|  +40.000 ms, out of order, # arrived 5',
        '    0.232000    |<--------------- P. 101:151(50) ack 19 win 65535 ----------------|  +12.000 ms, gap of 100 bytes, # arrived 6',
        '    0.300000    |----------------- . 19:19(0) ack 151 win 65535 ----------------->|',
        '',
      ].join('\n'),
    );
  });

  test('labels that do not fit stand beside their arrow; a multicast passes everybody; loopback tells ports apart', () => {
    const path = save('hosts.pcapng', (w, put) => {
      w.addInterface({ name: 'a', linkType: 'ip' });
      put(0, 0, udp({ from: '10.0.0.1', to: '10.0.0.2', text: 'a' }));
      put(0, 1, udp({ from: '10.0.0.3', to: '224.0.0.1', text: 'b' }));
      put(0, 2, tcp({ from: '10.0.0.3', to: '10.0.0.1', flags: '.', seq: 2_000_000_000, ack: 2_000_000_000 }));
      put(0, 3, udp({ from: '127.0.0.1', to: '127.0.0.1', text: 'b' }));
    });
    const { lines } = trace(path, { absolute: true });
    expect(lines[0]).toMatch(/10\.0\.0\.1 +10\.0\.0\.2 +10\.0\.0\.3 +127\.0\.0\.1:5000 +127\.0\.0\.1:53$/);
    expect(lines[1]).toMatch(/\|-+ udp 5000 > 53 \(1\) -+>\|/);
    expect(lines[2]).toMatch(/\| +\| +\|-+ udp 5000 > 53 \(1\) -+>\| {2}to 224\.0\.0\.1$/);
    expect(lines[3]).toMatch(/\|<-+ \. 2000000000:2000000000\(0\) ack 2000000000 win 65535 -+\|/);
    expect(lines[4]).toMatch(/\|-+ udp 5000 > 53 \(1\) -+>\|$/);
  });

  test('--follow names ports, --count leaves out, and an absent connection is told', () => {
    const path = save('follow.pcapng', (w, put) => {
      w.addInterface({ name: 'a', linkType: 'ip' });
      exchange(put);
      put(0, 2000, tcp({ sport: 5, flags: 'S' }));
    });
    expect(trace(path).lines[1]).toContain('#1 S 0:0(0)');
    const followed = trace(path, { follow: '2' });
    expect(followed.lines[0]).toMatch(/10\.77\.0\.1:5 +10\.77\.0\.2:80/);
    expect(followed.lines).toHaveLength(2);
    expect(trace(path, { count: '2' }).lines.at(-1)).toBe('... and 5 more packets');
    expect(trace(path, { follow: '9' })).toMatchObject({
      code: 2,
      err: 'tapwire trace: --follow: there is no packet of connection 9; the capture has 2\n',
    });
    expect(trace(join(dir, 'absent'))).toMatchObject({ code: 2, err: expect.stringContaining('no such file') });
  });

  test('--svg is as wide as the longest remark needs, up to a limit', () => {
    const widthWith = (comment: string): number => {
      const path = save('wide.pcapng', (w, put) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        put(0, 0, tcp({ flags: 'S' }), DIRECTION_INBOUND, comment);
      });
      return Number(/width="(\d+)"/.exec(trace(path, { svg: '-' }).out)?.[1]);
    };
    const narrow = widthWith('short');
    expect(widthWith('x'.repeat(100))).toBeGreaterThan(narrow + 200);
    expect(widthWith('x'.repeat(60_000))).toBeLessThan(2500);
  });

  test('--svg writes a document that is well formed whatever the packets say', () => {
    const path = save('svg.pcapng', (w, put) => {
      w.addInterface({ name: 'a', linkType: 'ethernet' });
      put(
        0,
        0,
        ethernet(0x0800, tcp({ flags: 'P.', text: 'GET /<&">\' HTTP/1.1\r\n' })),
        0,
        '<script>&\0\x01\ud800 ]]>',
      );
      put(0, 1, ethernet(0x0800, tcp({ ...back, flags: 'R.' })), 0, '"quoted"');
      put(0, 2, arp(1, '10.0.0.1', '10.0.0.2'));
      put(0, 3, ethernet(0x0806, new Uint8Array(2)));
    });
    const target = join(dir, 'out.svg');
    expect(trace(path, { svg: target })).toMatchObject({ code: 0, out: `${target}: 4 packets between 5 hosts\n` });
    const svg = readFileSync(target, 'utf8');
    expect(wellFormed(svg)).toEqual([]);
    expect(svg).toContain('GET /&lt;&amp;&quot;&gt;');
    expect(svg).toContain('&lt;script&gt;');
    expect(trace(path, { svg: '-' }).out).toBe(svg);
    expect(wellFormed(trace(twoEnds(), { svg: '-' }).out)).toEqual([]);
  });

  test('an SVG that cannot be written is told', () => {
    expect(trace(twoEnds(), { svg: join(dir, 'no', 'where.svg') })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^tapwire trace: .*where\.svg: there is no such file\n$/),
    });
  });
});

/** Complaints about an XML document that has elements, attributes, text and the five entities only. */
function wellFormed(text: string): string[] {
  const complaints: string[] = [];
  const open: string[] = [];
  const token = /<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot);[^"<&]*)*")*)(\/?)>|([^<]+)|(<)/g;
  for (let m = token.exec(text); m !== null; m = token.exec(text)) {
    if (m[6] !== undefined) complaints.push(`stray < at ${m.index}`);
    else if (m[5] !== undefined) {
      if (/&(?!(amp|lt|gt|quot);)/.test(m[5])) complaints.push(`bad entity in ${m[5]}`);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what XML forbids
      if (/[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/.test(m[5]))
        complaints.push(`bad character in ${m[5]}`);
    } else if (m[1] === '/') {
      if (open.pop() !== m[2]) complaints.push(`</${m[2]}> closes another element`);
    } else if (m[4] !== '/') open.push(m[2]!);
  }
  if (open.length > 0) complaints.push(`never closed: ${open}`);
  return complaints;
}

describe('the commands in a program', () => {
  test('register their options', () => {
    const program = new Command('tapwire');
    registerDecode(program);
    registerTrace(program);
    const options = program.commands.map((c) => [c.name(), ...c.options.map((o) => o.long)]);
    expect(options).toEqual([
      ['decode', '--json', '--absolute', '--hex', '--filter', '--count', '--stack', '--stats'],
      ['trace', '--svg', '--follow', '--filter', '--count', '--absolute'],
    ]);
  });

  /** Runs a shell's command line with a capture on standard input; `"$NODE" "$SCRIPT"` is the command with `decode` only. */
  function shell(command: string): { stdout: string; stderr: string } {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink);
    writer.addInterface({ name: 'a', linkType: 'ip' });
    const frame = udp({ text: 'x' });
    for (let i = 0; i < 20_000; i++) writer.writeFrame(0, i, frame, 0, frame.length, 0);
    writer.close();
    const root = join(__dirname, '..', '..', '..');
    const script = join(dir, 'run.cjs');
    writeFileSync(
      script,
      `const swc = require(${JSON.stringify(join(root, 'node_modules/@swc/core'))});
       require.extensions['.ts'] = (m, f) => m._compile(swc.transformFileSync(f, { swcrc: false, configFile: false,
         jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } }).code, f);
       const { Command } = require(${JSON.stringify(join(root, 'node_modules/commander'))});
       const program = new Command('tapwire');
       require(${JSON.stringify(join(root, 'tools/decode.ts'))}).registerDecode(program);
       program.parse();`,
    );
    const env = { ...process.env, NODE: process.execPath, SCRIPT: script };
    return spawnSync('bash', ['-c', command], { env, input: sink.bytes(), encoding: 'utf8' });
  }

  test('standard output that closes is not an error, standard input is a capture', () => {
    const result = shell('set -o pipefail; "$NODE" "$SCRIPT" decode - | head -n 3; echo "$?"');
    expect(result.stderr).toBe('');
    expect(result.stdout.trimEnd().split('\n')).toEqual([
      '0.000000 10.77.0.1.5000 > 10.77.0.2.53 udp (1)',
      '0.001000 10.77.0.1.5000 > 10.77.0.2.53 udp (1)',
      '0.002000 10.77.0.1.5000 > 10.77.0.2.53 udp (1)',
      '0',
    ]);
  });

  test('standard output on a full disk is no fault of the capture', () => {
    for (const option of ['', '--stats', '--count 1']) {
      const { stdout, stderr } = shell(`"$NODE" "$SCRIPT" decode ${option} - > /dev/full; echo "$?"`);
      expect(stderr).toBe('tapwire decode: the output cannot be written: ENOSPC: no space left on device, write\n');
      expect(stdout).toBe('1\n');
    }
  });
});
