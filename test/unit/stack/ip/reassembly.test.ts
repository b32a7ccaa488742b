import * as calls from '../../../../stack/tcp/calls';
import type { UdpSocket } from '../../../../stack/udp/udp';
import * as f from './frames';
import { Lab, type LabOptions } from './lab';

/* RFC 791 §3.2, RFC 1122 §3.3.2, RFC 815; RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 7112; RFC 3168 §5.3. */

interface Family {
  readonly name: string;
  /** A UDP datagram's body (header and text), and one fragment of it. */
  body(text: Uint8Array): number[];
  piece(body: number[], from: number, to: number, fields?: PieceFields): Uint8Array;
}

interface PieceFields {
  id?: number;
  more?: boolean;
  tos?: number;
  from?: string;
  to?: string;
}

const V4: Family = {
  name: 'IPv4',
  body: (text) => f.udp(text),
  piece: (body, from, to, { id = 9, more = to < body.length, ...rest } = {}) =>
    f.ip4(f.UDP, body.slice(from, to), { ...rest, id, more, offset: from }),
};

const V6: Family = {
  name: 'IPv6',
  body: (text) => f.udp(text, { v6: true }),
  piece: (body, from, to, { id = 9, more = to < body.length, ...rest } = {}) =>
    f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, from, more, id), ...body.slice(from, to)], rest),
};

function labWithSocket(options: LabOptions = {}): [Lab, UdpSocket] {
  const lab = new Lab(options);
  const socket = lab.stack.udp.bind(null, 0, 7, false);
  if (typeof socket === 'string') throw new Error(socket);
  return [lab, socket];
}

const permutations = <T>(items: T[]): T[][] =>
  items.length < 2
    ? [items]
    : items.flatMap((item, i) =>
        permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
      );

describe.each([V4, V6])('$name', ({ body, piece }) => {
  const text = f.bytesOf(40, 100);
  const whole = body(text);
  const cuts = [0, 16, 24, 40, 48];
  const pieces = cuts.slice(1).map((to, i) => piece(whole, cuts[i]!, to));

  test('every order of four fragments gives the datagram', () => {
    for (const order of permutations(pieces)) {
      const [lab, socket] = labWithSocket();
      lab.rx(...order);
      expect(socket.queue.map((message) => [...message.bytes])).toEqual([[...text]]);
      expect(socket.queue[0]).toMatchObject({ sourcePort: 5000 });
      expect(lab.drops()).toEqual({});
      expect(lab.stack.nextDeadline()).toBe(Infinity);
    }
  });

  test('in as many batches as there are fragments', () => {
    const [lab, socket] = labWithSocket();
    for (const one of pieces) lab.rx(one);
    expect(socket.queue).toHaveLength(1);
  });

  test('one that repeats is passed over, one in several parts as well', () => {
    const [lab, socket] = labWithSocket();
    lab.rx(pieces[1]!, pieces[1]!, pieces[2]!, piece(whole, 16, 40), pieces[3]!, pieces[3]!, pieces[0]!);
    expect(socket.queue).toHaveLength(1);
    expect(lab.drops()).toEqual({});
  });

  test.each([
    ['covering the end of one', 8, 24],
    ['covering the beginning of one', 24, 48],
    ['inside and beyond', 32, 48],
    ['around one', 8, 32],
  ])('RFC 5722: an overlap ends it: %s', (_name, from, to) => {
    const [lab, socket] = labWithSocket();
    const larger = body(f.bytesOf(88));
    lab.rx(piece(larger, 16, 24), piece(larger, 24, 40), piece(larger, from, to));
    // Neither what was there nor what comes now is used again.
    expect(lab.drops()).toEqual({ 'ip-fragment-overlap': 1 });
    lab.rx(piece(larger, 0, 16), piece(larger, 40, 96));
    expect(socket.queue).toEqual([]);
  });

  test('a hole is not filled by anything', () => {
    const [lab, socket] = labWithSocket();
    lab.rx(pieces[0]!, pieces[2]!, pieces[3]!).at(59_999);
    expect(socket.queue).toEqual([]);
    expect(lab.drops()).toEqual({});
  });

  test('the timeout is 60 s from the first fragment on, and tells the sender', () => {
    const [lab] = labWithSocket();
    lab.rx(pieces[0]!).at(30_000);
    lab.rx(pieces[1]!).at(59_999);
    expect(lab.sent()).toEqual([]);
    lab.at(60_000);
    expect(lab.sent()).toEqual([expect.stringMatching(/ time_exceeded exceeded_frag_time \[.*\.5000 > .*\.7 udp/)]);
    expect(lab.drops()).toEqual({ 'ip-fragment-timeout': 1 });
    // Too late: the rest is the beginning of nothing.
    lab.rx(pieces[2]!, pieces[3]!).at(120_000);
    expect(lab.sent()).toEqual([]);
    expect(lab.drops()).toEqual({ 'ip-fragment-timeout': 1 });
  });

  test('RFC 1122 §3.3.2: without fragment 0 nobody is told of the timeout', () => {
    const [lab] = labWithSocket();
    lab.rx(pieces[1]!, pieces[3]!).at(60_000);
    expect(lab.sent()).toEqual([]);
    expect(lab.drops()).toEqual({ 'ip-fragment-timeout': 1 });
  });

  test('fragments of different datagrams do not mix: identification, source, destination', () => {
    const [lab, socket] = labWithSocket({ addresses: ['10.0.0.1/24', '10.0.0.3/24', 'fd00::1/64', 'fd00::3/64'] });
    const v6 = whole.length > 0 && pieces[0]![0]! >> 4 === 6;
    const other = { from: v6 ? 'fd00::9' : '10.0.0.9', to: v6 ? 'fd00::3' : '10.0.0.3' };
    lab.rx(piece(whole, 0, 16), piece(whole, 16, 48, { id: 10 }));
    lab.rx(piece(whole, 16, 48, { from: other.from }), piece(whole, 16, 48, { to: other.to }));
    expect(socket.queue).toEqual([]);
    lab.rx(piece(whole, 16, 48));
    expect(socket.queue).toHaveLength(1);
  });

  test('what is told of a datagram that came in fragments quotes it whole', () => {
    const lab = new Lab();
    lab.rx(...pieces);
    expect(lab.sent()).toEqual([expect.stringMatching(/ port_unreachable \[.*\.5000 > .*\.7 udp \(40\)\]$/)]);
  });

  test('the largest datagram there can be, in 46 fragments', () => {
    const [lab, socket] = labWithSocket();
    socket.receiveMax = 1 << 20;
    const large = body(f.bytesOf(65_507));
    const parts: Uint8Array[] = [];
    for (let from = 0; from < large.length; from += 1440)
      parts.push(piece(large, from, Math.min(from + 1440, large.length)));
    lab.rx(...parts.reverse());
    expect(socket.queue.map(({ bytes }) => bytes.length)).toEqual([65_507]);
  });

  test('a last fragment that contradicts the first one of its kind ends it', () => {
    const [lab, socket] = labWithSocket();
    lab.rx(piece(whole, 40, 48), piece(whole, 24, 40, { more: false }));
    expect(lab.drops()).toEqual({ 'ip-fragment-malformed': 1 });
    lab.rx(pieces[0]!, piece(whole, 16, 40));
    expect(socket.queue).toEqual([]);
  });

  test('nothing stands behind the last fragment, whichever came first', () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const [lab] = labWithSocket();
      const larger = body(f.bytesOf(88));
      const two = [piece(larger, 16, 24, { more: false }), piece(larger, 32, 40, { more: true })];
      lab.rx(two[order[0]!]!, two[order[1]!]!);
      expect(lab.drops()).toEqual({ 'ip-fragment-malformed': 1 });
    }
  });

  test('an empty fragment, and one beyond 64 KiB, are refused', () => {
    const [lab] = labWithSocket();
    const drops = (frame: Uint8Array): object => lab.answer(frame)[1];
    expect(drops(piece(whole, 16, 16, { more: false }))).toEqual({ 'ip-fragment-malformed': 1 });
    const far = new Array<number>(65_528).fill(0);
    expect(drops(piece([...far, ...f.bytesOf(16)], 65_528, 65_544, { more: false }))).toEqual({
      'ip-fragment-malformed': 1,
    });
    expect(lab.stack.nextDeadline()).toBe(Infinity);
  });

  test('RFC 3168 §5.3: congestion on one fragment is congestion', () => {
    const lab = new Lab();
    lab.rx(piece(whole, 0, 16, { tos: 2 }), piece(whole, 16, 32, { tos: 3 }), piece(whole, 32, 48, { tos: 2 }));
    // The quote shows the header as it was put together.
    expect(lab.sent()[0]).toContain('[ce]');
    const plain = new Lab();
    plain.rx(piece(whole, 0, 16, { tos: 2 }), piece(whole, 16, 48, { tos: 2 }));
    expect(plain.sent()[0]).toContain('[ect0]');
  });

  test('RFC 3168 §5.3: "not capable" beside "congestion experienced" is no honest datagram', () => {
    const [lab, socket] = labWithSocket();
    lab.rx(piece(whole, 0, 16, { tos: 0 }), piece(whole, 16, 48, { tos: 3 }));
    expect(lab.drops()).toEqual({ 'ip-fragment-malformed': 1 });
    expect(socket.queue).toEqual([]);
  });

  test('bounded in datagrams: the oldest makes room', () => {
    const reassembly = { timeoutMs: 60_000, datagramsMax: 3, bytesMax: 1 << 20, fragmentsMax: 16 };
    const [lab, socket] = labWithSocket({ config: { reassembly } });
    for (const id of [1, 2, 3, 4]) lab.after(1).rx(piece(whole, 0, 16, { id }));
    expect(lab.drops()).toEqual({ 'ip-fragment-limit': 1 });
    for (const id of [1, 2]) lab.rx(piece(whole, 16, 48, { id }));
    // 1 began anew and pushed 2 out before its end came.
    expect(socket.queue).toHaveLength(0);
    lab.rx(piece(whole, 16, 48, { id: 4 }));
    expect(socket.queue).toHaveLength(1);
  });

  test('bounded in bytes and in fragments', () => {
    const reassembly = { timeoutMs: 60_000, datagramsMax: 1000, bytesMax: 4096, fragmentsMax: 4 };
    const [lab] = labWithSocket({ config: { reassembly } });
    const larger = body(f.bytesOf(1992));
    for (let id = 0; id < 20; id++) lab.rx(piece(larger, 8, 1008, { id }));
    expect(lab.drops()).toEqual({ 'ip-fragment-limit': 17 });
    const tiny = new Lab({ config: { reassembly: { ...reassembly, bytesMax: 1 << 20 } } });
    for (let i = 0; i < 5; i++) tiny.rx(piece(larger, i * 16, i * 16 + 8));
    expect(tiny.drops()).toEqual({ 'ip-fragment-limit': 1 });
    expect(tiny.stack.nextDeadline()).toBe(Infinity);
  });

  test('ping with 4 KB of text, RFC 1122 §3.2.2.6: the answer comes in fragments and holds the same', () => {
    const v6 = pieces[0]![0]! >> 4 === 6;
    const echo = v6 ? f.icmp6(128, 0, 77, f.bytesOf(4096)) : f.icmp4(8, 0, 77, f.bytesOf(4096));
    const lab = new Lab();
    const parts = [0, 1440, 2880].map((from) => {
      const to = Math.min(from + 1440, echo.length);
      const more = to < echo.length;
      return v6
        ? f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.ICMP6, from, more, 3), ...echo.slice(from, to)])
        : f.ip4(f.ICMP, echo.slice(from, to), { id: 3, more, offset: from });
    });
    lab.rx(...parts);
    const sent = lab.take();
    expect(sent).toHaveLength(3);
    const bodies = sent.flatMap(({ bytes }) => [...bytes.subarray(v6 ? 48 : 20)]);
    expect(bodies.slice(8)).toEqual([...f.bytesOf(4096)]);
    expect(
      sent.map((frame) =>
        lab
          .line(frame)
          .replace(/.* frag /, '')
          .replace(/^-?\d+/, 'id'),
      ),
    ).toEqual(v6 ? ['id:1448@0+', 'id:1448@1448+', 'id:1208@2896'] : ['id:1480@0+', 'id:1480@1480+', 'id:1144@2960']);
  });
});

describe('IPv4 only', () => {
  test('datagrams of different protocols are numbered apart', () => {
    const [lab, socket] = labWithSocket();
    const body = f.udp(f.bytesOf(8));
    lab.rx(f.ip4(f.UDP, body.slice(0, 8), { id: 5, more: true }), f.ip4(f.TCP, body.slice(8), { id: 5, offset: 8 }));
    expect(socket.queue).toEqual([]);
    lab.rx(f.ip4(f.UDP, body.slice(8), { id: 5, offset: 8 }));
    expect(socket.queue).toHaveLength(1);
  });

  test('TCP segments in fragments: the handshake, and text that stays until it is read', () => {
    const lab = new Lab();
    const { tcp } = lab.stack;
    const listener = calls.listen(tcp, null, 4, 80, 8);
    if (typeof listener === 'string') throw new Error(listener);
    tcp.initialSequenceFixed = 5000 as never;
    const cut = (segment: number[], id: number): Uint8Array[] => [
      f.ip4(f.TCP, segment.slice(16), { id, offset: 16 }),
      f.ip4(f.TCP, segment.slice(0, 16), { id, more: true }),
    ];
    lab.rx(...cut(f.tcp({ options: [2, 4, 5, 180] }), 1));
    lab.rx(...cut(f.tcp({ flags: f.ACK, seq: 1001, ack: 5001 }), 2));
    lab.rx(...cut(f.tcp({ flags: f.ACK, seq: 1001, ack: 5001, text: f.bytesOf(50) }), 3));
    const text = new calls.Text();
    expect(calls.peek(tcp, listener.accepted[0]!, text)).toBe(true);
    expect([...text.bytes.subarray(text.at, text.end)]).toEqual([...f.bytesOf(50)]);
    expect(lab.drops()).toEqual({});
  });

  test('nobody is told of a broadcast datagram that did not come whole', () => {
    const lab = new Lab();
    lab.rx(f.ip4(f.UDP, f.bytesOf(8), { to: '10.0.0.255', more: true })).at(60_000);
    expect([lab.sent(), lab.drops()]).toEqual([[], { 'ip-fragment-timeout': 1 }]);
  });

  test('nobody is told of an ICMP error that did not come whole', () => {
    const lab = new Lab();
    lab.rx(f.ip4(f.ICMP, [3, 1, 0, 0, 0, 0, 0, 0], { more: true })).at(60_000);
    expect(lab.sent()).toEqual([]);
  });

  test('the header may be as long as it may be', () => {
    const [lab, socket] = labWithSocket();
    const body = f.udp(f.bytesOf(8, 3));
    const options = new Array<number>(40).fill(1);
    lab.rx(f.ip4(f.UDP, body.slice(8), { offset: 8 }), f.ip4(f.UDP, body.slice(0, 8), { more: true, options }));
    expect(socket.queue.map(({ bytes }) => [...bytes])).toEqual([[...f.bytesOf(8, 3)]]);
    // 60 bytes of header and 65,480 of body are too many together.
    const big = f.bytesOf(65_480);
    lab.rx(f.ip4(f.UDP, big.subarray(65_472), { id: 2, offset: 65_472 }));
    lab.rx(f.ip4(f.UDP, big.subarray(0, 8), { id: 2, more: true, options }));
    lab.rx(f.ip4(f.UDP, big.subarray(8, 32_776), { id: 2, more: true, offset: 8 }));
    lab.rx(f.ip4(f.UDP, big.subarray(32_776, 65_472), { id: 2, more: true, offset: 32_776 }));
    expect(lab.drops()).toMatchObject({ 'ip-fragment-malformed': 1 });
  });
});

describe('IPv6 only (RFC 8200 §4.5)', () => {
  const PROBLEM = 'fd00::1 > fd00::2 icmp6 parameter_problem';

  test('the protocol of the later fragments does not matter', () => {
    const [lab, socket] = labWithSocket();
    const body = f.udp(f.bytesOf(8), { v6: true });
    lab.rx(
      f.ip6(f.FRAGMENT, [...f.fragmentHeader(200, 8, false), ...body.slice(8)]),
      f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 0, true), ...body.slice(0, 8)]),
    );
    expect(socket.queue).toHaveLength(1);
  });

  test('extension headers before and behind the fragment header', () => {
    const [lab, socket] = labWithSocket();
    const body = [...f.optionsHeader(f.UDP, []), ...f.udp(f.bytesOf(8), { v6: true })];
    const cut = (from: number, to: number, more: boolean): Uint8Array =>
      f.ip6(f.HOP_BY_HOP, [
        ...f.optionsHeader(f.FRAGMENT, []),
        ...f.fragmentHeader(f.DESTINATION, from, more),
        ...body.slice(from, to),
      ]);
    lab.rx(cut(16, 24, false), cut(0, 16, true));
    expect(socket.queue.map(({ bytes }) => [...bytes])).toEqual([[...f.bytesOf(8)]]);
  });

  test('a length that is no multiple of 8 is pointed to', () => {
    const [sent, drops] = new Lab().answer(f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 0, true), 1, 2, 3]));
    expect(sent).toEqual([expect.stringContaining(`${PROBLEM} header_field pointer 4 `)]);
    expect(drops).toEqual({ 'ip-fragment-malformed': 1 });
  });

  test('a datagram longer than 64 KiB is pointed to', () => {
    const piece = f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 65_528, false), ...f.bytesOf(8)]);
    expect(new Lab().answer(piece)[0]).toEqual([expect.stringContaining(`${PROBLEM} header_field pointer 42 `)]);
  });

  test('RFC 7112 §5: a first fragment without all headers is refused', () => {
    const headers = f.optionsHeader(f.TCP, []);
    const piece = f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.DESTINATION, 0, true), ...headers, ...f.tcp().slice(0, 16)]);
    const [sent, drops] = new Lab().answer(piece);
    expect(sent).toEqual([expect.stringContaining(`${PROBLEM} code_3 pointer 0 `)]);
    expect(drops).toEqual({ 'ip-fragment-malformed': 1 });
  });

  test('RFC 6946 §4: a whole datagram with a fragment header mixes with nothing', () => {
    const [lab, socket] = labWithSocket();
    const body = f.udp(f.bytesOf(8), { v6: true });
    lab.rx(f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 0, true), ...body.slice(0, 8)]));
    lab.rx(f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 0, false), ...body]));
    expect(socket.queue).toHaveLength(1);
    lab.rx(f.ip6(f.FRAGMENT, [...f.fragmentHeader(f.UDP, 8, false), ...body.slice(8)]));
    expect(socket.queue).toHaveLength(2);
  });

  test('nobody is told of a group’s datagram that did not come whole', () => {
    const lab = new Lab();
    const first = [...f.fragmentHeader(f.UDP, 0, true), ...f.bytesOf(8)];
    lab.rx(f.ip6(f.FRAGMENT, first, { to: 'ff02::1' })).at(60_000);
    expect([lab.sent(), lab.drops()]).toEqual([[], { 'ip-fragment-timeout': 1 }]);
  });
});
