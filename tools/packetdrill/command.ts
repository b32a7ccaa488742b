import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cureFor, UsageError } from '../exit';
import { ladderSvg, ladderText } from '../ladder';
import { CaptureError } from '../pcap/parser';
import { readCaptureFile } from '../pcap/reader';
import { FileSink, writeText } from '../pcap/sink';
import { QlogWriter, qlogFormatOf } from '../qlog/writer';
import type { Script } from './ast';
import { both, RunCapture, RunLadder } from './capture';
import { explainScript } from './explain';
import { type Mutant, mutants } from './mutate';
import { FLAG_OPTIONS, OPTIONS } from './options';
import { type GivenOption, parseScript } from './parser';
import { readScript } from './read-script';
import { RecordError, recordScript } from './record';
import { describeResult, exitCode, type ScriptResult } from './report';
import { type RunOptions, runScript } from './run';
import { ScriptError, shown } from './source';
import { EPOCH_MS, StackTarget, stackTarget } from './stack-target';
import type { Profile, TargetFactory } from './target';
import { watchScripts } from './watch';

/** Where the command writes and how it ends; replaced in tests. */
export interface CommandIo {
  out(text: string): void;
  err(text: string): void;
  exit(code: number): void;
}

/** What the command line said. */
export interface Flags {
  json?: boolean;
  profile: Profile;
  strict?: boolean;
  mutate?: boolean;
  mutateEvery?: boolean;
  explain?: boolean;
  ladder?: boolean;
  svg?: string;
  pcap?: string;
  qlog?: string;
  watch?: boolean;
  record?: boolean;
  follow: number;
  side?: 'client' | 'server';
  seed: number;
  define: string[];
  [option: string]: unknown;
}

const PROCESS: CommandIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  exit: (code) => {
    process.exitCode = code;
  },
};

const integer = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('expected an integer.');
  return value;
};

const collect = (value: string, before: string[]): string[] => [...before, value];

/** Options of the language that have a command-line option of their own. */
const OWN = new Set(['define', 'D', 'verbose', 'v', 'dry_run']);

/** Adds `packetdrill` to the command line. `factory` makes the stack under test. */
export function registerPacketdrill(
  program: Command,
  factory: TargetFactory = stackTarget,
  io: CommandIo = PROCESS,
): void {
  const command = program
    .command('packetdrill')
    .description('run packetdrill scripts on the stack, in virtual time: no root, no network')
    .argument('<path...>', 'scripts (.pkt), or folders of them; with --record captures')
    .option('--json', 'one object a script on standard output')
    .addOption(new Option('--profile <name>', 'constants of the stack').choices(['linux', 'rfc']).default('linux'))
    .option('--strict', 'no tolerance: times, PSH, windows and options exactly as written')
    .option('--mutate', 'also run falsified copies of each script, one of a kind: they must fail')
    .option('--mutate-every', 'the same with one copy for each place that can be falsified')
    .option('--explain', 'say in words what each line means, and run nothing')
    .option('--ladder', 'draw what crossed the wire as a sequence diagram')
    .option('--svg <file>', 'the same into an SVG file')
    .option('--pcap <file>', 'write what crossed the wire into a capture (pcapng)')
    .option('--qlog <file>', 'write what the stack did, and why, as qlog (a line a record with .ndjson)')
    .option('--watch', 'run again whatever is changed, until interrupted')
    .option('--record', 'print a script made of a connection in a capture, and run nothing')
    .option('--follow <number>', 'with --record: which connection, counted from 1', integer, 1)
    .addOption(new Option('--side <end>', 'with --record: which end is the stack').choices(['client', 'server']))
    .option('--dry-run', 'check the syntax only')
    .option('-v, --verbose', 'show each event as it begins, and what code blocks print')
    .option('--seed <number>', 'of initial sequence numbers and ports', integer, 1)
    .addOption(
      new Option('-D, --define <SYMBOL=value>', 'a symbol for the scripts').argParser(collect).default([], 'none'),
    );
  for (const name of Object.keys(OPTIONS)) {
    if (OWN.has(name)) continue;
    const flags = FLAG_OPTIONS.has(name) ? `--${name}` : `--${name} <value>`;
    command.addOption(new Option(flags, 'as in the script, and stronger').hideHelp());
  }
  command.action((paths: string[], flags: Flags) => {
    if (flags.record === true) return io.exit(record(paths, flags, io));
    for (const name of ['follow', 'side']) {
      if (command.getOptionValueSource(name) === 'cli') throw new UsageError(`--${name} goes with --record`);
    }
    const code = new Session(flags, factory, io).run(paths);
    io.exit(code);
    if (flags.watch === true && paths.every((path) => existsSync(path))) watchAndRun(paths, flags, factory, io);
  });
}

/** Runs what changes, until the process is told to go. Returns what stops it. */
export function watchAndRun(paths: readonly string[], flags: Flags, factory: TargetFactory, io: CommandIo): () => void {
  io.err(`watching ${paths.join(', ')}\n`);
  return watchScripts(paths, (files) => {
    const there = files.filter((file) => existsSync(file));
    if (there.length > 0) io.exit(new Session(flags, factory, io).run(there));
  });
}

/** Prints scripts made of captures; returns the exit code: 0, or 2 when there is none in them. */
function record(paths: readonly string[], flags: Flags, io: CommandIo): number {
  const { follow, side } = flags;
  let code = 0;
  for (const path of paths) {
    try {
      io.out(recordScript(readCaptureFile(path), { follow, ...(side && { side }) }));
    } catch (error) {
      const { code: cause } = error as NodeJS.ErrnoException;
      if (!(error instanceof RecordError) && !(error instanceof CaptureError) && cause === undefined) throw error;
      io.err(unopened(path, error));
      code = 2;
    }
  }
  return code;
}

/** One line for a file that cannot be read. */
function unopened(path: string, error: unknown): string {
  const about = cause(error) === 'EISDIR' ? `${path}: it is a folder; name a file in it` : cureFor(error);
  return `tapwire packetdrill: ${about ?? `${path}: ${(error as Error).message}`}\n`;
}

const cause = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

class Session {
  private readonly given: readonly GivenOption[];
  private readonly options: RunOptions;
  private capture: RunCapture | null = null;
  private log: QlogWriter | null = null;

  constructor(
    private readonly flags: Flags,
    factory: TargetFactory,
    private readonly io: CommandIo,
  ) {
    this.given = givenOptions(flags);
    const { profile, strict, seed, verbose, json } = flags;
    const trace = verbose === true && json !== true ? (line: string): void => io.err(`${shown(line)}\n`) : undefined;
    this.options = { factory, profile, strict: strict === true, seed, ...(trace && { trace }) };
  }

  /**
   * Runs all scripts and returns the exit code: the one that says most, 3 for a stack or an interpreter that broke, then 1
   * for an expectation that was not met, then 2.
   */
  run(paths: readonly string[]): number {
    const files = paths.flatMap((path) => this.scriptsIn(path));
    const { pcap, qlog } = this.flags;
    if (pcap !== undefined) this.capture = new RunCapture(new FileSink(pcap));
    if (qlog !== undefined) this.log = new QlogWriter(new FileSink(qlog), qlogFormatOf(qlog));
    const codes = files.map((file) => (file === null ? 2 : this.runGuarded(file)));
    this.capture?.close();
    this.log?.close();
    if (files.length > 1 && this.flags.json !== true && this.flags.explain !== true) this.summary(codes);
    return [3, 1, 2].find((code) => codes.includes(code)) ?? 0;
  }

  /** A broken stack must not pass for a failed expectation, nor stop the other scripts. */
  private runGuarded(file: string): number {
    try {
      return this.runFile(file);
    } catch (error) {
      // A file that cannot be written is nothing of the stack's.
      if (cureFor(error) !== null) throw error;
      this.io.err(`${file}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      return 3;
    }
  }

  private summary(codes: readonly number[]): void {
    const count = (code: number): number => codes.filter((other) => other === code).length;
    this.io.out(
      `${codes.length} scripts: ${count(0)} ok, ${count(1)} failed, ${count(2)} not run, ${count(3)} broken\n`,
    );
  }

  /** A script, or all scripts below a folder in the order of their names; null for what is not there. */
  private scriptsIn(path: string): (string | null)[] {
    try {
      if (!statSync(path).isDirectory()) return [path];
      const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pkt'));
      if (names.length > 0) return names.sort().map((name) => join(path, name));
      this.io.err(`tapwire packetdrill: ${path}: no script is in this folder: their names end in .pkt\n`);
    } catch (error) {
      this.io.err(unopened(path, error));
    }
    return [null];
  }

  private runFile(file: string): number {
    const startedMs = performance.now();
    let script: Script;
    try {
      script = parseScript(file, readScript(file), this.given);
    } catch (error) {
      if (error instanceof ScriptError) return this.print(unreadable(file, error), startedMs, error.message);
      this.io.err(unopened(file, error));
      return 2;
    }
    if (this.flags.explain === true) {
      this.io.out(`${file}\n${shown(explainScript(script).join('\n'))}\n`);
      return 0;
    }
    const code = this.runOne(script, startedMs);
    const mutate = this.flags.mutate === true || this.flags.mutateEvery === true;
    if (!mutate || code !== 0 || script.config.dryRun) return code;
    return this.runMutants(script);
  }

  private runOne(script: Script, startedMs: number): number {
    const { file } = script.source;
    const { ladder, svg, json } = this.flags;
    const drawing = ladder === true || svg !== undefined ? new RunLadder(file) : null;
    const observer = both(drawing?.observer, this.capture?.script(file));
    const { log } = this;
    const options = log === null ? this.options : { ...this.options, factory: logged(this.options.factory, log, file) };
    const code = this.print(runScript(script, { ...options, ...(observer && { observer }) }), startedMs);
    const diagram = drawing?.build();
    if (diagram === undefined) return code;
    if (svg !== undefined) writeText(svg, ladderSvg(diagram));
    if (ladder === true && json !== true) this.io.out(ladderText(diagram));
    return code;
  }

  private print(result: ScriptResult, startedMs: number, text?: string): number {
    result.wallMs = Math.round((performance.now() - startedMs) * 1000) / 1000;
    if (this.flags.json === true) this.io.out(`${JSON.stringify(result)}\n`);
    else this.io.out(`${text ?? describeResult(result)}\n`);
    return exitCode(result);
  }

  private runMutants(script: Script): number {
    const { file } = script.source;
    const list = mutants(script, this.flags.mutateEvery === true);
    const survivors = list.filter(
      (mutant) => exitCode(runScript(mutant.script, { ...this.options, trace: () => {} })) !== 1,
    );
    if (this.flags.json === true) {
      const show = ({ kind, line, what }: Mutant): object => ({ kind, line, what });
      this.io.out(`${JSON.stringify({ file, mutants: list.length, survivors: survivors.map(show) })}\n`);
    } else {
      this.io.out(
        `${file}: ${list.length - survivors.length} of ${list.length} falsified copies failed, as they must\n`,
      );
      for (const { kind, line, what } of survivors) this.io.out(`  passes although line ${line} ${what} (${kind})\n`);
    }
    return survivors.length === 0 ? 0 : 1;
  }
}

/** Makes stacks whose deeds are logged: `group_id` is the script's name and the connection's number. */
function logged(factory: TargetFactory, log: QlogWriter, file: string): TargetFactory {
  return (config) => {
    const target = factory(config);
    if (target instanceof StackTarget) {
      log.attach(target.stack, () => target.now, `${basename(file, '.pkt')}-`, EPOCH_MS);
    }
    return target;
  };
}

/** Options of the language that the command line gave. */
function givenOptions(flags: Flags): GivenOption[] {
  const given: GivenOption[] = flags.define.map((value) => ({ name: 'define', value }));
  if (flags['dryRun'] === true) given.push({ name: 'dry_run', value: '' });
  for (const name of Object.keys(OPTIONS)) {
    const value = OWN.has(name) ? undefined : flags[name];
    if (value !== undefined) given.push({ name, value: value === true ? '' : String(value) });
  }
  return given;
}

function unreadable(file: string, error: ScriptError): ScriptResult {
  return {
    file,
    ok: false,
    virtualUs: 0,
    wallMs: 0,
    warnings: [],
    failure: {
      line: error.line,
      kind: error.kind,
      message: error.what,
      expected: '',
      actual: '',
      marks: '',
      atUs: 0,
      state: '',
      cause: '',
      hint: '',
      source: error.source.lineText(error.line),
    },
    packets: [],
  };
}
