import type { ClientRequest, IncomingMessage } from 'node:http';
import { type ExchangeScenario, expectNodesOrder } from './exchange';

const reply =
  (text: string, then?: 'end' | 'reset'): ExchangeScenario['answer'] =>
  (socket, _request, _log, told) => {
    socket.write(text);
    if (then === undefined) return;
    // A reset would take away what the client has not read yet.
    const once = setInterval(() => {
      if (!told.some((event) => event.startsWith('res.data'))) return;
      clearInterval(once);
      if (then === 'end') socket.end();
      else socket.resetAndDestroy();
    }, 25);
    socket.once('close', () => clearInterval(once));
  };
const LONG = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcd';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n';
const silent: ExchangeScenario['answer'] = () => {};

/** Does something at a named moment. */
const at =
  (moment: string, what: (request: ClientRequest) => void): ExchangeScenario['act'] =>
  (request, { log }) => {
    const act = (): void => {
      log('CALL');
      what(request);
    };
    // Not amid what else the connection causes, however long this process was kept waiting.
    const afterwards = (): unknown => (request.writableFinished ? act() : setTimeout(afterwards, 5));
    if (moment === 'now') act();
    else if (moment === 'connect')
      request.on('socket', (socket) => socket.on('connect', () => setTimeout(afterwards, 5)));
    else if (moment === 'data') request.on('response', (res: IncomingMessage) => res.once('data', act));
    else if (moment === 'end') request.on('response', (res: IncomingMessage) => res.on('end', () => setImmediate(act)));
    else request.on(moment, act);
  };

const scenarios: [string, ExchangeScenario][] = [
  ['H-272 a kept connection', {}],
  ['H-272 agent: false', { options: { agent: false } }],
  ['H-272 Connection: close', { options: { headers: { connection: 'close' } } }],
  ['H-273 an answer without a body', { answer: reply('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') }],
  ['POST', { options: { method: 'POST' }, act: (request) => void request.write('body') }],
  [
    'an answer that says goodbye',
    { answer: reply('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx', 'end') },
  ],
  ['no response listener', { act: (request) => void request.removeAllListeners('response') }],
  ['HEAD', { options: { method: 'HEAD' }, answer: reply('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n') }],
  ['304', { answer: reply('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n') }],
  ['H-274 refused', { options: { port: 1 } }],
  ['H-274 refused before end', { options: { port: 1 }, open: true }],
  [
    'H-274 a name that is none',
    {
      options: {
        host: 'nowhere.invalid',
        lookup: (name: string, _options: object, callback: (error: Error) => void) =>
          process.nextTick(callback, Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })),
      } as never,
    },
  ],
  ['H-275 closed before the response', { answer: (socket) => void socket.end() }],
  ['H-275 reset before the response', { answer: (socket) => void socket.resetAndDestroy() }],
  ['H-275 closed before the request', { accept: (socket) => void socket.end(), open: true }],
  ['H-275 half a status line', { answer: (socket) => void socket.end('HTTP/1.1 2') }],
  ['H-288 no HTTP at all', { answer: reply('garbage\r\n\r\n') }],
  ['H-276 cut short, known length', { answer: reply(LONG, 'end') }],
  ['H-276 cut short, chunked', { answer: reply(CHUNKED, 'end') }],
  ['H-276 reset amid the response', { answer: reply(LONG, 'reset') }],
  ['a body until the end', { answer: reply('HTTP/1.1 200 OK\r\n\r\nabc', 'end') }],
  ['H-288 a broken chunk', { answer: reply(`${CHUNKED}zz\r\n`) }],
  ['two responses', { answer: reply('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n') }],
  ['H-277 destroy at once', { act: at('now', (r) => r.destroy()) }],
  ['H-277 destroy at once, after end', { act: at('now', (r) => r.end().destroy()) }],
  ['H-278 destroy with the socket', { act: at('socket', (r) => r.destroy()) }],
  ['H-279 destroy when connected', { answer: silent, act: at('connect', (r) => r.destroy()) }],
  ['H-279 destroy in the response', { answer: reply(LONG), act: at('response', (r) => r.destroy()) }],
  ['H-279 destroy amid the body', { answer: reply(LONG), act: at('data', (r) => r.destroy()) }],
  ['H-286 destroy when all is over', { act: at('end', (r) => r.destroy()) }],
  ...(['continue', 'response'] as const).map((moment): [string, ExchangeScenario] => [
    `destroyed in '${moment}', with all that is left of the answer in the same text`,
    {
      options: { headers: { expect: '100-continue' } },
      answer: reply(`HTTP/1.1 100 Continue\r\n\r\n${LONG}efghij`),
      act: at(moment, (r) => r.destroy(new Error('boom'))),
    },
  ]),
  ['destroy twice', { answer: silent, act: at('connect', (r) => r.destroy().destroy()) }],
  ['H-285 destroy with an error at once', { act: at('now', (r) => r.destroy(new Error('boom'))) }],
  [
    'H-285 destroy with an error when connected',
    { answer: silent, act: at('connect', (r) => r.destroy(new Error('boom'))) },
  ],
  [
    'H-285 destroy with an error amid the body',
    { answer: reply(LONG), act: at('data', (r) => r.destroy(new Error('boom'))) },
  ],
  ['H-280 abort at once', { act: at('now', (r) => r.abort()) }],
  ['H-281 abort with the socket', { act: at('socket', (r) => r.abort()) }],
  ['H-283 abort when connected', { answer: silent, act: at('connect', (r) => r.abort()) }],
  ['H-282 abort in the response', { answer: reply(LONG), act: at('response', (r) => r.abort()) }],
  ['H-282 abort amid the body', { answer: reply(LONG), act: at('data', (r) => r.abort()) }],
  ['H-286 abort when all is over', { act: at('end', (r) => r.abort()) }],
  [
    'H-287 the response destroyed',
    {
      answer: reply(LONG),
      act: (request) => void request.on('response', (res) => res.once('data', () => res.destroy())),
    },
  ],
  [
    'H-287 the response destroyed with an error',
    {
      answer: reply(LONG),
      act: (request) => void request.on('response', (res) => res.once('data', () => res.destroy(new Error('boom')))),
    },
  ],
  ['H-289 a signal before', { options: () => ({ signal: AbortSignal.abort() }) }],
  ['H-289 a signal at once', withSignal('now', silent)],
  ['H-289 a signal when connected', withSignal('connect', silent)],
  ['H-289 a signal amid the body', withSignal('data', reply(LONG))],
  ['H-290 a timeout', { quietMs: 500, options: { timeout: 200 }, answer: silent }],
  [
    'H-290 a timeout that ends it',
    {
      quietMs: 500,
      options: { timeout: 200 },
      answer: silent,
      act: (request) => void request.on('timeout', () => request.destroy()),
    },
  ],
  [
    'H-290 setTimeout with a callback',
    {
      quietMs: 500,
      answer: silent,
      act: (request, { log }) => void request.setTimeout(200, () => log('callback')),
    },
  ],
  [
    'informational responses',
    {
      answer: reply(
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
      ),
    },
  ],
  [
    'Expect: 100-continue',
    {
      options: { method: 'POST', headers: { expect: '100-continue', 'content-length': 3 } },
      open: true,
      act: (request) => void request.on('continue', () => request.end('abc')),
      answer: (socket) => {
        socket.removeAllListeners('data');
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'));
      },
    },
  ],
  [
    'H-157 101 that nobody awaits',
    { answer: reply('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n') },
  ],
  [
    'H-291 an upgrade',
    {
      options: { headers: { connection: 'upgrade', upgrade: 'x' } },
      answer: reply('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhd'),
      act: (request, { log }) =>
        void request.on('upgrade', (res, socket, head) => {
          log(`upgrade ${res.statusCode} ${head} ${socket.listenerCount('data')} ${request.destroyed}`);
          socket.end();
        }),
    },
  ],
  [
    'H-147 CONNECT that nobody awaits',
    { options: { method: 'CONNECT', path: 'a:1' }, answer: reply('HTTP/1.1 200 OK\r\n\r\n') },
  ],
  [
    'H-291 CONNECT',
    {
      options: { method: 'CONNECT', path: 'a:1' },
      answer: reply('HTTP/1.1 200 OK\r\n\r\nhd'),
      act: (request, { log }) =>
        void request.on('connect', (res, socket, head) => {
          log(`connect ${res.statusCode} ${head} ${socket.listenerCount('data')} ${request.destroyed}`);
          socket.end();
        }),
    },
  ],
  [
    'requests that wait for one connection',
    {
      options: ({ http }) => ({ agent: new http.Agent({ maxSockets: 1, keepAlive: true, timeout: 500 }) }),
      quietMs: 800,
      act: (request, { http, port, log }) => {
        for (const name of ['second', 'third']) {
          const { agent } = request as unknown as { agent: never };
          const other = http.get({ host: '127.0.0.1', port, agent }, (res) => {
            res.resume().on('end', () => log(`${name}.end ${other.reusedSocket}`));
          });
          other.on('socket', () => log(`${name}.socket`));
          other.on('close', () => log(`${name}.close`));
        }
      },
    },
  ],
  [
    'H-284 a waiting request that is destroyed',
    {
      options: ({ http }) => ({ agent: new http.Agent({ maxSockets: 1, keepAlive: true, timeout: 500 }) }),
      quietMs: 800,
      act: (request, { http, port, log }) => {
        const { agent } = request as unknown as { agent: never };
        const other = http.get({ host: '127.0.0.1', port, agent });
        for (const event of ['socket', 'error', 'close', 'abort']) other.on(event, () => log(`other.${event}`));
        setImmediate(() => other.destroy());
      },
    },
  ],
  [
    'the head first, the body later',
    {
      options: { method: 'POST', headers: { 'content-length': 4 } },
      open: true,
      act: (request, { log }) => {
        request.flushHeaders();
        request.on('socket', (socket) =>
          socket.on('connect', () => setTimeout(() => request.end('body', () => log('ended')), 5)),
        );
      },
    },
  ],
  [
    'written before it has a socket',
    {
      options: { method: 'POST' },
      act: (request, { log }) => {
        log(`write ${request.write('x'.repeat(20_000), () => log('written'))}`);
        log(`write ${request.write('', () => log('empty'))}`);
      },
      answer: reply('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    },
  ],
];

function withSignal(moment: string, answer: ExchangeScenario['answer']): ExchangeScenario {
  const controllers = new Map<number, AbortController>();
  return {
    answer,
    options: ({ port }) => {
      const controller = new AbortController();
      controllers.set(port, controller);
      return { signal: controller.signal };
    },
    act: (request, exchange) => at(moment, () => controllers.get(exchange.port)!.abort())!(request, exchange),
  };
}

describe('a request tells what Node tells, in its order', () => {
  test.each(scenarios)('%s', async (_title, scenario) => {
    const events = await expectNodesOrder(scenario);
    expect(events.length).toBeGreaterThan(0);
  });
});
