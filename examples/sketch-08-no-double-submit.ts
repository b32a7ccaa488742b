/** The POST is committed, then comes a reset: nobody may submit it twice. */
import { check, createWire, hold, req, rst } from 'tapwire/fault';
import { sketch } from './sketch/sketch';

void sketch('POST committed, then reset', async () => {
  const wire = createWire();
  const server = await wire.serve((request, response) => {
    request.resume().on('end', () => response.end('paid'));
  });
  wire.on(req(1).end()).do(hold('resp'), rst({ to: 'c' }));
  const headers = { 'Idempotency-Key': 'order-7c1' };
  await wire.request({ method: 'POST', path: '/pay', body: 'amount=1', headers }).catch(() => {});
  await wire.clock.settle();
  check.toBeProcessedAtMostOnce(server, 'order-7c1');
  wire.close();
});
