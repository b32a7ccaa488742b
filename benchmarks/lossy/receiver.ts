import { createServer } from 'node:net';
import { CELLS, FLOW_BYTES, portOf, SEEDS_MAX } from './cells';

/* The kernel's side: takes FLOW_BYTES on every flow's port, then answers with one byte. */

let open = 0;
for (let cell = 0; cell < CELLS.length; cell++) {
  for (let seed = 0; seed < SEEDS_MAX; seed++) {
    createServer((socket) => {
      let bytes = 0;
      socket.on('data', (piece) => {
        bytes += piece.length;
        if (bytes === FLOW_BYTES) socket.end('.');
      });
      socket.on('error', () => {});
    }).listen(portOf(cell, seed), '0.0.0.0', () => {
      if (++open === CELLS.length * SEEDS_MAX) process.send!('up');
    });
  }
}
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
process.on('SIGTERM', () => process.exit(0));
