/**
 * Runs in a network namespace of its own: tinyproxy or squid on the kernel's side of a TUN device, requests of ours from
 * the other side, origins on both. Prints what each request came to.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import nodeHttp from 'node:http';
import nodeHttps from 'node:https';
import kernel from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTun } from '../../../device/tun';
import { createElectron, type Electron } from '../../../electron';
import { modulesOf } from '../../../electron/modules';
import { createHost } from '../../../net/host';
import { cert, key } from '../../unit/http/tls-identity';

const KERNEL = '10.99.0.1';
const STACK = '10.99.0.2';
const folder = mkdtempSync(join(tmpdir(), 'tapwire-proxy-'));
chmodSync(folder, 0o755);
const children: ChildProcess[] = [];

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

// ── the proxies ──

function tinyproxy(port: number, more: string): ChildProcess {
  const path = file(`tinyproxy-${port}.conf`, `Port ${port}\nListen ${KERNEL}\nTimeout 60\nMaxClients 100\n${more}\n`);
  return spawn('tinyproxy', ['-d', '-c', path], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function squid(port: number, auth: string): ChildProcess {
  const path = file(
    `squid-${port}.conf`,
    [
      `http_port ${KERNEL}:${port}`,
      'visible_hostname proxy.test',
      'pid_filename none',
      'access_log none',
      'cache_log /dev/stderr',
      'cache deny all',
      'memory_cache_shared off',
      `coredump_dir ${folder}`,
      'dns_nameservers 127.0.0.1',
      'shutdown_lifetime 0 seconds',
      'max_filedescriptors 1024',
      auth,
      'acl known proxy_auth REQUIRED',
      'http_access allow known',
      'http_access deny all',
    ].join('\n'),
  );
  return spawn('squid', ['-N', '-f', path], { stdio: ['ignore', 'pipe', 'pipe'] });
}

const ha1 = createHash('md5').update('alice:gate:s3cret').digest('hex');
const apr1 = (): string => execFileSync('openssl', ['passwd', '-apr1', 's3cret'], { encoding: 'utf8' }).trim();

const PROXIES: Readonly<Record<string, (port: number) => ChildProcess>> = {
  'tinyproxy open': (port) => tinyproxy(port, ''),
  'tinyproxy basic': (port) => tinyproxy(port, 'BasicAuth alice s3cret'),
  'squid basic': (port) =>
    squid(
      port,
      `auth_param basic program /usr/lib/squid/basic_ncsa_auth ${file('basic', `alice:${apr1()}\n`)}\nauth_param basic realm gate`,
    ),
  'squid digest': (port) =>
    squid(
      port,
      `auth_param digest program /usr/lib/squid/digest_file_auth -c ${file('digest', `alice:gate:${ha1}\n`)}\nauth_param digest realm gate`,
    ),
};

/** Resolves when somebody listens; rejects when the program has ended instead. */
async function listening(child: ChildProcess, port: number): Promise<void> {
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text) => (said += text));
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}: ${said}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = kernel.connect(port, KERNEL, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// ── the origins ──

type Listener = nodeHttp.RequestListener;

const answer =
  (name: string): Listener =>
  (request, response) => {
    const hash = createHash('sha1');
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    request.on('end', () => {
      const leaked = request.headers['proxy-authorization'] === undefined ? '' : ' LEAKED';
      const body = bytes === 0 ? '' : ` ${bytes} ${hash.digest('hex').slice(0, 8)}`;
      response.end(
        `${name} ${request.method} ${request.url}${body}${leaked} ${request.headers.via ? 'via' : 'end to end'}`,
      );
    });
  };

interface Listening {
  listen(port: number, host: string, done: () => void): unknown;
}
const listen = (server: Listening, port: number, host: string): Promise<void> =>
  new Promise((resolve) => server.listen(port, host, () => resolve()));

// ── the requests ──

interface Asked {
  url: string;
  method?: string;
  body?: Buffer;
  logins?: [string, string][];
}

/** "200 body (logins: 1)", or the error. */
function ask({ net }: Electron, partition: string, { url, method = 'GET', body, logins = [] }: Asked): Promise<string> {
  return new Promise((resolve) => {
    const request = net.request({ url, method, partition });
    let asked = '';
    let text = '';
    let status = 0;
    request.on('login', (info: { isProxy: boolean; scheme: string; realm: string }, callback) => {
      asked += ` [${info.isProxy ? 'proxy' : 'origin'} ${info.scheme} ${info.realm}]`;
      const next = logins.shift();
      if (next === undefined) callback();
      else callback(...next);
    });
    request.on('response', (response) => {
      status = response.statusCode;
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
    });
    request.on('error', (error: Error) => {
      text = error.message;
    });
    request.on('close', () => resolve(`${status} ${status === 407 ? 'page' : text}${asked}`));
    request.end(body);
  });
}

const right = (): [string, string][] => [['alice', 's3cret']];

async function through(electron: Electron, name: string, port: number): Promise<string[]> {
  const said: string[] = [];
  const { session } = electron;
  const partition = name;
  const own = session.fromPartition(partition);
  await own.setProxy({ proxyRules: `${KERNEL}:${port}` });
  own.setCertificateVerifyProc((_, callback) => callback(0));
  const say = async (what: string, asked: Asked): Promise<void> => {
    said.push(`${what}: ${await ask(electron, partition, asked)}`);
  };
  const body = Buffer.alloc(1_000_000, 'tapwire ');
  await say('stack', { url: `http://${STACK}/a?b`, logins: right() });
  await say('kernel', { url: `http://${KERNEL}:81/a?b` });
  await say('stack tls', { url: `https://${STACK}/c` });
  await say('kernel tls', { url: `https://${KERNEL}:444/c` });
  await say('upload', { url: `http://${STACK}/up`, method: 'POST', body });
  await say('upload tls', { url: `https://${STACK}/up`, method: 'POST', body });
  await own.clearAuthCache();
  await say('upload, asked first', { url: `http://${STACK}/up`, method: 'POST', body, logins: right() });
  await own.clearAuthCache();
  await say('wrong, right, tls', { url: `https://${STACK}/c`, logins: [['alice', 'wrong'], ...right()] });
  await own.clearAuthCache();
  await say('cancelled', { url: `http://${STACK}/` });
  await say('cancelled tls', { url: `https://${STACK}/` });
  await own.closeAllConnections();
  return said;
}

async function main(name: string): Promise<void> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const tun = openTun({ name: 'twp0', address: `${STACK}/24`, hostAddress: `${KERNEL}/24` });
  const host = createHost({ devices: [{ device: tun, addresses: [`${STACK}/24`] }] });
  const modules = modulesOf(host) as unknown as { http: typeof nodeHttp; https: typeof nodeHttps };
  await listen(modules.http.createServer(answer('stack')), 80, STACK);
  await listen(modules.https.createServer({ key, cert }, answer('stack')), 443, STACK);
  await listen(nodeHttp.createServer(answer('kernel')), 81, KERNEL);
  await listen(nodeHttps.createServer({ key, cert }, answer('kernel')), 444, KERNEL);
  const proxy = PROXIES[name]!(3128);
  children.push(proxy);
  await listening(proxy, 3128);
  const said = await through(createElectron(host), name, 3128);
  process.stdout.write(JSON.stringify(said), () => process.exit(0));
}

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
main(process.argv[2]!).catch((error) => {
  console.error(error);
  process.exit(1);
});
