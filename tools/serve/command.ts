import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../exit';
import { addWireOptions, hostPort, integer, type WireOptions } from '../wire-options';

export interface ServeOptions extends WireOptions {
  port: number;
  json?: boolean;
}

/** Adds `tapwire serve` to the program. */
export function registerServe(program: Command): void {
  const command = program
    .command('serve')
    .description('serve files, or a page that shows its own packets, from the userspace stack')
    .argument('[dir]', 'the folder to serve; without it: the page, and bodies for tests and labs')
    .option('--port <number>', "the stack's port", integer(1, 65_535), 80)
    .option(
      '--forward <host:port>',
      'run in memory; a port of the kernel leads in (default without TUN: 127.0.0.1:8077)',
      hostPort,
    )
    .option('--json', 'one JSON object a line on standard output: listening, report, stopped');
  addWireOptions(command)
    .addHelpText('after', HELP)
    .action(async (dir: string | undefined, options: ServeOptions) => {
      const { runServe } = require('./run') as typeof import('./run');
      await runServe(dir === undefined ? null : folder(dir), options);
    });
}

const HELP = `
Without --tun, --tap, --packet, --network, --tun-fd or --forward it takes TUN where that is permitted, and memory elsewhere.
Ctrl-C stops it and takes the device and its addresses away. SIGUSR2 prints what the process holds and has dropped.

  sudo tapwire serve                      then: curl http://10.77.0.2/
  tapwire serve . --forward 127.0.0.1:8077
  unshare -Urn tapwire serve --tun lab0   without root, in a network of its own`;

function folder(dir: string): string {
  const path = resolve(dir);
  let found: ReturnType<typeof statSync>;
  try {
    found = statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${dir}: ${code === 'EACCES' ? 'it cannot be read' : 'there is no such folder'} (${code}). Name one that exists.`,
    );
  }
  if (!found.isDirectory()) throw new UsageError(`${dir} is a file: name the folder that it is in`);
  return path;
}
