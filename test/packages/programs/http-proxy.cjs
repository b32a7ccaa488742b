// http-proxy: server, client and upgraded connections at once.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const httpProxy = require('http-proxy');
const { WebSocket, WebSocketServer } = require('ws');
const { bytes, hash, listening, plainServer, streamed } = require('./common.cjs');

/** The front server, in front of one that is not asked directly. */
function front(notes, target, dead) {
  const proxy = httpProxy.createProxyServer({ target, xfwd: true });
  proxy.on('error', (error, _req, res) => {
    notes.add('error', error);
    if (res.writeHead) res.writeHead(502).end('bad gateway');
    else res.destroy();
  });
  proxy.on('proxyRes', (_response, req) => notes.add('answered', req.url));
  proxy.on('open', () => notes.add('websocket', 'open'));
  proxy.on('close', () => notes.add('websocket', 'close'));
  const server = http.createServer((req, res) => {
    if (req.url.startsWith('/dead')) proxy.web(req, res, { target: dead });
    else if (req.url.startsWith('/impatient')) {
      req.url = '/never';
      proxy.web(req, res, { proxyTimeout: 50 });
    } else if (req.url.startsWith('/buffered')) {
      req.url = '/echo';
      proxy.web(req, res, { buffer: streamed(bytes(1000)), headers: { 'content-length': '1000' } });
    } else if (req.url.startsWith('/renamed')) {
      proxy.web(req, res, {
        ignorePath: true,
        target: `${target}/headers`,
        changeOrigin: true,
        headers: { 'X-Added': '1' },
      });
    } else if (req.url.startsWith('/rewritten')) {
      req.url = '/redirect';
      proxy.web(req, res, { autoRewrite: true, cookieDomainRewrite: 'example.org' });
    } else proxy.web(req, res);
  });
  server.on('upgrade', (req, socket, head) => {
    proxy.ws(req, socket, head, req.url.startsWith('/dead') ? { target: dead } : {});
  });
  return { server, proxy };
}

module.exports = {
  async serve(notes, address) {
    const origin = plainServer(notes);
    const sockets = new WebSocketServer({ server: origin });
    sockets.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
    const behind = await listening(origin, '127.0.0.1');
    const { server, proxy } = front(notes, `http://127.0.0.1:${behind.port}`, 'http://127.0.0.1:2');
    const { port, close } = await listening(server, address);
    return {
      port,
      async close() {
        for (const ws of sockets.clients) ws.terminate();
        proxy.close();
        await close();
        await behind.close();
      },
    };
  },
  scenarios: {
    'what passes through': async (t) => {
      for (const path of [
        '/hello',
        '/json',
        '/big',
        '/stream',
        '/gzip',
        '/not-modified',
        '/no-content',
        '/nowhere',
        '/cookie',
      ]) {
        await t.told(path);
      }
      await t.told('/hello', { method: 'HEAD' });
      await t.told('/rewritten');
      await t.told('/redirect');
      await t.told('/trailers');
      t.note((await t.saw('answered', 13)).length);
    },
    uploads: async (t) => {
      await t.told('/sink', { method: 'POST', body: bytes(1_000_000) });
      await t.told('/sink', { method: 'POST', parts: [bytes(200_000), bytes(300_000, 2)] });
      await t.told('/sink', { method: 'POST', headers: { Expect: '100-continue' }, body: 'awaited' });
      await t.told('/buffered', { method: 'POST', headers: { 'Content-Length': 0 } });
    },
    'what it adds': async (t) => {
      const names = (text) => JSON.parse(text).filter((_, i) => i % 2 === 0);
      t.note(names((await t.ask('/headers', { headers: { 'X-Mine': '1' } })).body));
      t.note(names((await t.ask('/renamed/anything')).body));
    },
    'what goes wrong behind it': async (t) => {
      await t.told('/dead');
      await t.told('/hang-up');
      await t.told('/reset');
      await t.told('/impatient');
      t.note(await t.saw('error', 4));
    },
    'a client that goes away': async (t) => {
      const request = http.get(`${t.url}/never`, { agent: false });
      request.on('error', (error) => t.note(error));
      await t.saw('never', 3);
      request.destroy();
      await new Promise((resolve) => request.on('close', resolve));
      // The proxy does not tell the one behind it, on any wire.
      await t.told('/hello');
    },
    WebSockets: async (t) => {
      const ws = new WebSocket(`ws://${t.address}:${t.port}/`);
      await once(ws, 'open');
      for (const size of [10, 70_000, 2_000_000]) {
        ws.send(bytes(size));
        t.note(hash((await once(ws, 'message'))[0]));
      }
      ws.close(1000);
      t.note((await once(ws, 'close'))[0]);
      t.note(await t.saw('websocket', 2));
      const refused = new WebSocket(`ws://${t.address}:${t.port}/dead`);
      t.note((await once(refused, 'error').catch((error) => [error]))[0]);
    },
    'many at once, over kept connections': async (t) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, i) => t.ask('/echo', { agent, method: 'POST', body: bytes(20_000, i) })),
      );
      t.note(answers.filter(({ body }, i) => hash(body) === hash(bytes(20_000, i))).length);
      agent.destroy();
    },
  },
};
