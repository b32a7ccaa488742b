import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { enter } from '../lab';
import { median } from '../table';
import { CELLS, cellName, FLOW_BYTES, portOf, SEEDS_MAX, SEGMENT_BYTES } from './cells';

/*
 * npm run bench:lossy [-- --seeds 5 (at most 15)] [--cells 0,1,2] [--json]
 * Loss recovery against Linux: 10 MB through one and the same seeded emulator, the kernel's TCP and tapwire side by side
 * with the same seeds, the kernel receiving both. Prints medians and ratios of completion time, and packets sent.
 *
 *   ┌ left namespace ─────────────────────┐            ┌ right namespace ┐
 *   │ kernel sender        ── emu-l ──────┼─ emulator ─┼─ emu-r  kernel  │
 *   │ tapwire ── tl-cubic ── forwarded ┘  │            │        receiver │
 *   └─────────────────────────────────────┘            └─────────────────┘
 */

const EXTENSION = __filename.endsWith('.ts') ? '.ts' : '.js';
const file = (name: string): string => join(__dirname, name + EXTENSION);
const RECEIVER = '10.95.2.2';
/** The last byte of a sender's address tells the emulator's counters whose packets they are. */
const KERNEL_HOST = 2;
const TAPWIRE_HOSTS = { cubic: 12, bbr: 22 } as const;

const run = (command: string, ...args: string[]): void => {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

const children: ChildProcess[] = [];

/**
 * As root, children go ahead of everything else on the machine, and of each other: a kernel's TCP acts the moment a packet
 * comes, whoever runs, so ours must not wait for the emulator, nor the emulator's clock for the programs at the ends.
 */
const PRIORITIES = { tapwire: 30, emulator: 20, programs: 10 } as const;
const permitted = spawnSync('chrt', ['-r', '10', 'true']).status === 0;

function start(who: keyof typeof PRIORITIES, program: string, programArgs: readonly string[]): Promise<ChildProcess> {
  const ahead = permitted ? ['chrt', '-r', String(PRIORITIES[who])] : [];
  const [command, ...args] = [...ahead, program, ...programArgs] as [string, ...string[]];
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  // A listener for each flow that runs.
  child.setMaxListeners(0);
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}`)));
    child.once('message', () => {
      child.removeAllListeners('exit');
      resolve(child);
    });
  });
}

const node = (name: string, ...args: string[]): string[] => [...process.execArgv, file(name), ...args];

interface Lab {
  readonly emulator: ChildProcess;
  readonly kernel: ChildProcess;
  readonly tapwire: Readonly<Record<'cubic' | 'bbr', ChildProcess>>;
}

/** This process' namespace is the left one. */
async function lay(): Promise<Lab> {
  const holder = spawn('unshare', ['-n', 'sleep', '100000'], { stdio: 'ignore' });
  children.push(holder);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const right = (...args: string[]): void => run('nsenter', `--net=/proc/${holder.pid}/ns/net`, ...args);
  run('ip', 'link', 'set', 'lo', 'up');
  const emulator = await start('emulator', process.execPath, node('emulator'));
  run('ip', 'link', 'set', 'emu-r', 'netns', String(holder.pid));
  run('ip', 'address', 'add', '10.95.1.2/24', 'dev', 'emu-l');
  run('ip', 'link', 'set', 'emu-l', 'up');
  right('ip', 'address', 'add', `${RECEIVER}/24`, 'dev', 'emu-r');
  right('ip', 'link', 'set', 'emu-r', 'up');
  right('ip', 'route', 'add', 'default', 'dev', 'emu-r');
  for (const [name, value] of [
    ['ip_forward', '1'],
    // What one flow learned must not help or hinder the next.
    ['tcp_no_metrics_save', '1'],
  ]) {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, value!);
  }
  // The controller by port is not to be had from a route: one route for each.
  run('ip', 'route', 'add', `${RECEIVER}/32`, 'dev', 'emu-l', 'src', '10.95.1.2', 'congctl', 'cubic');
  await start('programs', 'nsenter', [`--net=/proc/${holder.pid}/ns/net`, process.execPath, ...node('receiver')]);
  const kernel = await start('programs', process.execPath, node('sender', RECEIVER, '--kernel'));
  const tapwire = async (congestion: 'cubic' | 'bbr', net: number): Promise<ChildProcess> => {
    const local = `10.95.${net}.${TAPWIRE_HOSTS[congestion]}/24`;
    const args = [
      '--tun',
      `tl-${congestion}`,
      '--local',
      local,
      '--gateway',
      `10.95.${net}.1`,
      '--congestion',
      congestion,
    ];
    return start('tapwire', process.execPath, node('sender', RECEIVER, ...args));
  };
  return { emulator, kernel, tapwire: { cubic: await tapwire('cubic', 3), bbr: await tapwire('bbr', 4) } };
}

/** Sends one flow and waits for its end. */
function race(child: ChildProcess, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (answer: unknown): void => {
      const { port: whose, ms, error } = answer as { port: number; ms: number; error?: string };
      if (whose !== port) return;
      child.off('message', done);
      if (error === undefined) resolve(ms);
      else reject(new Error(`port ${port}: ${error}`));
    };
    child.on('message', done);
    child.send(port);
  });
}

function counts(emulator: ChildProcess): Promise<Record<string, number>> {
  return new Promise((resolve) => {
    emulator.once('message', (answer) => resolve(answer as Record<string, number>));
    emulator.send('counts');
  });
}

const WARM_UP_FLOWS = 2;

/** With no more loss than this a flow takes as many packets a second as the emulator can carry. */
const FAST_PPM = 1000;

/** Programs that serve have run for a while: code that has never run is compiled during the first flows. */
async function warmUp(lab: Lab): Promise<void> {
  const port = portOf(0, SEEDS_MAX - 1);
  for (const sender of [lab.kernel, lab.tapwire.cubic, lab.tapwire.bbr]) {
    for (let flows = 0; flows < WARM_UP_FLOWS; flows++) await race(sender, port);
  }
}

interface Result {
  readonly cell: string;
  readonly linuxSeconds: number;
  readonly tapwireSeconds: number;
  readonly ratio: number;
  /** The median of the ratios of each seed: flows differ more between seeds than between stacks. */
  readonly ratioBySeed: number;
  readonly linuxPackets: number;
  readonly tapwirePackets: number;
  /** Seconds by seed. */
  readonly linux: readonly number[];
  readonly tapwire: readonly number[];
}

async function runCell(lab: Lab, cell: number, seeds: number): Promise<Result> {
  const { congestion, lossPpm } = CELLS[cell]!;
  const fast = lossPpm <= FAST_PPM;
  run('ip', 'route', 'replace', `${RECEIVER}/32`, 'dev', 'emu-l', 'src', '10.95.1.2', 'congctl', congestion);
  const times: { linux: number[]; tapwire: number[] } = { linux: [], tapwire: [] };
  const one = async (seed: number): Promise<void> => {
    const port = portOf(cell, seed);
    // Fast flows one after the other, or they would compete for this machine; slow ones at once.
    const linux = race(lab.kernel, port);
    if (fast) await linux;
    const tapwire = race(lab.tapwire[congestion], port);
    times.linux[seed] = (await linux) / 1000;
    times.tapwire[seed] = (await tapwire) / 1000;
  };
  const all = Array.from({ length: seeds }, (_, seed) => seed);
  if (fast) for (const seed of all) await one(seed);
  else await Promise.all(all.map(one));
  const sent = await counts(lab.emulator);
  const needed = Math.ceil(FLOW_BYTES / SEGMENT_BYTES);
  const packets = (host: number): number =>
    median(all.map((seed) => sent[`${portOf(cell, seed)} right ${host}`]! / needed));
  const linuxSeconds = median(times.linux);
  const tapwireSeconds = median(times.tapwire);
  return {
    cell: cellName(CELLS[cell]!),
    linuxSeconds,
    tapwireSeconds,
    ratio: tapwireSeconds / linuxSeconds,
    ratioBySeed: median(all.map((seed) => times.tapwire[seed]! / times.linux[seed]!)),
    linuxPackets: packets(KERNEL_HOST),
    tapwirePackets: packets(TAPWIRE_HOSTS[congestion]),
    ...times,
  };
}

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1]!;
}

async function main(): Promise<number> {
  const code = enter(process.argv.slice(1));
  if (code !== null) return code;
  const seeds = Math.min(SEEDS_MAX - 1, Number(option('seeds', '5')));
  const cells = option('cells', '') === '' ? CELLS.map((_, i) => i) : option('cells', '').split(',').map(Number);
  const lab = await lay();
  await warmUp(lab);
  const json = process.argv.includes('--json');
  if (!json)
    process.stdout.write(`${'path'.padEnd(48)}  linux s  tapwire s  ratio  by seed  sent/needed: linux, tapwire\n`);
  for (const cell of cells) {
    const r = await runCell(lab, cell, seeds);
    if (json) {
      process.stdout.write(`${JSON.stringify(r)}\n`);
      continue;
    }
    const figures = [
      r.linuxSeconds.toFixed(2).padStart(7),
      r.tapwireSeconds.toFixed(2).padStart(9),
      r.ratio.toFixed(2).padStart(5),
      r.ratioBySeed.toFixed(2).padStart(7),
    ];
    process.stdout.write(
      `${r.cell.padEnd(48)}  ${figures.join('  ')}  ${r.linuxPackets.toFixed(3)}, ${r.tapwirePackets.toFixed(3)}\n`,
    );
  }
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
