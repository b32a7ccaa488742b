/** The same RST in the same wake-up as the bytes before it: a client may take the short body for the whole one. */
import { check, coalesce, createWire, res, rst } from 'tapwire/fault';
import { sketch } from './sketch/sketch';

void sketch('RST together with the bytes before it', async () => {
  const wire = createWire();
  await wire.serve((_, response) => response.end(Buffer.alloc(10_000, 'x')));
  wire.on(res(1).bodyByte(4096)).do(coalesce(), rst({ to: 'c' }));
  await check.toDeliverBody(wire.get('/'), 'truncated-and-reported');
  wire.close();
});
