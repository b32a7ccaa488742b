import { Cidr, parseAddress } from '../../stack/base/address';
import type { Bytes, Millis } from '../../stack/base/bytes';
import { NEVER } from '../../stack/base/bytes';
import { DROPS } from '../../stack/base/drops';
import { TRACE_KINDS } from '../../stack/base/trace';
import { TX_BYTES } from '../../stack/base/tx-queue';
import type { Interface } from '../../stack/ip/interface';
import { DEFAULT_CONFIG, Stack } from '../../stack/stack';
import { FAST_OPEN_ALL_LISTENERS, FAST_OPEN_CLIENT, FAST_OPEN_SERVER } from '../../stack/tcp/fast-open';
import { PROFILES, type TcpProfile } from '../../stack/tcp/profile';
import { RULES } from '../../stack/tcp/sending/segment';
import type { RouteMetrics } from './commands';
import type { Errno } from './constants';
import { StackDatagramSocket } from './stack-datagram';
import { StackSocket } from './stack-socket';
import { applySysctl } from './stack-sysctls';
import type { Target, TargetConfig, TargetFactory, TargetSocket } from './target';

/** The stack's clock when the script's stands at 0: nothing in the core may lean on the number. */
export const EPOCH_MS = 1_000_000;

/** More than IP and TCP headers with options ever take. */
const HEADERS_MAX = 100;
/** The events are only listened to. */
const TRACE = { trace: true, traceCapacity: 1 };
/** Where 'segment-out' names the rule. */
const RULE = TRACE_KINDS['segment-out'].indexOf('rule');
const REASON = TRACE_KINDS.drop.indexOf('reason');

/** The stack's reasons in the words of the RFCs. */
const CAUSES: Readonly<Record<(typeof RULES)[number], string>> = {
  syn: 'the handshake asks for it (RFC 9293 §3.5)',
  data: 'text waited, and the windows allow it (RFC 9293 §3.8.6, RFC 5681)',
  retransmit: 'it was taken to be lost (RFC 6298, RFC 6675, RFC 8985)',
  fin: 'the application has closed, and all text is sent (RFC 9293 §3.6)',
  ack: 'an acknowledgment was due (RFC 9293 §3.8.6.3)',
  'window-probe': "the peer's window is closed (RFC 9293 §3.8.6.1)",
  'keep-alive': 'the connection has been idle (RFC 9293 §3.8.4)',
  'tail-probe': 'the end of the flight was not acknowledged for two round trips (RFC 8985 §7)',
  'mtu-probe': 'the path may take larger segments (RFC 4821 §7.4)',
  reply: 'a segment came that nobody wants, or a connection was aborted (RFC 9293 §3.10.7.1, §3.10.5)',
};

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** A stack in memory as scripts see it: one link without addresses, one peer, virtual time. */
export const stackTarget: TargetFactory = (config) => new StackTarget(config);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class StackTarget implements Target {
  readonly stack: Stack;
  /** A copy of the script's own, which `sysctl` changes. */
  readonly profile: Mutable<TcpProfile>;
  private readonly defaults: TcpProfile;
  private readonly iface: Interface;
  /** Sockets with writes whose fate is to be told. */
  readonly watched = new Set<StackSocket>();
  /** Why each TCP segment in the interface's queue is sent, in order. */
  private readonly causes: (typeof RULES)[number][] = [];
  private frame: Bytes = new Uint8Array(2048);
  private drop = '';

  constructor(readonly config: TargetConfig) {
    this.defaults = scriptProfile(PROFILES[config.profile]!);
    this.profile = { ...this.defaults };
    this.stack = new Stack({ ...DEFAULT_CONFIG, seed: config.seed, profile: this.profile, ...TRACE });
    const { stack } = this;
    stack.trace.subscribe((event) => {
      if (event.kind === 'segment-out') this.causes.push(RULES[event.numbers[RULE]!]!);
      else if (event.kind === 'drop') this.drop = DROPS[event.numbers[REASON]!]!;
    });
    stack.tcp.fastOpen.setKeys([FAST_OPEN_KEY]);
    this.iface = stack.addInterface({
      name: 'script',
      link: 'ip',
      mtu: config.mtu,
      mac: null,
      addresses: [new Cidr(parseAddress(config.localIp)!, prefixLength(config))],
      checksumOffload: false,
      tso4: false,
      tso6: false,
    });
    const anywhere = parseAddress(config.wireVersion === 4 ? '0.0.0.0' : '::')!;
    stack.addRoute(new Cidr(anywhere, 0), null, this.iface);
  }

  /** The stack's time, in milliseconds. */
  get now(): Millis {
    return EPOCH_MS + this.config.clock.nowUs / 1000;
  }

  /** A time of the stack's as the script's, in microseconds: the first whole one that is not before it. */
  toScriptUs(at: Millis): number {
    if (at === NEVER) return NEVER;
    const us = Math.round((at - EPOCH_MS) * 1000);
    return EPOCH_MS + us / 1000 < at ? us + 1 : us;
  }

  receive(frame: Bytes): void {
    const { stack } = this;
    this.drop = '';
    const slab = stack.slabs.current;
    const at = (slab.fill + 3) & ~3;
    slab.bytes.set(frame, at);
    slab.fill = at + frame.length;
    // With an MSS given, what is longer came as several segments that the device joined.
    const { mss, mtu } = this.config;
    const segmentBytes = mss > 0 && frame.length > Math.min(mtu, mss + HEADERS_MAX) ? mss : 0;
    stack.receive(this.iface, slab, at, frame.length, false, segmentBytes, this.now);
    this.tell();
    if (!stack.rotateSlab()) throw new Error('the stack has no memory left to receive into');
  }

  lastDrop(): string {
    return this.drop;
  }

  poll(): void {
    for (let done = false; !done; ) {
      done = this.stack.poll(this.now);
      this.flush();
      this.tell();
    }
  }

  /** Hands over what stands in the interface's queue. */
  private flush(): void {
    const queue = this.iface.tx;
    for (let n = 0, record = 0; n < queue.frames; n++, record = queue.next(record)) {
      const bytes = queue.records[record + TX_BYTES]!;
      if (bytes > this.frame.length) this.frame = new Uint8Array(2 * bytes);
      queue.copyFrame(record, this.frame, 0);
      const isTcp = this.frame[this.config.wireVersion === 4 ? 9 : 6] === IPPROTO_TCP;
      const rule = isTcp ? this.causes.shift() : undefined;
      this.config.emit(this.frame.subarray(0, bytes), rule === undefined ? '' : CAUSES[rule]);
    }
    queue.clear();
    this.causes.length = 0;
  }

  /** Tells sockets what happened to their connections, as the host does between batches. */
  private tell(): void {
    const { tcp, udp } = this.stack;
    while (tcp.signalled.size > 0 || tcp.acceptable.size > 0) {
      for (let listener = tcp.acceptable.take(); listener !== null; listener = tcp.acceptable.take()) {
        listener.signalled = false;
        listener.owner?.onAcceptable(listener);
      }
      for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
        const { signals } = c;
        c.signals = 0;
        c.owner?.onSignals(c, signals);
      }
    }
    for (const socket of this.watched) socket.updateErrorQueue(this.config.clock.nowUs);
    for (const socket of udp.signalled.splice(0)) {
      socket.signalled = false;
      socket.owner?.onUdp(socket);
    }
  }

  nextDeadlineUs(): number {
    if (this.stack.wantsPoll) return this.config.clock.nowUs;
    return this.toScriptUs(this.stack.nextDeadline());
  }

  socket(domain: 'inet' | 'inet6', type: 'stream' | 'dgram', protocol: number): TargetSocket | Errno {
    if (protocol !== 0 && protocol !== (type === 'stream' ? IPPROTO_TCP : IPPROTO_UDP)) return 'EPROTONOSUPPORT';
    return type === 'stream' ? new StackSocket(this, domain) : new StackDatagramSocket(this, domain);
  }

  sysctl(name: string, value: string): boolean {
    return applySysctl(this.stack.tcp, this.profile, name, value);
  }

  resetSysctls(): void {
    Object.assign(this.profile, this.defaults);
    this.stack.tcp.fastOpen.setKeys([FAST_OPEN_KEY]);
  }

  route(_metrics: RouteMetrics): boolean {
    return false;
  }

  flushMetrics(): void {
    this.stack.tcp.fastOpen.forget();
  }

  close(): void {
    this.stack.close();
  }
}

/** What scripts presuppose where it is not what a stack at work should do. */
function scriptProfile(profile: TcpProfile): TcpProfile {
  return { ...profile, fastOpen: FAST_OPEN_CLIENT | FAST_OPEN_SERVER | FAST_OPEN_ALL_LISTENERS };
}

/** The key that the scripts' cookies are made with. */
const FAST_OPEN_KEY = [0xa1a1a1a1, 0xb2b2b2b2, 0xc3c3c3c3, 0xd4d4d4d4];

function prefixLength({ wireVersion, netmaskIp }: TargetConfig): number {
  const mask = wireVersion === 4 && netmaskIp !== '' ? parseAddress(netmaskIp) : null;
  if (mask === null) return wireVersion === 4 ? 24 : 64;
  return Math.clz32(~mask.w3);
}
