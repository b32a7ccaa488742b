import { createServer } from 'node:net';
import { FIRST_PORT } from './fair-flows';

/* The kernel's side of fair.ts: reads all flows, and says how much came of each since it was asked last. */

const count = Number(process.argv[2]);
const bytes = new Array<number>(count).fill(0);
let open = 0;
for (let flow = 0; flow < count; flow++) {
  createServer((socket) => {
    socket.on('data', (piece) => {
      bytes[flow]! += piece.length;
    });
    socket.on('error', () => {});
  }).listen(FIRST_PORT + flow, '0.0.0.0', () => {
    if (++open === count) process.send!('up');
  });
}
process.on('message', () => {
  process.send!([...bytes]);
  bytes.fill(0);
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
