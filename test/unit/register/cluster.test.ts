import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runNode } from './program';

const ROOT = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

test('a worker of a cluster is warned that nobody shares its port', async () => {
  const { file, remove } = fileOf(
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
    remove();
  }
});

/** Written to a file: workers run it, too. */
function fileOf(source: string): { file: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-cluster-'));
  const file = join(folder, 'app.js');
  writeFileSync(file, source);
  return { file, remove: () => rmSync(folder, { recursive: true }) };
}

test('the primary hears which servers of a worker listen, and a worker that is disconnected closes them and ends', async () => {
  const app = fileOf(`
    const cluster = require('cluster'), net = require('net'), http = require('http'), tls = require('tls');
    if (cluster.isPrimary) {
      const log = [];
      const shown = (address) => JSON.stringify({ ...address, port: address.port > 0 });
      cluster.on('listening', (worker, address) => log.push('cluster ' + worker.id + ' ' + shown(address) + worker.state));
      cluster.on('exit', (worker, code, signal) => log.push('exit ' + code + ' ' + signal));
      cluster.on('disconnect', (worker) => log.push('disconnect ' + worker.exitedAfterDisconnect));
      const worker = cluster.fork({ NODE_NO_WARNINGS: '1' });
      worker.on('listening', (address) => log.push('worker ' + shown(address)));
      worker.on('message', (message) => {
        log.push(JSON.stringify(message));
        if (message === 'all') worker.disconnect();
      });
      process.on('exit', () => console.log(log.join('\\n')));
    } else {
      const shared = net.createServer().listen(0, '127.0.0.1', () => {
        http.createServer().listen(0, () => {
          net.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true }, function () {
            this.close();
            tls.createServer().listen(0, 'localhost', () => {
              process.send(cluster.worker.state);
              setImmediate(() => process.send('all'));
            });
          });
        });
      });
      shared.on('close', () => process.send('closed'));
    }`);
  try {
    const wanted = await runNode([app.file], null);
    expect(await runNode([app.file], 'index')).toBe(wanted);
    expect(await runNode([app.file], 'transport')).toBe(wanted);
    expect(wanted.match(/^cluster 1 \{"addressType":[46],"address":.*,"port":true\}listening$/gm)).toHaveLength(3);
    expect(wanted).toMatch(/\n"closed"\ndisconnect true\nexit 0 null$/);
  } finally {
    app.remove();
  }
}, 120_000);
