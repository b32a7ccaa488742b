import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BROWSER_ONLY, type CertificateVerifyRequest, createSessions, Session } from '../../../../electron/session';
import { cert, key } from '../../http/tls-identity';
import { outcomeOf, run, until, wire } from '../lab';
import { Place } from './place';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.close());

describe('E-102 E-017: partitions', () => {
  test('a name is a session, and the empty name is the default one', () => {
    const { real } = place;
    expect(real.fromPartition('')).toBe(real.defaultSession);
    expect(real.fromPartition('a')).toBe(real.fromPartition('a'));
    expect(real.fromPartition('a')).not.toBe(real.fromPartition('b'));
    expect(real.fromPartition('a')).toBeInstanceOf(Session);
    expect(real.fromPartition('a').isPersistent()).toBe(false);
    expect(() => real.fromPartition(5 as unknown as string)).toThrow('`partition` should be a string');
    expect(() => real.fromPartition('persist:')).toThrow(/followed by a name/);
  });

  test('E-017: each has cookies and logins of its own', async () => {
    const { origin, requests } = await wire(place, ['HTTP/1.1 200 OK\r\nSet-Cookie: n=1\r\nContent-Length: 0\r\n\r\n']);
    for (const partition of ['a', 'a', 'b']) {
      await run(place.requests.request({ url: origin, partition, useSessionCookies: true }));
    }
    expect(requests.map((text) => /^cookie: (.*)$/im.exec(text)?.[1])).toEqual([undefined, 'n=1', undefined]);
  });

  test('persist: has one file, which is there next time', async () => {
    const storagePath = mkdtempSync(join(tmpdir(), 'tapwire-session-'));
    try {
      const session = createSessions(place.modules, { storagePath }).fromPartition('persist:shop/1');
      expect([session.isPersistent(), session.getStoragePath()]).toEqual([true, join(storagePath, 'shop%2F1.json')]);
      await session.cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: Date.now() / 1000 + 100 });
      await session.cookies.flushStore();
      const again = createSessions(place.modules, { storagePath }).fromPartition('persist:shop/1');
      expect(await again.cookies.get()).toMatchObject([{ name: 'n' }]);
      await again.clearStorageData({ origin: 'http://a.test' });
      expect(readFileSync(again.getStoragePath()!, 'utf8')).toContain('"cookies": []');
    } finally {
      rmSync(storagePath, { recursive: true });
    }
  });

  test('nothing is on disk before something is kept', () => {
    const storagePath = join(tmpdir(), 'tapwire-nothing-here');
    createSessions(place.modules, { storagePath }).fromPartition('persist:x');
    expect(existsSync(storagePath)).toBe(false);
  });

  test('fromPath: a file of one’s own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tapwire-session-'));
    try {
      const path = join(folder, 'jar');
      const session = place.real.fromPath(path);
      expect(place.real.fromPath(path)).toBe(session);
      await session.cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: Date.now() / 1000 + 100 });
      await session.cookies.flushStore();
      expect(readFileSync(path, 'utf8')).toContain('"key": "n"');
      expect(() => place.real.fromPath('relative')).toThrow('An absolute path was not provided');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('E-102: what requests call themselves', () => {
  test('setUserAgent, with languages', async () => {
    const { origin, requests } = await wire(place);
    expect(place.own.getUserAgent()).toMatch(/^tapwire\/\d+\.\d+\.\d+$/);
    await place.ask({ url: origin });
    place.own.setUserAgent('lab/1', 'en-US, fr,de');
    await place.ask({ url: origin });
    expect(requests[0]).toMatch(/^User-Agent: tapwire\//im);
    expect(requests[1]).toMatch(/^User-Agent: lab\/1\r$/im);
    expect(requests[1]).toMatch(/^Accept-Language: en-US,fr;q=0\.9,de;q=0\.8\r$/im);
    expect(place.own.getUserAgent()).toBe('lab/1');
  });
  test.each([
    ['a\r\nX: y', undefined],
    ['ü', undefined],
    [5, undefined],
    ['a', 'en\r\nX: y'],
    ['a', 'en;q=1'],
  ])('%j with %j is refused', (agent, languages) => {
    expect(() => place.own.setUserAgent(agent as string, languages)).toThrow(TypeError);
    expect(place.own.getUserAgent()).toMatch(/^tapwire\//);
  });
});

describe('E-102: connections', () => {
  test('closeAllConnections fails what is under way, and the next request works', async () => {
    const sockets: Socket[] = [];
    const origin = await place.accept((socket) => {
      sockets.push(socket.resume());
      if (sockets.length === 2) {
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
      }
    });
    const outcome = place.ask({ url: origin });
    await until(() => sockets.length === 1);
    await place.own.closeAllConnections();
    expect((await outcome).error?.message).toBe('net::ERR_ABORTED');
    await until(() => sockets[0]!.destroyed);
    expect((await place.ask({ url: origin })).status).toBe(200);
  });

  test('and idle ones, and those in the making', async () => {
    const sockets: Socket[] = [];
    const origin = await place.accept((socket) => {
      sockets.push(socket);
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    });
    await place.ask({ url: origin });
    await place.own.setProxy({ proxyRules: `socks5://${new URL(origin).host}`, proxyBypassRules: 'x' });
    const silent = await place.accept((socket) => void sockets.push(socket.resume()));
    await place.own.setProxy({ proxyRules: `socks5://${new URL(silent).host}`, proxyBypassRules: 'x' });
    const outcome = place.ask({ url: 'http://a.test/' });
    await until(() => sockets.length === 2);
    await place.own.closeAllConnections();
    await outcome;
    await until(() => sockets.every((socket) => socket.destroyed));
    expect(place.own._core.pending.size).toBe(0);
  });

  test('preconnect: requests find the connections', async () => {
    const sockets: Socket[] = [];
    const origin = await place.accept((socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    });
    place.own.preconnect({ url: `${origin}/whatever`, numSockets: 2 });
    await until(() => sockets.length === 2);
    await Promise.all([place.ask({ url: origin }), place.ask({ url: origin })]);
    expect(sockets.length).toBe(2);
  });

  test('preconnect over TLS, and to nobody', async () => {
    place.own.setCertificateVerifyProc((_, callback) => callback(0));
    const server = place.modules.https.createServer({ key, cert }, (_, response) => response.end('x'));
    let secured = 0;
    server.on('secureConnection', () => secured++);
    const port = await place.listen(server);
    place.own.preconnect({ url: `https://localhost:${port}/` });
    place.own.preconnect({ url: 'http://127.0.0.1:1/' });
    await until(() => secured === 1);
    expect((await place.ask({ url: `https://localhost:${port}/` })).body).toBe('x');
    expect(secured).toBe(1);
  });

  test.each([
    [{ url: 'nonsense' }, /non-empty valid url/],
    [{}, /non-empty valid url/],
    [{ url: 'http://a.test/', numSockets: 0 }, /outside range \[1,6\]/],
    [{ url: 'http://a.test/', numSockets: 7 }, /outside range \[1,6\]/],
    [{ url: 'ftp://a.test/' }, /http and https/],
  ])('preconnect(%j) is refused', (options, message) => {
    expect(() => place.own.preconnect(options as { url: string })).toThrow(message);
  });

  test('at most six sockets to a host', async () => {
    const sockets: Socket[] = [];
    const origin = await place.accept((socket) => void sockets.push(socket));
    const outcomes = Array.from({ length: 9 }, () => place.ask({ url: origin }));
    await until(() => sockets.length === 6);
    const { agent } = place.own._core.route(new URL(origin), { type: 'direct' });
    expect(Object.values(agent.requests).flat()).toHaveLength(3);
    await place.own.closeAllConnections();
    for (const outcome of outcomes) expect((await outcome).error?.message).toBe('net::ERR_ABORTED');
  });
});

describe('E-101 E-102: resolveHost', () => {
  test.each([
    ['both.test', {}, ['127.0.0.1 ipv4', '::1 ipv6']],
    ['both.test', { queryType: 'A' }, ['127.0.0.1 ipv4']],
    ['both.test', { queryType: 'AAAA' }, ['::1 ipv6']],
    ['10.1.2.3', {}, ['10.1.2.3 ipv4']],
    ['[fd00::1]', {}, ['fd00::1 ipv6']],
  ] as const)('%s with %j', async (name, options, expected) => {
    const { endpoints } = await place.own.resolveHost(name, options);
    expect(endpoints.map((one) => `${one.address} ${one.family}`)).toEqual(expected);
  });
  test.each([
    ['nowhere.invalid', {}, /net::ERR_NAME_NOT_RESOLVED/],
    ['10.1.2.3', { queryType: 'AAAA' }, /net::ERR_NAME_NOT_RESOLVED/],
    ['other.test', { queryType: 'MX' }, /neither A nor AAAA/],
    ['other.test', { source: 'mdns' }, /not built/],
    ['other.test', { source: 'oracle' }, /not known/],
  ])('%s with %j fails', async (name, options, message) => {
    await expect(place.own.resolveHost(name, options as object)).rejects.toThrow(message);
  });
  test('clearHostResolverCache', async () => {
    await expect(place.own.clearHostResolverCache()).resolves.toBeUndefined();
  });
});

describe('E-102: setCertificateVerifyProc', () => {
  async function secure(): Promise<string> {
    const server = place.modules.https.createServer({ key, cert }, (_, response) => response.end('secret'));
    return `https://localhost:${await place.listen(server)}/`;
  }
  test.each([
    [0, 'secret', undefined],
    [-2, '', 'net::ERR_FAILED'],
    [-3, '', 'net::ERR_CERT_AUTHORITY_INVALID'],
    [-206, '', 'net::ERR_CERT_REVOKED'],
    [-201, '', 'net::ERR_CERT_DATE_INVALID'],
    [17, '', 'net::ERR_FAILED'],
  ])('a procedure that answers %d', async (answer, body, message) => {
    const url = await secure();
    const asked: CertificateVerifyRequest[] = [];
    place.own.setCertificateVerifyProc((request, callback) => {
      asked.push(request);
      setImmediate(callback, answer);
    });
    const outcome = await place.ask({ url });
    expect([outcome.body, outcome.error?.message]).toEqual([body, message]);
    expect(asked).toMatchObject([
      {
        hostname: 'localhost',
        verificationResult: 'net::ERR_CERT_AUTHORITY_INVALID',
        errorCode: -202,
        isIssuedByKnownRoot: false,
      },
    ]);
    const { certificate } = asked[0]!;
    expect(certificate.data.replace(/\s/g, '')).toBe(String(cert).replace(/\s/g, ''));
    expect(certificate.fingerprint).toMatch(/^sha256\/[A-Za-z0-9+/]{43}=$/);
    expect(certificate.validExpiry).toBeGreaterThan(certificate.validStart);
    expect(place.own._core.pending.size).toBe(0);
  });

  test('it is asked once for a host and a certificate, whatever it says; another is asked anew', async () => {
    const url = await secure();
    for (const [answer, message] of [
      [0, undefined],
      [-202, 'net::ERR_CERT_AUTHORITY_INVALID'],
    ] as const) {
      const asked: string[] = [];
      place.own.setCertificateVerifyProc(({ hostname }, callback) => {
        asked.push(hostname);
        callback(answer);
      });
      for (let i = 0; i < 3; i++) {
        expect((await place.ask({ url })).error?.message).toBe(message);
        await place.own.closeAllConnections();
      }
      expect(asked).toEqual(['localhost']);
      await place.ask({ url: url.replace('localhost', 'other.test') });
      expect(asked).toEqual(['localhost', 'other.test']);
      const { verdicts } = place.own._core;
      verdicts.clear();
      await place.own.closeAllConnections();
      await place.ask({ url });
      expect(asked).toHaveLength(3);
    }
  });

  test('connections that are made at the same time share one question, and its answer', async () => {
    const url = await secure();
    const other = url.replace('localhost', 'other.test');
    for (const [answer, body] of [
      [0, 'secret'],
      [-2, ''],
    ] as const) {
      const asked: [string, (result: number) => void][] = [];
      place.own.setCertificateVerifyProc(({ hostname }, callback) => void asked.push([hostname, callback]));
      const { verdicts } = place.own._core;
      let decided = 0;
      const decide = verdicts.decide.bind(verdicts);
      verdicts.decide = (...all) => {
        decided++;
        decide(...all);
      };
      const runs = [url, url, url, url, other].map((one) => place.ask({ url: one }));
      await until(() => decided === 5);
      verdicts.decide = decide;
      expect(asked.map(([host]) => host).sort()).toEqual(['localhost', 'other.test']);
      for (const [, callback] of asked) callback(answer);
      expect((await Promise.all(runs)).map((outcome) => outcome.body)).toEqual(Array(5).fill(body));
      await place.own.closeAllConnections();
    }
  });

  test('a question that those who asked it wait for no longer is asked again; a late answer to the first is kept', async () => {
    const url = await secure();
    const asked: ((result: number) => void)[] = [];
    place.own.setCertificateVerifyProc((_, callback) => void asked.push(callback));
    const first = place.requests.request(url);
    const ended = outcomeOf(first);
    first.end();
    await until(() => asked.length === 1);
    first.abort();
    await ended;
    const second = place.ask({ url });
    await until(() => asked.length === 2);
    asked[1]!(0);
    expect((await second).body).toBe('secret');
    asked[0]!(-2);
    await place.own.closeAllConnections();
    expect((await place.ask({ url })).error?.message).toBe('net::ERR_FAILED');
  });

  test('what a former procedure decides late is not kept for the next one', async () => {
    const url = await secure();
    let late: ((result: number) => void) | undefined;
    place.own.setCertificateVerifyProc((_, callback) => {
      late = callback;
    });
    const first = place.ask({ url });
    await until(() => late !== undefined);
    place.own.setCertificateVerifyProc((_, callback) => callback(-2));
    late!(0);
    expect((await first).body).toBe('secret');
    await place.own.closeAllConnections();
    expect((await place.ask({ url })).error?.message).toBe('net::ERR_FAILED');
  });

  test('null: the usual check, on new connections too', async () => {
    const url = await secure();
    place.own.setCertificateVerifyProc((_, callback) => callback(0));
    expect((await place.ask({ url })).body).toBe('secret');
    place.own.setCertificateVerifyProc(null);
    expect((await place.ask({ url })).error?.message).toBe('net::ERR_CERT_AUTHORITY_INVALID');
    expect(() => place.own.setCertificateVerifyProc('x' as never)).toThrow('Must pass null or function');
  });

  test('with an authority of one’s own, nothing is wrong', async () => {
    const server = place.modules.https.createServer({ key, cert }, (_, response) => response.end('secret'));
    const port = await place.listen(server);
    const trusting = createSessions(place.modules, { tls: { ca: cert } });
    const seen: string[] = [];
    trusting.defaultSession.setCertificateVerifyProc((request, callback) => {
      seen.push(request.verificationResult);
      callback(-3);
    });
    const { agent } = trusting.requestSession(trusting.defaultSession).route(new URL(`https://localhost:${port}/`), {
      type: 'direct',
    });
    const status = await new Promise((resolve, reject) => {
      place.modules.https
        .get({ host: 'localhost', port, agent }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .on('error', reject);
    });
    expect([status, seen]).toEqual([200, ['net::OK']]);
    await trusting.defaultSession.closeAllConnections();
  });
});

describe('E-102: enableNetworkEmulation', () => {
  test('E-097: offline, and back', async () => {
    const { origin } = await wire(place);
    place.own.enableNetworkEmulation({ offline: true });
    expect((await place.ask({ url: origin })).error?.message).toBe('net::ERR_INTERNET_DISCONNECTED');
    await expect(place.own.resolveHost('other.test')).rejects.toThrow('net::ERR_INTERNET_DISCONNECTED');
    place.own.disableNetworkEmulation();
    expect((await place.ask({ url: origin })).status).toBe(200);
  });
  test('slowness needs a link that can be slow', () => {
    expect(() => place.own.enableNetworkEmulation({ latency: 100 })).toThrow(/faultDevice/);
    expect(place.own._core.offline).toBe(false);
  });
  test.each([{ latency: -1 }, { latency: Number.NaN }, { downloadThroughput: 'x' }, { uploadThroughput: -5 }])(
    '%j is refused',
    (options) => {
      expect(() => place.own.enableNetworkEmulation(options as object)).toThrow(RangeError);
    },
  );
});

describe('E-102: what is kept is cleared', () => {
  test('E-069: clearAuthCache', async () => {
    const { origin } = await wire(place, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    expect((await place.ask({ url: origin, login: [['u', 'p']] })).logins).toHaveLength(1);
    expect(place.own._core.auth.size).toBe(1);
    await place.own.clearAuthCache();
    expect(place.own._core.auth.size).toBe(0);
  });
  test('clearStorageData', async () => {
    const { cookies } = place.own;
    for (const url of ['http://a.test/', 'http://b.test/']) await cookies.set({ url, name: 'n' });
    await cookies.set({ url: 'http://www.a.test/', name: 'wide', domain: 'a.test' });
    await place.own.clearStorageData({ storages: ['localstorage'] });
    expect(await cookies.get()).toHaveLength(3);
    await place.own.clearStorageData({ origin: 'http://a.test', storages: ['cookies'] });
    expect(await cookies.get()).toMatchObject([{ domain: 'b.test' }]);
    await place.own.clearStorageData();
    expect(await cookies.get()).toEqual([]);
    await expect(place.own.clearStorageData({ origin: 'nonsense' })).rejects.toThrow('Invalid URL');
  });
  test('there is no cache', async () => {
    await place.own.clearCache();
    expect(await place.own.getCacheSize()).toBe(0);
  });
});

test.each(Object.keys(BROWSER_ONLY))('session.%s is a clear error', (name) => {
  expect(() => (place.own as unknown as Record<string, () => void>)[name]!()).toThrow(
    /^session\.\w+ needs a browser, and this is a network stack: /,
  );
});
