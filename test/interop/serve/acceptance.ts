import { spawnSync } from 'node:child_process';
import * as check from './checks';
import { stand, WIRES, type WireName } from './wires';

/*
 * The measured acceptance of `tapwire serve`: on each wire, with the kernel's own clients, in namespaces of its own. Needs
 * root, /dev/net/tun, and curl, wrk, ping, tcpdump, tshark. About five minutes.
 */

const MB = 1_000_000;

interface Sizes {
  rounds: number;
  bulk: number;
  clients: number;
  each: number;
  pings: number;
  seconds: number;
  kills: number;
}

const FULL: Sizes = { rounds: 10, bulk: 100 * MB, clients: 50, each: 5 * MB, pings: 20, seconds: 10, kills: 100 };
const QUICK: Sizes = { rounds: 1, bulk: 20 * MB, clients: 10, each: MB, pings: 5, seconds: 1, kills: 12 };

let passed = 0;
let failed = 0;

/** Runs one item; what it returns is shown beside it. */
async function item(name: string, task: () => Promise<string | void>): Promise<void> {
  const startedMs = performance.now();
  try {
    const said = await task();
    passed++;
    console.log(`  ok    ${name}: ${said ?? 'as it should be'} (${Math.round(performance.now() - startedMs)} ms)`);
  } catch (error) {
    failed++;
    console.log(`  FAIL  ${name}: ${(error as Error).message}`);
  }
}

const rate = (bytes: number, ms: number): string => `${((bytes * 8) / ms / 1e6).toFixed(2)} Gbit/s with its check`;

async function onWire(wire: WireName, s: Sizes): Promise<void> {
  console.log(`\n${wire}`);
  const at = await stand(wire);
  const { descriptors } = (await at.serve.report()).process;
  try {
    await item(`curl downloads ${s.bulk / MB} MB, ${s.rounds} times in a row, equal SHA-256`, async () => {
      const startedMs = performance.now();
      for (let i = 0; i < s.rounds; i++) await check.download(at, s.bulk, i);
      return rate(s.bulk * s.rounds, performance.now() - startedMs);
    });
    await item(`curl uploads ${s.bulk / MB} MB, ${s.rounds} times in a row, equal SHA-256`, async () => {
      let ms = 0;
      for (let i = 0; i < s.rounds; i++) {
        await check.withFile(s.bulk, i, async (path) => {
          const startedMs = performance.now();
          await check.upload(at, path, s.bulk, i);
          ms += performance.now() - startedMs;
        });
      }
      return rate(s.bulk * s.rounds, ms);
    });
    await item(`${s.clients} parallel curls of ${s.each / MB} MB`, () => check.parallel(at, s.clients, s.each));
    await item(`ping -c ${s.pings} -s 1400 loses nothing`, () => check.ping(at, s.pings, 1400));
    await item(`wrk -t1 -c64 -d${s.seconds}s ends with zero errors`, async () => {
      return `${Math.round(await check.wrk(at, s.seconds))} requests/s`;
    });
    await item(`${s.kills} clients killed (kill -9) mid-transfer leave nothing behind`, () =>
      check.killedClients(at, s.kills, 5),
    );
    await item('no connection, slot or descriptor is left after all of it', () => check.nothingHeld(at, descriptors));
    await item('Ctrl-C: exit 0, device and addresses gone', () => check.cleanExit(at, wire));
  } finally {
    await at.close();
  }
}

/** Captured on the kernel's side. With offload checksums are the device's business, so only the rest counts. */
async function inCapture(wire: WireName, offload: boolean, s: Sizes): Promise<void> {
  await item(
    `${wire} ${offload ? 'with' : 'without'} offload: tshark finds nothing wrong on a clean link`,
    async () => {
      const at = await stand(wire, offload ? [] : ['--no-offload']);
      try {
        const bytes = Math.min(s.bulk, 20 * MB);
        const { packets, afterSilence, wrong } = await check.captured(at, offload, async () => {
          await check.download(at, bytes, 1);
          await check.withFile(bytes, 2, (path) => check.upload(at, path, bytes, 2));
          await check.ping(at, s.pings, 1400);
          await check.wrk(at, 1);
        });
        const drops = check.queueDrops(at);
        if (wrong.length > drops)
          throw new Error(`${wrong.length} packets, such as ${wrong[0]}; the queue dropped ${drops}`);
        return `${packets} packets; sent again: ${afterSilence} after silence, ${wrong.length} of ${drops} dropped by the queue`;
      } finally {
        await at.close();
      }
    },
  );
}

function missingTools(): string[] {
  return ['curl', 'wrk', 'ping', 'tcpdump', 'tshark', 'ip', 'ethtool', 'nsenter', 'unshare'].filter(
    (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  );
}

const USAGE = `npm run acceptance [-- OPTIONS]
  --wire ${WIRES.join(',')}  only these (all)
  --quick                about a minute instead of five
`;

/** What the command line chose; null: it said what it cannot mean. */
function read(argv: readonly string[]): { wires: readonly WireName[]; sizes: Sizes } | null {
  let sizes = FULL;
  let wires = WIRES;
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--quick') sizes = QUICK;
    else if (argv[i] === '--wire') {
      const names = (argv[++i] ?? '').split(',');
      if (!names.every((name) => (WIRES as readonly string[]).includes(name))) return null;
      wires = WIRES.filter((wire) => names.includes(wire));
    } else return null;
  }
  return { wires, sizes };
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = read(argv);
  if (options === null) {
    process.stderr.write(`not understood: ${argv.join(' ')}\n${USAGE}`);
    return 2;
  }
  const missing = missingTools();
  if (process.getuid?.() !== 0 || missing.length > 0) {
    console.log(`needs root${missing.length === 0 ? '' : `, and these commands: ${missing.join(', ')}`}`);
    return 2;
  }
  const { wires, sizes } = options;
  for (const wire of wires) await onWire(wire, sizes);
  console.log('\ncaptures');
  for (const wire of wires) for (const offload of [true, false]) await inCapture(wire, offload, sizes);
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
