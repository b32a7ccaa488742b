import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

test('a worker of a cluster is warned that nobody shares its port', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-cluster-'));
  const file = join(folder, 'app.js');
  writeFileSync(
    file,
    `const cluster = require('cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary({ silent: true });
      const worker = cluster.fork();
      let said = '';
      worker.process.stderr.on('data', (chunk) => { said += chunk; });
      worker.process.on('close', (code) => console.log(code, said));
    } else process.disconnect();`,
  );
  try {
    const preloads = ['-r', join(ROOT, 'test/typescript.cjs'), '-r', join(ROOT, 'register/index.ts')];
    const { stdout, stderr } = await run(process.execPath, [...preloads, file], { cwd: ROOT, timeout: 60_000 });
    expect(stdout).toMatch(
      /^0 \(node:\d+\) \[TAPWIRE_CLUSTER\] TapwireWarning: workers .* TAPWIRE=network:10\.77\.0\.0\/24/,
    );
    // The primary is none.
    expect(stderr).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
