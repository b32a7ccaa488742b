import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../../tools/tapwire';

const folder = mkdtempSync(join(tmpdir(), 'tapwire-get-command-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A command line, and what it says on standard error. */
async function tapwire(...args: string[]): Promise<{ code: unknown; said: string }> {
  let said = '';
  const before = process.exitCode;
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  try {
    await main(args);
    return { code: process.exitCode, said };
  } finally {
    stderr.mockRestore();
    process.exitCode = before;
  }
}

/** A port of this machine on which nobody listens. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a server that the kernel does not reach is told as what it is, though the stack sees a reset', async () => {
  const port = await freePort();
  const { code, said } = await tapwire('get', `http://127.0.0.1:${port}/`);
  expect(said).toBe(
    `tapwire get: http://127.0.0.1:${port}/: the server is not reached: connect ECONNREFUSED 127.0.0.1:${port}\n`,
  );
  expect(code).toBe(1);
});

test('a password is not said aloud', async () => {
  const port = await freePort();
  const at = `127.0.0.1:${port}`;
  const cases: [string[], string][] = [
    [[`http://alice:secret@${at}/x`], `http://${at}/x: the server is not reached: connect ECONNREFUSED ${at}`],
    [
      ['http://127.0.0.1:1/', '-x', `http://al%ice:secret@${at}`],
      `http://127.0.0.1:1/: the proxy is not reached: connect ECONNREFUSED ${at}`,
    ],
    [['http://alice:sec/ret@nowhere'], '"http://nowhere" is not a URL: give http://HOST[:PORT]/PATH'],
    [
      ['http://127.0.0.1:1/', '-x', 'http://alice:sec/ret@nowhere'],
      '--proxy "http://nowhere": give http://HOST:PORT, https://, socks5:// or socks4://',
    ],
  ];
  for (const [args, line] of cases) expect((await tapwire('get', ...args)).said).toBe(`tapwire get: ${line}\n`);
});

test('a method is one word', async () => {
  const { code, said } = await tapwire('get', 'http://127.0.0.1:1/', '-X', 'G@T');
  expect([code, said]).toEqual([
    2,
    'tapwire get: --request "G@T": a method is one word of letters, such as GET or PROPFIND\n',
  ]);
});

test('so is a proxy', async () => {
  const port = await freePort();
  const { code, said } = await tapwire('get', 'http://127.0.0.1:1/', '-x', `http://127.0.0.1:${port}`);
  expect(said).toBe(
    `tapwire get: http://127.0.0.1:1/: the proxy is not reached: connect ECONNREFUSED 127.0.0.1:${port}\n`,
  );
  expect(code).toBe(1);
});

test('--head writes the head, and sends no body', async () => {
  const server = http.createServer((request, response) => {
    response.setHeader('X-Method', request.method!);
    response.end('never seen');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const file = join(folder, 'head');
  try {
    expect((await tapwire('get', '-I', '-o', file, url)).code).toBe(0);
    expect(readFileSync(file, 'latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\nX-Method: HEAD\r\n[\s\S]*\r\n\r\n$/);
  } finally {
    rmSync(file, { force: true });
    server.close();
    server.closeAllConnections();
  }
  expect(await tapwire('get', '-I', '-d', 'x', url)).toEqual({
    code: 2,
    said: 'tapwire get: --head asks without a body\n',
  });
});

test('a network of several processes is a wire of its own', async () => {
  const { code, said } = await tapwire('get', 'http://127.0.0.1:1/', '--network', '10.77.0.0/31');
  expect([code, said]).toEqual([
    2,
    'tapwire get: --network takes an IPv4 network from /16 to /30, such as 10.77.0.0/24\n',
  ]);
});

test('what is no cookie jar stays where it is', async () => {
  const file = join(folder, 'cookies.txt');
  writeFileSync(file, '# Netscape HTTP Cookie File\n');
  const { code, said } = await tapwire('get', 'http://127.0.0.1:1/', '-c', file);
  expect([code, said]).toEqual([
    2,
    `tapwire get: --cookie-jar ${file}: it is no jar of tapwire's, which is JSON (curl's are not read): name another\n`,
  ]);
  expect((await tapwire('get', 'http://127.0.0.1:1/', '-c', folder)).said).toContain(
    'it is a folder; name a file in it',
  );
  expect(readdirSync(folder)).toEqual(['cookies.txt']);
});
