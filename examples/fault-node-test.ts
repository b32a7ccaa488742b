/**
 * Failures of the network under Node's own test runner, with plain assertions. `npm run example fault-node-test`, or
 * `node --test dist/examples/fault-node-test.js`.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { createWire } from 'tapwire/fault';
import { check, res, rst, tearDown } from 'tapwire/jest';

// A test fails that leaves sockets behind, or whose rules never acted.
afterEach(tearDown);

test('a reset in the body of a response', async () => {
  const wire = createWire({ seed: 42 });
  await wire.serve((_, response) => response.end('0123456789'));
  wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
  await assert.rejects(wire.get('/'), (error: unknown) => {
    check.toBeNodeError(error, 'ECONNRESET', { syscall: 'read', phase: 'body' });
    return true;
  });
});

test('an hour of silence takes no time', async () => {
  const wire = createWire();
  await wire.serve((_, response) => response.end('hello'));
  await wire.get('/');
  await wire.clock.advance(3_600_000);
  check.toReachState(wire, 'c', 'CLOSED');
  assert.equal((await wire.get('/')).reusedSocket, false);
});
