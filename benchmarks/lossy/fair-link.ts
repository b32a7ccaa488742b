import { FIRST_PORT, type Flows, QUEUE_BYTES, RATE, roundTrip } from './fair-flows';
import { receiverPort, Wire } from './wire';

/* The link that all flows of fair.ts share: a drop-tail queue to the right, and each flow's own delay. */

const flows = JSON.parse(process.argv[2]!) as Flows;
let freeAt = 0;
let lost = 0;
let sent = 0;

new Wire((b, at, bytes, to, now) => {
  const flow = receiverPort(b, at, to) - FIRST_PORT;
  if (flow < 0 || flow >= flows.count) return -1;
  const delay = roundTrip(flows, flow) / 2;
  if (to === 'left') return now + delay;
  sent++;
  const start = Math.max(now, freeAt);
  if ((start - now) * RATE + bytes > QUEUE_BYTES) {
    lost++;
    return -1;
  }
  freeAt = start + bytes / RATE;
  return freeAt + delay;
});

process.on('message', () => {
  process.send!({ lost, sent });
  lost = sent = 0;
});
