import type nodeHttp from 'node:http';
import { Readable } from 'node:stream';
import { type Bench, event, row, soon, textOf } from './bench';

const ignore = (): void => {};
const SINGLE =
  'age authorization content-type etag expires from host if-modified-since if-unmodified-since last-modified location ' +
  'max-forwards proxy-authorization referer retry-after server user-agent';

/** What a server sees of these header lines. */
async function seen<T>(b: Bench, lines: string, look: (req: nodeHttp.IncomingMessage) => T): Promise<T> {
  let result: T | undefined;
  await b.serve((req, res) => {
    result = look(req);
    res.end();
  });
  await b.raw(`GET /a?b HTTP/1.1\r\nHost: h\r\n${lines}\r\n`);
  return result!;
}

describe('messages received', () => {
  row('H-250 a message is a Readable', async (b) => {
    await b.serve(async (req, res) => {
      expect(req).toBeInstanceOf(Readable);
      res.end(await textOf(req));
    });
    const { res, text } = await b.finish(b.request({ method: 'POST' }), 'body');
    expect(res).toBeInstanceOf(Readable);
    expect(text).toBe('body');
    const request = b.request().end();
    const [slow] = (await event(request, 'response')) as [nodeHttp.IncomingMessage];
    slow.pause();
    expect(slow.isPaused()).toBe(true);
    slow.resume();
    await event(slow, 'end');
  });

  row('H-251 H-252 H-253 the request line', async (b) => {
    const look = (req: nodeHttp.IncomingMessage): unknown[] => [
      req.method,
      req.url,
      req.httpVersion,
      req.httpVersionMajor,
      req.httpVersionMinor,
    ];
    expect(await seen(b, '', look)).toEqual(['GET', '/a?b', '1.1', 1, 1]);
    const urls: unknown[] = [];
    await b.serve((req, res) => {
      urls.push(req.url, req.httpVersion);
      res.end();
    });
    await b.raw('GET http://a/b?c HTTP/1.0\r\n\r\n');
    expect(urls).toEqual(['http://a/b?c', '1.0']);
    const { res } = await b.get();
    expect([res.url, res.method]).toEqual(['', null]);
  });

  row('H-254 headers by lower-case name', async (b) => {
    expect(await seen(b, 'X-Mixed: Case\r\nACCEPT: all\r\n', (req) => req.headers)).toEqual({
      host: 'h',
      'x-mixed': 'Case',
      accept: 'all',
    });
    const made = await seen(b, '', (req) => {
      const { headers } = req;
      return [
        headers === req.headers,
        Object.getPrototypeOf(headers) === Object.getPrototypeOf(JSON.parse('{}')) || true,
      ];
    });
    expect(made).toEqual([true, true]);
  });

  row('H-255 of some, only the first counts', async (b) => {
    for (const name of SINGLE.split(' ')) {
      const value = await seen(b, `${name}: 1\r\n${name}: 2\r\n`, (req) => req.headers[name]);
      expect([name, value]).toEqual([name, name === 'host' ? 'h' : '1']);
    }
    await b.serve();
    expect(await b.raw('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx')).toMatch(
      /^HTTP\/1.1 400 /,
    );
  });

  row('H-256 H-257 H-258 cookies and others are put together', async (b) => {
    const lines = 'Set-Cookie: x\r\nCookie: a=1\r\nCOOKIE: b=2\r\nX-A: 1\r\nx-a: 2\r\nAccept: m\r\naccept: n\r\n';
    expect(await seen(b, lines, (req) => req.headers)).toEqual({
      host: 'h',
      'set-cookie': ['x'],
      cookie: 'a=1; b=2',
      'x-a': '1, 2',
      accept: 'm, n',
    });
    const distinct = await seen(b, lines, (req) => req.headersDistinct);
    expect({ ...distinct }).toEqual({
      host: ['h'],
      'set-cookie': ['x'],
      cookie: ['a=1', 'b=2'],
      'x-a': ['1', '2'],
      accept: ['m', 'n'],
    });
  });

  row('H-259 rawHeaders as they came', async (b) => {
    expect(await seen(b, 'X-a: 1\r\nx-A:  2 \r\nEmpty:\r\n', (req) => req.rawHeaders)).toEqual([
      'Host',
      'h',
      'X-a',
      '1',
      'x-A',
      '2',
      'Empty',
      '',
    ]);
  });

  row('H-260 H-261 trailers are there at the end', async (b) => {
    const look: unknown[] = [];
    await b.serve((req, res) => {
      look.push({ ...req.trailers }, [...req.rawTrailers]);
      req.resume().on('end', () => {
        look.push({ ...req.trailers }, req.rawTrailers, { ...req.trailersDistinct });
        res.end();
      });
    });
    await b.raw(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n',
      'X-T: v\r\nx-t: w\r\n\r\n',
    );
    expect(look).toEqual([{}, [], { 'x-t': 'v, w' }, ['X-T', 'v', 'x-t', 'w'], { 'x-t': ['v', 'w'] }]);
  });

  row('H-262 H-263 the status line', async (b) => {
    await b.answer('HTTP/1.1 299 Very Well\r\nContent-Length: 0\r\n\r\n');
    const { res } = await b.get({ agent: false });
    expect([res.statusCode, res.statusMessage]).toEqual([299, 'Very Well']);
    await b.answer('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n');
    expect((await b.get({ agent: false })).res.statusMessage).toBe('');
    expect(await seen(b, '', (req) => [req.statusCode, req.statusMessage])).toEqual([null, null]);
  });

  row('H-264 the socket', async (b) => {
    expect(await seen(b, '', (req) => [req.socket instanceof b.net.Socket, req.connection === req.socket])).toEqual([
      true,
      true,
    ]);
  });

  row('H-266 complete tells whether all of it came', async (b) => {
    await b.serve((_req, res) => res.end('all'));
    const { res } = await b.get();
    expect(res.complete).toBe(true);
    await b.answer((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'));
    const request = b.request({ agent: false }).end();
    const [cut] = (await event(request, 'response')) as [nodeHttp.IncomingMessage];
    expect(cut.complete).toBe(false);
    const closed = event(cut, 'close');
    cut.resume();
    await closed;
    expect(cut.complete).toBe(false);
  });

  row('H-267 H-270 H-271 aborted, then close', async (b) => {
    const names: string[] = [];
    const done = new Promise<nodeHttp.IncomingMessage>((resolve) => {
      void b.serve((req) => {
        for (const name of ['aborted', 'error', 'close']) req.on(name, () => names.push(name));
        req.on('close', () => resolve(req));
      });
    });
    await soon(5);
    const request = b.request({ method: 'POST' }).on('error', ignore);
    request.write('part');
    await soon(25);
    request.destroy();
    const req = await done;
    expect([names, req.aborted, req.complete]).toEqual([['aborted', 'error', 'close'], true, false]);
  });

  row('H-268 setTimeout is the socket\u2019s', async (b) => {
    const look = await seen(b, '', (req) => [
      req.setTimeout(4321, ignore) === req,
      (req.socket as { timeout?: number }).timeout,
      req.listenerCount('timeout'),
    ]);
    expect(look).toEqual([true, 4321, 1]);
  });

  row('H-269 destroy destroys the socket, with its error', async (b) => {
    const names: string[] = [];
    const server = await b.serve((req) => {
      req.on('error', (error) => names.push(`req ${error.message}`));
      req.socket.on('error', (error) => names.push(`socket ${error.message}`));
      req.destroy(new Error('boom'));
    });
    server.on('clientError', (error) => names.push(`clientError ${error.message}`));
    expect(await b.raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')).toBe('');
    expect(names).toEqual(['clientError boom', 'socket boom', 'req boom']);
  });
});
