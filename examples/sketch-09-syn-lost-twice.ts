/** Two SYNs are lost: does the budget for connecting hold? */
import { check, createWire, drop, syn } from 'tapwire/fault';
import { echo, failure, sketch } from './sketch/sketch';

void sketch('SYN lost twice', async () => {
  const wire = createWire();
  await wire.serve(echo);
  wire.on(syn()).times(2).do(drop());
  const error = await failure(wire.get('/', { connectTimeout: 2500 }));
  check.toBeNodeError(error, 'ETIMEDOUT', { syscall: 'connect', phase: 'connect' });
  wire.close();
});
