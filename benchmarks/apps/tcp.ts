import * as kernelNet from 'node:net';
import { createNet } from '../../net';
import { serve, where } from './where';

/** Port 7 echoes, 9 discards, 19 sends without end: RFC 862, 863 and, in spirit, 864. */
const place = where(process.argv);
const net = place.host === null ? kernelNet : (createNet(place.host) as unknown as typeof kernelNet);
const quiet = (socket: kernelNet.Socket): void => {
  socket.on('error', () => {});
};
net
  .createServer({ noDelay: true }, (socket) => {
    quiet(socket);
    socket.pipe(socket);
  })
  .listen(7, '0.0.0.0');
net
  .createServer((socket) => {
    quiet(socket);
    socket.on('data', () => {});
  })
  .listen(9, '0.0.0.0');
const block = Buffer.alloc(65_536, 'tapwire ');
net
  .createServer((socket) => {
    quiet(socket);
    const pour = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('drain', pour);
    pour();
  })
  .listen(19, '0.0.0.0', () => serve(place));
