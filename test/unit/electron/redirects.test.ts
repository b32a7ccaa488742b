import type { AuthInfo } from '../../../electron/transaction';
import { bodyOf, headsOf, Lab, OK, redirectTo, run, until, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

describe('redirects', () => {
  test.each([
    [301, 'GET'],
    [302, 'GET'],
    [303, 'GET'],
    [307, 'POST'],
    [308, 'POST'],
  ])('E-074: what is told of a %i', async (status, method) => {
    const { origin } = await wire(lab, [
      `HTTP/1.1 ${status} Moved\r\nLocation: /b?c#d\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 0\r\n\r\n`,
      OK,
    ]);
    const request = lab.post(origin);
    const told: unknown[][] = [];
    request.on('redirect', (...all) => told.push(all));
    await run(request, 'x');
    const headers = { location: ['/b?c#d'], 'x-two': ['1', '2'], 'content-length': ['0'] };
    expect(told).toEqual([[status, method, `${origin}/b?c#d`, headers]]);
  });

  test('E-053, E-075: manually, one that is continued at once is followed', async () => {
    const { origin } = await wire(lab, [redirectTo('/b'), OK]);
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

  test('E-053: each redirect wants a call of its own, and one too many does no harm', async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/b'), redirectTo('/c'), OK]);
    const both = lab.request({ url: origin, redirect: 'manual' });
    both.on('redirect', () => {
      both.followRedirect();
      both.followRedirect();
    });
    expect((await run(both)).status).toBe(200);
    expect(headsOf(requests)).toEqual(['GET / HTTP/1.1', 'GET /b HTTP/1.1', 'GET /c HTTP/1.1']);

    const again = await wire(lab, [redirectTo('/b'), redirectTo('/c'), OK]);
    const once = lab.request({ url: again.origin, redirect: 'manual' });
    once.once('redirect', () => once.followRedirect());
    expect((await run(once)).error?.message).toBe('Redirect was cancelled');
    expect(headsOf(again.requests)).toEqual(['GET / HTTP/1.1', 'GET /b HTTP/1.1']);
  });

  test.each(['follow', 'manual', 'error'] as const)(
    'E-053: outside of its own redirect it throws, whatever the mode (%s)',
    async (redirect) => {
      const { origin } = await wire(lab, [redirectTo('/b'), OK]);
      const request = lab.request({ url: origin, redirect });
      const other = lab.request({ url: origin, redirect });
      const refused = (): void => {
        expect(() => request.followRedirect()).toThrow(
          new Error('followRedirect() called, but was not waiting for a redirect'),
        );
      };
      let told = 0;
      const tell = (): void => {
        refused();
        told++;
      };
      request.on('redirect', () => {
        expect(() => other.followRedirect()).toThrow(/not waiting/);
        process.nextTick(tell);
        request.followRedirect();
      });
      for (const event of ['finish', 'response', 'error', 'close'] as const) request.on(event, tell);
      refused();
      const { error, status } = await run(request);
      expect([error === undefined, status]).toEqual(redirect === 'error' ? [false, undefined] : [true, 200]);
      expect(told).toBe(redirect === 'error' ? 3 : 4);
      refused();
      other.abort();
    },
  );

  test('E-053: followRedirect is for redirects; where they are followed anyway it changes nothing', async () => {
    const { origin } = await wire(lab, [redirectTo('/b'), OK]);
    const request = lab.request(origin);
    expect(() => request.followRedirect()).toThrow('followRedirect() called, but was not waiting for a redirect');
    request.on('redirect', () => request.followRedirect());
    let late: unknown;
    request.on('response', () => {
      try {
        request.followRedirect();
      } catch (error) {
        late = error;
      }
    });
    expect((await run(request)).status).toBe(200);
    expect(late).toEqual(new Error('followRedirect() called, but was not waiting for a redirect'));
  });

  test('E-076: in mode error', async () => {
    const { origin } = await wire(lab, [redirectTo('/b')]);
    const { events, error } = await run(lab.request({ url: origin, redirect: 'error' }));
    expect(events).toEqual(['finish', 'error', 'close']);
    expect(error?.message).toBe("Attempted to redirect, but redirect policy was 'error'");
  });

  test('E-077: each hop is told, and the chain followed', async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/a'), redirectTo('b'), OK]);
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
      method === 'HEAD' ? 'HTTP/1.1 200 OK\r\n\r\n' : OK,
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
    const { origin, requests } = await wire(lab, [redirectTo('/b', 307), OK]);
    const request = lab.post(origin);
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
    const { origin } = await wire(lab, [redirectTo(Buffer.from('/é').toString('latin1')), OK]);
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

  test('E-081: another port is another origin', async () => {
    const second = await wire(lab);
    const first = await wire(lab, [redirectTo(second.origin)]);
    const headers = { Authorization: 'Bearer secret', Cookie: 'own=1', 'Proxy-Authorization': 'x', 'X-Any': '1' };
    await run(lab.request({ url: first.origin, headers }));
    expect(first.requests[0]).toMatch(/^Authorization: Bearer secret\r\nCookie: own=1\r\nProxy-Authorization: x\r$/m);
    expect(second.requests[0]).not.toMatch(/^(authorization|cookie|proxy-authorization):/im);
    expect(second.requests[0]).toMatch(/^X-Any: 1\r$/m);
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
      OK,
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
    const request = lab.post(first, { credentials: 'include' });
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
