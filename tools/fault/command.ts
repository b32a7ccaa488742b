import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { FaultEngine } from '../../fault/engine';
import type { Unused } from '../../fault/misses';
import type { Rule } from '../../fault/rule';
import type { Scenario, ScenarioResult } from '../../fault/scenarios';
import { EXIT_FAILURE, UsageError } from '../exit';
import { integer } from '../wire-options';
import { story } from './story';

interface RunOptions {
  client: string;
  seed: number;
  withoutFault?: boolean;
  report?: string;
  ladder?: boolean;
  json?: boolean;
}

interface ControlOptions {
  control: number;
  host: string;
  rules?: string;
  seed: number;
}

interface ProxyCommandOptions extends ControlOptions {
  listen?: string;
  upstream?: string;
}

interface BetweenOptions extends ControlOptions {
  tap?: boolean;
}

const CLIENTS = 'http (or node), tapwire, fetch, undici, axios or got';

/** Adds `tapwire fault` to the program. */
export function registerFault(program: Command): void {
  const fault = program
    .command('fault')
    .description('failures of real networks, at a named moment, the same every time');
  fault
    .command('list')
    .description('the scenarios, by number')
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => list(options.json ?? false));
  fault
    .command('show')
    .description('what a scenario is: the wire, what Node reports and why, how to cope')
    .argument('<scenario>', 'its name or number')
    .action((name: string) => void process.stdout.write(story(named(name))));
  fault
    .command('run')
    .description('run a scenario in memory, in virtual time')
    .argument('<scenario>', 'its name or number, "all", or the token of a run, which is run again')
    .option('--client <name>', `the client under test: ${CLIENTS}`, 'http')
    .option('--seed <number>', 'the seed of everything random', integer(0, 0xffff_ffff), 1)
    .option('--without-fault', 'leave the fault out: the run must then not go as promised')
    .option('--report <folder>', 'write a capture (pcapng with comments), a diagram and JSON there')
    .option('--ladder', 'print the sequence diagram')
    .option('--json', 'one JSON object for each scenario')
    .addHelpText('after', '\nExit status: 0 all as promised, 1 something else happened, 2 no such scenario or client.')
    .action(async (name: string, options: RunOptions) => {
      const { SCENARIOS } = scenarios();
      const isToken = name.startsWith('twf1.');
      const wanted = name === 'all' ? SCENARIOS : isToken ? [] : [named(name)];
      if (options.report !== undefined) folderFor('--report', options.report, '; --ladder prints the diagram');
      let failed = 0;
      if (isToken) failed = (await again(name, options)) ? 0 : 1;
      else for (const scenario of wanted) if (!(await run(scenario, options))) failed++;
      if (name === 'all' && options.json !== true)
        process.stdout.write(`${SCENARIOS.length - failed} of ${SCENARIOS.length} as promised\n`);
      if (failed > 0) process.exitCode = EXIT_FAILURE;
    });
  fault
    .command('docs')
    .description('write a page about each scenario, with the diagram of a run')
    .argument('<folder>')
    .action(async (folder: string) => {
      folderFor('docs', folder);
      const { writePages } = require('./docs') as typeof import('./docs');
      process.stdout.write(`${await writePages(folder)} pages in ${folder}\n`);
    });
  fault
    .command('proxy')
    .description('a TCP proxy without root whose wire has faults, with an HTTP control API like that of toxiproxy')
    .option('--listen <host:port>', 'where clients connect (default: a free port of 127.0.0.1)')
    .option('--upstream <host:port>', 'where they are led; without it, proxies are made over the API')
    .option('--control <port>', 'port of the control API', integer(0, 65_535), 8474)
    .option('--host <address>', 'address of the control API', '127.0.0.1')
    .option(
      '--rules <file>',
      'rules as JSON, for --upstream ("-": standard input): [{"match": {…}, "do": [{"do": "rst", "to": "c"}]}]',
    )
    .option('--seed <number>', 'the seed of everything random', integer(0, 0xffff_ffff), 1)
    .action(proxy);
  fault
    .command('between')
    .description('two TUN devices (or TAP) with faults on the wire between them; whoever is behind them knows nothing')
    .argument('<left>', 'name of the device on the side of the clients')
    .argument('<right>', 'name of the device on the side of the servers')
    .option('--tap', 'TAP devices: Ethernet frames')
    .option('--rules <file>', 'rules as JSON; "-": standard input')
    .option(
      '--control <port>',
      'port of the control API (/wires/LEFT-RIGHT/rules, trace, capture)',
      integer(0, 65_535),
      8474,
    )
    .option('--host <address>', 'address of the control API', '127.0.0.1')
    .option('--seed <number>', 'the seed of everything random', integer(0, 0xffff_ffff), 1)
    .addHelpText(
      'after',
      '\nThe devices are made and have no addresses; move them into namespaces, or bridge them. Needs root.',
    )
    .action(between);
}

/** What stands in a file, or comes over standard input ('-'). @throws the system's error, with the path */
function textOfFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    // Of a folder it says EISDIR without saying which.
    throw Object.assign(error as Error, { path: file });
  }
}

/** The rules of a file. @throws UsageError that names the file, the rule and the field */
function rulesIn(file: string | undefined): Rule[] {
  if (file === undefined) return [];
  const { rulesFrom } = require('../../fault/rule-json') as typeof import('../../fault/rule-json');
  const text = textOfFile(file);
  try {
    return rulesFrom(text);
  } catch (error) {
    throw new UsageError(`${file === '-' ? 'standard input' : file}: ${(error as Error).message}`);
  }
}

const scenarios = (): typeof import('../../fault/scenarios') =>
  require('../../fault/scenarios') as typeof import('../../fault/scenarios');

function named(name: string): Scenario {
  try {
    return scenarios().scenarioNamed(name);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function list(json: boolean): void {
  const { SCENARIOS } = scenarios();
  if (json) {
    const plain = SCENARIOS.map(({ play: _, ...data }) => data);
    process.stdout.write(`${JSON.stringify(plain, null, 2)}\n`);
    return;
  }
  const width = Math.max(...SCENARIOS.map(({ id }) => id.length));
  for (const { number, id, title } of SCENARIOS)
    process.stdout.write(`${String(number).padStart(2)}  ${id.padEnd(width)}  ${title}\n`);
}

/** The run of a token, once more. */
async function again(token: string, options: RunOptions): Promise<boolean> {
  try {
    return show(await scenarios().replayScenario(token, named), options);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}

async function run(scenario: Scenario, options: RunOptions): Promise<boolean> {
  const faults = options.withoutFault === true ? 'off' : 'on';
  try {
    return show(await scenarios().runScenario(scenario, options.client, { seed: options.seed, faults }), options);
  } catch (error) {
    if (/^(unknown client|the client )/.test((error as Error).message)) throw new UsageError((error as Error).message);
    throw error;
  }
}

function show(result: ScenarioResult, options: RunOptions): boolean {
  if (options.json === true) process.stdout.write(`${JSON.stringify(summary(result))}\n`);
  else process.stdout.write(resultText(result));
  if (options.ladder === true) process.stdout.write(`\n${result.report.ladder()}`);
  if (options.report !== undefined) write(options.report, result);
  return result.asExpected;
}

const summary = ({
  scenario,
  client,
  lines,
  expected,
  unused,
  asExpected,
  virtualMs,
  hash,
  token,
}: ScenarioResult): object => ({
  scenario: scenario.id,
  number: scenario.number,
  client,
  lines,
  expected,
  unused,
  asExpected,
  virtualMs,
  hash,
  token,
});

function resultText(result: ScenarioResult): string {
  const { scenario, client, lines, expected, unused, asExpected, virtualMs, broken } = result;
  const verdict =
    expected === null ? 'nothing is promised for this client' : asExpected ? 'as promised' : 'NOT AS PROMISED';
  const text = [`${scenario.number}. ${scenario.title}`, ...lines.map((line) => `   ${line}`)];
  if (broken !== null) text.push(`   ${broken.message.split('\n')[0]}`);
  if (unused.length > 0) text.push('   rules that never acted:', textOf(unused));
  if (!asExpected) text.push('   promised:', ...(expected ?? []).map((line) => `     ${line}`));
  text.push(`   ${client}: ${verdict}, ${(virtualMs / 1000).toFixed(3)} s of virtual time`);
  if (result.token !== '') text.push(`   ${result.token}`);
  return `${text.join('\n')}\n`;
}

/** Rules that never acted, in words. */
function textOf(unused: readonly Unused[]): string {
  const { unusedText } = require('../../fault/misses') as typeof import('../../fault/misses');
  return unusedText(unused).replace(/^/gm, '   ');
}

function write(folder: string, { scenario, client, report }: ScenarioResult): void {
  const { writeReport } = require('../../fault/report-files') as typeof import('../../fault/report-files');
  process.stdout.write(`   reports: ${writeReport(folder, `${scenario.id}-${client}`, report)}\n`);
}

/** A folder that files can be written to, made if need be. @throws UsageError before anything is run */
function folderFor(what: string, folder: string, instead = ''): void {
  const { makeFolder } = require('../../fault/report-files') as typeof import('../../fault/report-files');
  if (folder === '-' || folder === '')
    throw new UsageError(`${what} takes the path of a folder, not '${folder}'${instead}`);
  try {
    makeFolder(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cure = code === 'ENOENT' ? `${folder}: nothing can be made there (ENOENT); choose another folder` : null;
    throw cure === null ? error : new UsageError(cure);
  }
}

/** Throws on why a port could not be listened at, with the option that changes it. */
function unbound(
  port: string,
  host: string,
): (error: NodeJS.ErrnoException & { address?: string; port?: number }) => never {
  return (refusal) => {
    // The control API's refusal of a proxy keeps what it was caused by.
    const error = (refusal.cause ?? refusal) as typeof refusal;
    const at = `${error.address}:${error.port}`;
    const cures: Record<string, string> = {
      EADDRINUSE: `${at} is taken by another program: choose another port with ${port}; 0 takes a free one`,
      EADDRNOTAVAIL: `${error.address} is no address of this machine: choose another with ${host}, such as 127.0.0.1`,
      EACCES: `${at}: ports below 1024 need root: choose a higher one with ${port}`,
    };
    throw new UsageError(cures[error.code ?? ''] ?? error.message);
  };
}

async function proxy(options: ProxyCommandOptions): Promise<void> {
  const { ControlServer } = require('../../fault/control') as typeof import('../../fault/control');
  if (options.rules !== undefined && options.upstream === undefined)
    throw new UsageError('--rules is for --upstream: say where it leads');
  if (options.listen !== undefined && options.upstream === undefined)
    throw new UsageError('--listen is for --upstream: say where it leads');
  const rules = rulesIn(options.rules);
  const control = new ControlServer();
  try {
    const port = await control.listen(options.control, options.host).catch(unbound('--control', '--host'));
    process.stdout.write(`control: http://${options.host}:${port}/proxies\n`);
    if (options.upstream !== undefined) {
      const { listen = '127.0.0.1:0', upstream, seed } = options;
      const made = await control
        .create({ name: 'main', listen, upstream, seed, rules })
        .catch(unbound('--listen', '--listen'));
      process.stdout.write(`proxy main: ${made.listen} -> ${upstream}\n`);
    }
  } catch (error) {
    await control.close();
    throw new UsageError((error as Error).message);
  }
  onSignal(() => {
    for (const { name, engine } of control.proxies.values()) sayUnused(name, engine);
    return control.close();
  });
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ends in an orderly way at the first signal; a second one is the system's. */
function onSignal(stop: () => Promise<void>): void {
  const once = (): void => {
    for (const signal of SIGNALS) process.off(signal, once);
    void stop();
  };
  for (const signal of SIGNALS) process.on(signal, once);
}

/** Names the rules that never acted: what was tried may have been tried without them. */
function sayUnused(name: string, engine: FaultEngine): void {
  const unused = engine.unused();
  if (unused.length > 0) process.stdout.write(`${name}: rules that never acted:\n${textOf(unused)}\n`);
}

async function between(left: string, right: string, options: BetweenOptions): Promise<void> {
  const { ControlServer } = require('../../fault/control') as typeof import('../../fault/control');
  const { openMiddlebox } = require('../../fault/ports') as typeof import('../../fault/ports');
  const { openTap, openTun } = require('../../device') as typeof import('../../device');
  const rules = rulesIn(options.rules);
  const open = options.tap === true ? openTap : openTun;
  const a = open({ name: left, offload: false });
  const b = open({ name: right, offload: false });
  const box = openMiddlebox(a, b, { seed: options.seed });
  for (const rule of rules) box.engine.add(rule);
  const control = new ControlServer();
  const name = `${a.name}-${b.name}`;
  control.wires.set(name, box.engine);
  const stop = (): Promise<void> => {
    box.close();
    return control.close();
  };
  try {
    const port = await control.listen(options.control, options.host).catch(unbound('--control', '--host'));
    process.stdout.write(`${a.name} <-> ${b.name}\ncontrol: http://${options.host}:${port}/wires/${name}\n`);
  } catch (error) {
    await stop();
    throw new UsageError((error as Error).message);
  }
  onSignal(() => {
    sayUnused(name, box.engine);
    return stop();
  });
}
