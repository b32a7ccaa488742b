import { parseAddress } from '../../../../stack/base/address';
import { QUEUE_COST, type UdpSocket } from '../../../../stack/udp/udp';
import * as f from '../ip/frames';
import { Lab, type LabOptions } from '../ip/lab';
import { udpSend } from '../ip/transports';

/* RFC 768, RFC 1122 §4.1, RFC 8200 §8.1, RFC 1112 §6. */

const addr = (text: string) => parseAddress(text)!;

interface BindOptions {
  address?: string;
  family?: 0 | 4 | 6;
  reuse?: boolean;
}

function bind(lab: Lab, port: number, { address, family = 0, reuse = false }: BindOptions = {}): UdpSocket {
  const socket = lab.stack.udp.bind(address === undefined ? null : addr(address), family, port, reuse);
  if (typeof socket === 'string') throw new Error(socket);
  return socket;
}

const to = (dport: number, text: Iterable<number> = [1], fields: f.UdpFields = {}): Uint8Array =>
  f.ip4(f.UDP, f.udp(text, { dport, ...fields }), { from: fields.from, to: fields.to });
const to6 = (dport: number, text: Iterable<number> = [1], fields: f.UdpFields = {}): Uint8Array =>
  f.ip6(f.UDP, f.udp(text, { dport, v6: true, ...fields }), { from: fields.from, to: fields.to });

const texts = (socket: UdpSocket): number[][] => {
  const all: number[][] = [];
  for (let message = socket.take(); message !== null; message = socket.take()) all.push([...message.bytes]);
  return all;
};

describe('what arrives (RFC 768)', () => {
  test('text, sender, and the address it was sent to (RFC 1122 §4.1.3.5)', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64'] });
    const socket = bind(lab, 7);
    lab.rx(to(7, [1, 2, 3], { to: '10.0.0.5', sport: 0 }), to6(7, []));
    const seen = [socket.take()!, socket.take()!].map(({ bytes, source, sourcePort, destination }) => [
      [...bytes],
      String(source),
      sourcePort,
      String(destination),
    ]);
    expect(seen).toEqual([
      [[1, 2, 3], '10.0.0.2', 0, '10.0.0.5'],
      [[], 'fd00::2', 5000, 'fd00::1'],
    ]);
    expect([socket.take(), socket.queuedBytes]).toEqual([null, 0]);
  });

  test('cut at every length: refused', () => {
    const whole = f.udp(f.bytesOf(12));
    for (let bytes = 0; bytes < whole.length; bytes++) {
      const [sent, drops] = new Lab().answer(f.ip4(f.UDP, whole.slice(0, bytes)));
      expect([bytes, sent, drops]).toEqual([bytes, [], { [bytes < 8 ? 'udp-truncated' : 'udp-bad-length']: 1 }]);
    }
  });

  test.each([0, 7, 10_000])('a length field of %d: refused', (length) => {
    expect(new Lab().answer(f.ip4(f.UDP, f.udp([1], { length })))).toEqual([[], { 'udp-bad-length': 1 }]);
  });

  test('what IP has behind the length field is no part of the text', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    lab.rx(f.ip4(f.UDP, [...f.udp([1, 2, 3]), 9, 9]));
    expect([texts(socket), lab.drops()]).toEqual([[[1, 2, 3]], {}]);
  });

  test('RFC 1122 §4.1.3.4: every wrong bit is found by the checksum, or the datagram is not for the port', () => {
    for (const [good, pseudoAt] of [
      [to(7, [1, 2, 3]), 12],
      [to6(7, [1, 2, 3]), 8],
    ] as const) {
      const header = good[0]! >> 4 === 4 ? 20 : 40;
      for (let bit = header * 8; bit < good.length * 8; bit++) {
        const lab = new Lab();
        const socket = bind(lab, 7);
        const bytes = good.slice();
        bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
        lab.rx(bytes);
        expect([bit, socket.queue.length]).toEqual([bit, 0]);
      }
      // The pseudo-header counts as well: another source with the same text (RFC 8200 §8.1).
      const lab = new Lab();
      const bytes = good.slice();
      bytes[pseudoAt + (header === 20 ? 3 : 15)]! ^= 4;
      if (header === 20) bytes.set(f.ip4(f.UDP, [], { length: good.length, from: '10.0.0.6' }));
      expect(lab.answer(bytes)[1]).toEqual({ 'udp-bad-checksum': 1 });
    }
  });

  test('no checksum at all: legal over IPv4, not over IPv6', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    expect(lab.answer(to(7, [1], { checksum: 0 }), to6(7, [2], { checksum: 0 }))[1]).toEqual({ 'udp-bad-checksum': 1 });
    expect(texts(socket)).toEqual([[1]]);
  });

  test('a device that vouches for the checksum is believed', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    const frame = to(7, [1], { checksum: 0x1234 });
    const slab = lab.stack.slabs.current;
    slab.bytes.set(frame);
    slab.fill = frame.length;
    lab.stack.receive(lab.links[0]!, slab, 0, frame.length, true, 0, lab.now);
    expect(texts(socket)).toEqual([[1]]);
  });

  test('the queue is bounded by what it costs, and takes again what was taken from it', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    socket.receiveMax = 3 * (QUEUE_COST + 100);
    lab.rx(...new Array<Uint8Array>(5).fill(to(7, f.bytesOf(100))));
    expect([socket.queue.length, lab.drops()]).toEqual([3, { 'udp-queue-full': 2 }]);
    socket.take();
    expect(lab.answer(to(7, f.bytesOf(100)))[1]).toEqual({});
  });

  test('datagrams that the device joined (UDP_SEGMENT, GRO) come apart again, the last one shorter', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    const text = [...f.bytesOf(25)];
    lab.rxJoined(0, 10, to(7, text), to6(7, text), to(7, text.slice(0, 10)), to(7, []));
    const parts = [text.slice(0, 10), text.slice(10, 20), text.slice(20)];
    expect(texts(socket)).toEqual([...parts, ...parts, text.slice(0, 10), []]);
    // Each is one of its own where they are counted.
    socket.receiveMax = 2 * (QUEUE_COST + 10);
    lab.rxJoined(0, 10, to(7, [...f.bytesOf(50)]));
    expect([socket.queue.length, lab.drops()]).toEqual([2, { 'udp-queue-full': 3 }]);
    expect(lab.stack.udp.counters.received).toBe(10);
  });

  test('the owner is told once, however much has come', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    lab.rx(to(7), to(7), to(7));
    expect(lab.stack.udp.signalled).toEqual([socket]);
  });
});

describe('whose it is', () => {
  test('the more that is bound the better', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64'] });
    const any = bind(lab, 7, { family: 4, reuse: true });
    const one = bind(lab, 7, { address: '10.0.0.1', reuse: true });
    const peer = bind(lab, 7, { address: '10.0.0.1', reuse: true });
    const v6 = bind(lab, 7, { family: 6, reuse: true });
    lab.stack.udp.connect(peer, addr('10.0.0.2'), 5000);
    lab.rx(to(7, [1]), to(7, [2], { sport: 5001 }), to(7, [3], { to: '10.0.0.5' }), to6(7, [4]));
    expect([peer, one, any, v6].map(texts)).toEqual([[[1]], [[2]], [[3]], [[4]]]);
  });

  test('a connected socket takes its peer’s datagrams only; the rest is nobody’s', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    lab.stack.udp.connect(socket, addr('10.0.0.2'), 5000);
    expect(lab.answer(to(7, [1], { sport: 5001 }))[1]).toEqual({ 'udp-no-port': 1 });
    lab.stack.udp.disconnect(socket);
    expect(lab.answer(to(7, [2], { sport: 5001 }))[1]).toEqual({});
    expect(texts(socket)).toEqual([[2]]);
  });

  test('of those that share an address the last one takes it', () => {
    const lab = new Lab();
    const first = bind(lab, 7, { reuse: true });
    const last = bind(lab, 7, { reuse: true });
    lab.rx(to(7));
    expect([first, last].map((socket) => socket.queue.length)).toEqual([0, 1]);
    lab.stack.udp.close(last);
    lab.rx(to(7));
    expect(first.queue).toHaveLength(1);
  });

  test('a closed socket takes nothing, and forgets what it had', () => {
    const lab = new Lab();
    const socket = bind(lab, 7);
    lab.rx(to(7));
    lab.stack.closeUdp(socket);
    lab.stack.closeUdp(socket);
    expect([socket.queue, socket.queuedBytes]).toEqual([[], 0]);
    expect(lab.answer(to(7))[1]).toEqual({ 'udp-no-port': 1 });
    expect(lab.stack.udp.counters).toEqual({ received: 1, sent: 0, noPorts: 1 });
  });

  test('a broadcast is everybody’s who listens', () => {
    const lab = new Lab();
    const sockets = [
      bind(lab, 7, { reuse: true }),
      bind(lab, 7, { reuse: true }),
      bind(lab, 7, { address: '10.0.0.1', reuse: true }),
    ];
    lab.rx(to(7, [1], { to: '10.0.0.255' }), to(7, [2], { to: '255.255.255.255' }));
    expect(sockets.map(texts)).toEqual([[[1], [2]], [[1], [2]], []]);
    expect(lab.answer(to(8, [1], { to: '10.0.0.255' }))).toEqual([[], { 'udp-no-port': 1 }]);
  });
});

describe('binding', () => {
  const refusal = (lab: Lab, port: number, options: BindOptions): unknown =>
    lab.stack.udp.bind(
      options.address === undefined ? null : addr(options.address),
      options.family ?? 0,
      port,
      options.reuse ?? false,
    );

  test.each<[string, BindOptions, BindOptions, boolean]>([
    ['any and any', {}, {}, true],
    ['any and one', {}, { address: '10.0.0.1' }, true],
    ['one and any', { address: '10.0.0.1' }, {}, true],
    ['one twice', { address: '10.0.0.1' }, { address: '10.0.0.1' }, true],
    ['one and another', { address: '10.0.0.1' }, { address: '10.0.0.5' }, false],
    ['IPv4 and IPv6 only', { family: 4 }, { family: 6 }, false],
    ['both and IPv6 only', {}, { family: 6 }, true],
    ['both shared', { reuse: true }, { reuse: true }, false],
    ['only the first shares', { reuse: true }, {}, true],
    ['only the second shares', {}, { reuse: true }, true],
  ])('%s', (_name, first, second, inUse) => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64'] });
    bind(lab, 7, first);
    expect(refusal(lab, 7, second) === 'EADDRINUSE').toBe(inUse);
  });

  test('an address that is not ours', () => {
    expect(refusal(new Lab(), 7, { address: '10.0.0.9' })).toBe('EADDRNOTAVAIL');
    expect(refusal(new Lab(), 7, { address: '10.0.0.255' })).not.toBe('EADDRNOTAVAIL');
    expect(refusal(new Lab(), 7, { address: '224.0.0.5' })).not.toBe('EADDRNOTAVAIL');
  });

  test('RFC 6056 §3.3.1: port 0 is a free one, at random, of the profile’s range', () => {
    const ports = new Set<number>();
    for (let seed = 1; seed < 50; seed++) ports.add(bind(new Lab({ config: { seed } }), 0).port);
    expect(ports.size).toBeGreaterThan(45);
    expect([Math.min(...ports) >= 32_768, Math.max(...ports) <= 60_999]).toEqual([true, true]);
  });

  test('when all are taken there is none', () => {
    const profile = { ...new Lab().stack.config.profile, ephemeralPorts: [40_000, 40_009] as const };
    const lab = new Lab({ config: { profile } });
    const taken = Array.from({ length: 10 }, () => bind(lab, 0).port);
    expect(new Set(taken).size).toBe(10);
    expect(refusal(lab, 0, {})).toBe('EADDRINUSE');
  });
});

describe('what is sent', () => {
  test('from the bound address, with checksum, hop limit and type of service (RFC 1122 §4.1.4)', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64'] });
    const socket = bind(lab, 9, { address: '10.0.0.5' });
    socket.hopLimit = 3;
    socket.tos = 0xb8;
    udpSend(lab, socket, '10.0.0.2', 7, f.bytesOf(5));
    const [sent] = lab.take();
    expect(lab.line(sent!)).toBe('10.0.0.5.9 > 10.0.0.2.7 [tos 0xb8] udp (5)');
    expect(sent!.bytes[8]).toBe(3);
    expect([...sent!.bytes.subarray(28)]).toEqual([0, 1, 2, 3, 4]);
    expect(sent!.bytes[6]! & 0x40).toBe(0x40);
  });

  test('the bytes are the caller’s again at once', () => {
    const lab = new Lab();
    const bytes = f.bytesOf(4, 7);
    lab.stack.udp.send(bind(lab, 9), bytes, addr('10.0.0.2'), 7);
    bytes.fill(0);
    expect([...lab.take()[0]!.bytes.subarray(28)]).toEqual([7, 8, 9, 10]);
  });

  test('a checksum that comes out as 0 is sent as its other form', () => {
    const lab = new Lab();
    const socket = bind(lab, 9);
    // 10.0.0.1 + 10.0.0.2 + 17 + ports + twice the length + text = 0xffff
    const rest = 0xffff - (0x0a00 + 1 + 0x0a00 + 2 + 17 + 9 + 7 + 10 + 10);
    udpSend(lab, socket, '10.0.0.2', 7, Uint8Array.of(rest >> 8, rest & 255));
    const [sent] = lab.take();
    expect([sent!.bytes[26], sent!.bytes[27]]).toEqual([0xff, 0xff]);
  });

  test.each([
    ['port 0', '10.0.0.2', 0, 1, 'EINVAL'],
    ['no address', '0.0.0.0', 7, 1, 'EINVAL'],
    ['no route', '192.0.2.1', 7, 1, 'ENETUNREACH'],
    ['everybody, without permission', '255.255.255.255', 7, 1, 'EACCES'],
    ['our subnet, without permission', '10.0.0.255', 7, 1, 'EACCES'],
    ['more than IPv4 can carry', '10.0.0.2', 7, 65_508, 'EMSGSIZE'],
    ['more than IPv6 can carry', 'fd00::2', 7, 65_528, 'EMSGSIZE'],
  ])('%s: refused', (_name, remote, port, bytes, reason) => {
    const lab = new Lab();
    expect(udpSend(lab, bind(lab, 9), remote, port, new Uint8Array(bytes))).toBe(reason);
    expect(lab.sent()).toEqual([]);
  });

  test('an IPv4 socket does not send to IPv6 addresses', () => {
    const lab = new Lab();
    expect(udpSend(lab, bind(lab, 9, { family: 4 }), 'fd00::2')).toBe('EAFNOSUPPORT');
    expect(udpSend(lab, bind(lab, 10, { family: 6 }), '10.0.0.2')).toBe('EAFNOSUPPORT');
  });

  test('the largest there can be, in fragments', () => {
    for (const [remote, bytes, pieces] of [
      ['10.0.0.2', 65_507, 45],
      ['fd00::2', 65_527, 46],
    ] as const) {
      const lab = new Lab();
      const socket = bind(lab, 9);
      socket.sendMax = 1 << 20;
      expect(udpSend(lab, socket, remote, 7, new Uint8Array(bytes).fill(0x55))).toBeNull();
      const frames = lab.take();
      expect(frames.map((frame) => frame.bytes.length <= 1500)).toEqual(new Array(pieces).fill(true));
      // What was cut is put together again.
      const other = new Lab({ addresses: [`${remote}/${remote.includes(':') ? 64 : 24}`] });
      const receiver = bind(other, 7);
      other.rx(...frames.map((frame) => frame.bytes));
      expect(receiver.queue.map((message) => message.bytes.length)).toEqual([bytes]);
      expect(receiver.queue[0]!.bytes.every((byte) => byte === 0x55)).toBe(true);
    }
  });

  test('RFC 6864 §4.2: datagrams in fragments have identifications of their own', () => {
    for (const remote of ['10.0.0.2', 'fd00::2']) {
      const lab = new Lab();
      const socket = bind(lab, 9);
      const ids = new Set<string>();
      for (let i = 0; i < 50; i++) {
        udpSend(lab, socket, remote, 7, new Uint8Array(2000));
        for (const line of lab.sent()) ids.add(/frag (-?\d+):/.exec(line)![1]!);
      }
      expect(ids.size).toBe(50);
    }
  });

  test('so much waits for a link that takes nothing, and no more', () => {
    const lab = new Lab();
    const socket = bind(lab, 9);
    const send = (): string | null => lab.stack.udp.send(socket, new Uint8Array(1000), addr('10.0.0.2'), 7);
    let taken = 0;
    while (send() === null) taken++;
    expect(taken).toBe(Math.floor(socket.sendMax / (1000 + QUEUE_COST)));
    expect([send(), lab.stack.udp.wantsPoll]).toEqual(['ENOBUFS', true]);
    expect(lab.take()).toHaveLength(taken);
    expect([socket.sendingBytes, send()]).toEqual([0, null]);
  });

  test('all sockets together have a cap', () => {
    const lab = new Lab();
    let taken = 0;
    for (let port = 1000; port < 1300; port++) {
      const socket = bind(lab, port);
      for (let i = 0; i < 4; i++)
        if (lab.stack.udp.send(socket, new Uint8Array(1), addr('10.0.0.2'), 7) === null) taken++;
    }
    expect(taken).toBe(1024);
    expect(lab.take()).toHaveLength(1024);
  });

  test('connected: the source is fixed, and free again afterwards', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.1.0.1/24'] });
    const socket = bind(lab, 9);
    expect(lab.stack.udp.connect(socket, addr('10.1.0.2'), 7)).toBeNull();
    expect([String(socket.address), String(socket.remote), socket.remotePort]).toEqual(['10.1.0.1', '10.1.0.2', 7]);
    lab.stack.udp.disconnect(socket);
    expect([socket.address, socket.remote]).toEqual([null, null]);
    expect(lab.stack.udp.connect(socket, addr('192.0.2.1'), 7)).toBe('ENETUNREACH');
    expect(lab.stack.udp.connect(socket, addr('10.1.0.2'), 0)).toBe('EINVAL');
    expect(lab.stack.udp.connect(socket, addr('10.1.0.255'), 7)).toBe('EACCES');
    expect(socket.remote).toBeNull();
  });
});

describe('groups (RFC 1112)', () => {
  const GROUPS: readonly [string, string, (port: number, text: number[], fields: object) => Uint8Array][] = [
    ['IPv4', '239.1.2.3', to],
    ['IPv6', 'ff05::123', to6],
  ];

  test.each(GROUPS)('%s: only what was joined is heard, until the last has left', (_name, group, frame) => {
    const lab = new Lab();
    const sockets = [bind(lab, 7, { reuse: true }), bind(lab, 7, { reuse: true })];
    const [iface] = lab.links;
    const hears = (): unknown => {
      const drops = Object.keys(lab.answer(frame(7, [1], { to: group }))[1]);
      return [drops, sockets.map((socket) => texts(socket).length)];
    };
    expect(hears()).toEqual([['ip-not-for-us'], [0, 0]]);
    expect(lab.stack.joinGroup(sockets[0]!, addr(group), iface!)).toBe(true);
    expect(lab.stack.joinGroup(sockets[0]!, addr(group), iface!)).toBe(false);
    expect(lab.stack.joinGroup(sockets[1]!, addr(group), iface!)).toBe(true);
    // As on Linux, an unbound socket hears every group that the host is in.
    expect(hears()).toEqual([[], [1, 1]]);
    expect(lab.stack.leaveGroup(sockets[0]!, addr(group), iface!)).toBe(true);
    expect(lab.stack.leaveGroup(sockets[0]!, addr(group), iface!)).toBe(false);
    expect(hears()).toEqual([[], [1, 1]]);
    lab.stack.closeUdp(sockets[1]!);
    expect(hears()).toEqual([['ip-not-for-us'], [0, 0]]);
  });

  test.each(GROUPS)('%s: sent with hop limit 1, and heard by members here', (_name, group) => {
    const lab = new Lab();
    const [sender, member, stranger] = [bind(lab, 9), bind(lab, 7, { reuse: true }), bind(lab, 7, { reuse: true })];
    lab.stack.joinGroup(member, addr(group), lab.links[0]!);
    udpSend(lab, sender, group);
    const hops = (): number[] => lab.take().map(({ bytes }) => (bytes[0]! >> 4 === 4 ? bytes[8]! : bytes[7]!));
    expect(hops()).toEqual([1]);
    expect([texts(member), texts(stranger)]).toEqual([[[0]], []]);
    sender.multicastHopLimit = 20;
    sender.multicastLoop = false;
    udpSend(lab, sender, group);
    expect([hops(), texts(member)]).toEqual([[20], []]);
    sender.multicastHopLimit = 0;
    sender.multicastLoop = true;
    udpSend(lab, sender, group);
    expect([hops(), texts(member)]).toEqual([[], [[0]]]);
  });

  test('a socket bound to the group hears the group only', () => {
    const lab = new Lab();
    const socket = bind(lab, 7, { address: '239.1.2.3' });
    lab.stack.joinGroup(socket, addr('239.1.2.3'), lab.links[0]!);
    lab.rx(to(7, [1]), to(7, [2], { to: '239.1.2.3' }));
    expect(texts(socket)).toEqual([[2]]);
    // A group is no source address.
    lab.sent();
    udpSend(lab, socket, '10.0.0.2');
    expect(lab.sent()).toEqual([expect.stringContaining('10.0.0.1.7 > 10.0.0.2.7 udp')]);
  });
});

test('a datagram to a host with several links leaves by the right one', () => {
  const options: LabOptions = { links: [{ addresses: ['10.0.0.1/24'] }, { addresses: ['10.1.0.1/24'] }] };
  const lab = new Lab(options);
  udpSend(lab, bind(lab, 9), '10.1.0.2');
  expect(lab.sent()).toEqual(['1: 10.1.0.1.9 > 10.1.0.2.7 udp (1)']);
});
