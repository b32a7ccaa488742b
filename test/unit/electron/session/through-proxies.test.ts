import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { cert, key } from '../../http/tls-identity';
import { until } from '../lab';
import { EVERYTHING, Place } from './place';

let place: Place;
beforeEach(() => {
  place = new Place({ tls: { rejectUnauthorized: false } });
});
afterEach(() => place.close());

const useProxy = (rules: string): Promise<void> =>
  place.own.setProxy({ proxyRules: rules, proxyBypassRules: EVERYTHING });

/** Serves what it was asked for, over TLS. */
async function secureOrigin(): Promise<{ url: string; port: number }> {
  const server = place.modules.https.createServer({ key, cert }, (request, response) =>
    response.end(`secure ${request.method} ${request.url}`),
  );
  const port = await place.listen(server);
  return { url: `https://127.0.0.1:${port}`, port };
}
const echoOrigin = (): Promise<string> =>
  place.serve(async (request, response) => {
    response.end(`${request.method} ${request.url} ${request.headers.host} ${request.headers['proxy-authorization']}`);
  });

/** Asks for one name and password; says which fields to ask with. */
const basicGate = (realm = 'gate', wanted = 'Basic dTpw'): ((given: string | undefined) => string[] | null) => {
  return (given) => (given === wanted ? null : [`Basic realm="${realm}"`]);
};

describe('E-105: HTTP proxies', () => {
  test('http: goes in absolute form, over one kept connection for all origins', async () => {
    const proxy = await place.proxy();
    const [one, two] = [await echoOrigin(), await echoOrigin()];
    await useProxy(proxy.address);
    for (const url of [`${one}/a?b`, `${two}/c`]) {
      const { status, body } = await place.ask({ url });
      expect([status, body]).toEqual([200, `GET ${url.slice(url.indexOf('/', 8))} ${new URL(url).host} undefined`]);
    }
    expect(proxy.seen).toEqual([`GET ${one}/a?b`, `GET ${two}/c`]);
    expect(proxy.connections.length).toBe(1);
  });

  test('https: goes through a tunnel, and only the origin sees the request', async () => {
    const proxy = await place.proxy();
    const { url, port } = await secureOrigin();
    await useProxy(proxy.address);
    for (const path of ['/x', '/y']) expect((await place.ask({ url: url + path })).body).toBe(`secure GET ${path}`);
    expect(proxy.seen).toEqual([`CONNECT 127.0.0.1:${port}`]);
    expect(proxy.heads[0]).toMatchObject({ host: `127.0.0.1:${port}`, 'user-agent': place.own.getUserAgent() });
  });

  test('what bypasses them goes direct', async () => {
    const proxy = await place.proxy();
    const origin = await echoOrigin();
    await place.own.setProxy({ proxyRules: proxy.address });
    expect((await place.ask({ url: origin })).status).toBe(200);
    expect(proxy.seen).toEqual([]);
    expect(await place.own.resolveProxy(origin)).toBe('DIRECT');
    expect(await place.own.resolveProxy('http://a.test/')).toBe(`PROXY ${proxy.address}`);
  });

  test('when one cannot be reached the next is tried, and the last may be nobody', async () => {
    const proxy = await place.proxy();
    const origin = await echoOrigin();
    await useProxy(`127.0.0.1:1,${proxy.address}`);
    expect((await place.ask({ url: origin })).status).toBe(200);
    expect(proxy.seen).toHaveLength(1);
    await useProxy('127.0.0.1:1,direct://');
    expect((await place.ask({ url: origin })).status).toBe(200);
    const { url } = await secureOrigin();
    expect((await place.ask({ url })).status).toBe(200);
  });

  test('the one that failed is not tried first again, until the configuration is read anew', async () => {
    const proxy = await place.proxy();
    const origin = await echoOrigin();
    const dead = '127.0.0.1:1';
    await useProxy(`${dead},${proxy.address}`);
    const dialed: number[] = [];
    const { net } = place.modules;
    const connect = net.connect as (options: { port: number }) => Socket;
    (net as { connect: unknown }).connect = (options: { port: number }) => {
      dialed.push(options.port);
      return connect(options);
    };
    const closing = { Connection: 'close' };
    for (let i = 0; i < 3; i++) expect((await place.ask({ url: origin, headers: closing })).status).toBe(200);
    expect(dialed.filter((port) => port === 1)).toHaveLength(1);
    expect(await place.own.resolveProxy(origin)).toBe(`PROXY ${proxy.address}; PROXY ${dead}`);
    expect(await place.real.fromPartition('other').resolveProxy(origin)).toBe('DIRECT');
    await place.own.forceReloadProxyConfig();
    expect(await place.own.resolveProxy(origin)).toBe(`PROXY ${dead}; PROXY ${proxy.address}`);
  });

  test('E-100: none can be reached', async () => {
    const { url } = await secureOrigin();
    await useProxy('127.0.0.1:1,nowhere.invalid:80');
    for (const target of [url, 'http://a.test/']) {
      expect((await place.ask({ url: target })).error?.message).toBe('net::ERR_PROXY_CONNECTION_FAILED');
    }
  });

  test.each([
    ['HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', 'net::ERR_TUNNEL_CONNECTION_FAILED'],
    [
      'HTTP/1.1 302 Away\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n',
      'net::ERR_TUNNEL_CONNECTION_FAILED',
    ],
    ['nonsense\r\n\r\n', 'net::ERR_TUNNEL_CONNECTION_FAILED'],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 'net::ERR_TUNNEL_CONNECTION_FAILED'],
    ['', 'net::ERR_TUNNEL_CONNECTION_FAILED'],
  ])('E-100: a proxy that does not answer CONNECT (%#)', async (answer, message) => {
    const closed: boolean[] = [];
    const origin = await place.accept((socket) => {
      socket.on('close', () => closed.push(true));
      socket.once('data', () => socket.end(answer));
    });
    await useProxy(new URL(origin).host);
    const { error } = await place.ask({ url: 'https://a.test/' });
    expect(error?.message).toBe(message);
    await until(() => closed.length === 1);
    expect(place.real.requestSession(place.own)).toMatchObject({ pending: new Set() });
  });

  test('E-100: a proxy that resets the connection instead of an answer to CONNECT', async () => {
    const origin = await place.accept((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await useProxy(new URL(origin).host);
    const { error } = await place.ask({ url: 'https://a.test/' });
    expect(error?.message).toBe('net::ERR_TUNNEL_CONNECTION_FAILED');
  });

  test('E-100: any success opens the tunnel (RFC 9110, section 9.3.6)', async () => {
    const { url, port } = await secureOrigin();
    const origin = await place.accept((socket) => {
      socket.once('data', () => {
        const through = place.modules.net.connect(port, '127.0.0.1');
        socket.write('HTTP/1.1 299 As you wish\r\n\r\n');
        socket.pipe(through).on('error', () => {});
        through.pipe(socket);
      });
    });
    await useProxy(new URL(origin).host);
    expect((await place.ask({ url: `${url}/x` })).body).toBe('secure GET /x');
  });

  test('a proxy over TLS', async () => {
    const { http } = place.modules;
    const seen: string[] = [];
    const server = place.modules.https.createServer({ key, cert }, (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      http.get(request.url!, (answer) => answer.pipe(response));
    });
    const port = await place.listen(server);
    const origin = await echoOrigin();
    await useProxy(`https://127.0.0.1:${port}`);
    expect((await place.ask({ url: `${origin}/x` })).body).toMatch(/^GET \/x /);
    expect(seen).toEqual([`GET ${origin}/x`]);
  });
});

describe('E-061 E-062 E-069: credentials for proxies', () => {
  test.each(['http', 'https'])('Basic, %s: asked once, then known', async (kind) => {
    const proxy = await place.proxy(basicGate());
    const origin = kind === 'http' ? await echoOrigin() : (await secureOrigin()).url;
    await useProxy(proxy.address);
    const first = await place.ask({ url: origin, login: [['u', 'p']] });
    expect([first.status, first.logins]).toEqual([
      200,
      [{ isProxy: true, scheme: 'basic', host: '127.0.0.1', port: proxy.port, realm: 'gate' }],
    ]);
    // The origin never sees what is for the proxy.
    if (kind === 'http') expect(first.body).toMatch(/undefined$/);
    const second = await place.ask({ url: `${origin}/again`, login: [] });
    expect([second.status, second.logins]).toEqual([200, []]);
    expect(proxy.seen).toHaveLength(kind === 'http' ? 3 : 2);
  });

  test.each(['http', 'https'])('wrong, then right, %s', async (kind) => {
    const proxy = await place.proxy(basicGate());
    const origin = kind === 'http' ? await echoOrigin() : (await secureOrigin()).url;
    await useProxy(proxy.address);
    const { status, logins } = await place.ask({
      url: origin,
      login: [
        ['u', 'wrong'],
        ['u', 'p'],
      ],
    });
    expect([status, logins.length]).toEqual([200, 2]);
  });

  test('cancelled: the 407 itself, or no tunnel', async () => {
    const proxy = await place.proxy(basicGate());
    await useProxy(proxy.address);
    const plain = await place.ask({ url: await echoOrigin(), login: [] });
    expect([plain.status, plain.body]).toEqual([407, 'log in']);
    const { url } = await secureOrigin();
    expect((await place.ask({ url, login: [] })).error?.message).toBe('net::ERR_TUNNEL_CONNECTION_FAILED');
  });

  test.each(['MD5', 'SHA-256', 'SHA-256-sess'])('Digest %s, in absolute form and for CONNECT', async (algorithm) => {
    const proxy = await place.proxy(digestGate(algorithm));
    const origin = await echoOrigin();
    const { url, port } = await secureOrigin();
    await useProxy(proxy.address);
    expect((await place.ask({ url: `${origin}/x?y`, login: [['u', 'p']] })).status).toBe(200);
    const { status, logins } = await place.ask({ url, login: [] });
    expect([status, logins]).toEqual([200, []]);
    expect(proxy.seen).toEqual([`GET ${origin}/x?y`, `GET ${origin}/x?y`, `CONNECT 127.0.0.1:${port}`]);
  });

  test('an origin behind a proxy asks as well: each gets its own', async () => {
    const proxy = await place.proxy(basicGate('gate', 'Basic dTpw'));
    const origin = await place.serve((request, response) => {
      if (request.headers.authorization === 'Basic bzpx') response.end('in');
      else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="origin"' }).end();
    });
    await useProxy(proxy.address);
    const { body, logins } = await place.ask({
      url: origin,
      login: [
        ['u', 'p'],
        ['o', 'q'],
      ],
    });
    expect([body, logins.map((one) => one.realm)]).toEqual(['in', ['gate', 'origin']]);
  });
});

/** Checks Digest answers by RFC 7616's formula, each nonce count once. */
function digestGate(algorithm: string): (given: string | undefined, method: string, uri: string) => string[] | null {
  const hash = (text: string): string =>
    createHash(algorithm.startsWith('MD5') ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const ask = [`Digest realm="gate", nonce="n1", qop="auth", algorithm=${algorithm}`];
  let count = 0;
  return (given, method, uri) => {
    if (given === undefined) return ask;
    const is = (name: string): string => new RegExp(`[ ,]${name}="?([^",]*)`).exec(given)?.[1] ?? '';
    let secret = hash('u:gate:p');
    if (algorithm.endsWith('-sess')) secret = hash(`${secret}:n1:${is('cnonce')}`);
    const expected = hash(`${secret}:n1:${is('nc')}:${is('cnonce')}:auth:${hash(`${method}:${uri}`)}`);
    const fits = is('uri') === uri && is('response') === expected && Number.parseInt(is('nc'), 16) === ++count;
    return fits ? null : ask;
  };
}

describe('E-105: SOCKS', () => {
  /** A server that does as it is told for each piece it gets; then it is a pipe to the origin. */
  async function socks(script: (bytes: Buffer, step: number) => Buffer | 'connect' | 'end', port: number) {
    const heard: Buffer[] = [];
    const origin = await place.accept((socket: Socket) => {
      let step = 0;
      socket.on('data', function listen(bytes: Buffer) {
        heard.push(bytes);
        const answer = script(bytes, step++);
        if (answer === 'end') {
          socket.end();
        } else if (answer === 'connect') {
          socket.off('data', listen);
          const onward = place.modules.net.connect({ host: '127.0.0.1', port }, () => {
            socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]));
            socket.pipe(onward).pipe(socket);
          });
          onward.on('error', () => socket.destroy());
        } else {
          socket.write(answer);
        }
      });
    });
    return { heard, address: new URL(origin).host };
  }
  const plain = (_: Buffer, step: number): Buffer | 'connect' => (step === 0 ? Buffer.from([5, 0]) : 'connect');

  test('RFC 1928: without a login, by address and by name, http and https', async () => {
    const origin = await echoOrigin();
    const { port } = new URL(origin);
    const { heard, address } = await socks(plain, Number(port));
    await useProxy(`socks5://${address}`);
    expect((await place.ask({ url: `${origin}/x` })).body).toBe(`GET /x 127.0.0.1:${port} undefined`);
    expect((await place.ask({ url: `http://far.test:${port}/y` })).body).toBe(`GET /y far.test:${port} undefined`);
    const portBytes = [Number(port) >> 8, Number(port) & 255];
    expect(heard.map((bytes) => [...bytes])).toEqual([
      [5, 1, 0],
      [5, 1, 0, 1, 127, 0, 0, 1, ...portBytes],
      [5, 1, 0],
      [5, 1, 0, 3, 8, ...Buffer.from('far.test'), ...portBytes],
    ]);
    const secure = await secureOrigin();
    const second = await socks(plain, secure.port);
    await useProxy(`socks5://${second.address}`);
    expect((await place.ask({ url: `${secure.url}/z` })).body).toBe('secure GET /z');
  });

  test('an IPv6 address', async () => {
    const { heard, address } = await socks(plain, Number(new URL(await echoOrigin()).port));
    await useProxy(`socks5://${address}`);
    expect((await place.ask({ url: 'http://[fd00::1:203.0.113.9]:81/' })).status).toBe(200);
    expect([...heard[1]!]).toEqual([5, 1, 0, 4, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 203, 0, 113, 9, 0, 81]);
  });

  test('RFC 1929: with a login', async () => {
    const origin = await echoOrigin();
    const script = (bytes: Buffer, step: number): Buffer | 'connect' => {
      if (step === 0) return Buffer.from([5, 2]);
      if (step === 1) return Buffer.from([1, bytes.toString('latin1') === '\x01\x05alice\x03p@s' ? 0 : 1]);
      return 'connect';
    };
    const { address, heard } = await socks(script, Number(new URL(origin).port));
    await useProxy(`socks5://alice:p%40s@${address}`);
    expect((await place.ask({ url: origin })).status).toBe(200);
    expect([...heard[0]!]).toEqual([5, 2, 0, 2]);
    await useProxy(`socks5://alice:wrong@${address}`);
    expect((await place.ask({ url: origin })).error?.message).toBe('net::ERR_SOCKS_CONNECTION_FAILED');
  });

  test('byte by byte, with the first bytes of the answer behind', async () => {
    const origin = await place.accept((socket) => {
      let step = 0;
      socket.on('data', () => {
        const answer = [
          [5, 0],
          [5, 0, 0, 3, 2, 65, 66, 0, 80],
        ][step++];
        if (answer !== undefined) for (const byte of answer) socket.write(Buffer.from([byte]));
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await useProxy(`socks5://${new URL(origin).host}`);
    expect((await place.ask({ url: 'http://a.test/' })).body).toBe('ok');
  });

  test('an origin that speaks first: what came with the server’s last word is not lost', async () => {
    const origin = await place.accept((socket) => {
      let step = 0;
      const early = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly');
      socket.on('data', () => {
        if (step++ === 0) socket.write(Buffer.from([5, 0]));
        else if (step === 2) socket.write(Buffer.concat([Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), early]));
      });
    });
    await useProxy(`socks5://${new URL(origin).host}`);
    expect((await place.ask({ url: 'http://a.test/' })).body).toBe('early');
  });

  test.each<[string, number[][] | null, string]>([
    ['it is an HTTP server', [[...Buffer.from('HTTP/1.1 400 Bad\r\n\r\n')]], 'ERR_SOCKS_CONNECTION_FAILED'],
    ['it accepts no method', [[5, 255]], 'ERR_SOCKS_CONNECTION_FAILED'],
    ['it wants what was not offered', [[5, 2]], 'ERR_SOCKS_CONNECTION_FAILED'],
    [
      'the host cannot be reached',
      [
        [5, 0],
        [5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
      ],
      'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE',
    ],
    [
      'the host refuses',
      [
        [5, 0],
        [5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
      ],
      'ERR_SOCKS_CONNECTION_FAILED',
    ],
    [
      'it says something unheard of',
      [
        [5, 0],
        [5, 99],
      ],
      'ERR_SOCKS_CONNECTION_FAILED',
    ],
    [
      'its address is of no type',
      [
        [5, 0],
        [5, 0, 0, 9, 0, 0],
      ],
      'ERR_SOCKS_CONNECTION_FAILED',
    ],
    ['it hangs up', null, 'ERR_SOCKS_CONNECTION_FAILED'],
  ])('%s', async (_, answers, code) => {
    const { address } = await socks((_bytes, step) => Buffer.from(answers?.[step] ?? []), 1);
    const hangsUp = answers === null ? await place.accept((socket) => socket.once('data', () => socket.end())) : null;
    await useProxy(`socks5://${hangsUp === null ? address : new URL(hangsUp).host}`);
    expect((await place.ask({ url: 'http://a.test/' })).error?.message).toBe(`net::${code}`);
    expect(place.real.requestSession(place.own)).toMatchObject({ pending: new Set() });
  });

  test('E-100: no server there', async () => {
    await useProxy('socks5://127.0.0.1:1');
    expect((await place.ask({ url: 'http://a.test/' })).error?.message).toBe('net::ERR_PROXY_CONNECTION_FAILED');
  });

  test('version 4, with the name', async () => {
    const heard: Buffer[] = [];
    const origin = await place.accept((socket) => {
      socket.on('data', (bytes: Buffer) => {
        heard.push(bytes);
        if (heard.length === 1) socket.write(Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]));
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await useProxy(`socks4://${new URL(origin).host}`);
    expect((await place.ask({ url: 'http://a.test/' })).body).toBe('ok');
    expect([...heard[0]!]).toEqual([4, 1, 0, 80, 0, 0, 0, 1, 0, ...Buffer.from('a.test'), 0]);
    expect((await place.ask({ url: 'http://[fd00::1]/' })).error?.message).toBe(
      'net::ERR_SOCKS_CONNECTION_HOST_UNREACHABLE',
    );
  });
});
