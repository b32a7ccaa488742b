import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { piece } from './bytes';

/*
 * Routes for tests and labs: bodies of a known content and size, things to upload to, delays and statuses. Everything is
 * bounded: nothing here holds more than a few pieces of a body.
 */

const BYTES_MAX = 2 ** 40;
const DELAY_MS_MAX = 600_000;
/** Written at once; large enough that the work is the stack's, small enough to share a connection's send buffer. */
const PIECE_BYTES = 1 << 18;

type Handler = (req: IncomingMessage, res: ServerResponse, argument: string, query: URLSearchParams) => void;

interface Route {
  readonly methods: readonly string[];
  /** Whether the path goes on: `/bytes/N`. */
  readonly takesArgument: boolean;
  readonly handle: Handler;
}

const READS = ['GET', 'HEAD'];
const WRITES = ['POST', 'PUT'];

const ROUTES: Readonly<Record<string, Route>> = {
  bytes: { methods: READS, takesArgument: true, handle: bytes },
  sink: { methods: WRITES, takesArgument: false, handle: sink },
  echo: { methods: WRITES, takesArgument: false, handle: echo },
  delay: { methods: READS, takesArgument: true, handle: delay },
  status: { methods: [...READS, ...WRITES], takesArgument: true, handle: status },
  headers: { methods: READS, takesArgument: false, handle: headers },
};

/** For the page: what may be asked for. */
export const LAB_ROUTES: readonly (readonly [path: string, what: string])[] = [
  ['/bytes/N?seed=S', 'N bytes that are the same every time'],
  ['POST /sink', 'counts what you send, and answers its SHA-256'],
  ['POST /echo', 'sends back what you send'],
  ['/delay/MS', 'answers after so many milliseconds'],
  ['/status/N', 'answers with that status'],
  ['/headers', 'the request as it arrived'],
];

/** Answers a lab's request. False when the path is none of a lab's. */
export function serveLab(req: IncomingMessage, res: ServerResponse): boolean {
  const [path, search] = splitTarget(req.url ?? '/');
  const [, name, argument, ...rest] = path.split('/');
  const route = Object.hasOwn(ROUTES, name!) ? ROUTES[name!]! : null;
  if (route === null || rest.length > 0 || (argument !== undefined) !== route.takesArgument) return false;
  if (!route.methods.includes(req.method!)) {
    res.setHeader('Allow', route.methods.join(', '));
    sendText(res, 405, `${path} is for ${route.methods.join(', ')}\n`);
  } else {
    route.handle(req, res, argument ?? '', new URLSearchParams(search));
  }
  return true;
}

function splitTarget(target: string): [path: string, search: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

export function sendText(res: ServerResponse, statusCode: number, text: string): void {
  send(res, statusCode, 'text/plain; charset=utf-8', text);
}

function sendJson(res: ServerResponse, statusCode: number, value: unknown): void {
  send(res, statusCode, 'application/json', `${JSON.stringify(value)}\n`);
}

export function send(res: ServerResponse, statusCode: number, type: string, text: string): void {
  res.statusCode = statusCode;
  res.setHeader('Content-Type', type);
  res.setHeader('Content-Length', Buffer.byteLength(text));
  res.end(text);
}

/** A whole number from 0 to `max`; null when the text is none. */
function wholeNumber(text: string, max: number): number | null {
  if (!/^\d{1,15}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

function bytes(req: IncomingMessage, res: ServerResponse, argument: string, query: URLSearchParams): void {
  const length = wholeNumber(argument, BYTES_MAX);
  const seed = wholeNumber(query.get('seed') ?? '0', 0xffff_ffff);
  if (length === null) return sendText(res, 400, `/bytes/N: N is a whole number up to ${BYTES_MAX}\n`);
  if (seed === null) return sendText(res, 400, '?seed= is a whole number up to 4294967295\n');
  res.setHeader('Content-Type', 'application/octet-stream');
  res.setHeader('Content-Length', length);
  if (req.method === 'HEAD') return void res.end();
  let at = 0;
  const pump = (): void => {
    while (at < length && !res.destroyed) {
      const next = piece(seed, at, Math.min(PIECE_BYTES, length - at));
      at += next.length;
      if (!res.write(next)) return void res.once('drain', pump);
    }
    res.end();
  };
  pump();
}

function sink(req: IncomingMessage, res: ServerResponse): void {
  const hash = createHash('sha256');
  const startedMs = performance.now();
  let count = 0;
  req.on('data', (chunk: Buffer) => {
    count += chunk.length;
    hash.update(chunk);
  });
  req.on('end', () => {
    const ms = Math.round(performance.now() - startedMs);
    sendJson(res, 200, { bytes: count, sha256: hash.digest('hex'), ms });
  });
}

function echo(req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Content-Type', req.headers['content-type'] ?? 'application/octet-stream');
  const length = req.headers['content-length'];
  if (length !== undefined) res.setHeader('Content-Length', length);
  req.pipe(res);
}

function delay(_req: IncomingMessage, res: ServerResponse, argument: string): void {
  const ms = wholeNumber(argument, DELAY_MS_MAX);
  if (ms === null) return sendText(res, 400, `/delay/MS: MS is a whole number up to ${DELAY_MS_MAX}\n`);
  const timer = setTimeout(() => sendText(res, 200, `answered after ${ms} ms\n`), ms);
  res.on('close', () => clearTimeout(timer));
}

function status(req: IncomingMessage, res: ServerResponse, argument: string): void {
  const code = wholeNumber(argument, 599);
  if (code === null || code < 200) return sendText(res, 400, '/status/N: N is from 200 to 599\n');
  req.resume();
  if (code !== 204 && code !== 304 && code !== 205) return sendText(res, code, `${code}\n`);
  res.statusCode = code;
  res.end();
}

function headers(req: IncomingMessage, res: ServerResponse): void {
  const pairs: [string, string][] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) pairs.push([req.rawHeaders[i]!, req.rawHeaders[i + 1]!]);
  const { method, url, httpVersion } = req;
  sendJson(res, 200, { method, url, httpVersion, headers: pairs });
}
