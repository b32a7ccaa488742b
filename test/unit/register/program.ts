import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

/** Runs a program as it is, or under a drop-in from the sources as they are. Gives what it prints. */
export const program = (source: string, preload: Preload): Promise<string> => runNode(['-e', source], preload);

type Preload = 'index' | 'transport' | null;

/** The same for a file, or whatever else Node takes. */
export async function runNode(what: string[], preload: Preload): Promise<string> {
  const preloads =
    preload === null ? [] : ['-r', join(ROOT, 'test/typescript.cjs'), '-r', join(ROOT, `register/${preload}.ts`)];
  const { stdout, stderr } = await run(process.execPath, [...preloads, ...what], { cwd: ROOT, timeout: 100_000 });
  return stdout.trim() + stderr.trim();
}

/** The program prints the same on Node's own sockets and on ours, with our HTTP/1 and with Node's. */
export async function agrees(source: string): Promise<string> {
  const [wanted, ours, transport] = await Promise.all([
    program(source, null),
    program(source, 'index'),
    program(source, 'transport'),
  ]);
  expect(ours).toBe(wanted);
  expect(transport).toBe(wanted);
  return wanted!;
}
