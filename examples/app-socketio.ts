import 'tapwire/register';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

// socket.io: it begins with long polling and goes over to a WebSocket.
// npm run example app-socketio

async function main(): Promise<void> {
  const server = createServer();
  const sockets = new Server(server);
  sockets.on('connection', (socket) => {
    socket.on('double', (n: number, answer: (twice: number) => void) => answer(n * 2));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = io(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await new Promise<void>((resolve) => void client.on('connect', resolve));
  const { engine } = client.io;
  console.log('connected by', engine.transport.name);
  // On a busy machine it may have gone over before it was connected.
  const upgraded = new Promise<void>((resolve) => {
    if (engine.transport.name === 'websocket') resolve();
    else engine.once('upgrade', () => resolve());
  });
  console.log('twice 21 is', await client.emitWithAck('double', 21));
  await upgraded;
  console.log('now by', engine.transport.name);
  console.log('twice 4 is', await client.emitWithAck('double', 4));
  client.disconnect();
  await sockets.close();
}

void main();
