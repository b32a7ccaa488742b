import * as kernelNet from 'node:net';
import { openTun } from '../../device/tun';
import { createNet } from '../../net';
import { createHost } from '../../net/host';
import { LINUX } from '../../stack/tcp/profile';
import { FLOW_BYTES } from './cells';

/*
 * Sends FLOW_BYTES to each port that its parent names and reports how long it took until the receiver had all of them.
 * sender.ts RECEIVER --kernel | --tun NAME --local CIDR --gateway ADDRESS --congestion NAME
 */

const receiver = process.argv[2]!;
const argument = (name: string): string => process.argv[process.argv.indexOf(`--${name}`) + 1]!;

function network(): typeof kernelNet {
  if (process.argv.includes('--kernel')) return kernelNet;
  const gateway = argument('gateway');
  const device = openTun({ name: argument('tun'), hostAddress: `${gateway}/24`, offload: false, queueLength: 10_000 });
  const host = createHost({
    devices: [{ device, addresses: [argument('local')] }],
    routes: [{ destination: '0.0.0.0/0', gateway }],
    profile: { ...LINUX, congestion: argument('congestion') },
  });
  return createNet(host) as unknown as typeof kernelNet;
}

const net = network();
const block = Buffer.alloc(1 << 18, 'tapwire ');

function flow(port: number): void {
  const start = performance.now();
  const socket = net.connect({ port, host: receiver, noDelay: true });
  let sent = 0;
  const pour = (): void => {
    while (sent < FLOW_BYTES) {
      const piece = block.subarray(0, Math.min(block.length, FLOW_BYTES - sent));
      sent += piece.length;
      if (!socket.write(piece)) return;
    }
  };
  socket.on('connect', pour).on('drain', pour);
  socket.on('data', () => {
    process.send!({ port, ms: performance.now() - start });
    socket.end();
  });
  socket.on('error', (error) => process.send!({ port, ms: Number.NaN, error: error.message }));
}

process.on('message', (port) => flow(port as number));
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
process.on('SIGTERM', () => process.exit(0));
process.send!('up');
