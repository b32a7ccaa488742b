/** A NAT forgets after 350 s; the pool must not hand out what is dead. */
import { createWire } from 'tapwire/fault';
import { echo, sketch } from './sketch/sketch';

void sketch('NAT of 350 s', async () => {
  const wire = createWire();
  await wire.serve(echo, { keepAliveTimeout: 3_600_000 });
  wire.middlebox({ idle: 350_000, expired: 'rst-sender', probes: 'ignore' });
  const agent = wire.agent({ keepAliveMsecs: 60_000 });
  await wire.get('/', { agent });
  await wire.clock.advance(400_000);
  // The agent's probes, one a minute, found out.
  const { status, reusedSocket } = await wire.get('/', { agent });
  if (status !== 200 || reusedSocket) throw new Error(`status ${status}, reused ${reusedSocket}`);
  wire.close();
});
