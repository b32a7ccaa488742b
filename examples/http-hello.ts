import { createHost, memoryPair } from 'tapwire';

// Node's http server, on a stack of its own. The client here speaks HTTP by hand, so that the bytes can be seen.
// npm run example http-hello

const [a, b] = memoryPair();
const here = createHost({ device: a, addresses: '10.0.0.1/24' });
const there = createHost({ device: b, addresses: '10.0.0.2/24' });

const server = there.http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain');
  res.end(`hello, you asked for ${req.url}\n`);
});

server.listen(80, () => {
  const socket = here.net.connect(80, '10.0.0.2');
  socket.write('GET /greeting HTTP/1.1\r\nHost: there\r\nConnection: close\r\n\r\n');
  socket.on('data', (data) => process.stdout.write(String(data)));
  socket.on('close', () => {
    server.close();
    here.close();
    there.close();
  });
});
