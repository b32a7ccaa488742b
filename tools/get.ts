import { lookup } from 'node:dns/promises';
import { createWriteStream, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { createElectron, type Electron, type NetError, type Session } from '../electron';
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_TIMEOUT, UsageError } from './exit';
import { type Answer, type FetchBody, type FetchTarget, fetchTo, type Login } from './get/fetch';
import { Gateway } from './get/gateway';
import { printable } from './pcap/application';
import { CaptureFile } from './pcap/recorder';
import { bytesText, ProgressBar } from './progress';
import { openWire } from './wire';
import { addWireOptions, integer, type WireOptions } from './wire-options';

interface GetOptions extends WireOptions {
  output?: string;
  verbose?: boolean;
  timeout?: number;
  insecure?: boolean;
  header?: string[];
  location?: boolean;
  request?: string;
  user?: Login;
  proxy?: URL;
  cookieJar?: string;
  data?: string;
  upload?: string;
  chunked?: boolean;
  head?: boolean;
}

/** Adds `tapwire get` to the program. */
export function registerGet(program: Command): void {
  const command = program
    .command('get')
    .description('fetch a URL through the userspace stack')
    .argument('<url>', 'http://HOST[:PORT]/PATH, or https')
    .option('-o, --output <file>', 'write the body to a file instead of standard output')
    .option('-v, --verbose', 'show the wire, and both heads, on standard error')
    .option(
      '-H, --header <field>',
      'add a header field, "Name: value"; may be repeated',
      (text, before: string[] = []) => [...before, text],
    )
    .option('-L, --location', 'follow redirections')
    .option('-X, --request <method>', 'the method; default GET, POST with --data, PUT with --upload')
    .option('-u, --user <name:password>', 'what to answer when the server asks who you are', readLogin)
    .option(
      '-x, --proxy <url>',
      'go through a proxy: http://, https://, socks5:// or socks4://[NAME:PASSWORD@]HOST:PORT',
      readProxy,
    )
    .option(
      '-c, --cookie-jar <file>',
      'send the cookies in this file, and keep those that come in it, session cookies too',
    )
    .option('-I, --head', 'ask for the head only, and write it to the output')
    .option('-d, --data <text>', 'send this as the body; @FILE sends a file')
    .option('-T, --upload <file>', 'send this file as the body; - is standard input')
    .option('--chunked', 'send the body as it is read, without announcing its length')
    .option('-k, --insecure', 'accept any certificate')
    .option('--timeout <seconds>', 'give up after so long, with exit code 124', integer(1, 86_400));
  addWireOptions(command).addHelpText('after', HELP).action(runGet);
}
const HELP = `
Without --tun, --tap, --packet, --network or --tun-fd the stack's other end is a second stack in this process, which hands the
connection to the kernel: every byte crosses two userspace TCPs, no privileges are needed, and every URL can be reached.
With a device, what lies beyond this machine is reached only if the kernel forwards packets.
The upload's progress counts the bytes that the server's TCP has acknowledged, not those that were handed on. Digest and
Basic are answered with --user. Without --chunked a body is read whole before it is sent, to announce its length.
A status of 400 or above is exit code 1; the body is written all the same. A redirection that is not followed is told on
standard error, and its body is not written. --user is for the server of the URL, and given to no other that it leads to.
Exit codes: 0 done, 1 failed or refused by the server, 2 wrong options, 124 out of time, 130 interrupted.`;

async function runGet(text: string, options: GetOptions): Promise<void> {
  const url = readUrl(text);
  const headers = readHeaders(options.header ?? []);
  const capture = options.pcap === undefined ? null : new CaptureFile(options.pcap);
  const stop = new AbortController();
  const timer =
    options.timeout === undefined ? null : setTimeout(() => stop.abort(EXIT_TIMEOUT), options.timeout * 1000);
  const onSignal = (): void => stop.abort(EXIT_INTERRUPTED);
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  let way: Way | null = null;
  try {
    way = await openWay(url, options, capture);
    const target = await readTarget(url, headers, options, way.electron);
    process.exitCode = await get(target, way, options, stop.signal);
  } finally {
    if (timer !== null) clearTimeout(timer);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await way?.close();
    capture?.close();
  }
}

function readUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`);
  } catch {
    throw new UsageError(`"${withoutLogin(text)}" is not a URL: give http://HOST[:PORT]/PATH`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(`${url.protocol} is not spoken here: give an http:// or https:// URL`);
  }
  return url;
}

/** What is said aloud has no password in it: error lines end up in logs. */
const withoutLogin = (text: string): string => text.replace(/^([a-z][\w+.-]*:\/\/)?.*@/i, '$1');

function bare(url: URL): string {
  const copy = new URL(url);
  copy.username = copy.password = '';
  return copy.href;
}

function readMethod(text: string): string {
  if (/^[!#$%&'*+.^_`|~\w-]+$/.test(text)) return text;
  throw new UsageError(`--request "${text}": a method is one word of letters, such as GET or PROPFIND`);
}

function readHeaders(fields: readonly string[]): [string, string][] {
  return fields.map((field) => {
    const match = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*)$/.exec(field);
    if (match === null) throw new UsageError(`--header "${field}": give "Name: value"`);
    return [match[1]!, match[2]!];
  });
}

function readLogin(text: string): Login {
  const at = text.indexOf(':');
  if (at < 0) throw new UsageError(`--user "${text}": give NAME:PASSWORD`);
  return { username: text.slice(0, at), password: text.slice(at + 1) };
}

function readProxy(text: string): URL {
  const whole = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(whole) || new URL(whole).hostname === '') {
    throw new UsageError(`--proxy "${withoutLogin(text)}": give http://HOST:PORT, https://, socks5:// or socks4://`);
  }
  return new URL(whole);
}

// ── what is asked for ──

async function readTarget(
  url: URL,
  headers: [string, string][],
  options: GetOptions,
  electron: Electron,
): Promise<FetchTarget> {
  const session = await openSession(options, electron);
  const body = readBody(options);
  const usual = options.head
    ? 'HEAD'
    : options.upload !== undefined
      ? 'PUT'
      : options.data !== undefined
        ? 'POST'
        : 'GET';
  if (options.data !== undefined && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
    headers.push(['Content-Type', 'application/x-www-form-urlencoded']);
  }
  const { proxy } = options;
  return {
    url,
    method: readMethod(options.request ?? usual),
    headers,
    session,
    cookies: options.cookieJar !== undefined,
    follows: options.location ?? false,
    login: options.user ?? null,
    proxyLogin: proxy === undefined ? null : loginIn(proxy),
    body,
  };
}

const loginIn = ({ username, password }: URL): Login | null =>
  username === '' ? null : { username: decoded(username), password: decoded(password) };

/** Of a stray "%" there is nothing to decode. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function openSession(options: GetOptions, electron: Electron): Promise<Session> {
  const { cookieJar, proxy, insecure } = options;
  let session: Session;
  if (cookieJar !== undefined) checkJar(cookieJar);
  try {
    session =
      cookieJar === undefined
        ? electron.session.defaultSession
        : electron.sessionFromFile(cookieJar, { sessionCookies: true });
  } catch (error) {
    throw new UsageError(`--cookie-jar ${cookieJar}: ${(error as Error).message}`);
  }
  session.setUserAgent('tapwire');
  // What was sent is what is wanted, to the byte.
  session.contentDecoding = false;
  if (insecure) session.setCertificateVerifyProc((_request, callback) => callback(0));
  if (proxy === undefined) return session;
  try {
    // Said on the command line, it is meant for this machine's own addresses, too.
    await session.setProxy({ proxyRules: rulesOf(proxy), proxyBypassRules: '<-loopback>' });
  } catch (error) {
    throw new UsageError(`--proxy ${proxy.protocol}//${proxy.host}: ${(error as Error).message}`);
  }
  return session;
}

/** A session puts a file aside that it cannot read; one that was never a jar stays where it is. */
function checkJar(path: string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) throw new UsageError(`--cookie-jar ${path}: it is a folder; name a file in it`);
  if (readFileSync(path, 'utf8').trimStart().startsWith('{')) return;
  throw new UsageError(
    `--cookie-jar ${path}: it is no jar of tapwire's, which is JSON (curl's are not read): name another`,
  );
}

/** SOCKS takes a login with the address; HTTP proxies ask for it. */
function rulesOf(proxy: URL): string {
  const login = proxy.protocol === 'socks5:' && proxy.username !== '' ? `${proxy.username}:${proxy.password}@` : '';
  return `${proxy.protocol}//${login}${proxy.host}`;
}

function readBody({ data, upload, head, chunked = false }: GetOptions): FetchBody | null {
  if (head && (data !== undefined || upload !== undefined)) throw new UsageError('--head asks without a body');
  if (data !== undefined && upload !== undefined) throw new UsageError('--data and --upload exclude each other');
  if (upload !== undefined) {
    if (upload !== '-' && !statSync(upload).isFile()) throw new UsageError(`--upload ${upload}: it is no file`);
    return { source: upload, chunked };
  }
  if (data === undefined) return null;
  return { source: data.startsWith('@') ? readFileSync(data.slice(1)) : Buffer.from(data), chunked };
}

// ── the way there ──

/** The client's stack, and what speaks on it. */
interface Way {
  electron: Electron;
  text: string;
  /** Why the kernel did not get to the server, when it is the one that connects. */
  beyond?: () => Error | null;
  close(): Promise<void>;
}

/** Without the brackets of an IPv6 address. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

async function openWay(url: URL, options: GetOptions, capture: CaptureFile | null): Promise<Way> {
  const device = [options.tun, options.tap, options.packet, options.network, options.tunFd].some(
    (wish) => wish !== undefined,
  );
  // The first to be connected to: behind a proxy, names are the proxy's affair.
  const first = hostOf(options.proxy ?? url);
  const address = await resolve(first);
  if (device) {
    const wire = openWire(options, capture, 'client');
    return { electron: createElectron(wire.host), text: wire.text, close: async () => wire.close() };
  }
  const wire = openWire({ ...options, forward: { host: '', port: 0 } }, capture, 'client');
  const gateway = new Gateway(wire);
  const exit = gateway.exitOf(first);
  const close = async (): Promise<void> => {
    await gateway.close();
    wire.close();
  };
  const text = `in memory: ${wire.address} > ${exit}, and from there through the kernel to ${address}`;
  return { electron: createElectron(gateway.modules()), text, beyond: () => gateway.failure, close };
}

async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host, { order: 'ipv4first' })).address;
  } catch (error) {
    throw new UsageError(`${host} is no name that resolves (${(error as NodeJS.ErrnoException).code}): check it`);
  }
}

// ── the transfer ──

async function get(target: FetchTarget, way: Way, options: GetOptions, signal: AbortSignal): Promise<number> {
  const say = (mark: string, ...lines: string[]): void => {
    if (options.verbose) for (const line of lines) process.stderr.write(`${mark} ${printable(line)}\n`);
  };
  say('*', way.text);
  const bar = new ProgressBar(
    options.output === undefined && process.stdout.isTTY ? { write: () => {} } : process.stderr,
  );
  const out = openOutput(options.output);
  let uploaded = 0;
  try {
    const answer = await fetchTo(way.electron, target, out, signal, {
      onRequest: (lines) => say('>', ...lines),
      onResponse: (lines) => {
        say('<', ...lines);
        if (options.head) out.write(`${lines.join('\r\n')}\r\n`);
      },
      onProgress: (transfer) => bar.show(transfer),
      onUpload: (transfer) => {
        uploaded = transfer.done;
        bar.show(transfer);
      },
    });
    bar.finish(answer.transfer);
    if (uploaded > 0) say('*', `${bytesText(uploaded)} sent and acknowledged`);
    say('*', `${bytesText(answer.transfer.done)} in ${Math.round(answer.transfer.elapsedMs)} ms`);
    return verdict(answer);
  } catch (error) {
    bar.clear();
    if (signal.aborted) return aborted(signal.reason as number, options);
    // The reader has what it wanted (`| head`).
    if ((error as NodeJS.ErrnoException).code === 'EPIPE' && out === process.stdout) return EXIT_OK;
    process.stderr.write(
      `tapwire get: ${bare(target.url)}: ${reasonOf(error as NetError, way.beyond?.() ?? null, options.proxy)}\n`,
    );
    return EXIT_FAILURE;
  }
}

/**
 * "net::ERR_CONNECTION_REFUSED (connect ECONNREFUSED 10.77.0.1:80)". What stopped the kernel reaches the stack as a reset
 * only, and is what the user wants to know.
 */
function reasonOf({ message, cause }: NetError, beyond: Error | null, proxy: URL | undefined): string {
  if (beyond !== null) return `the ${proxy === undefined ? 'server' : 'proxy'} is not reached: ${beyond.message}`;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}

/** Opened before anything is asked for, so that a bad path costs no transfer. */
function openOutput(path: string | undefined): Writable {
  if (path === undefined || path === '-') return process.stdout;
  return createWriteStream(path, { fd: openSync(path, 'w') });
}

function verdict({ status, reason, location }: Answer): number {
  if (status >= 400) {
    process.stderr.write(`tapwire get: the server answered ${status} ${printable(reason)}\n`);
    return EXIT_FAILURE;
  }
  if (location !== null)
    process.stderr.write(`tapwire get: ${status} ${printable(reason)}, it is at ${printable(location)}\n`);
  return EXIT_OK;
}

function aborted(code: number, options: GetOptions): number {
  if (code === EXIT_TIMEOUT) process.stderr.write(`tapwire get: not done after ${options.timeout} s (--timeout)\n`);
  return code;
}
