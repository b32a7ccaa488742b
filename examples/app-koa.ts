import 'tapwire/register';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';

// Koa: middleware around middleware, and an error on its way out.
// npm run example app-koa

const app = new Koa();
app.use(async (ctx, next) => {
  await next();
  ctx.set('X-Method', ctx.method);
});
app.use((ctx) => {
  if (ctx.path === '/teapot') ctx.throw(418, 'short and stout');
  ctx.body = { path: ctx.path, from: ctx.ip };
});

async function main(): Promise<void> {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const path of ['/here', '/teapot']) {
    const response = await fetch(base + path);
    console.log(response.status, response.headers.get('x-method'), await response.text());
  }
  server.close();
}

void main();
