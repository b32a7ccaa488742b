import { createServer } from 'node:net';

/*
 * The fastest server that Node has: counts the ends of heads and answers each with the same bytes. What is measured against
 * it is the client. Says "up" when it listens on port 8000.
 */

const ANSWER =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\n' +
  'Keep-Alive: timeout=60\r\nContent-Length: 13\r\n\r\nHello, world!';
const END = '\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  let tail = '';
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    const text = tail + chunk.toString('latin1');
    let heads = 0;
    let from = 0;
    for (let at = text.indexOf(END); at >= 0; at = text.indexOf(END, from)) {
      heads++;
      from = at + END.length;
    }
    tail = text.slice(from);
    if (heads > 0) socket.write(heads === 1 ? ANSWER : ANSWER.repeat(heads), 'latin1');
  });
}).listen(8000, '0.0.0.0', () => process.send!('up'));
