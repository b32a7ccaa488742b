import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '../..');
const HARNESS = join(__dirname, 'harness.cjs');
const LIMIT_MS = 300_000;

/** Files of programs/ that programs use. */
const USED = ['common', 'identity'];

/** Every program, by name. */
export const PROGRAMS = readdirSync(join(__dirname, 'programs'))
  .map((file) => file.replace(/\.cjs$/, ''))
  .filter((name) => !USED.includes(name));

/** Programs that start their own servers: they cannot be parted. */
export const isTogether = (program: string): boolean =>
  (require(join(__dirname, 'programs', `${program}.cjs`)) as { together?: boolean }).together === true;

/** What a program runs on. */
export const WIRES = {
  kernel: [],
  register: ['--require', join(root, 'dist/register/index.js')],
  'register, imported': ['--import', join(root, 'dist/register/index.mjs')],
  'register-net': ['--require', join(root, 'dist/register/transport.js')],
} as const;

export type Wire = keyof typeof WIRES;

export interface Outcome {
  /** What each scenario saw. */
  transcript: Record<string, unknown>;
  /** Sockets of the kernel that the process made. */
  kernelSockets: number;
}

/** What one process is started with. */
export interface Start {
  program: string;
  role: readonly string[];
  wire: Wire;
  /** The device of the stack, as TAPWIRE names it; default: in memory. */
  device?: string;
  /** Words before the command, such as those that enter a network namespace. */
  before?: readonly string[];
}

export function start({ program, role, wire, device, before = [] }: Start): ChildProcess {
  const command = [...before, process.execPath, ...WIRES[wire], HARNESS, program, ...role];
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '', TAPWIRE: device ?? '' };
  return spawn(command[0]!, command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
}

/** What a process printed at its end. */
export async function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  if (code !== 0) throw new Error(`exit ${code}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

/** A program whole, in one process. */
export const runTogether = (program: string, wire: Wire): Promise<Outcome> =>
  outcome(start({ program, role: ['both'], wire }));
