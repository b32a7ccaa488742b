import { urlPattern } from '../../../electron/url-pattern';
import type { ResponseDetails, WebRequest, WebRequestDetails } from '../../../electron/web-request';
import { headsOf, Lab, OK, outcomeOf, redirectTo, run, until, wire } from './lab';

let lab: Lab;
let web: WebRequest;
beforeEach(() => {
  lab = new Lab();
  web = lab.session.webRequest;
});
afterEach(() => lab.close());

const ALL = { urls: ['<all_urls>'] };

describe('E-102: webRequest: what is told', () => {
  /** Every event, with what `show` makes of it. */
  function logAll(): string[] {
    const log: string[] = [];
    const note = (name: string, { id, url, method, resourceType }: WebRequestDetails, more = ''): void => {
      log.push([name, id - first(id), method, new URL(url).pathname, resourceType, more].join(' ').trim());
    };
    let lowest: number | undefined;
    const first = (id: number): number => (lowest ??= id);
    const head = ({ statusCode, statusLine }: ResponseDetails): string => `${statusCode} "${statusLine}"`;
    web.onBeforeRequest((details, callback) => {
      note('before', details, details.uploadData.map(({ bytes }) => bytes.toString()).join('+'));
      callback({});
    });
    web.onBeforeSendHeaders((details, callback) => {
      note('beforeSend', details);
      callback({});
    });
    web.onSendHeaders((details) => note('send', details));
    web.onHeadersReceived((details, callback) => {
      note('received', details, head(details));
      callback({});
    });
    web.onBeforeRedirect((details) => note('redirect', details, new URL(details.redirectURL).pathname));
    web.onResponseStarted((details) => note('started', details, head(details)));
    web.onCompleted((details) => note('completed', details, details.error));
    web.onErrorOccurred((details) => note('error', details, details.error));
    return log;
  }

  test('the life of a request, its redirect and its login', async () => {
    const { origin } = await wire(lab, [
      redirectTo('/b', 307),
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\nbody',
    ]);
    const log = logAll();
    const request = lab.post(`${origin}/a`);
    request.on('login', (_info, callback) => callback('u', 'p'));
    expect((await run(request, 'sent')).body).toBe('body');
    expect(log).toEqual([
      'before 0 POST /a other sent',
      'beforeSend 0 POST /a other',
      'send 0 POST /a other',
      'received 0 POST /a other 307 "HTTP/1.1 307 Away"',
      'redirect 0 POST /a other /b',
      'before 0 POST /b other sent',
      'beforeSend 0 POST /b other',
      'send 0 POST /b other',
      'received 0 POST /b other 401 "HTTP/1.1 401 No"',
      'beforeSend 0 POST /b other',
      'send 0 POST /b other',
      'received 0 POST /b other 200 "HTTP/1.1 200 Fine"',
      'started 0 POST /b other 200 "HTTP/1.1 200 Fine"',
      'completed 0 POST /b other net::OK',
    ]);
  });

  test('a failure, and an abort', async () => {
    const log = logAll();
    await run(lab.request('http://127.0.0.1:1/'));
    const origin = await lab.serve((_request, response) => void response.write('part'));
    const request = lab.request(`${origin}/b`);
    request.on('response', () => request.abort());
    await run(request);
    expect(log.filter((line) => /^(error|completed)/.test(line))).toEqual([
      'error 0 GET / other net::ERR_CONNECTION_REFUSED',
      'error 1 GET /b other net::ERR_ABORTED',
    ]);
  });

  test('a body that breaks is a failure, one that cannot be decoded too', async () => {
    const log = logAll();
    const cut = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart'], true);
    await run(lab.request(cut.origin));
    const bad = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope']);
    await run(lab.request(bad.origin));
    expect(log.filter((line) => /^(error|completed)/.test(line))).toEqual([
      'error 0 GET / other net::ERR_CONTENT_LENGTH_MISMATCH',
      'error 1 GET / other net::ERR_CONTENT_DECODING_FAILED',
    ]);
  });

  test('nothing is told of a request that was never sent', async () => {
    const log = logAll();
    const request = lab.request('http://127.0.0.1:1/');
    const outcome = outcomeOf(request);
    request.abort();
    await outcome;
    expect(log).toEqual([]);
  });

  test('the fields of a head, as they are sent and as they came', async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 200 OK\r\nX-Two: 1\r\nconstructor: c\r\nX-Two: 2\r\n__proto__: p\r\nContent-Length: 0\r\n\r\n',
    ]);
    let sent: object = {};
    let came: object = {};
    web.onSendHeaders(({ requestHeaders, referrer }) => {
      sent = { ...requestHeaders, referrer };
    });
    web.onHeadersReceived(({ responseHeaders }, callback) => {
      came = { ...responseHeaders };
      callback({});
    });
    await run(lab.request({ url: origin, headers: { 'X-List': ['a', 'b'], Referer: 'http://from.test/' } }));
    expect(sent).toMatchObject({ 'X-List': 'a, b', 'User-Agent': 'lab', referrer: 'http://from.test/' });
    expect(Object.keys(sent)).not.toContain('Host');
    expect(Object.entries(came)).toEqual([
      ['X-Two', ['1', '2']],
      ['constructor', ['c']],
      ['__proto__', ['p']],
      ['Content-Length', ['0']],
    ]);
  });
});

describe('E-102: webRequest: what is changed', () => {
  test('a request that is cancelled is never sent', async () => {
    const { origin, requests } = await wire(lab);
    web.onBeforeRequest((_details, callback) => callback({ cancel: true }));
    const { error, events } = await run(lab.request(origin));
    expect([error?.message, events]).toEqual(['net::ERR_BLOCKED_BY_CLIENT', ['finish', 'error', 'close']]);
    web.onBeforeRequest(null);
    web.onBeforeSendHeaders((_details, callback) => callback({ cancel: true }));
    expect((await run(lab.request(origin))).error?.message).toBe('net::ERR_BLOCKED_BY_CLIENT');
    expect(requests).toEqual([]);
    web.onBeforeSendHeaders(null);
    web.onHeadersReceived((_details, callback) => callback({ cancel: true }));
    expect((await run(lab.request(origin))).error?.message).toBe('net::ERR_BLOCKED_BY_CLIENT');
    expect(requests).toHaveLength(1);
  });

  test('another URL is a redirect, with the body', async () => {
    const there = await wire(lab);
    web.onBeforeRequest(({ url }, callback) =>
      callback(url.endsWith('/a') ? { redirectURL: `${there.origin}/b` } : {}),
    );
    const request = lab.post('http://nowhere.invalid/a');
    const told: unknown[] = [];
    request.on('redirect', (...all) => told.push(...all));
    expect((await run(request, 'body')).status).toBe(200);
    expect(there.requests[0]).toMatch(/^POST \/b HTTP\/1\.1\r\n[\s\S]*\r\n\r\nbody$/);
    const fields = { location: [`${there.origin}/b`], 'non-authoritative-reason': ['WebRequest API'] };
    expect(told).toEqual([307, 'POST', `${there.origin}/b`, fields]);
  });

  test.each([
    ['file:///etc/passwd', 'net::ERR_UNSAFE_REDIRECT'],
    ['http://[', 'net::ERR_INVALID_REDIRECT'],
  ])('not to %s', async (redirectURL, message) => {
    web.onBeforeRequest((_details, callback) => callback({ redirectURL }));
    expect((await run(lab.request('http://127.0.0.1:1/'))).error?.message).toBe(message);
  });

  test('one that leads to itself leads on; one round in circles ends', async () => {
    const { origin, requests } = await wire(lab);
    web.onBeforeRequest((_details, callback) => callback({ redirectURL: `${origin}/same` }));
    expect((await run(lab.request(`${origin}/a`))).status).toBe(200);
    expect(headsOf(requests)).toEqual(['GET /same HTTP/1.1']);
    let n = 0;
    web.onBeforeRequest((_details, callback) => callback({ redirectURL: `${origin}/${n++}` }));
    expect((await run(lab.request(`${origin}/a`))).error?.message).toBe('net::ERR_TOO_MANY_REDIRECTS');
  });

  test('fields are sent as they are given back, but for what delimits the message', async () => {
    const { origin, requests } = await wire(lab);
    web.onBeforeSendHeaders(({ requestHeaders }, callback) => {
      const { 'User-Agent': agent, ...rest } = requestHeaders;
      callback({
        requestHeaders: { ...rest, 'x-Added': ['1', '2'], 'X-Agent': agent!, 'Content-Length': '99', host: 'else' },
      });
    });
    expect((await run(lab.post(origin), 'body')).status).toBe(200);
    const [head] = requests[0]!.split('\r\n\r\n');
    expect(head).toMatch(/^Host: 127\.0\.0\.1:\d+$/m);
    expect(head!.match(/^(x-added|x-agent|user-agent|content-length|host: else).*$/gim)).toEqual([
      'Content-Length: 4',
      'x-Added: 1',
      'x-Added: 2',
      'X-Agent: lab',
    ]);
  });

  test('what cannot stand in a field is a failure, and nothing is sent', async () => {
    const { origin, received } = await wire(lab);
    web.onBeforeSendHeaders((_details, callback) => callback({ requestHeaders: { 'X-A': 'b\r\nX-B: c' } }));
    expect((await run(lab.request(origin))).error?.message).toBe('net::ERR_INVALID_ARGUMENT');
    expect(received.join('')).toBe('');
  });

  test('a head may be another one: status, fields, cookies, where it leads', async () => {
    const { origin, requests } = await wire(lab, [OK, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody']);
    web.onHeadersReceived(({ url }, callback) => {
      if (url.endsWith('/a')) {
        callback({ statusLine: 'HTTP/1.1 302 Away', responseHeaders: { Location: ['/b'], 'Set-Cookie': 'n=1' } });
      } else {
        callback({
          responseHeaders: { 'X-Two': ['1', '2'], 'content-type': 'text/x' },
          statusLine: 'HTTP/1.1 404 Gone',
        });
      }
    });
    const request = lab.request({ url: `${origin}/a`, useSessionCookies: true });
    const seen: unknown[] = [];
    request.on('response', ({ statusCode, statusMessage, headers, rawHeaders }) => {
      seen.push(statusCode, statusMessage, { ...headers }, rawHeaders);
    });
    expect((await run(request)).body).toBe('body');
    expect(headsOf(requests)).toEqual(['GET /a HTTP/1.1', 'GET /b HTTP/1.1']);
    expect(requests[1]).toMatch(/^Cookie: n=1\r$/m);
    const raw = ['X-Two', '1', 'X-Two', '2', 'content-type', 'text/x'];
    expect(seen).toEqual([404, 'Gone', { 'x-two': '1, 2', 'content-type': 'text/x' }, raw]);
  });

  test('a status line without fields changes nothing, nor does one that is none', async () => {
    const { origin } = await wire(lab);
    web.onHeadersReceived((_details, callback) => callback({ statusLine: 'HTTP/1.1 500 No' }));
    expect((await run(lab.request(origin))).status).toBe(200);
    web.onHeadersReceived((_details, callback) => callback({ statusLine: 'nonsense', responseHeaders: {} }));
    expect((await run(lab.request(origin))).status).toBe(200);
  });

  test('an answer may come later, and counts once', async () => {
    const { origin, requests } = await wire(lab);
    const later = (callback: (answer: object) => void): void => {
      setImmediate(() => {
        callback({});
        callback({ cancel: true });
      });
    };
    web.onBeforeRequest((_details, callback) => later(callback));
    web.onBeforeSendHeaders((_details, callback) => later(callback));
    web.onHeadersReceived((_details, callback) => later(callback));
    expect((await run(lab.request(origin))).status).toBe(200);
    expect(requests).toHaveLength(1);
  });

  test.each(['onBeforeRequest', 'onBeforeSendHeaders', 'onHeadersReceived'] as const)(
    'who never answers %s holds it up, and an abort ends that',
    async (event) => {
      const { origin } = await wire(lab);
      let asked = false;
      const request = lab.request(origin);
      web[event](((_details: object, callback: (answer: object) => void) => {
        asked = true;
        request.on('close', () => callback({}));
      }) as never);
      const outcome = outcomeOf(request);
      request.end();
      await until(() => asked);
      request.abort();
      expect((await outcome).events).toEqual(['finish', 'abort', 'close']);
      expect(lab.session.tracked.size).toBe(0);
    },
  );
});

describe('E-102: webRequest: for whom', () => {
  test('by URL, by type; the last listener counts', async () => {
    const { origin } = await wire(lab);
    const { port } = new URL(origin);
    const blocked = async (path: string): Promise<boolean> =>
      (await run(lab.request(origin + path))).error?.message === 'net::ERR_BLOCKED_BY_CLIENT';
    const block = (_details: object, callback: (answer: object) => void): void => callback({ cancel: true });
    web.onBeforeRequest({ urls: ['*://127.0.0.1/a*'], excludeUrls: ['*://*/abc'] }, block);
    expect([await blocked('/a'), await blocked('/ab?c'), await blocked('/abc'), await blocked('/b')]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    web.onBeforeRequest({ urls: [`http://127.0.0.1:${port}/`] }, block);
    expect([await blocked('/'), await blocked('/a')]).toEqual([true, false]);
    web.onBeforeRequest({ ...ALL, types: ['xhr'] }, block);
    expect(await blocked('/')).toBe(false);
    web.onBeforeRequest({ ...ALL, types: ['xhr', 'other'] }, block);
    expect(await blocked('/')).toBe(true);
    web.onBeforeRequest(ALL, null);
    expect(await blocked('/')).toBe(false);
  });

  test.each([
    ['*://*.foo.test/*', 'https://foo.test/', true],
    ['*://*.foo.test/*', 'https://a.b.foo.test/x', true],
    ['*://*.foo.test/*', 'https://barfoo.test/', false],
    ['http://*/*', 'https://foo.test/', false],
    ['HTTPS://Foo.Test/*', 'https://foo.test/', true],
    ['https://foo.test:443/*', 'https://foo.test/', true],
    ['https://foo.test:444/*', 'https://foo.test/', false],
    ['http://foo.test/a.c', 'http://foo.test/abc', false],
    ['http://foo.test/*.png?x=*', 'http://foo.test/b/c.png?x=1', true],
    ['http://[::1]:80/*', 'http://[::1]/', true],
    ['http://foo.test/ab*bc', 'http://foo.test/abc', false],
    ['http://foo.test/ab*bc', 'http://foo.test/abbc', true],
    ['http://foo.test/*a*a*a*a*b', `http://foo.test/${'a'.repeat(60_000)}`, false],
    ['<all_urls>', 'http://foo.test/', true],
  ])('%s and %s: %s', (pattern, url, fits) => {
    expect(urlPattern(pattern)(new URL(url))).toBe(fits);
  });

  test.each(['', 'foo.test', 'http://foo.test', 'http:///x', 'http://a*b/', 'http://*a/', 'http://a:b/'])(
    '"%s" is no pattern',
    (pattern) => {
      expect(() => web.onCompleted({ urls: [pattern] }, () => {})).toThrow(
        new TypeError(`Invalid url pattern ${pattern}`),
      );
    },
  );

  test('what is no listener is refused', () => {
    expect(() => web.onCompleted('x' as never)).toThrow('Must pass null or a Function');
    expect(() => web.onCompleted({} as never, () => {})).toThrow('onCompleted: the filter has no list of urls');
  });
});
