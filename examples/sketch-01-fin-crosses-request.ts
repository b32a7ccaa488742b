/** The server closes an idle connection while the client writes: three orders, one test. `npm run example sketch-01-fin-crosses-request` */
import { check, createWire, fin, idle, race, req } from 'tapwire/fault';
import { echo, sketch, withRetry } from './sketch/sketch';

void sketch('keep-alive FIN crosses request', async () => {
  const wire = createWire();
  await wire.serve(echo);
  const orders = race(wire.on(idle(3000)).do(fin({ to: 'c' })), req(2)).orders('all');
  // The wire begins anew for each order, so the first request belongs to the test.
  await orders.test(async () => {
    await wire.get('/1');
    await wire.clock.advance(3020);
    // At most one retry in every order, and in one of them it needs it.
    check.toRetry(await withRetry(wire, '/2'), 1);
  });
  wire.close();
});
