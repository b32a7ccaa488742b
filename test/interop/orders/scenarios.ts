import type nodeHttp from 'node:http';
import type nodeNet from 'node:net';
import { ANSWER, closed, MESSAGE, type Play, REQUEST, SOCKET, told } from './play';

/*
 * What is played on both wires. Each waits for the end of all that it compares, and lets nobody act but in answer to somebody:
 * so there is one order, whatever the time that things take.
 */

export type Scenario = (play: Play) => Promise<void>;
type Socket = nodeNet.Socket;
type Exchange = (request: nodeHttp.IncomingMessage, response: nodeHttp.ServerResponse) => void;

/** More than buffers take. */
const MANY = 6_000_000;

// ── net, the subject connects ──

/** A connection to a server of the peer's, whose sockets `serve` gets. Both ends have closed when it resolves. */
async function asClient(
  play: Play,
  serve: (socket: Socket) => void,
  drive: (socket: Socket) => void,
  options: { allowHalfOpen?: boolean } = {},
): Promise<void> {
  let peer!: Socket;
  const server = play.peer.net.createServer({ ...options }, (socket) => {
    peer = play.watch('peer', socket, SOCKET);
    serve(peer);
  });
  const accepted = told('connection', server);
  const at = await play.listen(server, play.peer);
  const socket = play.watch('socket', play.subject.net.connect({ ...at, ...options }), SOCKET);
  drive(socket);
  const gone = closed(socket);
  await accepted;
  await Promise.all([gone, closed(peer)]);
}

/** The same, the subject listens; its server closes when its socket has. */
async function asServer(
  play: Play,
  serve: (socket: Socket) => void,
  drive: (socket: Socket) => void,
  options: nodeNet.ServerOpts = {},
): Promise<void> {
  const server = play.subject.net.createServer({ ...options }, (socket) => {
    play.log('server', 'connection');
    play.watch('socket', socket, SOCKET);
    socket.on('close', () => server.close());
    serve(socket);
  });
  play.watch('server', server, ['listening', 'close']);
  const at = await play.listen(server, play.subject);
  const peer = play.watch('peer', play.peer.net.connect({ ...at, allowHalfOpen: options.allowHalfOpen }), SOCKET);
  drive(peer);
  await Promise.all([closed(server), closed(peer)]);
}

const net: Record<string, Scenario> = {
  'net: question, answer, end': (play) =>
    asClient(
      play,
      (peer) => peer.once('data', () => peer.end('answer')),
      (socket) => socket.write('question', () => play.log('socket', 'wrote')),
    ),
  'net: the subject ends first, half open': (play) =>
    asClient(
      play,
      (peer) => peer.on('end', () => peer.end('answer')),
      (socket) => socket.end('question', () => play.log('socket', 'ended')),
      { allowHalfOpen: true },
    ),
  'net: nobody listens': async (play) => {
    const server = play.peer.net.createServer();
    const at = await play.listen(server, play.peer);
    await new Promise((resolve) => server.close(resolve));
    await closed(play.watch('socket', play.subject.net.connect(at), SOCKET));
  },
  'net: the peer resets': (play) =>
    asClient(
      play,
      (peer) => peer.once('data', () => peer.resetAndDestroy()),
      (socket) => socket.write('question', () => play.log('socket', 'wrote')),
    ),
  'net: the subject resets': (play) =>
    asClient(
      play,
      (peer) => peer.write('welcome'),
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
    ),
  'net: the subject is destroyed with text unread': (play) =>
    asClient(
      play,
      (peer) => peer.write('welcome'),
      (socket) => {
        socket.removeAllListeners('data').pause();
        socket.once('readable', () => {
          play.log('socket', 'readable');
          socket.destroy();
        });
      },
    ),
  'net: destroyed while it connects': async (play) => {
    const at = await play.listen(play.peer.net.createServer(), play.peer);
    const socket = play.watch('socket', play.subject.net.connect(at), SOCKET);
    socket.write('never', (error) => play.log('socket', `wrote ${error?.message}`));
    socket.destroy();
    await closed(socket);
  },
  'net: an idle time passes': (play) =>
    asClient(
      play,
      () => {},
      (socket) => {
        socket.setTimeout(30);
        socket.once('timeout', () => socket.end());
      },
    ),
  'net: more than buffers take, drained': (play) =>
    asClient(
      play,
      (peer) => {
        peer.pause();
        play.log('peer', 'accepted');
        setTimeout(() => peer.resume(), 20);
      },
      (socket) => {
        socket.once('connect', () => {
          play.log('socket', `write ${socket.write(Buffer.alloc(MANY), () => play.log('socket', 'wrote'))}`);
        });
        socket.once('drain', () => socket.end());
      },
    ),
  'net: a server answers and the peer ends': (play) =>
    asServer(
      play,
      (socket) => socket.once('data', () => socket.write('answer')),
      (peer) => {
        peer.write('question');
        peer.once('data', () => peer.end());
      },
    ),
  'net: a server ends, half open': (play) =>
    asServer(
      play,
      (socket) => socket.end('goodbye'),
      (peer) => peer.on('end', () => peer.end('late')),
      { allowHalfOpen: true },
    ),
  'net: a server hears of a reset': (play) =>
    asServer(
      play,
      (socket) => socket.write('welcome'),
      (peer) => peer.once('data', () => peer.resetAndDestroy()),
    ),
};

// ── http, the subject asks ──

interface Asking {
  readonly options?: nodeHttp.RequestOptions;
  readonly body?: string;
  /** Whether the request ends by itself. */
  readonly ends?: boolean;
  drive?(request: nodeHttp.ClientRequest): void;
}

/** One request to a server of the peer's; both ends of its connection have closed when it resolves. */
async function asks(play: Play, exchange: Exchange, { options, body, ends, drive }: Asking = {}): Promise<void> {
  const server = play.peer.http.createServer((request, response) => {
    play.watch('peer request', request, MESSAGE);
    play.watch('peer response', response, ANSWER);
    exchange(request, response);
  });
  const at = await play.listen(server, play.peer);
  const request = play.watch('request', play.subject.http.request({ ...at, agent: false, ...options }), REQUEST);
  const over: Promise<unknown>[] = [closed(request)];
  request.on('socket', (socket) => {
    play.watch('socket', socket, ['connect', 'end', 'close']);
    over.push(closed(socket));
  });
  request.on('response', (response) => {
    play.watch('response', response, MESSAGE);
    over.push(closed(response));
  });
  drive?.(request);
  if (ends !== false) request.end(body, () => play.log('request', 'ended'));
  for (let n = 0; n < over.length; n++) await over[n];
}

/** Requests of the peer's as text to a server of the subject's, which closes when its connection has. */
async function answers(
  play: Play,
  exchange: Exchange,
  drive: (peer: Socket) => void,
  listens: readonly string[] = [],
): Promise<void> {
  let requests = 0;
  const server = play.subject.http.createServer((request, response) => {
    const n = ++requests;
    play.watch(`request${n}`, request, MESSAGE);
    play.watch(`response${n}`, response, ANSWER);
    play.log(`request${n}`, `${request.method} ${request.url}`);
    exchange(request, response);
  });
  play.watch('server', server, ['listening', 'close', ...listens]);
  server.on('connection', (socket) => {
    play.watch('socket', socket, ['end', 'close']);
    socket.on('close', () => server.close());
  });
  const at = await play.listen(server, play.subject);
  const peer = play.watch('peer', play.peer.net.connect(at), SOCKET);
  drive(peer);
  await Promise.all([closed(server), closed(peer)]);
}

const HEAD = 'HTTP/1.1\r\nHost: a\r\n';

const http: Record<string, Scenario> = {
  'http: GET': (play) => asks(play, (_, response) => response.end('answer')),
  'http: GET, answered before the request was read, and chunked with trailers': (play) =>
    asks(play, (_, response) => {
      response.writeHead(200, { Trailer: 'X-After' });
      response.write('first');
      response.addTrailers({ 'X-After': 'words' });
      response.end('last');
    }),
  'http: POST, read to its end': (play) =>
    asks(play, (request, response) => request.on('end', () => response.end('answer')), {
      options: { method: 'POST' },
      body: 'x'.repeat(100_000),
    }),
  'http: Expect, early hints, an answer': (play) =>
    asks(
      play,
      (request, response) => {
        request.on('end', () => {
          response.writeEarlyHints({ link: '</a>; rel=preload' });
          response.end();
        });
      },
      {
        options: { method: 'POST', headers: { Expect: '100-continue' } },
        ends: false,
        drive: (request) => request.on('continue', () => request.end('body')),
      },
    ),
  'http: the server is gone in mid-body': (play) => {
    let cut = (): void => {};
    return asks(
      play,
      (request, response) => {
        cut = () => request.socket.destroy();
        response.writeHead(200, { 'Content-Length': '100' });
        response.write('some');
      },
      { drive: (request) => request.on('response', (response) => response.once('data', () => cut())) },
    );
  },
  'http: destroyed before the answer': (play) =>
    asks(play, () => {}, { drive: (request) => request.on('finish', () => request.destroy()) }),
  'http: aborted in mid-body': (play) =>
    asks(play, (_, response) => response.write('some'), {
      drive: (request) => request.on('response', (response) => response.once('data', () => request.destroy())),
    }),
  'http: a time-out, then destroyed with an error': (play) =>
    asks(play, () => {}, {
      options: { timeout: 30 },
      drive: (request) => request.on('timeout', () => request.destroy(new Error('too late'))),
    }),
  'http: what is no HTTP comes back': async (play) => {
    const server = play.peer.net.createServer((socket) => {
      play.watch('peer', socket, SOCKET);
      socket.once('data', () => socket.end('garbage\r\n\r\n'));
    });
    const at = await play.listen(server, play.peer);
    const request = play.watch('request', play.subject.http.get({ ...at, agent: false }), REQUEST);
    const [socket] = await new Promise<[Socket]>((resolve) => request.once('socket', (s: Socket) => resolve([s])));
    play.watch('socket', socket, ['connect', 'end', 'close']);
    await Promise.all([closed(request), closed(socket)]);
  },
  'http: two requests on one kept connection': async (play) => {
    const agent = new play.subject.http.Agent({ keepAlive: true, maxSockets: 1 });
    const server = play.peer.http.createServer((request, response) => response.end(request.url));
    const at = await play.listen(server, play.peer);
    agent.on('free', () => play.log('agent', 'free'));
    let socket!: Socket;
    const get = (n: number): Promise<unknown> => {
      const request = play.watch(`request${n}`, play.subject.http.get({ ...at, agent, path: `/${n}` }), REQUEST);
      request.once('socket', (its) => {
        if (socket === undefined) play.watch('socket', its, ['connect', 'free', 'end', 'close']);
        socket = its;
        play.log(`request${n}`, `reused ${request.reusedSocket}`);
      });
      return new Promise((resolve) => {
        request.on('response', (response) => {
          play.watch(`response${n}`, response, MESSAGE);
          response.on('close', resolve);
        });
      });
    };
    await Promise.all([get(1), get(2)]);
    const gone = closed(socket);
    agent.destroy();
    await gone;
  },
  'http: an upgrade': async (play) => {
    const server = play.peer.http.createServer();
    server.on('upgrade', (_request, socket: Socket) => {
      play.watch('peer', socket, SOCKET);
      socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n');
      socket.once('data', () => socket.end());
    });
    const at = await play.listen(server, play.peer);
    const headers = { Connection: 'Upgrade', Upgrade: 'other' };
    const request = play.watch('request', play.subject.http.get({ ...at, headers, agent: false }), REQUEST);
    await new Promise((resolve) => {
      request.on('upgrade', (response, socket) => {
        play.log('request', `upgrade ${response.statusCode}`);
        play.watch('socket', socket, ['end', 'finish', 'close']);
        socket.on('close', resolve);
        socket.write('other words');
        socket.resume();
      });
    });
  },
  'http: a server reads a POST, in two pieces, and is asked again': (play) =>
    answers(
      play,
      (request, response) => request.on('end', () => response.end('answer')),
      (peer) => {
        peer.write(`POST /1 ${HEAD}Content-Length: 8\r\n\r\nhalf`);
        let answered = 0;
        peer.on('data', (chunk: Buffer) => {
          for (const _ of chunk.toString().matchAll(/HTTP\/1\.1 200/g)) answered++;
          if (answered === 1) peer.write(`GET /2 ${HEAD}Connection: close\r\n\r\n`);
        });
        peer.once('connect', () => setTimeout(() => peer.write('half'), 20));
      },
    ),
  'http: three requests at once, the first answered last': (play) => {
    const waiting: nodeHttp.ServerResponse[] = [];
    return answers(
      play,
      (_, response) => {
        waiting.push(response);
        if (waiting.length < 3) return;
        for (const one of waiting.reverse()) one.end('answer');
      },
      (peer) => peer.write(`GET /1 ${HEAD}\r\nGET /2 ${HEAD}\r\nGET /3 ${HEAD}Connection: close\r\n\r\n`),
    );
  },
  'http: a client is gone in mid-body': (play) =>
    answers(
      play,
      (request, response) => {
        request.once('data', () => response.write('more'));
      },
      (peer) => {
        peer.write(`POST /1 ${HEAD}Content-Length: 100\r\n\r\nsome`);
        peer.once('data', () => peer.destroy());
      },
    ),
  'http: a client resets before its answer': (play) =>
    answers(
      play,
      (_, response) => response.write('some'),
      (peer) => {
        peer.write(`GET /1 ${HEAD}\r\n`);
        peer.once('data', () => peer.resetAndDestroy());
      },
    ),
  'http: a client says what is no HTTP': (play) =>
    answers(
      play,
      () => {},
      (peer) => peer.write('garbage\r\n\r\n'),
    ),
  'http: a server closes in mid-answer, and lets it end': (play) => {
    let server!: nodeHttp.Server;
    return answers(
      play,
      (request, response) => {
        server = (request.socket as unknown as { server: nodeHttp.Server }).server;
        response.write('some');
      },
      (peer) => {
        peer.write(`GET /1 ${HEAD}\r\n`);
        peer.once('data', () => server.closeAllConnections());
      },
    );
  },
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = { ...net, ...http };
