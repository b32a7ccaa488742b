import 'tapwire/register';
import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import axios, { AxiosError } from 'axios';

// axios: redirects, one kept connection, and the errors that a client must know.
// npm run example app-axios

const server = createServer((req, res) => {
  if (req.url === '/old') res.writeHead(302, { Location: '/new' }).end();
  else if (req.url === '/reset') req.socket.resetAndDestroy();
  else if (req.url !== '/never') res.end(`${req.method} ${req.url}\n`);
});

async function main(): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { port } = server.address() as AddressInfo;
  const client = axios.create({ baseURL: `http://127.0.0.1:${port}`, httpAgent, timeout: 5000 });
  process.stdout.write((await client.get<string>('/old')).data);
  for (const [url, timeout] of [
    ['/reset', 5000],
    ['/never', 100],
    ['http://127.0.0.1:2/', 5000],
  ] as const) {
    const error = await client.get(url, { timeout }).catch((wrong: AxiosError) => wrong);
    if (error instanceof AxiosError) console.log(url, error.code, error.message);
  }
  httpAgent.destroy();
  server.close();
  server.closeAllConnections();
}

void main();
