import { parseAddress } from '../../../../stack/base/address';
import * as calls from '../../../../stack/tcp/calls';
import * as f from './frames';
import { Lab } from './lab';
import { Flow, udpSend, udpSocket } from './transports';

/* RFC 1191, RFC 8201; RFC 5927 §7 on forgeries. */

const TEN_MINUTES = 600_000;

describe.each([
  ['IPv4', '10.0.0.2', 40, 552],
  ['IPv6', 'fd00::2', 60, 1280],
])('%s', (name, remote, headers, least) => {
  const flow = (lab = new Lab()): Flow => new Flow(lab, remote).establish(9000);
  const full = 1500 - headers;

  test('every datagram of TCP may not be fragmented, and is as large as the link takes', () => {
    const t = flow().write(3 * full);
    const frames = t.lab.frames.map(({ bytes }) => bytes);
    if (name === 'IPv4') for (const bytes of frames) expect(bytes[6]! & 0x40).toBe(0x40);
    expect(t.texts().map(([, , datagram]) => datagram)).toEqual([1500, 1500, 1500]);
  });

  test('RFC 1191 §6.4: what was too large goes out again at once, smaller; the window stays', () => {
    const t = flow().write(5 * full);
    t.texts();
    const cwnd = t.c.cwnd;
    t.lab.rx(t.tooBig(1300, 0));
    const again = t.texts();
    expect(again[0]).toEqual([0, 1300 - headers, 1300]);
    expect(Math.max(...again.map(([, , datagram]) => datagram))).toBe(1300);
    expect(again.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeGreaterThanOrEqual(4 * (1300 - headers));
    expect(t.c.cwnd).toBe(cwnd);
    expect(t.c.path.mtu).toBe(1300);
    expect(t.lab.drops()).toEqual({});
  });

  test('the errors about the others in flight change nothing more', () => {
    const t = flow().write(5 * full);
    t.lab.rx(t.tooBig(1300, 0));
    t.texts();
    t.lab.rx(t.tooBig(1300, full), t.tooBig(1300, 2 * full), t.tooBig(1400, 3 * full));
    expect(t.texts()).toEqual([]);
    expect(t.c.path.mtu).toBe(1300);
    expect(t.lab.drops()).toEqual({ 'icmp-bad-mtu': 3 });
  });

  test('a SYN of the same batch is answered: its SYN-ACK is not forgotten', () => {
    const lab = new Lab();
    const t = flow(lab).write(full);
    t.texts();
    const { tcp } = lab.stack;
    const listener = calls.listen(tcp, null, 0, 8080, 8);
    if (typeof listener === 'string') throw new Error(listener);
    const ends = { from: remote, to: t.us, sport: 5000, dport: 8080 };
    const syn = f.tcp({ ...ends, flags: f.SYN, seq: 1, window: 65_535, options: [2, 4, ...f.word(9000)] });
    lab.rx(t.isV6 ? f.ip6(f.TCP, syn, ends) : f.ip4(f.TCP, syn, ends), t.tooBig(1300, 0));
    const c = tcp.connections.lookup(t.c.local, 8080, t.c.remote, 5000)!;
    expect(c.state).toBe('SYN-RECEIVED');
    expect(c.packetsOut).toBe(1);
    expect(c.retransmitAt).toBeLessThan(Infinity);
  });

  test('what is said of one address of ours is not said of the other', () => {
    const addresses = ['10.0.0.1/24', '10.0.0.5/24', 'fd00::1/64', 'fd00::5/64'];
    const lab = new Lab({ addresses });
    const t = flow(lab).write(full);
    t.texts();
    const other = lab.stack.pathTo(t.c.remote, parseAddress(name === 'IPv4' ? '10.0.0.5' : 'fd00::5'))!;
    lab.rx(t.tooBig(1300, 0));
    expect([t.c.path.mtu, other.mtu]).toEqual([1300, 1500]);
  });

  test('another connection over the path, and one opened later, send small segments from the start', () => {
    const lab = new Lab();
    const one = flow(lab).write(full);
    const other = flow(lab);
    one.lab.rx(one.tooBig(1300, 0));
    one.texts();
    expect(other.write(full).texts()[0]).toEqual([0, 1300 - headers, 1300]);
    expect(flow(lab).write(full).texts()[0]).toEqual([0, 1300 - headers, 1300]);
  });

  test('RFC 1191 §6.3, RFC 8201 §4: after ten minutes a larger datagram is tried again', () => {
    const t = flow().write(full);
    t.lab.rx(t.tooBig(1300, 0));
    t.texts();
    t.ack(full).lab.at(TEN_MINUTES - 1000);
    expect(
      t
        .write(full)
        .texts()
        .map(([, , datagram]) => datagram),
    ).toEqual([1300, 1500 - 1300 + headers]);
    t.ack(2 * full).lab.at(TEN_MINUTES + 1);
    expect(t.write(full).texts()).toEqual([[2 * full, full, 1500]]);
    expect(t.c.path.mtu).toBe(1500);
    // Found too large again: ten minutes more.
    t.lab.rx(t.tooBig(1300, 2 * full));
    expect(t.c.path.mtu).toBe(1300);
    t.ack(3 * full).lab.at(2 * TEN_MINUTES - 1000);
    expect(t.c.path.mtu).toBe(1300);
  });

  test('a smaller one makes the ten minutes begin anew', () => {
    const t = flow().write(full);
    t.lab.rx(t.tooBig(1400, 0));
    t.ack(full).lab.at(TEN_MINUTES / 2);
    t.write(full).texts();
    t.lab.rx(t.tooBig(1300, full, 1400));
    expect(t.texts()[0]).toEqual([full, 1300 - headers, 1300]);
    t.ack(2 * full).lab.at(TEN_MINUTES + 1);
    expect(t.c.path.mtu).toBe(1300);
    t.lab.at(TEN_MINUTES * 1.5 + 1);
    expect(t.c.path.mtu).toBe(1500);
  });

  test.each([
    ['text not yet sent', 10_000],
    ['text acknowledged long ago', -5000],
  ])('RFC 5927 §7: a quote of %s is a forgery', (_name, offset) => {
    const t = flow().write(full);
    t.texts();
    t.lab.rx(t.tooBig(1300, offset));
    expect([t.c.path.mtu, t.texts()]).toEqual([1500, []]);
    expect(t.lab.drops()).toEqual({ 'icmp-bad-quote': 1 });
  });

  test('a quote of another connection, or of another host’s packet, is one as well', () => {
    const t = flow().write(full);
    t.texts();
    const stranger = t.tooBig(1300, 0);
    const at = name === 'IPv4' ? 20 + 8 + 20 : 40 + 8 + 40;
    stranger[at + 1]! ^= 1;
    stranger[at + 2]! ^= 1;
    expect(t.lab.answer(stranger)[0]).toEqual([]);
    expect(t.c.path.mtu).toBe(1500);
  });

  test('the MTU of a link is never raised by an error', () => {
    const t = flow().write(full);
    t.texts();
    t.lab.rx(t.tooBig(9000, 0));
    expect([t.c.path.mtu, t.lab.drops()]).toEqual([1500, { 'icmp-bad-mtu': 1 }]);
  });

  test(`a link of ${least} bytes is as small as it gets without the routers' help`, () => {
    const t = flow().write(full);
    t.lab.rx(t.tooBig(least, 0));
    expect(t.texts().pop()![2]).toBeLessThanOrEqual(least);
    expect(t.c.path.mtu).toBe(least);
  });

  test('UDP: a connected socket hears of it, and the next datagram is cut here', () => {
    const lab = new Lab();
    const socket = udpSocket(lab, 9, remote);
    udpSend(lab, socket, remote, 7, new Uint8Array(1400));
    const sent = lab.take();
    expect(sent).toHaveLength(1);
    const quoted = sent[0]!.bytes.subarray(0, 60);
    const ends = { from: name === 'IPv4' ? '10.0.0.254' : 'fd00::fe' };
    lab.rx(
      name === 'IPv4'
        ? f.ip4(f.ICMP, f.icmp4(3, 4, 1300, quoted), ends)
        : f.ip6(f.ICMP6, f.icmp6(2, 0, 1300, quoted, ends), ends),
    );
    expect(socket.error).toBe('EMSGSIZE');
    udpSend(lab, socket, remote, 7, new Uint8Array(1400));
    expect(lab.take().map(({ bytes }) => bytes.length <= 1300)).toEqual([true, true]);
    lab.at(TEN_MINUTES + 1);
    udpSend(lab, socket, remote, 7, new Uint8Array(1400));
    expect(lab.take()).toHaveLength(1);
  });

  test('UDP: nobody sends from that port: a forgery', () => {
    const lab = new Lab();
    const socket = udpSocket(lab, 9);
    udpSend(lab, socket, remote);
    const quoted = lab.take()[0]!.bytes.slice();
    quoted[(name === 'IPv4' ? 20 : 40) + 1] = 10;
    const frame =
      name === 'IPv4' ? f.ip4(f.ICMP, f.icmp4(3, 4, 1300, quoted)) : f.ip6(f.ICMP6, f.icmp6(2, 0, 1300, quoted));
    expect(lab.answer(frame)[1]).toEqual({ 'icmp-bad-quote': 1 });
  });

  test('paths with something learned survive when the others make room', () => {
    const lab = new Lab({ config: { limits: { ...new Lab().stack.config.limits, pathsMax: 4 } } });
    const t = flow(lab).write(full);
    lab.rx(t.tooBig(1300, 0));
    t.texts();
    const socket = udpSocket(lab, 9);
    for (let i = 10; i < 40; i++) udpSend(lab, socket, name === 'IPv4' ? `10.0.0.${i}` : `fd00::${i}`);
    expect(lab.stack.paths.size).toBeLessThanOrEqual(4);
    lab.take();
    expect(flow(lab).write(full).texts()[0]![2]).toBe(1300);
  });
});

describe('IPv4 only', () => {
  test.each([
    [1500, 1492],
    [1400, 1006],
    [1006, 552],
  ])('RFC 1191 §7.1: a router that names no size and could not pass on %d bytes: %d', (length, mtu) => {
    const t = new Flow(new Lab(), '10.0.0.2').establish().write(1460);
    t.lab.rx(t.tooBig(0, 0, length));
    expect(t.c.path.mtu).toBe(mtu);
  });

  test('below 552 bytes routers may cut: the segments stay, the bit goes', () => {
    const t = new Flow(new Lab(), '10.0.0.2').establish().write(1460);
    t.lab.take();
    t.lab.rx(t.tooBig(300, 0));
    const [first] = t.lab.take();
    expect(first!.bytes.length).toBe(552);
    expect(first!.bytes[6]! & 0x40).toBe(0);
    t.ack(1460).lab.at(TEN_MINUTES + 1);
    t.write(100);
    expect(t.lab.take()[0]!.bytes[6]! & 0x40).toBe(0x40);
  });
});

describe('IPv6 only', () => {
  test('RFC 8201 §4: below 1280 bytes an error is not believed at all', () => {
    const t = new Flow(new Lab(), 'fd00::2').establish().write(1440);
    t.texts();
    t.lab.rx(t.tooBig(1279, 0), t.tooBig(0, 0));
    expect([t.c.path.mtu, t.texts(), t.lab.drops()]).toEqual([1500, [], { 'icmp-bad-mtu': 2 }]);
  });

  test('the quoted packet may have extension headers', () => {
    const t = new Flow(new Lab(), 'fd00::2').establish().write(1440);
    t.texts();
    const ends = { from: t.us, to: t.remote, sport: t.c.localPort, dport: 80 };
    const body = [...f.optionsHeader(f.TCP, []), ...f.tcp({ ...ends, seq: t.iss + 1 })];
    const quote = f.ip6(f.DESTINATION, body, ends);
    const router = { from: 'fd00::fe', to: t.us };
    t.lab.rx(f.ip6(f.ICMP6, f.icmp6(2, 0, 1400, quote, router), router));
    expect(t.c.path.mtu).toBe(1400);
  });
});
