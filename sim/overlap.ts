import type { LinkType } from '../device/device';
import { type Bytes, i32, put16, put32, u8, u16 } from '../stack/base/bytes';
import { checksum, finish, sum } from '../stack/base/checksum';
import { Random } from '../stack/base/random';
import { findParts, Parts } from '../tools/pcap/complete';
import { ACK, FIN, RST, SYN } from './forge';
import type { Fate, Link } from './link';
import type { FaultPlan } from './plan';
import type { SimDevice } from './sim-device';
import type { World } from './world';

export type OverlapPlan = Extract<FaultPlan, { kind: 'overlap' }>;

const TCP = 6;
const CWR = 0x80;
const URG = 0x20;
const TCP_CHECKSUM = 16;
/** Segments of one direction that are remembered. */
const REMEMBERED = 32;

/** What was seen of one direction of a connection. */
interface Stream {
  /** By sequence number. */
  readonly segments: Map<number, Bytes>;
  /** The number behind the last of them. */
  end: number;
  last: number;
}

const parts = new Parts();

/**
 * Sends text once more in other pieces, as senders that cut anew and boxes that join segments do: each overlaps what the
 * receiver has, or will get, in part. 'same': across the border of two segments, with their bytes, before the second one
 * arrives. 'other': what the receiver has acknowledged with other bytes, and behind that the right ones.
 */
export class Overlapper {
  private left: number;
  private framesUntilNext = 0;
  private readonly streams = new Map<string, Stream>();
  private readonly random: Random;

  constructor(
    private readonly world: World,
    private readonly link: Link,
    private readonly plan: OverlapPlan,
  ) {
    this.left = plan.count;
    this.random = new Random(world.seed ^ 0x6f76_6572);
  }

  /** Told of every frame. */
  watch(link: Link, from: SimDevice, fate: Fate, frame: Bytes): void {
    if (link !== this.link || fate !== 'sent' || this.left === 0 || this.world.now < this.plan.atMs) return;
    if (!findParts(frame, 0, frame.length, link.linkType === 'ethernet', parts) || parts.protocol !== TCP) return;
    const t = parts.transportAt;
    const flags = u8(frame, t + 13);
    const [mine, theirs] = [u16(frame, t), u16(frame, t + 2)];
    const there = `${from.name} ${mine} ${theirs}`;
    const back = `${theirs} ${mine}`;
    if ((flags & (SYN | RST)) !== 0) return this.forget(there, back);
    const before = this.streams.get(there);
    const text = textOf(frame);
    const seq = i32(frame, t + 4);
    let made: Bytes | null = null;
    if (this.framesUntilNext-- <= 0) {
      if (this.plan.bytes === 'same') made = before === undefined ? null : this.across(before, frame, seq, text);
      else if ((flags & ACK) !== 0) made = this.falsify(back, from, i32(frame, t + 8));
      if (made !== null) this.framesUntilNext = this.plan.everyFrames;
    }
    if (text > 0 && (flags & (FIN | URG)) === 0) this.remember(there, frame, seq, text);
    if (made === null) return;
    this.left--;
    const to = link.ends.find((end) => (this.plan.bytes === 'same' ? end !== from : end === from));
    if (to !== undefined) this.world.at(this.world.now, () => link.inject(to, made));
  }

  /** A connection begins or is over: its numbers may mean something else from here on. */
  private forget(there: string, back: string): void {
    for (const key of [...this.streams.keys()]) if (key === there || key.endsWith(` ${back}`)) this.streams.delete(key);
  }

  private remember(key: string, frame: Bytes, seq: number, text: number): void {
    let stream = this.streams.get(key);
    if (stream === undefined) {
      stream = { segments: new Map(), end: 0, last: 0 };
      this.streams.set(key, stream);
    }
    const { segments } = stream;
    segments.delete(seq);
    if (segments.size === REMEMBERED) segments.delete(segments.keys().next().value!);
    // A copy: the link may damage what it carries.
    segments.set(seq, frame.slice());
    stream.last = seq;
    stream.end = (seq + text) | 0;
  }

  /** The end of the segment before `frame`, and the beginning of `frame`. */
  private across(before: Stream, frame: Bytes, seq: number, text: number): Bytes | null {
    const first = before.segments.get(before.last);
    if (text === 0 || first === undefined || before.end !== seq) return null;
    const { linkType } = this.link;
    const old = bytesOf(first, linkType);
    const most = Math.max(text, old.length);
    const a = 1 + this.random.below(Math.min(old.length, Math.max(1, most - 1)));
    const b = 1 + this.random.below(Math.max(1, Math.min(text, most - a)));
    const bytes = new Uint8Array(a + b);
    bytes.set(old.subarray(old.length - a));
    bytes.set(bytesOf(frame, linkType).subarray(0, b), a);
    return withText(frame, linkType, (seq - a) | 0, bytes);
  }

  /** `from` acknowledges up to `ack`: the segment that begins there, with other bytes than it had before that. */
  private falsify(back: string, from: SimDevice, ack: number): Bytes | null {
    for (const [key, stream] of this.streams) {
      if (!key.endsWith(` ${back}`) || key.startsWith(`${from.name} `)) continue;
      const next = stream.segments.get(ack);
      if (next === undefined) continue;
      const right = bytesOf(next, this.link.linkType);
      const a = 1 + this.random.below(Math.max(1, right.length - 1));
      const b = Math.max(1, right.length - a);
      const bytes = new Uint8Array(a + b);
      for (let i = 0; i < a; i++) bytes[i] = this.random.below(256);
      bytes.set(right.subarray(0, b), a);
      return withText(next, this.link.linkType, (ack - a) | 0, bytes);
    }
    return null;
  }
}

/** How much text the TCP frame has whose parts were just found. */
const textOf = (frame: Bytes): number => Math.max(0, parts.end - textAtOf(frame));

const textAtOf = (frame: Bytes): number => parts.transportAt + (u8(frame, parts.transportAt + 12) >>> 4) * 4;

function bytesOf(frame: Bytes, linkType: LinkType): Bytes {
  findParts(frame, 0, frame.length, linkType === 'ethernet', parts);
  return frame.subarray(textAtOf(frame), parts.end);
}

/** The headers of a TCP frame around other text. */
function withText(frame: Bytes, linkType: LinkType, seq: number, text: Bytes): Bytes {
  findParts(frame, 0, frame.length, linkType === 'ethernet', parts);
  const { ipAt, transportAt, version } = parts;
  const textAt = textAtOf(frame);
  const made = new Uint8Array(textAt + text.length);
  made.set(frame.subarray(0, textAt));
  made.set(text, textAt);
  let addresses: number;
  if (version === 4) {
    put16(made, ipAt + 2, made.length - ipAt);
    put16(made, ipAt + 10, 0);
    put16(made, ipAt + 10, checksum(made, ipAt, transportAt, 0));
    addresses = sum(made, ipAt + 12, ipAt + 20, 0);
  } else {
    put16(made, ipAt + 4, made.length - transportAt);
    addresses = sum(made, ipAt + 8, ipAt + 40, 0);
  }
  put32(made, transportAt + 4, seq);
  made[transportAt + 13] = u8(made, transportAt + 13) & ~(FIN | CWR);
  put16(made, transportAt + TCP_CHECKSUM, 0);
  const pseudo = addresses + TCP + (made.length - transportAt);
  put16(made, transportAt + TCP_CHECKSUM, finish(sum(made, transportAt, made.length, pseudo)));
  return made;
}
