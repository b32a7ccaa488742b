import 'tapwire/register';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

// ws: WebSockets, a megabyte there and back.
// npm run example app-ws

async function main(): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await once(client, 'open');
  client.send('hello');
  console.log(String((await once(client, 'message'))[0]));
  client.send(Buffer.alloc(1_000_000));
  console.log(((await once(client, 'message'))[0] as Buffer).length, 'bytes came back');
  client.close(1000, 'enough');
  const [code, reason] = await once(client, 'close');
  console.log('closed', code, String(reason));
  server.close();
}

void main();
