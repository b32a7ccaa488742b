import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { HostReport, Report } from '../../../tools/report';

const root = resolve(__dirname, '../../..');
const COMMAND = join(root, 'dist', 'tools', 'tapwire.js');

/** `test`, or `test.skip` where one of the commands is not installed. */
export function withTools(...tools: readonly string[]): jest.It {
  return tools.every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0) ? test : test.skip;
}

/** `test`, or `test.skip` where the shell command does not succeed. */
export function where(command: string): jest.It {
  return spawnSync('sh', ['-c', command]).status === 0 ? test : test.skip;
}

export interface Ended {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

/** A network namespace that lives as long as a process of ours in it, so that nothing stays behind whatever happens. */
export class Namespace {
  private readonly holder: ChildProcess;

  constructor() {
    this.holder = spawn('unshare', ['-n', 'sleep', '3600'], { stdio: 'ignore' });
    // The namespace is there once the holder has become `sleep`.
    for (let tries = 0; tries < 500; tries++) {
      const comm = spawnSync('cat', [`/proc/${this.holder.pid}/comm`], { encoding: 'utf8' }).stdout.trim();
      if (comm === 'sleep') return;
    }
    throw new Error('the namespace was not made');
  }

  get pid(): number {
    return this.holder.pid!;
  }

  /** What to run for `command` to run inside. */
  argv(command: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--', ...command];
  }

  /** @param stdin a descriptor to read from; nothing by default. */
  spawn(command: readonly string[], stdin: number | 'ignore' = 'ignore'): ChildProcess {
    const [program, ...args] = this.argv(command);
    return spawn(program!, args, { stdio: [stdin, 'pipe', 'pipe'] });
  }

  /** Runs to the end; at most `seconds`, and then dies. */
  async run(command: readonly string[], seconds = 60): Promise<Ended> {
    const child = this.spawn(command);
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await new Promise<number | null>((done) => child.on('close', done));
    clearTimeout(timer);
    return { code, stdout: Buffer.concat(stdout), stderr };
  }

  /** Runs a shell script that must succeed. */
  sh(script: string): string {
    const [program, ...args] = this.argv(['sh', '-ec', script]);
    const { status, stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8', timeout: 20_000 });
    if (status !== 0) throw new Error(`${script}: exit ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  close(): void {
    this.holder.kill('SIGKILL');
  }
}

/** A line of `tapwire serve --json`. */
type Event = { event: string; [field: string]: unknown };

/** A running `tapwire serve`. */
export class Serve {
  readonly events: Event[] = [];
  stderr = '';
  private readonly waiting: (() => void)[] = [];
  /** Resolves with the exit code; null after a signal. */
  readonly ended: Promise<number | null>;
  private exit: number | null | undefined;
  private text = '';

  private constructor(readonly child: ChildProcess) {
    child.stdout!.on('data', (chunk: Buffer) => this.read(chunk));
    child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code) => {
        this.exit = code;
        this.wake();
        resolve(code);
      });
    });
  }

  /** Starts it in a namespace and waits until it listens. */
  static async start(inside: Namespace, args: readonly string[]): Promise<Serve> {
    const serve = new Serve(inside.spawn([process.execPath, COMMAND, 'serve', '--json', ...args]));
    await serve.until(() => serve.events.some(({ event }) => event === 'listening'), 'it listens');
    return serve;
  }

  private read(chunk: Buffer): void {
    this.text += chunk.toString();
    const lines = this.text.split('\n');
    this.text = lines.pop()!;
    for (const line of lines) this.events.push(JSON.parse(line) as Event);
    this.wake();
  }

  private wake(): void {
    for (const look of this.waiting.splice(0)) look();
  }

  private async until(done: () => boolean, what: string, seconds = 20): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    while (!done()) {
      const left = deadline - Date.now();
      if (left <= 0 || (this.exit !== undefined && what !== 'it ends')) {
        throw new Error(`waiting until ${what}: ${left <= 0 ? 'too long' : `exit ${this.exit}`}\n${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  get pid(): number {
    return this.events[0]!['pid'] as number;
  }

  async report(): Promise<Report> {
    const before = this.events.length;
    process.kill(this.pid, 'SIGUSR2');
    await this.until(() => this.events.slice(before).some(({ event }) => event === 'report'), 'it reports');
    return this.events.slice(before).find(({ event }) => event === 'report') as unknown as Report;
  }

  /** Ctrl-C. Returns the exit code. */
  async stop(): Promise<number | null> {
    if (this.exit === undefined) process.kill(this.pid, 'SIGINT');
    await this.until(() => this.exit !== undefined, 'it ends');
    return this.exit!;
  }

  kill(): void {
    if (this.exit === undefined) this.child.kill('SIGKILL');
  }
}

/** Everything that a stack holds on behalf of connections. All zero: nothing has leaked. */
export function held({
  connectionsTotal,
  receiveNodes,
  sendBlocks,
  sendBytes,
  segmentsInFlight,
  slabs,
  acceptQueue,
}: HostReport) {
  return { connectionsTotal, receiveNodes, sendBlocks, sendBytes, segmentsInFlight, pinned: slabs.pinned, acceptQueue };
}

export const NOTHING_HELD = {
  connectionsTotal: 0,
  receiveNodes: 0,
  sendBlocks: 0,
  sendBytes: 0,
  segmentsInFlight: 0,
  pinned: 0,
  acceptQueue: 0,
};

/** Reads a stream to its end; its length and SHA-256. */
export async function digest(stream: Readable): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, sha256: hash.digest('hex') };
}
