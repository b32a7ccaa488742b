import diagnostics from 'node:diagnostics_channel';
import { createReadStream } from 'node:fs';
import { type OutgoingMessage, STATUS_CODES } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientRequest, Electron, IncomingMessage, Session } from '../../electron';
import type { Transfer } from '../progress';

export interface Login {
  username: string;
  password: string;
}

export interface FetchTarget {
  url: URL;
  method: string;
  headers: readonly [string, string][];
  session: Session;
  /** Cookies of the session are sent and kept. */
  cookies: boolean;
  /** Redirections are followed. */
  follows: boolean;
  /** For the origin, and for a proxy: given when they ask. */
  login: Login | null;
  proxyLogin: Login | null;
  body: FetchBody | null;
}

export interface FetchBody {
  /** The bytes, or the file that has them; '-' is standard input. */
  source: Buffer | string;
  /** Sent without a length, as it is read. */
  chunked: boolean;
}

export interface Answer {
  status: number;
  reason: string;
  /** Of a redirection that was not followed. */
  location: string | null;
  transfer: Transfer;
}

/** Told on the way; lines without their ends. */
export interface FetchListener {
  onRequest(head: readonly string[]): void;
  onResponse(head: readonly string[]): void;
  /** More of the body of the response. */
  onProgress(transfer: Transfer): void;
  /** More of the body of the request was acknowledged. */
  onUpload(transfer: Transfer): void;
}

/**
 * Sends the request and writes the body of its response to `out`, which is ended (standard output only flushed).
 *
 * @throws what the request, the response or `out` failed with; nothing in particular after `signal`.
 */
export async function fetchTo(
  electron: Electron,
  target: FetchTarget,
  out: Writable,
  signal: AbortSignal,
  listener: FetchListener,
): Promise<Answer> {
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  const { url, method, session, cookies } = target;
  const request = electron.net.request({ url, method, session, useSessionCookies: cookies, redirect: 'manual' });
  request.setHeader('Accept', '*/*');
  for (const [name, value] of target.headers) request.setHeader(name, value);
  const stop = (): void => request.abort();
  signal.addEventListener('abort', stop);
  // The heads as they are sent, those after redirections and challenges too.
  let told: SentRequest | null = null;
  const onStart = (message: unknown): void => {
    const sent = (message as { request: SentRequest }).request;
    // One that ended before it had a connection is announced twice, as Node does.
    if (sent !== told) listener.onRequest(headOf(sent));
    told = sent;
  };
  diagnostics.subscribe(STARTED, onStart);
  request.on('upload-progress', (done, total) => listener.onUpload({ done, total, elapsedMs: elapsedMs() }));
  answerLogins(request, target);
  const stopped = notFollowed(request, target.follows, listener);
  try {
    const response = await answerOf(request, target.body);
    listener.onResponse(responseHead(response));
    const transfer: Transfer = { done: 0, total: lengthOf(response), elapsedMs: 0 };
    response.on('data', (chunk: Buffer) => {
      transfer.done += chunk.length;
      transfer.elapsedMs = elapsedMs();
      listener.onProgress(transfer);
    });
    await pipeline(response, out, { end: out !== process.stdout });
    transfer.elapsedMs = elapsedMs();
    return { status: response.statusCode, reason: response.statusMessage, location: null, transfer };
  } catch (error) {
    if (stopped.at === null) throw error;
    const { status, location } = stopped.at;
    const reason = STATUS_CODES[status] ?? '';
    return { status, reason, location, transfer: { done: 0, total: 0, elapsedMs: elapsedMs() } };
  } finally {
    signal.removeEventListener('abort', stop);
    diagnostics.unsubscribe(STARTED, onStart);
    await session.cookies.flushStore();
    await session.closeAllConnections();
  }
}

const STARTED = 'http.client.request.start';
type SentRequest = OutgoingMessage & { _header: string };

const headOf = (request: SentRequest): string[] => request._header.split('\r\n').slice(0, -1);

const originOf = (host: string, port: number | string): string => `${host.replace(/^\[|\]$/g, '')} ${port}`;

/** Each who asks is answered once: a second time, what was given was wrong. */
function answerLogins(request: ClientRequest, { url, login, proxyLogin }: FetchTarget): void {
  const asked = new Set<boolean>();
  const here = originOf(url.hostname, url.port || (url.protocol === 'https:' ? 443 : 80));
  request.on('login', ({ isProxy, host, port }, callback) => {
    // Where a redirection leads is the server's choice: the password is not for whoever that is.
    const ours = originOf(host, port) === here ? login : null;
    const given = isProxy ? proxyLogin : ours;
    if (given === null || asked.has(isProxy)) {
      callback();
      return;
    }
    asked.add(isProxy);
    callback(given.username, given.password);
  });
}

/** Follows redirections, or keeps where one leads. */
function notFollowed(
  request: ClientRequest,
  follows: boolean,
  listener: FetchListener,
): { at: { status: number; location: string } | null } {
  const stopped: { at: { status: number; location: string } | null } = { at: null };
  request.on('redirect', (status, _method, _url, headers) => {
    const lines = Object.entries(headers).flatMap(([name, values]) => values.map((value) => `${name}: ${value}`));
    listener.onResponse([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '']);
    if (follows) request.followRedirect();
    else stopped.at = { status, location: headers['location']![0]! };
  });
  return stopped;
}

/** Sends the body, and waits for the response's head. */
function answerOf(request: ClientRequest, body: FetchBody | null): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    // Stays: an error after the response is the response's as well, and must not be uncaught here.
    request.on('error', reject);
    request.on('close', () => reject(new Error('the request was aborted')));
    if (body === null) {
      request.end();
      return;
    }
    const { source, chunked } = body;
    request.chunkedEncoding = chunked;
    if (typeof source !== 'string') {
      request.end(source);
      return;
    }
    const input: Readable = source === '-' ? process.stdin : createReadStream(source);
    input.on('error', (error) => request.destroy(error));
    request.on('close', () => input.destroy());
    input.pipe(request);
  });
}

function responseHead({ httpVersion, statusCode, statusMessage, rawHeaders }: IncomingMessage): string[] {
  const lines = [`HTTP/${httpVersion} ${statusCode} ${statusMessage}`];
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  return [...lines, ''];
}

function lengthOf({ headers }: IncomingMessage): number | null {
  const length = headers['content-length'];
  return typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : null;
}
