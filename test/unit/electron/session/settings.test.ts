import type { TLSSocket } from 'node:tls';
import { cert, key } from '../../http/tls-identity';
import { run, wire } from '../lab';
import { Place } from './place';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.close());

describe('E-102: setSSLConfig', () => {
  /** Tells the version and the suite of each connection. */
  async function secure(options: object = {}): Promise<string> {
    const server = place.modules.https.createServer({ key, cert, ...options }, (request, response) => {
      const socket = request.socket as TLSSocket;
      response.end(`${socket.getProtocol()} ${socket.getCipher().name}`);
    });
    place.own.setCertificateVerifyProc((_request, callback) => callback(0));
    return `https://localhost:${await place.listen(server)}/`;
  }
  const said = async (url: string): Promise<string> => {
    const { body, error } = await place.ask({ url });
    return error?.message ?? body;
  };

  test('the next connection has the versions that it says, an idle one is not used again', async () => {
    const url = await secure();
    expect(await said(url)).toMatch(/^TLSv1\.3 /);
    place.own.setSSLConfig({ maxVersion: 'tls1.2' });
    expect(await said(url)).toMatch(/^TLSv1\.2 /);
    place.own.setSSLConfig({});
    expect(await said(url)).toMatch(/^TLSv1\.3 /);
  });

  test('versions without a common one are a failure', async () => {
    const url = await secure({ maxVersion: 'TLSv1.2' });
    place.own.setSSLConfig({ minVersion: 'tls1.3' });
    expect(await said(url)).toBe('net::ERR_SSL_VERSION_OR_CIPHER_MISMATCH');
  });

  test('suites are disabled by number; those of TLS 1.3 and unknown ones are passed over', async () => {
    const url = await secure();
    const first = 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256';
    place.own.setSSLConfig({ maxVersion: 'tls1.2' });
    expect(await said(url)).toBe(first);
    place.own.setSSLConfig({ maxVersion: 'tls1.2', disabledCipherSuites: [0x1301, 0x0004] });
    expect(await said(url)).toBe(first);
    place.own.setSSLConfig({ maxVersion: 'tls1.2', disabledCipherSuites: [0xc02b] });
    expect(await said(url)).toBe('TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384');
    const ofThisKey = [0xc02c, 0xcca9, 0xc02b, 0xc024, 0xc023, 0xc00a, 0xc009];
    place.own.setSSLConfig({ maxVersion: 'tls1.2', disabledCipherSuites: ofThisKey });
    // Node's list has a few more that no browser offers.
    expect(await said(url)).not.toMatch(/GCM|CHACHA|-SHA/);
  });

  test.each([
    [{ minVersion: 'ssl3' }, "minVersion 'ssl3' is none of tls1, tls1.1, tls1.2, tls1.3"],
    [{ maxVersion: 'tls1' }, "maxVersion 'tls1' is none of tls1.2, tls1.3"],
    [{ minVersion: 'tls1.3', maxVersion: 'tls1.2' }, "minVersion 'tls1.3' is above maxVersion 'tls1.2'"],
    [{ disabledCipherSuites: 5 }, 'disabledCipherSuites is a list of numbers from 0 to 0xffff'],
    [{ disabledCipherSuites: [0x10000] }, 'disabledCipherSuites is a list of numbers from 0 to 0xffff'],
    [{ disabledCipherSuites: ['AES'] }, 'disabledCipherSuites is a list of numbers from 0 to 0xffff'],
  ])('%j is refused', (config, message) => {
    expect(() => place.own.setSSLConfig(config as object)).toThrow(new TypeError(`setSSLConfig: ${message}`));
  });
});

describe('E-102: clearData', () => {
  const HOSTS = ['a.example.co.uk', 'example.co.uk', 'other.co.uk', '[::1]'];
  const set = async (): Promise<void> => {
    for (const host of HOSTS) await place.own.cookies.set({ url: `http://${host}/`, name: 'n' });
  };
  const left = async (): Promise<string[]> => (await place.own.cookies.get()).map(({ domain }) => domain).sort();
  const all = ['::1', 'a.example.co.uk', 'example.co.uk', 'other.co.uk'];

  test.each([
    [{}, []],
    [{ dataTypes: ['cookies'] }, []],
    [{ dataTypes: ['cache', 'localStorage'] }, all],
    [{ origins: ['https://b.example.co.uk:8443'] }, ['::1', 'other.co.uk']],
    [{ origins: ['http://[::1]:80'] }, all.slice(1)],
    [{ origins: [] }, all],
    [{ excludeOrigins: ['http://example.co.uk'] }, ['a.example.co.uk', 'example.co.uk']],
    [{ excludeOrigins: [], originMatchingMode: 'third-parties-included' as const }, []],
  ])('with %j', async (options, kept) => {
    await set();
    expect(await left()).toEqual(all);
    await place.own.clearData(options);
    expect(await left()).toEqual(kept);
  });

  test.each([
    [{ dataTypes: ['cookies', 'crumbs'] }, /'crumbs' is none of backgroundFetch, cache, cookies/],
    [{ origins: ['http://a.test'], excludeOrigins: [] }, /origins and excludeOrigins exclude each other/],
    [{ origins: ['a.test'] }, /'a.test' is no origin/],
    [{ originMatchingMode: 'all' }, /originMatchingMode 'all' is neither/],
  ])('%j is refused, and clears nothing', async (options, message) => {
    await set();
    await expect(place.own.clearData(options as object)).rejects.toThrow(message);
    expect(await left()).toEqual(all);
  });

  test('logins and idle connections go with everything, connections unless they shall stay', async () => {
    const { origin, requests, sockets } = await wire(place, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const ask = (): Promise<unknown> => {
      const request = place.requests.request(origin);
      request.on('login', (_info, callback) => callback('u', 'p'));
      return run(request);
    };
    await ask();
    const made = sockets.length;
    await place.own.clearData({ dataTypes: ['cookies'], avoidClosingConnections: true });
    await ask();
    expect([requests.at(-1)!.includes('Authorization'), sockets.length]).toEqual([true, made]);
    await place.own.clearData();
    await ask();
    expect([requests.at(-1)!.includes('Authorization'), sockets.length]).toEqual([false, made + 1]);
  });
});
