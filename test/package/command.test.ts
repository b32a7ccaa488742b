import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readCaptureFile } from '../../tools/pcap/reader';

// The built command from the outside, where no privileges are needed.

const COMMAND = join(resolve(__dirname, '../..'), 'dist', 'tools', 'tapwire.js');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapwire-command-'));
  writeFileSync(join(folder, 'hello.txt'), 'hello');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function tapwire(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

interface Running {
  child: ChildProcess;
  url: string;
  stdout(): string;
  stderr(): string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
}

/** Starts `tapwire serve` in memory and waits for its announcement. */
async function serve(...args: string[]): Promise<Running> {
  const child = spawn(process.execPath, [COMMAND, 'serve', '--forward', '127.0.0.1:0', ...args]);
  children.push(child);
  let out = '';
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<number | null>((done) => child.on('close', done));
  const url = await new Promise<string>((found, fail) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const match = /http:\/\/127\.0\.0\.1:\d+\//.exec(out);
      if (match !== null) found(match[0]);
    });
    void ended.then((code) => fail(new Error(`exit ${code}: ${err}`)));
  });
  return { child, url, stdout: () => out, stderr: () => err, ended };
}

function ask(url: string, method = 'GET', body?: Buffer): Promise<{ status: number; body: Buffer }> {
  return new Promise((done, fail) => {
    const request = http.request(url, { method, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => done({ status: response.statusCode!, body: Buffer.concat(chunks) }));
      response.on('error', fail);
    });
    request.on('error', fail);
    request.end(body);
  });
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('the command line', () => {
  test.each([[[]], [['--help']], [['help']]])('%j prints what there is', (args) => {
    const { status, stdout } = tapwire(...args);
    expect(status).toBe(0);
    for (const name of ['serve', 'get', 'ss', 'decode', 'trace', 'packetdrill'])
      expect(stdout).toContain(`\n  ${name} `);
  });

  test.each(['serve', 'get', 'ss', 'decode', 'trace', 'packetdrill'])('%s has a help of its own', (name) => {
    const { status, stdout } = tapwire(name, '--help');
    expect([status, stdout.startsWith(`Usage: tapwire ${name} `)]).toEqual([0, true]);
  });

  const taken = net.createServer();
  beforeAll(() => new Promise<void>((done) => taken.listen(0, '127.0.0.1', done)));
  afterAll(() => new Promise((done) => taken.close(done)));
  const takenPort = (): string => `127.0.0.1:${(taken.address() as net.AddressInfo).port}`;

  test.each<[string, () => string[], RegExp]>([
    ['an unknown command', () => ['bogus'], /unknown command 'bogus'/],
    ['an unknown option', () => ['serve', '--bogus'], /unknown option '--bogus'/],
    ['a bad CIDR', () => ['serve', '--address', '10.0.0.300/24'], /such as 10\.77\.0\.2\/24/],
    ['an address without a length', () => ['serve', '--address', '10.0.0.3'], /the length of its prefix/],
    ['a bad port', () => ['serve', '--port', '0'], /from 1 to 65535/],
    ['a bad forward', () => ['serve', '--forward', '8077'], /such as 127\.0\.0\.1:8077/],
    [
      'a taken port',
      () => ['serve', '--forward', takenPort()],
      /is taken by another program\. .*--forward 127\.0\.0\.1:\d+/,
    ],
    ["another machine's address", () => ['serve', '--forward', '192.0.2.1:80'], /not an address of this machine/],
    ['two wires', () => ['serve', '--tun', 'a', '--tap', 'b'], /--tun and --tap exclude each other: choose one/],
    ['a folder that is not there', () => ['serve', '/nonexistent'], /no such folder \(ENOENT\)\. Name one/],
    ['a file for a folder', () => ['serve', join(folder, 'hello.txt')], /is a file: name the folder/],
    ['a shared interface without an address', () => ['serve', '--packet', 'eth0'], /needs --address/],
    [
      'a missing interface',
      () => ['serve', '--packet', 'nosuch0', '--address', '10.0.0.2/24'],
      /`ip link`|sudo|npm rebuild|Linux/,
    ],
    ['no descriptor', () => ['serve', '--tun-fd', '99'], /stdio|npm rebuild|Linux/],
    ['an unknown profile', () => ['serve', '--profile', 'bsd'], /Allowed choices are linux, rfc/],
    ['a capture in no folder', () => ['serve', '--pcap', '/nonexistent/x'], /check the path \(ENOENT\)/],
    ['no URL', () => ['get', 'http://'], /is not a URL/],
    ['another protocol', () => ['get', 'ftp://x/'], /give an http:\/\/ or https:\/\/ URL/],
    ['a name that does not resolve', () => ['get', 'http://no-such-name.invalid/'], /no name that resolves/],
    ['a bad header', () => ['get', '-H', 'nonsense', 'http://127.0.0.1/'], /give "Name: value"/],
    ['no such capture', () => ['decode', '/nonexistent'], /no such file/],
  ])('%s: exit 2, and one line that names the cure', (_, args, cure) => {
    const { status, stdout, stderr } = tapwire(...args());
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(cure);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.filter((line) => !/^\(tapwire( [a-z]+)* --help/.test(line))).toHaveLength(1);
  });
});

describe('serve in memory', () => {
  test('a page about its own packets, bodies both ways, and a clean end', async () => {
    const run = await serve();
    const page = (await ask(run.url)).body.toString();
    expect(page).toContain('This connection so far: 10.77.0.1:');
    expect(page).toMatch(/client +S +0 .*wants a connection, SYN-RECEIVED\n.*server +S\. +0 +1/);
    const down = await ask(`${run.url}bytes/3000000?seed=5`);
    expect(down.body.length).toBe(3_000_000);
    const up = JSON.parse((await ask(`${run.url}sink`, 'POST', down.body)).body.toString()) as object;
    expect(up).toMatchObject({ bytes: 3_000_000, sha256: sha256(down.body) });
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(run.stderr()).toBe('');
    const lines = run.stdout().split('\n');
    expect(lines).toContain('  why    --forward was given');
    expect(lines).toContain(`  try    curl ${run.url}`);
    expect(lines.at(-2)).toBe('stopped');
  });

  test('files', async () => {
    const run = await serve(folder);
    expect((await ask(`${run.url}hello.txt`)).body.toString()).toBe('hello');
    expect((await ask(run.url)).body.toString()).toContain('<a href="./hello.txt">');
  });

  test('SIGUSR2 shows what it holds, and it goes on', async () => {
    const run = await serve();
    await ask(`${run.url}status/200`);
    run.child.kill('SIGUSR2');
    while (!run.stderr().includes('client: ')) await new Promise((done) => setTimeout(done, 10));
    expect(run.stderr()).toMatch(/^process \d+: up \d+ s, /);
    expect(run.stderr()).toMatch(/server: \d connections? .*\n {2}slots: slabs 0 of 1 pinned/);
    expect((await ask(`${run.url}status/200`)).status).toBe(200);
  });

  test('Ctrl-C with a transfer and an idle connection under way still ends, with exit 0', async () => {
    const run = await serve();
    const { port } = new URL(run.url);
    const idle = net.connect(Number(port), '127.0.0.1').on('error', () => {});
    await new Promise((done) => idle.once('connect', done));
    const busy = net.connect(Number(port), '127.0.0.1').on('error', () => {});
    busy.write('GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((done) => busy.once('data', done));
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    busy.destroy();
    idle.destroy();
  });

  test('nobody reads what it prints: it serves on', async () => {
    const run = await serve();
    run.child.stdout!.destroy();
    run.child.stderr!.destroy();
    run.child.kill('SIGUSR2');
    await new Promise((done) => setTimeout(done, 100));
    expect((await ask(`${run.url}status/200`)).status).toBe(200);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
  });

  test('--pcap records whole packets, with every checksum complete', async () => {
    const file = join(folder, 'run.pcapng');
    const run = await serve('--pcap', file, '--seed', '7');
    await ask(`${run.url}bytes/100000`);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(existsSync(file)).toBe(true);
    const packets = [...readCaptureFile(file)];
    expect(packets.length).toBeGreaterThan(5);
    const { stdout, status } = tapwire('decode', file);
    expect([status, stdout]).toEqual([0, expect.stringContaining('HTTP: GET /bytes/100000 HTTP/1.1')]);
    expect(stdout.split('\n').filter((line) => /bad|wrong|truncated|retransmission/.test(line))).toEqual([]);
  });

  test('--json tells the same to programs', async () => {
    const run = await serve('--json');
    expect(JSON.parse(run.stdout())).toMatchObject({
      event: 'listening',
      url: run.url,
      wire: 'memory',
      why: '--forward was given',
    });
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(
      run
        .stdout()
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { event: string }).event),
    ).toEqual(['listening', 'stopped']);
  });
});

describe('get', () => {
  let origin: http.Server;
  let base = '';
  const body = Buffer.alloc(300_000, 'abcdefg');

  beforeAll(async () => {
    origin = http.createServer((request, response) => {
      const path = request.url!;
      if (path === '/body') response.end(body);
      else if (path === '/chunked') response.write('in pieces', () => response.end(', two'));
      else if (path === '/host') response.end(`${request.headers.host} ${request.headers['x-extra']}`);
      else if (path === '/cut')
        response.writeHead(200, { 'Content-Length': 1000 }).write('short', () => response.destroy());
      else if (path === '/moved') response.writeHead(302, { Location: '/body' }).end();
      else if (path === '/never') response.write('begun');
      else response.writeHead(404, 'No\u00a0Such').end('nothing');
    });
    await new Promise<void>((done) => origin.listen(0, '127.0.0.1', done));
    base = `http://127.0.0.1:${(origin.address() as net.AddressInfo).port}`;
  });
  afterAll(() => {
    origin.close();
    origin.closeAllConnections();
  });

  /** The server is in this process, so the command must not block it. */
  async function get(...args: string[]): Promise<{ code: number | null; stdout: Buffer; stderr: string }> {
    const child = spawn(process.execPath, [COMMAND, 'get', ...args], { env: { ...process.env } });
    children.push(child);
    const chunks: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await new Promise<number | null>((done) => child.on('close', done));
    return { code, stdout: Buffer.concat(chunks), stderr };
  }

  test('the body on standard output, and nothing else', async () => {
    const { code, stdout, stderr } = await get(`${base}/body`);
    expect([code, stderr, stdout.equals(body)]).toEqual([0, '', true]);
    expect((await get(`${base}/chunked`)).stdout.toString()).toBe('in pieces, two');
  });

  test('-o writes a file, -v tells both heads, --pcap keeps the packets', async () => {
    const [file, capture] = [join(folder, 'got'), join(folder, 'get.pcapng')];
    const { code, stdout, stderr } = await get('-v', '-o', file, '--pcap', capture, `${base}/body`);
    expect([code, stdout.length, readFileSync(file).equals(body)]).toEqual([0, 0, true]);
    expect(stderr).toContain('* in memory: 10.77.0.2 > 10.77.0.1, and from there through the kernel to 127.0.0.1\n');
    expect(stderr).toContain('> GET /body HTTP/1.1\n');
    expect(stderr).toContain('< HTTP/1.1 200 OK\n');
    expect([...readCaptureFile(capture)].length).toBeGreaterThan(5);
  });

  test('the Host field is the URL’s, and fields can be added', async () => {
    const { stdout } = await get('-H', 'X-Extra: yes', `${base}/host`);
    expect(stdout.toString()).toBe(`${new URL(base).host} yes`);
  });

  test('a status of 400 or above is exit 1, with the body', async () => {
    const { code, stdout, stderr } = await get(`${base}/none`);
    expect([code, stdout.toString()]).toEqual([1, 'nothing']);
    expect(stderr).toMatch(/^tapwire get: the server answered 404 /);
  });

  test('a redirection is told, not followed', async () => {
    const { code, stderr } = await get(`${base}/moved`);
    expect([code, stderr]).toEqual([0, 'tapwire get: 302 Found, it is at /body\n']);
  });

  test('a response that is cut is exit 1', async () => {
    const { code, stdout, stderr } = await get(`${base}/cut`);
    expect([code, stdout.toString()]).toEqual([1, 'short']);
    expect(stderr).toMatch(/^tapwire get: .*\/cut: \S/);
  });

  test('nobody there is exit 1', async () => {
    const { code, stderr } = await get('http://127.0.0.1:1/');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tapwire get: http:\/\/127\.0\.0\.1:1\/: \S/);
  });

  test('--timeout is exit 124', async () => {
    const { code, stderr } = await get('--timeout', '1', `${base}/never`);
    expect([code, stderr]).toEqual([124, 'tapwire get: not done after 1 s (--timeout)\n']);
  });

  test('Ctrl-C is exit 130', async () => {
    const child = spawn(process.execPath, [COMMAND, 'get', `${base}/never`]);
    children.push(child);
    await new Promise((done) => child.stdout.once('data', done));
    child.kill('SIGINT');
    expect(await new Promise((done) => child.on('close', done))).toBe(130);
  });

  test('a reader that leaves ends it, with exit 0', async () => {
    const child = spawn(process.execPath, [COMMAND, 'get', `${base}/body`]);
    children.push(child);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdout.once('data', () => child.stdout.destroy());
    expect([await new Promise((done) => child.on('close', done)), stderr]).toEqual([0, '']);
  });

  const openssl = spawnSync('openssl', ['version']).status === 0;
  (openssl ? test : test.skip)(
    'https, with the certificate checked unless told otherwise (needs openssl)',
    async () => {
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
      const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      spawnSync('openssl', [...made, ...subject, '-keyout', key, '-out', cert]);
      const secure = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) =>
        response.end(body),
      );
      await new Promise<void>((done) => secure.listen(0, '127.0.0.1', done));
      try {
        const url = `https://localhost:${(secure.address() as net.AddressInfo).port}/`;
        const refused = await get(url);
        expect([refused.code, refused.stdout.length]).toEqual([1, 0]);
        expect(refused.stderr).toMatch(/self-signed certificate/);
        const taken = await get('-k', url);
        expect([taken.code, taken.stderr, taken.stdout.equals(body)]).toEqual([0, '', true]);
        process.env['NODE_EXTRA_CA_CERTS'] = cert;
        const known = await get(url);
        expect([known.code, known.stderr, known.stdout.equals(body)]).toEqual([0, '', true]);
      } finally {
        delete process.env['NODE_EXTRA_CA_CERTS'];
        secure.close();
        secure.closeAllConnections();
      }
    },
    30_000,
  );

  test('a file that cannot be written is exit 2', async () => {
    const { code, stderr } = await get('-o', '/nonexistent/x', `${base}/body`);
    expect(code).toBe(2);
    expect(stderr).toMatch(/check the path \(ENOENT\)/);
  });
});

describe('an output that ends', () => {
  const script = join(resolve(__dirname, '../..'), 'test/scripts/handshake');
  test.each([
    [['--help'], 0],
    [['serve', '--help'], 0],
    [['packetdrill', script], 0],
    [['packetdrill', '--json', script], 0],
    [['packetdrill', '--explain', script], 0],
    [['fault', 'list'], 0],
    [['fault', 'run', '1', '--ladder'], 0],
    [['fault', 'run', '1', '--without-fault'], 1],
  ])('%j: the reader leaves, the exit code is what it would have been', async (args, code) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    child.stdout.destroy();
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const status = await new Promise((done) => child.on('close', done));
    expect([status, said]).toEqual([code, '']);
  });

  test('a full disk is one line', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [COMMAND, 'fault', 'list'], {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect([status, stderr]).toEqual([
      1,
      'tapwire: the output cannot be written: ENOSPC: no space left on device, write\n',
    ]);
  });
});
