import 'tapwire/register';
import { Readable } from 'node:stream';
import fastify from 'fastify';

// Fastify: a checked body, a stream, and an orderly end.
// npm run example app-fastify

const app = fastify();
const schema = { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } };
app.post<{ Body: { n: number } }>('/twice', { schema }, async (request) => ({ twice: request.body.n * 2 }));
app.get('/stream', (_request, reply) => reply.type('text/plain').send(Readable.from(['in ', 'several ', 'pieces\n'])));

async function main(): Promise<void> {
  const base = await app.listen({ port: 0, host: '127.0.0.1' });
  const headers = { 'Content-Type': 'application/json' };
  for (const body of ['{ "n": 21 }', '{ "n": "many" }']) {
    const response = await fetch(`${base}/twice`, { method: 'POST', headers, body });
    console.log(response.status, await response.text());
  }
  process.stdout.write(await (await fetch(`${base}/stream`)).text());
  // Kept connections are closed, too.
  await app.close();
}

void main();
