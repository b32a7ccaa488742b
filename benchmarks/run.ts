import { join } from 'node:path';
import { checksumScenario } from './checksum';
import { idleMemory, idleRefusal } from './idle-memory';
import { enter, KERNEL_CLIENT, killAll, Lab, type Server } from './lab';
import { Options } from './options';
import { median, printTable, type Row } from './table';

/*
 * npm run bench [-- --scenario a,b] [--rounds 3] [--seconds 2] [--json] [--smoke]
 * Every scenario runs the competitor in the same run, in turns, and prints medians and ratios.
 */

const APPS = join(__dirname, 'apps');
const CLIENTS = join(__dirname, 'clients');
const EXTENSION = __filename.endsWith('.ts') ? '.ts' : '.js';
const app = (name: string): string => join(APPS, name + EXTENSION);
const client = (name: string): string => join(CLIENTS, name + EXTENSION);
/** wrk reads Lua, which the build does not copy. */
const PIPELINE = join(__dirname.replace(/dist\/benchmarks$/, 'benchmarks'), 'clients', 'pipeline.lua');

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly json: boolean;
  readonly idle: number;
}

/** What is measured, and of whom; the first subject is the competitor that ratios refer to. */
interface Scenario {
  readonly name: string;
  readonly unit: string;
  /** 'more' is better, or 'less'. */
  readonly better: 'more' | 'less';
  run(lab: Lab, settings: Settings): Promise<Row[]>;
}

interface Subject {
  readonly name: string;
  start(lab: Lab): Promise<Server>;
  /** Called before each of its measurements. */
  prepare?(lab: Lab): void;
}

const kernel = (file: string): Subject => ({
  name: 'Node over the kernel',
  start: (lab) => lab.kernelServer(file),
  prepare: (lab) => lab.offloads(true),
});
const kernelNoOffload = (file: string): Subject => ({
  name: 'Node over the kernel, veth without offloads',
  start: (lab) => lab.kernelServer(file),
  prepare: (lab) => lab.offloads(false),
});
const tapwire = (file: string, offload: boolean): Subject => ({
  name: offload ? 'tapwire on TUN' : 'tapwire on TUN without offload',
  start: (lab) => lab.tapwireServer(file, offload),
});

/** Runs the subjects in turns, `rounds` times, each against its own server, all of which are up from the start. */
async function interleave(
  lab: Lab,
  settings: Settings,
  subjects: readonly Subject[],
  measure: (server: Server) => Promise<Record<string, number>>,
): Promise<Row[]> {
  const servers: Server[] = [];
  for (const subject of subjects) servers.push(await subject.start(lab));
  const results: Record<string, number[]>[] = subjects.map(() => ({}));
  for (let round = 0; round < settings.rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      subjects[i]!.prepare?.(lab);
      for (const [key, value] of Object.entries(await measure(servers[i]!))) (results[i]![key] ??= []).push(value);
    }
  }
  for (const server of servers) await server.stop();
  lab.offloads(true);
  return subjects.map((subject, i) => ({
    name: subject.name,
    values: Object.fromEntries(Object.entries(results[i]!).map(([key, list]) => [key, median(list)])),
  }));
}

async function wrk(lab: Lab, server: Server, settings: Settings, connections: number, ...more: string[]) {
  const url = `http://${server.host}/`;
  const args = ['-t1', `-c${connections}`, `-d${settings.seconds}s`, '--latency', ...more, url];
  if (more.includes('-s')) args.push('--');
  const text = await lab.client('wrk', args);
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const failed = errors === null ? 0 : errors.slice(1).reduce((sum, n) => sum + Number(n), 0);
  return {
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50us: micros(text, '50%'),
    p99us: micros(text, '99%'),
    errors: failed + (Number.isNaN(number(/Non-2xx[^:]*: (\d+)/)) ? 0 : number(/Non-2xx[^:]*: (\d+)/)),
  };
}

function micros(text: string, quantile: string): number {
  const found = new RegExp(`${quantile}\\s+([\\d.]+)(us|ms|s)`).exec(text);
  if (found === null) return Number.NaN;
  return Number(found[1]) * { us: 1, ms: 1000, s: 1_000_000 }[found[2] as 'us'];
}

const httpScenario = (name: string, connections: number, ...more: string[]): Scenario => ({
  name,
  unit: 'requests/s',
  better: 'more',
  run: (lab, settings) =>
    interleave(lab, settings, [kernel(app('http')), tapwire(app('http'), true)], (server) =>
      wrk(lab, server, settings, connections, ...more),
    ),
});

const tcpScenario = (
  name: string,
  unit: string,
  better: 'more' | 'less',
  mode: string,
  subjects: Subject[],
): Scenario => ({
  name,
  unit,
  better,
  run: (lab, settings) =>
    interleave(lab, settings, subjects, async (server) =>
      JSON.parse(await lab.nodeClient(client('tcp'), [mode, server.host, String(settings.seconds)])),
    ),
});

/** See `idle-memory.ts`. */
const idleMemoryScenario: Scenario = {
  name: 'idle-memory',
  unit: 'bytes/connection',
  better: 'less',
  run: (lab, settings) =>
    idleMemory(lab, settings.rounds, settings.idle, [kernel(app('http')), tapwire(app('http'), true)]),
};

/** Clients with a keep-alive Agent against the fastest server that Node has. */
const clientScenario = (name: string, connections: number): Scenario => ({
  name,
  unit: 'requests/s',
  better: 'more',
  async run(lab, settings) {
    const server = await lab.companion(client('fixed'), []);
    const subjects = [kernel(app('client')), tapwire(app('client'), true)];
    const rows = await interleave(lab, settings, subjects, (subject) => {
      const host = subject.host.startsWith('10.91.') ? KERNEL_CLIENT : subject.host.replace(/\.2$/, '.1');
      return subject.ask(`${host} ${connections} ${settings.seconds}`);
    });
    server.kill('SIGKILL');
    return rows;
  },
});

const tcp = app('tcp');
const SCENARIOS: readonly Scenario[] = [
  httpScenario('http-keepalive-1', 1),
  httpScenario('http-keepalive-64', 64),
  httpScenario('http-keepalive-512', 512),
  httpScenario('http-close', 64, '-H', 'Connection: close'),
  httpScenario('http-pipelined', 64, '-s', PIPELINE),
  tcpScenario('bulk-in', 'Gbit/s', 'more', 'in', [
    kernelNoOffload(tcp),
    kernel(tcp),
    tapwire(tcp, true),
    tapwire(tcp, false),
  ]),
  tcpScenario('bulk-out', 'Gbit/s', 'more', 'out', [
    kernelNoOffload(tcp),
    kernel(tcp),
    tapwire(tcp, true),
    tapwire(tcp, false),
  ]),
  tcpScenario('ping-pong', 'µs', 'less', 'ping', [kernel(tcp), tapwire(tcp, true)]),
  tcpScenario('connection-rate', 'connections/s', 'more', 'rate', [kernel(tcp), tapwire(tcp, true)]),
  clientScenario('client-1', 1),
  clientScenario('client-64', 64),
  idleMemoryScenario,
  checksumScenario,
];

const HELP = `npm run bench [-- OPTIONS]
  --scenario A,B  only these: ${SCENARIOS.map((scenario) => scenario.name).join(', ')}
  --rounds N      measurements of each subject, in turns (3)
  --seconds N     length of each (2)
  --idle N        connections of idle-memory, in eight steps (16000)
  --json          one JSON object a scenario instead of tables
  --smoke         one short round of everything: does it run?
Needs root or user namespaces, /dev/net/tun, and iproute2, util-linux, wrk, ethtool. http parsing: npm run bench:parse.`;

async function main(): Promise<number> {
  const options = new Options(HELP, ['scenario', 'rounds', 'seconds', 'idle'], ['json', 'smoke']);
  const smoke = options.flag('smoke');
  const settings: Settings = {
    rounds: options.number('rounds', smoke ? 1 : 3),
    seconds: options.number('seconds', smoke ? 1 : 2),
    idle: options.number('idle', smoke ? 800 : 16000),
    json: options.flag('json'),
  };
  const wanted = options.text('scenario', '');
  const names = wanted === '' ? SCENARIOS.map((scenario) => scenario.name) : wanted.split(',');
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) options.refuse(`bench: no scenario ${unknown.join(', ')}`);
  const code = enter(process.argv.slice(1));
  if (code !== null) return code;
  const refusal = names.includes('idle-memory') ? idleRefusal(settings.idle) : null;
  if (refusal !== null) {
    process.stderr.write(`bench: ${refusal}\n`);
    return 2;
  }
  const lab = new Lab();
  lab.open();
  for (const scenario of SCENARIOS) {
    if (!names.includes(scenario.name)) continue;
    process.stderr.write(`${scenario.name} …\n`);
    const rows = await scenario.run(lab, settings);
    if (settings.json)
      process.stdout.write(`${JSON.stringify({ scenario: scenario.name, unit: scenario.unit, rows })}\n`);
    else printTable(scenario.name, scenario.unit, scenario.better, rows);
  }
  return 0;
}

main().then(
  (code) => {
    killAll();
    process.exit(code);
  },
  (error) => {
    killAll();
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  },
);
