import { parseAddress, parseCidr } from '../../../../stack/base/address';
import * as f from './frames';
import { Lab, type LabOptions } from './lab';
import { Flow, udpSend, udpSocket } from './transports';

/* RFC 1122 §3.3.1 and §3.2.2.2, RFC 6724 §5, RFC 4861 §8. */

const GATEWAY_A = '02:00:00:00:00:0a';
const GATEWAY_B = '02:00:00:00:00:0b';

const pathTo = (lab: Lab, remote: string, local: string | null = null) =>
  lab.stack.pathTo(parseAddress(remote)!, local === null ? null : parseAddress(local)!);

const wayOf = (lab: Lab, remote: string): string => {
  const path = pathTo(lab, remote);
  return path === null ? 'none' : `${path.local} by ${path.nextHop} on ${path.iface.index}`;
};

describe('routes (RFC 1122 §3.3.1)', () => {
  const options: LabOptions = {
    links: [{ addresses: ['10.0.0.1/24', 'fd00::1/64'] }, { addresses: ['10.1.0.1/16', '10.1.2.1/24', 'fd01::1/64'] }],
    routes: [
      '0.0.0.0/0 via 10.0.0.254',
      '192.0.2.0/24 via 10.1.0.254',
      '192.0.2.128/25 via 10.0.0.253',
      '::/0 via fd00::fe',
    ],
  };

  test.each([
    ['on the link', '10.0.0.9', '10.0.0.1 by 10.0.0.9 on 0'],
    ['on the other link, by its mask', '10.1.9.9', '10.1.0.1 by 10.1.9.9 on 1'],
    ['from the narrower of two subnets', '10.1.2.9', '10.1.2.1 by 10.1.2.9 on 1'],
    ['by a gateway', '192.0.2.1', '10.1.0.1 by 10.1.0.254 on 1'],
    ['by the longer prefix', '192.0.2.200', '10.0.0.1 by 10.0.0.253 on 0'],
    ['by default', '203.0.113.5', '10.0.0.1 by 10.0.0.254 on 0'],
    ['IPv6 on the link', 'fd01::9', 'fd01::1 by fd01::9 on 1'],
    ['IPv6 by default', '2001:db8::1', 'fd00::1 by fd00::fe on 0'],
    ['a group: never by a gateway', '224.0.0.9', '10.0.0.1 by 224.0.0.9 on 0'],
    ['everybody: never by a gateway', '255.255.255.255', '10.0.0.1 by 255.255.255.255 on 0'],
    ['a link-local address: never by a gateway', 'fe80::9', 'none'],
  ])('%s: %s', (_name, remote, way) => {
    expect(wayOf(new Lab(options), remote)).toBe(way);
  });

  test('no route: no path; groups and everybody are reached all the same', () => {
    const lab = new Lab();
    expect(wayOf(lab, '192.0.2.1')).toBe('none');
    expect(wayOf(lab, '224.0.0.9')).toBe('10.0.0.1 by 224.0.0.9 on 0');
    expect(wayOf(lab, '255.255.255.255')).toBe('10.0.0.1 by 255.255.255.255 on 0');
    expect(wayOf(lab, 'ff02::9')).toBe('fe80::1 by ff02::9 on 0');
  });

  test('of equal prefixes the lower metric, then the first that was added', () => {
    const lab = new Lab({ routes: ['0.0.0.0/0 via 10.0.0.253', '0.0.0.0/0 via 10.0.0.254'] });
    expect(wayOf(lab, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.253 on 0');
  });

  test('an interface that is down is no way out', () => {
    const lab = new Lab(options);
    lab.links[1]!.up = false;
    expect(wayOf(lab, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.254 on 0');
  });

  test('what is on its way when an interface goes down is lost, and counted', () => {
    const t = new Flow(new Lab(), '10.0.0.2').establish();
    t.lab.links[0]!.up = false;
    t.write(10);
    expect([t.lab.take(), t.lab.drops()]).toEqual([[], { 'interface-down': 1 }]);
  });

  test('an address given later has a way of its own', () => {
    const lab = new Lab();
    expect(wayOf(lab, '10.5.0.9')).toBe('none');
    const cidr = parseCidr('10.5.0.1/16')!;
    lab.stack.addAddress(lab.links[0]!, cidr);
    lab.stack.addRoute(cidr, null, lab.links[0]!);
    expect(wayOf(lab, '10.5.0.9')).toBe('10.5.0.1 by 10.5.0.9 on 0');
    expect(lab.answer(f.ip4(f.ICMP, f.icmp4(8, 0, 1), { to: '10.5.0.1' }))[0]).toHaveLength(1);
  });
});

describe('a link that is too narrow for addresses of a family (RFC 791 §3.2, RFC 8200 §5)', () => {
  const narrow = (mtu: number, address: string) => (): unknown => new Lab({ mtu, addresses: [address] });

  test.each([
    [1279, 'fd00::1/64', 'link0: an MTU of 1279 is too small for fd00::1/64: IPv6 needs 1280 bytes'],
    [67, '10.0.0.1/24', 'link0: an MTU of 67 is too small for 10.0.0.1/24: IPv4 needs 68 bytes'],
  ])('an MTU of %d is refused for %s', (mtu, address, message) => {
    expect(narrow(mtu, address)).toThrow(new RangeError(message));
    expect(narrow(mtu + 1, address)).not.toThrow();
  });

  test('... also when the address comes later, which changes nothing', () => {
    const lab = new Lab({ mtu: 576, addresses: ['10.0.0.1/24'] });
    const cidr = parseCidr('fd00::1/64')!;
    expect(() => lab.stack.addAddress(lab.links[0]!, cidr)).toThrow(RangeError);
    expect(lab.links[0]!.owns(cidr.address)).toBe(false);
  });
});

describe('paths', () => {
  test('one for each pair of addresses, whoever chose the source', () => {
    const lab = new Lab({ addresses: ['10.0.0.1/24', '10.0.0.5/24'] });
    const bound = pathTo(lab, '10.0.0.9', '10.0.0.5')!;
    const chosen = pathTo(lab, '10.0.0.9')!;
    expect([String(bound.local), String(chosen.local)]).toEqual(['10.0.0.5', '10.0.0.1']);
    expect(pathTo(lab, '10.0.0.9', '10.0.0.1')).toBe(chosen);
    expect(pathTo(lab, '10.0.0.9', '10.0.0.5')).toBe(bound);
    expect(lab.stack.paths.size).toBe(2);
  });

  test('a source that is not ours, or of the other family, has none', () => {
    const lab = new Lab();
    expect(pathTo(lab, '10.0.0.9', '10.0.0.77')).toBeNull();
    expect(pathTo(lab, '10.0.0.9', 'fd00::1')).toBeNull();
  });

  test('bounded', () => {
    const lab = new Lab({ config: { limits: { ...new Lab().stack.config.limits, pathsMax: 10 } } });
    for (let i = 2; i < 200; i++) pathTo(lab, `10.0.0.${i}`);
    expect(lab.stack.paths.size).toBeLessThanOrEqual(10);
  });
});

describe('the source address for IPv6 (RFC 6724 §5)', () => {
  const sourceTo = (remote: string, addresses: string[]): string =>
    String(pathTo(new Lab({ addresses, routes: ['::/0 via fe80::fe'] }), remote)?.local);

  test.each([
    ['rule 1: the destination itself', 'fd00::7', ['fd00::1/64', 'fd00::7/64'], 'fd00::7'],
    ['rule 2: link-local for link-local', 'fe80::9', ['fd00::1/64', 'fe80::1/64'], 'fe80::1'],
    ['rule 2: global for global', '2001:db8::9', ['fe80::1/64', 'fd00::1/64'], 'fd00::1'],
    ['rule 2: link-local for a link-local group', 'ff02::9', ['fd00::1/64', 'fe80::1/64'], 'fe80::1'],
    ['rule 2: global for a global group', 'ff0e::9', ['fe80::1/64', 'fd00::1/64'], 'fd00::1'],
    ['rule 8: the longest common prefix', '2001:db8:2::9', ['2001:db8:1::1/64', '2001:db8:2::1/48'], '2001:db8:2::1'],
    ['rule 8: only what names the network counts', 'fd00::9', ['fd00::1/64', 'fd00::8/64'], 'fd00::1'],
  ])('%s', (_name, remote, addresses, source) => {
    expect(sourceTo(remote, addresses)).toBe(source);
  });
});

describe('the source address for IPv4 (RFC 1122 §3.3.4.3)', () => {
  test.each([
    ['of the subnet of the next hop', '10.0.1.9', ['10.0.0.1/24', '10.0.1.1/24'], '10.0.1.1'],
    ['of the subnet of the gateway', '192.0.2.1', ['10.0.0.1/24', '10.0.1.1/24'], '10.0.1.1'],
    ['link-local for link-local only', '169.254.1.1', ['10.0.0.1/24', '169.254.0.9/16'], '169.254.0.9'],
  ])('%s', (_name, remote, addresses, source) => {
    const lab = new Lab({ addresses, routes: ['0.0.0.0/0 via 10.0.1.254'] });
    expect(String(pathTo(lab, remote)?.local)).toBe(source);
  });
});

describe('gateways that die (RFC 1122 §3.3.1.4 to §3.3.1.6, MUST-20)', () => {
  const options: LabOptions = {
    link: 'ethernet',
    routes: ['0.0.0.0/0 via 10.0.0.253', '0.0.0.0/0 via 10.0.0.254'],
  };
  const fromGateway = (mac: string, sender: string): Uint8Array => f.arp({ operation: 2, senderMac: mac, sender });

  function lab(): Lab {
    const lab = new Lab(options);
    // Both have spoken to us: their link addresses are known.
    lab.rx(
      f.arp({ senderMac: GATEWAY_A, sender: '10.0.0.253' }),
      f.arp({ senderMac: GATEWAY_B, sender: '10.0.0.254' }),
    );
    lab.sent();
    return lab;
  }

  const destinations = (lab: Lab): string[] =>
    lab
      .take()
      .filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 0)
      .map(({ bytes }) => [...bytes.subarray(0, 6)].map((octet) => octet.toString(16).padStart(2, '0')).join(':'));

  test('a connection without answers has its gateway asked, and moves to the next one', () => {
    const l = lab();
    const t = new Flow(l, '192.0.2.1');
    l.rx(
      f.ethernet(t.segment({ flags: f.SYN | f.ACK, seq: 7000, ack: t.iss + 1, options: [2, 4, 5, 180] }), {
        from: GATEWAY_A,
      }),
    );
    destinations(l);
    t.write(10);
    expect(destinations(l)).toEqual([GATEWAY_A]);
    // Silence. After some retransmissions the gateway is asked, three times, a second apart, and then avoided.
    l.after(20_000);
    const used = destinations(l);
    expect(used[0]).toBe(GATEWAY_A);
    expect(used[used.length - 1]).toBe(GATEWAY_B);
    expect(new Set(used)).toEqual(new Set([GATEWAY_A, GATEWAY_B]));
    // The other side answers over the new gateway, and all is well.
    l.rx(f.ethernet(t.segment({ flags: f.ACK, seq: 7001, ack: t.iss + 11 }), { from: GATEWAY_B }));
    t.write(10);
    expect(destinations(l)).toEqual([GATEWAY_B]);
    // New connections use it as well.
    new Flow(l, '192.0.2.99');
    expect(destinations(l)).toEqual([GATEWAY_B]);
  });

  test('UDP moves as well, and back when the second dies and the first lives again', () => {
    const l = lab();
    const socket = udpSocket(l, 9);
    const send = (): string[] => {
      udpSend(l, socket, '192.0.2.1');
      return destinations(l);
    };
    expect(send()).toEqual([GATEWAY_A]);
    // Stale entries are checked while they are used: 5 s, then three probes.
    l.after(10_000);
    expect(send()).toEqual([GATEWAY_B]);
    l.rx(fromGateway(GATEWAY_A, '10.0.0.253'));
    l.after(10_000);
    expect(send()).toEqual([GATEWAY_A]);
  });

  test('with all gateways dead the first is asked for again', () => {
    const l = new Lab(options);
    const socket = udpSocket(l, 9);
    udpSend(l, socket, '192.0.2.1');
    l.after(5000);
    udpSend(l, socket, '192.0.2.1');
    l.after(5000);
    udpSend(l, socket, '192.0.2.1');
    const asked = l.sent().map((line) => /who-has (\S+)/.exec(line)?.[1]);
    expect(asked).toEqual([...new Array(3).fill('10.0.0.253'), ...new Array(3).fill('10.0.0.254'), '10.0.0.253']);
  });
});

describe('redirects (RFC 1122 §3.2.2.2)', () => {
  const options: LabOptions = { link: 'ethernet', routes: ['0.0.0.0/0 via 10.0.0.254'] };

  function lab(config = {}): Lab {
    const l = new Lab({ ...options, config });
    l.rx(f.arp({ senderMac: GATEWAY_A, sender: '10.0.0.254' }), f.arp({ senderMac: GATEWAY_B, sender: '10.0.0.253' }));
    udpSend(l, udpSocket(l, 9), '192.0.2.1');
    udpSend(l, udpSocket(l, 10), '192.0.2.2');
    l.sent();
    l.drops();
    return l;
  }

  const about = (remote: string): Uint8Array =>
    f.ip4(f.UDP, f.udp([1], { from: f.US, to: remote, sport: 9 }), { from: f.US, to: remote });

  const redirect = (better: string, { by = '10.0.0.254', remote = '192.0.2.1', code = 1 } = {}): Uint8Array =>
    f.ethernet(
      f.ip4(
        f.ICMP,
        f.icmp4(
          5,
          code,
          f.address(better).reduce((n, octet) => (n << 8) | octet, 0),
          about(remote),
        ),
        {
          from: by,
        },
      ),
      { from: GATEWAY_A },
    );

  test.each([0, 1, 2, 3])('code %d: the better first hop is used for that destination, and for no other', (code) => {
    const l = lab();
    expect(l.answer(redirect('10.0.0.253', { code }))).toEqual([[], {}]);
    expect(wayOf(l, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.253 on 0');
    expect(wayOf(l, '192.0.2.2')).toBe('10.0.0.1 by 10.0.0.254 on 0');
    expect(l.stack.routes.list().filter(({ gateway }) => gateway !== null)).toHaveLength(1);
  });

  test('the destination may be on the link itself', () => {
    const l = lab();
    l.rx(redirect('10.0.0.77', { remote: '192.0.2.1' }));
    expect(wayOf(l, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.77 on 0');
  });

  test('a connection in progress uses it with its next segment', () => {
    const l = lab();
    const t = new Flow(l, '192.0.2.1');
    l.take();
    l.rx(redirect('10.0.0.253'));
    l.at(1000);
    expect([...l.take()[0]!.bytes.subarray(0, 6)]).toEqual(f.mac(GATEWAY_B));
    expect(String(t.c.path.remote)).toBe('192.0.2.1');
  });

  test.each([
    ['from another host than the gateway in use', redirect('10.0.0.253', { by: '10.0.0.9' })],
    ['to a host on another network', redirect('10.0.1.1')],
    ['to ourselves', redirect('10.0.0.1')],
    ['to a broadcast address', redirect('10.0.0.255')],
    ['about a destination that we do not use', redirect('10.0.0.253', { remote: '192.0.2.77' })],
    ['with an unknown code', redirect('10.0.0.253', { code: 4 })],
  ])('%s: not believed', (_name, frame) => {
    const l = lab();
    expect(l.answer(frame)).toEqual([[], { 'icmp-bad-redirect': 1 }]);
    expect(wayOf(l, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.254 on 0');
  });

  test('a neighbour that is reached without a router names none', () => {
    const l = lab();
    udpSend(l, udpSocket(l, 12), '10.0.0.253');
    l.sent();
    expect(l.answer(redirect('10.0.0.254', { by: '10.0.0.253', remote: '10.0.0.253' }))).toEqual([
      [],
      { 'icmp-bad-redirect': 1 },
    ]);
    expect(wayOf(l, '10.0.0.253')).toBe('10.0.0.1 by 10.0.0.253 on 0');
  });

  test('none is believed when they are switched off', () => {
    const l = lab({ acceptRedirects: false });
    expect(l.answer(redirect('10.0.0.253'))[1]).toEqual({ 'icmp-bad-redirect': 1 });
    expect(wayOf(l, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.254 on 0');
  });

  test('a first hop that does not answer is given up for the gateway again', () => {
    const l = lab();
    l.rx(redirect('10.0.0.77'));
    const socket = udpSocket(l, 11);
    udpSend(l, socket, '192.0.2.1');
    l.after(4000);
    udpSend(l, socket, '192.0.2.1');
    expect(wayOf(l, '192.0.2.1')).toBe('10.0.0.1 by 10.0.0.254 on 0');
  });
});

describe('redirects (RFC 4861 §8)', () => {
  const options: LabOptions = { link: 'ethernet', routes: ['::/0 via fe80::fe'] };
  const ROUTER = 'fe80::fe';

  function lab(config = {}): Lab {
    const l = new Lab({ ...options, config });
    l.rx(f.ethernet(f.solicitation({ from: ROUTER, target: f.US_LL, options: f.linkOption(1, GATEWAY_A) })));
    udpSend(l, udpSocket(l, 9), '2001:db8::1');
    l.sent();
    return l;
  }

  interface RedirectFields {
    from?: string;
    target?: string;
    destination?: string;
    hops?: number;
    code?: number;
    options?: number[];
  }

  function redirect(r: RedirectFields = {}): Uint8Array {
    const from = r.from ?? ROUTER;
    const body = [
      ...f.address(r.target ?? 'fe80::fd'),
      ...f.address(r.destination ?? '2001:db8::1'),
      ...(r.options ?? f.linkOption(2, GATEWAY_B)),
    ];
    const ends = { from, to: f.US_LL };
    return f.ethernet(f.ip6(f.ICMP6, f.icmp6(137, r.code ?? 0, 0, body, ends), { ...ends, hops: r.hops ?? 255 }));
  }

  test('§8.3: the better router is used, its link address is known at once', () => {
    const l = lab();
    expect(l.answer(redirect())).toEqual([[], {}]);
    expect(wayOf(l, '2001:db8::1')).toBe('fd00::1 by fe80::fd on 0');
    udpSend(l, udpSocket(l, 10), '2001:db8::1');
    expect([...l.take()[0]!.bytes.subarray(0, 6)]).toEqual(f.mac(GATEWAY_B));
  });

  test('§8.3: target and destination are the same: it is on the link', () => {
    const l = lab();
    expect(l.answer(redirect({ target: '2001:db8::1' }))[1]).toEqual({});
    expect(wayOf(l, '2001:db8::1')).toBe('fd00::1 by 2001:db8::1 on 0');
  });

  test.each([
    ['a hop limit of 254', { hops: 254 }],
    ['a code other than 0', { code: 1 }],
    ['a source that is not link-local', { from: 'fd00::fe' }],
    ['a destination that is a group', { destination: 'ff02::1' }],
    ['a target neither link-local nor the destination', { target: 'fd00::9' }],
    ['an option of length 0', { options: [2, 0, 0, 0, 0, 0, 0, 0] }],
  ])('§8.1: %s: invalid', (_name, fields) => {
    const l = lab();
    expect(l.answer(redirect(fields))).toEqual([[], { 'ndp-invalid': 1 }]);
    expect(wayOf(l, '2001:db8::1')).toBe('fd00::1 by fe80::fe on 0');
  });

  test('§8.1: shorter than 40 bytes: invalid', () => {
    const ends = { from: ROUTER, to: f.US_LL };
    for (let bytes = 8; bytes < 40; bytes++) {
      const message = f.icmp6(137, 0, 0, new Array<number>(bytes - 8).fill(0xfe), ends);
      expect(lab().answer(f.ethernet(f.ip6(f.ICMP6, message, { ...ends, hops: 255 })))[1]).toEqual({
        'ndp-invalid': 1,
      });
    }
  });

  test.each([
    ['from another router than the one in use', { from: 'fe80::9' }],
    ['about a destination that we do not use', { destination: '2001:db8::77', target: 'fe80::fd' }],
    ['to ourselves', { target: f.US_LL }],
  ])('§8.1: %s: not believed', (_name, fields) => {
    const l = lab();
    expect(l.answer(redirect(fields))).toEqual([[], { 'icmp-bad-redirect': 1 }]);
    expect(wayOf(l, '2001:db8::1')).toBe('fd00::1 by fe80::fe on 0');
  });

  test('none is believed when they are switched off', () => {
    expect(lab({ acceptRedirects: false }).answer(redirect())[1]).toEqual({ 'icmp-bad-redirect': 1 });
  });
});
