import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Namespace, where, withTools } from './serve/lab';

// Other people's clients load a site from an ordinary Node program on our stack, over TUN: curl, wrk, ab, h2load, Chromium.

const GIGABYTE = 1_000_000_000;
const SITE = 'http://10.77.0.2';
const SECURE = 'https://10.77.0.2';
const BLOCK = 'a block of a body that is as long as it is asked to be; ';

const root = resolve(__dirname, '../..');
const identity = require('../packages/programs/identity.cjs') as { key: string; cert: string };

jest.setTimeout(600_000);

const canServe = where('[ "$(id -u)" = 0 ] && [ -w /dev/net/tun ]') === test;
const withClient = (...tools: string[]): jest.It => (canServe ? withTools(...tools) : test.skip);

/** The body of `/bytes/N`, without the server. */
function expectedHash(bytes: number): string {
  const hash = createHash('sha256');
  const block = Buffer.alloc(1 << 20, BLOCK);
  for (let left = bytes; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)));
  return hash.digest('hex');
}

let inside: Namespace;
let folder: string;
let site: ChildProcess;
let siteSaid = '';

beforeAll(async () => {
  if (!canServe) return;
  inside = new Namespace();
  inside.sh('ip link set lo up');
  folder = mkdtempSync(join(tmpdir(), 'tapwire-clients-'));
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
  writeFileSync(files.key, identity.key);
  writeFileSync(files.cert, identity.cert);
  const register = join(root, 'dist/register/index.js');
  const program = ['--require', register, join(__dirname, 'clients/site.cjs'), files.key, files.cert];
  const [command, ...args] = inside.argv([process.execPath, ...program]);
  const env = { ...process.env, TAPWIRE: '--tun tapwire0 --address 10.77.0.2/24 --host-address 10.77.0.1/24' };
  site = spawn(command!, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  site.stderr!.on('data', (chunk: Buffer) => (siteSaid += chunk.toString()));
  await new Promise((listening, reject) => {
    site.once('message', listening);
    site.once('exit', (code) => reject(new Error(`the site ended with ${code}\n${siteSaid}`)));
  });
});

afterAll(() => {
  if (!canServe) return;
  site.kill('SIGKILL');
  inside.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

afterEach(() => {
  // It complains of nothing that a client does.
  expect(siteSaid).toBe('');
});

/** Runs a client, which must succeed; what it printed. */
async function run(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await inside.run(command, 550);
  if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

const curl = (...args: string[]): Promise<string> => run('curl', '-sS', '--max-time', '500', ...args);

describe('curl', () => {
  const it = withClient('curl');

  it('a page and its hundred parts, over few connections', async () => {
    const counts = await curl(
      '-Z',
      '--parallel-max',
      '6',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code} %{num_connects}\n',
      `${SITE}/image/[0-97].svg`,
    );
    // On the other stream it draws its progress.
    const lines = counts.split('\n').filter((line) => /^\d{3} \d+$/.test(line));
    expect(lines.length).toBe(98);
    expect(lines.every((line) => line.startsWith('200 '))).toBe(true);
    const connections = lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
    expect(connections).toBeLessThanOrEqual(6);
    expect(await curl(`${SITE}/`)).toContain('/image/97.svg');
  });

  it('HTTP/1.0, with and without a kept connection', async () => {
    const plain = await curl('--http1.0', '-i', `${SITE}/style.css`);
    expect(plain).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*rgb\(1, 2, 3\)/);
    const kept = await curl(
      '--http1.0',
      '-i',
      '-H',
      'Connection: keep-alive',
      `${SITE}/style.css`,
      `${SITE}/style.css`,
    );
    expect(kept.match(/Connection: keep-alive/g)?.length).toBe(2);
  });

  it('ranges, heads and what is not there', async () => {
    expect((await curl('-r', '1000000-1000055', `${SITE}/large`)).length).toBe(56);
    expect(await curl('-I', `${SITE}/large`)).toMatch(/^HTTP\/1\.1 200 OK\r\nAccept-Ranges: bytes\r\n/);
    expect(await curl('-w', '%{http_code}', `${SITE}/nowhere`)).toBe('nothing there\n404');
  });

  it('a gigabyte downloaded', async () => {
    const sum = await run('sh', '-c', `curl -sS --max-time 500 ${SITE}/bytes/${GIGABYTE} | sha256sum`);
    expect(sum.split(' ')[0]).toBe(expectedHash(GIGABYTE));
  });

  it('a gigabyte uploaded, with Expect', async () => {
    const upload = `yes '${BLOCK.trimEnd()}' | head -c ${GIGABYTE}`;
    const sent = await run('sh', '-c', `${upload} | sha256sum`);
    const answer = await run(
      'sh',
      '-c',
      `${upload} | curl -sS --max-time 500 -H 'Expect: 100-continue' --expect100-timeout 100 -T - ${SITE}/sink`,
    );
    expect(JSON.parse(answer)).toEqual({ bytes: GIGABYTE, sha256: sent.split(' ')[0], expect: '100-continue' });
  });

  it('over TLS, with the certificate checked', async () => {
    const options = ['--cacert', join(folder, 'cert.pem'), '--connect-to', 'localhost:443:10.77.0.2:443'];
    expect(await curl(...options, 'https://localhost/style.css')).toContain('rgb(1, 2, 3)');
    const counts = await curl(
      ...options,
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      `https://localhost/bytes/${GIGABYTE / 10}`,
    );
    expect(counts).toBe(`${GIGABYTE / 10}`);
    const { code } = await inside.run(['curl', '-sS', `${SECURE}/`], 60);
    // The certificate is for another address.
    expect(code).toBe(60);
  });
});

withClient('wrk')('wrk: no error of any kind', async () => {
  for (const url of [`${SITE}/style.css`, `${SECURE}/style.css`]) {
    const text = await run('wrk', '-t1', '-c32', '-d2s', '--timeout', '60s', url);
    expect(text).toMatch(/Requests\/sec/);
    expect(text).not.toMatch(/Socket errors|Non-2xx/);
  }
});

withClient('ab')('ab: with connections kept and with one for each request', async () => {
  for (const kept of [['-k'], []]) {
    const text = await run('ab', '-q', '-s', '100', '-n', '2000', '-c', '16', ...kept, `${SITE}/style.css`);
    expect(text).toMatch(/Complete requests:\s+2000\n/);
    expect(text).toMatch(/Failed requests:\s+0\n/);
    if (kept.length > 0) expect(text).toMatch(/Keep-Alive requests:\s+2000\n/);
  }
});

withClient('h2load')('h2load --h1: all requests succeed', async () => {
  const text = await run('h2load', '--h1', '-n', '2000', '-c', '16', '-m', '4', `${SITE}/style.css`);
  expect(text).toContain('2000 succeeded, 0 failed, 0 errored, 0 timeout');
});

describe('Chromium', () => {
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--ignore-certificate-errors',
  ];

  withClient('chromium').each([SITE, SECURE])(
    '%s: the page, its parts, ranges, uploads, events, WebSockets',
    async (url) => {
      const said = new Promise<{ result: unknown }>((resolve) => void site.once('message', resolve as never));
      const data = mkdtempSync(join(folder, 'chromium-'));
      const quiet = [
        '--no-first-run',
        '--disable-extensions',
        '--disable-background-networking',
        `--user-data-dir=${data}`,
      ];
      // A process group of its own: its helpers end with it.
      const [command, ...args] = inside.argv([
        'chromium',
        ...options,
        ...quiet,
        '--remote-debugging-port=0',
        `${url}/`,
      ]);
      const browser = spawn(command!, args, { stdio: 'ignore', detached: true, env: { ...process.env, HOME: data } });
      try {
        const { result } = await said;
        expect(result).toEqual({
          images: 98,
          styled: 'rgb(1, 2, 3)',
          part: [206, 'bytes 1000-1999/3000000', 1000],
          upload: { bytes: 5_000_000, sha256: createHash('sha256').update(Buffer.alloc(5_000_000)).digest('hex') },
          events: ['0', '1', '2'],
          socket: [1_000_000, 1000],
          secure: url === SECURE,
        });
      } finally {
        const gone = new Promise((resolve) => browser.on('exit', resolve));
        process.kill(-browser.pid!, 'SIGKILL');
        await gone;
      }
    },
  );
});
