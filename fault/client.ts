import http from 'node:http';

/** What a request of the built-in client is told. */
export interface RequestOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  /** Default: the wire's shared one, which keeps connections. */
  readonly agent?: http.Agent | false;
  /** Silence after which the request is destroyed, in milliseconds of the wire's clock. */
  readonly timeout?: number;
  /** Destroyed when not connected by then. */
  readonly connectTimeout?: number;
  /** When the promise resolves: with the end of the response (default), or when the request is closed. */
  readonly until?: 'end' | 'close';
  /** Called with the request before anything is written. */
  readonly onRequest?: (request: http.ClientRequest) => void;
}

/** A response and how it came. */
export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** As `message.complete`. */
  readonly complete: boolean;
  /** The path that was asked for. */
  readonly path: string;
  readonly reusedSocket: boolean;
  /** What the request, its response and its socket told, in order. */
  readonly events: string[];
}

/** What went wrong, and what had come by then. */
export interface ReplyError extends NodeJS.ErrnoException {
  reply?: Partial<Reply>;
  reusedSocket?: boolean;
  events?: string[];
}

type Listener = (...args: unknown[]) => void;
interface Emitter {
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
}

const describe = (value: unknown): string => {
  // Not `instanceof`: a test runner may give tests an Error of their own.
  if (typeof value === 'object' && value !== null && 'message' in value) {
    const { code, message } = value as NodeJS.ErrnoException;
    return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
  }
  return value === undefined || typeof value === 'object' ? '' : String(value);
};

/** Writes down events of an emitter as "name.event(detail)". What it returns stops that. */
export function watchEvents(
  emitter: Emitter,
  name: string,
  events: readonly string[],
  log: (text: string) => void,
): () => void {
  const listeners = events.map((event): [string, Listener] => [
    event,
    (...args) => {
      const detail = describe(args[0]);
      log(`${name}.${event}${detail === '' ? '' : `(${detail})`}`);
    },
  ]);
  for (const [event, listener] of listeners) emitter.on(event, listener);
  return () => {
    for (const [event, listener] of listeners) emitter.off(event, listener);
  };
}

/** One request with Node's own http over whatever the agent connects to. */
export function requestWith(
  base: { host: string; port: number; agent: http.Agent; http?: Pick<typeof http, 'request'> },
  options: RequestOptions,
  log: (text: string) => void,
): Promise<Reply> {
  const events: string[] = [];
  const note = (text: string): void => {
    events.push(text);
    log(text);
  };
  const expects = options.body !== undefined && expectsContinue(options.headers);
  return new Promise((resolve, reject) => {
    const made = (base.http ?? http).request({
      host: base.host,
      port: base.port,
      path: options.path ?? '/',
      method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
      // With Expect the head is written at once.
      headers: expects ? { ...options.headers, 'Content-Length': byteLength(options.body!) } : options.headers,
      agent: options.agent ?? base.agent,
      timeout: options.timeout,
    });
    let reply: Partial<Reply> | undefined;
    let whole: Reply | null = null;
    let failure: ReplyError | null = null;
    let open = 1;
    const settle = (): void => {
      if (failure === null) {
        if (whole !== null) resolve(whole);
        return;
      }
      failure.reply ??= whole ?? reply;
      failure.reusedSocket = made.reusedSocket;
      failure.events = events;
      reject(failure);
    };
    const fail = (error: ReplyError): void => {
      failure ??= error;
      if (options.until !== 'close') settle();
    };
    // Everything was told when request and response are closed.
    const closed = (): void => {
      if (--open === 0) settle();
    };
    watchEvents(made as unknown as Emitter, 'req', ['socket', 'finish', 'timeout', 'error', 'close'], note);
    made.on('error', fail);
    made.on('close', closed);
    made.on('timeout', () => made.destroy());
    made.on('socket', (socket) => {
      const leave = watchEvents(socket as unknown as Emitter, 'sock', ['connect', 'end', 'error', 'close'], note);
      // A socket that goes back to its pool tells the next request; one that ends tells this one to the last.
      made.on('close', () => {
        if (!socket.destroyed) leave();
      });
      if (options.connectTimeout !== undefined) limitConnect(made, socket, options.connectTimeout, base);
    });
    made.on('response', (response) => {
      note(`req.response(${response.statusCode})`);
      const chunks: Buffer[] = [];
      const soFar = (): Reply => ({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(chunks),
        complete: response.complete,
        path: options.path ?? '/',
        reusedSocket: made.reusedSocket,
        events,
      });
      reply = soFar();
      watchEvents(response as unknown as Emitter, 'res', ['aborted', 'end', 'error', 'close'], note);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        reply = soFar();
      });
      response.on('error', fail);
      open++;
      response.on('close', closed);
      response.on('end', () => {
        whole = soFar();
        if (options.until !== 'close') settle();
      });
    });
    options.onRequest?.(made);
    if (expects) made.once('continue', () => upload(made, options.body));
    else upload(made, options.body);
  });
}

const PIECE_BYTES = 1 << 16;

const byteLength = (body: string | Uint8Array): number => Buffer.byteLength(body as string);

/** Whether the body waits for 100 (Continue). */
const expectsContinue = (headers: http.OutgoingHttpHeaders | undefined): boolean =>
  Object.entries(headers ?? {}).some(([name, value]) => name.toLowerCase() === 'expect' && value === '100-continue');

/** A large body goes in pieces, as from a file: each waits until the one before has gone. */
function upload(made: http.ClientRequest, body: string | Uint8Array | undefined, at = 0): void {
  if (body === undefined || typeof body === 'string' || body.length - at <= PIECE_BYTES) {
    made.end(body instanceof Uint8Array ? body.subarray(at) : body);
    return;
  }
  if (at === 0 && !made.headersSent) made.setHeader('Content-Length', body.length);
  const next = (): void => {
    if (!made.destroyed) upload(made, body, at + PIECE_BYTES);
  };
  if (made.write(body.subarray(at, at + PIECE_BYTES))) next();
  else made.once('drain', next);
}

function limitConnect(
  made: http.ClientRequest,
  socket: import('node:net').Socket,
  ms: number,
  base: { host: string; port: number },
): void {
  if (!socket.connecting) return;
  socket.setTimeout(ms, () => {
    if (!socket.connecting) return;
    const error: NodeJS.ErrnoException = new Error(`connect ETIMEDOUT ${base.host}:${base.port}`);
    error.code = 'ETIMEDOUT';
    error.syscall = 'connect';
    made.destroy(error);
  });
  socket.once('connect', () => socket.setTimeout(0));
}
