import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Scheduler } from '../../sim/scheduler';
import { type Address, parseAddress, parseCidr } from '../../stack/base/address';
import { type Millis, NEVER, u16 } from '../../stack/base/bytes';
import { Random } from '../../stack/base/random';
import { TX_BYTES } from '../../stack/base/tx-queue';
import type { Interface } from '../../stack/ip/interface';
import { DEFAULT_CONFIG, Stack } from '../../stack/stack';
import * as calls from '../../stack/tcp/calls';
import { type Connection, type ConnectionOwner, READABLE } from '../../stack/tcp/connection';
import type { Listener, ListenerOwner } from '../../stack/tcp/listener';
import { LINUX, type TcpProfile } from '../../stack/tcp/profile';

/*
 * Flows that share one slow link with a short queue, in virtual time: how fast are they together, and how evenly do they
 * share it? As a command:
 *     node -r ./test/typescript.cjs test/sim/bottleneck.ts [--flows N,...] [--rtt MIN-MAX,...] [--congestion NAME,...]
 *       [--from S] [--seconds S] [--seed N] [--step MS]
 * One line of a Markdown table for each: FAIRNESS.md has those of the usual ones. With --share OPTIONS, as JSON, the shares of one
 * run, as JSON.
 */

export interface BottleneckOptions {
  readonly flows: number;
  /** How long they send, in virtual milliseconds, and from when on it counts: flows need time to find their shares. */
  readonly forMs: Millis;
  readonly fromMs?: Millis;
  /** Bytes a millisecond, and bytes that may wait; what does not fit is lost. */
  readonly rate: number;
  readonly queueBytes: number;
  /** The round trips of the flows, spread evenly from the first to the last. */
  readonly rttMs: readonly [Millis, Millis];
  /** The senders run at multiples of so many milliseconds only, as where a timer is no more exact. Default 0: any time. */
  readonly stepMs?: Millis;
  readonly seed?: number;
  readonly profile?: Partial<TcpProfile>;
}

export interface Shares {
  /** Bytes a second that each flow got across. */
  readonly rates: readonly number[];
  readonly total: number;
  /** Jain's index: 1 when all are equal, 1/n when one has everything. */
  readonly jain: number;
  readonly lost: number;
  readonly sent: number;
}

const FIRST_PORT = 10_000;
const SERVER_PORT = 80;
/** Flows begin at some moment of the first second. */
const BEGIN_WITHIN_MS = 1000;
const BLOCK = new Uint8Array(65_536).fill(0x61);

/** One of the two hosts, at either end of the link. */
class End implements ConnectionOwner, ListenerOwner {
  readonly stack: Stack;
  readonly iface: Interface;
  readonly received = new Map<number, number>();
  private readonly text = new calls.Text();
  private wakeAt: Millis = NEVER;
  private turnAt: Millis = -1;

  constructor(
    readonly address: Address,
    private readonly link: SharedLink,
    profile: TcpProfile,
    seed: number,
    /** Length of the steps in which it runs; 0: at any time. */
    readonly steps: Millis,
    private readonly transmit: (frame: Uint8Array) => void,
  ) {
    this.stack = new Stack({ ...DEFAULT_CONFIG, seed, profile });
    this.iface = this.stack.addInterface({
      name: 'link',
      link: 'ip',
      mtu: 1500,
      mac: null,
      addresses: [parseCidr(`${address}/24`)!],
      checksumOffload: false,
      tso4: false,
      tso6: false,
    });
  }

  onAcceptable(listener: Listener): void {
    for (const c of listener.accepted.splice(0)) {
      c.owner = this;
      this.stack.tcp.signal(c, READABLE);
    }
  }

  /** A sender writes whatever fits; a receiver reads all. */
  onSignals(c: Connection): void {
    const { tcp } = this.stack;
    while (calls.peek(tcp, c, this.text)) {
      const bytes = this.text.end - this.text.at;
      this.received.set(c.remotePort, (this.received.get(c.remotePort) ?? 0) + bytes);
      calls.consume(tcp, c, bytes, this.link.now);
    }
    if (!c.passive) while (calls.send(tcp, c, BLOCK, 0, BLOCK.length) === BLOCK.length);
  }

  arrives(frame: Uint8Array): void {
    const slab = this.stack.slabs.current;
    const at = (slab.fill + 3) & ~3;
    slab.bytes.set(frame, at);
    slab.fill = at + frame.length;
    this.stack.receive(this.iface, slab, at, frame.length, true, 0, this.link.now);
    if (this.steps > 0) this.turnAfterAll();
    else this.turn();
    if (!this.stack.rotateSlab()) throw new Error('a receiver that reads everything has no memory left');
  }

  /** What arrives in one step is one batch. */
  private turnAfterAll(): void {
    if (this.turnAt === this.link.now) return;
    this.turnAt = this.link.now;
    this.link.scheduler.at(this.turnAt, () => this.turn());
  }

  /** Tells the application, sends what is due, and arms the timer. */
  turn(): void {
    for (let all = false; !all; ) {
      this.tell();
      all = this.stack.poll(this.link.now);
      const queue = this.iface.tx;
      for (let i = 0, r = 0; i < queue.frames; i++, r = queue.next(r)) {
        const frame = new Uint8Array(queue.records[r + TX_BYTES]!);
        queue.copyFrame(r, frame, 0);
        this.transmit(frame);
      }
      queue.clear();
    }
    const next = this.stack.nextDeadline();
    const at = this.steps > 0 ? Math.ceil(next / this.steps) * this.steps : next;
    if (at >= this.wakeAt) return;
    this.wakeAt = at;
    this.link.scheduler.at(at, () => {
      if (this.wakeAt > this.link.now) return;
      this.wakeAt = NEVER;
      this.turn();
    });
  }

  private tell(): void {
    const { tcp } = this.stack;
    for (let l = tcp.acceptable.take(); l !== null; l = tcp.acceptable.take()) {
      l.signalled = false;
      this.onAcceptable(l);
    }
    for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) {
      c.signals = 0;
      this.onSignals(c);
    }
  }
}

/** A drop-tail queue in front of a slow wire one way, a fast wire the other; each flow has a round trip of its own. */
class SharedLink {
  readonly scheduler = new Scheduler();
  readonly sender: End;
  readonly receiver: End;
  private busyUntil: Millis = 0;
  private queued = 0;
  lost = 0;
  sent = 0;

  constructor(readonly options: BottleneckOptions) {
    const profile = { ...LINUX, ...options.profile };
    const seed = 2 * (options.seed ?? 1);
    this.sender = new End(parseAddress('10.0.0.1')!, this, profile, seed, options.stepMs ?? 0, (frame) =>
      this.forward(frame),
    );
    this.receiver = new End(parseAddress('10.0.0.2')!, this, profile, seed + 1, 0, (frame) => this.back(frame));
  }

  get now(): Millis {
    return this.scheduler.now;
  }

  private oneWay(port: number): Millis {
    const [first, last] = this.options.rttMs;
    const step = this.options.flows > 1 ? (last - first) / (this.options.flows - 1) : 0;
    return (first + (port - FIRST_PORT) * step) / 2;
  }

  private forward(frame: Uint8Array): void {
    this.sent++;
    if (this.queued + frame.length > this.options.queueBytes) {
      this.lost++;
      return;
    }
    this.queued += frame.length;
    this.busyUntil = Math.max(this.busyUntil, this.now) + frame.length / this.options.rate;
    const delay = this.oneWay(u16(frame, 20));
    this.scheduler.at(this.busyUntil, () => {
      this.queued -= frame.length;
      this.scheduler.at(this.now + delay, () => this.receiver.arrives(frame));
    });
  }

  private back(frame: Uint8Array): void {
    const { steps } = this.sender;
    const at = this.now + this.oneWay(u16(frame, 22));
    this.scheduler.at(steps > 0 ? Math.ceil(at / steps) * steps : at, () => this.sender.arrives(frame));
  }

  open(): void {
    const { sender, receiver, scheduler, options } = this;
    const listener = calls.listen(receiver.stack.tcp, null, 0, SERVER_PORT, options.flows);
    if (typeof listener === 'string') throw new Error(listener);
    const random = new Random(options.seed ?? 1);
    for (let i = 0; i < options.flows; i++) {
      // Not all in one moment, as no flows ever do.
      scheduler.at(random.below(BEGIN_WITHIN_MS), () => {
        const c = calls.connect(
          sender.stack.tcp,
          receiver.address,
          SERVER_PORT,
          null,
          FIRST_PORT + i,
          sender,
          this.now,
        );
        if (typeof c === 'string') throw new Error(c);
        sender.turn();
      });
    }
  }
}

/** Lets the flows send for a while, and says what each of them got. */
export function share(options: BottleneckOptions): Shares {
  const link = new SharedLink(options);
  link.open();
  const { received } = link.receiver;
  const fromMs = options.fromMs ?? 0;
  while (link.scheduler.nextAt <= fromMs && link.scheduler.step());
  received.clear();
  while (link.scheduler.nextAt <= options.forMs && link.scheduler.step());
  const seconds = (options.forMs - fromMs) / 1000;
  const rates = Array.from({ length: options.flows }, (_, i) => (received.get(FIRST_PORT + i) ?? 0) / seconds);
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  const squares = rates.reduce((sum, rate) => sum + rate * rate, 0);
  return { rates, total, jain: (total * total) / (options.flows * squares), lost: link.lost, sent: link.sent };
}

/** 200 Mbit/s, and 64 KiB that may wait. */
export const SHARED = { rate: 25_000, queueBytes: 65_536 } as const;

/**
 * The same in a process of its own. Jest runs tests in contexts in which a look at Math or Infinity takes three times as long as
 * all the rest of such a run.
 */
export function shareApart(options: BottleneckOptions): Shares {
  const args = ['-r', './test/typescript.cjs', 'test/sim/bottleneck.ts', '--share', JSON.stringify(options)];
  return JSON.parse(
    execFileSync(process.execPath, args, { cwd: join(__dirname, '..', '..'), encoding: 'utf8' }),
  ) as Shares;
}

function main(words: readonly string[]): void {
  const [first, options] = words;
  if (first === '--share') return console.log(JSON.stringify(share(JSON.parse(options!) as BottleneckOptions)));
  const list = (name: string, usual: string): string[] => {
    const at = words.indexOf(`--${name}`);
    return (at < 0 ? usual : (words[at + 1] ?? usual)).split(',');
  };
  const [fromMs, forMs] = [1000 * Number(list('from', '30')[0]), 1000 * Number(list('seconds', '120')[0])] as const;
  const seed = Number(list('seed', '1')[0]);
  const stepMs = Number(list('step', '0')[0]);
  for (const congestion of list('congestion', 'cubic')) {
    for (const rtt of list('rtt', '50-150')) {
      const [first, last] = rtt.split('-').map(Number);
      const rttMs = [first!, last ?? first!] as const;
      for (const flows of list('flows', '1,2,4,8,16,32,64').map(Number)) {
        const shares = share({ ...SHARED, flows, rttMs, fromMs, forMs, seed, stepMs, profile: { congestion } });
        console.log(`| ${[congestion, `${rtt} ms`, flows, ...figures(shares)].join(' | ')} |`);
      }
    }
  }
}

function figures({ rates, total, jain, lost, sent }: Shares): string[] {
  const mega = (rate: number): string => (rate / 1e6).toFixed(2);
  const each = `${mega(Math.min(...rates))} to ${mega(Math.max(...rates))}`;
  return [mega(total), jain.toFixed(3), each, `${((100 * lost) / sent).toFixed(1)} %`];
}

if (require.main === module) main(process.argv.slice(2));
