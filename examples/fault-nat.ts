/** A NAT that forgets after 350 seconds, and a socket that was silent for longer. Takes milliseconds. */
import { createWire } from '../fault';

async function main(): Promise<void> {
  const wire = createWire();
  await wire.serve((_, response) => response.end('hello'), { keepAliveTimeout: 3_600_000 });
  wire.middlebox({ idle: 350_000, expired: 'rst-sender' });
  const socket = wire.connect({ host: 'server', port: 80 });
  socket.on('error', (error: Error) => console.log(`after ${wire.clock.now() / 1000} s: ${error.message}`));
  socket.write('GET / HTTP/1.1\r\nHost: server\r\n\r\n');
  await wire.clock.advance(400_000);
  socket.write('GET / HTTP/1.1\r\nHost: server\r\n\r\n');
  await wire.clock.advance(1000);
  wire.close();
}

void main();
