import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expectedHash, SECURE, SITE, Site, writesBody } from './clients/stand';
import { where, withTools } from './serve/lab';

// Other people's clients load a site from an ordinary Node program on our stack, over TUN: curl, wrk, ab, h2load, Chromium.
// `npm run acceptance` has the browser transfer gigabytes, too.

const MB = 1_000_000;
const GIGABYTE = 1000 * MB;

jest.setTimeout(600_000);

const canServe = where('[ "$(id -u)" = 0 ] && [ -w /dev/net/tun ]') === test;
const withClient = (...tools: string[]): jest.It => (canServe ? withTools(...tools) : test.skip);

let site: Site;
const run = (...command: string[]): Promise<string> => site.run(...command);
const curl = (...args: string[]): Promise<string> => site.curl(...args);

beforeAll(async () => {
  if (canServe) site = await Site.start();
});

afterAll(() => {
  if (canServe) site?.close();
});

afterEach(() => {
  // It complains of nothing that a client does.
  if (canServe) expect(site.said).toBe('');
});

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
    const upload = writesBody(GIGABYTE);
    const sent = await run('sh', '-c', `${upload} | sha256sum`);
    const answer = await run(
      'sh',
      '-c',
      `${upload} | curl -sS --max-time 500 -H 'Expect: 100-continue' --expect100-timeout 100 -T - ${SITE}/sink`,
    );
    expect(JSON.parse(answer)).toEqual({ bytes: GIGABYTE, sha256: sent.split(' ')[0], expect: '100-continue' });
  });

  it('over TLS, with the certificate checked', async () => {
    const options = ['--cacert', join(site.folder, 'cert.pem'), '--connect-to', 'localhost:443:10.77.0.2:443'];
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
    const { code } = await site.ask(['curl', '-sS', `${SECURE}/`], 60);
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
  const it = withClient('chromium');

  it.each([SITE, SECURE])('%s: the page, its parts, ranges, uploads, events, WebSockets', async (url) => {
    expect(await site.visit(`${url}/`)).toEqual({
      images: 98,
      styled: 'rgb(1, 2, 3)',
      part: [206, 'bytes 1000-1999/3000000', 1000],
      upload: {
        bytes: 5 * MB,
        sha256: createHash('sha256')
          .update(Buffer.alloc(5 * MB))
          .digest('hex'),
      },
      events: ['0', '1', '2'],
      socket: [1_000_000, 1000],
      secure: url === SECURE,
    });
  });

  it.each([SITE, SECURE])('%s: a body of 50 MB each way', async (url) => {
    const { download, upload } = await site.transfer(url, 50 * MB);
    expect(download).toMatchObject({ bytes: 50 * MB, wrong: 0 });
    expect(upload).toMatchObject({ bytes: 50 * MB, sha256: expectedHash(50 * MB) });
  });
});
