import { Writable } from 'node:stream';
import type { ClientRequestOptions } from '../../../electron/options';
import { cert, key } from '../http/tls-identity';
import { Lab, OK, once, PlainSession, redirectTo, run, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const requestWith = (options: object): (() => unknown) => {
  return () => lab.request(options as ClientRequestOptions);
};

test('E-001: a request is a Writable, and what is piped into it is its body', async () => {
  const { origin, received } = await wire(lab);
  const { Readable } = await import('node:stream');
  const request = lab.request({ method: 'POST', url: origin });
  expect(request).toBeInstanceOf(Writable);
  Readable.from(['abc', 'def']).pipe(request);
  await once(request, 'close');
  expect(received[0]).toMatch(/\r\nContent-Length: 6\r\n(.*\r\n)+\r\nabcdef$/);
});

test('E-002: without a stack that is up there are no requests', () => {
  lab.host.close();
  expect(() => lab.request('http://localhost/')).toThrow(
    'net module can only be used while the stack is started: this host is closed',
  );
});

test('E-003: request(url, listener) and request(options, listener); the listener hears of one response', async () => {
  const { origin } = await wire(lab);
  for (const input of [`${origin}/`, new URL(origin), { url: origin }]) {
    const statuses: number[] = [];
    const request = lab.electron.request(input, (response) => {
      statuses.push(response.resume().statusCode);
    });
    request.end();
    await once(request, 'close');
    expect(statuses).toEqual([200]);
    expect(request.listenerCount('response')).toBe(0);
  }
});

test.each(['/relative', 'nonsense', ''])('E-004: "%s" is no absolute URL', (url) => {
  expect(() => lab.request(url)).toThrow('Invalid URL');
});

test('E-005: the method is sent in capitals; GET is the default; what is no token is refused', async () => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ method: 'post', url: origin }));
  await run(lab.request({ url: origin }));
  expect(received.join('').match(/^[A-Z]+ \/ HTTP\/1.1/gm)).toEqual(['POST / HTTP/1.1', 'GET / HTTP/1.1']);
  // What follows from the method does so in whatever letters it was asked for.
  const moved = await wire(lab, ['HTTP/1.1 302 Away\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n', OK]);
  const request = lab.request({ method: 'post', url: moved.origin });
  const methods: string[] = [];
  request.on('redirect', (_status, method) => methods.push(method));
  await run(request, 'x');
  expect([methods, moved.requests[1]?.split(' ')[0]]).toEqual([['GET'], 'GET']);
  expect(requestWith({ method: 'A B', url: origin })).toThrow('Invalid method "A B"');
  expect(requestWith({ method: 7, url: origin })).toThrow(TypeError);
});

test('E-006: url wins over the parts, and href is another name for it', async () => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ url: `${origin}/whole`, host: 'nowhere.invalid', path: '/part' }));
  await run(lab.request({ href: `${origin}/href`, hostname: 'nowhere.invalid' }));
  await run(lab.request({ url: `${origin}/url`, href: 'http://nowhere.invalid/' }));
  expect(received.join('').match(/^GET .*/gm)).toEqual([
    'GET /whole HTTP/1.1',
    'GET /href HTTP/1.1',
    'GET /url HTTP/1.1',
  ]);
});

test('E-007, E-014: parts and URL give the same bytes', async () => {
  const { origin, received } = await wire(lab);
  const { port } = new URL(origin);
  await run(lab.request(`${origin}/a/b?c=d`));
  await run(
    lab.request({ method: 'GET', protocol: 'http:', hostname: '127.0.0.1', port: Number(port), path: '/a/b?c=d' }),
  );
  await run(lab.request({ method: 'GET', protocol: 'http:', host: `127.0.0.1:${port}`, path: '/a/b?c=d' }));
  const all = received.join('');
  const one = all.slice(0, all.length / 3);
  expect(one).toMatch(/^GET \/a\/b\?c=d HTTP\/1.1\r\nHost: 127.0.0.1:\d+\r\n/);
  expect(all).toBe(one.repeat(3));
});

test('E-008: the protocol is http: unless it says https:', async () => {
  const plain = new URL(await lab.serve((_, response) => response.end('plain'))).port;
  const secure = await lab.listen(
    lab.modules.https.createServer({ key, cert }, (_, response) => response.end('secure')),
  );
  const bodyAt = async (port: number, protocol: object): Promise<string> =>
    (await run(lab.request({ hostname: 'localhost', port, ...protocol }))).body;
  expect(await bodyAt(Number(plain), {})).toBe('plain');
  expect(await bodyAt(Number(plain), { protocol: 'http:' })).toBe('plain');
  expect(await bodyAt(secure, { protocol: 'https:' })).toBe('secure');
  expect(requestWith({ protocol: 'https:', hostname: 'localhost' })).not.toThrow();
  expect(requestWith({ hostname: 'localhost' })).not.toThrow();
  expect(requestWith({ protocol: 'http', hostname: 'localhost' })).toThrow(/only supports/);
});

test('E-009: host wins over hostname and port', async () => {
  const { origin } = await wire(lab);
  const { status } = await run(lab.request({ host: new URL(origin).host, hostname: 'nowhere.invalid', port: 1 }));
  expect(status).toBe(200);
});

test('E-010: the host is localhost when none is given', async () => {
  const { origin, received } = await wire(lab);
  const { port } = new URL(origin);
  await run(lab.request({ port }));
  expect(received[0]).toContain(`\r\nHost: localhost:${port}\r\n`);
});

test("E-011: the port is the scheme's unless one is given", async () => {
  const server = lab.modules.http.createServer((_request, response) => response.end());
  server.listen(80, '127.0.0.1');
  await once(server, 'listening');
  expect((await run(lab.request({ hostname: '127.0.0.1' }))).status).toBe(200);
  server.close();
  const secure = lab.modules.https.createServer({ key, cert }, (_request, response) => response.end());
  secure.listen(443, '127.0.0.1');
  await once(secure, 'listening');
  expect((await run(lab.request({ protocol: 'https:', hostname: '127.0.0.1' }))).status).toBe(200);
  secure.close();
  expect(requestWith({ hostname: 'localhost', port: 70_000 })).toThrow('Invalid URL');
});

test.each(['a/b', 'user@c', 'a?b', 'a#b', 'a\\b', 'a b'])('E-009, E-010: "%s" is no host', (host) => {
  expect(requestWith({ host })).toThrow(TypeError);
  expect(requestWith({ hostname: host })).toThrow(TypeError);
});

test('E-012: the path is "/" by default, has no spaces, and what looks like a host in it is none', async () => {
  expect(requestWith({ path: '/a b' })).toThrow(new TypeError('Request path contains unescaped characters'));
  const { origin, received } = await wire(lab);
  const { port } = new URL(origin);
  for (const path of [undefined, '/x?q=1#hash', 'y', '//other.invalid/z']) await run(lab.request({ port, path }));
  expect(received.join('').match(/^GET \S*/gm)).toEqual(['GET /', 'GET /x?q=1', 'GET /y', 'GET //other.invalid/z']);
});

test.each([
  ['file:///bar'],
  ['ftp://host/'],
  [{ protocol: 'file:', path: '/bar' }],
  [{ protocol: 'ftp:', host: 'a.test' }],
  [{ protocol: 'http', host: 'a.test' }],
  [{ url: 'file://bar' }],
  [{ url: 'data:,x' }],
])('E-013: %p is no http', (input) => {
  expect(() => lab.request(input as string)).toThrow('ClientRequest only supports http: and https: protocols');
});

test('E-015: headers is an object of what setHeader takes', async () => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ url: origin, headers: { 'X-One': 'a', 'X-Two': ['b', 'c'] } }));
  expect(received[0]).toContain('\r\nX-One: a\r\nX-Two: b\r\nX-Two: c\r\n');
  for (const headers of [null, 'x', 7, []]) {
    expect(requestWith({ url: origin, headers })).toThrow(new TypeError('headers must be an object'));
  }
  for (const value of [null, undefined]) {
    expect(requestWith({ url: origin, headers: { x: value } })).toThrow('`value` required in setHeader("x", value)');
  }
});

test('E-016: session is an instance of Session', () => {
  const wrong = new TypeError('`session` should be an instance of the Session class');
  expect(requestWith({ url: 'http://localhost', session: 1 })).toThrow(wrong);
  expect(requestWith({ url: 'http://localhost', session: {} })).toThrow(wrong);
  expect(requestWith({ url: 'http://localhost', session: new PlainSession(lab.modules) })).not.toThrow();
});

test('E-017: partition names a session, unless session is given', async () => {
  const { origin, received } = await wire(lab, ['HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n']);
  expect(requestWith({ url: origin, partition: 1 })).toThrow(new TypeError('`partition` should be a string'));
  const ask = (options: ClientRequestOptions): Promise<unknown> =>
    run(lab.request({ url: origin, useSessionCookies: true, ...options }));
  await ask({ partition: 'one' });
  await ask({ partition: 'one' });
  await ask({ partition: 'two' });
  await ask({ partition: 'one', session: lab.session });
  const cookies = received.map((text) =>
    text
      .split('GET')
      .slice(1)
      .map((head) => /Cookie: (.*)\r/.exec(head)?.[1]),
  );
  expect(cookies).toEqual([[undefined, 'a=1'], [undefined], [undefined]]);
});

describe('E-018, E-020, E-021: credentials', () => {
  const setsCookie = 'HTTP/1.1 200 OK\r\nSet-Cookie: fresh=1\r\nContent-Length: 0\r\n\r\n';
  const cases: [string, ClientRequestOptions, cookies: boolean, auth: boolean][] = [
    ['include', { credentials: 'include' }, true, true],
    ['omit', { credentials: 'omit' }, false, false],
    ['same-origin, from another origin', { credentials: 'same-origin', origin: 'http://other.test' }, false, false],
    ['unset', {}, false, true],
    ['useSessionCookies', { useSessionCookies: true }, true, true],
    [
      'useSessionCookies counts only without credentials',
      { useSessionCookies: true, credentials: 'omit' },
      false,
      false,
    ],
  ];
  test.each(cases)('%s', async (_name, options, cookies, auth) => {
    const { origin, received } = await wire(lab, [setsCookie]);
    lab.session.storeCookies(new URL(origin), ['old=1']);
    lab.session.credentials.set(new URL(origin).host, { username: 'u', password: 'p' });
    await run(lab.request({ url: origin, ...options }));
    expect([received[0]!.includes('Cookie: old=1'), received[0]!.includes('Authorization: Basic dTpw')]).toEqual([
      cookies,
      auth,
    ]);
    expect(lab.session.cookies.get('127.0.0.1')!.has('fresh')).toBe(cookies);
  });

  test('E-018: same-origin, from the same origin', async () => {
    const { origin, received } = await wire(lab);
    lab.session.storeCookies(new URL(origin), ['old=1']);
    await run(lab.request({ url: origin, credentials: 'same-origin', origin: `${origin}/page` }));
    expect(received[0]).toContain('Cookie: old=1');
  });

  test('E-018: same-origin is judged at each hop', async () => {
    const second = await wire(lab);
    const elsewhere = second.origin.replace('127.0.0.1', 'localhost');
    const first = await wire(lab, [redirectTo(elsewhere)]);
    const { host } = new URL(elsewhere);
    lab.session.storeCookies(new URL(first.origin), ['old=1']);
    lab.session.storeCookies(new URL(elsewhere), ['other=1']);
    lab.session.credentials.set(host, { username: 'u', password: 'p' });
    await run(lab.request({ url: first.origin, credentials: 'same-origin', origin: first.origin }));
    expect(first.requests[0]).toContain('Cookie: old=1');
    expect(second.requests[0]).not.toMatch(/^(cookie|authorization):/im);
  });

  test('E-018: nothing else', () => {
    expect(requestWith({ url: 'http://localhost', credentials: 'some' })).toThrow(
      new TypeError('credentials should be one of include, omit or same-origin'),
    );
  });

  test('E-019: same-origin needs an origin', () => {
    expect(requestWith({ url: 'http://localhost', credentials: 'same-origin' })).toThrow(
      'credentials: same-origin requires origin to be set',
    );
  });
});

test('E-022: redirect is follow, error or manual', async () => {
  const away = 'HTTP/1.1 302 Away\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n';
  const endings = await Promise.all(
    ([undefined, 'follow', 'error', 'manual'] as const).map(async (redirect) => {
      const { origin } = await wire(lab, [away, OK]);
      const { status, error } = await run(lab.request({ url: origin, redirect }));
      return status ?? error?.message;
    }),
  );
  expect(endings).toEqual([
    200,
    200,
    "Attempted to redirect, but redirect policy was 'error'",
    'Redirect was cancelled',
  ]);
  expect(requestWith({ url: 'http://localhost', redirect: 'never' })).toThrow(
    'redirect mode should be one of follow, error or manual',
  );
});

test('E-023: an origin is told with what changes something, and to nobody once the chain has left it', async () => {
  const target = await wire(lab);
  const { origin, received } = await wire(lab, [
    OK,
    OK,
    `HTTP/1.1 307 Away\r\nLocation: ${target.origin}\r\nContent-Length: 0\r\n\r\n`,
  ]);
  const from = 'http://initiator.test';
  await run(lab.request({ url: origin, origin: from }));
  await run(lab.request({ url: origin, method: 'POST', origin: from }));
  await run(lab.request({ url: origin, method: 'POST', origin: from }));
  const seen = received
    .join('')
    .split(/(?=^[A-Z]+ \/ HTTP)/m)
    .map((head) => /^Origin: (.*)\r/m.exec(head)?.[1]);
  expect(seen).toEqual([undefined, from, from]);
  expect(target.received[0]).toContain('\r\nOrigin: null\r\n');
  expect(requestWith({ url: origin, origin: 7 })).toThrow(new TypeError('`origin` should be a string'));
});

test('E-024: the Referer that was set is told as far as the policy allows', async () => {
  const { origin, received } = await wire(lab);
  const ask = (options: ClientRequestOptions, referer: string): Promise<unknown> =>
    run(lab.request({ url: `${origin}/here`, headers: { Referer: referer }, ...options }));
  await ask({}, `${origin}/there?x#y`);
  await ask({}, 'http://other.test/secret');
  await ask({ referrerPolicy: 'no-referrer' }, `${origin}/there`);
  await ask({ referrerPolicy: 'unsafe-url' }, 'https://other.test/secret');
  const seen = received
    .join('')
    .split(/(?=^GET)/m)
    .map((head) => /^Referer: (.*)\r/m.exec(head)?.[1]);
  expect(seen).toEqual([`${origin}/there?x`, 'http://other.test/', undefined, 'https://other.test/secret']);
  expect(requestWith({ url: origin, referrerPolicy: 'all' })).toThrow(TypeError);
});

test.each([
  ['default', undefined, undefined],
  ['force-cache', undefined, undefined],
  ['no-cache', 'max-age=0', undefined],
  ['reload', 'no-cache', 'no-cache'],
  ['no-store', 'no-cache', 'no-cache'],
] as const)('E-025: cache %s asks caches on the way for %s', async (cache, control, pragma) => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ url: origin, cache }));
  expect(/^Cache-Control: (.*)\r/m.exec(received[0]!)?.[1]).toBe(control);
  expect(/^Pragma: (.*)\r/m.exec(received[0]!)?.[1]).toBe(pragma);
});

test('E-025: there is no cache to answer only-if-cached, and no other mode', async () => {
  const { error } = await run(lab.request({ url: 'http://127.0.0.1:1', cache: 'only-if-cached' }));
  expect(error).toMatchObject({ message: 'net::ERR_CACHE_MISS', code: 'ERR_CACHE_MISS' });
  expect(requestWith({ url: 'http://localhost', cache: 'never' })).toThrow(TypeError);
});

test('E-026: of what waits for a connection the most urgent goes first, the oldest among equals', async () => {
  const session = new PlainSession(lab.modules, { maxSockets: 1 });
  const { origin, received } = await wire(lab);
  const runs = (['idle', 'throttled', 'low', undefined, 'highest', 'highest'] as const).map((priority, i) =>
    run(lab.request({ url: `${origin}/${i}`, session, priority })),
  );
  await Promise.all(runs);
  session.agents.http.destroy();
  expect(received.join('').match(/^GET \/\d/gm)).toEqual(['0', '4', '5', '2', '3', '1'].map((i) => `GET /${i}`));
});

test('E-026, E-027: a priority that was asked for is told to the server', async () => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ url: origin }));
  await run(lab.request({ url: origin, priority: 'highest' }));
  await run(lab.request({ url: origin, priority: 'throttled', priorityIncremental: false }));
  const seen = received
    .join('')
    .split(/(?=^GET)/m)
    .map((head) => /^Priority: (.*)\r/m.exec(head)?.[1]);
  expect(seen).toEqual([undefined, 'u=0, i', 'u=5']);
  expect(requestWith({ url: origin, priority: 'urgent' })).toThrow('Unknown priority "urgent"');
});

test('E-028: bypassCustomProtocolHandlers is taken', async () => {
  const { origin } = await wire(lab);
  expect((await run(lab.request({ url: origin, bypassCustomProtocolHandlers: true }))).status).toBe(200);
});

describe('E-029: Sec-Fetch fields', () => {
  const fields = (text: string): (string | undefined)[] =>
    ['Site', 'Mode', 'Dest', 'User'].map((name) => new RegExp(`^Sec-Fetch-${name}: (.*)\\r`, 'm').exec(text)?.[1]);

  test('are sent when the session wants them', async () => {
    const { origin, received } = await wire(lab);
    await run(lab.request({ url: origin }));
    expect(fields(received[0]!)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test.each([
    ['', 'none'],
    ['same', 'same-origin'],
    ['https://127.0.0.1', 'cross-site'],
    ['http://127.0.0.1:9', 'same-site'],
    ['http://other.test', 'cross-site'],
  ])('tell where a request from "%s" comes from: %s', async (from, site) => {
    lab.session.browserHeaders = true;
    const { origin, received } = await wire(lab);
    await run(lab.request({ url: origin, origin: from === 'same' ? origin : from }));
    expect(fields(received[0]!)).toEqual([site, 'no-cors', 'empty', undefined]);
  });

  test('may be set, but no document without navigation', async () => {
    lab.session.browserHeaders = true;
    const { origin, received } = await wire(lab);
    const headers = { 'Sec-Fetch-Dest': 'document', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-User': '?1' };
    await run(lab.request({ url: origin, headers }));
    expect(fields(received[0]!)).toEqual(['none', 'navigate', 'document', '?1']);
    const { error } = await run(lab.request({ url: origin, headers: { 'Sec-Fetch-Dest': 'iframe' } }));
    expect(error?.message).toBe('net::ERR_INVALID_ARGUMENT');
  });
});

test('nothing at all, and no URL but null, is a request', () => {
  expect(() => lab.request(null as never)).toThrow(TypeError);
  expect(() => lab.request(undefined as never)).toThrow(TypeError);
});
