// What several programs use: bodies that can be told by their hash, and small waits.
'use strict';

const { createHash } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { Readable } = require('node:stream');

/** What is compared of an error. */
function ofError(error) {
  const { name, code, errno, syscall, message, cause } = error;
  const first = String(message).split('\n')[0];
  return { name, code, errno, syscall, message: first, ...(cause instanceof Error && { cause: ofError(cause) }) };
}

/** A body as it is compared: a long one by its size and hash. */
const hash = (block) => createHash('sha256').update(block).digest('hex').slice(0, 16);
const brief = (block) => (block.length > 300 ? `${block.length} bytes ${hash(block)}` : block.toString('latin1'));

/** `length` bytes that do not repeat early, the same in every process. */
function bytes(length, seed = 1) {
  const block = Buffer.alloc(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    block[i] = state >>> 24;
  }
  return block;
}

/** The bytes as a stream of chunks, as an upload without a length. */
const streamed = (block, chunk = 10_000) =>
  Readable.from(
    (function* () {
      for (let at = 0; at < block.length; at += chunk) yield block.subarray(at, at + chunk);
    })(),
  );

/** All of a stream. */
async function whole(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Listens; gives what a program's `serve` gives. */
async function listening(server, address) {
  server.listen(0, address);
  await once(server, 'listening');
  return {
    port: server.address().port,
    async close() {
      server.close();
      server.closeAllConnections?.();
      await once(server, 'close');
    },
  };
}

/** A server that client packages are tried against: what it does is in the path. */
function plainServer(notes) {
  const routes = {
    '/hello': (_req, res) => res.end('hello'),
    '/json': (_req, res) => {
      res.setHeader('Content-Type', 'application/json; charset=utf-8');
      res.end(JSON.stringify({ greeting: 'grüß', numbers: [1, 2, 3] }));
    },
    '/echo': async (req, res) => {
      const body = await whole(req);
      res.setHeader('Content-Type', req.headers['content-type'] ?? 'application/octet-stream');
      res.setHeader('X-Method', req.method);
      res.end(body);
    },
    '/sink': async (req, res) => {
      const body = await whole(req);
      const { 'content-length': length, 'transfer-encoding': coding } = req.headers;
      res.end(JSON.stringify({ method: req.method, bytes: body.length, hash: hash(body), length, coding }));
    },
    '/headers': (req, res) => res.end(JSON.stringify(req.rawHeaders)),
    '/big': (_req, res) => res.end(bytes(1_000_000)),
    '/stream': (_req, res) => streamed(bytes(500_000), 7000).pipe(res),
    '/redirect': (_req, res) => res.writeHead(302, { Location: '/hello' }).end('elsewhere'),
    '/redirect-post': (_req, res) => res.writeHead(307, { Location: '/echo' }).end(),
    '/see-other': (_req, res) => res.writeHead(303, { Location: '/hello' }).end(),
    '/loop': (_req, res) => res.writeHead(301, { Location: '/loop' }).end(),
    '/not-modified': (req, res) => {
      const fresh = req.headers['if-none-match'] === '"one"';
      res.writeHead(fresh ? 304 : 200, { ETag: '"one"' });
      res.end(fresh ? undefined : 'content');
    },
    '/no-content': (_req, res) => res.writeHead(204).end(),
    '/status': (req, res) =>
      res.writeHead(Number(new URL(req.url, 'http://x').searchParams.get('code'))).end('so it is'),
    '/gzip': (_req, res) => {
      res.setHeader('Content-Encoding', 'gzip');
      res.end(require('node:zlib').gzipSync('compressed '.repeat(1000)));
    },
    '/brotli': (_req, res) => {
      res.setHeader('Content-Encoding', 'br');
      res.end(require('node:zlib').brotliCompressSync('compressed '.repeat(1000)));
    },
    '/reset': (req) => void req.socket.resetAndDestroy(),
    '/hang-up': (req) => void req.socket.destroy(),
    '/reset-midway': (_req, res) => {
      res.writeHead(200, { 'Content-Length': 1000 });
      res.write('a beginning', () => res.socket.destroy());
    },
    '/never': (req, res) => {
      notes.add('never', 'asked');
      res.on('close', () => notes.add('never', `closed, finished: ${res.writableFinished}, aborted: ${req.destroyed}`));
    },
    '/slow-body': (_req, res) => {
      res.writeHead(200, { 'Content-Length': 1000 });
      res.write('a beginning');
      res.on('close', () => notes.add('slow-body', `closed, finished: ${res.writableFinished}`));
    },
    '/trailers': (_req, res) => {
      res.writeHead(200, { Trailer: 'X-Sum' });
      res.write('body');
      res.addTrailers({ 'X-Sum': '42' });
      res.end();
    },
    '/cookie': (req, res) => {
      res.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2; HttpOnly']);
      res.end(req.headers.cookie ?? 'none');
    },
    '/informed': (_req, res) => {
      res.writeEarlyHints({ link: '</style.css>; rel=preload' });
      res.end('done');
    },
    '/auth': (req, res) => res.end(req.headers.authorization ?? 'none'),
    '/connection': (req, res) => {
      const { socket } = req;
      socket.asked = (socket.asked ?? 0) + 1;
      res.end(`request ${socket.asked} of its connection`);
    },
  };
  let flaky = 0;
  routes['/flaky'] = (_req, res) => {
    flaky++;
    if (flaky % 3 === 0) res.end(`at last`);
    else res.writeHead(503, { 'Retry-After': '0' }).end('not yet');
  };
  const server = http.createServer((req, res) => {
    const { pathname } = new URL(req.url, 'http://x');
    const route = routes[pathname];
    if (route) return void route(req, res);
    res.writeHead(404).end('nothing there');
  });
  server.on('clientError', (error, socket) => {
    notes.add('clientError', error);
    socket.destroy();
  });
  return server;
}

module.exports = { brief, bytes, hash, listening, ofError, plainServer, streamed, whole };
