import type { ClientRequest } from '../../../electron/client-request';
import type { IncomingMessage } from '../../../electron/incoming-message';
import type { ClientRequestOptions } from '../../../electron/options';
import type { AuthInfo, LoginCallback } from '../../../electron/transaction';
import { bodyOf, Lab, once, outcomeOf, run, until, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const post = (url: string, options: ClientRequestOptions = {}) => lab.request({ method: 'POST', url, ...options });
const redirectTo = (location: string, status = 302): string =>
  `HTTP/1.1 ${status} Away\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
const headsOf = (requests: readonly string[]): string[] => requests.map((text) => text.split('\r\n')[0]!);

test('E-060: a response comes once, and listeners may be added to it then', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const outcome = await run(lab.request(origin));
  expect(outcome.body).toBe('hello');
  expect(outcome.events).toEqual(['finish', 'response', 'response end', 'response close', 'close']);
});

test('without anybody to read it, a response goes nowhere and the request ends', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const request = lab.request(origin);
  request.end();
  await once(request, 'close');
});

describe('abort', () => {
  const events = async (request: ClientRequest, act: (request: ClientRequest) => void): Promise<string[]> => {
    const outcome = outcomeOf(request);
    act(request);
    return (await outcome).events;
  };

  test('E-051, E-052: before anything: abort, close', async () => {
    const { origin, requests } = await wire(lab);
    const request = lab.request(origin);
    expect(await events(request, () => request.abort())).toEqual(['abort', 'close']);
    expect(requests).toEqual([]);
  });

  test('E-052: in the tick of end(): nothing is sent', async () => {
    const { origin, requests } = await wire(lab);
    const request = lab.request(origin);
    const told = await events(request, () => {
      request.end();
      request.abort();
    });
    expect(told).toEqual(['finish', 'abort', 'close']);
    expect(requests).toEqual([]);
  });

  test('E-052: while it connects', async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    request.on('finish', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'abort', 'close']);
  });

  test('E-052: in the middle of an upload', async () => {
    let socket: NodeJS.EventEmitter | undefined;
    const origin = await lab.accept((accepted) => {
      socket = accepted.resume();
    });
    const request = post(origin);
    request.chunkedEncoding = true;
    request.once('upload-progress', () => request.abort());
    expect(await events(request, () => request.write(Buffer.alloc(1000)))).toEqual(['abort', 'close']);
    await once(socket!, 'close');
  });

  test('E-052: while the server thinks', async () => {
    let reached = (): void => {};
    const origin = await lab.serve(() => reached());
    const request = lab.request(origin);
    reached = () => request.abort();
    expect(await events(request, () => request.end())).toEqual(['finish', 'abort', 'close']);
  });

  test.each(['response', 'data'])(
    "E-052, E-089, E-091: at the response's %s it is told 'aborted', and never 'end'",
    async (when) => {
      const origin = await lab.serve((_request, response) => void response.write('part'));
      const request = lab.request(origin);
      request.on('response', (response) => {
        if (when === 'response') request.abort();
        else response.on('data', () => request.abort());
      });
      const told = ['finish', 'response', 'abort', 'response aborted', 'response close', 'close'];
      expect(await events(request, () => request.end())).toEqual(told);
    },
  );

  test("at the response's end it has nothing left to abort there", async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    request.on('response', (response) => response.on('end', () => request.abort()));
    const told = ['finish', 'response', 'response end', 'abort', 'response close', 'close'];
    expect((await events(request, () => request.end())).sort()).toEqual(told.sort());
  });

  test("E-080: in 'redirect' there is no further hop", async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/next')]);
    const request = lab.request(origin);
    request.on('redirect', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'redirect', 'abort', 'close']);
    expect(headsOf(requests)).toEqual(['GET / HTTP/1.1']);
  });

  test("in 'login', and before the answer to it", async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request(origin);
    let answer: LoginCallback | undefined;
    request.on('login', (_info, callback) => {
      answer = callback;
      request.abort();
    });
    expect(await events(request, () => request.end())).toEqual(['finish', 'login', 'abort', 'close']);
    answer!('u', 'p');
  });

  test("in 'error': abort, and close as ever", async () => {
    const request = lab.request('http://127.0.0.1:1');
    request.on('error', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'error', 'abort', 'close']);
  });

  test('E-051, E-071, E-073: once; and after close nothing happens any more', async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    const told = await events(request, () => {
      request.abort();
      request.abort();
    });
    expect(told).toEqual(['abort', 'close']);
    request.on('error', () => told.push('late error'));
    request.abort();
    request.write('x');
    request.end();
    const done = lab.request(origin);
    const after = await events(done, () => done.end());
    done.abort();
    done.destroy(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([told.length, after.at(-1)]).toEqual([2, 'close']);
  });

  test('nothing can be written after it, and callbacks learn of that', async () => {
    const request = post('http://127.0.0.1:1');
    const outcome = outcomeOf(request);
    request.abort();
    const error = await new Promise<unknown>((resolve) => request.write('x', resolve));
    expect(error).toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
    expect((await outcome).events).toEqual(['abort', 'close']);
  });

  test('destroy is abort, with an error an error', async () => {
    const { origin } = await wire(lab);
    const one = lab.request(origin);
    expect(await events(one, () => one.destroy())).toEqual(['abort', 'close']);
    const two = lab.request(origin);
    expect(await events(two, () => two.destroy(new Error('mine')))).toEqual(['error', 'close']);
  });

  test('a destroyed response ends its request and its connection', async () => {
    let closed = false;
    const origin = await lab.serve((request, response) => {
      request.socket.on('close', () => {
        closed = true;
      });
      response.write('part');
    });
    const request = lab.request(origin);
    request.on('response', (response) => response.destroy());
    expect(await events(request, () => request.end())).toEqual(['finish', 'response', 'response close', 'close']);
    await until(() => closed);
  });
});

describe('login', () => {
  const challenge = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="the realm"\r\nContent-Length: 4\r\n\r\nnope';
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  /** Lets in who has the password. */
  const guarded = (): Promise<string> =>
    lab.serve(async (request, response) => {
      const body = await bodyOf(request);
      if (request.headers.authorization === `Basic ${Buffer.from('user:right').toString('base64')}`) {
        response.end(`${body.length} bytes`);
      } else {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="the realm"' }).end('no entry');
      }
    });

  test('E-061 to E-063: who asks is told, and the answer is sent', async () => {
    const { origin, requests } = await wire(lab, [challenge, ok]);
    const request = lab.request(origin);
    const infos: AuthInfo[] = [];
    request.on('login', (info, callback) => {
      infos.push(info);
      callback('user', 'pass');
    });
    const { events, status, body } = await run(request);
    const port = Number(new URL(origin).port);
    expect(infos).toEqual([{ isProxy: false, scheme: 'basic', host: '127.0.0.1', port, realm: 'the realm' }]);
    expect(events).toEqual(['finish', 'login', 'response', 'response end', 'response close', 'close']);
    expect([status, body]).toEqual([200, 'ok']);
    expect(requests.join('').match(/^Authorization: .*/gm)).toEqual([
      `Authorization: Basic ${Buffer.from('user:pass').toString('base64')}`,
    ]);
  });

  test.each([
    ['an empty answer', (callback: LoginCallback) => callback()],
    ['an answer without a password', (callback: LoginCallback) => callback('user')],
  ])('E-064: %s gives the response that there is', async (_name, answer) => {
    const { origin, requests } = await wire(lab, [challenge]);
    const request = lab.request(origin);
    request.on('login', (_info, callback) => answer(callback));
    const { status, body } = await run(request);
    expect([status, body, headsOf(requests).length]).toEqual([401, 'nope', 1]);
  });

  test('E-065: so does nobody who listens', async () => {
    const { origin } = await wire(lab, [challenge]);
    const { status, body, events } = await run(lab.request(origin));
    expect([status, body]).toEqual([401, 'nope']);
    expect(events).toEqual(['finish', 'response', 'response end', 'response close', 'close']);
  });

  test('E-066: the answer may come later', async () => {
    const request = lab.request(await guarded());
    request.on('login', (_info, callback) => setTimeout(() => callback('user', 'right'), 5));
    expect((await run(request)).status).toBe(200);
  });

  test('a first wrong answer is asked about again; only the first call counts', async () => {
    const request = lab.request(await guarded());
    let asked = 0;
    request.on('login', (_info, callback) => {
      callback('user', asked++ === 0 ? 'wrong' : 'right');
      callback('somebody', 'else');
    });
    expect([(await run(request)).status, asked]).toEqual([200, 2]);
  });

  test('E-067: without credentials nobody is asked', async () => {
    const { origin } = await wire(lab, [challenge]);
    const request = lab.request({ url: origin, credentials: 'omit' });
    let asked = 0;
    request.on('login', () => asked++);
    let field: unknown;
    request.on('response', (response) => {
      field = response.headers['www-authenticate'];
    });
    expect([(await run(request)).status, asked, field]).toEqual([401, 0, 'Basic realm="the realm"']);
  });

  test.each([
    ['buffered', false],
    ['chunked', true],
  ])('E-068: the body is sent again, %s', async (_name, chunked) => {
    const request = post(await guarded());
    request.chunkedEncoding = chunked;
    request.on('login', (_info, callback) => callback('user', 'right'));
    expect((await run(request, Buffer.alloc(300_000))).body).toBe('300000 bytes');
  });

  test('E-068: even one that is still being written', async () => {
    const request = post(await guarded().then(() => wireThatAsksEarly()));
    request.chunkedEncoding = true;
    const outcome = outcomeOf(request);
    request.write('abc');
    const [, callback] = (await once(request, 'login')) as [AuthInfo, LoginCallback];
    request.write('def');
    callback('user', 'right');
    request.end('ghi');
    expect((await outcome).body).toBe('9 bytes');
  });

  const wireThatAsksEarly = (): Promise<string> =>
    lab.serve(async (request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      } else {
        response.end(`${(await bodyOf(request)).length} bytes`);
      }
    });

  test('E-069: credentials that were accepted are not asked for again, nor is the challenge', async () => {
    const { origin, requests } = await wire(lab, [challenge, ok]);
    const first = lab.request(origin);
    first.on('login', (_info, callback) => callback('user', 'right'));
    await run(first);
    const second = lab.request(origin);
    let asked = 0;
    second.on('login', () => asked++);
    expect([(await run(second)).status, asked]).toEqual([200, 0]);
    expect(headsOf(requests)).toHaveLength(3);
  });

  test('credentials in the URL are tried, once, before anybody is asked', async () => {
    const origin = await guarded();
    const good = lab.request(origin.replace('//', '//user:right@'));
    let asked = 0;
    good.on('login', () => asked++);
    expect([(await run(good)).status, asked]).toEqual([200, 0]);
    lab.session.credentials.clear();
    const bad = lab.request(origin.replace('//', '//user:wr%6Fng@'));
    bad.on('login', (_info, callback) => {
      asked++;
      callback();
    });
    expect([(await run(bad)).status, asked]).toEqual([401, 1]);
  });

  test('a server that is never content is asked only a few times in silence', async () => {
    const { origin, requests } = await wire(lab, [challenge]);
    // A session that gives the same credentials whatever was rejected: each nonce is stale, say.
    lab.session.credentialsFor = () => ({ username: 'u', password: 'p' });
    expect((await run(lab.request(origin))).status).toBe(401);
    expect(headsOf(requests).length).toBeLessThan(6);
  });

  test('a challenge that cannot be answered is a response', async () => {
    for (const field of ['Negotiate', 'Basic', 'nonsense "', '']) {
      const { origin } = await wire(lab, [
        `HTTP/1.1 401 No\r\nWWW-Authenticate: ${field}\r\nContent-Length: 0\r\n\r\n`,
      ]);
      const request = lab.request(origin);
      request.on('login', () => {
        throw new Error('not to be asked');
      });
      expect((await run(request)).status).toBe(401);
    }
  });

  test('a 407 from an origin is just a response', async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request(origin);
    request.on('login', () => {
      throw new Error('not to be asked');
    });
    expect((await run(request)).status).toBe(407);
  });

  test('the server goes away while somebody thinks: the response breaks, nothing hangs', async () => {
    const { origin, sockets } = await wire(lab, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 9\r\n\r\npart',
    ]);
    const request = lab.request(origin);
    request.on('login', (_info, callback) => {
      sockets[0]!.end();
      sockets[0]!.once('close', () => callback());
    });
    expect((await run(request)).error?.message).toBe('net::ERR_CONTENT_LENGTH_MISMATCH');
  });
});

describe('redirects', () => {
  test('E-074: what is told of one', async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 301 Moved\r\nLocation: /b?c#d\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = post(origin);
    const told: unknown[][] = [];
    request.on('redirect', (...all) => told.push(all));
    await run(request, 'x');
    expect(told).toEqual([
      [301, 'GET', `${origin}/b?c#d`, expect.objectContaining({ location: ['/b?c#d'], 'x-two': ['1', '2'] })],
    ]);
  });

  test('E-053, E-075: manually, one that is continued at once is followed', async () => {
    const { origin } = await wire(lab, [redirectTo('/b'), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
    const request = lab.request({ url: origin, redirect: 'manual' });
    request.on('redirect', () => request.followRedirect());
    const { events, status } = await run(request);
    expect([events, status]).toEqual([
      ['finish', 'redirect', 'response', 'response end', 'response close', 'close'],
      200,
    ]);
  });

  test('E-075: manually, one that is not is cancelled, and later it is too late', async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/b')]);
    const request = lab.request({ url: origin, redirect: 'manual' });
    let late: unknown;
    request.on('redirect', () => {
      process.nextTick(() => {
        try {
          request.followRedirect();
        } catch (error) {
          late = error;
        }
      });
    });
    const { events, error } = await run(request);
    expect([events, error?.message]).toEqual([['finish', 'redirect', 'error', 'close'], 'Redirect was cancelled']);
    expect((late as Error).message).toBe('followRedirect() called, but was not waiting for a redirect');
    expect(headsOf(requests)).toHaveLength(1);
  });

  test('E-053: followRedirect is for redirects; where they are followed anyway it changes nothing', async () => {
    const { origin } = await wire(lab, [redirectTo('/b'), 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
    const request = lab.request(origin);
    expect(() => request.followRedirect()).toThrow('followRedirect() called, but was not waiting for a redirect');
    request.on('redirect', () => request.followRedirect());
    expect((await run(request)).status).toBe(200);
  });

  test('E-076: in mode error', async () => {
    const { origin } = await wire(lab, [redirectTo('/b')]);
    const { events, error } = await run(lab.request({ url: origin, redirect: 'error' }));
    expect(events).toEqual(['finish', 'error', 'close']);
    expect(error?.message).toBe("Attempted to redirect, but redirect policy was 'error'");
  });

  test('E-077: each hop is told, and the chain followed', async () => {
    const { origin, requests } = await wire(lab, [
      redirectTo('/a'),
      redirectTo('b'),
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request(`${origin}/x/`);
    const urls: string[] = [];
    request.on('redirect', (_status, _method, url) => urls.push(url));
    await run(request);
    expect(urls).toEqual([`${origin}/a`, `${origin}/b`]);
    expect(headsOf(requests)).toEqual(['GET /x/ HTTP/1.1', 'GET /a HTTP/1.1', 'GET /b HTTP/1.1']);
  });

  test('E-077: twenty are followed, the next is one too many', async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/')]);
    const { error } = await run(lab.request(origin));
    expect(error?.message).toBe('net::ERR_TOO_MANY_REDIRECTS');
    expect(headsOf(requests)).toHaveLength(21);
  });

  test.each([
    [301, 'POST', 'GET', false],
    [302, 'POST', 'GET', false],
    [303, 'POST', 'GET', false],
    [303, 'PUT', 'GET', false],
    [301, 'PUT', 'PUT', true],
    [302, 'DELETE', 'DELETE', true],
    [307, 'POST', 'POST', true],
    [308, 'PUT', 'PUT', true],
    [301, 'HEAD', 'HEAD', false],
    [303, 'HEAD', 'HEAD', false],
    [308, 'GET', 'GET', false],
  ])('E-078: %i after %s asks for %s', async (status, method, next, body) => {
    const { origin, requests } = await wire(lab, [
      redirectTo('/b', status),
      method === 'HEAD' ? 'HTTP/1.1 200 OK\r\n\r\n' : 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request({ url: origin, method, headers: { 'Content-Type': 'text/x', 'X-Kept': '1' } });
    const sends = method !== 'GET' && method !== 'HEAD';
    await run(request, sends ? 'body' : undefined);
    const second = requests[1]!;
    expect(second.split(' ')[0]).toBe(next);
    expect(second).toContain('X-Kept: 1');
    const same = next === method;
    expect([second.includes('Content-Type'), second.endsWith('\r\n\r\nbody')]).toEqual([same, body]);
    expect(second.includes('Content-Length')).toBe(body);
  });

  test('E-078: a body of chunks goes along with 307', async () => {
    const { origin, requests } = await wire(lab, [
      redirectTo('/b', 307),
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = post(origin);
    request.chunkedEncoding = true;
    await run(request, 'body');
    expect(requests.join('').match(/4\r\nbody\r\n0\r\n\r\n/g)).toHaveLength(2);
  });

  test.each(['file:///etc/passwd', 'data:,x', 'about:blank', 'blob:x', 'javascript:1'])(
    'E-079: not to %s',
    async (url) => {
      const { origin } = await wire(lab, [redirectTo(url)]);
      const { error, events } = await run(lab.request(origin));
      expect([error?.message, events]).toEqual(['net::ERR_UNSAFE_REDIRECT', ['finish', 'error', 'close']]);
    },
  );

  test('a Location that is no URL', async () => {
    const { origin } = await wire(lab, [redirectTo('http://[')]);
    expect((await run(lab.request(origin))).error?.message).toBe('net::ERR_INVALID_REDIRECT');
  });

  test.each([300, 304, 305, 306, 399])('%i is no redirect, and neither is one without Location', async (status) => {
    const { origin } = await wire(lab, [redirectTo('/b', status)]);
    expect((await run(lab.request(origin))).status).toBe(status);
    const bare = await wire(lab, ['HTTP/1.1 302 Nowhere\r\nContent-Length: 0\r\n\r\n']);
    expect((await run(lab.request(bare.origin))).status).toBe(302);
  });

  test('a Location in UTF-8 is read as that; the fragment goes along', async () => {
    const { origin } = await wire(lab, [
      redirectTo(Buffer.from('/é').toString('latin1')),
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request(`${origin}/#part`);
    let told = '';
    request.on('redirect', (_status, _method, url) => {
      told = url;
    });
    await run(request);
    expect(told).toBe(`${origin}/%C3%A9#part`);
  });

  test('E-081: cookies are those of each host, what was meant for one origin stays there', async () => {
    const second = await wire(lab, ['HTTP/1.1 200 OK\r\nSet-Cookie: second=1\r\nContent-Length: 0\r\n\r\n']);
    const elsewhere = second.origin.replace('127.0.0.1', 'localhost');
    const first = await wire(lab, [
      `HTTP/1.1 302 Away\r\nSet-Cookie: first=1\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n`,
      redirectTo(`${elsewhere}/`),
    ]);
    lab.session.storeCookies(new URL('http://localhost'), ['other=1']);
    lab.session.credentials.set(new URL(first.origin).host, { username: 'u', password: 'p' });
    const headers = { Authorization: 'Bearer secret', Cookie: 'own=1', 'Proxy-Authorization': 'x', 'X-Any': '1' };
    await run(lab.request({ url: first.origin, useSessionCookies: true, headers }));
    const [one, two] = first.requests;
    expect(one).toMatch(/Cookie: own=1\r/);
    expect(two).toMatch(/Cookie: first=1\r/);
    expect(two).toMatch(/Authorization: Basic dTpw\r/);
    expect(second.requests[0]).toMatch(/Cookie: other=1\r/);
    expect(second.requests[0]).not.toMatch(/authorization|own=1/i);
    expect(second.requests[0]).toMatch(/X-Any: 1\r/);
    expect([...lab.session.cookies.get('localhost')!.keys()]).toEqual(['other', 'second']);
  });

  test('E-081: an answer to one origin is not given to the next', async () => {
    const second = await wire(lab);
    const first = await wire(lab, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
      redirectTo(second.origin),
    ]);
    const request = lab.request(first.origin);
    request.on('login', (_info, callback) => callback('user', 'secret'));
    expect((await run(request)).status).toBe(200);
    expect(first.requests[1]).toMatch(/^Authorization: /m);
    expect(second.requests[0]).not.toMatch(/Authorization/);
  });

  test('a redirect whose body never ends keeps its connection no longer than the request lasts', async () => {
    let closed = false;
    const origin = await lab.serve((request, response) => {
      if (request.url === '/b') {
        response.end('ok');
        return;
      }
      request.socket.on('close', () => {
        closed = true;
      });
      response.writeHead(302, { Location: '/b' }).write('a little');
    });
    expect((await run(lab.request(origin))).body).toBe('ok');
    await until(() => closed);
  });

  test('the Referer is what the policy of the redirecting server allows', async () => {
    const { origin, requests } = await wire(lab, [
      'HTTP/1.1 302 Away\r\nReferrer-Policy: nonsense, no-referrer\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    await run(lab.request({ url: origin, headers: { Referer: `${origin}/page` } }));
    expect(requests.join('').match(/^Referer: .*/gm)).toEqual([`Referer: ${origin}/page`]);
  });

  test('three hops across hosts with cookies and a login', async () => {
    const last = await lab.serve(async (request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="last"' }).end();
      } else response.end(`${request.method} ${request.headers.cookie} ${await bodyOf(request)}`);
    });
    const middle = await lab.serve((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(307, { Location: `${last}/c`, 'Set-Cookie': 'b=2' }).end();
      });
    });
    const first = await lab.serve((request, response) => {
      const Location = middle.replace('127.0.0.1', 'localhost');
      request.resume().on('end', () => response.writeHead(308, { Location, 'Set-Cookie': 'a=1' }).end());
    });
    const request = post(first, { credentials: 'include' });
    const asked: AuthInfo[] = [];
    request.on('login', (info, callback) => {
      asked.push(info);
      setImmediate(() => callback('u', 'p'));
    });
    const { events, body } = await run(request, 'the body');
    expect(body).toBe('POST a=1 the body');
    expect(asked.map(({ realm }) => realm)).toEqual(['last']);
    expect(events).toEqual([
      'finish',
      'redirect',
      'redirect',
      'login',
      'response',
      'response end',
      'response close',
      'close',
    ]);
  });
});

test('E-072: what could not be sent is error, then close, without a response', async () => {
  const { events, error } = await run(lab.request('http://127.0.0.1:1'));
  expect(events).toEqual(['finish', 'error', 'close']);
  expect(error?.message).toBe('net::ERR_CONNECTION_REFUSED');
});

test('E-073: close comes after everything, and once', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const request = lab.request(origin);
  const responses: IncomingMessage[] = [];
  request.on('response', (response) => responses.push(response));
  const { events } = await run(request);
  const late: string[] = [];
  expect(responses).toHaveLength(1);
  for (const name of ['data', 'end', 'aborted', 'error', 'close', 'download-progress']) {
    responses[0]!.on(name, () => late.push(`response ${name}`));
  }
  for (const name of ['response', 'finish', 'abort', 'error', 'close', 'redirect', 'login', 'upload-progress']) {
    request.on(name, () => late.push(name));
  }
  request.abort();
  request.write('x');
  request.end();
  request.destroy();
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(late).toEqual([]);
  expect(events.at(-1)).toBe('close');
});

test('E-082: an error after the body was sent is told', async () => {
  const origin = await lab.accept((socket) => void socket.once('data', () => socket.destroy()));
  const { events, error } = await run(post(origin), 'x');
  expect(events).toEqual(['finish', 'error', 'close']);
  expect(error?.message).toBe('net::ERR_EMPTY_RESPONSE');
});
