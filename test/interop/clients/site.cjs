// A site as any Node program might offer it: a page with a hundred parts, ranges, large bodies both ways, WebSockets, TLS.
// Run with `node --require tapwire/register site.cjs KEY CERT`; what it is told of comes to the parent as messages.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { Readable } = require('node:stream');
const { WebSocketServer } = require('ws');

const PARTS = 100;
const TEXT = 'a block of a body that is as long as it is asked to be; ';
const BLOCK = Buffer.alloc(1 << 20, TEXT);
const STYLE = 'body { color: rgb(1, 2, 3) }';
const SCRIPT = `
const problems = [];
const loaded = (image) => new Promise((resolve) => {
  if (image.complete && image.naturalWidth > 0) resolve(true);
  image.onload = () => resolve(true);
  image.onerror = () => resolve(false);
});
const socketEchoes = () => new Promise((resolve) => {
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/echo');
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => socket.send(new Uint8Array(1000000).fill(7));
  socket.onmessage = ({ data }) => {
    socket.onclose = ({ code }) => resolve([data.byteLength, code]);
    socket.close(1000);
  };
  socket.onerror = () => resolve('WebSocket failed');
});
async function look() {
  const images = await Promise.all([...document.images].map(loaded));
  const part = await fetch('/large', { headers: { Range: 'bytes=1000-1999' } });
  const upload = await fetch('/sink', { method: 'POST', body: new Blob([new Uint8Array(5000000)]) });
  const events = await new Promise((resolve) => {
    const source = new EventSource('/events');
    const got = [];
    source.onmessage = ({ data }) => {
      got.push(data);
      if (got.length === 3) { source.close(); resolve(got); }
    };
  });
  return {
    images: images.filter(Boolean).length,
    styled: getComputedStyle(document.body).color,
    part: [part.status, part.headers.get('content-range'), (await part.arrayBuffer()).byteLength],
    upload: await upload.json(),
    events,
    socket: await socketEchoes(),
    secure: isSecureContext,
  };
}
addEventListener('load', () => look().catch((error) => String(error)).then((result) =>
  fetch('/result', { method: 'POST', body: JSON.stringify(result) })));
`;

/** A page that takes a body of so many bytes, of which it looks at every one, and gives one of as many. */
const transfer = (bytes) => `<!doctype html><title>Large bodies</title><script>
const block = Uint8Array.from({ length: ${BLOCK.length} }, (_, i) => '${TEXT}'.charCodeAt(i % ${TEXT.length}));
async function download(bytes) {
  const startedMs = performance.now();
  const reader = (await fetch('/bytes/' + bytes)).body.getReader();
  let got = 0;
  let wrong = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { bytes: got, wrong, ms: performance.now() - startedMs };
    for (let i = 0; i < value.length; i++) if (value[i] !== block[(got + i) % block.length]) wrong++;
    got += value.length;
  }
}
/** A file of the browser's own: its memory is not for bodies of a gigabyte. */
async function fileOf(bytes) {
  const folder = await navigator.storage.getDirectory();
  const entry = await folder.getFileHandle('body', { create: true });
  const file = await entry.createWritable();
  for (let left = bytes; left > 0; left -= block.length) await file.write(block.subarray(0, Math.min(left, block.length)));
  await file.close();
  return entry.getFile();
}
async function upload(bytes) {
  const body = await fileOf(bytes);
  const startedMs = performance.now();
  const answer = await (await fetch('/sink', { method: 'POST', body })).json();
  return { ...answer, ms: performance.now() - startedMs };
}
const named = (phase) => (error) => { throw phase + ': ' + error; };
const both = async (bytes) => ({
  download: await download(bytes).catch(named('download')),
  upload: await upload(bytes).catch(named('upload')),
});
addEventListener('load', () => both(${bytes}).catch((error) => String(error)).then((result) =>
  fetch('/result', { method: 'POST', body: JSON.stringify(result) })));
</script>`;

const image = (n) => `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><circle r="${n}"/></svg>`;
const page = `<!doctype html><title>A hundred parts</title><link rel="stylesheet" href="/style.css"><script src="/script.js"></script>
${Array.from({ length: PARTS - 2 }, (_, n) => `<img src="/image/${n}.svg">`).join('\n')}`;

function* block(bytes) {
  for (let left = bytes; left > 0; left -= BLOCK.length) yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
}

function ranged(req, res, body) {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '') ?? [];
  res.setHeader('Accept-Ranges', 'bytes');
  if (from === undefined) return void res.end(body);
  res.writeHead(206, { 'Content-Range': `bytes ${from}-${to}/${body.length}` }).end(body.subarray(+from, +to + 1));
}

async function sink(req, res) {
  const sum = createHash('sha256');
  let bytes = 0;
  for await (const chunk of req) {
    bytes += chunk.length;
    sum.update(chunk);
  }
  res.end(JSON.stringify({ bytes, sha256: sum.digest('hex'), expect: req.headers.expect }));
}

function events(res) {
  res.setHeader('Content-Type', 'text/event-stream');
  let n = 0;
  const timer = setInterval(() => res.write(`data: ${n++}\n\n`), 10);
  res.on('close', () => clearInterval(timer));
}

async function result(req, res) {
  let text = '';
  for await (const chunk of req) text += chunk;
  res.end();
  process.send({ result: JSON.parse(text) });
}

const large = Buffer.concat([...block(3_000_000)]);

function answer(req, res) {
  const [, kind, rest] = req.url.split('/');
  switch (kind) {
    case '':
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      return void res.end(page);
    case 'transfer':
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      return void res.end(transfer(Number(rest)));
    case 'style.css':
      // With a length of the program's own the connection can be kept for HTTP/1.0, too.
      res.writeHead(200, { 'Content-Type': 'text/css', 'Content-Length': STYLE.length });
      return void res.end(STYLE);
    case 'script.js':
      res.setHeader('Content-Type', 'text/javascript');
      return void res.end(SCRIPT);
    case 'image':
      res.setHeader('Content-Type', 'image/svg+xml');
      return void res.end(image(Number.parseInt(rest, 10)));
    case 'large':
      return ranged(req, res, large);
    case 'bytes':
      res.setHeader('Content-Length', rest);
      return void Readable.from(block(Number(rest)), { objectMode: false }).pipe(res);
    case 'sink':
      return void sink(req, res);
    case 'events':
      return events(res);
    case 'result':
      return void result(req, res);
    default:
      res.writeHead(404).end('nothing there\n');
  }
}

function serve(server, port, then) {
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
  server.listen(port, then);
}

const [, , key, cert] = process.argv;
const secured = { key: readFileSync(key), cert: readFileSync(cert) };
serve(http.createServer(answer), 80, () => {
  serve(https.createServer(secured, answer), 443, () => process.send({ listening: true }));
});
