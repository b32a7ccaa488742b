import 'tapwire/register';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// Node's own fetch: an upload that is a stream, a download that is one, and one that is given up.
// npm run example app-fetch

const server = createServer((req, res) => {
  if (req.url === '/echo') req.pipe(res);
});

async function* slowly(): AsyncGenerator<Uint8Array> {
  for (const word of ['one ', 'two ', 'three\n']) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    yield Buffer.from(word);
  }
}

async function main(): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const streamed = { method: 'POST', body: slowly(), duplex: 'half' } as unknown as RequestInit;
  const response = await fetch(`${base}/echo`, streamed);
  for await (const chunk of response.body!) process.stdout.write(chunk as Uint8Array);
  const given = await fetch(`${base}/never`, { signal: AbortSignal.timeout(50) }).catch((error: Error) => error.name);
  console.log('the other one:', given);
  const refused = await fetch('http://127.0.0.1:2/').catch((error: Error) => (error.cause as Error).message);
  console.log('and a third:', refused);
  server.close();
  server.closeAllConnections();
}

void main();
