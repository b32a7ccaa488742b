import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { HttpParseError } from '../../../http/errors';
import { MODULES } from './exchange';

// What suites of other packages found.

describe.each(['node', 'our http and net'] as const)('%s', (name) => {
  const { http, net } = MODULES[name];

  test.each(['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc', 'POST / HTTP/1.1\r\nHo'])(
    'a peer that ends in the middle of a message is told of without a packet: %j',
    async (text) => {
      const server = http.createServer((req) => void req.on('error', () => {}));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const client = net.connect(port, '127.0.0.1', () => void client.end(text));
      const [error, socket] = (await once(server, 'clientError')) as [HttpParseError, Socket];
      expect({ ...error, message: error.message }).toEqual({
        message: 'Parse Error',
        code: 'HPE_INVALID_EOF_STATE',
        reason: 'Invalid EOF state',
        bytesParsed: 0,
      });
      socket.destroy();
      server.close();
      await once(server, 'close');
    },
  );

  test('nobody is told of a body that is cut when its request asks to leave HTTP in vain', async () => {
    const server = http.createServer();
    const failed = jest.fn();
    server.on('clientError', failed);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const head = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 7\r\n\r\nab';
    const client = net.connect(port, '127.0.0.1', () => void client.end(head)).resume();
    const [request] = (await once(server, 'request')) as [NodeJS.EventEmitter & { errored: { code: string } | null }];
    request.on('error', () => {});
    const told: string[] = [];
    request.on('aborted', () => told.push('aborted'));
    await once(client, 'close');
    if (told.length === 0) await once(request, 'aborted');
    expect(request.errored?.code).toBe('ECONNRESET');
    expect(failed).not.toHaveBeenCalled();
    server.close();
    await once(server, 'close');
  });
});
