import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Two namespaces, an emulated path between them, and the programs at its ends. This process' namespace is the left one;
 * whatever arrives at the path's end is the right one's kernel's.
 */

const EXTENSION = __filename.endsWith('.ts') ? '.ts' : '.js';
/** The right kernel. */
export const RECEIVER = '10.95.2.2';

/**
 * As root, children go ahead of everything else on the machine, and of each other: a kernel's TCP acts the moment a packet
 * comes, whoever runs, so ours must not wait for the emulator, nor the emulator's clock for the programs at the ends.
 */
const PRIORITIES = { tapwire: 30, emulator: 20, programs: 10 } as const;
const permitted = spawnSync('chrt', ['-r', '10', 'true']).status === 0;

const children: ChildProcess[] = [];

export const run = (command: string, ...args: string[]): void => {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** The command that runs a program of this folder. */
export const node = (name: string, ...args: string[]): string[] => [
  ...[process.execPath, ...process.execArgv],
  ...[join(__dirname, name + EXTENSION), ...args],
];

/** Starts a program; it is ready when it says so. */
export function start(who: keyof typeof PRIORITIES, program: readonly string[]): Promise<ChildProcess> {
  const ahead = permitted ? ['chrt', '-r', String(PRIORITIES[who])] : [];
  const [command, ...args] = [...ahead, ...program] as [string, ...string[]];
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  // A listener for each flow that runs.
  child.setMaxListeners(0);
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${program.join(' ')} ended with ${code}`)));
    child.once('message', () => {
      child.removeAllListeners('exit');
      resolve(child);
    });
  });
}

/** What a program that was started answers to `question`. */
export const ask = <T>(child: ChildProcess, question: string): Promise<T> =>
  new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as T));
    child.send(question);
  });

export const seconds = (n: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, n * 1000));

export interface Sides {
  readonly emulator: ChildProcess;
  /** Put before a command, it runs on the right side. */
  readonly inside: readonly string[];
}

/** @param emulator the program with the devices emu-l and emu-r; `congestion`: of the left kernel's flows. */
export async function lay(emulator: readonly string[], congestion: string): Promise<Sides> {
  const holder = spawn('unshare', ['-n', 'sleep', '100000'], { stdio: 'ignore' });
  children.push(holder);
  await seconds(0.3);
  const inside = ['nsenter', `--net=/proc/${holder.pid}/ns/net`];
  const right = (...args: string[]): void => run(inside[0]!, inside[1]!, ...args);
  run('ip', 'link', 'set', 'lo', 'up');
  const path = await start('emulator', emulator);
  run('ip', 'link', 'set', 'emu-r', 'netns', String(holder.pid));
  run('ip', 'address', 'add', '10.95.1.2/24', 'dev', 'emu-l');
  run('ip', 'link', 'set', 'emu-l', 'up');
  right('ip', 'address', 'add', `${RECEIVER}/24`, 'dev', 'emu-r');
  right('ip', 'link', 'set', 'emu-r', 'up');
  right('ip', 'route', 'add', 'default', 'dev', 'emu-r');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  // What one flow learned must not help or hinder the next.
  writeFileSync('/proc/sys/net/ipv4/tcp_no_metrics_save', '1');
  leftCongestion(congestion);
  return { emulator: path, inside };
}

/** The controller by port is not to be had from a route: one route for each. */
export function leftCongestion(name: string): void {
  run('ip', 'route', 'replace', `${RECEIVER}/32`, 'dev', 'emu-l', 'src', '10.95.1.2', 'congctl', name);
}

/** Runs a benchmark; what it started ends with it. */
export function finish(main: () => Promise<number>): void {
  main()
    .catch((error) => {
      process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
      return 1;
    })
    .then((code) => {
      for (const child of children) child.kill('SIGKILL');
      process.exit(code);
    });
}
