import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/*
 * The laboratory: one network namespace for the clients, in which TUN devices appear, and one for the kernel servers,
 * joined by a veth pair. Both vanish with the processes in them, and each process with the one that started it, however
 * that ended. Server processes run on CPU 0, clients on CPU 1.
 */

const KERNEL_SERVER = '10.91.0.2';
export const KERNEL_CLIENT = '10.91.0.1';

const INSIDE = 'TAPWIRE_BENCH_INSIDE';
const TOOLS = ['ip', 'unshare', 'setsid', 'setpriv', 'prlimit', 'nsenter', 'taskset', 'wrk', 'ethtool'];
/** What a command is put behind so that the kernel kills it when the process that started it is gone. */
const MORTAL = ['setpriv', '--pdeathsig', 'KILL'];
/** Each connection of a server is an open file; root may have as many as it asks for. */
const OPEN_FILES = 200_000;

/** True in the namespace. Outside, runs this very command again inside one and returns its exit code. */
export function enter(argv: readonly string[]): number | null {
  if (process.env[INSIDE] === '1') {
    goAhead();
    return null;
  }
  const missing = TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0);
  if (missing.length > 0) {
    process.stderr.write(
      `bench: ${missing.join(', ')} not found. On Debian: apt-get install iproute2 util-linux wrk ethtool\n`,
    );
    return 2;
  }
  const flags = process.getuid?.() === 0 ? ['-n'] : ['-Urn'];
  // In this order: who gets a user namespace of his own loses what setpriv gave him.
  const command = ['unshare', ...flags, ...MORTAL, process.execPath, ...process.execArgv, ...argv];
  const { status, error } = spawnSync('setsid', ['-w', ...command], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  if (error !== undefined) throw error;
  return status ?? 1;
}

/** Other work on the machine must not decide the figures: as root, this session goes ahead of it. */
function goAhead(): void {
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${OPEN_FILES}:${OPEN_FILES}`]);
  try {
    writeFileSync('/proc/self/autogroup', '-15');
    setPriority(-15);
  } catch {
    // Not root, or a kernel without autogroups: the figures are as noisy as the machine.
  }
}

/** Files that a process started from here may have open. */
export function limitOfDescriptors(): number {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return hard === null ? Number.POSITIVE_INFINITY : Number(hard[1]);
}

const run = (command: string, ...args: string[]): void => {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};

const children = new Set<ChildProcess>();

function keep(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** `spawn`, of what does not outlive this process. */
function mortal(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const [setpriv, ...before] = MORTAL;
  return spawn(setpriv!, [...before, command, ...args], options);
}

export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

export interface Server {
  readonly host: string;
  readonly child: ChildProcess;
  /** Asks the server a question and waits for its answer. */
  ask(question: string): Promise<Record<string, number>>;
  stop(): Promise<void>;
}

export class Lab {
  private namespacePid = 0;
  private taps = 0;
  /** Subjects that differ in the link only share a server. */
  private readonly kernelServers = new Map<string, Promise<Server>>();

  /** Makes the second namespace and the veth pair. */
  open(): void {
    run('ip', 'link', 'set', 'lo', 'up');
    // A connection per request uses up the usual 28,000 ports within seconds.
    writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '1024 65535');
    const holder = keep(mortal('unshare', ['-n', 'sleep', '100000'], { stdio: 'ignore' }));
    this.namespacePid = holder.pid!;
    this.waitForNamespace();
    run('ip', 'link', 'add', 'twb-c', 'type', 'veth', 'peer', 'name', 'twb-s', 'netns', String(this.namespacePid));
    run('ip', 'address', 'add', `${KERNEL_CLIENT}/24`, 'dev', 'twb-c');
    run('ip', 'link', 'set', 'twb-c', 'up');
    this.inServer('ip', 'link', 'set', 'lo', 'up');
    this.inServer('ip', 'address', 'add', `${KERNEL_SERVER}/24`, 'dev', 'twb-s');
    this.inServer('ip', 'link', 'set', 'twb-s', 'up');
    this.waitForPing();
  }

  private waitForNamespace(): void {
    const own = spawnSync('readlink', ['/proc/self/ns/net']).stdout.toString();
    for (let i = 0; i < 200; i++) {
      const theirs = spawnSync('readlink', [`/proc/${this.namespacePid}/ns/net`]).stdout.toString();
      if (theirs !== '' && theirs !== own) return;
      spawnSync('sleep', ['0.01']);
    }
    throw new Error('bench: the server namespace did not come up');
  }

  private waitForPing(): void {
    for (let i = 0; i < 100; i++) {
      if (spawnSync('ip', ['-o', 'link', 'show', 'twb-c']).stdout.toString().includes('LOWER_UP')) return;
      spawnSync('sleep', ['0.02']);
    }
  }

  private inServer(command: string, ...args: string[]): void {
    run('nsenter', `--net=/proc/${this.namespacePid}/ns/net`, command, ...args);
  }

  /** Segmentation and checksum offload of the veth pair: the kernel's own shortcut. */
  offloads(on: boolean): void {
    const args = ['tso', 'gso', 'gro', 'tx', 'rx', 'sg'].flatMap((name) => [name, on ? 'on' : 'off']);
    spawnSync('ethtool', ['-K', 'twb-c', ...args]);
    spawnSync('nsenter', [`--net=/proc/${this.namespacePid}/ns/net`, 'ethtool', '-K', 'twb-s', ...args]);
  }

  /** An application over Node's own modules and the kernel's TCP, behind the veth pair. */
  kernelServer(app: string): Promise<Server> {
    let server = this.kernelServers.get(app);
    if (server === undefined) {
      const namespace = `--net=/proc/${this.namespacePid}/ns/net`;
      server = this.start(KERNEL_SERVER, 'nsenter', [namespace, ...this.node(app, ['--kernel'])]);
      this.kernelServers.set(app, server);
      server.then(
        ({ child }) => child.once('exit', () => this.kernelServers.delete(app)),
        () => {},
      );
    }
    return server;
  }

  /** The same application over tapwire on a TUN device. */
  tapwireServer(app: string, offload: boolean): Promise<Server> {
    const n = ++this.taps;
    const args = ['--tun', `twb${n}`, '--subnet', `10.92.${n}`, ...(offload ? [] : ['--no-offload'])];
    const [command, ...rest] = this.node(app, args);
    return this.start(`10.92.${n}.2`, command!, rest);
  }

  private node(app: string, args: readonly string[]): string[] {
    return ['taskset', '-c', '0', process.execPath, '--expose-gc', ...process.execArgv, app, ...args];
  }

  private start(host: string, command: string, args: readonly string[]): Promise<Server> {
    const child = keep(mortal(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`bench: ${args.join(' ')} ended with ${code}`)));
      child.once('message', () => resolve({ host, child, ask: (q) => ask(child, q), stop: () => stop(child) }));
    });
  }

  /** Runs a client on CPU 1 and returns what it printed. */
  client(command: string, args: readonly string[]): Promise<string> {
    const child = keep(mortal('taskset', ['-c', '1', command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
    let text = '';
    child.stdout!.on('data', (piece) => {
      text += piece;
    });
    return new Promise((resolve, reject) => {
      child.once('exit', (code) =>
        code === 0 ? resolve(text) : reject(new Error(`bench: ${command} ${args.join(' ')} ended with ${code}`)),
      );
    });
  }

  /** Starts what goes on until it is stopped, on CPU 1, and waits for its first message. */
  async companion(file: string, args: readonly string[]): Promise<ChildProcess> {
    const command = ['-c', '1', process.execPath, ...process.execArgv, file, ...args];
    const child = keep(mortal('taskset', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    await this.answer(child);
    return child;
  }

  /** Tells a companion something and waits until it answers. */
  async tell(companion: ChildProcess, what: string): Promise<void> {
    const answered = this.answer(companion);
    companion.send(what);
    await answered;
  }

  private answer(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void =>
        reject(new Error(`bench: ${child.spawnargs.join(' ')}: ended with ${code}`));
      child.once('exit', ended);
      child.once('message', () => {
        child.off('exit', ended);
        resolve();
      });
    });
  }

  nodeClient(file: string, args: readonly string[]): Promise<string> {
    return this.client(process.execPath, [...process.execArgv, file, ...args]);
  }
}

function ask(child: ChildProcess, question: string): Promise<Record<string, number>> {
  return new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as Record<string, number>));
    child.send(question);
  });
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 2000).unref();
  });
}
