import type { Server } from 'node:http';
import { expectSame, type WireScenario } from './wire';

/** What errors carry. */
type Fault = Error & { code?: string; bytesParsed?: number; reason?: string; rawPacket?: Buffer };
/** An argument of the wrong type. */
const wrong = (value: unknown): never => value as never;

const get = (path = '/', rest = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${rest}\r\n`;
const echoEvents: WireScenario['handler'] = (req, res, log) => {
  for (const event of ['end', 'close', 'aborted'] as const) req.on(event, () => log(`req.${event}`));
  for (const event of ['prefinish', 'finish', 'close'] as const) res.on(event, () => log(`res.${event}`));
  res.on('error', (error: NodeJS.ErrnoException) => log(`res.error ${error.code}`));
};

/** A listener that tells how it was called. */
const counted = (log: (event: string) => void, name: string) =>
  function (this: unknown, ...args: unknown[]): void {
    log(`${name} ${args.length} ${(this as object).constructor.name}`);
  };

/** Title, scenario: the wire and the events have to be Node's. */
const scenarios: [string, WireScenario][] = [
  ['a small answer', { send: [get()], handler: (_req, res) => res.end('ok') }],
  [
    'the arguments of listeners',
    {
      send: [get(), get('/', 'Connection: upgrade\r\nUpgrade: x\r\n')],
      setUp: (server, log) => {
        for (const event of ['connection', 'request', 'upgrade']) server.on(event, counted(log, event));
        server.on('upgrade', (_req, socket) => socket.end('bye'));
      },
      handler: (_req, res, log) => {
        for (const event of ['prefinish', 'finish', 'close']) res.on(event, counted(log, event));
        res.end('x', counted(log, 'callback'));
      },
    },
  ],
  [
    'a connection is not idle while its second request is read, answered or not',
    {
      send: [get(), `POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody`, get('/3')],
      handler: (req, res, log) => {
        res.end(req.url);
        // Answered, and its body not read.
        (req.socket as unknown as { server: Server }).server.closeIdleConnections();
        req.on('end', () => log(`end ${req.url}`)).resume();
      },
    },
  ],
  ['Connection: close', { send: [get('/', 'Connection: close\r\n')], handler: (_req, res) => res.end('ok') }],
  ['HTTP/1.0', { send: ['GET / HTTP/1.0\r\n\r\n'], handler: (_req, res) => res.end('ok') }],
  [
    'HTTP/1.0 that asks to be kept',
    { send: ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'], handler: (_req, res) => res.end('ok') },
  ],
  [
    'HTTP/1.0 with a length',
    {
      send: ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
      handler: (_req, res) => {
        res.setHeader('Content-Length', 2);
        res.end('ok');
      },
    },
  ],
  [
    'pieces of a body',
    {
      send: [get()],
      handler: (_req, res) => {
        res.write('a');
        res.write(Buffer.from('bc'));
        res.end('d');
      },
    },
  ],
  ['no Host', { send: ['GET / HTTP/1.1\r\n\r\n'], handler: (_req, res) => res.end('ok') }],
  [
    'no Host where none is required',
    { options: { requireHostHeader: false }, send: ['GET / HTTP/1.1\r\n\r\n'], handler: (_req, res) => res.end('ok') },
  ],
  ['HEAD with a body', { send: ['HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'], handler: (_req, res) => res.end('body') }],
  [
    '204 with a body',
    {
      send: [get()],
      handler: (_req, res) => {
        res.statusCode = 204;
        res.end('body');
      },
    },
  ],
  [
    '304 announced as chunked',
    {
      send: [get()],
      handler: (_req, res) => {
        res.writeHead(304, { 'Transfer-Encoding': 'chunked' });
        res.end();
      },
    },
  ],
  [
    'a reason of its own',
    {
      send: [get()],
      handler: (_req, res) => {
        res.statusCode = 404;
        res.statusMessage = 'Nope';
        res.end();
      },
    },
  ],
  [
    'headers set and given',
    {
      send: [get()],
      handler: (_req, res) => {
        res.setHeader('A', '1').setHeader('B', ['x', 'y']).setHeader('a', 3);
        res.writeHead(200, { C: 'z', b: 'w' });
        res.end('!');
      },
    },
  ],
  [
    'writeHead alone, then a body at once',
    {
      send: [get(), get()],
      handler: (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/plain' });
        res.end('hello');
      },
    },
  ],
  [
    'a list of headers',
    { send: [get()], handler: (_req, res) => void res.writeHead(200, ['A', '1', 'A', '2']).end('x') },
  ],
  [
    'umlauts in header and body',
    { send: [get()], handler: (_req, res) => void res.setHeader('X', 'caf\xe9').end('gr\u00fc\u00df\u20ac') },
  ],
  ['a body of bytes', { send: [get()], handler: (_req, res) => void res.end(Buffer.from([0, 255, 10])) }],
  ['a body in another encoding', { send: [get()], handler: (_req, res) => void res.end('00ff', 'hex') }],
  [
    'trailers',
    {
      send: [get()],
      handler: (_req, res) => {
        res.writeHead(200, { Trailer: 'X-T' });
        res.write('a');
        res.addTrailers({ 'X-T': 'v' });
        res.end();
      },
    },
  ],
  ['the head alone', { send: [get()], handler: (_req, res) => res.flushHeaders() }],
  [
    'informational responses',
    {
      send: [get()],
      handler: (_req, res) => {
        res.writeContinue();
        res.writeProcessing();
        res.writeEarlyHints({ link: '</a>; rel=preload', 'x-a': 'b' });
        res.end();
      },
    },
  ],
  [
    'Expect: 100-continue',
    {
      send: ['POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n', 'k'],
      handler: (req, res) => void req.pipe(res),
    },
  ],
  [
    'an expectation that nobody meets',
    { send: [get('/', 'Expect: tea\r\n')], handler: (_req, res) => res.end('not reached') },
  ],
  [
    'a refused continue',
    {
      send: ['POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n'],
      setUp: (server) => server.on('checkContinue', (_req, res) => res.writeHead(400).end()),
    },
  ],
  [
    'requests one behind the other',
    {
      send: [get('/1') + get('/2') + get('/3')],
      handler: (req, res, log) => {
        echoEvents(req, res, log);
        if (req.url === '/1') setTimeout(() => res.end('1'), 5);
        else res.end(req.url);
      },
    },
  ],
  [
    'answers out of order',
    {
      send: [get('/1') + get('/2') + get('/3')],
      handler: (req, res) => void setTimeout(() => res.end(req.url), req.url === '/1' ? 10 : 1),
    },
  ],
  [
    'a body that is read',
    {
      send: ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc', 'def'],
      handler: (req, res, log) => {
        echoEvents(req, res, log);
        req.on('data', (data) => log(`data ${data}`));
        req.on('end', () => res.end('thanks'));
      },
    },
  ],
  [
    'a body that is not',
    {
      send: ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc', `def${get('/next')}`],
      handler: (req, res, log) => {
        echoEvents(req, res, log);
        res.end(`no, ${req.url}`);
      },
    },
  ],
  [
    'chunks and trailers',
    {
      send: [
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: v\r\n\r\n',
      ],
      handler: (req, res) => {
        let body = '';
        req.on('data', (data) => {
          body += data;
        });
        req.on('end', () => res.end(JSON.stringify([body, req.trailers, req.rawTrailers, req.trailersDistinct])));
      },
    },
  ],
  [
    'headers as received',
    {
      send: [
        get('/', 'Cookie: a=1\r\ncookie: b=2\r\nSet-Cookie: x\r\nX-A: 1\r\nx-a: 2\r\nAge: 1\r\nage: 2\r\nX-Empty:\r\n'),
      ],
      handler: (req, res) =>
        res.end(JSON.stringify([req.headers, req.rawHeaders, req.headersDistinct, req.httpVersion])),
    },
  ],
  [
    'no more headers than asked for',
    {
      send: [get('/', 'A: 1\r\nB: 2\r\nC: 3\r\n')],
      setUp: (server) => {
        server.maxHeadersCount = 2;
      },
      handler: (req, res) => res.end(JSON.stringify([req.headers, req.rawHeaders])),
    },
  ],
  [
    'thousands of headers',
    {
      send: [get('/', Array.from({ length: 2100 }, (_, i) => `X${i}: 1\r\n`).join(''))],
      options: { maxHeaderSize: 65_536 },
      handler: (req, res) => res.end(`${Object.keys(req.headers).length} ${req.rawHeaders.length}`),
    },
  ],
  ['what is not HTTP', { send: ['GE T / HTTP/1.1\r\n\r\n'], handler: (_req, res) => res.end() }],
  [
    'what is not HTTP, with a listener',
    {
      send: ['BLAH\r\n\r\n'],
      setUp: (server, log) =>
        server.on('clientError', (error: Fault, socket) => {
          log(`${error.code} ${error.message} ${error.bytesParsed} ${error.reason} ${error.rawPacket?.length}`);
          socket.end('bye');
        }),
    },
  ],
  ['too long a head', { send: [get('/', `X: ${'x'.repeat(17_000)}\r\n`)], handler: (_req, res) => res.end() }],
  ['too long a head for this server', { options: { maxHeaderSize: 50 }, send: [get('/', `X: ${'x'.repeat(60)}\r\n`)] }],
  ['CONNECT that nobody takes', { send: ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'] }],
  [
    'CONNECT',
    {
      send: ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nhead', 'more'],
      setUp: (server, log) =>
        server.on('connect', (req, socket, head) => {
          log(`${req.url} ${head} ${socket.listenerCount('data')}`);
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          socket.on('data', (data) => socket.end(`got ${data}`));
        }),
    },
  ],
  [
    'an upgrade that nobody takes',
    { send: [get('/', 'Connection: upgrade\r\nUpgrade: x\r\n')], handler: (_req, res) => res.end('plain') },
  ],
  [
    'an upgrade',
    {
      send: [`${get('/', 'Connection: upgrade\r\nUpgrade: x\r\n')}rest`, 'more'],
      setUp: (server, log) =>
        server.on('upgrade', (_req, socket, head) => {
          log(`${head} ${socket.listenerCount('data')} ${(socket as { parser?: unknown }).parser}`);
          socket.on('data', (data) => socket.end(`got ${data}`));
          socket.write('HTTP/1.1 101 X\r\n\r\n');
        }),
    },
  ],
  [
    'at most one request a connection',
    {
      send: [get('/1'), get('/2')],
      setUp: (server, log) => {
        server.maxRequestsPerSocket = 1;
        server.on('dropRequest', () => log('dropped'));
      },
      handler: (_req, res) => res.end('ok'),
    },
  ],
  [
    'write after end, end after end',
    {
      send: [get()],
      handler: (req, res, log) => {
        echoEvents(req, res, log);
        res.end('a', () => log('end callback'));
        log(`write ${res.write('b', (error) => log(`write callback ${(error as Fault)?.code}`))}`);
        res.end((error?: Fault) => log(`second end ${error?.code}`));
      },
    },
  ],
  [
    'a failing handler',
    {
      send: [get()],
      handler: (_req, res, log) => {
        const attempt = (what: () => unknown): void => {
          try {
            what();
            log('fine');
          } catch (caught) {
            const error = caught as Fault;
            log(`${error.name} ${error.code} ${error.message} ${error}`);
          }
        };
        attempt(() => res.setHeader('a b', 'x'));
        attempt(() => res.setHeader('a', 'x\n'));
        attempt(() => res.setHeader('a', wrong(undefined)));
        attempt(() => res.getHeader(wrong(5)));
        attempt(() => res.writeHead(99));
        attempt(() => res.writeHead(wrong('abc')));
        attempt(() => res.writeHead(200, 'a\nb'));
        res.statusMessage = '';
        attempt(() => res.write(null));
        attempt(() => res.write(5));
        attempt(() => res.write({}));
        attempt(() => res.setHeaders(wrong([])));
        attempt(() => res.writeEarlyHints({ link: 'nonsense' }));
        attempt(() => res.addTrailers(wrong({ 'a b': 'x' })));
        res.end('x');
        attempt(() => res.setHeader('a', 'x'));
        attempt(() => res.removeHeader('a'));
        attempt(() => res.appendHeader('a', 'x'));
        attempt(() => res.writeHead(200));
      },
    },
  ],
  [
    'what a response says of itself',
    {
      send: [get()],
      handler: (_req, res, log) => {
        const say = (when: string): void =>
          log(
            `${when} ${[res.writableEnded, res.writableFinished, res.finished, res.headersSent, res.destroyed, res.closed, res.writable, res.statusCode, res.statusMessage, res.socket === null, res.writableLength, res.writableCorked]}`,
          );
        say('begin');
        res.on('finish', () => say('finish'));
        res.on('close', () => say('close'));
        res.write('a');
        say('written');
        res.end('b');
        say('ended');
      },
    },
  ],
];

describe('the server answers as Node does', () => {
  test.each(scenarios)('%s', async (_title, scenario) => {
    await expectSame(scenario);
  });
});
