import type { AuthInfo, LoginCallback } from '../../../electron/transaction';
import { bodyOf, headsOf, Lab, once, outcomeOf, run, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

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

  test('E-062: the port is a number, whatever the URL says', async () => {
    const server = lab.modules.http.createServer((_request, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end();
    });
    await lab.listen(server, 80);
    const request = lab.request('http://127.0.0.1/');
    const ports: number[] = [];
    request.on('login', ({ port }, callback) => {
      ports.push(port);
      callback();
    });
    expect((await run(request)).status).toBe(401);
    expect(ports).toEqual([80]);
  });

  test('E-063: the first answer counts, another one is none', async () => {
    const { origin, requests } = await wire(lab, [challenge, ok]);
    const request = lab.request(origin);
    request.on('login', (_info, callback) => {
      callback('user', 'pass');
      callback('other', 'word');
      setImmediate(() => callback());
    });
    const { events, status } = await run(request);
    expect([status, headsOf(requests).length]).toEqual([200, 2]);
    expect(events).toEqual(['finish', 'login', 'response', 'response end', 'response close', 'close']);
    expect(requests.join('').match(/^Authorization: .*/gm)).toEqual([
      `Authorization: Basic ${Buffer.from('user:pass').toString('base64')}`,
    ]);
    expect([...lab.session.credentials.values()]).toEqual([{ username: 'user', password: 'pass' }]);
  });

  test('E-063: after an empty answer there is no other', async () => {
    const { origin, requests } = await wire(lab, [challenge, ok]);
    const request = lab.request(origin);
    request.on('login', (_info, callback) => {
      callback();
      callback('user', 'pass');
    });
    const { status, body } = await run(request);
    expect([status, body, headsOf(requests).length]).toEqual([401, 'nope', 1]);
    expect(lab.session.credentials.size).toBe(0);
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
    const request = lab.post(await guarded());
    request.chunkedEncoding = chunked;
    request.on('login', (_info, callback) => callback('user', 'right'));
    expect((await run(request, Buffer.alloc(300_000))).body).toBe('300000 bytes');
  });

  test('E-068: even one that is still being written', async () => {
    const request = lab.post(await guarded().then(() => wireThatAsksEarly()));
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
