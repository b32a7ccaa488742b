import 'tapwire/register';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, request } from 'undici';

// undici: a request, and ten of them pipelined on one connection.
// npm run example app-undici

const server = createServer((req, res) => res.end(`you asked for ${req.url}`));

async function main(): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { statusCode, headers, body } = await request(`${base}/first`);
  console.log(statusCode, headers['content-length'], await body.text());
  const client = new Client(base, { pipelining: 10 });
  const ports = new Set<unknown>();
  server.on('request', ({ socket }) => ports.add(socket.remotePort));
  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const answer = await client.request({ path: `/${i}`, method: 'GET' });
      return answer.body.text();
    }),
  );
  console.log(`${answers.length} answers over ${ports.size} connection`);
  await client.close();
  server.close();
  server.closeAllConnections();
}

void main();
