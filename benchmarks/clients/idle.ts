import { connect } from 'node:net';

/*
 * Opens COUNT keep-alive connections, one GET on each, and then holds them until killed. Prints "open" when all answered.
 * idle.ts HOST COUNT
 */

const [host, countText] = process.argv.slice(2);
const count = Number(countText);
let answered = 0;
let started = 0;

function one(): void {
  if (started >= count) return;
  started++;
  const socket = connect(80, host);
  socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
  socket.once('data', () => {
    answered++;
    if (answered === count) process.stdout.write('open\n');
    one();
  });
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

for (let i = 0; i < 50; i++) one();
setInterval(() => {}, 1 << 30);
