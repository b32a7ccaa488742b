import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Host } from '../net/host';

/**
 * The host that the environment asks for: TAPWIRE holds what `tapwire serve` takes on its command line to choose a wire,
 * such as `--tun tapwire0 --address 10.77.0.2/24`, or the path of a file that does. `tun:tapwire0`, `tap:…`, `packet:…` and
 * `network:…` are short for the options of these names. Null when it is not set: then everything stays in memory.
 * @throws Error that names the cure, when the wire cannot be opened
 */
export function hostOfEnvironment(): Host | null {
  const asked = process.env['TAPWIRE']?.trim();
  if (!asked) return null;
  // Loaded only where it is needed: most programs stay in memory.
  const { Command } = require('commander') as typeof import('commander');
  const { addWireOptions } = require('../tools/wire-options') as typeof import('../tools/wire-options');
  const { openWire } = require('../tools/wire') as typeof import('../tools/wire');
  const command = addWireOptions(new Command('TAPWIRE')).exitOverride();
  command.configureOutput({ writeErr: () => {} });
  try {
    command.parse(wordsOf(asked), { from: 'user' });
  } catch (error) {
    throw new Error(`TAPWIRE=${asked}: ${(error as Error).message}`);
  }
  const wire = openWire(command.opts(), null);
  process.once('exit', () => wire.close());
  return wire.host;
}

/** The words of TAPWIRE, or of the file that it names; there, what follows a # is for people. */
export function wordsOf(asked: string): string[] {
  const isFile = asked.includes('/') && !asked.startsWith('-') && existsSync(asked);
  const text = isFile ? readFileSync(asked, 'utf8').replace(/#.*$/gm, '') : asked;
  const words = text.split(/\s+/).filter((word) => word !== '');
  return words.flatMap((word) => {
    const short = /^(tun|tap|packet|network):(.+)$/.exec(word);
    return short === null ? [word] : [`--${short[1]}`, short[2]!];
  });
}

/** With TAPWIRE_CONTROL=1 `tapwire ss` may look at the program's stack. To be called before anything is replaced. */
export function showIfAsked(): void {
  if (process.env['TAPWIRE_CONTROL'] !== '1') return;
  const { showHost } = require('../tools/control/server') as typeof import('../tools/control/server');
  const { defaultHost } = require('../net/default-host') as typeof import('../net/default-host');
  showHost('default', defaultHost(), basename(process.argv[1] ?? 'node'));
}
