import type { Bytes } from '../../../../stack/base/bytes';
import { TX_BYTES } from '../../../../stack/base/tx-queue';
import * as f from '../ip/frames';
import { established, Harness, type HarnessOptions, type Opening } from './harness';

/** Where a conversation takes place: the family, and where the sequence numbers of both streams begin. */
export interface Place {
  readonly title: string;
  readonly family: 4 | 6;
  readonly iss?: number;
  readonly irs: number;
}

const BEFORE_WRAP = 0xffff_ffff - 4;
const BEFORE_SIGN = 0x7fff_ffff - 4;

/** Ordinary, where sequence numbers wrap around, where their sign turns as 32-bit integers, and over IPv6. */
export const PLACES: readonly Place[] = [
  { title: 'IPv4', family: 4, irs: 0 },
  { title: 'IPv4, numbers from 2^32 - 5', family: 4, iss: BEFORE_WRAP, irs: BEFORE_WRAP },
  { title: 'IPv4, numbers from 2^31 - 5', family: 4, iss: BEFORE_SIGN, irs: BEFORE_SIGN },
  { title: 'IPv6', family: 6, irs: 0 },
  { title: 'IPv6, numbers from 2^32 - 5', family: 6, iss: BEFORE_WRAP, irs: BEFORE_WRAP },
];

/** One place, with what tests need of it. A segment with SYN shows the wire's own numbers, every other one offsets. */
export class Ground {
  constructor(readonly place: Place) {}

  /** IP and TCP headers without options. */
  get headers(): number {
    return this.place.family === 4 ? 40 : 60;
  }

  get irs(): number {
    return this.place.irs;
  }

  /** "S 0:0(0)", wherever the peer's stream begins. */
  get syn(): string {
    return `${this.irs}:${this.irs}(0)`;
  }

  /** The acknowledgment of the peer's SYN, as a segment with SYN shows it. */
  get synAck(): number {
    return (this.irs + 1) >>> 0;
  }

  /** A number of the peer's stream as a segment with SYN shows it: `offset` 0 is its SYN's own. */
  raw(offset: number): number {
    return (this.irs + offset) >>> 0;
  }

  /** A segment of the peer as bytes; its numbers are offsets, of the stack's stream only once it has one. */
  frame(fields: f.TcpFields & { readonly iss?: number; readonly ip?: f.Ip4Fields }): Uint8Array {
    const four = this.place.family === 4;
    const ends = four ? { from: '192.0.2.1', to: '192.168.0.1' } : { from: '2001:db8:2::1', to: '2001:db8:1::1' };
    const seq = (this.irs + (fields.seq ?? 0)) >>> 0;
    const ack = ((fields.iss ?? 0) + (fields.ack ?? 0)) >>> 0;
    const body = f.tcp({ sport: 40_000, dport: 8080, ...fields, ...ends, seq, ack });
    return four ? f.ip4(f.TCP, body, { ...ends, ...fields.ip }) : f.ip6(f.TCP, body, ends);
  }

  harness(options: HarnessOptions = {}): Harness {
    return new Harness({ family: this.place.family, iss: this.place.iss, ...options });
  }

  listening(options: HarnessOptions = {}, backlog = 8): Harness {
    return this.harness(options).listen(backlog);
  }

  /** A SYN has been answered, which is claimed; the connection is in SYN-RECEIVED. */
  received(options: HarnessOptions = {}, syn = 'win 1000 <mss 1000,sackOK,nop,nop,nop,wscale 7>'): Harness {
    return this.listening(options).rx(`S ${this.syn} ${syn}`).tx(`S. 0:0(0) ack ${this.synAck} <...>`);
  }

  /** The connection is ESTABLISHED, the clock at 100 ms; nothing is to be claimed. */
  established(options: HarnessOptions = {}, opening: Opening = {}): Harness {
    const at = { family: this.place.family, iss: this.place.iss };
    return established({ ...at, ...options }, { irs: this.irs, ...opening });
  }

  /** The stack has sent a SYN, which is claimed. */
  connecting(options: HarnessOptions = {}): Harness {
    return this.harness(options).connect().tx('S 0:0(0) <...>');
  }

  /** The stack opened, the peer answered after 100 ms. */
  opened(options: HarnessOptions = {}, answer = 'win 65535 <mss 1000,sackOK,nop,nop,nop,wscale 7>'): Harness {
    const t = this.connecting(options).after(100);
    return t.rx(`S. ${this.syn} ack 1 ${answer}`).tx('. 1:1(0) ack 1');
  }
}

/** Every frame that the stack sends from here on, as its bytes. */
export function tapFrames(t: Harness): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const queue = t.iface.tx;
  const clear = queue.clear.bind(queue);
  queue.clear = () => {
    for (let i = 0, record = 0; i < queue.frames; i++, record = queue.next(record)) {
      const frame = new Uint8Array(queue.records[record + TX_BYTES]!);
      queue.copyFrame(record, frame, 0);
      frames.push(frame);
    }
    clear();
  };
  return frames;
}

/** The same tests in every place. */
export function everywhere(title: string, tests: (ground: Ground) => void): void {
  describe(title, () => {
    describe.each(PLACES)('$title', (place) => tests(new Ground(place)));
  });
}

/** A frame arrives that the notation cannot say. */
export function receive(t: Harness, frame: Bytes): Harness {
  const slab = t.stack.slabs.current;
  const at = (slab.fill + 3) & ~3;
  slab.bytes.set(frame, at);
  slab.fill = at + frame.length;
  const EPOCH_MS = 1_000_000;
  t.stack.receive(t.iface, slab, at, frame.length, false, 0, EPOCH_MS + t.nowMs);
  return t.at(t.nowMs);
}

/** How often a reason was counted since the stack began. */
export const drops = (t: Harness, reason: Parameters<Harness['stack']['drops']['count']>[0]): number =>
  t.stack.drops.counts[reason];
