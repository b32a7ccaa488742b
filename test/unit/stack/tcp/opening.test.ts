import { Address, parseAddress, parseCidr } from '../../../../stack/base/address';
import * as calls from '../../../../stack/tcp/calls';
import { URGENT } from '../../../../stack/tcp/connection';
import { LINUX } from '../../../../stack/tcp/profile';
import * as f from '../ip/frames';
import { drops, everywhere, receive } from './grounds';
import { Harness } from './harness';

const OPTIONS = '<mss 1000,sackOK,nop,nop,nop,wscale 7>';

everywhere('RFC 9293 §3.10.7.1: nobody is at home', (g) => {
  test('a SYN is refused: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>', () => {
    const t = g.harness();
    t.rx(`S ${g.syn} win 1000 <mss 1000>`).tx('R. 0:0(0) ack 1 win 0').txNothing();
    expect(drops(t, 'tcp-no-connection')).toBe(1);
  });

  test('SYN, text and FIN count for what the RST acknowledges', () => {
    const t = g.harness();
    t.rx(`S ${g.syn} win 1000`).drain();
    t.rx('FP 1:101(100) win 1000').tx('R. 0:0(0) ack 102');
  });

  test('a segment with ACK gets <SEQ=SEG.ACK><CTL=RST>', () => {
    const t = g.harness();
    t.rx('. 1:1(0) ack 5000 win 1000').tx('R 5000:5000(0) win 0').txNothing();
    t.rx('P. 1:101(100) ack 5000 win 1000').tx('R 5000:5000(0) win 0').txNothing();
  });

  test('a RST gets nothing, with ACK or without', () => {
    const t = g.harness();
    t.rx('R 1:1(0) win 0', 'R. 1:1(0) ack 77 win 0').txNothing();
    expect(drops(t, 'tcp-no-connection')).toBe(2);
  });
});

everywhere('RFC 9293 §3.10.7.2: LISTEN', (g) => {
  test('a SYN is answered with SYN,ACK; its ACK makes the connection', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).txNothing();
    expect(t.connection).toBeNull();
    t.after(50).rx('. 1:1(0) ack 1 win 257').txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('first, a RST is ignored', () => {
    const t = g.listening();
    t.rx('R 1:1(0) win 0').txNothing();
    expect(drops(t, 'tcp-listen-no-syn')).toBe(1);
  });

  test('second, an ACK is refused with its own number', () => {
    const t = g.listening();
    t.rx('. 1:1(0) ack 9 win 1000').tx('R 9:9(0) win 0');
    t.rx(`S. ${g.syn} ack 9 win 1000`).tx('R 9:9(0) win 0').txNothing();
  });

  test('fourth, whatever is no SYN is dropped, and a SYN with FIN as well', () => {
    const t = g.listening();
    t.rx('P 1:11(10) win 1000', 'F 1:1(0) win 1000', `SF ${g.syn} win 1000`).txNothing();
    expect([drops(t, 'tcp-listen-no-syn'), t.stack.tcp.connections.size]).toEqual([3, 0]);
  });

  test('a SYN that comes again is answered again, with the same number', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.after(500).rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).txNothing();
  });

  test('a SYN,ACK that is lost is sent again, and the connection is there all the same', () => {
    const t = g.received();
    t.at(1000).tx(`S. 0:0(0) ack ${g.synAck} <...>`).rx('. 1:1(0) ack 1 win 257').txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('the ACK that ends the handshake may carry text and FIN', () => {
    const t = g.received();
    t.rx('FP. 1:101(100) ack 1 win 257').after(40).tx('. 1:1(0) ack 102');
    expect([t.c.state, t.c.readable]).toEqual(['CLOSE-WAIT', 100]);
  });

  test('SYN-RECEIVED, fifth: an ACK of what was not sent is answered with a RST, and the handshake goes on', () => {
    const t = g.received();
    t.rx('. 1:1(0) ack 2 win 257').tx('R 2:2(0) win 0').txNothing();
    t.rx('. 1:1(0) ack 1 win 257').txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('MUST-11: a RST in SYN-RECEIVED returns a passive open to LISTEN, in silence', () => {
    const t = g.received();
    t.rx('R 1:1(0) win 0').txNothing();
    expect([t.stack.tcp.connections.size, t.errors, t.listener!.halfOpen]).toEqual([0, [], 0]);
    t.rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
  });

  test('a FIN in SYN-RECEIVED without ACK is dropped', () => {
    const t = g.received();
    t.rx('F 1:1(0) win 1000').txNothing();
    expect(drops(t, 'tcp-no-ack')).toBe(1);
  });
});

everywhere('RFC 4987: a flood of SYNs', (g) => {
  test.each([true, false])('holds no more memory than the backlog is long, cookies or not: %s', (synCookies) => {
    const t = g.listening({ profile: { synCookies } }, 16);
    for (let sport = 1; sport <= 5000; sport++) receive(t, g.frame({ flags: 2, sport }));
    expect(t.stack.tcp.connections.size).toBeLessThanOrEqual(17);
    t.drain();
    // A minute later everything is as it was.
    t.at(64_000);
    expect(t.stack.tcp.connections.size).toBe(0);
  });
});

describe('IPv4 options', () => {
  test.each([
    ['no-operation', [1, 1, 1, 0]],
    ['record route', [7, 7, 4, 0, 0, 0, 0, 0]],
    ['one that nobody knows', [0x9e, 6, 1, 2, 3, 4, 0, 0]],
  ])('MUST-50: %s is ignored', (_, options) => {
    const t = new Harness().listen();
    const ends = { from: '192.0.2.1', to: '192.168.0.1' };
    const body = f.tcp({ ...ends, flags: 2, sport: 40_000, dport: 8080 });
    receive(t, f.ip4(f.TCP, body, { ...ends, options }));
    expect(t.stack.tcp.connections.size).toBe(1);
  });
});

everywhere('RFC 9293 §3.10.7.3: SYN-SENT', (g) => {
  test('SYN,ACK: ESTABLISHED, and an ACK', () => {
    const t = g.opened();
    expect([t.c.state, t.c.irs]).toEqual(['ESTABLISHED', g.irs | 0]);
  });

  test('first, an ACK of what was not sent: <SEQ=SEG.ACK><CTL=RST>, and the open goes on', () => {
    const t = g.connecting();
    t.rx(`S. ${g.syn} ack 0 win 1000`).tx('R 0:0(0) win 0');
    t.rx(`S. ${g.syn} ack 2 win 1000`).tx('R 2:2(0) win 0');
    t.rx('. 1:1(0) ack 2 win 1000').tx('R 2:2(0) win 0').txNothing();
    expect(t.c.state).toBe('SYN-SENT');
    t.rx(`S. ${g.syn} ack 1 win 1000 ${OPTIONS}`).tx('. 1:1(0) ack 1');
  });

  test('second, a RST with an acceptable ACK: refused; any other RST: nothing', () => {
    const t = g.connecting();
    t.rx('R 1:1(0) win 0', 'R. 1:1(0) ack 0 win 0', 'R. 1:1(0) ack 2 win 0').txNothing();
    expect([t.c.state, t.errors]).toEqual(['SYN-SENT', []]);
    t.rx('R. 1:1(0) ack 1 win 0').txNothing();
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ECONNREFUSED']]);
  });

  test('fifth, without SYN and RST: dropped', () => {
    const t = g.connecting();
    t.rx('P 1:11(10) win 1000', '. 1:1(0) ack 1 win 1000').txNothing();
    expect(t.c.state).toBe('SYN-SENT');
  });

  test('text and FIN on the SYN,ACK count', () => {
    const t = g.connecting();
    t.rx(`SF. ${g.irs}:${g.raw(100)}(100) ack 1 win 1000 ${OPTIONS}`).tx('. 1:1(0) ack 102');
    expect([t.c.state, t.c.readable]).toEqual(['CLOSE-WAIT', 100]);
  });

  test('... the FIN without text as well, and what is said to be urgent', () => {
    const ended = g.connecting().rx(`SF. ${g.syn} ack 1 win 1000 ${OPTIONS}`).tx('. 1:1(0) ack 2');
    expect(ended.c.state).toBe('CLOSE-WAIT');
    const urgent = g.connecting().rx(`SU. ${g.irs}:${g.raw(10)}(10) ack 1 win 1000 urg 7 ${OPTIONS}`);
    expect([urgent.signals & URGENT, calls.urgentLeft(urgent.c)]).toEqual([URGENT, 6]);
  });

  test('what was written before the answer goes out behind it', () => {
    const t = g.connecting().write(500).txNothing();
    t.rx(`S. ${g.syn} ack 1 win 1000 ${OPTIONS}`).tx('P. 1:501(500) ack 1').txNothing();
  });

  test('a close before the answer ends the open without a word', () => {
    const t = g.connecting().close().txNothing();
    expect(t.c.state).toBe('CLOSED');
    t.rx(`S. ${g.syn} ack 1 win 1000`).tx('R 1:1(0) win 0');
  });
});

everywhere('MUST-10: simultaneous open', (g) => {
  // Until a SYN,ACK has come the notation takes the peer's numbers as they are on the wire.
  const next = `${g.raw(1)}:${g.raw(1)}(0)`;

  test('crossed SYNs: each is answered with SYN,ACK, and both are ESTABLISHED (simultaneous open)', () => {
    const t = g.connecting().after(10);
    t.rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).txNothing();
    expect(t.c.state).toBe('SYN-RECEIVED');
    t.after(20).rx(`S. ${g.syn} ack 1 win 1000 ${OPTIONS}`);
    t.drain();
    expect([t.c.state, t.errors]).toEqual(['ESTABLISHED', []]);
    t.write(100).tx('P. 1:101(100) ack 1');
  });

  test('... the SYN,ACK of the peer is lost: ours comes again, its ACK is enough', () => {
    const t = g.connecting().rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.at(1000).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.rx(`. ${next} ack 1 win 1000`);
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test("... our SYN,ACK is lost: the peer's SYN comes again and is answered", () => {
    const t = g.connecting().rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.after(300).rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.rx(`S. ${g.syn} ack 1 win 1000 ${OPTIONS}`);
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('MUST-11: a RST in SYN-RECEIVED tells an active open that it was refused', () => {
    const t = g.connecting().rx(`S ${g.syn} win 1000 ${OPTIONS}`);
    t.drain();
    t.rx(`R ${next} win 0`).txNothing();
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ECONNREFUSED']]);
  });
});

everywhere('MUST-41, MUST-42: a passive open beside others on its port', (g) => {
  test('MUST-41: listening leaves a connection on the same port as it is', () => {
    const t = g.opened();
    const { tcp } = t.stack;
    expect(typeof calls.listen(tcp, null, 0, 8080, 8)).not.toBe('string');
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 101').write(10).tx('P. 1:11(10) ack 101');
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('MUST-42: ... and one in SYN-SENT or SYN-RECEIVED', () => {
    const t = g.connecting();
    expect(typeof calls.listen(t.stack.tcp, null, 0, 8080, 8)).not.toBe('string');
    t.rx(`S ${g.syn} win 1000 ${OPTIONS}`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.rx(`. ${g.raw(1)}:${g.raw(1)}(0) ack 1 win 1000`);
    expect(t.c.state).toBe('ESTABLISHED');
  });
});

describe('a SYN that nobody should have sent', () => {
  const TO_V4 = ['192.168.255.255', '255.255.255.255', '224.0.0.1'];
  const FROM_V4 = ['0.0.0.0', '127.0.0.1', '224.0.0.5', '255.255.255.255', '192.168.255.255', '240.0.0.1'];
  const syn = (from: string, to: string): Uint8Array => {
    const body = f.tcp({ from, to, flags: 2, sport: 40_000, dport: 8080 });
    return from.includes(':') ? f.ip6(f.TCP, body, { from, to }) : f.ip4(f.TCP, body, { from, to });
  };
  const silent = (t: Harness, frame: Uint8Array): void => {
    receive(t, frame).txNothing().after(10_000).txNothing();
    expect(t.stack.tcp.connections.size).toBe(0);
    expect(t.stack.drops.total()).toBe(1);
  };

  test.each(TO_V4)('MUST-57: to %s: no answer, not even a RST, with a listener or without', (to) => {
    silent(new Harness().listen(), syn('192.0.2.1', to));
    silent(new Harness(), syn('192.0.2.1', to));
  });

  test('MUST-57: to all nodes of an IPv6 link', () => {
    silent(new Harness({ family: 6 }).listen(), syn('2001:db8:2::1', 'ff02::1'));
  });

  test.each(FROM_V4)('MUST-63: from %s: no answer', (from) => {
    silent(new Harness().listen(), syn(from, '192.168.0.1'));
  });

  test.each(['::', 'ff02::1'])('MUST-63: from %s: no answer', (from) => {
    silent(new Harness({ family: 6 }).listen(), syn(from, '2001:db8:1::1'));
  });
});

describe('RFC 6056: ports of connections that choose none', () => {
  const choose = (seed: number): number[] => {
    const t = new Harness({ seed });
    const { tcp } = t.stack;
    return Array.from({ length: 8 }, (_, i) => {
      const c = calls.connect(tcp, Address.v4(0xc0000200 + i), 80, null, 0, t, 1_000_000);
      if (typeof c === 'string') throw new Error(c);
      return c.localPort;
    });
  };

  test('come from the whole range, and tell nothing of the next one', () => {
    const ports = [1, 2, 3, 4].flatMap(choose);
    const [low, high] = LINUX.ephemeralPorts;
    expect(ports.filter((port) => port < low || port > high)).toEqual([]);
    expect(new Set(ports).size).toBeGreaterThan(28);
    const gaps = ports.slice(1).map((port, i) => Math.abs(port - ports[i]!));
    expect(gaps.filter((gap) => gap < 16).length).toBeLessThan(3);
    expect(Math.max(...ports) - Math.min(...ports)).toBeGreaterThan((high - low) / 2);
  });
});

describe('MUST-8, MUST-9, RFC 6528: initial sequence numbers', () => {
  const begin = (seed: number, atMs: number, port = 40_000): number => {
    const t = new Harness({ seed }).at(atMs);
    const remote = parseAddress('192.0.2.1')!;
    const c = calls.connect(t.stack.tcp, remote, port, parseAddress('192.168.0.1'), 8080, t, 1_000_000 + atMs);
    if (typeof c === 'string') throw new Error(c);
    return c.iss;
  };

  test('MUST-8: the same two ends a second later: 250,000 further, a step every 4 microseconds', () => {
    expect((begin(1, 1000) - begin(1, 0)) | 0).toBe(250_000);
    expect((begin(1, 0.004) - begin(1, 0)) | 0).toBe(1);
  });

  test('MUST-9 (SHLD-1): other ends begin anywhere; another secret changes all', () => {
    const numbers = Array.from({ length: 10_000 }, (_, i) => begin1(i) >>> 0);
    expect(new Set(numbers).size).toBeGreaterThan(9_990);
    // Spread: each sixteenth of the space gets its share, and neighbours have nothing in common.
    const sixteenths = new Array<number>(16).fill(0);
    for (const n of numbers) sixteenths[n >>> 28]!++;
    for (const count of sixteenths) expect(Math.abs(count - 625)).toBeLessThan(125);
    const differences = new Set(numbers.slice(1).map((n, i) => (n - numbers[i]!) >>> 0));
    expect(differences.size).toBeGreaterThan(9_980);
    expect(begin(2, 0)).not.toBe(begin(1, 0));
  });

  const t = new Harness({ seed: 5 });
  const begin1 = (port: number): number => {
    const remote = parseAddress(`192.0.2.${1 + (port >> 12)}`)!;
    const local = parseAddress('192.168.0.1');
    const c = calls.connect(t.stack.tcp, remote, 1 + (port & 4095), local, 8080, t, 1_000_000);
    if (typeof c === 'string') throw new Error(c);
    return c.iss;
  };
});

describe('MUST-43 to MUST-46: addresses of an OPEN', () => {
  const two = (): Harness => {
    const t = new Harness();
    t.iface.addresses.push(parseCidr('192.168.0.77/16')!);
    return t;
  };
  const open = (t: Harness, remote: string, local: string | null): ReturnType<typeof calls.connect> =>
    calls.connect(t.stack.tcp, parseAddress(remote)!, 80, local === null ? null : parseAddress(local), 0, t, 1_000_000);

  test('MUST-43: the application may choose the local one', () => {
    const c = open(two(), '192.0.2.1', '192.168.0.77');
    expect(String((c as { local: object }).local)).toBe('192.168.0.77');
  });

  test('MUST-44, MUST-45: else IP chooses, before the SYN, and it stays', () => {
    const t = two();
    const c = open(t, '192.0.2.1', null);
    if (typeof c === 'string') throw new Error(c);
    expect(String(c.local)).toBe('192.168.0.1');
    t.iface.addresses.shift();
    t.at(1000);
    expect(String(c.local)).toBe('192.168.0.1');
    expect(t.drain().length).toBe(2);
  });

  test('MUST-43: one that is not ours cannot be chosen', () => {
    expect(open(two(), '192.0.2.1', '10.1.1.1')).toBe('EADDRNOTAVAIL');
  });

  test.each(['224.0.0.1', '255.255.255.255', '0.0.0.0', '239.1.2.3'])('MUST-46: an OPEN to %s is refused', (remote) => {
    const t = two();
    expect(open(t, remote, null)).toBe('EINVAL');
    t.txNothing();
  });

  test('port 0 is one like another, as on Linux: whoever is there says that nobody listens', () => {
    const t = two();
    expect(calls.connect(t.stack.tcp, parseAddress('192.168.0.2')!, 0, null, 0, t, 1_000_000)).toBeInstanceOf(Object);
    expect(t.drain().length).toBe(1);
  });

  test("MUST-46: an OPEN to the subnet's broadcast address is refused", () => {
    const t = two();
    expect(typeof open(t, '192.168.255.255', null)).toBe('string');
    t.txNothing();
  });
});
