#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { cureFor, EXIT_FAILURE, EXIT_OK, EXIT_USAGE, surviveClosedOutput } from './exit';
import { version } from './version';

/** A command's module is loaded when it is the one that runs: `tapwire --version` should not load a TCP stack. */
interface LazyCommand {
  readonly name: string;
  load(): (program: Command) => void;
}

const COMMANDS: readonly LazyCommand[] = [
  { name: 'serve', load: () => (require('./serve/command') as typeof import('./serve/command')).registerServe },
  { name: 'get', load: () => (require('./get') as typeof import('./get')).registerGet },
  { name: 'ss', load: () => (require('./ss/command') as typeof import('./ss/command')).registerSs },
  { name: 'decode', load: () => (require('./decode') as typeof import('./decode')).registerDecode },
  { name: 'trace', load: () => (require('./ladder') as typeof import('./ladder')).registerTrace },
  {
    name: 'packetdrill',
    load: () => (require('./packetdrill/command') as typeof import('./packetdrill/command')).registerPacketdrill,
  },
  { name: 'fault', load: () => (require('./fault/command') as typeof import('./fault/command')).registerFault },
];

const VERSION_FLAGS = ['-V', '--version'];

const AFTER_HELP = `
Exit codes: 0 done, 1 failed, 2 bad input or something to set up first, 124 timeout, 130 interrupted.
Try: tapwire serve, then the curl line that it prints.`;

/** The command line with the one command that is asked for, or with all of them when none is. */
export function commandLine(args: readonly string[]): Command {
  const program = new Command('tapwire')
    .description('A TCP/IP and HTTP stack in userspace, on TUN, TAP, an existing interface or in memory.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', AFTER_HELP)
    .exitOverride();
  const asked = COMMANDS.filter((command) => command.name === args[0]);
  const all = VERSION_FLAGS.includes(args[0]!) ? [] : COMMANDS;
  for (const command of asked.length === 1 ? asked : all) command.load()(program);
  nameHelp(program, 'tapwire');
  return program;
}

/** After bad input it is the command's own help that says what there is. */
function nameHelp(command: Command, path: string): void {
  command.showHelpAfterError(`(${path} --help shows what there is)`);
  for (const child of command.commands) nameHelp(child, `${path} ${child.name()}`);
}

/** Runs a command line (without `node tapwire`); the exit code lands in process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    if (args.length === 0) args = ['--help'];
    await commandLine(args).parseAsync([...args], { from: 'user' });
  } catch (error) {
    process.exitCode = exitCodeOf(error, args[0]);
  }
}

function exitCodeOf(error: unknown, command: string | undefined): number {
  // Commander has said what there is to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  const cure = cureFor(error);
  if (cure !== null) {
    process.stderr.write(`tapwire${command === undefined ? '' : ` ${command}`}: ${cure}\n`);
    return EXIT_USAGE;
  }
  process.stderr.write(`tapwire: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILURE;
}

if (require.main === module) {
  surviveClosedOutput();
  void main(process.argv.slice(2));
}
