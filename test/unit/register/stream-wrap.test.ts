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

test('HTTP/2 over TLS tells of a response before its text, and of a stream before the next', async () => {
  const out = await program(`
    const http2 = require('http2');
    const psk = Buffer.from('key');
    const version = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    const server = http2.createSecureServer({ ...version, pskCallback: () => psk });
    server.on('stream', (stream) => {
      stream.respond({}, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ a: 'b' }));
      stream.end('x');
    });
    const heard = {}, ends = [];
    server.listen(0, '127.0.0.1', () => {
      const identity = { checkServerIdentity() {}, pskCallback: () => ({ psk, identity: 'a' }) };
      const client = http2.connect('https://127.0.0.1:' + server.address().port, { ...version, ...identity });
      for (const name of ['a', 'b', 'c']) {
        const request = client.request({ ':path': '/' + name });
        const told = (heard[name] = []);
        for (const event of ['response', 'data', 'trailers', 'end', 'close']) request.on(event, () => told.push(event));
        request.on('end', () => ends.push(name + ' end')).on('close', () => ends.push(name + ' close'));
        request.on('close', () => {
          if (ends.length < 6) return;
          client.close();
          server.close();
        });
      }
    });
    process.on('exit', () => console.log(JSON.stringify([heard, ends])));`);
  const all = ['response', 'data', 'trailers', 'end', 'close'];
  const ends = ['a end', 'a close', 'b end', 'b close', 'c end', 'c close'];
  expect(JSON.parse(out)).toEqual([{ a: all, b: all, c: all }, ends]);
}, 60_000);
