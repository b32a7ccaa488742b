import { Readable, Writable } from 'node:stream';
import type { ClientRequest } from './client-request';
import type { IncomingMessage } from './incoming-message';
import type { CacheMode, ClientRequestOptions, CredentialsMode, RedirectMode } from './options';
import type { ReferrerPolicy } from './referrer';

/** What `fetch` takes beside its own options. */
export interface FetchInit extends RequestInit {
  /** Default: the default session. */
  session?: object;
  /** There are no handlers to bypass: accepted, without effect. */
  bypassCustomProtocolHandlers?: boolean;
}

/** What `fetch` takes first. */
export type FetchInput = string | URL | Request;

export type Fetch = (input: FetchInput, init?: FetchInit) => Promise<Response>;

/** Responses that never have a body (Fetch §2.2.3). */
const NULL_BODY = new Set([101, 103, 204, 205, 304]);

/** Web Fetch over `request`. A redirect in mode 'manual' is cancelled: there is nobody to follow it. */
export function createFetch(request: (options: ClientRequestOptions) => ClientRequest): Fetch {
  return async (input, init = {}) => {
    const { session, bypassCustomProtocolHandlers = false, ...rest } = init;
    const asked = new Request(input, rest);
    const origin = asked.headers.get('origin') ?? undefined;
    // Without an origin nothing can be the same.
    const credentials = asked.credentials === 'same-origin' && origin === undefined ? 'include' : asked.credentials;
    const options: ClientRequestOptions = {
      method: asked.method,
      url: asked.url,
      credentials: credentials as CredentialsMode,
      redirect: asked.redirect as RedirectMode,
      cache: asked.cache as CacheMode,
      referrerPolicy: asked.referrerPolicy as ReferrerPolicy,
      bypassCustomProtocolHandlers,
    };
    if (origin !== undefined) options.origin = origin;
    if (session !== undefined) options.session = session;
    const made = request(options);
    for (const [name, value] of asked.headers) if (name !== 'origin') made.setHeader(name, value);
    return answerOf(made, asked);
  };
}

function answerOf(made: ClientRequest, asked: Request): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { signal } = asked;
    let message: IncomingMessage | null = null;
    const onAbort = (): void => {
      reject(signal.reason);
      if (message !== null) message.destroy(signal.reason as Error);
      else made.abort();
    };
    if (signal.aborted) {
      made.on('error', () => {});
      onAbort();
      return;
    }
    let url = asked.url;
    signal.addEventListener('abort', onAbort, { once: true });
    made.on('redirect', (_status, _method, redirectUrl: string) => {
      url = redirectUrl;
    });
    made.on('error', reject);
    made.on('close', () => signal.removeEventListener('abort', onAbort));
    made.on('response', (response) => {
      message = response;
      resolve(responseOf(response, asked, url));
    });
    if (asked.body === null) made.end();
    else asked.body.pipeTo(Writable.toWeb(made)).catch((error: Error) => made.destroy(error));
  });
}

function responseOf(message: IncomingMessage, asked: Request, url: string): Response {
  const headers = new Headers();
  const { rawHeaders, statusCode, statusMessage } = message;
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
  const bodyless = NULL_BODY.has(statusCode) || asked.method === 'HEAD';
  if (bodyless) message.resume();
  const body = bodyless ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>);
  const response = new Response(body, { status: statusCode, statusText: statusMessage, headers });
  // A constructed response does not know where it came from.
  Object.defineProperty(response, 'url', { value: url });
  Object.defineProperty(response, 'redirected', { value: url !== asked.url });
  return response;
}
