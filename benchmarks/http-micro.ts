import { EventEmitter } from 'node:events';
import type { IncomingMessage } from '../http/incoming';
import { createHttp, type NetModule } from '../http/module';
import type { ServerResponse } from '../http/server-response';
import type { DirectConsumer, MessageSocket } from '../http/transport';
import { net } from '../net';

/*
 * What the HTTP layer alone costs for a request: requests lie in a slab, answers go to a send block, and there is no TCP
 * between. Microseconds of processor time for each request, best of several slices.
 * node -r ./test/typescript.cjs benchmarks/http-micro.ts [--slices 7] [--ms 200] [--only TEXT]
 */

const SLAB_BYTES = 1 << 20;

/** A socket that is always ready: the direct way of net/socket.ts, and nothing else. */
class ReadySocket extends EventEmitter {
  consumer: DirectConsumer | null = null;
  readonly writable = true;
  readonly readable = true;
  destroyed = false;
  readonly writableHighWaterMark = 16_384;
  readonly readableHighWaterMark = 16_384;
  readonly writableLength = 0;
  readonly writableCorked = 0;
  readonly writableNeedDrain = false;
  readonly directWritable = true;
  readonly directMemory = new Uint8Array(65_536);
  directAt = 0;
  timeout = 0;
  sent = 0;

  attachDirect(consumer: DirectConsumer): boolean {
    this.consumer = consumer;
    return true;
  }
  detachDirect(): void {}
  resumeDirect(): void {}
  setTimeout(): void {}
  directReserve(wanted: number): boolean {
    if (this.directAt + wanted > this.directMemory.length) this.directAt = 0;
    return true;
  }
  /** Bytes are lent for the call only: bodies are copied. */
  directView(): null {
    return null;
  }
  directCommit(n: number): void {
    this.directAt += n;
    this.sent += n;
  }
  write(data: string | Uint8Array, _encoding?: unknown, callback?: () => void): boolean {
    this.sent += data.length;
    if (callback) process.nextTick(callback);
    return true;
  }
  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  destroy(): void {
    this.destroyed = true;
  }
}

interface Case {
  readonly name: string;
  readonly request: string;
  /** Requests in one piece of text. */
  readonly together: number;
  handle(request: IncomingMessage, response: ServerResponse): void;
}

const WRK = 'GET / HTTP/1.1\r\nHost: 10.77.0.2:8080\r\n\r\n';
const BROWSER =
  'GET /articles/2024/userspace-networking?ref=front&page=2 HTTP/1.1\r\nHost: www.example.com\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n' +
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n' +
  'Accept-Language: en-GB,en;q=0.8,de;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n' +
  'Referer: http://www.example.com/articles/2024/\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n' +
  'Cache-Control: max-age=0\r\nIf-None-Match: W/"5d8c72a5edda8d6a"\r\nDNT: 1\r\n' +
  'Cookie: session=3f2a9c51b7e84d06; theme=dark; consent=1\r\n\r\n';

const hello: Case['handle'] = (_request, response) => void response.end('Hello, World!');

const CASES: readonly Case[] = [
  { name: 'hello', request: WRK, together: 1, handle: hello },
  { name: 'hello, 16 pipelined', request: WRK, together: 16, handle: hello },
  { name: 'hello, browser head', request: BROWSER, together: 1, handle: hello },
  {
    name: 'writeHead with two headers',
    request: WRK,
    together: 1,
    handle(_request, response) {
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
      response.end('Hello, World!');
    },
  },
  {
    name: 'like a framework: headers read, four set',
    request: BROWSER,
    together: 1,
    handle(request, response) {
      response.setHeader('X-Powered-By', 'Something');
      response.setHeader('Content-Type', 'application/json; charset=utf-8');
      response.setHeader('ETag', 'W/"d-bNNVbesNpUvKBgtMOUeYOQ"');
      response.setHeader('Content-Length', '15');
      if (request.headers['if-none-match'] === request.url) response.statusCode = 304;
      response.end('{"hello":true}\n');
    },
  },
  {
    name: 'POST, 100 bytes read',
    request: `POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n${'x'.repeat(100)}`,
    together: 1,
    handle(request, response) {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.on('end', () => response.end(`got ${bytes}`));
    },
  },
  {
    name: 'with listeners for finish and close',
    request: WRK,
    together: 1,
    handle(request, response) {
      let seen = 0;
      request.on('close', () => seen++);
      response.on('finish', () => seen++);
      response.on('close', () => seen++);
      response.end('Hello, World!');
    },
  },
];

const runTicks = (process as unknown as { _tickCallback(): void })._tickCallback;

function prepare(what: Case): (requests: number) => void {
  const http = createHttp(net as unknown as NetModule);
  const server = http.createServer(what.handle);
  const sockets: ReadySocket[] = [];
  for (let i = 0; i < 64; i++) {
    const socket = new ReadySocket();
    sockets.push(socket);
    server.emit('connection', socket as unknown as MessageSocket);
  }
  const slab = new Uint8Array(SLAB_BYTES);
  const text = Buffer.from(what.request.repeat(what.together), 'latin1');
  let at = 0;
  let turn = 0;
  return (requests) => {
    for (let done = 0; done < requests; done += what.together) {
      if (at + text.length > SLAB_BYTES) at = 0;
      slab.set(text, at);
      const { consumer } = sockets[turn++ & 63]!;
      const used = consumer!.onText(slab, at, at + text.length);
      if (used !== text.length) throw new Error(`${what.name}: took ${used} of ${text.length} bytes`);
      runTicks();
      at += text.length;
    }
  };
}

const option = (name: string, otherwise: string): string => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1]!;
};

/** Time that the process itself had: on a shared machine the wall clock tells of others. Microseconds. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function measure(what: Case, slices: number, ms: number): number {
  const run = prepare(what);
  run(20_000);
  let best = Infinity;
  for (let i = 0; i < slices; i++) {
    const from = cpuMicros();
    let requests = 0;
    while (cpuMicros() - from < ms * 1000) {
      run(1600);
      requests += 1600;
    }
    best = Math.min(best, (cpuMicros() - from) / requests);
  }
  return best;
}

const only = option('only', '');
for (const what of CASES) {
  if (!what.name.includes(only)) continue;
  const micros = measure(what, Number(option('slices', '7')), Number(option('ms', '200')));
  console.log(`${what.name.padEnd(44)} ${micros.toFixed(3)} us/request`);
}
process.exit(0);
