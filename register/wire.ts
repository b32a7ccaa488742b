import type { Cluster } from 'node:cluster';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Host } from '../net/host';
import type { WireOptions } from '../tools/wire-options';

/** What may stand in TAPWIRE, for those who wrote something else. */
const FORMS =
  'Give memory, tun:NAME, tap:NAME, packet:INTERFACE, network:CIDR, tun-fd:NUMBER, the path of a file with such words, ' +
  'or options of `tapwire serve` for the wire, such as --tun tw0 --address 10.9.0.2/24.';
const WIRES = ['tun', 'tap', 'packet', 'network', 'tunFd'] as const;

/**
 * The host that the environment asks for: TAPWIRE holds what `tapwire serve` takes on its command line to choose a wire,
 * such as `--tun tapwire0 --address 10.77.0.2/24`, or the path of a file that does. `tun:tapwire0`, `tap:…`, `packet:…`,
 * `network:…` and `tun-fd:…` are short for the options of these names. Null when it is not set, or `memory`: then everything
 * stays in memory.
 * @throws UsageError of one line that names the cure, when the wire cannot be opened
 */
export function hostOfEnvironment(): Host | null {
  const asked = process.env['TAPWIRE']?.trim();
  if (!asked || asked === 'memory') return null;
  // Loaded only where it is needed: most programs stay in memory.
  const { cureFor, UsageError } = require('../tools/exit') as typeof import('../tools/exit');
  try {
    return openAsked(optionsOf(wordsOf(asked)));
  } catch (error) {
    const cure = cureFor(error);
    if (cure === null) throw error;
    throw new UsageError(`TAPWIRE=${asked}: ${cure}`);
  }
}

/**
 * The same for a program that begins. Before its first line runs there is nobody to catch anything: what the user has to
 * change is one line on standard error, and the exit code 2.
 */
export function hostOrExit(): Host | null {
  try {
    const host = hostOfEnvironment();
    if (host === null) warnWorker();
    return host;
  } catch (error) {
    const { EXIT_USAGE, UsageError } = require('../tools/exit') as typeof import('../tools/exit');
    if (!(error instanceof UsageError) || require.main !== undefined) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_USAGE);
  }
}

/** A worker of `cluster` waits in vain for connections that its primary would share out: better said than found out. */
function warnWorker(): void {
  // Whoever has no parent to talk to is no worker, and need not load the module.
  if (process.send === undefined || !(require('node:cluster') as Cluster).isWorker) return;
  process.emitWarning(
    'workers of a cluster have a stack each and share no port: what this one listens at is reached by itself only. ' +
      'Give each an address with TAPWIRE=network:10.77.0.0/24, or run one process.',
    { type: 'TapwireWarning', code: 'TAPWIRE_CLUSTER' },
  );
}

function optionsOf(words: readonly string[]): WireOptions {
  const { Command, CommanderError } = require('commander') as typeof import('commander');
  const { addWireOptions } = require('../tools/wire-options') as typeof import('../tools/wire-options');
  const { UsageError } = require('../tools/exit') as typeof import('../tools/exit');
  const command = addWireOptions(new Command('TAPWIRE')).helpOption(false).allowExcessArguments().exitOverride();
  command.configureOutput({ writeErr: () => {} });
  try {
    command.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const forms = error.code === 'commander.unknownOption' ? `. ${FORMS}` : '';
    throw new UsageError(`${error.message.replace(/^error: /, '').replace(/\n/g, ' ')}${forms}`);
  }
  const [stray] = command.args;
  if (stray !== undefined) throw new UsageError(strayWord(stray));
  const options = command.opts<WireOptions>();
  if (WIRES.every((wire) => options[wire] === undefined)) throw new UsageError(`that names no wire. ${FORMS}`);
  return options;
}

function strayWord(word: string): string {
  const [name] = word.split(':') as [string];
  if (SHORT_NAME.test(name)) return `"${word}" lacks what it is about, such as ${EXAMPLES[name]}`;
  if (existsSync(word)) return `to name the file ${word}, write ./${word}`;
  if (word.includes('/')) return `there is no file ${word}; check the path`;
  return `"${word}" says nothing here. ${FORMS}`;
}

const SHORT_NAME = /^(tun|tap|packet|network|tun-fd)$/;
const SHORT = /^(tun|tap|packet|network|tun-fd):(.+)$/;
const EXAMPLES: Readonly<Record<string, string>> = {
  tun: 'tun:tapwire0',
  tap: 'tap:tapwire0',
  packet: 'packet:eth1',
  network: 'network:10.77.0.0/24',
  'tun-fd': 'tun-fd:3',
};

function openAsked(options: WireOptions): Host {
  const { openWire } = require('../tools/wire') as typeof import('../tools/wire');
  const { CaptureFile } = require('../tools/pcap/recorder') as typeof import('../tools/pcap/recorder');
  const capture = options.pcap === undefined ? null : new CaptureFile(options.pcap);
  try {
    const wire = openWire(options, capture);
    // The capture has the last segments too.
    process.once('exit', () => {
      wire.close();
      capture?.close();
    });
    return wire.host;
  } catch (error) {
    capture?.close();
    throw error;
  }
}

/** The words of TAPWIRE, or of the file that it names; there, what follows a # is for people. */
export function wordsOf(asked: string): string[] {
  const isFile = asked.includes('/') && !asked.startsWith('-') && existsSync(asked);
  const text = isFile ? readWords(asked) : asked;
  const words = text.split(/\s+/).filter((word) => word !== '');
  return words.flatMap((word) => {
    const short = SHORT.exec(word);
    return short === null ? [word] : [`--${short[1]}`, short[2]!];
  });
}

function readWords(path: string): string {
  if (statSync(path).isDirectory()) {
    const { UsageError } = require('../tools/exit') as typeof import('../tools/exit');
    throw new UsageError('it is a folder; name a file in it');
  }
  return readFileSync(path, 'utf8').replace(/#.*$/gm, '');
}

/** With TAPWIRE_CONTROL=1 `tapwire ss` may look at the program's stack. To be called before anything is replaced. */
export function showIfAsked(): void {
  if (process.env['TAPWIRE_CONTROL'] !== '1') return;
  const { showHost } = require('../tools/control/server') as typeof import('../tools/control/server');
  const { defaultHost } = require('../net/default-host') as typeof import('../net/default-host');
  showHost('default', defaultHost(), basename(process.argv[1] ?? 'node'));
}
