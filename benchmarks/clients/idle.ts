import { connect, type Socket } from 'node:net';

/*
 * Told a number, opens so many keep-alive connections beside those it has, one GET on each, holds them, and answers when
 * all of them were answered. Ends with the process that told it, and at once when a connection fails or is closed.
 * idle.ts HOST
 */

const host = process.argv[2]!;
/** Connecting at the same time. */
const AT_ONCE = 50;

function give(up: string): never {
  process.stderr.write(`idle connections: ${up}\n`);
  process.exit(1);
}

function hold(count: number): void {
  let started = 0;
  let answered = 0;
  const one = (): void => {
    if (started >= count) return;
    started++;
    const socket: Socket = connect(80, host);
    socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
    socket.once('data', () => {
      answered++;
      if (answered === count) process.send!('held');
      one();
    });
    socket.on('error', (error) => give(error.message));
    // A server that has run out of descriptors accepts and closes, without an error.
    socket.on('end', () => give('the server closed one'));
  };
  for (let i = 0; i < AT_ONCE; i++) one();
}

process.on('message', (count) => hold(Number(count)));
process.on('disconnect', () => process.exit(0));
process.send!('up');
