/** Fault catalogue §3, http: how arrival order changes what http.request, fetch and http.Server report. */
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

interface Outcome {
  events: string[];
  error: string | null;
  body: string | null;
  complete: boolean | null;
}

/** One GET, and all that it told in the end. */
async function outcome(path = '/'): Promise<Outcome> {
  let events: string[] = [];
  let error: string | null = null;
  let body: string | null = null;
  let complete: boolean | null = null;
  await wire.get(path, { agent: undefined }).then(
    (reply) => {
      ({ events } = reply);
      body = reply.body.toString();
      complete = reply.complete;
    },
    (failure: Error & { events: string[]; reply?: { body?: Buffer; complete?: boolean } }) => {
      ({ events } = failure);
      error = failure.message;
      body = failure.reply?.body?.toString() ?? null;
      complete = failure.reply?.complete ?? null;
    },
  );
  await wire.clock.advance(100);
  return { events, error, body, complete };
}

const after = (events: readonly string[], what: string): string[] => events.slice(events.indexOf(what) + 1);

describe('http.request, a fresh connection', () => {
  test.each<[string, Selector, Action[], string[]]>([
    [
      'nothing, FIN',
      req(1).end(),
      [fin({ to: 'c' })],
      ['req.error(ECONNRESET: socket hang up)', 'sock.end', 'req.close', 'sock.close(false)'],
    ],
    [
      'nothing, RST',
      req(1).end(),
      [rst({ to: 'c' })],
      ['req.error(read ECONNRESET)', 'sock.error(read ECONNRESET)', 'req.close', 'sock.close(true)'],
    ],
    [
      'half a head, FIN',
      res(1).headerByte(20),
      [fin({ to: 'c' })],
      ['req.error(ECONNRESET: socket hang up)', 'sock.end', 'req.close', 'sock.close(false)'],
    ],
    [
      'half a head, RST',
      res(1).headerByte(20),
      [rst({ to: 'c' })],
      ['req.error(read ECONNRESET)', 'sock.error(read ECONNRESET)', 'req.close', 'sock.close(true)'],
    ],
    [
      'part of a Content-Length body, FIN',
      res(1).bodyByte(4),
      [fin({ to: 'c' })],
      [
        'req.response(200)',
        'sock.end',
        'res.aborted',
        'req.close',
        'sock.close(false)',
        'res.error(ECONNRESET: aborted)',
        'res.close',
      ],
    ],
    [
      'part of a Content-Length body, RST apart',
      res(1).bodyByte(4),
      [rst({ to: 'c' })],
      [
        'req.response(200)',
        'req.error(read ECONNRESET)',
        'sock.error(read ECONNRESET)',
        'res.aborted',
        'req.close',
        'sock.close(true)',
        'res.error(ECONNRESET: aborted)',
        'res.close',
      ],
    ],
    [
      'part of a Content-Length body, RST together',
      res(1).bodyByte(4),
      [coalesce(), rst({ to: 'c' })],
      saidWith(
        [
          'req.response(200)',
          'sock.end',
          'res.aborted',
          'req.close',
          'sock.close(false)',
          'res.error(ECONNRESET: aborted)',
          'res.close',
        ],
        {
          resetBehindText: [
            'req.response(200)',
            'req.error(read ECONNRESET)',
            'sock.error(read ECONNRESET)',
            'res.aborted',
            'req.close',
            'sock.close(true)',
            'res.error(ECONNRESET: aborted)',
            'res.close',
          ],
        },
      ),
    ],
  ])('%s', async (_, place, actions, expected) => {
    await wire.serve(withLength);
    wire.on(place).do(...actions);
    const { events } = await outcome();
    expect(after(events, 'req.finish')).toEqual(expected);
  });

  test('part of a body of known length: 4 bytes, not complete', async () => {
    await wire.serve(withLength);
    wire.on(res(1).bodyByte(4)).do(fin({ to: 'c' }));
    expect(await outcome()).toMatchObject({ body: '0123', complete: false, error: 'aborted' });
  });
});

describe('http.request, a body that lasts until the connection closes', () => {
  test('cut by FIN: success', async () => {
    await wire.serve(untilClose);
    wire.on(res(1).bodyByte(4)).do(fin({ to: 'c' }));
    expect(await outcome()).toMatchObject({ body: '0123', complete: true, error: null });
  });
  test('cut by RST in the same wake-up: success, no error at all; newer ones tell the reset', async () => {
    await wire.serve(untilClose);
    wire.on(res(1).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
    const told = await outcome();
    expect(told).toMatchObject(
      saidWith<object>(
        { body: '0123', complete: true, error: null },
        { resetBehindText: { body: '0123', complete: false, error: 'read ECONNRESET' } },
      ),
    );
    expect(told.events.filter((event) => event.includes('error'))).toEqual(
      saidWith<string[]>([], { resetBehindText: ['req.error(read ECONNRESET)', 'sock.error(read ECONNRESET)'] }),
    );
  });
  test('cut by RST apart: a request error, and yet the response ends', async () => {
    await wire.serve(untilClose);
    wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
    const { events } = await outcome();
    expect(events).toContain('req.error(read ECONNRESET)');
    expect(events).toContain('res.end');
    expect(events).not.toContain('res.aborted');
  });
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

describe('http.request, keep-alive', () => {
  test('complete, idle, RST: the pool drops it and the next request opens a new connection', async () => {
    await wire.serve(withLength);
    wire.on({ idle: { after: 500 } }).do(rst({ to: 'c' }));
    await outcome();
    await wire.clock.advance(1000);
    expect(await outcome()).toMatchObject({ error: null, body: '0123456789' });
    expect(wire.engine.conns).toHaveLength(2);
  });

  test('RST as the answer to request 2: read ECONNRESET on a reused socket', async () => {
    await wire.serve(withLength);
    await outcome();
    wire.on(req(2).end()).do(rst({ to: 'c' }));
    await expect(wire.get('/2')).rejects.toMatchObject({ message: 'read ECONNRESET', reusedSocket: true });
  });

  test('FIN read before request 2 is answered: hang up, reused', async () => {
    await wire.serve(withLength);
    await outcome();
    wire.do(stall('client', 400));
    wire.do(fin({ to: 'c' }));
    await wire.clock.advance(100);
    const error = await wire.get('/2').catch((failure: unknown) => failure);
    expect(error).toMatchObject({ message: 'socket hang up', code: 'ECONNRESET', reusedSocket: true });
    expect(error).not.toHaveProperty('errno');
  });

  test('RST waits while the program is busy, then it writes: write ECONNRESET, reused', async () => {
    await wire.serve(withLength);
    await outcome();
    wire.do(stall('client', 400));
    wire.do(rst({ to: 'c' }));
    await wire.clock.advance(100);
    await expect(wire.get('/2')).rejects.toMatchObject({ message: 'write ECONNRESET', reusedSocket: true });
  });

  test('maxSockets 1: the queued request inherits the dying socket, and reusedSocket is false (2.4)', async () => {
    await wire.serve(withLength);
    const agent = wire.agent({ maxSockets: 1 });
    wire.on(res(1).end()).do(coalesce(), fin({ to: 'c' }));
    const first = wire.get('/1', { agent });
    const second = wire.get('/2', { agent });
    expect((await first).status).toBe(200);
    await expect(second).rejects.toMatchObject({ message: 'socket hang up', reusedSocket: false });
  });

  test('the same with RST: write ECONNRESET, reusedSocket false (2.4)', async () => {
    await wire.serve(withLength);
    const agent = wire.agent({ maxSockets: 1 });
    wire.on(res(1).end()).do(coalesce(), rst({ to: 'c' }));
    const first = wire.get('/1', { agent });
    const second = wire.get('/2', { agent });
    expect((await first).status).toBe(200);
    await expect(second).rejects.toMatchObject({ message: 'write ECONNRESET', reusedSocket: false });
  });

  test('trailing bytes after the response: HPE_INVALID_CONSTANT (2.47)', async () => {
    await wire.serve(withLength);
    wire.on(res(1).end()).do(inject('junk', { as: 's2c' }), coalesce());
    const { events } = await outcome();
    expect(events.slice(events.indexOf('req.finish') + 1, events.indexOf('req.finish') + 3)).toEqual([
      'req.response(200)',
      'req.error(HPE_INVALID_CONSTANT: Parse Error: Expected HTTP/, RTSP/ or ICE/)',
    ]);
    expect(events).toContain('res.end');
  });
});

describe('fetch', () => {
  const failing = async (): Promise<{ message: string; cause: string }> => {
    const error = (await wire
      .fetch('/')
      .then((response) => response.text())
      .catch((failure: unknown) => failure)) as Error & { cause?: NodeJS.ErrnoException };
    return { message: error.message, cause: `${error.cause?.code} ${error.cause?.message}` };
  };

  test.each<[string, Selector, Action[], string, string]>([
    ['FIN before any byte', req(1).end(), [fin({ to: 'c' })], 'fetch failed', 'UND_ERR_SOCKET other side closed'],
    ['RST before any byte', req(1).end(), [rst({ to: 'c' })], 'fetch failed', 'ECONNRESET read ECONNRESET'],
    ['FIN in a body', res(1).bodyByte(4), [fin({ to: 'c' })], 'terminated', 'UND_ERR_SOCKET other side closed'],
    ['RST in a body', res(1).bodyByte(4), [rst({ to: 'c' })], 'terminated', 'ECONNRESET read ECONNRESET'],
  ])('%s: %s', async (_, place, actions, message, cause) => {
    await wire.serve(withLength);
    wire.on(place).do(...actions);
    expect(await failing()).toEqual({ message, cause });
  });

  test('nobody listens', async () => {
    expect(await failing()).toMatchObject({
      message: 'fetch failed',
      cause: 'ECONNREFUSED connect ECONNREFUSED 10.0.0.2:80',
    });
  });

  test('a body until close, cut by a RST in the same wake-up, or by a late one: success', async () => {
    await wire.serve(untilClose);
    wire.on(res(1).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
    expect(await (await wire.fetch('/')).text()).toBe('0123');
  });
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
    const fin = wire.trace.delivered().find((entry) => entry.flags.includes('F'));
    expect([fin?.dir, Math.round((fin!.at - answered) / 100) / 10]).toEqual(['s2c', 2]);
  });

  test('a client that resets while idle: clientError read ECONNRESET (2.41)', async () => {
    const origin = await wire.serve(withLength);
    origin.server.on('clientError', (_, socket) => socket.destroy());
    await outcome();
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
