/** The server's loop is blocked past its keepAliveTimeout while a request lies in its kernel: the request is lost. */
import { check, createWire, req, stall } from 'tapwire/fault';
import { failure, sketch } from './sketch/sketch';

void sketch('server loop blocked past keepAliveTimeout', async () => {
  const wire = createWire();
  const server = await wire.serve(
    (_, response) => {
      response.setHeader('Keep-Alive', 'timeout=60');
      response.end('ok');
    },
    { keepAliveTimeout: 1000 },
  );
  await wire.get('/1');
  wire.on(req(2).line()).do(stall('server', 2500));
  check.toBeNodeError(await failure(wire.get('/2')), 'ECONNRESET', { reused: true });
  if (server.count('/2') !== 0) throw new Error('the handler was called');
  wire.close();
});
