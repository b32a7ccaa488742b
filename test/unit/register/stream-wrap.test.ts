import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

/** Runs a program under the drop-in, from the sources as they are. Gives what it prints. */
async function program(source: string): Promise<string> {
  const preloads = ['-r', join(ROOT, 'test/typescript.cjs'), '-r', join(ROOT, 'register/index.ts')];
  const { stdout } = await run(process.execPath, [...preloads, '-e', source], { cwd: ROOT, timeout: 60_000 });
  return stdout.trim();
}

test('a server whose connections are wrapped counts each once: it closes behind the last', async () => {
  const out = await program(`
    const http2 = require('http2'), tls = require('tls');
    const closed = [];
    const plain = http2.createServer((request, response) => response.end('x')).listen(0, '127.0.0.1', () => {
      const client = http2.connect('http://127.0.0.1:' + plain.address().port);
      client.request().resume().on('close', () => {
        client.close();
        plain.close(() => closed.push('http2'));
      });
    });
    const psk = Buffer.from('key');
    const version = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    const secure = tls.createServer({ ...version, pskCallback: () => psk }, (socket) => socket.end('x'));
    secure.listen(0, '127.0.0.1', () => {
      const to = { port: secure.address().port, host: '127.0.0.1', checkServerIdentity() {} };
      const client = tls.connect({ ...version, ...to, pskCallback: () => ({ psk, identity: 'a' }) });
      client.resume().on('close', () => secure.close(() => closed.push('tls')));
    });
    process.on('exit', () => console.log(closed.sort().join()));`);
  expect(out).toBe('http2,tls');
}, 60_000);
