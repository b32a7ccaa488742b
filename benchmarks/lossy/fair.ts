import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { enter } from '../lab';
import { type Flows, jain } from './fair-flows';

/*
 * node dist/benchmarks/lossy/fair.js [--who linux|tapwire] [--congestion cubic] [--flows 64] [--rtt 50-150] [--from 30]
 *   [--seconds 60]
 * How evenly flows share one link of 200 Mbit/s with 64 KiB of queue, in real time, through TUN devices: those of the
 * kernel, or of tapwire. test/sim/bottleneck.ts is the same in virtual time, for tapwire alone. Root.
 */

const EXTENSION = __filename.endsWith('.ts') ? '.ts' : '.js';
const RECEIVER = '10.95.2.2';
const children: ChildProcess[] = [];
/** As in run.ts: the link goes ahead of the programs, so that its clock is right. */
const permitted = spawnSync('chrt', ['-r', '10', 'true']).status === 0;

const run = (command: string, ...args: string[]): void => {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

function start(priority: number, before: readonly string[], name: string, ...args: string[]): Promise<ChildProcess> {
  const ahead = permitted ? ['chrt', '-r', String(priority)] : [];
  const program = [process.execPath, ...process.execArgv, join(__dirname, name + EXTENSION), ...args];
  const [command, ...rest] = [...ahead, ...before, ...program] as [string, ...string[]];
  const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
    child.once('message', () => {
      child.removeAllListeners('exit');
      resolve(child);
    });
  });
}

const ask = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as T));
    child.send('say');
  });

const seconds = (n: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, n * 1000));

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1]!;
}

async function main(): Promise<number> {
  const code = enter(process.argv.slice(1));
  if (code !== null) return code;
  const [first, last] = option('rtt', '50-150').split('-').map(Number);
  const flows: Flows = { count: Number(option('flows', '64')), rtt: [first!, last ?? first!] };
  const who = option('who', 'linux');
  const congestion = option('congestion', 'cubic');
  const holder = spawn('unshare', ['-n', 'sleep', '100000'], { stdio: 'ignore' });
  children.push(holder);
  await seconds(0.3);
  const inside = ['nsenter', `--net=/proc/${holder.pid}/ns/net`];
  const right = (...args: string[]): void => run('nsenter', inside[1]!, ...args);
  run('ip', 'link', 'set', 'lo', 'up');
  const link = await start(20, [], 'fair-link', JSON.stringify(flows));
  run('ip', 'link', 'set', 'emu-r', 'netns', String(holder.pid));
  run('ip', 'address', 'add', '10.95.1.2/24', 'dev', 'emu-l');
  run('ip', 'link', 'set', 'emu-l', 'up');
  right('ip', 'address', 'add', `${RECEIVER}/24`, 'dev', 'emu-r');
  right('ip', 'link', 'set', 'emu-r', 'up');
  right('ip', 'route', 'add', 'default', 'dev', 'emu-r');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  run('ip', 'route', 'add', `${RECEIVER}/32`, 'dev', 'emu-l', 'src', '10.95.1.2', 'congctl', congestion);
  const receiver = await start(10, inside, 'fair-receiver', String(flows.count));
  const how = who === 'linux' ? ['--kernel'] : [congestion, '10.95.3.12', '10.95.3.1'];
  const sender = await start(who === 'linux' ? 10 : 30, [], 'fair-sender', RECEIVER, String(flows.count), ...how);
  sender.send('begin');
  await seconds(Number(option('from', '30')));
  await Promise.all([ask(receiver), ask(link)]);
  const began = performance.now();
  await seconds(Number(option('seconds', '60')));
  const [bytes, { lost, sent }] = await Promise.all([
    ask<number[]>(receiver),
    ask<{ lost: number; sent: number }>(link),
  ]);
  const span = (performance.now() - began) / 1000;
  const rates = bytes.map((n) => n / span / 1e6);
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  process.stdout.write(
    `${who} ${congestion}, ${flows.count} flows, ${option('rtt', '50-150')} ms: ${total.toFixed(2)} MB/s, ` +
      `Jain ${jain(rates).toFixed(3)}, ${Math.min(...rates).toFixed(2)} to ${Math.max(...rates).toFixed(2)} MB/s each, ` +
      `${((100 * lost) / sent).toFixed(2)} % lost\n`,
  );
  if (process.argv.includes('--each')) process.stdout.write(`${rates.map((rate) => rate.toFixed(2)).join(' ')}\n`);
  return 0;
}

main()
  .catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    return 1;
  })
  .then((code) => {
    for (const child of children) child.kill('SIGKILL');
    process.exit(code);
  });
