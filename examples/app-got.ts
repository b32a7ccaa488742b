import 'tapwire/register';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// got: a retry, and how long each phase of a request took.
// npm run example app-got

let asked = 0;
const server = createServer((_req, res) => {
  asked++;
  if (asked === 1) res.writeHead(503, { 'Retry-After': '0' }).end();
  else res.end(JSON.stringify({ asked }));
});

async function main(): Promise<void> {
  // An ES module, from a CommonJS one.
  const { default: got } = await import('got');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const response = await got(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
    retry: { limit: 2, backoffLimit: 10 },
  });
  console.log(response.statusCode, response.body, `after ${response.retryCount} retry`);
  const { start, ...times } = response.timings;
  for (const phase of ['socket', 'connect', 'upload', 'response', 'end'] as const) {
    console.log(phase.padEnd(8), `${times[phase]! - start} ms`);
  }
  server.close();
}

void main();
