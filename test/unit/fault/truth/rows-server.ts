/** Fault catalogue §3: what Node's http.Server does and tells when its client misbehaves. */
import http from 'node:http';
import type { RawPeer } from './raw-peer';
import { differing, errorWords, HOST, PEER, type Row, settled, type TruthWorld } from './world';

interface Given {
  readonly peer: RawPeer;
  readonly world: TruthWorld;
  readonly said: string[];
}

/** A server of Node's http, a raw client of it, and what either got. */
const serving = (
  name: string,
  said: readonly string[],
  options: {
    server?: http.ServerOptions;
    keepAliveTimeout?: number;
    handler?: (given: Given) => http.RequestListener;
    listens?: boolean;
  },
  play: (given: Given) => Promise<void>,
  kernel?: Row['kernel'],
): Row => ({
  name: `http.Server: ${name}`,
  said,
  kernel,
  async run(world, port) {
    const peer = world.client(port);
    const told: string[] = [];
    const given: Given = { peer, world, said: told };
    const server = http.createServer(
      options.server ?? {},
      options.handler?.(given) ?? ((_, response) => response.end('0123456789')),
    );
    if (options.keepAliveTimeout !== undefined) server.keepAliveTimeout = options.keepAliveTimeout;
    if (options.listens !== false)
      server.on('clientError', (error: Error, socket) => {
        told.push(`clientError ${errorWords(error)} writable ${socket.writable}`);
        socket.destroy();
      });
    await world.serve(server, port);
    await world.wait(peer.dial(PEER, port, HOST, port));
    await world.sleep(60);
    await play(given);
    await world.sleep(100);
    server.close();
    server.closeAllConnections();
    return told;
  },
});

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n';

/** Writes down what becomes of a request. */
const upload =
  ({ said }: Given): http.RequestListener =>
  (request, response) => {
    request.on('aborted', () => said.push('rq aborted'));
    request.on('error', (error) => said.push(`rq error ${errorWords(error)}`));
    request.on('close', () => said.push(`rq close complete ${request.complete}`));
    response.on('close', () => said.push('rs close'));
    request.resume();
  };

const ABORTED = ['rq aborted', 'rs close', 'rq error aborted ECONNRESET', 'rq close complete false'];

export const serverRows: readonly Row[] = [
  serving(
    'keepAliveTimeout 1000 says timeout=1 and closes a second later',
    ['Keep-Alive: timeout=1', 'FIN later than that'],
    { keepAliveTimeout: 1000 },
    async ({ peer, world, said }) => {
      peer.send(GET);
      await world.wait(peer.until(() => peer.received.includes('0123456789')));
      said.push(/Keep-Alive: \S+/.exec(peer.received)?.[0] ?? 'no hint');
      const began = world.now();
      await world.wait(peer.until(() => peer.flags.some((flags) => flags.includes('F'))));
      said.push(world.now() - began > 1500 ? 'FIN later than that' : 'FIN by then');
    },
  ),
  serving(
    'part of a head, FIN: clientError',
    ['clientError Parse Error HPE_INVALID_EOF_STATE writable true'],
    {},
    async ({ peer }) => peer.fin('GET / HT'),
  ),
  serving(
    'part of a head, FIN, nobody listens: 400 and FIN',
    ['HTTP/1.1 400 Bad Request|Connection: close|| 47 bytes', 'FIN'],
    { listens: false },
    async ({ peer, world, said }) => {
      peer.fin('GET / HT');
      await world.sleep(100);
      said.push(
        `${peer.received.replace(/\r\n/g, '|')} ${peer.received.length} bytes`,
        peer.flags.some((flags) => flags.includes('F')) ? 'FIN' : 'none',
      );
    },
  ),
  serving(
    'RST while idle: clientError',
    ['clientError read ECONNRESET -104 read writable false'],
    {},
    async ({ peer, world }) => {
      peer.send(GET);
      await world.sleep(100);
      peer.rst();
    },
  ),
  serving('RST while idle, nobody listens: nothing', [], { listens: false }, async ({ peer, world }) => {
    peer.send(GET);
    await world.sleep(100);
    peer.rst();
  }),
  serving(
    'an upload cut by FIN',
    ['clientError Parse Error HPE_INVALID_EOF_STATE writable true', ...ABORTED],
    { handler: upload },
    async ({ peer, world }) => {
      peer.send(`${POST}012`);
      await settled(world, peer);
      peer.fin();
    },
  ),
  serving(
    'an upload cut by RST',
    ['clientError read ECONNRESET -104 read writable false', ...ABORTED],
    { handler: upload },
    async ({ peer, world }) => {
      peer.send(`${POST}012`);
      await settled(world, peer);
      peer.rst();
    },
  ),
  serving(
    'RST after 100-continue',
    ['got 100', 'clientError read ECONNRESET -104 read writable false', ...ABORTED],
    { handler: upload },
    async ({ peer, world, said }) => {
      peer.send(POST.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'));
      await settled(world, peer);
      said.push(peer.received.startsWith('HTTP/1.1 100') ? 'got 100' : 'no 100');
      peer.rst();
    },
  ),
  serving(
    'a client that half-closes loses its response',
    ['rs close finished false', 'write callback ERR_STREAM_DESTROYED', 'got 0 bytes'],
    {
      handler:
        ({ said, world }) =>
        (_, response) => {
          response.on('close', () => said.push(`rs close finished ${response.writableFinished}`));
          void world.sleep(200).then(() => {
            response.write('late', (error) =>
              said.push(`write callback ${(error as NodeJS.ErrnoException | null)?.code ?? 'fine'}`),
            );
          });
        },
    },
    async ({ peer, world, said }) => {
      peer.fin(GET);
      await world.sleep(400);
      said.push(`got ${peer.received.length} bytes`);
    },
  ),
  serving(
    'streaming to a client that is gone: later writes only fail their callback',
    ['clientError read ECONNRESET -104 read writable false', 'rs close', 'write callback ERR_STREAM_DESTROYED'],
    {
      handler:
        ({ said, world }) =>
        (_, response) => {
          response.on('close', () => said.push('rs close'));
          response.on('error', (error) => said.push(`rs error ${error.message}`));
          response.write('begin');
          void world.sleep(300).then(() => {
            response.write('more', (error) =>
              said.push(`write callback ${(error as NodeJS.ErrnoException | null)?.code ?? 'fine'}`),
            );
          });
        },
    },
    async ({ peer, world }) => {
      peer.send(GET);
      await world.wait(peer.until(() => peer.received.includes('begin')));
      peer.rst();
      await world.sleep(500);
    },
  ),
  differing(
    serving(
      'a pipelined pair, then RST: one clientError, and only the first response closes',
      ['clientError read ECONNRESET -104 read writable false', 'rs 1 close'],
      {
        handler: ({ said }) => {
          let n = 0;
          return (_, response) => {
            const number = ++n;
            response.on('close', () => said.push(`rs ${number} close`));
          };
        },
      },
      async ({ peer, world }) => {
        peer.send(GET + GET);
        await settled(world, peer);
        peer.rst();
      },
    ),
    { node24: ['clientError read ECONNRESET -104 read writable false', 'rs 1 close', 'rs 2 close'] },
  ),
];
