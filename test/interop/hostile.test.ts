import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { Seen } from './hostile/cases';

/*
 * Peers that mean no good, as in test/unit/http/hostile.test.ts, but the kernel's sockets over a TUN or TAP device, in processes
 * of their own, and a network namespace that is gone afterwards. Meanwhile curl and Node ask politely. Needs root and
 * /dev/net/tun.
 */

const TYPESCRIPT = resolve(__dirname, '..', 'typescript.cjs');
const SECONDS_MAX = 90;
const MB = 1_000_000;

jest.setTimeout((SECONDS_MAX + 10) * 1000);

/** Runs a case of hostile/cases.ts; rejects with all that it said when it fails, dies or takes too long. */
function attacked(name: string, ...args: number[]): Promise<Seen> {
  const command = [process.execPath, '--expose-gc', '-r', TYPESCRIPT, join(__dirname, 'hostile', 'cases.ts'), name];
  const child = spawn('unshare', ['-n', '-m', '--', ...command, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), SECONDS_MAX * 1000);
  let said = '';
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) done(JSON.parse(said.trimEnd().split('\n').pop()!) as Seen);
      else fail(new Error(`${name} ended with ${status ?? signal}\n${said}\n${complaints}`));
    });
  });
}

/** Everybody who asked politely, before, while and after, got the answer. */
function expectServed({ polite, left }: Seen): void {
  expect(Object.keys(polite).sort()).toEqual(['curl: ok 200', 'kept: 200 ok', 'new: 200 ok']);
  expect(left).toEqual({});
}

test('slowloris: ten thousand heads that never end cost little, and are given up in time', async () => {
  const seen = await attacked('slowloris', 10_000);
  expectServed(seen);
  expect(seen.told).toEqual({ 'HTTP/1.1 408 Request Timeout': 10_000 });
  expect(seen.more['connectionsTotal']).toBeGreaterThanOrEqual(10_000);
  expect(seen.more['receiveNodes']).toBe(0);
  // 25 KB each, sockets, requests under way and all.
  expect(seen.most.rss).toBeLessThan(250 * MB);
  expect(seen.most.arrayBuffers).toBeLessThan(80 * MB);
});

test('bombs: heads, trailers and chunk extensions without end are refused', async () => {
  const seen = await attacked('bombs', 120);
  expectServed(seen);
  expect(seen.more).toMatchObject({ HPE_HEADER_OVERFLOW: 100, HPE_CHUNK_EXTENSIONS_OVERFLOW: 20 });
  // 16 KiB of head each, and what the window let in before they heard.
  expect(seen.more['rxBytes']).toBeLessThan(120 * 256 * 1024);
  expect(seen.most.rss).toBeLessThan(150 * MB);
  expect(seen.most.arrayBuffers).toBeLessThan(80 * MB);
});

test('chunks without end that nobody reads fill one stream buffer and one receive buffer', async () => {
  const seen = await attacked('chunks', 40);
  expectServed(seen);
  expect(seen.more['unread']).toBeLessThan(16_384 + 65_536);
  expect(seen.more['beyond']).toBeLessThanOrEqual(65_536);
  expect(seen.most.rss).toBeLessThan(100 * MB);
  expect(seen.most.arrayBuffers).toBeLessThan(70 * MB);
});

test('two thousand who read nothing take the send memory that there is, except what is kept for others', async () => {
  const sendBytesMax = 16 << 20;
  const seen = await attacked('stalled', 2000, sendBytesMax);
  expectServed(seen);
  expect(seen.more['finished']).toBe(0);
  expect(seen.more['bytesInUse']).toBeGreaterThan(sendBytesMax / 2);
  expect(seen.more['bytesInUse']).toBeLessThan(sendBytesMax);
  expect(seen.most.rss).toBeLessThan(150 * MB);
  expect(seen.most.arrayBuffers).toBeLessThan(sendBytesMax + 20 * MB);
});

test('half-open: 100,000 SYNs from forged addresses hold as many places as the backlog has', async () => {
  const seen = await attacked('halfOpen', 100_000);
  expectServed(seen);
  expect(seen.more['code']).toBe(0);
  expect(seen.more['framesIn']).toBeGreaterThan(10_000);
  expect(seen.more['cookiesSent']).toBeGreaterThan(1000);
  expect(seen.more['connectionsMax']).toBeLessThan(512 + 64);
  expect(seen.most.rss).toBeLessThan(120 * MB);
  expect(seen.most.arrayBuffers).toBeLessThan(40 * MB);
});
