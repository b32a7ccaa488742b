/** RST exactly at byte 4096 of the response's body, in a wake-up of its own. */
import { check, createWire, res, rst, split } from 'tapwire/fault';
import { failure, sketch } from './sketch/sketch';

void sketch('RST at body byte 4096', async () => {
  const wire = createWire({ seed: 42 });
  await wire.serve((_, response) => response.end(Buffer.alloc(10_000, 'x')));
  wire.on(res(1).bodyByte(4096)).do(split(), rst({ to: 'c' }));
  const error = await failure(wire.get('/'));
  check.toBeNodeError(error, 'ECONNRESET', { syscall: 'read', phase: 'body' });
  check.toHaveWire(wire, '> S < SA > PA A+ < RA ...');
  wire.close();
});
