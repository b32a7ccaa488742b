// undici: its own HTTP/1.1 client on sockets, beside the one built into Node.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { pipeline } = require('node:stream/promises');
const { PassThrough, Readable } = require('node:stream');
const undici = require('undici');
const { bytes, hash, listening, plainServer, streamed, whole } = require('./common.cjs');

async function told(t, { statusCode, headers, trailers, body }) {
  const { date: _date, ...rest } = headers;
  const all = Buffer.from(await body.arrayBuffer());
  t.note({ statusCode, headers: rest, body: all.length > 300 ? hash(all) : all.toString(), trailers });
}

/** A proxy that joins connections on CONNECT. */
function tunnels() {
  const server = http.createServer((_req, res) => res.writeHead(405).end());
  server.on('connect', (req, socket, head) => {
    const onward = net.connect(Number(req.url.split(':')[1]), req.url.split(':')[0], () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    socket.on('error', () => onward.destroy());
  });
  return server;
}

module.exports = {
  serve(notes, address) {
    const server = plainServer(notes);
    server.on('upgrade', (req, socket, head) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${req.headers.upgrade}\r\n\r\n`,
      );
      socket.write(head);
      socket.pipe(socket);
    });
    return listening(server, address);
  },
  scenarios: {
    request: async (t) => {
      await told(t, await undici.request(`${t.url}/hello`));
      await told(t, await undici.request(`${t.url}/big`));
      await told(t, await undici.request(`${t.url}/trailers`));
      await told(t, await undici.request(`${t.url}/not-modified`, { headers: { 'if-none-match': '"one"' } }));
      await told(t, await undici.request(`${t.url}/hello`, { method: 'HEAD' }));
      await told(t, await undici.request(`${t.url}/sink`, { method: 'PUT', body: bytes(1_000_000) }));
      await told(t, await undici.request(`${t.url}/sink`, { method: 'POST', body: streamed(bytes(300_000)) }));
      const { body } = await undici.request(`${t.url}/headers`, { query: { a: 1 }, headers: { 'X-One': ['1', '2'] } });
      t.note(await body.json());
      await undici.getGlobalDispatcher().close();
      undici.setGlobalDispatcher(new undici.Agent());
    },
    'stream and pipeline': async (t) => {
      const into = new PassThrough();
      const collected = whole(into);
      await undici.stream(`${t.url}/stream`, { method: 'GET' }, () => into);
      t.note(hash(await collected));
      const back = new PassThrough();
      const echoed = whole(back);
      const through = undici.pipeline(`${t.url}/echo`, { method: 'POST' }, ({ body }) => body);
      await pipeline(Readable.from([bytes(100_000), bytes(100_000, 2)]), through, back);
      t.note(hash(await echoed));
    },
    'a pool of one connection, and pipelining': async (t) => {
      const events = [];
      const pool = new undici.Pool(t.url, { connections: 1, pipelining: 1 });
      pool.on('connect', () => events.push('connect'));
      pool.on('disconnect', (_origin, _targets, error) => events.push(`disconnect ${error.code}`));
      const answers = await Promise.all([1, 2, 3, 4].map(() => pool.request({ path: '/connection', method: 'GET' })));
      for (const { body } of answers) t.note(await body.text());
      await pool.close();
      t.note(events);
      const client = new undici.Client(t.url, { pipelining: 10 });
      const all = await Promise.all(
        Array.from({ length: 30 }, () => client.request({ path: '/connection', method: 'GET' })),
      );
      t.note(await Promise.all(all.map(({ body }) => body.text())));
      await client.close();
    },
    'what goes wrong': async (t) => {
      await t.fails(undici.request(t.closedUrl));
      await t.fails(undici.request(`${t.url}/hang-up`));
      await t.fails(undici.request(`${t.url}/reset`));
      const { body } = await undici.request(`${t.url}/reset-midway`);
      await t.fails(body.text());
      const impatient = new undici.Agent({ headersTimeout: 50, bodyTimeout: 50 });
      await t.fails(undici.request(`${t.url}/never`, { dispatcher: impatient }));
      const slow = await undici.request(`${t.url}/slow-body`, { dispatcher: impatient });
      await t.fails(slow.body.text());
      await impatient.close();
    },
    aborted: async (t) => {
      const controller = new AbortController();
      const never = undici.request(`${t.url}/never`, { signal: controller.signal });
      await t.saw('never', 3);
      controller.abort();
      await t.fails(never);
      t.note((await t.saw('never', 4)).at(-1));
      const during = new AbortController();
      const { body } = await undici.request(`${t.url}/slow-body`, { signal: during.signal });
      during.abort();
      await t.fails(body.text());
      t.note((await t.saw('slow-body', 2)).length);
    },
    'fetch, redirects and retries': async (t) => {
      t.note(await (await undici.fetch(`${t.url}/json`)).json());
      t.note((await undici.fetch(`${t.url}/redirect`)).url.endsWith('/hello'));
      const agent = new undici.Agent().compose(undici.interceptors.redirect({ maxRedirections: 2 }));
      await told(t, await undici.request(`${t.url}/redirect`, { dispatcher: agent }));
      const again = new undici.RetryAgent(new undici.Agent(), { minTimeout: 1, maxRetries: 5, statusCodes: [503] });
      await told(t, await undici.request(`${t.url}/flaky`, { dispatcher: again }));
      await agent.close();
      await again.close();
    },
    'upgrade and tunnels': async (t) => {
      const { socket, headers } = await undici.upgrade(`${t.url}/anything`, { protocol: 'echo' });
      socket.write('through');
      t.note([headers, String((await once(socket, 'data'))[0])]);
      socket.end();
      const { port, close } = await listening(tunnels(), '127.0.0.1');
      const agent = new undici.ProxyAgent({ uri: `http://127.0.0.1:${port}`, proxyTunnel: true });
      await told(t, await undici.request(`${t.url}/json`, { dispatcher: agent }));
      await agent.close();
      await close();
    },
    'a WebSocket of the web': async (t) => {
      const { WebSocketServer } = require('ws');
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      server.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
      await once(server, 'listening');
      const ws = new undici.WebSocket(`ws://127.0.0.1:${server.address().port}/`);
      const next = () =>
        new Promise((resolve) => ws.addEventListener('message', ({ data }) => resolve(data), { once: true }));
      await new Promise((resolve) => ws.addEventListener('open', resolve, { once: true }));
      ws.send('grüß');
      t.note(await next());
      ws.send('x'.repeat(200_000));
      t.note((await next()).length);
      const closed = new Promise((resolve) => ws.addEventListener('close', resolve, { once: true }));
      ws.close(1000, 'done');
      const { code, reason, wasClean } = await closed;
      t.note([code, reason, wasClean]);
      await new Promise((resolve) => server.close(resolve));
    },
    'its fetch and dispatcher for Node itself': async (t) => {
      const dispatcher = new undici.Agent({ connections: 2 });
      const texts = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const response = await undici.fetch(`${t.url}/echo`, { dispatcher, method: 'POST', body: `text ${i}` });
          return response.text();
        }),
      );
      t.note(texts);
      await dispatcher.close();
    },
  },
};
