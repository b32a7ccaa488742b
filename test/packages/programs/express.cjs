// Express, with its body parsers, static files, compression and multer.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { mkdtempSync, rmSync, utimesSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { pipeline } = require('node:stream');
const { createGunzip } = require('node:zlib');
const compression = require('compression');
const express = require('express');
const multer = require('multer');
const { bytes, hash, listening, streamed, whole } = require('./common.cjs');

function application(notes, folder) {
  const app = express();
  app.set('trust proxy', true);
  app.get('/', (req, res) => res.send(`<p>${req.protocol} ${req.hostname} ${req.ip}</p>`));
  app.get('/users/:id', (req, res) => res.json({ id: req.params.id, query: req.query }));
  app.post('/json', express.json({ limit: 2_000_000 }), (req, res) => res.json(req.body));
  app.post('/form', express.urlencoded({ extended: true }), (req, res) => res.json(req.body));
  app.post('/raw', express.raw({ limit: 100, type: '*/*' }), (req, res) => res.send(hash(req.body)));
  app.post('/files', multer({ storage: multer.memoryStorage() }).array('file'), (req, res) => {
    res.json({
      body: req.body,
      files: req.files.map(({ originalname, size, buffer }) => [originalname, size, hash(buffer)]),
    });
  });
  app.post('/upload', async (req, res) => res.json({ hash: hash(await whole(req)) }));
  app.get('/download', (_req, res) => void pipeline(streamed(bytes(2_000_000)), res, () => {}));
  app.get('/squeezed', compression({ threshold: 0 }), (_req, res) => res.type('text').send('again and '.repeat(5000)));
  app.use('/static', express.static(folder, { maxAge: '1h' }));
  app.get('/file', (_req, res) => res.sendFile(join(folder, 'page.html')));
  app.get('/attachment', (_req, res) => res.download(join(folder, 'page.html'), 'name.html'));
  app.get('/redirect', (_req, res) => res.redirect('/elsewhere'));
  app.get('/cookies', (_req, res) => res.cookie('a', 'ü', { httpOnly: true }).clearCookie('b').status(201).end());
  app.get('/wrong', () => {
    throw Object.assign(new Error('broken on purpose'), { status: 418, expose: true });
  });
  app.get('/late', async () => {
    await null;
    throw new Error('a promise broken on purpose');
  });
  app.get('/forever', (req, res) => {
    req.on('aborted', () => notes.add('forever', 'aborted'));
    res.on('close', () => notes.add('forever', `closed, finished: ${res.writableFinished}`));
    res.write('a beginning');
  });
  const nested = express.Router();
  nested.use((req, res, next) => {
    res.set('X-Nested', `${req.baseUrl} ${req.url}`);
    next();
  });
  nested.get('/inside', (_req, res) => res.format({ json: () => res.json({}), text: () => res.send('text') }));
  app.use('/nested', nested);
  app.use((error, _req, res, _next) =>
    res.status(error.status ?? 500).json({ message: error.message, type: error.type }),
  );
  return app;
}

/** Requests written at once on one connection; gives all that came back. */
async function raw(t, text) {
  const socket = net.connect(t.port, t.address);
  socket.end(text);
  return (await whole(socket)).toString('latin1').replace(/Date: .*\r\n/g, '');
}

module.exports = {
  async serve(notes, address) {
    const folder = mkdtempSync(join(tmpdir(), 'tapwire-express-'));
    const put = (name, content) => {
      writeFileSync(join(folder, name), content);
      utimesSync(join(folder, name), 1_700_000_000, 1_700_000_000);
    };
    put('page.html', '<title>page</title>');
    put('large.bin', bytes(3_000_000));
    const server = await listening(http.createServer(application(notes, folder)), address);
    return {
      port: server.port,
      async close() {
        await server.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
  scenarios: {
    routing: async (t) => {
      await t.told('/', {
        headers: { Host: 'example.org', 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Proto': 'https' },
      });
      await t.told('/users/7?a=1&b=%C3%BC');
      await t.told('/nested/inside', { headers: { Accept: 'text/plain' } });
      await t.told('/nested/inside', { headers: { Accept: 'application/json' } });
      await t.told('/nowhere');
      await t.told('/', { method: 'OPTIONS' });
      await t.told('/users/7', { method: 'DELETE' });
      await t.told('/redirect');
      await t.told('/cookies');
    },
    errors: async (t) => {
      await t.told('/wrong');
      await t.told('/late');
      await t.told('/json', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"a":' });
      await t.told('/raw', { method: 'POST', body: bytes(101) });
      await t.told('/users/%ZZ');
    },
    'bodies that are parsed': async (t) => {
      const json = { 'Content-Type': 'application/json' };
      await t.told('/json', { method: 'POST', headers: json, body: JSON.stringify({ a: [1, 'ü'] }) });
      await t.told('/json', { method: 'POST', headers: json, body: JSON.stringify({ a: 'x'.repeat(1_000_000) }) });
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
      await t.told('/form', { method: 'POST', headers: form, parts: ['a[b]=1&', 'c=%C3%BC&'], body: 'd=+' });
      const { gzipSync } = require('node:zlib');
      const packed = gzipSync(JSON.stringify({ packed: true }));
      await t.told('/json', { method: 'POST', headers: { ...json, 'Content-Encoding': 'gzip' }, body: packed });
    },
    multipart: async (t) => {
      const form = new FormData();
      form.set('field', 'value');
      form.append('file', new Blob([bytes(100_000, 2)]), 'one.bin');
      form.append('file', new Blob(['two']), 'two.txt');
      const encoded = new Response(form);
      const body = Buffer.from(await encoded.arrayBuffer());
      await t.told('/files', {
        method: 'POST',
        headers: { 'Content-Type': encoded.headers.get('content-type') },
        body,
      });
    },
    'uploads and downloads as streams': async (t) => {
      const parts = Array.from({ length: 40 }, (_, i) => bytes(65_536, i));
      await t.told('/upload', { method: 'POST', parts });
      await t.told('/upload', { method: 'POST', headers: { Expect: '100-continue' }, body: 'awaited' });
      await t.told('/download');
      const { body, headers } = await t.ask('/squeezed', { headers: { 'Accept-Encoding': 'gzip' } });
      const gunzip = createGunzip();
      gunzip.end(body);
      t.note([headers, hash(await whole(gunzip))]);
    },
    'static files': async (t) => {
      const { headers } = await t.told('/static/page.html');
      await t.told('/static/page.html', { method: 'HEAD' });
      await t.told('/static/page.html', { headers: { 'If-None-Match': headers.etag } });
      await t.told('/static/page.html', { headers: { 'If-Modified-Since': headers['last-modified'] } });
      await t.told('/static/page.html', { headers: { 'If-Match': '"other"' } });
      await t.told('/static/large.bin');
      await t.told('/static/large.bin', { headers: { Range: 'bytes=1000000-2999998' } });
      await t.told('/static/large.bin', { headers: { Range: 'bytes=-5' } });
      await t.told('/static/large.bin', { headers: { Range: 'bytes=9999999-' } });
      await t.told('/static/../express.cjs');
      await t.told('/static');
      await t.told('/file');
      await t.told('/attachment');
    },
    'one kept connection': async (t) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const ports = new Set();
      for (let i = 0; i < 20; i++) {
        const request = http.get(`${t.url}/users/${i}`, { agent });
        const [response] = await once(request, 'response');
        ports.add(request.socket.localPort);
        await whole(response);
        if (i > 0 && !request.reusedSocket) t.note(`request ${i} made a connection`);
      }
      t.note(ports.size);
      agent.destroy();
    },
    'pipelined requests': async (t) => {
      t.note(
        await raw(
          t,
          'GET /users/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /wrong HTTP/1.1\r\nHost: x\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        ),
      );
      t.note(await raw(t, 'GET /users/1 HTTP/1.0\r\n\r\n'));
      t.note(await raw(t, 'GET /users/1\r\n\r\n'));
      t.note(await raw(t, 'HEAD /download HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
      t.note(await raw(t, 'GET / HTTP/1.1\r\n\r\n'));
    },
    'a client that goes away': async (t) => {
      const request = http.get(`${t.url}/forever`, { agent: false });
      request.on('error', (error) => t.note(error));
      const [response] = await once(request, 'response');
      await once(response, 'data');
      request.destroy();
      t.note((await t.saw('forever', 2)).sort());
    },
    'many at once': async (t) => {
      const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => t.ask(`/users/${i}`)));
      t.note(answers.map(({ body }) => JSON.parse(body).id).join());
    },
  },
};
