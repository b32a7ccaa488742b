import { createHost, memoryPair } from 'tapwire';

// Two TCP/IP stacks in one process, joined by a cable in memory: no root, no kernel, no port of this machine.
// npm run example two-stacks

const [a, b] = memoryPair();
const alice = createHost({ device: a, addresses: '10.0.0.1/24' });
const bob = createHost({ device: b, addresses: '10.0.0.2/24' });

const server = bob.net.createServer((socket) => {
  console.log(`bob: a connection from ${socket.remoteAddress}`);
  socket.pipe(socket);
});

server.listen(7, () => {
  const socket = alice.net.connect(7, '10.0.0.2', () => socket.end('hello over two TCPs'));
  socket.on('data', (data) => console.log(`alice: the echo says "${data}"`));
  socket.on('close', () => {
    server.close();
    alice.close();
    bob.close();
  });
});
