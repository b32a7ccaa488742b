// Koa.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const http = require('node:http');
const { PassThrough } = require('node:stream');
const { setTimeout: sleep } = require('node:timers/promises');
const Koa = require('koa');
const { bytes, hash, listening, streamed, whole } = require('./common.cjs');

function application(notes) {
  const app = new Koa({ proxy: true });
  const scope = new AsyncLocalStorage();
  app.on('error', (error) => notes.add('error', error));
  app.use((ctx, next) => scope.run({ path: ctx.path }, next));
  app.use(async (ctx, next) => {
    await next();
    ctx.set('X-Scope', scope.getStore().path);
  });
  const routes = {
    '/text': (ctx) => {
      ctx.body = 'text';
    },
    '/object': (ctx) => {
      ctx.body = { ip: ctx.ip, ips: ctx.ips, host: ctx.host, secure: ctx.secure, query: ctx.query };
    },
    '/stream': (ctx) => {
      ctx.type = 'bin';
      ctx.body = streamed(bytes(1_000_000));
    },
    '/response': (ctx) => {
      ctx.body = new Response('of the web');
    },
    '/blob': (ctx) => {
      ctx.body = new Blob(['a blob']);
    },
    '/empty': (ctx) => {
      ctx.body = null;
    },
    '/fresh': (ctx) => {
      ctx.etag = 'one';
      ctx.status = 200;
      ctx.body = 'content';
      if (ctx.fresh) ctx.status = 304;
    },
    '/throw': (ctx) => ctx.throw(409, 'a conflict', { headers: { 'X-Why': 'test' } }),
    '/internal': () => {
      throw new Error('not for the client');
    },
    '/echo': async (ctx) => {
      ctx.body = await whole(ctx.req);
    },
    '/sum': async (ctx) => {
      await sleep(1);
      ctx.body = `${hash(await whole(ctx.req))} ${scope.getStore().path}`;
    },
    '/broken-stream': (ctx) => {
      const stream = new PassThrough();
      ctx.body = stream;
      stream.write('a beginning');
      setTimeout(() => stream.destroy(new Error('it broke')), 20);
    },
    '/forever': (ctx) => {
      const stream = new PassThrough();
      stream.on('close', () => notes.add('forever', 'the stream was closed'));
      stream.write('a beginning');
      ctx.body = stream;
    },
    '/redirect': (ctx) => ctx.redirect('/text'),
    '/cookies': (ctx) => {
      ctx.cookies.set('name', 'value');
      ctx.body = String(ctx.cookies.get('given'));
    },
    '/by-hand': (ctx) => {
      ctx.respond = false;
      ctx.res.end('by hand');
    },
  };
  app.use((ctx) => routes[ctx.path]?.(ctx));
  return app;
}

module.exports = {
  serve: (notes, address) => listening(http.createServer(application(notes).callback()), address),
  scenarios: {
    'bodies of every kind': async (t) => {
      for (const path of ['/text', '/object?a=1', '/stream', '/response', '/blob', '/empty', '/by-hand', '/nowhere']) {
        await t.told(path);
        await t.told(path, { method: 'HEAD' });
      }
    },
    'what it knows of the request': async (t) => {
      const headers = { 'X-Forwarded-For': '192.0.2.1, 192.0.2.2', 'X-Forwarded-Proto': 'https', Host: 'example.org' };
      await t.told('/object', { headers });
      await t.told('/cookies', { headers: { Cookie: 'given=this' } });
      await t.told('/redirect');
      await t.told('/fresh', { headers: { 'If-None-Match': '"one"' } });
    },
    errors: async (t) => {
      await t.told('/throw');
      await t.told('/internal');
      t.note(await t.saw('error', 1));
    },
    uploads: async (t) => {
      await t.told('/echo', { method: 'POST', parts: ['a', 'b'], body: 'c' });
      await t.told('/sum', { method: 'PUT', body: bytes(3_000_000) });
      const sums = await Promise.all(
        Array.from({ length: 20 }, (_, i) => t.ask('/sum', { method: 'POST', body: bytes(50_000, i) })),
      );
      t.note(sums.map(({ body }) => body.toString()));
    },
    'a stream that breaks': async (t) => {
      await t.fails(t.ask('/broken-stream'));
    },
    'a client that goes away': async (t) => {
      const request = http.get(`${t.url}/forever`, { agent: false });
      const [response] = await once(request, 'response');
      response.on('error', (error) => t.note(error));
      await once(response, 'data');
      response.destroy();
      t.note(await t.saw('forever', 1));
    },
  },
};
