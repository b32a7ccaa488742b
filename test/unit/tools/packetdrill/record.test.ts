import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FrameObserver, RunCapture } from '../../../../tools/packetdrill/capture';
import { parseScript } from '../../../../tools/packetdrill/parser';
import { RecordError, type RecordOptions, recordScript } from '../../../../tools/packetdrill/record';
import { describeResult } from '../../../../tools/packetdrill/report';
import { runScript } from '../../../../tools/packetdrill/run';
import { stackTarget } from '../../../../tools/packetdrill/stack-target';
import { readCapture } from '../../../../tools/pcap/reader';
import { MemorySink } from '../../../../tools/pcap/sink';

const folder = join(__dirname, '../../../scripts');
const options = { factory: stackTarget, profile: 'linux', strict: false, seed: 1 } as const;

/** The script, its packets, and the script that is made of these. */
function recorded(name: string, text: string, how: RecordOptions = {}): string {
  const sink = new MemorySink();
  const capture = new RunCapture(sink);
  const observer = capture.script(name);
  const result = runScript(parseScript(name, text, []), { ...options, observer });
  expect(describeResult(result)).toMatch(/: ok/);
  capture.close();
  return recordScript(readCapture(sink.bytes()), how);
}

const replayed = (text: string): string => describeResult(runScript(parseScript('recorded', text, []), options));

const of = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('the scripts of this project', () => {
  // A capture does not show why a stack did something: it may have been told by ICMP, by a socket option, by a limit.
  const UNSHOWN: Readonly<Record<string, string>> = {
    'close/fin-wait-2-ends.pkt': 'how long FIN-WAIT-2 lasts',
    'close/syn-sent.pkt': 'that the application gave up',
    'data/records.pkt': 'where records end',
    'data/urgent.pkt': 'how urgent octets are read',
    'fast-open/client.pkt': 'cookies',
    'handshake/simultaneous-open.pkt': 'which SYN was the answer',
    'handshake/syn-ack-given-up.pkt': 'how often a SYN-ACK is repeated',
    'icmp/path-mtu-forged.pkt': 'ICMP',
    'icmp/path-mtu.pkt': 'ICMP',
    'icmp/unreachable-opening.pkt': 'ICMP',
    'recovery/mtu-black-hole.pkt': 'that the path is probed for its MTU',
    'recovery/mtu-probe-lost.pkt': 'that the path is probed for its MTU',
    'recovery/mtu-probe.pkt': 'that the path is probed for its MTU',
    'socket/inherited.pkt': 'Nagle and cork',
    'timers/keep-alive-idle.pkt': 'keep-alive',
    'timers/keep-alive.pkt': 'keep-alive',
    'window/beyond.pkt': 'the size of the receive buffer',
    'window/clamp.pkt': 'the largest window to tell',
    'window/closed-and-opened.pkt': 'the size of the receive buffer',
    'window/small-window-receiver.pkt': 'the size of the receive buffer',
  };
  const NO_CONNECTION = ['icmp/echo.pkt', 'udp/exchange.pkt', 'udp/port-unreachable.pkt'];
  const UNANSWERED = ['handshake/closed-port', 'handshake/refused', 'handshake/syn-count', 'fast-open/black-hole'];
  const refused = [...NO_CONNECTION, ...UNANSWERED.map((name) => `${name}.pkt`)];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pkt'));

  test.each(names.filter((name) => UNSHOWN[name] === undefined && !refused.includes(name)).sort())(
    '%s: what its capture becomes holds again',
    (name) => {
      expect(replayed(recorded(name, of(name)))).toMatch(/: ok/);
    },
  );

  test.each(refused)('%s: nothing can be made of it', (name) => {
    const message = NO_CONNECTION.includes(name)
      ? 'no connection 1: the capture has none'
      : 'the connection was never answered: there is no SYN-ACK';
    expect(() => recorded(name, of(name))).toThrow(new RecordError(message));
  });
});

const SERVER = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 20000 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+.01 < . 1:1(0) ack 1 win 200
+0 accept(3, ..., ...) = 4
+.01 < P. 1:101(100) ack 1 win 200
+0 > . 1:1(0) ack 101
+0 read(4, ..., 100) = 100
+.3 write(4, ..., 1000) = 1000
+0 > P. 1:1001(1000) ack 101
+0 < . 101:101(0) ack 1001 win 200
+.1 < F. 101:101(0) ack 1001 win 200
+.04 > . 1001:1001(0) ack 102
+.1 close(4) = 0
+0 > F. 1001:1001(0) ack 102
+.01 < . 102:102(0) ack 1002 win 200
`;

test('a server: the calls are where the packets show them', () => {
  const script = recorded('a.pkt', SERVER);
  expect(script).toBe(`--tolerance_usecs=20000
// Recorded from a capture: the server is the stack, the other end is played.
0.000000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 5) = 0
0.000000 < S 0:0(0) win 20000 <mss 1000,nop,wscale 7>
0.000000 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
0.010000 < . 1:1(0) ack 1 win 200
+0 accept(3, ..., ...) = 4
+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
0.020000 < P. 1:101(100) ack 1 win 200
0.020000 > . 1:1(0) ack 101
0.020000 read(4, ..., 100) = 100
0.320000 write(4, ..., 1000) = 1000
0.320000 > P. 1:1001(1000) ack 101
0.320000 < . 101:101(0) ack 1001 win 200
0.420000 < F. 101:101(0) ack 1001 win 200
0.460000 > . 1001:1001(0) ack 102
0.560000 close(4) = 0
0.560000 > F. 1001:1001(0) ack 102
0.570000 < . 102:102(0) ack 1002 win 200
`);
  expect(replayed(script)).toMatch(/: ok/);
});

test('the same from the other end', () => {
  const script = recorded('a.pkt', SERVER, { side: 'client' });
  expect(script).toBe(`--tolerance_usecs=20000
// Recorded from a capture: the client is the stack, the other end is played.
\`sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0\`
0.000000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_TCP, TCP_MAXSEG, [1000], 4) = 0
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
0.000000 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
0.000000 > S 0:0(0) <mss 1000,nop,wscale 7>
0.000000 < S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 8>
+0 setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0
0.010000 > . 1:1(0) ack 1
0.020000 write(3, ..., 100) = 100
0.020000 > P. 1:101(100) ack 1
0.020000 < . 1:1(0) ack 101 win 511
0.320000 < P. 1:1001(1000) ack 101 win 511
0.320000 > . 101:101(0) ack 1001
0.320000 read(3, ..., 1000) = 1000
0.420000 close(3) = 0
0.420000 > F. 101:101(0) ack 1001
0.460000 < . 1001:1001(0) ack 102 win 511
0.560000 < F. 1001:1001(0) ack 102 win 511
0.570000 > . 102:102(0) ack 1002
`);
  expect(replayed(script)).toMatch(/: ok/);
});

describe('which connection', () => {
  const OTHER = SERVER.replaceAll('1000) = 1000', '900) = 900')
    .replace('1:1001(1000)', '1:901(900)')
    .replace('S 0:0', 'S 700:700')
    .replace('S. 0:0(0) ack 1', 'S. 0:0(0) ack 701')
    .replaceAll('1001', '901')
    .replaceAll('1002', '902');
  const two = (how: RecordOptions): string => {
    const sink = new MemorySink();
    const capture = new RunCapture(sink);
    for (const [seed, text] of [SERVER, OTHER].entries()) {
      runScript(parseScript('a.pkt', text, []), { ...options, seed, observer: capture.script(`${seed}`) });
    }
    capture.close();
    return recordScript(readCapture(sink.bytes()), how);
  };

  test('the first, or the one that is asked for', () => {
    const written = (how: RecordOptions) => /write\(4, ..., (\d+)/.exec(two(how))?.[1];
    expect([written({}), written({ follow: 2 })]).toEqual(['1000', '900']);
  });

  test('it began before the capture', () => {
    const sink = new MemorySink();
    const capture = new RunCapture(sink);
    const { frame } = capture.script('a');
    const observer: FrameObserver = { frame: (way, bytes, us, why) => us > 100_000 && frame(way, bytes, us, why) };
    runScript(parseScript('a.pkt', SERVER, []), { ...options, observer });
    capture.close();
    expect(() => recordScript(readCapture(sink.bytes()))).toThrow(
      new RecordError('the capture does not show how connection 1 began'),
    );
  });

  test('there are not so many', () => {
    expect(() => two({ follow: 3 })).toThrow(new RecordError('no connection 3: the capture has 2'));
  });
});

test('an option that scripts have no name for', () => {
  const sink = new MemorySink();
  const capture = new RunCapture(sink);
  const { frame } = capture.script('a');
  const observer: FrameObserver = {
    frame: (way, bytes, us, why) => {
      // The window scale of the SYN becomes an option that is not assigned; the segment size pays for the checksum.
      const changed = bytes.slice();
      if (us === 100_000 && way === 'in') {
        changed[45]! += 96;
        changed[43]! -= 96;
      }
      frame(way, changed, us, why);
    },
  };
  runScript(parseScript('a.pkt', SERVER, []), { ...options, observer });
  capture.close();
  expect(() => recordScript(readCapture(sink.bytes()))).toThrow(
    new RecordError('the option 99 has no name in scripts'),
  );
});
