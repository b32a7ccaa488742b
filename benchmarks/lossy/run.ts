import type { ChildProcess } from 'node:child_process';
import { enter } from '../lab';
import { Options } from '../options';
import { median } from '../table';
import { CELLS, cellName, FLOW_BYTES, portOf, SEEDS_MAX, SEGMENT_BYTES } from './cells';
import { ask, finish, lay, leftCongestion, node, RECEIVER, start } from './two-sides';

/*
 * Loss recovery against Linux: 10 MB through one and the same seeded emulator, the kernel's TCP and tapwire side by side
 * with the same seeds, the kernel receiving both. Prints medians and ratios of completion time, and packets sent.
 *
 *   ┌ left namespace ─────────────────────┐            ┌ right namespace ┐
 *   │ kernel sender        ── emu-l ──────┼─ emulator ─┼─ emu-r  kernel  │
 *   │ tapwire ── tl-cubic ── forwarded ┘  │            │        receiver │
 *   └─────────────────────────────────────┘            └─────────────────┘
 */

const USAGE = `npm run bench:lossy [-- OPTIONS]
  --seeds N      flows of each path (5, at most ${SEEDS_MAX - 1})
  --cells 0,1,2  only these paths: ${CELLS.map((_, i) => i).join(', ')}
  --json         every flow's time, one JSON object a path
Needs root, /dev/net/tun, iproute2 and util-linux. All paths with five seeds take a quarter of an hour.`;

/** The last byte of a sender's address tells the emulator's counters whose packets they are. */
const KERNEL_HOST = 2;
const TAPWIRE_HOSTS = { cubic: 12, bbr: 22 } as const;

interface Lab {
  readonly emulator: ChildProcess;
  readonly kernel: ChildProcess;
  readonly tapwire: Readonly<Record<'cubic' | 'bbr', ChildProcess>>;
}

async function layLab(): Promise<Lab> {
  const { emulator, inside } = await lay(node('emulator'), 'cubic');
  await start('programs', [...inside, ...node('receiver')]);
  const kernel = await start('programs', node('sender', RECEIVER, '--kernel'));
  const tapwire = (congestion: 'cubic' | 'bbr', net: number): Promise<ChildProcess> => {
    const local = `10.95.${net}.${TAPWIRE_HOSTS[congestion]}/24`;
    const addresses = ['--tun', `tl-${congestion}`, '--local', local, '--gateway', `10.95.${net}.1`];
    return start('tapwire', node('sender', RECEIVER, ...addresses, '--congestion', congestion));
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

const counts = (emulator: ChildProcess): Promise<Record<string, number>> => ask(emulator, 'counts');

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
  leftCongestion(congestion);
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

async function main(): Promise<number> {
  const options = new Options(USAGE, ['seeds', 'cells'], ['json']);
  const seeds = Math.min(SEEDS_MAX - 1, options.number('seeds', 5));
  const json = options.flag('json');
  const chosen = options.text('cells', '');
  const cells = chosen === '' ? CELLS.map((_, i) => i) : chosen.split(',').map(Number);
  const unknown = cells.find((cell) => CELLS[cell] === undefined);
  if (unknown !== undefined) return options.refuse(`--cells: there is no path ${unknown}`);
  const code = enter(process.argv.slice(1));
  if (code !== null) return code;
  const lab = await layLab();
  await warmUp(lab);
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

finish(main);
