import type { ClientRequest, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Modules } from '../modules';
import type { Transfer } from '../progress';

export interface FetchTarget {
  url: URL;
  /** Where the connection goes; the Host field stays the URL's. */
  connectTo: { host: string; port: number };
  headers: readonly [string, string][];
  /** Any certificate will do. */
  insecure: boolean;
}

export interface Answer {
  status: number;
  reason: string;
  /** Of a redirection, which is not followed. */
  location: string | null;
  transfer: Transfer;
}

/** Told on the way; lines without their ends. */
export interface FetchListener {
  onRequest(head: readonly string[]): void;
  onResponse(head: readonly string[]): void;
  onProgress(transfer: Transfer): void;
}

/**
 * GETs the target and writes the body to `out`, which is ended (standard output only flushed).
 *
 * @throws what the request, the response or `out` failed with; AbortError after `signal`.
 */
export async function fetchTo(
  modules: Modules,
  target: FetchTarget,
  out: Writable,
  signal: AbortSignal,
  listener: FetchListener,
): Promise<Answer> {
  const startedMs = performance.now();
  const { url, headers } = target;
  const fields: [string, string][] = [['Host', url.host], ['User-Agent', 'tapwire'], ['Accept', '*/*'], ...headers];
  const path = `${url.pathname}${url.search}`;
  const request = open(modules, target, path, signal);
  for (const [name, value] of fields) request.setHeader(name, value);
  listener.onRequest([`GET ${path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`), '']);
  request.end();
  const response = await answerOf(request);
  listener.onResponse([
    `HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`,
    ...headLines(response),
    '',
  ]);
  const transfer: Transfer = { done: 0, total: lengthOf(response), elapsedMs: 0 };
  response.on('data', (chunk: Buffer) => {
    transfer.done += chunk.length;
    transfer.elapsedMs = performance.now() - startedMs;
    listener.onProgress(transfer);
  });
  await pipeline(response, out, { end: out !== process.stdout });
  transfer.elapsedMs = performance.now() - startedMs;
  const status = response.statusCode!;
  const location = status >= 300 && status < 400 ? (response.headers.location ?? null) : null;
  return { status, reason: response.statusMessage ?? '', location, transfer };
}

function open(modules: Modules, target: FetchTarget, path: string, signal: AbortSignal): ClientRequest {
  const { url, connectTo, insecure } = target;
  const options = { ...connectTo, path, method: 'GET', agent: false as const, signal, setHost: false };
  if (url.protocol === 'http:') return modules.http.request(options);
  // The certificate is the URL's host's, wherever the connection goes; an address has no name to ask for.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const servername = isIP(host) === 0 ? host : '';
  return modules.https.request({ ...options, servername, rejectUnauthorized: !insecure });
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    // Stays: an error after the response is the response's as well, and must not be uncaught here.
    request.on('error', reject);
  });
}

function headLines({ rawHeaders }: IncomingMessage): string[] {
  const lines: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  return lines;
}

function lengthOf({ headers }: IncomingMessage): number | null {
  const length = headers['content-length'];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : null;
}
