/** Servers and proxies that mean harm, against requests with real sessions. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { wire } from '../lab';
import { EVERYTHING, Place } from './place';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.close());

const NO = 'Content-Length: 0\r\n\r\n';
const fieldOf = (text: string, name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'im').exec(text)?.[1];

/** The same server under another name. */
const elsewhere = (origin: string, host = 'other.test'): string => origin.replace('127.0.0.1', host);

describe('E-069 E-081: credentials stay where they belong', () => {
  /** An origin that asks for Basic, and lets in; then redirects as it is told. */
  async function asking(location: () => string): Promise<{ origin: string; seen: [string, string | undefined][] }> {
    const seen: [string, string | undefined][] = [];
    const origin = await place.serve((request: IncomingMessage, response: ServerResponse) => {
      const { authorization, host } = request.headers;
      seen.push([`${host!.replace(/:.*/, '')}${request.url}`, authorization]);
      if (authorization === undefined) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
      else response.writeHead(302, { Location: location() }).end();
    });
    return { origin, seen };
  }

  test('a redirect to another host takes none along, the same realm or not', async () => {
    const { origin, seen } = await asking(() => elsewhere(`${origin}/taken`));
    const { status, logins } = await place.ask({ url: `${origin}/a`, login: [['u', 'p']] });
    expect([status, logins.map((one) => one.host)]).toEqual([401, ['127.0.0.1', 'other.test']]);
    expect(seen).toEqual([
      ['127.0.0.1/a', undefined],
      ['127.0.0.1/a', 'Basic dTpw'],
      ['other.test/taken', undefined],
    ]);
  });

  test('nor one to another port', async () => {
    const thief = await wire(place);
    const { origin } = await asking(() => `${thief.origin}/taken`);
    await place.ask({ url: `${origin}/a`, login: [['u', 'p']] });
    expect(fieldOf(thief.requests[0]!, 'authorization')).toBeUndefined();
  });

  test('a Digest that names other servers as its domain gets nothing sent there', async () => {
    const thief = await wire(place);
    const { origin } = await wire(place, [
      `HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth", domain="${elsewhere(thief.origin)}/ ${thief.origin}/ /"\r\n${NO}`,
      `HTTP/1.1 200 OK\r\n${NO}`,
    ]);
    expect((await place.ask({ url: origin, login: [['u', 'p']] })).status).toBe(200);
    for (const url of [thief.origin, elsewhere(thief.origin)]) await place.ask({ url });
    expect(thief.requests.map((text) => fieldOf(text, 'authorization'))).toEqual([undefined, undefined]);
  });

  test('an origin cannot ask for the proxy’s: 407 from it is a response like any other', async () => {
    const { origin, requests } = await wire(place, [
      `HTTP/1.1 407 Log in\r\nProxy-Authenticate: Basic realm="gate"\r\n${NO}`,
    ]);
    const { status, logins } = await place.ask({ url: origin, login: [['u', 'p']] });
    expect([status, logins, requests.length]).toEqual([407, [], 1]);
  });

  test('and an origin behind a tunnel, or a bypass, never sees them', async () => {
    const proxy = await place.proxy((given) => (given === undefined ? ['Basic realm="gate"'] : null));
    const { origin, requests } = await wire(place);
    await place.own.setProxy({ proxyRules: proxy.address, proxyBypassRules: EVERYTHING });
    await place.ask({ url: origin, login: [['u', 'p']] });
    await place.own.setProxy({ mode: 'direct' });
    await place.ask({ url: `${origin}/direct` });
    expect(requests.map((text) => fieldOf(text, 'proxy-authorization'))).toEqual([undefined, undefined]);
  });
});

describe('E-061: servers that ask again and again', () => {
  test.each([
    ['Basic', 'Basic realm="r"'],
    ['Digest', 'Digest realm="r", nonce="same", qop="auth"'],
    ['the same stale nonce', 'Digest realm="r", nonce="same", qop="auth", stale=true'],
  ])('%s: once for each answer, then the 401', async (_, challenge) => {
    const { origin, requests } = await wire(place, [`HTTP/1.1 401 No\r\nWWW-Authenticate: ${challenge}\r\n${NO}`]);
    const wrong: [string, string][] = [
      ['u', '1'],
      ['u', '2'],
    ];
    const { status, logins } = await place.ask({ url: origin, login: wrong });
    expect([status, logins.length, requests.length]).toEqual([401, 3, 3]);
    expect(place.own._core.auth.size).toBe(0);
  });

  test('a nonce that is stale every time: not for ever', async () => {
    let nonce = 0;
    const origin = await place.serve((_, response) => {
      response
        .writeHead(401, { 'WWW-Authenticate': `Digest realm="r", nonce="n${nonce++}", qop="auth", stale=true` })
        .end();
    });
    const { status, logins } = await place.ask({ url: origin, login: [['u', 'p']] });
    expect([status, logins.length]).toEqual([401, 2]);
    expect(nonce).toBeLessThan(10);
  });

  test('a realm of a new name each time', async () => {
    let realm = 0;
    const origin = await place.serve((_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': `Basic realm="r${realm++}"` }).end();
    });
    const answers = Array.from({ length: 30 }, (): [string, string] => ['u', 'p']);
    const { status, logins } = await place.ask({ url: origin, login: answers });
    expect([status, logins.length]).toEqual([401, 31]);
    expect(place.own._core.auth.size).toBeLessThanOrEqual(20);
  });

  test('a challenge of 100 KB is too much of a head; one of 15 KB is answered', async () => {
    const challenge = (bytes: number): string =>
      `HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="${'r'.repeat(bytes)}"\r\n${NO}`;
    const big = await wire(place, [challenge(100_000)]);
    expect((await place.ask({ url: big.origin, login: [] })).error?.message).toBe('net::ERR_RESPONSE_HEADERS_TOO_BIG');
    const small = await wire(place, [challenge(15_000), `HTTP/1.1 200 OK\r\n${NO}`]);
    const { status, logins } = await place.ask({ url: small.origin, login: [['u', 'p']] });
    expect([status, logins[0]!.realm.length]).toEqual([200, 15_000]);
  });

  test('a thousand challenges in one response', async () => {
    const fields = Array.from({ length: 1000 }, (_, i) => `X${i} a=b`).join(', ');
    const { origin } = await wire(place, [`HTTP/1.1 401 No\r\nWWW-Authenticate: ${fields}\r\n${NO}`]);
    expect(await place.ask({ url: origin, login: [] })).toMatchObject({ status: 401, logins: [] });
  });
});

test('E-061: a nextnonce is used for what follows, through a proxy as well as without', async () => {
  const digest = (nonce: string): string => `Digest realm="r", nonce="${nonce}", qop="auth"`;
  const answered = (kind: string, nonce: string): string => `HTTP/1.1 200 OK\r\n${kind}: nextnonce="${nonce}"\r\n${NO}`;
  for (const [through, status, asks, info, sends] of [
    [false, 401, 'WWW-Authenticate', 'Authentication-Info', 'authorization'],
    [true, 407, 'Proxy-Authenticate', 'Proxy-Authentication-Info', 'proxy-authorization'],
  ] as const) {
    const asking = `HTTP/1.1 ${status} No\r\n${asks}: ${digest('first')}\r\n${NO}`;
    const moved = answered(info, 'second').replace('200 OK', '302 Away').replace('\r\n', '\r\nLocation: /b\r\n');
    const server = await wire(place, [asking, moved, answered(info, 'third'), answered(info, 'fourth')]);
    const { host } = new URL(server.origin);
    if (through) await place.own.setProxy({ proxyRules: host, proxyBypassRules: EVERYTHING });
    const url = through ? 'http://far.test' : server.origin;
    expect((await place.ask({ url: `${url}/a`, login: [['u', 'p']] })).status).toBe(200);
    expect((await place.ask({ url: `${url}/c`, login: [] })).status).toBe(200);
    const used = server.requests.map((text) => /nonce="(\w+)"/.exec(fieldOf(text, sends) ?? '')?.[1]);
    expect(used).toEqual([undefined, 'first', 'second', 'third']);
  }
});

describe('E-063: what nobody can type', () => {
  test.each([
    ['a\r\nX-Evil: 1', 'p'],
    ['a', 'p\r\n\r\nGET /evil HTTP/1.1'],
    ['a:b', 'p'],
  ])('name %j, password %j: an error, nothing of it is sent, and the session is none the worse', async (name, word) => {
    const { origin, requests } = await wire(place, [
      `HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\n${NO}`,
      `HTTP/1.1 200 OK\r\n${NO}`,
    ]);
    const { error } = await place.ask({ url: origin, login: [[name, word]] });
    expect(error?.message).toBe('net::ERR_INVALID_ARGUMENT');
    expect((await place.ask({ url: origin })).status).toBe(200);
    expect(requests.join('')).not.toMatch(/evil/i);
    expect(requests).toHaveLength(2);
  });

  test('a URL’s name and password cannot end a line either', async () => {
    const { origin, requests } = await wire(place, [
      `HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\n${NO}`,
      `HTTP/1.1 200 OK\r\n${NO}`,
    ]);
    const { error } = await place.ask({ url: origin.replace('//', '//a%0d%0aX-Evil:1@') });
    expect(error?.message).toBe('net::ERR_INVALID_ARGUMENT');
    expect(requests).toHaveLength(1);
  });
});

describe('E-081 E-103: cookies', () => {
  test('E-081: each hop has its own, and sets its own', async () => {
    const seen: (string | undefined)[] = [];
    const origin = await place.serve((request, response) => {
      seen.push(`${request.url} ${request.headers.cookie}`);
      const next = { '/1': elsewhere(`${origin}/2`), '/2': `${origin}/3` }[request.url!];
      const fields = [
        `at${request.url!.slice(1)}=x; Path=/`,
        'wide=x; Domain=test; Path=/',
        'a=x; Domain=127.0.0.1.evil',
      ];
      response.writeHead(next === undefined ? 200 : 302, { 'Set-Cookie': fields, Location: next ?? '' }).end();
    });
    for (const _ of [1, 2]) await place.ask({ url: `${origin}/1`, useSessionCookies: true });
    expect(seen).toEqual([
      '/1 undefined',
      '/2 undefined',
      '/3 at1=x',
      '/1 at1=x; at3=x',
      '/2 at2=x',
      '/3 at1=x; at3=x',
    ]);
  });

  test('E-104: a response with as many cookies as a head takes, again and again', async () => {
    let round = 0;
    const origin = await place.serve((_, response) => {
      const fields = Array.from({ length: 300 }, (_none, i) => `c${round}-${i}=${'v'.repeat(20)}`);
      round++;
      response.writeHead(200, { 'Set-Cookie': fields }).end();
    });
    for (let i = 0; i < 5; i++) {
      expect((await place.ask({ url: origin, useSessionCookies: true })).status).toBe(200);
    }
    expect((await place.own.cookies.get()).length).toBeLessThanOrEqual(180);
  });

  test('E-103: one Set-Cookie that is too long is passed over', async () => {
    const { origin } = await wire(place, [
      `HTTP/1.1 200 OK\r\nSet-Cookie: big=${'x'.repeat(10_000)}\r\nSet-Cookie: small=1\r\n${NO}`,
    ]);
    await place.ask({ url: origin, useSessionCookies: true });
    expect((await place.own.cookies.get()).map((cookie) => cookie.name)).toEqual(['small']);
  });

  test('E-020: without being asked none goes along, and none is kept', async () => {
    const { origin, requests } = await wire(place, [`HTTP/1.1 200 OK\r\nSet-Cookie: n=1\r\n${NO}`]);
    await place.own.cookies.set({ url: origin, name: 'own' });
    await place.ask({ url: origin });
    expect(fieldOf(requests[0]!, 'cookie')).toBeUndefined();
    expect(await place.own.cookies.get({ name: 'n' })).toEqual([]);
  });
});

test('E-077: a circle of redirects that sets a cookie each time comes to an end', async () => {
  let hops = 0;
  const origin = await place.serve((_, response) => {
    response.writeHead(302, { Location: '/again', 'Set-Cookie': `hop${hops++}=1` }).end();
  });
  const { error } = await place.ask({ url: origin, useSessionCookies: true });
  expect(error?.message).toBe('net::ERR_TOO_MANY_REDIRECTS');
  expect(hops).toBe(21);
});

test('E-100: a proxy that redirects or sets cookies in answer to CONNECT is not believed', async () => {
  const evil = await wire(place, [
    `HTTP/1.1 302 Away\r\nLocation: http://evil.test/\r\nSet-Cookie: evil=1; Domain=a.test\r\n${NO}`,
  ]);
  await place.own.setProxy({ proxyRules: new URL(evil.origin).host });
  const { error, events } = await place.ask({ url: 'https://www.a.test/', useSessionCookies: true });
  expect(error?.message).toBe('net::ERR_TUNNEL_CONNECTION_FAILED');
  expect(events).not.toContain('redirect');
  expect(await place.own.cookies.get()).toEqual([]);
});
