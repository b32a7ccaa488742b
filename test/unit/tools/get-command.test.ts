import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
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

test('a method is one word', async () => {
  const { code, said } = await tapwire('get', 'http://127.0.0.1:1/', '-X', 'G@T');
  expect([code, said]).toEqual([
    2,
    'tapwire get: --request "G@T": a method is one word of letters, such as GET or PROPFIND\n',
  ]);
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
