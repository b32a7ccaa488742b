import * as kernelNet from 'node:net';
import { createHost, openTun } from '../../index';
import { BEGIN_EVERY_MS, FIRST_PORT } from './fair-flows';

/* Sends without end on every flow: fair-sender.ts RECEIVER COUNT --kernel | CONGESTION LOCAL GATEWAY */

const [, , receiver, count, congestion, local, gateway] = process.argv as string[];

function network(): typeof kernelNet {
  if (congestion === '--kernel') return kernelNet;
  const device = openTun({ name: 'tl-fair', hostAddress: `${gateway}/24`, offload: false, queueLength: 10_000 });
  const host = createHost({
    device,
    addresses: `${local}/24`,
    routes: [{ destination: '0.0.0.0/0', gateway: gateway! }],
    profile: { congestion: congestion! },
  });
  return host.net;
}

const net = network();
const block = Buffer.alloc(1 << 16, 'tapwire ');

process.on('message', () => {
  for (let flow = 0; flow < Number(count); flow++) {
    setTimeout(() => {
      const socket = net.connect({ port: FIRST_PORT + flow, host: receiver!, noDelay: true });
      const pour = (): void => {
        while (socket.write(block));
      };
      socket.on('connect', pour).on('drain', pour);
      socket.on('error', (error) => process.stderr.write(`flow ${flow}: ${error.message}\n`));
    }, flow * BEGIN_EVERY_MS);
  }
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
process.send!('up');
