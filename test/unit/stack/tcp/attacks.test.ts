import { Random } from '../../../../stack/base/random';
import { peek, Text } from '../../../../stack/tcp/calls';
import { END } from '../../../../stack/tcp/connection';
import * as f from '../ip/frames';
import { Lab } from '../ip/lab';
import { Flow } from '../ip/transports';
import { drops, everywhere, Ground, PLACES, receive } from './grounds';
import { established, type Harness } from './harness';

/*
 * What an ill-meaning peer, or somebody on the way, may try that no honest one does. Memory stays bounded, the connection
 * ends or goes on, and what the application reads was sent for that place in the stream.
 */

const ACK = 16;
const FIN = 1;
const URG = 32;

/** A peer that sends overlapping text whose copies differ, urgent pointers anywhere and FINs where none can be. */
class Liar {
  readonly t: Harness;
  private readonly random: Random;
  /** What was sent for each byte of the stream, as a set of values. */
  private readonly sent = new Map<number, Set<number>>();
  private readonly piece = new Text();
  private readUntil = 1;
  private readonly iss: number;

  constructor(
    private readonly g: Ground,
    seed: number,
  ) {
    this.random = new Random(seed);
    this.t = g.established({ seed }, { syn: 'mss 1000,sackOK,nop,nop,nop,wscale 7' });
    this.iss = this.t.c.iss;
  }

  get next(): number {
    return (this.t.c.rcvNxt - this.t.c.irs) >>> 0;
  }

  segment(seq: number, bytes: number, flags: number, urgentPointer = 0): void {
    const first = this.random.below(256);
    const text = Array.from({ length: bytes }, (_, i) => (first + 7 * i) & 255);
    for (const [i, value] of text.entries()) {
      const values = this.sent.get(seq + i) ?? new Set();
      this.sent.set(seq + i, values.add(value));
    }
    const frame = this.g.frame({ flags: ACK | flags, seq, iss: this.iss, ack: 1, text, window: 257 });
    const at = this.g.headers - 20;
    frame[at + 18] = urgentPointer >>> 8;
    frame[at + 19] = urgentPointer & 255;
    repairChecksum(frame, at, urgentPointer);
    receive(this.t, frame);
  }

  step(): void {
    const { random, next } = this;
    const seq = Math.max(1, next - 200 + random.below(random.chance(300_000) ? 210 : 3000));
    const flags = (random.chance(20_000) ? FIN : 0) | (random.chance(100_000) ? URG : 0);
    this.segment(seq, random.below(400), flags, random.below(random.chance(500_000) ? 400 : 65_536));
    if (random.chance(200_000)) this.read(random.below(2000));
    if (random.chance(100_000)) this.t.after(random.below(500));
    this.t.drain();
  }

  /** The application reads: each byte was once sent for its place. */
  read(most: number): void {
    const { t, piece } = this;
    while (most > 0 && peek(t.stack.tcp, t.c, piece)) {
      const bytes = Math.min(most, piece.end - piece.at);
      for (let i = 0; i < bytes; i++) {
        const value = piece.bytes[piece.at + i]!;
        if (this.sent.get(this.readUntil + i)?.has(value) !== true) throw new Error(`wrong at ${this.readUntil + i}`);
      }
      this.readUntil += bytes;
      most -= bytes;
      t.readSome(bytes);
    }
  }
}

/** The checksum of a segment whose urgent pointer was 0 when it was made. */
function repairChecksum(frame: Uint8Array, at: number, added: number): void {
  const sum = f.sum16([~frame[at + 16]! & 255, ~frame[at + 17]! & 255, ...f.word(added)]);
  frame.set(f.word(~sum & 0xffff), at + 16);
}

describe.each(PLACES)('overlapping text of different contents, $title', (place) => {
  test.each(Array.from({ length: 6 }, (_, i) => i + 1))('seed %d', (seed) => {
    const liar = new Liar(new Ground(place), seed);
    const { t } = liar;
    for (let i = 0; i < 200 && !t.c.finReceived; i++) liar.step();
    // It tells the truth at last: the holes are filled, and there is an end.
    for (let i = 0; i < 50 && !t.c.finReceived; i++) liar.segment(liar.next, 1000, 0);
    t.after(1000).drain();
    if (!t.c.finReceived) liar.segment(liar.next, 0, FIN);
    expect([t.c.state, t.signals & END, t.c.oooNodes]).toEqual(['CLOSE-WAIT', END, 0]);
    expect(drops(t, 'tcp-bad-checksum')).toBe(0);
    liar.read(Number.POSITIVE_INFINITY);
    expect([t.c.readable, t.c.charged]).toEqual([0, 0]);
    t.close().drain();
    expect([t.stack.tcp.store.inUse, t.stack.tcp.store.held]).toEqual([0, 0]);
  });
});

everywhere('a peer that acknowledges what is not so', (g) => {
  test('ACK division: a packet acknowledged byte by byte opens the window as one packet does', () => {
    const t = g.established({ profile: { tailLossProbe: false } }, { window: 2000 }).write(10_000);
    t.drain();
    for (let ack = 2; ack <= 1001; ack++) t.rx(`. 1:1(0) ack ${ack} win 2000`);
    expect(t.c.cwnd).toBeLessThanOrEqual(11);
  });

  test('optimistic ACKs: what was not sent yet cannot be acknowledged', () => {
    const t = g.established({}, { window: 2000 }).write(50_000);
    t.drain();
    const { cwnd } = t.c;
    for (let i = 0; i < 100; i++) t.rx(`. 1:1(0) ack ${40_000 + i} win 2000`);
    expect([t.c.cwnd, (t.c.sndUna - t.c.iss) >>> 0, drops(t, 'tcp-bad-ack')]).toEqual([cwnd, 1, 100]);
    // As many answers as challenges are allowed in a second.
    expect(t.drain().length).toBeLessThanOrEqual(10);
  });

  test('SACK reneging for ever: all is SACKed, nothing acknowledged; R2 ends it, the memory goes with it', () => {
    const t = g.established({}, { window: 2000 }).write(10_000);
    for (let i = 0; i < 100_000 && t.c.state !== 'CLOSED'; i++) {
      t.drain();
      t.rx('. 1:1(0) ack 1 win 2000 <nop,nop,sack 2:10001>').at(t.stack.nextDeadline() - 1_000_000);
    }
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ETIMEDOUT']]);
    expect([t.stack.tcp.sent.inUse, t.stack.blocks.inUse]).toEqual([0, 0]);
  });

  test('timestamps that leap by 2^31, either way, and echoes of what was never sent: the RTO stays one', () => {
    const t = established({}, { syn: 'mss 1000,sackOK,TS val 1000 ecr 0,nop,wscale 7', window: 2000 });
    const random = new Random(7);
    let acked = 1;
    for (let i = 0; i < 300; i++) {
      t.tryWrite(3000);
      t.after(random.below(200)).drain();
      acked = Math.min(acked + random.below(3000), (t.c.sndNxt - t.c.iss) >>> 0);
      const [val, ecr] = [random.int32() >>> 0, random.chance(300_000) ? 1000 : random.int32() >>> 0];
      receive(t, tsFrame(t, acked, val, ecr));
      expect(t.c.rto).toBeGreaterThanOrEqual(200);
      expect(t.c.rto).toBeLessThanOrEqual(120_000);
      expect(Number.isFinite(t.c.srtt + t.c.rttvar + t.c.minRtt)).toBe(true);
    }
    expect(t.errors).toEqual([]);
  });
});

/** An ACK with such a timestamp, which the notation would have to know the echo of. */
function tsFrame(t: Harness, ack: number, val: number, ecr: number): Uint8Array {
  const options = [1, 1, 8, 10, ...f.long(val), ...f.long(ecr)];
  return new Ground(PLACES[0]!).frame({ flags: ACK, seq: 1, iss: t.c.iss, ack, window: 2000, options });
}

describe.each([
  ['IPv4', '10.0.0.2', 552],
  ['IPv6', 'fd00::2', 1280],
])('too-big errors without end, %s', (_name, remote, least) => {
  test('every size from the link’s down to 0, again and again: no size below the least, and the text arrives', () => {
    const lab = new Lab();
    const t = new Flow(lab, remote).establish(9000).write(100_000);
    const seen = new Set<number>();
    for (let round = 0; round < 3; round++) {
      for (let mtu = 1500; mtu >= 0; mtu -= 5) {
        lab.rx(t.tooBig(mtu, 0));
        for (const { bytes } of lab.take()) seen.add(bytes.length);
      }
    }
    expect(t.c.path.mtu).toBe(least);
    expect(Math.min(...[...seen].filter((bytes) => bytes > 100))).toBeGreaterThanOrEqual(least - 80);
    for (let i = 0; i < 500 && t.c.sendBuffer.bytes > 0; i++) t.ack((t.c.sndNxt - t.c.iss - 1) | 0).lab.after(50);
    expect([t.c.sendBuffer.bytes, t.c.packetsOut, t.c.state]).toEqual([0, 0, 'ESTABLISHED']);
  });
});
