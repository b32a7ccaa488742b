import { createHost, memoryPair } from 'tapwire';
import { createElectron } from 'tapwire/electron';

// Electron's net and session: an upload that is asked for a password, and its progress as the server acknowledges it.
// npm run example electron-upload

const [a, b] = memoryPair();
const here = createHost({ device: a, addresses: '10.0.0.1/24' });
const there = createHost({ device: b, addresses: '10.0.0.2/24' });

const server = there.http.createServer((req, res) => {
  let bytes = 0;
  req.on('data', (data) => {
    bytes += data.length;
  });
  req.on('end', () => {
    const name = req.headers.authorization;
    if (name === undefined) res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="shop"' });
    res.end(`${name ?? 'nobody'} sent ${bytes} bytes\n`);
  });
});

server.listen(80, () => {
  const electron = createElectron(here); // electron.net, electron.session
  const request = electron.net.request({ method: 'POST', url: 'http://10.0.0.2/upload', partition: 'shop' });
  request.setHeader('Content-Type', 'application/octet-stream');
  request.on('login', ({ realm }, callback) => {
    console.log(`${realm} asks for a password`);
    callback('user', 'password');
  });
  request.on('upload-progress', (acknowledged, total) => {
    if (acknowledged === total) console.log(`the server has acknowledged all ${total} bytes`);
  });
  request.on('response', (response) => response.pipe(process.stdout));
  request.on('error', ({ message }) => console.error(message)); // net::ERR_CONNECTION_RESET, say
  request.on('close', async () => {
    await electron.session.fromPartition('shop').closeAllConnections();
    for (const one of [server, here, there]) one.close();
  });
  request.end(Buffer.alloc(300_000));
});
