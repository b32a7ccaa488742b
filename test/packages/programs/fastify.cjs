// Fastify, and light-my-request, by which it is asked without a network.
'use strict';

const { once } = require('node:events');
const http = require('node:http');
const fastify = require('fastify');
const { bytes, hash, streamed, whole } = require('./common.cjs');

function application(notes) {
  const app = fastify({ bodyLimit: 200_000, forceCloseConnections: true, return503OnClosing: true, trustProxy: true });
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.addHook('onResponse', async (request, reply) => {
    if (request.url.startsWith('/hooked')) notes.add('hooks', `onResponse ${reply.statusCode}`);
  });
  app.addHook('onRequestAbort', async (request) => notes.add('hooks', `onRequestAbort ${request.url}`));
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('X-Sent', 'yes');
    return payload;
  });
  app.get('/hooked', async () => ({ hooked: true }));
  app.get('/address', async (request) => [request.ip, request.hostname, request.protocol]);
  const schema = { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } };
  app.post('/checked', { schema, bodyLimit: 500 }, async (request) => ({ twice: request.body.n * 2 }));
  app.post('/upload', async (request) => hash(await whole(request.body)));
  app.get('/stream', (_request, reply) => void reply.type('application/octet-stream').send(streamed(bytes(800_000))));
  app.get('/web', () => new Response('of the web', { status: 202, headers: { 'X-Web': '1' } }));
  app.get('/error', async () => {
    throw Object.assign(new Error('broken on purpose'), { statusCode: 422 });
  });
  app.get('/hints', (_request, reply) => {
    reply.raw.writeEarlyHints({ link: '</a.css>; rel=preload' });
    reply.send('hinted');
  });
  app.get('/raw', (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(206, { 'X-Raw': '1' });
    reply.raw.end('raw');
  });
  app.get('/never', (request) => {
    notes.add('never', 'asked');
    request.raw.on('close', () => notes.add('never', 'closed'));
    return new Promise(() => {});
  });
  return app;
}

module.exports = {
  async serve(notes, address) {
    const app = application(notes);
    await app.listen({ port: 0, host: address });
    return { port: app.server.address().port, close: () => app.close() };
  },
  scenarios: {
    routes: async (t) => {
      await t.told('/address', { headers: { 'X-Forwarded-For': '192.0.2.9', Host: 'example.org' } });
      await t.told('/web');
      await t.told('/raw');
      await t.told('/error');
      await t.told('/nowhere');
      await t.told('/hooked', { method: 'HEAD' });
      await t.told('/hooked', { method: 'PUT' });
      await t.told('/hooked');
      t.note((await t.saw('hooks', 3)).sort());
    },
    'bodies and their schema': async (t) => {
      const json = { 'Content-Type': 'application/json' };
      await t.told('/checked', { method: 'POST', headers: json, body: '{"n":21}' });
      await t.told('/checked', { method: 'POST', headers: json, body: '{"n":"many"}' });
      await t.told('/checked', { method: 'POST', headers: json, body: '{' });
      await t.told('/checked', {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ n: 1, x: 'x'.repeat(1000) }),
      });
      await t.told('/checked', { method: 'POST', headers: { 'Content-Type': 'text/odd' }, body: 'x' });
    },
    streams: async (t) => {
      await t.told('/stream');
      const headers = { 'Content-Type': 'application/octet-stream' };
      await t.told('/upload', { method: 'POST', headers, parts: [bytes(50_000), bytes(60_000, 2)] });
    },
    'early hints': async (t) => {
      const request = http.get(`${t.url}/hints`, { agent: false });
      request.on('information', ({ statusCode, headers }) => t.note([statusCode, headers]));
      const [response] = await once(request, 'response');
      t.note((await whole(response)).toString());
    },
    'a client that goes away': async (t) => {
      const request = http.get(`${t.url}/never`, { agent: false });
      request.on('error', (error) => t.note(error));
      t.note(await t.saw('never', 1));
      request.destroy();
      t.note(await t.saw('never', 2));
      t.note((await t.saw('hooks', 4)).at(-1));
    },
    'asked without a network': async (t) => {
      const app = application({ add() {} });
      const told = ({ statusCode, headers, body }) => {
        delete headers.date;
        t.note([statusCode, headers, body.length > 300 ? hash(Buffer.from(body)) : body]);
      };
      told(await app.inject('/hooked'));
      told(await app.inject({ method: 'POST', url: '/checked', payload: { n: 4 } }));
      told(await app.inject({ method: 'GET', url: '/stream' }));
      told(await app.inject({ method: 'GET', url: '/raw' }));
      told(await app.inject({ url: '/address', remoteAddress: '192.0.2.77' }));
      told(
        await app.inject().post('/checked').payload('{"n":3}').headers({ 'content-type': 'application/json' }).end(),
      );
      await app.close();
    },
    'closing ends kept connections': async (t) => {
      const app = application({ add() {} });
      await app.listen({ port: 0, host: '127.0.0.1' });
      const agent = new http.Agent({ keepAlive: true });
      const request = http.get(`http://127.0.0.1:${app.server.address().port}/hooked`, { agent });
      const [response] = await once(request, 'response');
      await whole(response);
      const gone = once(request.socket, 'close');
      await app.close();
      await gone;
      t.note([Object.keys(agent.freeSockets).length, app.server.listening]);
      agent.destroy();
    },
  },
};
