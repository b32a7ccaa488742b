import { type DigestInput, digestResponse } from '../../../../electron/session/digest';

/** Parameters of a value, without quotes. */
const read = (value: string): Record<string, string> =>
  Object.fromEntries(
    [...value.matchAll(/([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))/g)].map((m) => [m[1]!, m[2] ?? m[3]!]),
  );

const mufasa = (parameters: Record<string, string>, more: Partial<DigestInput> = {}): Record<string, string> =>
  read(
    digestResponse({
      username: 'Mufasa',
      password: 'Circle of Life',
      realm: 'http-auth@example.org',
      parameters: { nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v', ...parameters },
      method: 'GET',
      target: '/dir/index.html',
      body: null,
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      nonceCount: 1,
      ...more,
    }),
  );

describe('RFC 7616 §3.9.1: the same request in two algorithms', () => {
  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('%s', (algorithm, response) => {
    const opaque = 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS';
    expect(mufasa({ algorithm, qop: 'auth, auth-int', opaque })).toMatchObject({
      username: 'Mufasa',
      realm: 'http-auth@example.org',
      uri: '/dir/index.html',
      algorithm,
      nc: '00000001',
      qop: 'auth',
      response,
      opaque,
    });
  });
});

test('RFC 7616 §3.9.2: the name is hashed, and outside of ASCII', () => {
  const answer = read(
    digestResponse({
      username: 'Jäsøn Doe',
      password: 'Secret, or not?',
      realm: 'api@example.org',
      parameters: {
        nonce: '5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK',
        opaque: 'HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS',
        qop: 'auth',
        algorithm: 'SHA-512-256',
        charset: 'UTF-8',
        userhash: 'true',
      },
      method: 'GET',
      target: '/doe.json',
      body: null,
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      nonceCount: 1,
    }),
  );
  // The values of erratum 4897: the RFC's own were not made with SHA-512/256.
  expect(answer).toMatchObject({
    username: '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
    response: '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
    userhash: 'true',
  });
});

test('RFC 2617 §3.5, as everybody implements it', () => {
  const answer = mufasa(
    { nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093', qop: 'auth,auth-int', opaque: '5ccc069c403ebaf9f0171e9517f40e41' },
    { password: 'Circle Of Life', realm: 'testrealm@host.com', cnonce: '0a4f113b' },
  );
  expect(answer).toMatchObject({ response: '6629fae49393a05397450978507c4ef1', cnonce: '0a4f113b' });
  expect(answer).not.toHaveProperty('algorithm');
});

test('RFC 2069: no qop, no count', () => {
  const answer = mufasa(
    { nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093' },
    { password: 'CircleOfLife', realm: 'testrealm@host.com' },
  );
  expect(answer).toMatchObject({ response: '1949323746fe6a43ef61f9606e7febea' });
  expect(answer).not.toHaveProperty('nc');
  expect(answer).not.toHaveProperty('cnonce');
});

// From an implementation of the formula in another language.
describe('§3.4.2: with a session the key has nonces in it', () => {
  test.each([
    ['MD5-sess', 'e783283f46242139c486a698fec7211d'],
    ['SHA-256-sess', '2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7'],
  ])('%s', (algorithm, response) => {
    expect(mufasa({ algorithm, qop: 'auth' })['response']).toBe(response);
  });
});

describe('§3.4.3: auth-int covers the body', () => {
  const body = [Buffer.from('he'), Buffer.from('llo')];
  test('only where nothing else is offered', () => {
    expect(mufasa({ qop: 'auth-int,auth' }, { body })['qop']).toBe('auth');
    expect(mufasa({ qop: 'auth-int' }, { body, method: 'POST' })['qop']).toBe('auth-int');
  });
  test('pieces do not matter, bytes do', () => {
    const of = (text: string): string => mufasa({ qop: 'auth-int' }, { body: [Buffer.from(text)] })['response']!;
    expect(mufasa({ qop: 'auth-int' }, { body })['response']).toBe(of('hello'));
    expect(of('hello')).not.toBe(of('hellO'));
  });
  test('without a body that is known it cannot be', () => {
    expect(() => mufasa({ qop: 'auth-int' })).toThrow(/auth-int.*send it buffered/);
  });
});

test('the nonce count is eight digits of base 16', () => {
  expect(mufasa({ qop: 'auth' }, { nonceCount: 4095 })['nc']).toBe('00000fff');
});

test('a quote in a name does not end it', () => {
  const value = digestResponse({
    username: 'a", uri="/other',
    password: 'p',
    realm: 'r\\',
    parameters: { nonce: 'n', qop: 'auth' },
    method: 'GET',
    target: '/',
    body: null,
    cnonce: 'c',
    nonceCount: 1,
  });
  expect(value).toContain('username="a\\", uri=\\"/other", realm="r\\\\", nonce="n", uri="/",');
});

test('a name outside of ASCII is sent as RFC 8187 says', () => {
  expect(mufasa({ qop: 'auth' }, { username: "Jäs'n" })['username*']).toBe("UTF-8''J%C3%A4s%27n");
});
