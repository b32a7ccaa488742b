/**
 * Rules against raw peers: what rules and actions put on the wire gives what a peer gives that puts the same segments there by
 * hand. What that is stands in the rows of the truth table, and only there.
 */
import type http from 'node:http';
import {
  type Action,
  blackhole,
  coalesce,
  createWire,
  fin,
  inject,
  req,
  res,
  rst,
  type Selector,
  stall,
  type Wire,
} from '../../../fault';
import { saidWith } from '../../../fault/versions';
import { rowNamed, saidHere } from './truth';
import { asked, fetched, type TruthWorld } from './truth/world';

let wire: Wire;
beforeEach(() => {
  wire = createWire({ rtt: 20 });
});
afterEach(() => wire.close());

type Handler = http.RequestListener;
const withLength: Handler = (_, response) => response.end('0123456789');
const untilClose: Handler = (_, response) => {
  response.useChunkedEncodingByDefault = false;
  response.setHeader('Connection', 'close');
  response.removeHeader('Content-Length');
  response.flushHeaders();
  response.write('0123456789');
  response.end();
};

/** Four digits, as the ports of rows. */
const PORT = 8080;
const serve = (handler: Handler): Promise<unknown> => wire.serve(handler, { port: PORT });
const world = (): Pick<TruthWorld, 'agent' | 'fetch' | 'wait' | 'sleep'> => ({
  agent: (options) => wire.agent(options),
  fetch: (url, init) => wire.fetch(url, init),
  wait: (promise) => wire.run(promise),
  sleep: (ms) => wire.clock.advance(ms),
});
/** One GET, and all that it told in the end. */
const ask = (agent?: http.Agent): Promise<string[]> => asked(world(), PORT, { agent });

/** What a row says, without what only a raw peer can tell. */
const said = (name: string): readonly string[] => saidHere(rowNamed(name));

test.each<[string, Handler, Selector, Action[]]>([
  ['nothing, FIN', withLength, req(1).end(), [fin({ to: 'c' })]],
  ['nothing, RST', withLength, req(1).end(), [rst({ to: 'c' })]],
  ['part of the head, FIN', withLength, res(1).headerByte(20), [fin({ to: 'c' })]],
  ['part of the head, RST apart', withLength, res(1).headerByte(20), [rst({ to: 'c' })]],
  ['part of the head, RST together', withLength, res(1).headerByte(20), [coalesce(), rst({ to: 'c' })]],
  ['part of a Content-Length body, FIN', withLength, res(1).bodyByte(4), [fin({ to: 'c' })]],
  ['part of a Content-Length body, FIN together', withLength, res(1).bodyByte(4), [coalesce(), fin({ to: 'c' })]],
  ['part of a Content-Length body, RST apart', withLength, res(1).bodyByte(4), [rst({ to: 'c' })]],
  ['part of a Content-Length body, RST together', withLength, res(1).bodyByte(4), [coalesce(), rst({ to: 'c' })]],
  ['until close, cut by FIN', untilClose, res(1).bodyByte(4), [fin({ to: 'c' })]],
  ['until close, cut by RST apart', untilClose, res(1).bodyByte(4), [rst({ to: 'c' })]],
  [
    'until close, cut by RST together: success, no error',
    untilClose,
    res(1).bodyByte(4),
    [coalesce(), rst({ to: 'c' })],
  ],
  ['bytes behind the response, in its segment', withLength, res(1).end(), [coalesce(), inject('junk', { as: 's2c' })]],
])('http.request: %s', async (name, handler, place, actions) => {
  await serve(handler);
  wire.on(place).do(...actions);
  expect(await ask()).toEqual(said(`http.request: ${name}`));
});

describe('http.request: a kept connection', () => {
  /** A request, then what happens, then another: the last thing that each said. */
  async function twice(between: () => Promise<void> | void): Promise<string[]> {
    await serve(withLength);
    const agent = wire.agent({ keepAlive: true });
    const one = await ask(agent);
    await wire.clock.advance(100);
    await between();
    return [one.at(-1)!, (await ask(agent)).at(-1)!];
  }
  /** It comes to the host while its program is busy. */
  const unread = async (action: Action): Promise<void> => {
    wire.do(stall('client', 400));
    wire.do(action);
    await wire.clock.advance(100);
  };

  test.each<[string, () => Promise<void> | void]>([
    ['RST in answer to request 2', () => void wire.on(req(2).end()).do(rst({ to: 'c' }))],
    ['FIN in answer to request 2', () => void wire.on(req(2).end()).do(fin({ to: 'c' }))],
    ['FIN unread when request 2 is written', () => unread(fin({ to: 'c' }))],
    ['RST unread when request 2 is written', () => unread(rst({ to: 'c' }))],
    [
      'an unsolicited response unread when request 2 is written becomes its response',
      () => unread(inject('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale', { as: 's2c' })),
    ],
  ])('%s', async (name, between) => {
    expect(await twice(between)).toEqual(said(`http.request: kept connection, ${name}`));
  });

  test('FIN has no errno (2.1)', async () => {
    await serve(withLength);
    await wire.get('/');
    wire.on(req(2).end()).do(fin({ to: 'c' }));
    const error = await wire.get('/2').catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'ECONNRESET', reusedSocket: true });
    expect(error).not.toHaveProperty('errno');
  });

  test('complete, idle, RST: the pool drops it and the next request opens a new connection', async () => {
    wire.on({ idle: { after: 50 } }).do(rst({ to: 'c' }));
    const [, second] = await twice(() => {});
    expect(second).toBe('success 0123456789 complete true');
    expect(wire.engine.conns).toHaveLength(2);
  });

  // The queued request inherits the dying socket, and reusedSocket is false (2.4).
  test.each([
    ['FIN together', fin({ to: 'c' })],
    ['RST together', rst({ to: 'c' })],
  ])('complete, %s, and a request in the queue of maxSockets 1', async (name, end) => {
    await serve(withLength);
    wire.on(res(1).end()).do(coalesce(), end);
    const agent = wire.agent({ keepAlive: true, maxSockets: 1 });
    const both = await Promise.all([ask(agent), ask(agent)]);
    expect(both.map((events) => events.at(-1))).toEqual(
      said(`http.request: complete, ${name}, and a request in the queue of maxSockets 1`),
    );
  });
});

test.each<[string, Handler, Selector, Action[]]>([
  ['nothing, FIN', withLength, req(1).end(), [fin({ to: 'c' })]],
  ['nothing, RST', withLength, req(1).end(), [rst({ to: 'c' })]],
  ['Content-Length body cut by FIN', withLength, res(1).bodyByte(4), [fin({ to: 'c' })]],
  ['Content-Length body cut by RST apart', withLength, res(1).bodyByte(4), [rst({ to: 'c' })]],
  ['until close, cut by FIN: success', untilClose, res(1).bodyByte(4), [fin({ to: 'c' })]],
  ['until close, cut by RST apart: success', untilClose, res(1).bodyByte(4), [rst({ to: 'c' })]],
  ['until close, cut by RST together: success', untilClose, res(1).bodyByte(4), [coalesce(), rst({ to: 'c' })]],
])('fetch: %s', async (name, handler, place, actions) => {
  await serve(handler);
  wire.on(place).do(...actions);
  expect(await fetched(world(), PORT)).toEqual(said(`fetch: ${name}`));
});

test('fetch: nobody listens', async () => {
  expect(await fetched(world(), PORT)).toEqual(said('fetch: connection refused'));
});

test.each(['node', 'tapwire'] as const)('%s: what an idle socket of an agent tells of its end', async (module) => {
  wire.close();
  wire = createWire({ rtt: 20, http: module });
  await wire.serve(withLength);
  for (const [end, said] of [
    [rst({ to: 'c' }), ['error', 'close(true)']],
    [fin({ to: 'c' }), ['end', 'close(false)']],
    [inject('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n', { as: 's2c' }), null],
  ] as const) {
    const told: string[] = [];
    const socket = (await wire.get('/')) && Object.values(wire.pool.freeSockets).flat()[0]!;
    for (const event of ['end', 'error']) socket.once(event, () => void told.push(event));
    socket.once('close', (failed) => void told.push(`close(${failed})`));
    wire.do(end);
    await wire.clock.advance(1000);
    // Ours lets nobody send what was not asked for, with any Node.
    const unasked = module === 'tapwire' ? ['close(false)'] : [];
    expect(told).toEqual(saidWith<readonly string[]>(said ?? unasked, { guardedPool: ['close(false)'] }));
  }
});

describe('http.Server', () => {
  test('keepAliveTimeout 1000: Keep-Alive says timeout=1, FIN comes a second later than that', async () => {
    await wire.serve(withLength, { keepAliveTimeout: 1000 });
    const socket = wire.connect({ host: 'server', port: 80 });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.write('GET / HTTP/1.1\r\nHost: server\r\n\r\n');
    await wire.clock.settle();
    expect(text).toContain('Keep-Alive: timeout=1\r\n');
    const answered = wire.clock.now();
    await wire.clock.advance(5000);
    const fin = wire
      .trace()
      .delivered()
      .find((entry) => entry.flags.includes('F'));
    expect([fin?.dir, Math.round((fin!.at - answered) / 100) / 10]).toEqual(['s2c', 2]);
  });

  test('a client that resets while idle: clientError read ECONNRESET (2.41)', async () => {
    const origin = await wire.serve(withLength);
    origin.server.on('clientError', (_, socket) => socket.destroy());
    await wire.get('/');
    wire.do(rst({ to: 's' }));
    await wire.clock.advance(100);
    expect(origin.clientErrors.map((error) => error.message)).toEqual(['read ECONNRESET']);
  });

  test('an upload that is cut by FIN (2.43): aborted', async () => {
    const events: string[] = [];
    await wire.serve((request) => {
      request.on('aborted', () => events.push('aborted'));
      request.on('error', (error) => events.push(`error ${error.message}`));
      request.on('close', () => events.push(`close ${request.complete}`));
      request.resume();
    });
    wire.on(req(1).bodyByte(3)).do(fin({ to: 's' }));
    void wire.request({ method: 'POST', body: '0123456789' }).catch(() => {});
    await wire.clock.advance(1000);
    expect(events).toEqual(['aborted', 'error aborted', 'close false']);
  });

  test('a client that is gone while the server streams (2.44): no error of the response', async () => {
    const events: string[] = [];
    await wire.serve((_, response) => {
      response.on('close', () => events.push('close'));
      response.on('error', (error) => events.push(`error ${error.message}`));
      response.write('begin');
      void wire.clock.sleep(500).then(() => response.write('more', (error) => events.push(`write ${error?.message}`)));
    });
    wire.on(res(1).bodyByte(5)).do(rst({ to: 's' }));
    void wire.get('/').catch(() => {});
    await wire.clock.advance(1000);
    expect(events[0]).toBe('close');
    expect(events.filter((event) => event.startsWith('error'))).toEqual([]);
  });
});

test('a silent wire: only a timeout, and destroying reads as hang up (2.45)', async () => {
  await wire.serve(withLength);
  wire.on(req(1).begin()).do(blackhole());
  const error = await wire.get('/', { timeout: 2000 }).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ message: 'socket hang up', code: 'ECONNRESET' });
  expect((error as { events: string[] }).events).toContain('req.timeout');
});
