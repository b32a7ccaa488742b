import { enter } from '../lab';
import { Options } from '../options';
import { type Flows, jain } from './fair-flows';
import { ask, finish, lay, node, RECEIVER, seconds, start } from './two-sides';

/*
 * How evenly flows share one link of 200 Mbit/s with 64 KiB of queue, in real time, through TUN devices: those of the
 * kernel, or of tapwire. test/sim/bottleneck.ts is the same in virtual time, for tapwire alone.
 */

const USAGE = `node dist/benchmarks/lossy/fair.js [OPTIONS]
  --who linux|tapwire  whose flows (linux)
  --congestion NAME    their controller (cubic)
  --flows N            how many (64)
  --rtt 50-150         their round trips, in ms
  --from S             what is before this second does not count (30)
  --seconds S          how long they are watched (60)
  --each               the rate of each flow, too
Needs root, /dev/net/tun, iproute2 and util-linux.`;

async function main(): Promise<number> {
  const options = new Options(USAGE, ['who', 'congestion', 'flows', 'rtt', 'from', 'seconds'], ['each']);
  const rtt = options.text('rtt', '50-150');
  const [first, last] = rtt.split('-').map(Number);
  const flows: Flows = { count: options.number('flows', 64), rtt: [first!, last ?? first!] };
  const isLinux = options.text('who', 'linux') === 'linux';
  const who = isLinux ? 'linux' : 'tapwire';
  const congestion = options.text('congestion', 'cubic');
  const code = enter(process.argv.slice(1));
  if (code !== null) return code;
  const { emulator: link, inside } = await lay(node('fair-link', JSON.stringify(flows)), congestion);
  const receiver = await start('programs', [...inside, ...node('fair-receiver', String(flows.count))]);
  const how = isLinux ? ['--kernel'] : [congestion, '10.95.3.12', '10.95.3.1'];
  const sender = await start(
    isLinux ? 'programs' : 'tapwire',
    node('fair-sender', RECEIVER, String(flows.count), ...how),
  );
  sender.send('begin');
  await seconds(options.number('from', 30));
  await Promise.all([ask(receiver, 'say'), ask(link, 'say')]);
  const began = performance.now();
  await seconds(options.number('seconds', 60));
  const [bytes, { lost, sent }] = await Promise.all([
    ask<number[]>(receiver, 'say'),
    ask<{ lost: number; sent: number }>(link, 'say'),
  ]);
  const span = (performance.now() - began) / 1000;
  const rates = bytes.map((n) => n / span / 1e6);
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  process.stdout.write(
    `${who} ${congestion}, ${flows.count} flows, ${rtt} ms: ${total.toFixed(2)} MB/s, ` +
      `Jain ${jain(rates).toFixed(3)}, ${Math.min(...rates).toFixed(2)} to ${Math.max(...rates).toFixed(2)} MB/s each, ` +
      `${((100 * lost) / sent).toFixed(2)} % lost\n`,
  );
  if (options.flag('each')) process.stdout.write(`${rates.map((rate) => rate.toFixed(2)).join(' ')}\n`);
  return 0;
}

finish(main);
