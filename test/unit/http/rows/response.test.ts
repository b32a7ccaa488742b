import { END_CALLS_BACK_FIRST } from '../../../../net/running-node';
import { type Bench, type Handler, row, soon, thrown, wrong } from './bench';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** What a handler makes of a GET, but for the date. */
async function answerOf(b: Bench, handler: Handler, request = GET): Promise<string> {
  await b.serve(handler);
  return (await b.raw(request)).replace(/Date: [^\r]*/, 'Date: X');
}

/** Calls a handler on a real response, and what it returns. */
async function inHandler<T>(b: Bench, task: (...args: Parameters<Handler>) => T): Promise<T> {
  let result: T | undefined;
  await b.serve((req, res) => {
    result = task(req, res);
    if (!res.writableEnded) res.end();
  });
  await b.raw(GET);
  return result!;
}

describe('responses', () => {
  row('H-199 a ServerResponse is an OutgoingMessage', async (b) => {
    const kinds = await inHandler(b, (_req, res) => [
      res instanceof b.http.ServerResponse,
      res instanceof b.http.OutgoingMessage,
    ]);
    expect(kinds).toEqual([true, true]);
  });

  row('H-200 H-201 H-202 the socket is there until the response is finished', async (b) => {
    const seen: unknown[] = [];
    await inHandler(b, (req, res) => {
      seen.push(res.socket === req.socket, res.connection === res.socket);
      res.on('finish', () => seen.push(res.socket));
      res.end();
      seen.push(res.socket === req.socket);
    });
    expect(seen).toEqual([true, true, true, null]);
  });

  row('H-203 H-204 status code and message', async (b) => {
    expect(await answerOf(b, (_req, res) => void Object.assign(res, { statusCode: 404 }).end())).toMatch(
      /^HTTP\/1.1 404 Not Found\r\n/,
    );
    expect(await answerOf(b, (_req, res) => void Object.assign(res, { statusCode: 599 }).end())).toMatch(
      /^HTTP\/1.1 599 unknown\r\n/,
    );
    const own = await answerOf(b, (_req, res) => {
      expect([res.statusCode, res.statusMessage]).toEqual([200, undefined]);
      res.statusMessage = 'Fine';
      res.end();
      expect([res.statusCode, res.statusMessage]).toEqual([200, 'Fine']);
    });
    expect(own).toMatch(/^HTTP\/1.1 200 Fine\r\n/);
  });

  row('H-205 H-206 H-207 ended, finished, sent', async (b) => {
    const seen: unknown[] = [];
    await inHandler(b, (_req, res) => {
      const look = (): void => void seen.push([res.writableEnded, res.writableFinished, res.headersSent]);
      look();
      res.on('finish', look);
      res.write('a');
      look();
      res.end();
      look();
      expect(() => {
        (res as { headersSent: boolean }).headersSent = false;
      }).toThrow(TypeError);
    });
    expect(seen).toEqual([
      [false, false, false],
      [false, false, true],
      [true, expect.any(Boolean), true],
      [true, true, true],
    ]);
  });

  row('H-208 Date is sent unless it is not wanted', async (b) => {
    expect(await answerOf(b, (_req, res) => void res.end())).toContain('\r\nDate: X\r\n');
    expect(await answerOf(b, (_req, res) => void Object.assign(res, { sendDate: false }).end())).not.toContain('Date');
    expect(await answerOf(b, (_req, res) => void res.setHeader('Date', 'mine').end())).toMatch(
      /^HTTP\/1.1 200 OK\r\nDate: X\r\nConn/,
    );
  });

  row('H-209 H-210 H-211 H-212 H-213 H-214 H-222 headers before they are sent', async (b) => {
    await inHandler(b, (_req, res) => {
      const list = ['1', '2'];
      expect(res.setHeader('Set-Cookie', list)).toBe(res);
      res.setHeader('X-Number', 5);
      res.setHeader('x-number', 6);
      expect([res.hasHeader('x-NUMBER'), res.hasHeader('none')]).toEqual([true, false]);
      expect([res.getHeader('X-Number'), res.getHeader('set-cookie')]).toEqual([6, list]);
      expect(res.getHeaderNames()).toEqual(['set-cookie', 'x-number']);
      const headers = res.getHeaders();
      expect(Object.getPrototypeOf(headers)).toBeNull();
      (headers['set-cookie'] as string[]).push('3');
      expect(res.getHeader('set-cookie')).toEqual(['1', '2', '3']);
      headers['x-number'] = 7;
      expect(res.getHeader('x-number')).toBe(6);
      res.removeHeader('X-Number');
      expect(res.hasHeader('x-number')).toBe(false);
    });
    const removed = await answerOf(b, (_req, res) => {
      for (const name of ['Date', 'Connection', 'Content-Length', 'Transfer-Encoding']) res.removeHeader(name);
      res.end('x');
    });
    expect(removed).toBe('HTTP/1.1 200 OK\r\n\r\nx');
  });

  row('H-215 H-232 what may not be sent is a TypeError', async (b) => {
    await inHandler(b, (_req, res) => {
      expect(`${thrown(() => res.setHeader('a b', 'x'))}`).toBe(
        'TypeError [ERR_INVALID_HTTP_TOKEN]: Header name must be a valid HTTP token ["a b"]',
      );
      expect(`${thrown(() => res.setHeader('a', 'x\r\ny'))}`).toBe(
        'TypeError [ERR_INVALID_CHAR]: Invalid character in header content ["a"]',
      );
      expect(`${thrown(() => res.writeHead(200, 'no\nway'))}`).toBe(
        'TypeError [ERR_INVALID_CHAR]: Invalid character in statusMessage',
      );
      res.statusMessage = 'OK';
      expect(thrown(() => res.writeHead(200, { 'a b': 'x' }))).toMatchObject({ code: 'ERR_INVALID_HTTP_TOKEN' });
    });
  });

  row('H-216 H-217 writeHead wins over setHeader, and stores nothing when it is alone', async (b) => {
    const both = await answerOf(b, (_req, res) => {
      res.setHeader('A', '1').setHeader('B', '2');
      res.writeHead(200, { a: '3' }).end();
    });
    expect(both).toMatch(/^HTTP\/1.1 200 OK\r\na: 3\r\nB: 2\r\n/);
    await inHandler(b, (_req, res) => {
      res.writeHead(200, { A: '1' });
      expect(res.getHeader('A')).toBeUndefined();
    });
  });

  row('H-218 H-219 H-220 H-221 trailers', async (b) => {
    const sent = await answerOf(b, (_req, res) => {
      res.writeHead(200, { Trailer: 'X-T' });
      res.write('a');
      res.addTrailers({ 'X-T': 'v' });
      res.end();
    });
    expect(sent).toMatch(/\r\n\r\n1\r\na\r\n0\r\nX-T: v\r\n\r\n$/);
    const dropped = await answerOf(b, (_req, res) => {
      res.setHeader('Content-Length', 1);
      res.addTrailers({ 'X-T': 'v' });
      res.end('a');
    });
    expect(dropped).toMatch(/\r\n\r\na$/);
    await inHandler(b, (_req, res) => {
      expect(thrown(() => res.addTrailers({ 'X-T': 'a\nb' }))).toMatchObject({ code: 'ERR_INVALID_CHAR' });
      expect(thrown(() => res.writeHead(200, { Trailer: 'X', 'Content-Length': '0' }))).toMatchObject({
        code: 'ERR_HTTP_TRAILER_INVALID',
      });
    });
  });

  row('H-223 flushHeaders sends the head', async (b) => {
    expect(await answerOf(b, (_req, res) => void res.flushHeaders())).toMatch(/Transfer-Encoding: chunked\r\n\r\n$/);
  });

  row('H-224 H-225 H-226 a timeout ends the connection, unless somebody listens to it', async (b) => {
    await b.serve((_req, res) => {
      expect(res.setTimeout(20)).toBe(res);
    });
    expect(await b.raw(GET)).toBe('');
    await b.serve((_req, res) => void res.setTimeout(20, () => res.end('late')));
    expect(await b.raw(GET)).toMatch(/late$/);
  });

  row('H-227 H-228 H-229 H-230 writeHead', async (b) => {
    const chained = await answerOf(b, (_req, res) => void res.writeHead(201, 'Made', { A: '1' }).end());
    expect(chained).toMatch(/^HTTP\/1.1 201 Made\r\nA: 1\r\n/);
    expect(await answerOf(b, (_req, res) => void res.writeHead(200, ['A', '1', 'A', '2'] as never).end())).toContain(
      '\r\nA: 1\r\nA: 2\r\n',
    );
    await inHandler(b, (_req, res) => {
      for (const code of [99, 1000, 'abc', null]) {
        expect(`${thrown(() => res.writeHead(wrong(code)))}`).toBe(
          `RangeError [ERR_HTTP_INVALID_STATUS_CODE]: Invalid status code: ${code}`,
        );
      }
      res.writeHead(wrong('202'));
      expect(res.statusCode).toBe(202);
      expect(`${thrown(() => res.writeHead(200))}`).toBe(
        'Error [ERR_HTTP_HEADERS_SENT]: Cannot write headers after they are sent to the client',
      );
    });
  });

  row('H-231 Content-Length counts bytes, and is not verified unless asked', async (b) => {
    expect(await answerOf(b, (_req, res) => void res.end('gr\u00fc\u00df'))).toContain('\r\nContent-Length: 6\r\n');
    expect(await answerOf(b, (_req, res) => void res.writeHead(200, { 'content-length': 9 }).end('ab'))).toMatch(
      /\r\n\r\nab$/,
    );
    await inHandler(b, (_req, res) => {
      res.strictContentLength = true;
      res.setHeader('Content-Length', 5);
      expect(`${thrown(() => res.end('ab'))}`).toBe(
        "Error [ERR_HTTP_CONTENT_LENGTH_MISMATCH]: Response body's content-length of 2 byte(s) does not match the content-length of 5 byte(s) set in header",
      );
      res.strictContentLength = false;
    });
  });

  row('H-233 H-234 H-235 H-237 H-238 H-239 pieces of a body', async (b) => {
    const called: string[] = [];
    const text = await answerOf(b, (_req, res) => {
      expect(res.write('a', () => called.push('a'))).toBe(true);
      res.write('6263', 'hex', () => called.push('bc'));
      res.write(Buffer.from('d'));
      res.end();
    });
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n.*chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n$/s);
    expect(called).toEqual(['a', 'bc']);
    const pieces: string[] = [];
    let goOn!: () => void;
    await b.serve((_req, res) => {
      res.write('first');
      goOn = () => void res.end('second');
    });
    await new Promise<void>((resolve) => {
      const socket = b.net.connect(b.port, '127.0.0.1');
      socket.on('data', (data) => {
        pieces.push(String(data));
        if (pieces.length === 1) goOn();
        if (pieces.length === 2) resolve(void socket.destroy());
      });
      socket.write(GET);
    });
    expect(pieces[0]).toMatch(/^HTTP.*\r\n5\r\nfirst\r\n$/s);
    expect(pieces[1]).toBe('6\r\nsecond\r\n0\r\n\r\n');
  });

  row('H-236 HEAD, 204 and 304 have no body', async (b) => {
    expect(await answerOf(b, (_req, res) => void res.end('body'), GET.replace('GET', 'HEAD'))).toMatch(/\r\n\r\n$/);
    for (const code of [204, 304]) {
      expect(await answerOf(b, (_req, res) => void res.writeHead(code).end('body'))).toMatch(/\r\n\r\n$/);
    }
    await b.serve(
      (_req, res) => {
        expect(thrown(() => res.end('body'))).toMatchObject({ code: 'ERR_HTTP_BODY_NOT_ALLOWED' });
        res.end();
      },
      { rejectNonStandardBodyWrites: true } as never,
    );
    await b.raw(GET.replace('GET', 'HEAD'));
  });

  row('H-240 write says false when much waits, drain tells when it does not', async (b) => {
    const seen: unknown[] = [];
    await b.serve((_req, res) => {
      res.on('drain', () => {
        seen.push('drain');
        res.end();
      });
      seen.push(res.write(Buffer.alloc(1_000_000)));
    });
    expect((await b.get()).text).toHaveLength(1_000_000);
    expect(seen).toEqual([false, 'drain']);
  });

  row('H-241 H-242 informational responses', async (b) => {
    const text = await answerOf(b, (_req, res) => {
      res.writeContinue();
      res.writeProcessing();
      res.writeEarlyHints({ link: ['</a>; rel=preload', '</b>; rel=preload'], 'x-a': '1' });
      res.end();
    });
    expect(text).toMatch(
      /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 103 Early Hints\r\nLink: <\/a>; rel=preload, <\/b>; rel=preload\r\nx-a: 1\r\n\r\nHTTP\/1.1 200 /,
    );
  });

  row('H-243 H-244 cork holds writes back, uncork lets them go together', async (b) => {
    await b.serve((_req, res) => {
      res.cork();
      expect(res.writableCorked).toBe(1);
      res.write('a');
      res.write('b');
      setTimeout(() => {
        res.uncork();
        expect(res.writableCorked).toBe(0);
        res.end();
      }, 40);
    });
    const early: number[] = [];
    const from = performance.now();
    await new Promise<void>((resolve) => {
      const socket = b.net.connect(b.port, '127.0.0.1');
      socket.on('data', (data) => {
        early.push(performance.now() - from);
        if (String(data).endsWith('0\r\n\r\n')) resolve(void socket.destroy());
      });
      socket.write(GET);
    });
    expect(early[0]).toBeGreaterThan(30);
  });

  row('H-245 H-246 end completes the response, with a last piece', async (b) => {
    expect(await answerOf(b, (_req, res) => void expect(res.end('all')).toBe(res))).toMatch(
      /Content-Length: 3\r\n\r\nall$/,
    );
    expect(await answerOf(b, (_req, res) => void res.writeHead(200).end('all'))).toMatch(
      /chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n$/,
    );
  });

  row('H-247 callbacks of end, and what comes after', async (b) => {
    const seen: string[] = [];
    await inHandler(b, (_req, res) => {
      res.on('error', (error: NodeJS.ErrnoException) => seen.push(`error ${error.code}`));
      res.on('finish', () => seen.push('finish'));
      res.end('x', () => seen.push('callback'));
      seen.push(`write ${res.write('y')}`);
      res.end((error?: NodeJS.ErrnoException) => seen.push(`again ${error?.code}`));
    });
    await soon(10);
    expect(seen[0]).toBe('write false');
    expect([...seen].sort()).toEqual([
      END_CALLS_BACK_FIRST ? 'again undefined' : 'again ERR_STREAM_ALREADY_FINISHED',
      'callback',
      'error ERR_STREAM_WRITE_AFTER_END',
      'finish',
      'write false',
    ]);
  });

  row('H-248 H-249 finish, then close; only close when the client is gone', async (b) => {
    const seen: string[] = [];
    await inHandler(b, (_req, res) => {
      for (const name of ['finish', 'close']) res.on(name, () => seen.push(name));
    });
    expect(seen).toEqual(['finish', 'close']);
    const gone: string[] = [];
    await b.serve((_req, res) => {
      for (const name of ['finish', 'close']) res.on(name, () => gone.push(name));
    });
    const request = b.request().on('error', () => {});
    request.end();
    await soon(20);
    request.destroy();
    await soon(20);
    expect(gone).toEqual(['close']);
  });
});
