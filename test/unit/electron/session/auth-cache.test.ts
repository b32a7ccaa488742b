import { createHash } from 'node:crypto';
import { AuthCache } from '../../../../electron/session/auth-cache';
import type { AuthChallenge, Authorization, AuthRequest, AuthTarget } from '../../../../electron/session-types';

const alice = { username: 'alice', password: 'secret' };
const bob = { username: 'bob', password: 'hidden' };
const origin: AuthTarget = { isProxy: false, protocol: 'http:', host: 'a.test', port: 80 };
const proxy: AuthTarget = { isProxy: true, protocol: 'http:', host: 'a.test', port: 80 };

const basic = (realm: string, target: AuthTarget = origin): AuthChallenge => ({
  ...target,
  scheme: 'basic',
  realm,
  parameters: { realm },
});
const digest = (nonce: string, more: Record<string, string> = {}, target: AuthTarget = origin): AuthChallenge => ({
  ...target,
  scheme: 'digest',
  realm: 'r',
  parameters: { realm: 'r', nonce, qop: 'auth', ...more },
});
const to = (path: string, host = 'a.test'): AuthRequest => {
  const url = new URL(`http://${host}${path}`);
  return { method: 'GET', url, target: url.pathname + url.search, body: null };
};
const field = (value: string, name: string): string | undefined =>
  new RegExp(`[ ,]${name}="?([^",]*)`).exec(value)?.[1];

describe('RFC 7617: Basic', () => {
  test('the name, a colon, the password, in UTF-8 and base64', () => {
    const cache = new AuthCache();
    expect(cache.authorize(basic('x'), { username: 'Aladdin', password: 'open sesame' }, to('/')).value).toBe(
      'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
    );
    expect(cache.authorize(basic('x'), { username: 'test', password: '123£' }, to('/')).value).toBe(
      'Basic dGVzdDoxMjPCow==',
    );
  });
  test.each([
    ['a:b', 'p', /":"/],
    ['a\r\nX-Evil: 1', 'p', /username contains a control character/],
    ['a', 'p\nq', /password contains a control character/],
    ['a', 'p\x7f', /control character/],
  ])('name %j and password %j are refused', (username, password, message) => {
    expect(() => new AuthCache().authorize(basic('x'), { username, password }, to('/'))).toThrow(message);
  });
  test('in a Digest a name may have a colon, and no line ends either', () => {
    const cache = new AuthCache();
    expect(cache.authorize(digest('n'), { username: 'a:b', password: 'p' }, to('/')).value).toContain('username="a:b"');
    expect(() => cache.authorize(digest('n'), { username: 'a\r\nb', password: 'p' }, to('/'))).toThrow(/control/);
  });
});

describe('where credentials are sent before anybody asked', () => {
  const knows = (challenge: AuthChallenge, path: string): AuthCache => {
    const cache = new AuthCache();
    cache.remember(challenge, alice, to(path));
    return cache;
  };
  test.each([
    ['/a/b/c.html', '/a/b/', true],
    ['/a/b/c.html', '/a/b/d/e', true],
    ['/a/b/c.html', '/a/b/c.html?x=1', true],
    ['/a/b/c.html', '/a/', false],
    ['/a/b/c.html', '/a/bb', false],
    ['/', '/anything', true],
  ])('Basic accepted at %s is sent to %s: %s', (known, path, sent) => {
    expect(knows(basic('x'), known).preemptive(origin, to(path)) !== undefined).toBe(sent);
  });
  test.each([
    [{}, '/elsewhere', true],
    [{ domain: '/private /b/' }, '/private/x', true],
    [{ domain: '/private /b/' }, '/elsewhere', false],
    [{ domain: 'http://other.test/ /b/' }, '/c', false],
    [{ domain: 'http://other.test/' }, '/c', true],
    [{ domain: 'http://[' }, '/c', true],
  ])('Digest with %j is sent to %s: %s', (more, path, sent) => {
    expect(knows(digest('n', more), '/a/b').preemptive(origin, to(path)) !== undefined).toBe(sent);
  });
  test.each<[string, AuthTarget]>([
    ['another host', { ...origin, host: 'b.test' }],
    ['another port', { ...origin, port: 8080 }],
    ['another protocol', { ...origin, protocol: 'https:' }],
    ['a proxy there', proxy],
  ])('never to %s', (_, target) => {
    expect(knows(basic('x'), '/').preemptive(target, to('/'))).toBeUndefined();
    expect(knows(digest('n', { domain: 'http://b.test/ https://a.test/' }), '/').preemptive(target, to('/'))).toBe(
      undefined,
    );
  });
  test('a host is the same in capitals', () => {
    expect(knows(basic('x'), '/').preemptive({ ...origin, host: 'A.TEST' }, to('/'))).toBeDefined();
  });
  test('of two spaces the nearer one', () => {
    const cache = knows(basic('outer'), '/');
    cache.remember(basic('inner'), bob, to('/in/side'));
    expect(cache.preemptive(origin, to('/in/x'))?.credentials).toEqual(bob);
    expect(cache.preemptive(origin, to('/out'))?.credentials).toEqual(alice);
  });
  test('a proxy knows one space', () => {
    const cache = new AuthCache();
    cache.remember(basic('x', proxy), alice, to('/deep/down/here'));
    expect(cache.preemptive(proxy, to('/', 'other.test'))?.credentials).toEqual(alice);
    expect(cache.preemptive(origin, to('/deep/down/here'))).toBeUndefined();
  });
  test('auth-int alone cannot be sent ahead without a body', () => {
    const cache = knows(digest('n', { qop: 'auth-int' }), '/');
    expect(cache.preemptive(origin, to('/'))).toBeUndefined();
    expect(cache.preemptive(origin, { ...to('/'), body: [] })?.value).toContain('qop=auth-int');
  });
});

describe('what is known when a challenge comes', () => {
  test('credentials of the same realm, whatever the path', () => {
    const cache = new AuthCache();
    cache.remember(basic('x'), alice, to('/a/'));
    expect(cache.credentialsFor(basic('x'), undefined)).toEqual(alice);
    expect(cache.credentialsFor(basic('y'), undefined)).toBeUndefined();
    expect(cache.credentialsFor(basic('x', proxy), undefined)).toBeUndefined();
  });
  test('those that led to it are forgotten', () => {
    const cache = new AuthCache();
    cache.remember(basic('x'), alice, to('/'));
    expect(cache.credentialsFor(basic('x'), alice)).toBeUndefined();
    expect(cache.size).toBe(0);
  });
  test('others than those that led to it are given', () => {
    const cache = new AuthCache();
    cache.remember(basic('x'), bob, to('/'));
    expect(cache.credentialsFor(basic('x'), alice)).toEqual(bob);
  });
  test('a stale nonce: the same credentials for the new one, which is used from then on', () => {
    const cache = new AuthCache();
    cache.authorize(digest('one'), alice, to('/'));
    cache.remember(digest('one'), alice, to('/'));
    expect(cache.credentialsFor(digest('two', { stale: 'TRUE' }), alice)).toEqual(alice);
    expect(field(cache.preemptive(origin, to('/'))!.value, 'nonce')).toBe('two');
  });
  test('a nonce that was used cannot be the fresh one of a stale answer', () => {
    const cache = new AuthCache();
    cache.remember(digest('one'), alice, to('/'));
    cache.authorize(digest('one'), alice, to('/'));
    expect(cache.credentialsFor(digest('one', { stale: 'true' }), alice)).toBeUndefined();
  });
  test('forget and clear', () => {
    const cache = new AuthCache();
    cache.remember(basic('x'), alice, to('/'));
    cache.forget(basic('x'), bob);
    expect(cache.size).toBe(1);
    cache.forget(basic('x'), alice);
    expect(cache.size).toBe(0);
    cache.remember(basic('x'), alice, to('/'));
    cache.remember(basic('x', proxy), alice, to('/'));
    cache.clearOrigin('http:', 'a.test', 80);
    expect(cache.size).toBe(1);
    cache.clear();
    expect(cache.size).toBe(0);
  });
});

test('RFC 7616 §3.4: the uses of a nonce are counted, one client nonce for all', () => {
  const cnonces = ['c1', 'c2', 'c3'];
  const cache = new AuthCache(() => cnonces.shift()!);
  const seen = ['one', 'one', 'two', 'one'].map((nonce) => {
    const { value } = cache.authorize(digest(nonce), alice, to('/'));
    return [field(value, 'nc'), field(value, 'cnonce')];
  });
  expect(seen).toEqual([
    ['00000001', 'c1'],
    ['00000002', 'c1'],
    ['00000001', 'c2'],
    ['00000003', 'c1'],
  ]);
});

test('it stays small whatever servers ask', () => {
  const cache = new AuthCache();
  for (let i = 0; i < 500; i++) {
    const challenge = digest(`nonce ${i}`, { domain: Array.from({ length: 50 }, (_, k) => `/${i}/${k}`).join(' ') });
    cache.authorize(challenge, alice, to('/'));
    cache.remember({ ...challenge, realm: `realm ${i}` }, alice, to(`/${i}`));
    cache.remember(basic('same'), alice, to(`/${i}/`));
  }
  expect(cache.size).toBeLessThanOrEqual(20);
  expect((cache as unknown as { nonces: Map<string, unknown> }).nonces.size).toBeLessThanOrEqual(100);
});

describe('E-061: RFC 7616 §3.5, nextnonce', () => {
  const me = { username: 'u', password: 'p' };
  const sentWith = (challenge: AuthChallenge): { cache: AuthCache; sent: Authorization } => {
    const cache = new AuthCache();
    cache.remember(challenge, me, to('/'));
    return { cache, sent: cache.authorize(challenge, me, { ...to('/'), body: [] }) };
  };
  const nonces = (cache: AuthCache): (string | undefined)[] => {
    const { value } = cache.preemptive(origin, to('/'))!;
    return [field(value, 'nonce'), field(value, 'nc')];
  };

  test('the next request uses it, counted from one', () => {
    const { cache, sent } = sentWith(digest('old', { qop: 'auth' }));
    expect(cache.takeInfo(sent, 'qop=auth, nextnonce="new, \\"er", nc=00000001')).toBe(true);
    const { value } = cache.preemptive(origin, to('/'))!;
    expect(value).toContain('nonce="new, \\"er"');
    expect(field(value, 'nc')).toBe('00000001');
  });
  test.each(['rspauth="6629"', 'nextnonce', '', '=;,"', `x="${'y'.repeat(100_000)}", nextnonce="z"`])(
    '%.20s: no news',
    (text) => {
      const { cache, sent } = sentWith(digest('old', { qop: 'auth' }));
      expect(cache.takeInfo(sent, text)).toBe(false);
      expect(nonces(cache)).toEqual(['old', '00000002']);
    },
  );
  /** §3.5: H(H(A1):nonce:nc:cnonce:qop:H(":" uri)), by hand. */
  const rspauthOf = ({ value }: Authorization, password = 'p'): string => {
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
    const [nonce, nc, cnonce, realm, uri] = ['nonce', 'nc', 'cnonce', 'realm', 'uri'].map((name) => field(value, name));
    return md5(`${md5(`u:${realm}:${password}`)}:${nonce}:${nc}:${cnonce}:auth:${md5(`:${uri}`)}`);
  };
  test.each([
    ['of who knows the password', (sent: Authorization) => `rspauth="${rspauthOf(sent)}", qop=auth`, true],
    ['in capitals', (sent: Authorization) => `rspauth="${rspauthOf(sent).toUpperCase()}"`, true],
    ['of who does not', (sent: Authorization) => `rspauth="${rspauthOf(sent, 'guess')}", qop=auth`, false],
    ['of nobody', () => 'rspauth="6629"', false],
    ['of nobody, empty', () => 'rspauth=""', false],
    ['that says something of the body, which is not known yet', () => 'rspauth="6629", qop=auth-int', true],
    ['that is not there', () => 'qop=auth', true],
  ])('with a proof %s', (_name, proof, believed) => {
    const { cache, sent } = sentWith(digest('old', { qop: 'auth' }));
    expect(cache.takeInfo(sent, `${proof(sent)}, nextnonce="new"`)).toBe(believed);
    expect(nonces(cache)[0]).toBe(believed ? 'new' : 'old');
  });
  test('auth-int, and digests without qop, have no proof to compare with', () => {
    const bare = { ...digest('old'), parameters: { realm: 'r', nonce: 'old' } };
    for (const challenge of [digest('old', { qop: 'auth-int' }), bare]) {
      const { cache, sent } = sentWith(challenge);
      expect(sent.rspauth).toBeUndefined();
      expect(cache.takeInfo(sent, 'rspauth="6629", nextnonce="new"')).toBe(true);
    }
  });
  test('not for the session algorithms, for Basic, nor for what was forgotten', () => {
    const { cache, sent } = sentWith(digest('old', { qop: 'auth', algorithm: 'SHA-256-sess' }));
    expect(cache.takeInfo(sent, 'nextnonce="new"')).toBe(false);
    expect(nonces(cache)[0]).toBe('old');
    const simple = sentWith(basic('r'));
    expect(simple.cache.takeInfo(simple.sent, 'nextnonce="new"')).toBe(false);
    cache.clear();
    expect(cache.takeInfo(sentWith(digest('old', { qop: 'auth' })).sent, 'nextnonce="new"')).toBe(false);
    expect(cache.size).toBe(0);
  });
});
