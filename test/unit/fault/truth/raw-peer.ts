/** A TCP that does only what it is told, segment by segment: the other end of every row of the truth table. */
import { ACK, FIN, flagLetters, PSH, RST, Segment, SYN } from '../../../../fault/segment';

/** What a peer needs of the wire that it is on. */
export interface PeerWire {
  /** Sends a frame to the host under test. */
  send(frame: Uint8Array): void;
  /** Milliseconds pass on the clock of the wire. */
  sleep(ms: number): Promise<void>;
}

/** Longer than a turn of a busy program's loop. */
const GAP_MS = 60;
const ISN = 1000;
const WINDOW = 65_535;

const address = (text: string): number[] => text.split('.').map(Number);

/** A first SYN out of nothing: IPv4 and TCP headers without options. */
function synFrom(source: string, sourcePort: number, to: string, port: number): Segment {
  const b = new Uint8Array(40);
  b.set([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, ...address(source), ...address(to)]);
  b.set([sourcePort >> 8, sourcePort & 255, port >> 8, port & 255], 20);
  b[32] = 0x50;
  const made = Segment.read(b, 'ip')!;
  made.seq = ISN;
  made.flags = SYN;
  made.window = WINDOW;
  return made.seal();
}

export class RawPeer {
  /** Flags of all that came, in order: "S", "A", "PA", "FA", "RA". */
  readonly flags: string[] = [];
  /** When each came, by the clock of whoever listens. */
  onSegment: ((segment: Segment) => void) | null = null;
  received = '';
  /** No more than these are acknowledged by themselves; `mute` stops even that. */
  private muted = false;
  private last: Segment | null = null;
  private toward: Segment | null = null;
  private sndNxt = ISN;
  private rcvNxt = 0;
  /** What the other end has acknowledged. */
  private una = ISN;
  private waiters: (() => void)[] = [];

  constructor(private readonly wire: PeerWire) {}

  // ── what comes ──

  arrives(segment: Segment): void {
    this.last = segment.copy();
    this.flags.push(flagLetters(segment.flags));
    this.onSegment?.(this.last);
    if (segment.has(SYN)) this.rcvNxt = (segment.seq + 1) | 0;
    if (segment.has(ACK) && ((segment.ack - this.una) | 0) > 0) this.una = segment.ack;
    const fresh = segment.seq === this.rcvNxt && segment.length + (segment.has(FIN) ? 1 : 0) > 0;
    if (fresh) {
      const text = segment.frame.subarray(segment.textAt, segment.end);
      this.received += Buffer.from(text).toString('latin1');
      this.rcvNxt = (segment.seq + segment.length + (segment.has(FIN) ? 1 : 0)) | 0;
    }
    if (fresh && !this.muted) this.ack();
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  /** Resolves when `test` holds after a segment, or at once. */
  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Nothing is acknowledged any more. */
  mute(): void {
    this.muted = true;
  }

  count(flags: string): number {
    return this.flags.filter((seen) => seen === flags).length;
  }

  /** Resolves when the other end's TCP has taken all that was sent. */
  taken(): Promise<void> {
    return this.until(() => ((this.una - this.sndNxt) | 0) >= 0);
  }

  // ── what goes ──

  private emit(flags: number, text = '', off = 0): void {
    const template = this.toward ?? this.last!.reply(ACK, 0, 0, WINDOW);
    const bytes = Buffer.from(text, 'latin1');
    const made = template.rebuild(flags, (this.sndNxt + off) | 0, (flags & ACK) === 0 ? 0 : this.rcvNxt, bytes, false);
    made.window = this.window;
    this.wire.send(made.seal().frame.slice());
    if (off === 0) this.sndNxt = (this.sndNxt + bytes.length + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) | 0;
  }
  window = WINDOW;

  ack(): void {
    this.emit(ACK);
  }
  send(text: string): void {
    this.emit(PSH | ACK, text);
  }
  fin(text = ''): void {
    this.emit(FIN | ACK | (text === '' ? 0 : PSH), text);
  }
  /** Exact, or `off` further on. */
  rst(off = 0): void {
    this.emit(RST | ACK, '', off);
  }
  /** The answer to a SYN by a closed port. */
  refuse(): void {
    this.wire.send(this.last!.reply(RST | ACK, 0, this.rcvNxt, 0).frame.slice());
  }
  synAck(): void {
    this.emit(SYN | ACK);
  }
  /** A SYN of a new connection on the same ports, whose number is `off` from the next of the old one. */
  syn2(off: number): void {
    this.emit(SYN, '', off);
  }
  /** A SYN on a connection that stands. */
  straySyn(): void {
    this.emit(SYN, '', 5000);
  }
  /** About the last segment that came. */
  icmp(type: number, code: number): void {
    this.wire.send(this.last!.icmpError(type, code, 0).slice());
  }

  // ── steps ──

  /** What follows comes in a wake-up of its own. */
  gap(ms = GAP_MS): Promise<void> {
    return this.wire.sleep(ms);
  }
  syn(): Promise<void> {
    return this.until(() => this.count('S') > 0);
  }
  async accept(): Promise<void> {
    await this.syn();
    this.synAck();
    await this.until(() => this.flags.some((flags) => flags.includes('A')));
  }
  /** Waits until what came has this many heads in it. */
  request(n = 1): Promise<void> {
    return this.until(() => this.received.split('\r\n\r\n').length > n);
  }
  /** Opens a connection to a server of the host under test; unless it is to `finish`, all but the last ACK of it. */
  async dial(from: string, sourcePort: number, to: string, port: number, finish = true): Promise<void> {
    const syn = synFrom(from, sourcePort, to, port);
    this.toward = syn;
    this.wire.send(syn.frame.slice());
    this.sndNxt = (ISN + 1) | 0;
    await this.until(() => this.count('SA') > 0);
    if (finish) this.ack();
  }
}
