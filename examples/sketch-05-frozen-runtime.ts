/** A function is suspended for an hour: three pooled connections, all stale when it resumes. */
import { check, createWire, freeze } from 'tapwire/fault';
import { echo, sketch, withRetry } from './sketch/sketch';

void sketch('frozen runtime', async () => {
  const wire = createWire();
  await wire.serve(echo);
  await Promise.all(['/1', '/2', '/3'].map((path) => wire.get(path)));
  wire.do(freeze('client', 3_600_000));
  check.toRetry(await withRetry(wire, '/4', 5), 1);
  wire.close();
});
