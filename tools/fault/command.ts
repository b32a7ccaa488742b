import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
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

interface ProxyCommandOptions {
  listen: string;
  upstream?: string;
  control: number;
  host: string;
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
      let failed = 0;
      if (name.startsWith('twf1.')) failed = (await again(name, options)) ? 0 : 1;
      else
        for (const scenario of name === 'all' ? SCENARIOS : [named(name)])
          if (!(await run(scenario, options))) failed++;
      if (name === 'all' && options.json !== true)
        process.stdout.write(`${SCENARIOS.length - failed} of ${SCENARIOS.length} as promised\n`);
      if (failed > 0) process.exitCode = EXIT_FAILURE;
    });
  fault
    .command('docs')
    .description('write a page about each scenario, with the diagram of a run')
    .argument('<folder>')
    .action(async (folder: string) => {
      const { writePages } = require('./docs') as typeof import('./docs');
      process.stdout.write(`${await writePages(folder)} pages in ${folder}\n`);
    });
  fault
    .command('proxy')
    .description('a TCP proxy without root whose wire has faults, with an HTTP control API like that of toxiproxy')
    .option('--listen <host:port>', 'where clients connect', '127.0.0.1:0')
    .option('--upstream <host:port>', 'where they are led; without it, proxies are made over the API')
    .option('--control <port>', 'port of the control API', integer(0, 65_535), 8474)
    .option('--host <address>', 'address of the control API', '127.0.0.1')
    .action(proxy);
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
  asExpected,
  virtualMs,
  hash,
  token,
});

function resultText(result: ScenarioResult): string {
  const { scenario, client, lines, expected, asExpected, virtualMs, broken } = result;
  const verdict =
    expected === null ? 'nothing is promised for this client' : asExpected ? 'as promised' : 'NOT AS PROMISED';
  const text = [`${scenario.number}. ${scenario.title}`, ...lines.map((line) => `   ${line}`)];
  if (broken !== null) text.push(`   ${broken.message.split('\n')[0]}`);
  if (!asExpected) text.push('   promised:', ...(expected ?? []).map((line) => `     ${line}`));
  text.push(`   ${client}: ${verdict}, ${(virtualMs / 1000).toFixed(3)} s of virtual time`);
  if (result.token !== '') text.push(`   ${result.token}`);
  return `${text.join('\n')}\n`;
}

function write(folder: string, { scenario, client, report }: ScenarioResult): void {
  mkdirSync(folder, { recursive: true });
  const name = join(folder, `${scenario.id}-${client}`);
  writeFileSync(`${name}.pcapng`, report.pcapng());
  writeFileSync(`${name}.txt`, report.ladder());
  writeFileSync(`${name}.mmd`, report.mermaid());
  writeFileSync(`${name}.json`, JSON.stringify(report.json(), null, 2));
  process.stdout.write(`   reports: ${name}.{pcapng,txt,mmd,json}\n`);
}

async function proxy(options: ProxyCommandOptions): Promise<void> {
  const { ControlServer } = require('../../fault/control') as typeof import('../../fault/control');
  const control = new ControlServer();
  try {
    const port = await control.listen(options.control, options.host);
    process.stdout.write(`control: http://${options.host}:${port}/proxies\n`);
    if (options.upstream !== undefined) {
      const { listen, upstream } = options;
      const made = await control.create({ name: 'main', listen, upstream });
      process.stdout.write(`proxy main: ${made.listen} -> ${upstream}\n`);
    }
  } catch (error) {
    await control.close();
    throw new UsageError((error as Error).message);
  }
  const stop = (): void => void control.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}
