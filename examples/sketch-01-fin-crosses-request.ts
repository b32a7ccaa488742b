/** The server closes an idle connection while the client writes: three orders, one test. `npm run example sketch-01-fin-crosses-request` */
import { check, fin, idle, race, req } from 'tapwire/fault';
import { echo, sketch, withRetry } from './sketch/sketch';

void sketch('keep-alive FIN crosses request', async () => {
  const orders = race(async (wire) => {
    await wire.serve(echo);
    await wire.get('/1');
    return [wire.on(idle(3000)).do(fin({ to: 'c' })), req(2)];
  }).orders('all');
  await orders.test(async (wire, order) => {
    await wire.clock.advance(3020);
    check.toRetry(await withRetry(wire, '/2'), order === 'first' ? 0 : 1);
  });
});
