import { spawnSync } from 'node:child_process';
import { expectedHash, SECURE, SITE, Site, writesBody } from '../clients/stand';
import * as check from './checks';
import { stand, WIRES, type WireName } from './wires';

/*
 * The measured acceptance of `tapwire serve`: on each wire, with the kernel's own clients, in namespaces of its own; then of
 * an ordinary program on the stack, whose bodies of a gigabyte other people's clients move. Needs root, /dev/net/tun, and
 * the commands in `TOOLS`. About eight minutes.
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
  /** Of a body that the site's clients move. */
  body: number;
}

const FULL: Sizes = {
  ...{ rounds: 10, bulk: 100 * MB, clients: 50, each: 5 * MB },
  ...{ pings: 20, seconds: 10, kills: 100, body: 1000 * MB },
};
const QUICK: Sizes = {
  ...{ rounds: 1, bulk: 20 * MB, clients: 10, each: MB },
  ...{ pings: 5, seconds: 1, kills: 12, body: 50 * MB },
};

/** What can be asked for alone. */
const PARTS = [...WIRES, 'site'] as const;
type Part = (typeof PARTS)[number];

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

/** A body of that size each way, for each client that can; every byte is checked at its end. */
async function onSite(bytes: number): Promise<void> {
  console.log(`\nsite: Node's http and https on the stack, over TUN, bodies of ${bytes / MB} MB`);
  const site = await Site.start();
  const speed = (ms: number): string => rate(bytes, ms);
  const hash = expectedHash(bytes);
  try {
    await item('curl --http1.0 downloads', async () => {
      const startedMs = performance.now();
      const sum = await site.run('sh', '-c', `curl --http1.0 -sS --max-time 500 ${SITE}/bytes/${bytes} | sha256sum`);
      equal('SHA-256', sum.split(' ')[0], hash);
      return speed(performance.now() - startedMs);
    });
    await item('curl uploads, with Expect', async () => {
      const sent = (await site.run('sh', '-c', `${writesBody(bytes)} | sha256sum`)).split(' ')[0];
      const startedMs = performance.now();
      const curl = `curl -sS --max-time 500 -H 'Expect: 100-continue' --expect100-timeout 100 -T - ${SITE}/sink`;
      const answer = JSON.parse(await site.run('sh', '-c', `${writesBody(bytes)} | ${curl}`)) as object;
      equal('the answer', answer, { bytes, sha256: sent, expect: '100-continue' });
      return speed(performance.now() - startedMs);
    });
    await item('ab: four, two at a time', async () => {
      const text = await site.run('ab', '-q', '-s', '300', '-n', '4', '-c', '2', `${SITE}/bytes/${bytes}`);
      equal('failed requests', /Failed requests:\s+(\d+)/.exec(text)?.[1], '0');
      equal('bytes', /HTML transferred:\s+(\d+)/.exec(text)?.[1], String(4 * bytes));
    });
    await item('h2load --h1: four, two at a time, over TLS', async () => {
      const text = await site.run('h2load', '--h1', '-n', '4', '-c', '2', `${SECURE}/bytes/${bytes}`);
      equal('succeeded', /(\d+) succeeded, 0 failed, 0 errored, 0 timeout/.exec(text)?.[1], '4');
      equal('bytes', /\((\d+)\) data/.exec(text)?.[1], String(4 * bytes));
    });
    for (const url of [SITE, SECURE]) {
      await item(`Chromium downloads and uploads, ${url}`, async () => {
        const { download, upload } = await site.transfer(url, bytes);
        equal('downloaded', [download.bytes, download.wrong], [bytes, 0]);
        equal('uploaded', [upload.bytes, upload.sha256], [bytes, hash]);
        return `in ${speed(download.ms)}, out ${speed(upload.ms)}`;
      });
    }
    await item('the site complained of nothing', async () => {
      equal('standard error', site.said, '');
      return `and had at most ${site.peakMb} MB of memory`;
    });
  } finally {
    site.close();
  }
}

function equal(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [found, wanted].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

const TOOLS = ['curl', 'wrk', 'ping', 'tcpdump', 'tshark', 'ip', 'ethtool', 'nsenter', 'unshare'];
const SITE_TOOLS = ['curl', 'ab', 'h2load', 'chromium', 'ip', 'nsenter', 'unshare'];

function missingTools(parts: readonly Part[]): string[] {
  const needed = new Set([...(parts.some(isWire) ? TOOLS : []), ...(parts.includes('site') ? SITE_TOOLS : [])]);
  return [...needed].filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
}

const isWire = (part: Part): part is WireName => part !== 'site';

const USAGE = `npm run acceptance [-- OPTIONS]
  --only ${PARTS.join(',')}  some of it (all)
  --quick                    two minutes instead of eight
`;

/** What the command line chose; null: it said what it cannot mean. */
function read(argv: readonly string[]): { parts: readonly Part[]; sizes: Sizes } | null {
  let sizes = FULL;
  let parts: readonly Part[] = PARTS;
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--quick') sizes = QUICK;
    else if (argv[i] === '--only') {
      const names = (argv[++i] ?? '').split(',');
      if (!names.every((name) => (PARTS as readonly string[]).includes(name))) return null;
      parts = PARTS.filter((part) => names.includes(part));
    } else return null;
  }
  return { parts, sizes };
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
  const { parts, sizes } = options;
  const missing = missingTools(parts);
  if (process.getuid?.() !== 0 || missing.length > 0) {
    const lacking =
      missing.length === 0 ? '' : `, and these commands: ${missing.join(', ')} (or leave parts out: --only)`;
    console.log(`needs root${lacking}`);
    return 2;
  }
  const wires = parts.filter(isWire);
  for (const wire of wires) await onWire(wire, sizes);
  if (wires.length > 0) console.log('\ncaptures');
  for (const wire of wires) for (const offload of [true, false]) await inCapture(wire, offload, sizes);
  if (parts.includes('site')) await onSite(sizes.body);
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
