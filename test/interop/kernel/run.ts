import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type * as cases from './cases';

type Cases = typeof cases;
export type CaseName = keyof Cases & string;
type Result<K extends CaseName> = Cases[K] extends (...args: never[]) => infer R ? Awaited<R> : never;
type Arguments<K extends CaseName> = Cases[K] extends (...args: infer A) => unknown ? A : never;

const SECONDS_MAX = 100;

/**
 * Runs a case in a child process in a network namespace of its own, which ends with it, and returns the case's result.
 * Rejects with all that the child said when it fails, dies, or takes longer than 100 s.
 */
export function inNamespace<K extends CaseName>(name: K, ...args: Arguments<K>): Promise<Result<K>> {
  const texts = args.map((arg) => JSON.stringify(arg));
  const command = [process.execPath, '--expose-gc', join(__dirname, 'child.cjs'), name, ...texts];
  // A new mount namespace as well, so that /sys shows the new network's interfaces.
  const child = spawn('unshare', ['-n', '-m', '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), SECONDS_MAX * 1000);
  let said = '';
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // Not 'close': a process that outlived its parent may hold the pipes.
    child.on('exit', async (status, signal) => {
      await new Promise(setImmediate);
      clearTimeout(timer);
      if (status !== 0) {
        reject(new Error(`${name}(${texts.join(', ')}) ended with ${status ?? signal}\n${said}\n${complaints}`));
        return;
      }
      resolve(JSON.parse(said.trimEnd().split('\n').pop()!) as Result<K>);
    });
  });
}
