/**
 * The server's loop is blocked past its keepAliveTimeout while a request lies in its kernel. With Node 20 on Linux that request
 * is lost, and a client that does not try again is told ECONNRESET: Node's loop runs timers before it polls, so the idle timer
 * destroys the socket before anybody has read the request, and a kernel that closes a socket with unread bytes sends a reset.
 * (It is so when the block began in a callback of polling, such as another request's handler; behind one that began in a
 * timer, polling comes first, and the request is answered.) What holds is that the handler is never called for it, so a
 * client may always try again.
 */
import { check, createWire, req, stall } from 'tapwire/fault';
import { failure, sketch, withRetry } from './sketch/sketch';

void sketch('server loop blocked past keepAliveTimeout', async () => {
  for (const tries of [1, 2]) {
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
    if (tries === 1) check.toBeNodeError(await failure(wire.get('/2')), 'ECONNRESET', { reused: true });
    else check.toRetry(await withRetry(wire, '/2'), 1);
    if (server.count('/2') !== tries - 1) throw new Error('the handler was called for the request that was lost');
    wire.close();
  }
});
