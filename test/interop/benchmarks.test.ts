import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTools } from './serve/lab';

// The built benchmarks' laboratory. It has namespaces, devices and processes; all of them go with whoever started it.

const RUN = join(__dirname, '..', '..', 'dist', 'benchmarks', 'run.js');
const MARK = `TAPWIRE_TEST_MARK=${randomUUID()}`;
/** The laboratory itself, the second namespace's holder, two servers, wrk. */
const PROCESSES = 5;

/** Processes that were started, by whatever ways, with the mark in their environment. */
function marked(): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').includes(MARK)) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

afterEach(() => {
  for (const pid of marked()) process.kill(pid, 'SIGKILL');
});

withTools('wrk', 'ethtool')(
  'nothing is left of a laboratory whose first process is killed',
  async () => {
    const [name, value] = MARK.split('=') as [string, string];
    const outer = spawn(process.execPath, [RUN, '--scenario', 'http-keepalive-1', '--seconds', '600'], {
      env: { ...process.env, [name]: value },
      stdio: 'ignore',
    });
    await until(() => marked().filter((pid) => pid !== outer.pid).length >= PROCESSES);
    outer.kill('SIGKILL');
    await until(() => marked().length === 0);
  },
  60_000,
);
