// Failures of the network under vitest. In a project: npm install --save-dev tapwire vitest, then npx vitest run
import { createWire, fin, idle, install, race, req, res, rst } from 'tapwire/vitest';
import { afterEach, expect, test } from 'vitest';

// Matchers, and a tear-down that fails a test which leaves sockets behind.
install(expect, { afterEach });

test('a reset in the body of a response', async () => {
  const wire = createWire({ seed: 42 });
  await wire.serve((_, response) => response.end('0123456789'));
  wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
  await expect(wire.get('/')).rejects.toBeNodeError('ECONNRESET', { syscall: 'read', phase: 'body' });
});

test('the server closes while the client writes, in every order', async () => {
  const wire = createWire();
  await wire.serve((request, response) => response.end(request.url));
  const orders = race(wire.on(idle(3000)).do(fin({ to: 'c' })), req(2)).orders('all');
  // The wire begins anew for each.
  await orders.test(async (_, order) => {
    await wire.get('/1');
    await wire.clock.advance(3020);
    const said = await wire.get('/2').catch((error) => error);
    if (order === 'first') expect(said).toDeliverBody('/2');
    else expect(said).toBeNodeError('ECONNRESET', { reused: true });
  });
});
