import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import nodeHttps from 'node:https';
import { createHttps } from '../../../http/https';
import { MODULES } from './exchange';
import { cert, key } from './tls-identity';

// A body that is read slowly is whole, although its connection ended, and closed, while the reader was behind: TLS tells the
// end although its stream is paused, and what was held back is read first.

const SIZE = 2_000_000;

const SIDES: Record<string, typeof nodeHttps> = {
  node: nodeHttps,
  ours: createHttps(MODULES['our http and net'].net) as unknown as typeof nodeHttps,
};

const sizeOf = async (message: IncomingMessage): Promise<number> => {
  let size = 0;
  for await (const chunk of message) {
    size += (chunk as Buffer).length;
    await new Promise(setImmediate);
  }
  return size;
};

test.each(Object.keys(SIDES))(
  '%s',
  async (name) => {
    const https = SIDES[name]!;
    const server = https.createServer({ key, cert }, async (req, res) => {
      res.setHeader('X-Size', await sizeOf(req));
      res.end('x'.repeat(SIZE));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const options = { host: '127.0.0.1', port, method: 'POST', ca: cert, servername: 'localhost', agent: false };
    const request = https.request(options).end('y'.repeat(SIZE));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect([response.headers['x-size'], await sizeOf(response), response.complete]).toEqual([`${SIZE}`, SIZE, true]);
    server.close();
    await once(server, 'close');
  },
  60_000,
);
