import { Cookies } from '../../../../electron/session/cookies';

const program = { method: 'GET', origin: '' };
const url = (text: string): URL => new URL(text);

/** A jar that took these fields from http://www.a.test/dir/page. */
function jarOf(...fields: string[]): Cookies {
  return jarAt('http://www.a.test/dir/page', ...fields);
}
function jarAt(at: string, ...fields: string[]): Cookies {
  const cookies = new Cookies();
  cookies._take(url(at), fields, program);
  return cookies;
}
const sent = (cookies: Cookies, to: string, origin = ''): string | undefined =>
  cookies._header(url(to), { method: 'GET', origin });

describe('E-103 the record', () => {
  test('of a Set-Cookie without attributes', async () => {
    const [cookie] = await jarOf('a=b').get();
    expect(cookie).toEqual({
      name: 'a',
      value: 'b',
      domain: 'www.a.test',
      hostOnly: true,
      path: '/dir',
      secure: false,
      httpOnly: false,
      session: true,
      sameSite: 'unspecified',
    });
  });
  test('of one with all of them', async () => {
    const [cookie] = await jarAt(
      'https://www.a.test/',
      'a=b; Domain=.a.test; Path=/x; Secure; HttpOnly; SameSite=Strict; Expires=Wed, 01 Jan 2098 00:00:00 GMT; Max-Age=100',
    ).get();
    expect(cookie).toMatchObject({
      domain: '.a.test',
      hostOnly: false,
      path: '/x',
      secure: true,
      httpOnly: true,
      session: false,
      sameSite: 'strict',
    });
    const inSeconds = cookie!.expirationDate! - Date.now() / 1000;
    expect(inSeconds).toBeGreaterThan(0);
    expect(inSeconds).toBeLessThanOrEqual(100);
  });
  test('nothing is kept for longer than 400 days', async () => {
    const [cookie] = await jarOf('a=b; Max-Age=9999999999').get();
    expect(cookie!.expirationDate! - Date.now() / 1000).toBeLessThanOrEqual(400 * 86_400);
  });
});

describe('which cookies go where', () => {
  test.each([
    ['a=b', 'http://www.a.test/dir/x', 'a=b'],
    ['a=b', 'http://www.a.test/dirt', undefined],
    ['a=b', 'http://a.test/dir/', undefined],
    ['a=b', 'http://x.www.a.test/dir/', undefined],
    ['a=b; Path=/', 'http://www.a.test:8080/', 'a=b'],
    ['a=b; Domain=a.test; Path=/', 'http://other.a.test/', 'a=b'],
    ['a=b; Domain=a.test; Path=/', 'http://nota.test/', undefined],
    ['a=b; Path=nonsense', 'http://www.a.test/dir/', 'a=b'],
    ['a=b; Max-Age=0; Path=/', 'http://www.a.test/', undefined],
    ['a=b; Max-Age=soon; Path=/', 'http://www.a.test/', 'a=b'],
    ['just-a-value; Path=/', 'http://www.a.test/', 'just-a-value'],
  ])('%s at %s: %s', (field, to, header) => {
    expect(sent(jarOf(field), to)).toBe(header);
  });
  test('longer paths first, then the older ones', () => {
    const cookies = jarOf('one=1; Path=/', 'two=2; Path=/dir', 'three=3; Path=/');
    expect(sent(cookies, 'http://www.a.test/dir/')).toBe('two=2; one=1; three=3');
  });
  test('a secure one to https, and to this machine', () => {
    const cookies = jarAt('https://a.test/', 's=1; Secure');
    expect(sent(cookies, 'https://a.test/')).toBe('s=1');
    expect(sent(cookies, 'http://a.test/')).toBeUndefined();
    expect(sent(jarAt('http://localhost/', 's=1; Secure'), 'http://localhost:3000/')).toBe('s=1');
  });
  test('addresses have cookies of their own', () => {
    expect(sent(jarAt('http://10.0.0.1/', 'a=b'), 'http://10.0.0.1/')).toBe('a=b');
    expect(sent(jarAt('http://[fd00::1]/', 'a=b'), 'http://[fd00::1]/')).toBe('a=b');
    expect(sent(jarAt('http://10.0.0.1/', 'a=b; Domain=0.0.1'), 'http://10.0.0.1/')).toBeUndefined();
  });
});

describe('what a server may not set', () => {
  test.each([
    ['http://a.test/', 'x=1; Domain=b.test'],
    ['http://a.test/', 'x=1; Domain=test'],
    ['http://shop.co.uk/', 'x=1; Domain=co.uk'],
    ['http://me.github.io/', 'x=1; Domain=github.io'],
    ['http://a.test/', 'x=1; Domain=sub.a.test'],
    ['http://a.test/', 'x=1; Secure'],
    ['http://a.test/', '__Secure-x=1'],
    ['https://a.test/', '__Secure-x=1'],
    ['https://a.test/', '__Host-x=1; Secure; Path=/; Domain=a.test'],
    ['https://a.test/', 'x=1; SameSite=None'],
    ['http://a.test/', `x=${'1'.repeat(5000)}`],
    ['http://a.test/', 'x=1\u0001'],
    ['http://a.test/', ''],
    ['http://a.test/', ';;;'],
    ['http://a.test/', '='],
    ['http://a.test/', `x=1; Domain=${'a.'.repeat(5000)}test`],
    ['http://a.test/', 'x=1; Domain=..'],
  ])('%s: %s', async (at, field) => {
    expect(await jarAt(at, field).get()).toEqual([]);
  });
  test('RFC 6265bis §5.7: nothing over a secure cookie from an insecure connection', async () => {
    const cookies = jarAt('https://a.test/', 'id=good; Secure; Path=/');
    cookies._take(url('http://a.test/'), ['id=evil; Path=/', 'id=evil; Path=/login', 'other=1'], program);
    expect((await cookies.get()).map(({ name, value }) => [name, value])).toEqual([
      ['id', 'good'],
      ['other', '1'],
    ]);
  });
  test('a path that is too long is as if it were absent', async () => {
    const [cookie] = await jarOf(`x=1; Path=/${'p'.repeat(2000)}`).get();
    expect(cookie!.path).toBe('/dir');
  });
  test('a name of an object is a name like any other', () => {
    const cookies = jarAt('http://a.test/', '__proto__=1; Path=/__proto__', 'constructor=2', 'toString=3');
    expect(sent(cookies, 'http://a.test/')).toBe('constructor=2; toString=3');
    expect(({} as Record<string, unknown>)['1']).toBeUndefined();
  });
});

describe('asked by another site', () => {
  test('only what says SameSite=None goes along, and is kept', async () => {
    const fields = ['n=1; SameSite=None; Secure', 'u=2', 'l=3; SameSite=Lax', 's=4; SameSite=Strict'];
    const cookies = jarAt('https://a.test/', ...fields);
    expect(sent(cookies, 'https://a.test/')).toBe('n=1; u=2; l=3; s=4');
    expect(sent(cookies, 'https://a.test/', 'https://www.a.test')).toBe('n=1; u=2; l=3; s=4');
    for (const origin of ['https://b.test', 'http://a.test', 'null'])
      expect(sent(cookies, 'https://a.test/', origin)).toBe('n=1');
    const others = new Cookies();
    others._take(url('https://a.test/'), fields, { method: 'GET', origin: 'https://b.test' });
    expect((await others.get()).map((cookie) => cookie.name)).toEqual(['n']);
  });
  test('sites end at public suffixes', () => {
    const cookies = jarAt('https://me.github.io/', 'a=1');
    expect(sent(cookies, 'https://me.github.io/', 'https://you.github.io')).toBeUndefined();
  });
});

describe('E-104 cookies.set', () => {
  test('a host-only cookie, lax', async () => {
    const cookies = new Cookies();
    await cookies.set({ url: 'http://a.test/x/y', name: 'n', value: 'v' });
    expect(await cookies.get()).toEqual([
      {
        name: 'n',
        value: 'v',
        domain: 'a.test',
        hostOnly: true,
        path: '/x',
        secure: false,
        httpOnly: false,
        session: true,
        sameSite: 'lax',
      },
    ]);
  });
  test.each(['a.test', '.a.test', '.A.TEST'])('with domain %s for all names below', async (domain) => {
    const cookies = new Cookies();
    await cookies.set({ url: 'http://www.a.test/', name: 'n', value: 'v', domain });
    expect(await cookies.get()).toMatchObject([{ domain: '.a.test', hostOnly: false, path: '/' }]);
  });
  test('no_restriction is secure unless it is said otherwise', async () => {
    const cookies = new Cookies();
    await cookies.set({ url: 'https://a.test/', name: 'n', sameSite: 'no_restriction' });
    expect(await cookies.get()).toMatchObject([{ secure: true, sameSite: 'no_restriction' }]);
  });
  test('with a date it is no session cookie, and with a past one it is gone', async () => {
    const cookies = new Cookies();
    const expirationDate = Math.floor(Date.now() / 1000) + 1000;
    await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate });
    expect(await cookies.get()).toMatchObject([{ session: false, expirationDate }]);
    await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: 1 });
    expect(await cookies.get()).toEqual([]);
  });
  test.each<[object, RegExp]>([
    [{ url: 'nonsense', name: 'n' }, /'nonsense' is not a URL/],
    [{ name: 'n' }, /'undefined' is not a URL/],
    [{ url: 'http://a.test/', name: 'n', domain: 'b.test' }, /Cookie not in this host's domain/],
    [{ url: 'http://a.co.uk/', name: 'n', domain: 'co.uk' }, /public suffix/],
    [{ url: 'http://a.test/' }, /neither name nor value/],
    [{ url: 'http://a.test/', name: 'n', value: 'a;b' }, /characters that no cookie can have/],
    [{ url: 'http://a.test/', name: 'n', value: 'a\r\nSet-Cookie: x=y' }, /characters that no cookie can have/],
    [{ url: 'http://a.test/', name: 'a=b' }, /characters that no cookie can have/],
    [{ url: 'http://a.test/', name: 'n', path: '/;x' }, /characters that no cookie can have/],
    [{ url: 'http://a.test/', name: 'n', sameSite: 'Lax' }, /sameSite 'Lax' is none of/],
    [{ url: 'http://a.test/', name: 'n', secure: true }, /not a secure connection/],
    [{ url: 'https://a.test/', name: 'n', sameSite: 'no_restriction', secure: false }, /SameSite=None/],
    [{ url: 'http://a.test/', name: '__Host-n' }, /__Host/],
    [{ url: 'http://a.test/', name: 'n', expirationDate: Number.NaN }, /number of seconds/],
    [{ url: 'http://a.test/', name: 'n', value: 'x'.repeat(5000) }, /too long/],
  ])('%j is refused: %s', async (details, message) => {
    await expect(new Cookies().set(details as { url: string })).rejects.toThrow(message);
  });
});

describe('E-104 cookies.get', () => {
  const cookies = new Cookies();
  beforeAll(async () => {
    const soon = Date.now() / 1000 + 1000;
    await cookies.set({ url: 'https://a.test/', name: 'host', path: '/' });
    await cookies.set({ url: 'https://a.test/', name: 'wide', domain: 'a.test', path: '/p', secure: true });
    await cookies.set({ url: 'https://x.a.test/', name: 'below', httpOnly: true, expirationDate: soon });
    await cookies.set({ url: 'https://nota.test/', name: 'host' });
  });
  test.each<[object, string[]]>([
    [{}, ['host', 'wide', 'below', 'host']],
    [{ url: '' }, ['host', 'wide', 'below', 'host']],
    [{ url: 'https://a.test/p' }, ['wide', 'host']],
    [{ url: 'http://a.test/p' }, ['host']],
    [{ name: 'host' }, ['host', 'host']],
    [{ domain: 'a.test' }, ['host', 'wide', 'below']],
    [{ domain: '.a.test' }, ['host', 'wide', 'below']],
    [{ domain: 'x.a.test' }, ['below']],
    [{ path: '/p' }, ['wide']],
    [{ secure: true }, ['wide']],
    [{ session: false }, ['below']],
    [{ httpOnly: true }, ['below']],
    [{ domain: 'a.test', session: true, secure: false }, ['host']],
  ])('%j', async (filter, names) => {
    expect((await cookies.get(filter)).map((cookie) => cookie.name)).toEqual(names);
  });
  test('a URL that is none', async () => {
    await expect(cookies.get({ url: 'nonsense' })).rejects.toThrow(/not a URL/);
  });
});

test('cookies.remove takes those that a URL would be sent', async () => {
  const cookies = new Cookies();
  await cookies.set({ url: 'http://a.test/', name: 'n', path: '/' });
  await cookies.set({ url: 'http://a.test/', name: 'n', path: '/deep' });
  await cookies.set({ url: 'http://a.test/', name: 'm', path: '/' });
  await cookies.remove('http://a.test/', 'n');
  expect((await cookies.get()).map(({ name, path }) => [name, path])).toEqual([
    ['n', '/deep'],
    ['m', '/'],
  ]);
  await expect(cookies.remove('nonsense', 'n')).rejects.toThrow(/not a URL/);
});

describe("'changed'", () => {
  const told = (cookies: Cookies): unknown[] => {
    const list: unknown[] = [];
    cookies.on('changed', (event, cookie, cause, removed) => {
      expect(event.defaultPrevented).toBe(false);
      list.push([`${cookie.name}=${cookie.value}`, cause, removed]);
    });
    return list;
  };
  const ticks = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

  test('set, overwritten, removed, set to what has expired', async () => {
    const cookies = new Cookies();
    const list = told(cookies);
    const at = { url: 'http://a.test/', name: 'n' };
    await cookies.set({ ...at, value: '1' });
    await cookies.set({ ...at, value: '2' });
    await cookies.set({ ...at, expirationDate: 1 });
    await cookies.set({ ...at, value: '3' });
    await cookies.remove('http://a.test/', 'n');
    await ticks();
    expect(list).toEqual([
      ['n=1', 'inserted', false],
      ['n=1', 'overwrite', true],
      ['n=2', 'inserted', false],
      ['n=2', 'expired-overwrite', true],
      ['n=3', 'inserted', false],
      ['n=3', 'explicit', true],
    ]);
  });
  test.each([
    ['the same again', {}, 'inserted-no-change-overwrite'],
    ['another value', { value: '2' }, 'inserted'],
    ['it outlives the session', { expirationDate: 4e9 }, 'inserted-no-value-change-overwrite'],
    ['for scripts no more', { httpOnly: true }, 'inserted-no-value-change-overwrite'],
    ['for TLS only', { secure: true }, 'inserted-no-value-change-overwrite'],
    ['for other sites', { sameSite: 'strict' as const }, 'inserted-no-value-change-overwrite'],
  ])('in the place of another: %s', async (_what, changed, cause) => {
    const cookies = new Cookies();
    const first = { url: 'https://a.test/', name: 'n', value: '1' };
    await cookies.set(first);
    const list = told(cookies);
    await cookies.set({ ...first, ...changed });
    await ticks();
    expect(list.map((one) => (one as unknown[]).slice(1))).toEqual([
      ['overwrite', true],
      [cause, false],
    ]);
  });
  test('expired, when somebody looks', async () => {
    const cookies = new Cookies();
    await cookies.set({ url: 'http://a.test/', name: 'n', expirationDate: Date.now() / 1000 + 10 });
    const list = told(cookies);
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 11_000);
    try {
      expect(await cookies.get()).toEqual([]);
      expect(sent(cookies, 'http://a.test/')).toBeUndefined();
    } finally {
      now.mockRestore();
    }
    await ticks();
    expect(list).toEqual([['n=', 'expired', true]]);
  });
  test('never from inside a request', async () => {
    const cookies = new Cookies();
    let inside = true;
    cookies.on('changed', () => expect(inside).toBe(false));
    cookies._take(url('http://a.test/'), ['a=1'], program);
    inside = false;
    await ticks();
    expect.assertions(1);
  });
});

describe('the jar stays small', () => {
  test('a site has at most 180; the longest unused go', async () => {
    const cookies = new Cookies();
    const causes: string[] = [];
    cookies.on('changed', (_event, _cookie, cause) => causes.push(cause));
    cookies._take(url('http://other.test/'), ['stays=1'], program);
    for (let i = 0; i < 1000; i++) cookies._take(url(`http://h${i % 7}.a.test/`), [`c${i}=1`], program);
    const left = await cookies.get({ domain: 'a.test' });
    expect(left.length).toBeLessThanOrEqual(180);
    expect(left.some((cookie) => cookie.name === 'c999')).toBe(true);
    expect(left.some((cookie) => cookie.name === 'c0')).toBe(false);
    expect(await cookies.get({ domain: 'other.test' })).toHaveLength(1);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(causes).toContain('evicted');
  });
  test('and all sites together at most 3300', async () => {
    const cookies = new Cookies();
    for (let i = 0; i < 4000; i++) cookies._take(url(`http://h${i}.test/`), ['c=1'], program);
    expect(cookies._store.size).toBeLessThanOrEqual(3300);
    expect(await cookies.get()).toHaveLength(cookies._store.size);
  });
});

describe('E-103: RFC 6265bis §5.7, a public suffix that names itself', () => {
  test.each([
    ['http://github.io/', 'github.io'],
    ['http://co.uk/', '.CO.UK'],
    ['http://intranet/', 'intranet'],
    ['http://127.0.0.1/', '127.0.0.1'],
  ])('%s, Domain=%s: for that host only', async (at, domain) => {
    const cookies = jarAt(at, `a=b; Domain=${domain}`);
    const host = new URL(at).hostname;
    expect(await cookies.get()).toMatchObject([{ name: 'a', domain: host, hostOnly: true }]);
    expect(sent(cookies, at)).toBe('a=b');
    if (host !== '127.0.0.1') expect(sent(cookies, at.replace(host, `sub.${host}`))).toBeUndefined();
    const other = new Cookies();
    await other.set({ url: at, name: 'n', domain });
    expect(await other.get()).toMatchObject([{ domain: host, hostOnly: true }]);
  });
  test('from below it, nothing is set', async () => {
    expect(await jarAt('http://me.github.io/', 'a=b; Domain=github.io').get()).toEqual([]);
    expect(await jarAt('http://a.co.uk/', 'a=b; Domain=co.uk').get()).toEqual([]);
  });
  test('any other host that names itself speaks for what is below', async () => {
    expect(await jarAt('http://a.co.uk/', 'a=b; Domain=a.co.uk').get()).toMatchObject([{ hostOnly: false }]);
  });
});
