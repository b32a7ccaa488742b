/**
 * E-061, E-105: real proxies of Debian's between requests of ours and origins on our stack and on Node's own http. Needs root,
 * tinyproxy and squid; each runs in a network namespace of its own.
 */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const isRoot = process.getuid?.() === 0;
const MILLIS_MAX = 120_000;

const isInstalled = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** What is missing on this machine is said aloud. */
function testWith(program: string): jest.It {
  if (isRoot && isInstalled(program)) return test;
  process.stderr.write(`electron-proxy: skipped, ${isRoot ? `${program} is not installed` : 'this needs root'}\n`);
  return test.skip;
}

function through(proxy: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const args = ['-r', join(root, 'test/typescript.cjs'), join(__dirname, 'electron/proxy-child.ts'), proxy];
    const options = { cwd: root, timeout: MILLIS_MAX - 5000, killSignal: 'SIGKILL' as const };
    execFile('unshare', ['-n', '--kill-child', '-f', process.execPath, ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as string[]);
      else reject(new Error(`${proxy}: ${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

const BODY = '1000000 5cfc6778';

/** What comes of each request; `asked` is how the proxy asks for credentials. */
const outcomes = (asked: string): string[] => [
  `stack: 200 stack GET /a?b via${asked}`,
  'kernel: 200 kernel GET /a?b via',
  'stack tls: 200 stack GET /c end to end',
  'kernel tls: 200 kernel GET /c end to end',
  `upload: 200 stack POST /up ${BODY} via`,
  `upload tls: 200 stack POST /up ${BODY} end to end`,
  `upload, asked first: 200 stack POST /up ${BODY} via${asked}`,
];

testWith('tinyproxy')(
  'E-105: tinyproxy',
  async () => {
    expect(await through('tinyproxy open')).toEqual([
      ...outcomes(''),
      'wrong, right, tls: 200 stack GET /c end to end',
      'cancelled: 200 stack GET / via',
      'cancelled tls: 200 stack GET / end to end',
    ]);
  },
  MILLIS_MAX,
);

testWith('tinyproxy')(
  'E-061: tinyproxy asks for Basic',
  async () => {
    const asked = ' [proxy basic Tinyproxy]';
    expect(await through('tinyproxy basic')).toEqual([
      ...outcomes(asked),
      // It answers a wrong password with 401, which from a proxy is a plain refusal.
      `wrong, right, tls: 0 net::ERR_TUNNEL_CONNECTION_FAILED${asked}`,
      `cancelled: 407 page${asked}`,
      `cancelled tls: 0 net::ERR_TUNNEL_CONNECTION_FAILED${asked}`,
    ]);
  },
  MILLIS_MAX,
);

testWith('squid').each(['basic', 'digest'])(
  'E-061: squid asks for %s',
  async (scheme) => {
    const asked = ` [proxy ${scheme} gate]`;
    expect(await through(`squid ${scheme}`)).toEqual([
      ...outcomes(asked),
      `wrong, right, tls: 200 stack GET /c end to end${asked}${asked}`,
      `cancelled: 407 page${asked}`,
      `cancelled tls: 0 net::ERR_TUNNEL_CONNECTION_FAILED${asked}`,
    ]);
  },
  MILLIS_MAX,
);
