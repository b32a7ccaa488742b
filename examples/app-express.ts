import 'tapwire/register';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';

// Express, as it is: only the first line is tapwire's.
// npm run example app-express

const app = express();
app.use(express.json());
app.get('/hello/:name', (req, res) => {
  res.send(`hello ${req.params.name}, you come from ${req.ip}\n`);
});
app.post('/sum', (req, res) => {
  res.json({ sum: (req.body as number[]).reduce((a, b) => a + b, 0) });
});

async function main(): Promise<void> {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.stdout.write(await (await fetch(`${base}/hello/world`)).text());
  const headers = { 'Content-Type': 'application/json' };
  const summed = await fetch(`${base}/sum`, { method: 'POST', headers, body: '[1, 2, 3]' });
  console.log(summed.status, await summed.json());
  server.close();
}

void main();
