import { lookup } from 'node:dns/promises';
import { createWriteStream, openSync } from 'node:fs';
import * as kernel from 'node:net';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_TIMEOUT, UsageError } from './exit';
import { type Forward, startForward } from './forward';
import { type Answer, type FetchTarget, fetchTo } from './get/fetch';
import { modulesOf } from './modules';
import { printable } from './pcap/application';
import { CaptureFile } from './pcap/recorder';
import { bytesText, ProgressBar } from './progress';
import { openWire, type Wire } from './wire';
import { addWireOptions, integer, type WireOptions } from './wire-options';

interface GetOptions extends WireOptions {
  output?: string;
  verbose?: boolean;
  timeout?: number;
  insecure?: boolean;
  header?: string[];
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
    .option('-k, --insecure', 'accept any certificate')
    .option('--timeout <seconds>', 'give up after so long, with exit code 124', integer(1, 86_400));
  addWireOptions(command).addHelpText('after', HELP).action(runGet);
}
const HELP = `
Without --tun, --tap, --packet or --tun-fd the stack's other end is a second stack in this process, which hands the
connection to the kernel: every byte crosses two userspace TCPs, no privileges are needed, and every URL can be reached.
With a device, what lies beyond this machine is reached only if the kernel forwards packets.
A status of 400 or above is exit code 1; the body is written all the same.`;

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
    process.exitCode = await get(url, headers, way, options, stop.signal);
  } finally {
    if (timer !== null) clearTimeout(timer);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    way?.close();
    capture?.close();
  }
}

function readUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`);
  } catch {
    throw new UsageError(`"${text}" is not a URL: give http://HOST[:PORT]/PATH`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(`${url.protocol} is not spoken here: give an http:// or https:// URL`);
  }
  return url;
}

function readHeaders(fields: readonly string[]): [string, string][] {
  return fields.map((field) => {
    const match = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*)$/.exec(field);
    if (match === null) throw new UsageError(`--header "${field}": give "Name: value"`);
    return [match[1]!, match[2]!];
  });
}

// ── the way there ──

/** The client's stack, and where it connects to. */
interface Way {
  wire: Wire;
  connectTo: { host: string; port: number };
  text: string;
  close(): void;
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
/** Without the brackets of an IPv6 address. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

async function openWay(url: URL, options: GetOptions, capture: CaptureFile | null): Promise<Way> {
  const device = [options.tun, options.tap, options.packet, options.tunFd].some((wish) => wish !== undefined);
  const address = await resolve(hostOf(url));
  if (device) {
    const wire = openWire(options, capture, 'client');
    return { wire, connectTo: { host: address, port: portOf(url) }, text: wire.text, close: () => wire.close() };
  }
  const wire = openWire({ ...options, forward: { host: '', port: 0 } }, capture, 'client');
  let forward: Forward | null = null;
  try {
    const exit = String(wire.peer!.stack.interfaces[0]!.addresses[0]!.address);
    const from = { host: exit, port: portOf(url), over: modulesOf(wire.peer!).net };
    forward = await startForward(from, { host: address, port: portOf(url), over: kernel });
    const close = (): void => {
      forward?.stop();
      forward?.cut();
      wire.close();
    };
    const text = `in memory: ${wire.address} > ${exit}, and from there through the kernel to ${address}`;
    return { wire, connectTo: { host: exit, port: portOf(url) }, text, close };
  } catch (error) {
    wire.close();
    throw error;
  }
}

async function resolve(host: string): Promise<string> {
  try {
    return (await lookup(host, { order: 'ipv4first' })).address;
  } catch (error) {
    throw new UsageError(`${host} is no name that resolves (${(error as NodeJS.ErrnoException).code}): check it`);
  }
}

// ── the transfer ──

async function get(
  url: URL,
  headers: readonly [string, string][],
  way: Way,
  options: GetOptions,
  signal: AbortSignal,
): Promise<number> {
  const say = (mark: string, ...lines: string[]): void => {
    if (options.verbose) for (const line of lines) process.stderr.write(`${mark} ${printable(line)}\n`);
  };
  say('*', way.text);
  const bar = new ProgressBar(
    options.output === undefined && process.stdout.isTTY ? { write: () => {} } : process.stderr,
  );
  const out = openOutput(options.output);
  const target: FetchTarget = { url, connectTo: way.connectTo, headers, insecure: options.insecure ?? false };
  try {
    const answer = await fetchTo(modulesOf(way.wire.host), target, out, signal, {
      onRequest: (lines) => say('>', ...lines),
      onResponse: (lines) => say('<', ...lines),
      onProgress: (transfer) => bar.show(transfer),
    });
    bar.finish(answer.transfer);
    say('*', `${bytesText(answer.transfer.done)} in ${Math.round(answer.transfer.elapsedMs)} ms`);
    return verdict(answer);
  } catch (error) {
    bar.clear();
    if (signal.aborted) return aborted(signal.reason as number, options);
    // The reader has what it wanted (`| head`).
    if ((error as NodeJS.ErrnoException).code === 'EPIPE' && out === process.stdout) return EXIT_OK;
    process.stderr.write(`tapwire get: ${url.href}: ${(error as Error).message}\n`);
    return EXIT_FAILURE;
  }
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
