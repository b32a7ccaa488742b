import { chooseChallenge, parseChallenges } from '../../../../electron/session/challenges';

const target = { isProxy: false, protocol: 'http:', host: 'a.test', port: 80 };
const read = (field: string): unknown => parseChallenges(field).map((one) => [one.scheme, { ...one.parameters }]);

describe('RFC 9110 §11.6.1: a field is a list of challenges', () => {
  test.each<[string, unknown]>([
    ['Basic realm="here"', [['basic', { realm: 'here' }]]],
    ['basic REALM=here', [['basic', { realm: 'here' }]]],
    ['Basic realm="a, b", charset="UTF-8"', [['basic', { realm: 'a, b', charset: 'UTF-8' }]]],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
        ['basic', { realm: 'simple' }],
      ],
    ],
    [
      'Negotiate, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    [
      'Negotiate YWJj==, ,Basic realm = "x" , Bearer',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
        ['bearer', {}],
      ],
    ],
    ['Digest nonce=a, nonce=b, realm=""', [['digest', { nonce: 'a', realm: '' }]]],
    [', ,Basic', [['basic', {}]]],
    ['', []],
    ['"Basic"', []],
    ['Basic realm="never ends', []],
  ])('%s', (field, challenges) => {
    expect(read(field)).toEqual(challenges);
  });

  test('a name of an object is a parameter like any other', () => {
    expect(Object.keys(parseChallenges('Basic __proto__=x, constructor=y')[0]!.parameters)).toEqual([
      '__proto__',
      'constructor',
    ]);
  });
});

describe('which challenge is answered', () => {
  const chosen = (...fields: string[]): unknown => {
    const one = chooseChallenge(target, fields);
    return one === undefined ? undefined : [one.scheme, one.realm, one.parameters['algorithm']];
  };
  test.each<[string[], unknown]>([
    [['Basic realm="x"'], ['basic', 'x', undefined]],
    [['Basic'], ['basic', '', undefined]],
    [['Basic realm="x", Digest realm="x", nonce="n"'], ['digest', 'x', undefined]],
    [
      ['Digest realm="x", nonce="n", algorithm=MD5', 'Digest realm="x", nonce="n", algorithm=SHA-256'],
      ['digest', 'x', 'SHA-256'],
    ],
    [
      ['Digest realm="x", nonce="n", algorithm=SHA-256-sess, Digest realm="y", nonce="n", algorithm=SHA-512-256'],
      ['digest', 'y', 'SHA-512-256'],
    ],
    [
      ['Digest realm="x", nonce="n", algorithm=SHA3-1', 'Basic realm="y"'],
      ['basic', 'y', undefined],
    ],
    [
      ['Digest realm="x"', 'Basic realm="y"'],
      ['basic', 'y', undefined],
    ],
    [['Digest realm="x", nonce="n", qop="token"'], undefined],
    [['Negotiate', 'NTLM', 'Bearer realm="z"'], undefined],
    [[], undefined],
  ])('%j', (fields, expected) => {
    expect(chosen(...fields)).toEqual(expected);
  });

  test('it says who asks', () => {
    expect(chooseChallenge(target, ['Basic realm="x"'])).toMatchObject(target);
  });

  test('a challenge of 100 KB is nobody’s, and costs nothing', () => {
    for (const filler of ['a', ',', ' ', '"', 'a=b,', 'Basic ', '\\"', '='])
      expect(chosen(`Basic realm="${filler.repeat(100_000)}"`)).toBeUndefined();
  });

  test('what hostile fields cost grows with their length only', () => {
    for (const filler of ['a', ',', ' ', '"', 'a=b,', 'Basic ', '\\"', '=', 'a="', 'x y, '])
      expect(() => chosen(filler.repeat(Math.floor(16_000 / filler.length)))).not.toThrow();
  });
});
