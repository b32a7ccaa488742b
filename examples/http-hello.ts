import { createHost, memoryPair } from 'tapwire';

// Node's http, server and client, each on a stack of its own.
// npm run example http-hello

const [a, b] = memoryPair();
const here = createHost({ device: a, addresses: '10.0.0.1/24' });
const there = createHost({ device: b, addresses: '10.0.0.2/24' });

const server = there.http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain');
  res.end(`hello, you asked for ${req.url}\n`);
});

server.listen(80, () => {
  here.http.get('http://10.0.0.2/greeting', (res) => {
    console.log(`${res.statusCode} ${res.statusMessage}, ${res.headers['content-type']}`);
    res.on('data', (data) => process.stdout.write(String(data)));
    res.on('close', () => {
      server.close();
      here.close();
      there.close();
    });
  });
});
