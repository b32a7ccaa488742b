import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type * as NodeHttp from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createElectron, net, Session, session } from '../../../electron';
import { http as stackHttp } from '../../../http';
import { createHost } from '../../../net/host';
import { bodyOf, Lab, once, run } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const http = stackHttp as unknown as typeof NodeHttp;

test('net and session on the default host', async () => {
  const server = http.createServer((request, response) => response.end(request.headers['user-agent']));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { status, body } = await run(net.request(`http://127.0.0.1:${port}/`));
  expect([status, body]).toEqual([200, session.defaultSession.getUserAgent()]);
  expect(session.defaultSession).toBeInstanceOf(Session);
  await session.defaultSession.closeAllConnections();
  server.close();
});

test('a host of its own, with sessions of its own', async () => {
  const electron = createElectron(lab.host);
  const origin = await lab.serve((request, response) => {
    response.setHeader('Set-Cookie', 'a=1; Max-Age=100');
    response.end(request.headers.cookie ?? 'none');
  });
  expect(electron.session.defaultSession).not.toBe(session.defaultSession);
  const ask = (): Promise<{ body: string }> => run(electron.net.request({ url: origin, useSessionCookies: true }));
  expect([(await ask()).body, (await ask()).body]).toEqual(['none', 'a=1']);
  const response = await electron.session.defaultSession.fetch(origin);
  expect(await (response as Response).text()).toBe('a=1');
  await electron.session.defaultSession.closeAllConnections();
  expect(() => createElectron(createHost({ devices: [] })).net.request({ url: origin, session: {} })).toThrow(
    TypeError,
  );
});

describe('sessionFromFile', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tapwire-electron-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('keeps cookies in the file', async () => {
    const path = join(folder, 'jar.json');
    const origin = await lab.serve((request, response) => {
      response.setHeader('Set-Cookie', 'kept=1; Max-Age=100');
      response.end(request.headers.cookie ?? 'none');
    });
    const bodies: string[] = [];
    for (let i = 0; i < 2; i++) {
      const electron = createElectron(lab.host);
      const own = electron.sessionFromFile(path);
      bodies.push((await run(electron.net.request({ url: origin, credentials: 'include', session: own }))).body);
      await own.cookies.flushStore();
      await own.closeAllConnections();
    }
    expect(bodies).toEqual(['none', 'kept=1']);
    expect(readFileSync(path, 'utf8')).toContain('kept');
  });

  test('keeps those of the session, too, where that is asked for', async () => {
    for (const [sessionCookies, names] of [
      [true, ['long', 'short']],
      [false, ['long']],
    ] as const) {
      const path = join(folder, `all-${sessionCookies}.json`);
      const { cookies } = createElectron(lab.host).sessionFromFile(path, { sessionCookies });
      await cookies.set({ url: 'http://a.test/', name: 'long', expirationDate: Date.now() / 1000 + 100 });
      await cookies.set({ url: 'http://a.test/', name: 'short' });
      await cookies.flushStore();
      const again = await createElectron(lab.host).sessionFromFile(path).cookies.get();
      expect(again.map(({ name, session }) => `${name} ${session}`).sort()).toEqual(
        names.map((name) => `${name} ${name === 'short'}`),
      );
    }
  });

  test('one that is of the session alone is written as well', async () => {
    const path = join(folder, 'short.json');
    const { cookies } = createElectron(lab.host).sessionFromFile(path, { sessionCookies: true });
    await cookies.set({ url: 'http://a.test/', name: 'short' });
    await cookies.flushStore();
    expect(readFileSync(path, 'utf8')).toContain('short');
  });

  test('says so when the file is something else', () => {
    const path = join(folder, 'other');
    writeFileSync(path, 'no jar');
    expect(() => createElectron(lab.host).sessionFromFile(path)).toThrow(
      expect.objectContaining({ code: 'ERR_PARTITION_CORRUPT' }),
    );
  });
});

describe('E-061 to E-069: with real sessions', () => {
  /** A server that wants Digest with one algorithm, RFC 7616, and checks what it can without computing it. */
  const digest = (algorithm: string): Promise<string> =>
    lab.serve(async (request, response) => {
      const body = await bodyOf(request);
      const { authorization = '' } = request.headers;
      if (authorization.startsWith('Digest ') && authorization.includes('username="user"')) {
        response.end(`${/algorithm=[\w-]+/.exec(authorization)?.[0]} ${/nc=\w+/.exec(authorization)?.[0]} ${body}`);
      } else {
        const field = `Digest realm="r", nonce="n", qop="auth", algorithm=${algorithm}`;
        response.writeHead(401, { 'WWW-Authenticate': [field, 'Basic realm="r"'] }).end();
      }
    });

  test.each(['MD5', 'SHA-256'])('Digest with %s, kept and counted', async (algorithm) => {
    const electron = createElectron(lab.host);
    const origin = await digest(algorithm);
    const bodies: string[] = [];
    let asked = 0;
    for (let i = 0; i < 2; i++) {
      const request = electron.net.request({ method: 'POST', url: `${origin}/${i}` });
      request.on('login', ({ scheme }, callback) => {
        asked++;
        expect(scheme).toBe('digest');
        callback('user', 'pass');
      });
      bodies.push((await run(request, 'body')).body);
    }
    expect(bodies).toEqual([`algorithm=${algorithm} nc=00000001 body`, `algorithm=${algorithm} nc=00000002 body`]);
    expect(asked).toBe(1);
    await electron.session.defaultSession.closeAllConnections();
  });
});
