import { send } from '../stack/tcp/calls';
import { RawPeers } from './raw-peers';
import { median } from './table';

/*
 * What idle TCP connections cost the core: bytes for each, and what they do to those that are busy.
 * node --expose-gc dist/benchmarks/idle.js [--idle 100000] [--rounds 7]
 */

const option = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};

const BUSY = 10;
const EXCHANGES = 20_000;
const response = new Uint8Array(200);

/** Objects and everything beside them, after the garbage collector has gone. */
function memory(): number {
  (globalThis as { gc?: () => void }).gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

class Lab {
  readonly peers = new RawPeers({}, {}, 65_536);
  /** Of each idle connection, once there were some. */
  bytes = Number.NaN;

  constructor(idle: number) {
    const { peers } = this;
    for (let i = 0; i < BUSY; i++) peers.open(i);
    this.exchanges(1000);
    if (idle <= BUSY) return;
    const before = memory();
    for (let i = BUSY; i < idle; i++) {
      const c = peers.open(i);
      // Each has been used: one request, one response.
      this.exchange(i, c);
      peers.segment(i, c.rcvNxt, c.sndNxt, 16);
    }
    peers.wait(5000);
    this.bytes = (memory() - before) / (idle - BUSY);
  }

  private exchange(i: number, c: ReturnType<RawPeers['open']>): void {
    const { peers } = this;
    peers.ask(i, c, 100);
    send(peers.stack.tcp, c, response, 0, response.length);
    peers.poll();
  }

  /** Nanoseconds of one request and its response on one of the busy connections. */
  exchanges(count: number): number {
    const { peers } = this;
    const busy = Array.from({ length: BUSY }, (_, i) => peers.connectionOf(i)!);
    const start = process.hrtime.bigint();
    for (let n = 0; n < count; n++) {
      if (n % 100 === 0) peers.now += 0.125;
      this.exchange(n % BUSY, busy[n % BUSY]!);
    }
    return Number(process.hrtime.bigint() - start) / count;
  }
}

const idle = option('idle', 100_000);
const rounds = option('rounds', 7);
const few = new Lab(BUSY);
const many = new Lab(idle);
const ratios: number[] = [];
const times: [number[], number[]] = [[], []];
for (let round = 0; round < rounds; round++) {
  const a = few.exchanges(EXCHANGES);
  const b = many.exchanges(EXCHANGES);
  times[0].push(a);
  times[1].push(b);
  ratios.push(b / a);
}
process.stdout.write(
  `${idle} idle connections: ${Math.round(many.bytes)} bytes each\n` +
    `one exchange: ${Math.round(median(times[0]))} ns beside ${BUSY} connections, ${Math.round(median(times[1]))} ns ` +
    `beside ${idle}: ratio ${median(ratios).toFixed(2)}\n`,
);
