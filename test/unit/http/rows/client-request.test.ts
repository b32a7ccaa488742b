import type nodeHttp from 'node:http';
import { getDefaultHighWaterMark } from 'node:stream';
import { END_CALLS_BACK_FIRST, RAW_HEADERS_ARE_EXACT } from '../../../../net/running-node';
import { event, row, soon, textOf, thrown, until, wrong } from './bench';

const ignore = (): void => {};
const told = (request: nodeHttp.ClientRequest, names: string[]): string[] => {
  const events: string[] = [];
  for (const name of names) request.on(name, () => events.push(name));
  return events;
};

describe('ClientRequest', () => {
  row('H-103 H-104 H-131 H-132 H-133 headers can be changed until they are sent', async (b) => {
    const text = await b.wire(() => {
      const request = b.request({ headers: { A: '1' } }).on('error', ignore);
      request.setHeader('B', 2);
      expect(request.setHeader('C', ['3', '4'])).toBe(request);
      expect([request.getHeader('a'), request.getHeader('B'), request.getHeader('c')]).toEqual(['1', 2, ['3', '4']]);
      request.removeHeader('A');
      request.appendHeader('b', '5');
      expect(request.getHeader('b')).toEqual([2, '5']);
      request.setHeaders(new Map([['d', '6']]));
      expect(request.getHeaderNames()).toEqual(['host', 'b', 'c', 'd']);
      expect(request.getRawHeaderNames()).toEqual(['Host', 'B', 'C', 'd']);
      expect(request.hasHeader('HOST')).toBe(true);
      expect(request.getHeaders()).toEqual(
        Object.assign(Object.create(null), { host: `127.0.0.1:${b.port}`, b: [2, '5'], c: ['3', '4'], d: '6' }),
      );
      expect(thrown(() => request.getHeader(wrong(1)))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      request.end();
      for (const act of [() => request.setHeader('x', 'y'), () => request.removeHeader('x')]) {
        expect(thrown(act)).toMatchObject({ code: 'ERR_HTTP_HEADERS_SENT' });
      }
    });
    expect(text).toMatch(
      /^GET \/ HTTP\/1.1\r\nHost: [^\r]*\r\nB: 2\r\nB: 5\r\nC: 3\r\nC: 4\r\nd: 6\r\nConnection: keep-alive\r\n\r\n$/,
    );
  });

  row('H-105 H-126 H-129 H-130 the head leaves with the first piece of the body, or alone', async (b) => {
    const pieces: string[] = [];
    await b.answer((_socket, text) => pieces.push(text));
    b.request({ method: 'POST' }).on('error', ignore).end('body');
    await until(() => pieces.length > 0);
    await soon(10);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).toMatch(/\r\nContent-Length: 4\r\n\r\nbody$/);
    const request = b.request({ method: 'POST' }).on('error', ignore);
    request.flushHeaders();
    await until(() => pieces.length > 1);
    expect(pieces[1]).toMatch(/\r\nTransfer-Encoding: chunked\r\n\r\n$/);
  });

  row('H-106 H-107 the response comes as an event, and listeners added then miss nothing', async (b) => {
    await b.serve((_req, res) => res.end('all of it'));
    const request = b.request().end();
    const [res] = (await event(request, 'response')) as [nodeHttp.IncomingMessage];
    expect(res).toBeInstanceOf(b.http.IncomingMessage);
    await soon(10);
    expect(await textOf(res)).toBe('all of it');
  });

  row('H-108 without a response listener the response goes nowhere', async (b) => {
    await b.serve((_req, res) => res.end('x'.repeat(200_000)));
    const request = b.request().end();
    await event(request, 'close');
    expect(request.destroyed).toBe(true);
  });

  row('H-109 H-110 a response that is not read does not end, and holds the server back', async (b) => {
    let drained = false;
    let written = 0;
    await b.serve((_req, res) => {
      res.on('drain', () => {
        drained = true;
      });
      res.write(Buffer.alloc(30_000_000), () => {
        written++;
      });
    });
    const request = b.request().on('error', ignore).end();
    const [res] = (await event(request, 'response')) as [nodeHttp.IncomingMessage];
    let ended = false;
    res.on('end', () => {
      ended = true;
    });
    res.on('error', ignore);
    await soon(60);
    expect([ended, drained, written]).toEqual([false, false, 0]);
    request.destroy();
  });

  row('H-111 a response cut short tells aborted; an error only to those who listen', async (b) => {
    await b.answer((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'));
    const request = b.request().end();
    const [res] = (await event(request, 'response')) as [nodeHttp.IncomingMessage];
    const told = Promise.all([event(res, 'aborted'), event(res, 'close')]);
    res.resume();
    await told;
    expect([res.aborted, res.complete]).toEqual([true, false]);
  });

  row('H-112 Content-Length is not compared with what is sent', async (b) => {
    const text = await b.wire(
      () =>
        void b
          .request({ method: 'POST', headers: { 'Content-Length': 10 } })
          .on('error', ignore)
          .end('x'),
    );
    expect(text).toMatch(/Content-Length: 10\r\n.*\r\n\r\nx$/s);
  });

  row('H-113 H-118 H-121 destroyed, aborted, connection', async (b) => {
    await b.serve();
    const request = b.request();
    expect([request.destroyed, request.aborted, request.socket, request.connection]).toEqual([
      false,
      false,
      null,
      null,
    ]);
    await event(request, 'socket');
    expect(request.connection).toBe(request.socket);
    await b.finish(request);
    await soon(20);
    expect([request.destroyed, request.aborted]).toEqual([true, false]);
    const other = b.request().on('error', ignore);
    other.destroy();
    expect([other.destroyed, other.aborted]).toEqual([true, false]);
    const third = b.request().on('error', ignore);
    third.abort();
    expect([third.destroyed, third.aborted]).toEqual([true, true]);
  });

  row('H-114 the path can be changed before it is sent', async (b) => {
    await b.serve((req, res) => res.end(req.url));
    const request = b.request();
    expect(request.path).toBe('/');
    request.path = '/other';
    expect((await b.finish(request)).text).toBe('/other');
  });

  row('H-115 H-116 reusedSocket tells of a second use, and so whether to try again', async (b) => {
    let requests = 0;
    await b.serve((req, res) => {
      if (++requests === 2) req.socket.destroy();
      else res.end();
    });
    const agent = b.agent({ keepAlive: true });
    const first = b.request({ agent });
    await b.finish(first);
    await soon(20);
    const second = b.request({ agent });
    const failed = event(second.on('response', ignore), 'error');
    second.end();
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect([first.reusedSocket, second.reusedSocket]).toEqual([false, true]);
  });

  row('H-117 H-154 the socket comes a tick after the request at the earliest', async (b) => {
    await b.serve();
    const request = b.request();
    expect(request.socket).toBeNull();
    const [socket] = await event(request, 'socket');
    expect(socket).toBeInstanceOf(b.net.Socket);
    expect(request.socket).toBe(socket);
    await b.finish(request);
  });

  row('H-119 H-120 writableEnded at once, writableFinished when it is flushed', async (b) => {
    await b.serve();
    const request = b.request();
    expect([request.writableEnded, request.writableFinished]).toEqual([false, false]);
    const finished = new Promise((resolve) => request.on('finish', () => resolve(request.writableFinished)));
    const done = b.finish(request);
    expect([request.writableEnded, request.writableFinished]).toEqual([true, false]);
    expect(await finished).toBe(true);
    await done;
  });

  row('H-122 maxHeadersCount limits the headers of the response', async (b) => {
    await b.serve((_req, res) => void res.setHeader('A', '1').setHeader('B', '2').end());
    const request = b.request();
    expect(request.maxHeadersCount).toBeNull();
    request.maxHeadersCount = 1;
    expect(Object.keys((await b.finish(request)).res.headers)).toEqual(['a']);
    await b.answer(`HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(1500)}Y: 2\r\nContent-Length: 0\r\n\r\n`);
    const all = b.request({ maxHeaderSize: 65_536 });
    all.maxHeadersCount = 0;
    expect((await b.finish(all)).res.headers['y']).toBe('2');
    const some = await b.get({ maxHeaderSize: 65_536, agent: false });
    expect([some.res.headers['y'], some.res.rawHeaders.length]).toEqual([
      undefined,
      RAW_HEADERS_ARE_EXACT ? 2000 : 2046,
    ]);
  });

  row('H-123 H-145 abort marks the request and tells it once', async (b) => {
    await b.answer(() => {});
    const request = b.request().on('error', ignore);
    const events = told(request, ['abort', 'close']);
    request.end();
    await event(request, 'socket');
    await soon(20);
    request.abort();
    request.abort();
    await soon(15);
    expect(events).toEqual(['abort', 'close']);
  });

  row('H-124 H-125 H-127 end sends the last chunk and calls back when it is finished', async (b) => {
    const events: string[] = [];
    const text = await b.wire(() => {
      const request = b.request({ method: 'POST' }).on('error', ignore);
      request.write('ab');
      request.on('finish', () => events.push('finish'));
      expect(request.end('cd', () => events.push('callback'))).toBe(request);
    });
    expect(text).toMatch(/Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n$/);
    expect(events).toEqual(END_CALLS_BACK_FIRST ? ['callback', 'finish'] : ['finish', 'callback']);
  });

  row('H-128 destroy ends the request, with its error', async (b) => {
    await b.answer(() => {});
    const request = b.request();
    const failed = event(request, 'error');
    expect(request.destroy(new Error('mine'))).toBe(request);
    expect((await failed)[0]).toMatchObject({ message: 'mine' });
    const other = b.request();
    const hungUp = event(other, 'error');
    other.destroy();
    expect((await hungUp)[0]).toMatchObject({ message: 'socket hang up', code: 'ECONNRESET' });
  });

  row('H-134 H-135 lists become lines, but for Cookie; other values become text', async (b) => {
    const text = await b.wire(() => {
      const request = b.request().on('error', ignore);
      request.setHeader('A', ['1', '2']);
      request.setHeader('Cookie', ['a=1', 'b=2']);
      request.setHeader('N', 5);
      expect(request.getHeader('n')).toBe(5);
      expect(thrown(() => request.setHeader('u', wrong(undefined)))).toMatchObject({
        code: 'ERR_HTTP_INVALID_HEADER_VALUE',
      });
      request.end();
    });
    expect(text).toContain('\r\nA: 1\r\nA: 2\r\nCookie: a=1; b=2\r\nN: 5\r\n');
  });

  row('H-136 H-137 socket options are set once the socket is connected', async (b) => {
    await b.serve();
    const calls: unknown[] = [];
    const request = b.request({ agent: b.agent() });
    request.on('socket', (socket) => {
      socket.setNoDelay = (...args: unknown[]) => {
        calls.push(['setNoDelay', ...args]);
        return socket;
      };
      socket.setKeepAlive = (...args: unknown[]) => {
        calls.push(['setKeepAlive', ...args]);
        return socket;
      };
    });
    expect([request.setNoDelay(true), request.setSocketKeepAlive(true, 1000)]).toEqual([undefined, undefined]);
    await b.finish(request);
    expect(calls).toEqual(
      expect.arrayContaining([
        ['setNoDelay', true],
        ['setKeepAlive', true, 1000],
      ]),
    );
  });

  row('H-138 setTimeout is set once the socket is connected', async (b) => {
    await b.serve((_req, res) => void setTimeout(() => res.end(), 10));
    const request = b.request({ agent: b.agent() });
    expect(request.setTimeout(5000)).toBe(request);
    const [socket] = (await event(request, 'socket')) as [
      { timeout?: number; once(name: string, then: () => void): void },
    ];
    const before = socket.timeout;
    let after: number | undefined;
    socket.once('connect', () => setImmediate(() => (after = socket.timeout)));
    await b.finish(request);
    expect([before, after]).toEqual([undefined, 5000]);
  });

  row('H-139 H-140 write sends pieces: chunked, or raw where no length is usual', async (b) => {
    const post = await b.wire(() => {
      const request = b.request({ method: 'POST' }).on('error', ignore);
      request.write('gr\u00fc\u00df');
      request.write('ff', 'hex');
      request.end();
    });
    expect(post).toMatch(/chunked\r\n\r\n6\r\ngr\u00c3\u00bc\u00c3\u009f\r\n1\r\n\u00ff\r\n0\r\n\r\n$/);
    const del = await b.wire(() => {
      const request = b.request({ method: 'DELETE' }).on('error', ignore);
      request.write('raw');
      request.end();
    });
    expect(del).toMatch(/\r\n\r\nraw$/);
    expect(del).not.toContain('chunked');
    const request = b.request().on('error', ignore);
    expect(thrown(() => request.write(wrong(null)))).toMatchObject({ code: 'ERR_STREAM_NULL_VALUES' });
    expect(`${thrown(() => request.write(wrong(5)))}`).toBe(
      'TypeError [ERR_INVALID_ARG_TYPE]: The "chunk" argument must be of type string or an instance of Buffer or Uint8Array. ' +
        'Received type number (5)',
    );
    request.destroy();
  });

  row('H-141 H-144 an empty piece sends the head and calls back, as in Node 20', async (b) => {
    const called: string[] = [];
    const text = await b.wire(
      () =>
        void b
          .request({ method: 'POST' })
          .on('error', ignore)
          .write('', () => called.push('empty')),
    );
    expect(text).toMatch(/^POST \/ HTTP\/1.1\r\n.*chunked\r\n\r\n$/s);
    expect(called).toEqual(['empty']);
  });

  row('H-142 H-143 write says false when much is queued, and drain tells that it is gone', async (b) => {
    await b.serve((req, res) => req.resume().on('end', () => res.end()));
    const request = b.request({ method: 'POST' });
    expect(request.write('small')).toBe(true);
    expect(request.write(Buffer.alloc(getDefaultHighWaterMark(false) + 1000))).toBe(false);
    await event(request, 'drain');
    await b.finish(request);
  });

  row('H-146 H-147 H-148 CONNECT hands the socket over, or ends it', async (b) => {
    await b.answer('HTTP/1.1 200 OK\r\n\r\nmore');
    const request = b.request({ method: 'CONNECT', path: 'a:1' }).end();
    const [res, socket, head] = (await event(request, 'connect')) as [
      nodeHttp.IncomingMessage,
      { listenerCount(name: string): number; destroy(): void },
      Buffer,
    ];
    expect([res.statusCode, socket.listenerCount('data'), String(head)]).toEqual([200, 0, 'more']);
    socket.destroy();
    const other = b.request({ method: 'CONNECT', path: 'a:1' }).end();
    const events = told(other, ['error', 'close', 'response']);
    await event(other, 'close');
    expect(events).toEqual(['close']);
  });

  row('H-149 H-150 H-151 H-152 informational responses', async (b) => {
    await b.answer(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    const request = b.request();
    const infos: Record<string, unknown>[] = [];
    const events = told(request, ['continue', 'information', 'response']);
    request.on('information', (info) => infos.push(info as never));
    await b.finish(request);
    expect(events).toEqual(['continue', 'information', 'information', 'response']);
    expect(infos[1]).toEqual({
      statusCode: 103,
      statusMessage: 'Early Hints',
      httpVersion: '1.1',
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      headers: { link: '</a>' },
      rawHeaders: ['Link', '</a>'],
    });
  });

  row('H-153 there is at most one response', async (b) => {
    const twice = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'.repeat(2);
    await b.answer(twice);
    const request = b.request();
    let responses = 0;
    request.on('response', (res) => {
      responses++;
      res.resume();
    });
    request.on('error', ignore);
    request.end();
    await event(request, 'close');
    await soon(20);
    expect(responses).toBe(1);
  });

  row('H-155 a timeout is only told', async (b) => {
    await b.serve((_req, res) => void setTimeout(() => res.end('late'), 40));
    const request = b.request({ timeout: 15 });
    const events = told(request, ['timeout']);
    expect((await b.finish(request)).text).toBe('late');
    expect(events).toEqual(['timeout']);
  });

  row('H-156 H-157 an upgrade hands the socket over, or ends it', async (b) => {
    await b.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore');
    const headers = { connection: 'upgrade', upgrade: 'x' };
    const request = b.request({ headers }).end();
    const [, socket, head] = (await event(request, 'upgrade')) as [unknown, { destroy(): void }, Buffer];
    expect(String(head)).toBe('more');
    await soon();
    expect(request.closed).toBe(true);
    socket.destroy();
    const other = b.request({ headers }).end();
    const events = told(other, ['error', 'close', 'response']);
    await event(other, 'close');
    expect(events).toEqual(['close']);
  });

  row('what a request is at first', (b) => {
    const request = b.request().on('error', ignore);
    const { path, method, host, protocol, reusedSocket, writableEnded, headersSent, sendDate, finished } =
      request as never as Record<string, unknown>;
    expect({ path, method, host, protocol, reusedSocket, writableEnded, headersSent, sendDate, finished }).toEqual({
      path: '/',
      method: 'GET',
      host: '127.0.0.1',
      protocol: 'http:',
      reusedSocket: false,
      writableEnded: false,
      headersSent: false,
      sendDate: false,
      finished: false,
    });
    const { writableHighWaterMark, writableLength, writableObjectMode, writableCorked } = request;
    expect([writableHighWaterMark, writableLength, writableObjectMode, writableCorked]).toEqual([
      getDefaultHighWaterMark(false),
      0,
      false,
      0,
    ]);
    request.destroy();
  });
});
