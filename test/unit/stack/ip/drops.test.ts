import { DROPS, type Drop } from '../../../../stack/base/drops';
import { DEFAULT_LIMITS } from '../../../../stack/stack';
import * as f from './frames';
import { Lab, type LabOptions } from './lab';

/** What causes a reason: frames for a fresh lab, or an action on it. */
interface Cause {
  readonly options?: LabOptions;
  readonly frames?: () => Uint8Array[];
  readonly act?: (lab: Lab) => void;
}

const ETHERNET: LabOptions = { link: 'ethernet' };
const echo4 = (fields: f.Ip4Fields = {}): Uint8Array => f.ip4(f.ICMP, f.icmp4(8, 0, 1), fields);
const oneFrame = (frame: () => Uint8Array, options: LabOptions = {}): Cause => ({ options, frames: () => [frame()] });
const quoteOfNothing = (): Uint8Array =>
  f.ip4(f.ICMP, f.icmp4(3, 1, 0, f.ip4(f.TCP, f.tcp(), { from: f.US, to: f.PEER })));

const fragment = (offset: number, more: boolean, text: number[]): Uint8Array =>
  f.ip4(f.UDP, text, { offset, more, id: 7 });
const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];

const CAUSES: Partial<Record<Drop, Cause>> = {
  'ethernet-truncated': oneFrame(() => f.ethernet(echo4()).subarray(0, 13), ETHERNET),
  'ethernet-not-for-us': oneFrame(() => f.ethernet(echo4(), { to: '02:00:00:00:00:99' }), ETHERNET),
  'ethernet-unknown-type': oneFrame(() => f.ethernet(echo4(), { type: 0x8137 }), ETHERNET),
  'ethernet-bad-source': oneFrame(() => f.ethernet(echo4(), { from: '03:00:00:00:00:02' }), ETHERNET),
  'arp-truncated': oneFrame(() => f.arp().subarray(0, 14 + 27), ETHERNET),
  'arp-malformed': oneFrame(() => f.arp({ operation: 3 }), ETHERNET),
  'arp-bad-sender': oneFrame(() => f.arp({ sender: '224.0.0.1' }), ETHERNET),
  'arp-not-for-us': oneFrame(() => f.arp({ target: '10.0.0.99' }), ETHERNET),
  'arp-conflict': oneFrame(() => f.arp({ sender: f.US }), ETHERNET),
  'ip-bad-version': oneFrame(() => Uint8Array.from(echo4(), (b, i) => (i === 0 ? 0x55 : b))),
  'ip-truncated': oneFrame(() => echo4().subarray(0, 19)),
  'ip-bad-header-length': oneFrame(() => Uint8Array.from(echo4(), (b, i) => (i === 0 ? 0x44 : b))),
  'ip-bad-total-length': oneFrame(() => echo4({ length: 19 })),
  'ip-bad-checksum': oneFrame(() => echo4({ checksum: 1 })),
  'ip-bad-source': oneFrame(() => echo4({ from: '224.0.0.1' })),
  'ip-bad-destination': oneFrame(() => echo4({ to: '127.0.0.1' })),
  'ip-bad-option': oneFrame(() => echo4({ options: [7, 1, 0, 0] })),
  'ip-source-route-refused': oneFrame(() => echo4({ options: [131, 7, 4, ...f.address(f.US), 0] })),
  'ip-not-for-us': oneFrame(() => echo4({ to: '10.0.0.99' })),
  'ip-unknown-protocol': oneFrame(() => f.ip4(200, [1])),
  'ip-fragment-malformed': oneFrame(() => fragment(0, true, [1, 2, 3])),
  'ip-fragment-overlap': {
    frames: () => [fragment(0, true, [...EIGHT, ...EIGHT]), fragment(8, true, [...EIGHT, ...EIGHT])],
  },
  'ip-fragment-timeout': { frames: () => [fragment(0, true, EIGHT)], act: (lab) => lab.at(60_000) },
  'ip-fragment-limit': {
    options: {
      config: { reassembly: { timeoutMs: 60_000, datagramsMax: 1, bytesMax: 1 << 20, fragmentsMax: 10 } },
    },
    frames: () => [1, 2].map((id) => f.ip4(f.UDP, EIGHT, { id, more: true })),
  },
  'ip-no-route': oneFrame(() => echo4({ from: '192.0.2.9' })),
  'ip-no-neighbor': {
    options: ETHERNET,
    frames: () => [f.ethernet(echo4({ from: '10.0.0.77' }))],
    act: (lab) => lab.at(10_000),
  },
  'icmp-truncated': oneFrame(() => f.ip4(f.ICMP, [8, 0, 0])),
  'icmp-bad-checksum': oneFrame(() => f.ip4(f.ICMP, [8, 0, 0, 0, 0, 0, 0, 0])),
  'icmp-unknown-type': oneFrame(() => f.ip4(f.ICMP, f.icmp4(40, 0, 0))),
  'icmp-bad-quote': oneFrame(quoteOfNothing),
  'icmp-rate-limited': {
    options: { config: { limits: { ...DEFAULT_LIMITS, icmpPerSecond: 0, icmpBurst: 1 } } },
    frames: () => new Array<Uint8Array>(9).fill(f.ip4(f.UDP, f.udp([]))),
  },
  'icmp-broadcast': oneFrame(() => echo4({ to: '10.0.0.255' })),
  'icmp-bad-mtu': {
    act: (lab) => {
      const socket = lab.stack.udp.bind(null, 4, 9, false);
      if (typeof socket === 'string') throw new Error(socket);
      const remote = lab.stack.pathTo(lab.stack.interfaces[0]!.addresses[0]!.address, null)!.local;
      lab.stack.udp.send(socket, Uint8Array.of(1), remote, 7);
      const quote = f.ip4(f.UDP, f.udp([1], { from: f.US, to: f.US, sport: 9, dport: 7 }), { from: f.US, to: f.US });
      lab.rx(f.ip4(f.ICMP, f.icmp4(3, 4, 1500, quote)));
    },
  },
  'icmp-bad-redirect': oneFrame(() =>
    f.ip4(f.ICMP, f.icmp4(5, 1, 0x0a000003, f.ip4(f.UDP, f.udp([]), { from: f.US, to: '192.0.2.1' }))),
  ),
  'ndp-invalid': oneFrame(() => f.ethernet(f.solicitation({ hops: 254 })), ETHERNET),
  'ndp-not-for-us': oneFrame(() => f.ethernet(f.solicitation({ target: 'fd00::9', to: f.US6 })), ETHERNET),
  'ndp-conflict': oneFrame(() => f.ethernet(f.advertisement({ target: f.US6, flags: f.OVERRIDE_FLAG })), ETHERNET),
  'udp-truncated': oneFrame(() => f.ip4(f.UDP, f.udp([]).slice(0, 7))),
  'udp-bad-length': oneFrame(() => f.ip4(f.UDP, f.udp([], { length: 9 }))),
  'udp-bad-checksum': oneFrame(() => f.ip4(f.UDP, f.udp([], { checksum: 1 }))),
  'udp-no-port': oneFrame(() => f.ip4(f.UDP, f.udp([]))),
  'udp-queue-full': {
    act: (lab) => {
      const socket = lab.stack.udp.bind(null, 4, 7, false);
      if (typeof socket === 'string') throw new Error(socket);
      socket.receiveMax = 300;
      lab.rx(f.ip4(f.UDP, f.udp(f.bytesOf(44))), f.ip4(f.UDP, f.udp([])));
    },
  },
  'link-busy': { options: ETHERNET, frames: () => new Array<Uint8Array>(65).fill(f.arp()) },
  'interface-down': {
    act: (lab) => {
      lab.links[0]!.up = false;
      lab.rx(echo4());
    },
  },
};

const LAYERS = /^(ethernet|arp|ip|icmp|ndp|udp|link|interface)-/;
/** TCP's own, and what memory refuses: ../tcp/drops.test.ts. */
const TCP = /^(tcp-|memory-pressure$)/;

test('every reason is looked for, here or among those of TCP', () => {
  expect(DROPS.filter((reason) => LAYERS.test(reason) === TCP.test(reason))).toEqual([]);
  expect(Object.keys(CAUSES).filter((reason) => !LAYERS.test(reason))).toEqual([]);
});

test.each(DROPS.filter((reason) => LAYERS.test(reason)))('%s is produced, and once', (reason) => {
  const cause = CAUSES[reason];
  if (cause === undefined) throw new Error('nothing here causes it');
  const lab = new Lab(cause.options);
  if (cause.frames !== undefined) lab.rx(...cause.frames());
  cause.act?.(lab);
  const drops = lab.drops();
  expect(drops[reason]).toBeGreaterThan(0);
  // A frame is counted under one reason; what came of it later is another frame.
  if (cause.act === undefined && reason !== 'icmp-rate-limited') expect(drops).toEqual({ [reason]: 1 });
});

test('what was wrong with one datagram is not said of the next', () => {
  // An IPv6 header that earns an answer, then an IPv4 datagram that is not even whole.
  const lab = new Lab();
  lab.rx(f.ip6(f.DESTINATION, f.optionsHeader(f.UDP, [0x80, 0])));
  lab.sent();
  lab.drops();
  expect(lab.answer(echo4().subarray(0, 19))).toEqual([[], { 'ip-truncated': 1 }]);
});
