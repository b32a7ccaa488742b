import { redirectOf } from '../../../electron/redirects';
import { policyFrom, REFERRER_POLICIES, type ReferrerPolicy, referrerFor } from '../../../electron/referrer';
import { sameSite } from '../../../electron/site';

describe('E-024: referrerFor', () => {
  const from = 'https://user:pass@a.test/page?q#part';
  const to = { same: 'https://a.test/x', cross: 'https://b.test/x', down: 'http://a.test/x' };
  const whole = 'https://a.test/page?q';
  const origin = 'https://a.test/';
  const none = undefined;
  const table: [ReferrerPolicy, same: string | undefined, cross: string | undefined, down: string | undefined][] = [
    ['', whole, origin, none],
    ['no-referrer', none, none, none],
    ['no-referrer-when-downgrade', whole, whole, none],
    ['origin', origin, origin, origin],
    ['origin-when-cross-origin', whole, origin, origin],
    ['unsafe-url', whole, whole, whole],
    ['same-origin', whole, none, none],
    ['strict-origin', origin, origin, none],
    ['strict-origin-when-cross-origin', whole, origin, none],
  ];
  test('all policies are in the table', () => {
    expect(table.map(([policy]) => policy)).toEqual([...REFERRER_POLICIES]);
  });
  test.each(table)('%s', (policy, same, cross, down) => {
    const told = [to.same, to.cross, to.down].map((url) => referrerFor(from, new URL(url), policy));
    expect(told).toEqual([same, cross, down]);
  });
  test('what is no http URL tells nothing; what is too long only its origin', () => {
    for (const text of ['', 'about:client', 'file:///x', 'no url']) {
      expect(referrerFor(text, new URL(to.same), 'unsafe-url')).toBeUndefined();
    }
    expect(referrerFor(`https://a.test/${'x'.repeat(5000)}`, new URL(to.same), 'unsafe-url')).toBe(origin);
  });
  test.each(['http://localhost/', 'http://127.0.0.1/', 'http://[::1]/'])('%s is no downgrade', (local) => {
    expect(referrerFor(from, new URL(local), 'strict-origin')).toBe(origin);
  });
  test('the last known word of a field counts', () => {
    expect(policyFrom(['no-referrer, UNSAFE-URL', 'new-one'])).toBe('unsafe-url');
    expect([policyFrom(undefined), policyFrom('new-one'), policyFrom('')]).toEqual([undefined, undefined, undefined]);
  });
});

test('redirectOf takes any text for a Location without harm', () => {
  const from = new URL('http://a.test/x/y?z');
  const url = (location: string): string => {
    const redirect = redirectOf(302, location, 'GET', from);
    return typeof redirect === 'object' && redirect !== null ? redirect.url.href : String(redirect);
  };
  expect(['', '?q', '#f', '..', '//b.test', 'HTTP://B.TEST:80/../z', '\tfoo\n'].map(url)).toEqual([
    'http://a.test/x/y?z',
    'http://a.test/x/y?q',
    'http://a.test/x/y?z#f',
    'http://a.test/',
    'http://b.test/',
    'http://b.test/z',
    'http://a.test/x/foo',
  ]);
  expect(['http://', 'http://a b', 'http://[::1', 'ftp://x', 'mailto:x'].map(url)).toEqual([
    'invalid',
    'invalid',
    'invalid',
    'unsafe',
    'unsafe',
  ]);
});

test.each([
  ['a.example.com', 'b.example.com', true],
  ['example.co.uk', 'other.co.uk', false],
  ['a.github.io', 'b.github.io', false],
  ['localhost', 'localhost', true],
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['[::1]', '[::1]', true],
  ['com', 'com', true],
])('sameSite: %s and %s: %s', (a, b, same) => {
  expect(sameSite(a, b)).toBe(same);
});
