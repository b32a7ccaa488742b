import { parseCidr } from '../../../../stack/base/address';
import type { Millis } from '../../../../stack/base/bytes';
import type { Drop } from '../../../../stack/base/drops';
import { TX_BYTES, TX_SEGMENT_BYTES } from '../../../../stack/base/tx-queue';
import type { Interface } from '../../../../stack/ip/interface';
import { DEFAULT_CONFIG, Stack, type StackConfig } from '../../../../stack/stack';
import { packetLine } from '../../../../tools/notation';
import { dissect } from '../../../../tools/pcap/dissect';
import { mac, OUR_MAC } from './frames';

export interface LinkOptions {
  readonly link?: 'ip' | 'ethernet';
  readonly addresses?: readonly string[];
  readonly mtu?: number;
  readonly mac?: string;
}

export interface LabOptions extends LinkOptions {
  /** Several links instead of one. */
  readonly links?: readonly LinkOptions[];
  readonly config?: Partial<StackConfig>;
  /** "10.9.0.0/16 via 10.0.0.254", or "... dev 1" with a link's number; metrics follow the order. */
  readonly routes?: readonly string[];
}

export interface SentFrame {
  readonly at: Millis;
  readonly link: number;
  readonly bytes: Uint8Array;
}

/** Nothing in the core may lean on where its clock begins. */
const EPOCH_MS = 1_000_000;

/**
 * One stack in virtual time whose links end in the test: frames go in as bytes and come out as lines, read by the decoder of
 * the captures, which shares no code with the stack. A frame with a wrong checksum or length fails the test.
 */
export class Lab {
  readonly stack: Stack;
  readonly links: Interface[];
  readonly frames: SentFrame[] = [];
  private readonly types: readonly ('ip' | 'ethernet')[];
  private clockMs: Millis = 0;
  private counted: Partial<Record<Drop, number>> = {};

  constructor(options: LabOptions = {}) {
    this.stack = new Stack({ ...DEFAULT_CONFIG, poison: true, ...options.config });
    const links = options.links ?? [options];
    this.types = links.map(({ link }) => link ?? 'ip');
    this.links = links.map((link, i) =>
      this.stack.addInterface({
        name: `link${i}`,
        link: link.link ?? 'ip',
        mtu: link.mtu ?? 1500,
        mac: link.link === 'ethernet' ? Uint8Array.from(mac(link.mac ?? OUR_MAC)) : null,
        addresses: (link.addresses ?? ['10.0.0.1/24', 'fd00::1/64', 'fe80::1/64']).map((text) => parseCidr(text)!),
        checksumOffload: false,
        tso4: false,
        tso6: false,
      }),
    );
    for (const [i, route] of (options.routes ?? []).entries()) this.addRoute(route, i);
  }

  private addRoute(text: string, metric: number): void {
    const { to, via, dev } = /^(?<to>\S+)( via (?<via>\S+))?( dev (?<dev>\d+))?$/.exec(text)!.groups!;
    const gateway = via === undefined ? null : parseCidr(via)!.address;
    const near = this.links.find((link) => gateway !== null && link.addresses.some((cidr) => cidr.contains(gateway)));
    const link = dev === undefined ? (near ?? this.links[0]!) : this.links[Number(dev)]!;
    this.stack.addRoute(parseCidr(to!)!, gateway, link, metric);
  }

  get now(): Millis {
    return EPOCH_MS + this.clockMs;
  }

  /** Milliseconds since the test began. */
  get ms(): Millis {
    return this.clockMs;
  }

  /** Moves the clock to `ms`, letting every timer on the way fire. */
  at(ms: Millis): this {
    this.poll();
    for (;;) {
      const next = this.stack.nextDeadline() - EPOCH_MS;
      if (next > ms) break;
      this.clockMs = Math.max(this.clockMs, next);
      this.poll();
    }
    this.clockMs = ms;
    return this;
  }

  after(ms: Millis): this {
    return this.at(this.clockMs + ms);
  }

  /** Frames arrive on the first link, in one batch. */
  rx(...frames: Uint8Array[]): this {
    return this.rxOn(0, ...frames);
  }

  rxOn(link: number, ...frames: Uint8Array[]): this {
    return this.rxJoined(link, 0, ...frames);
  }

  /** Frames that the device joined, of `segmentBytes` of text each. */
  rxJoined(link: number, segmentBytes: number, ...frames: Uint8Array[]): this {
    const { stack } = this;
    if (!stack.rotateSlab()) throw new Error('the stack has no memory left to receive into');
    const slab = stack.slabs.current;
    const places = frames.map((frame) => {
      const at = ((slab.fill + 3) & ~3) + (this.types[link] === 'ethernet' ? 2 : 0);
      slab.bytes.set(frame, at);
      slab.fill = at + frame.length;
      return at;
    });
    for (const [i, frame] of frames.entries()) {
      stack.receive(this.links[link]!, slab, places[i]!, frame.length, false, segmentBytes, this.now);
    }
    this.poll();
    return this;
  }

  poll(): void {
    for (let done = false; !done; ) {
      done = this.stack.poll(this.now);
      for (const link of this.links) this.flush(link);
    }
  }

  private flush(link: Interface): void {
    const queue = link.tx;
    for (let n = 0, record = 0; n < queue.frames; n++, record = queue.next(record)) {
      const bytes = new Uint8Array(queue.records[record + TX_BYTES]!);
      queue.copyFrame(record, bytes, 0);
      if (queue.records[record + TX_SEGMENT_BYTES] !== 0) throw new Error('the link cannot cut segments');
      this.frames.push({ at: this.clockMs, link: link.index, bytes });
    }
    queue.clear();
  }

  /** What was sent since the last call, a line a frame, with the link's number in front when there are several. */
  sent(): string[] {
    this.poll();
    return this.frames.splice(0).map((frame) => this.line(frame));
  }

  /** The frames themselves, read by the same decoder. */
  take(): SentFrame[] {
    this.poll();
    const frames = this.frames.splice(0);
    for (const frame of frames) this.line(frame);
    return frames;
  }

  line({ link, bytes }: SentFrame): string {
    const p = dissect(bytes, 0, bytes.length, this.types[link]!);
    if (p.problems.length > 0) throw new Error(`the stack sent a frame with ${p.problems.join(', ')}`);
    const line = packetLine(p, null, { absolute: true });
    return this.links.length > 1 ? `${link}: ${line}` : line;
  }

  /** Reasons counted since the last call. */
  drops(): Partial<Record<Drop, number>> {
    const all = this.stack.drops.nonZero();
    const fresh: Partial<Record<Drop, number>> = {};
    for (const [reason, count] of Object.entries(all) as [Drop, number][]) {
      const more = count - (this.counted[reason] ?? 0);
      if (more > 0) fresh[reason] = more;
    }
    this.counted = all;
    return fresh;
  }

  /** What one or several frames cause: the lines sent and the reasons counted, for tables of cases. */
  answer(...frames: Uint8Array[]): [lines: string[], drops: Partial<Record<Drop, number>>] {
    this.sent();
    this.drops();
    this.rx(...frames);
    return [this.sent(), this.drops()];
  }
}
