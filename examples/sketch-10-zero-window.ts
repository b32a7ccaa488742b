/** An upload meets a window of zero for half a minute; then it goes on, and nothing leaks. */
import { check, createWire, req, window } from 'tapwire/fault';
import { sketch } from './sketch/sketch';

void sketch('zero window upload', async () => {
  const wire = createWire();
  await wire.serve((request, response) => {
    request.resume().on('end', () => response.end('got it'));
  });
  wire.on(req(1).bodyByte(65_536)).do(window('server', 0));
  wire.clock.at(30_000, window('server', 65_535));
  const upload = wire.request({ method: 'POST', body: Buffer.alloc(1_000_000) });
  await check.toSettleWithin(upload, 31_000);
  await check.toLeakNoSockets(wire);
  wire.close();
});
