import { ProxyBypass } from '../../../../electron/session/proxy-bypass';
import { ProxySettings } from '../../../../electron/session/proxy-settings';

const settings = (proxyRules: string, proxyBypassRules = ''): ProxySettings => {
  const made = new ProxySettings();
  made.set({ proxyRules, proxyBypassRules });
  return made;
};
const way = (rules: string, url: string, bypass = ''): string => settings(rules, bypass).textFor(new URL(url));

describe('E-105 proxyRules', () => {
  test.each([
    ['foopy:80', 'http://a.test/', 'PROXY foopy:80'],
    ['foopy:80', 'https://a.test/', 'PROXY foopy:80'],
    ['foopy', 'http://a.test/', 'PROXY foopy:80'],
    ['foopy:80,bar,direct://', 'https://a.test/', 'PROXY foopy:80; PROXY bar:80; DIRECT'],
    ['http=foopy:80;ftp=foopy2', 'http://a.test/', 'PROXY foopy:80'],
    ['http=foopy:80;ftp=foopy2', 'https://a.test/', 'DIRECT'],
    ['http=foopy;socks=foopy2', 'https://a.test/', 'SOCKS foopy2:1080'],
    ['http=foopy;socks=foopy2', 'http://a.test/', 'PROXY foopy:80'],
    ['http=foopy,socks5://bar.com', 'http://a.test/', 'PROXY foopy:80; SOCKS5 bar.com:1080'],
    ['http=foopy,direct://', 'http://a.test/', 'PROXY foopy:80; DIRECT'],
    ['http=a ; https = b:8080 , c', 'https://a.test/', 'PROXY b:8080; PROXY c:80'],
    ['socks4://foopy', 'http://a.test/', 'SOCKS foopy:1080'],
    ['socks://foopy', 'http://a.test/', 'SOCKS5 foopy:1080'],
    ['socks5://u:p@foopy:99', 'http://a.test/', 'SOCKS5 foopy:99'],
    ['https://foopy', 'http://a.test/', 'HTTPS foopy:443'],
    ['https://foopy:80', 'http://a.test/', 'HTTPS foopy:80'],
    ['socks5://foopy:80', 'http://a.test/', 'SOCKS5 foopy:80'],
    ['HTTP://FOOPY:3128', 'http://a.test/', 'PROXY foopy:3128'],
    ['[::1]:3128', 'http://a.test/', 'PROXY [::1]:3128'],
    ['direct://', 'http://a.test/', 'DIRECT'],
    ['http=;https=b', 'http://a.test/', 'DIRECT'],
    ['', 'http://a.test/', 'DIRECT'],
    [';;', 'http://a.test/', 'DIRECT'],
  ])('%j for %s: %s', (rules, url, expected) => {
    expect(way(rules, url)).toBe(expected);
  });

  test.each([
    ['quic://foopy', /quic proxies are not known/],
    ['foo py', /is not \[type:\/\/\]host\[:port\]/],
    ['foopy:99999', /is not \[type/],
    ['foopy:0', /port 0/],
    ['foopy/path', /more than a host and a port/],
    ['gopher=foopy', /for no scheme that is known/],
    ['http=a;b', /either one list for all URLs/],
    ['direct://x', /direct:\/\/ has no host/],
    ['u:p@foopy', /SOCKS5 server only/],
    [`socks5://${'u'.repeat(256)}:p@foopy`, /1 to 255 bytes/],
    ['socks5://u@foopy', /1 to 255 bytes/],
  ])('%s is refused', (rules, message) => {
    expect(() => settings(rules)).toThrow(message);
  });

  test.each<[object, RegExp]>([
    [{ mode: 'pac_script' }, /PAC script/],
    [{ pacScript: 'http://x/proxy.pac', proxyRules: 'foopy' }, /PAC script/],
    [{ mode: 'auto_detect' }, /auto_detect/],
    [{ mode: 'system' }, /not built/],
    [{ mode: 'Direct' }, /none of direct/],
    [{ proxyRules: 5 }, /proxyRules is a string/],
  ])('%j is a clear error', (config, message) => {
    expect(() => new ProxySettings().set(config)).toThrow(message);
  });

  test('a configuration that is refused changes nothing', () => {
    const made = settings('foopy');
    expect(() => made.set({ proxyRules: 'other', proxyBypassRules: '[' })).toThrow(/no rule/);
    expect(made.textFor(new URL('http://a.test/'))).toBe('PROXY foopy:80');
  });

  test('direct, and nothing at all, are without proxies', () => {
    const made = settings('foopy');
    made.set({ mode: 'direct', proxyRules: 'foopy' });
    expect(made.textFor(new URL('http://a.test/'))).toBe('DIRECT');
    made.set({});
    expect(made.textFor(new URL('http://a.test/'))).toBe('DIRECT');
  });

  test('a SOCKS login is known for its server alone', () => {
    const made = settings('socks5://al%40ice:s%3Acret@foopy,socks5://bar');
    expect(made.loginOf({ type: 'socks5', host: 'foopy', port: 1080 })).toEqual({
      username: 'al@ice',
      password: 's:cret',
    });
    expect(made.loginOf({ type: 'socks5', host: 'bar', port: 1080 })).toBeUndefined();
  });
});

describe('E-105 proxyBypassRules', () => {
  test.each<[string, string, boolean]>([
    ['', 'http://a.test/', false],
    ['foobar.com', 'http://foobar.com/', true],
    ['foobar.com', 'http://FOOBAR.com:8080/', true],
    ['FooBar.com', 'https://foobar.com/', true],
    ['foobar.com', 'http://www.foobar.com/', false],
    ['*foobar.com', 'http://www.foobar.com/', true],
    ['*foobar.com', 'http://xfoobar.com/', true],
    ['*.foobar.com', 'http://foobar.com/', false],
    ['.foobar.com', 'http://www.foobar.com/', true],
    ['.foobar.com', 'http://foobar.com/', false],
    ['*foobar.com:99', 'http://foobar.com:99/', true],
    ['*foobar.com:99', 'http://foobar.com/', false],
    ['foobar.com:80', 'http://foobar.com/', true],
    ['foobar.com:443', 'https://foobar.com/', true],
    ['https://x.*.y.com:99', 'https://x.long.way.y.com:99/', true],
    ['https://x.*.y.com:99', 'http://x.z.y.com:99/', false],
    ['https://x.*.y.com:99', 'https://x.y.com:99/', false],
    ['http://.google.com', 'http://www.google.com/', true],
    ['http://.google.com', 'https://www.google.com/', false],
    ['a*a', 'http://a/', false],
    ['a*a', 'http://aa/', true],
    ['*', 'http://anything.test/', true],
    ['a.test,b.test;c.test d.test', 'http://c.test/', true],
    ['10.0.0.1', 'http://10.0.0.1/', true],
    ['10.1', 'http://10.0.0.1/', true],
    ['10.0.0.1', 'http://10.0.0.10/', false],
    ['[fd00::1]', 'http://[fd00::1]/', true],
    ['[FD00:0:0::1]:99', 'http://[fd00::1]:99/', true],
    ['http://[fd00::1]:99', 'https://[fd00::1]:99/', false],
    ['192.168.1.1/16', 'http://192.168.7.7/', true],
    ['192.168.1.1/16', 'http://192.169.7.7/', false],
    ['192.168.1.1/16', 'http://192.168.7.7.test/', false],
    ['fefe:13::abc/33', 'http://[fefe:13::1]/', true],
    ['fefe:13::abc/33', 'http://[fefe:14::1]/', false],
    ['<local>', 'http://intranet/', true],
    ['<local>', 'http://intra.net/', false],
    ['<local>', 'http://10.0.0.1/', false],
    ['', 'http://localhost/', true],
    ['', 'http://app.localhost:3000/', true],
    ['', 'http://localhost.test/', false],
    ['', 'http://127.4.5.6/', true],
    ['', 'http://[::1]/', true],
    ['', 'http://169.254.1.1/', true],
    ['', 'http://[fe80::1]/', true],
    ['', 'http://128.0.0.1/', false],
    ['<-loopback>', 'http://localhost/', false],
    ['<-loopback>', 'http://127.0.0.1/', false],
    ['<-loopback>,localhost', 'http://localhost/', true],
    ['localhost,<-loopback>', 'http://localhost/', false],
    ['<-loopback>;a.test', 'http://a.test/', true],
  ])('%j covers %s: %s', (rules, url, expected) => {
    expect(new ProxyBypass(rules).covers(new URL(url))).toBe(expected);
  });

  test.each(['[', '[x]', 'a:b', '10.0.0.0/33', 'http://', ':80', 'a/b', 'fd00::/129'])('%s is refused', (rules) => {
    expect(() => new ProxyBypass(rules)).toThrow(/^proxyBypassRules: /);
  });

  test('hostile names cost what they are long', () => {
    const pattern = `${'*a'.repeat(2000)}*b`;
    expect(new ProxyBypass(pattern).covers(new URL(`http://${'a'.repeat(250)}.test/`))).toBe(false);
  });
});

describe('E-105: proxies that failed', () => {
  const url = new URL('http://far.example/');
  const hosts = (made: ProxySettings): string => made.textFor(url).replace(/(PROXY|:80)\s?/g, '');
  const three = (): { made: ProxySettings; clock: { now: number } } => {
    const clock = { now: 1000 };
    const made = new ProxySettings(() => clock.now);
    made.set({ proxyRules: 'a,b,direct://' });
    return { made, clock };
  };
  const fail = (made: ProxySettings, host: string): void => made.failed({ type: 'http', host, port: 80 });

  test('come last for five minutes', () => {
    const { made, clock } = three();
    fail(made, 'a');
    expect(hosts(made)).toBe('b; DIRECT; a');
    clock.now += 5 * 60_000 - 1;
    expect(hosts(made)).toBe('b; DIRECT; a');
    clock.now += 1;
    expect(hosts(made)).toBe('a; b; DIRECT');
  });
  test('all of them: in their order again, and none is left out', () => {
    const { made } = three();
    fail(made, 'b');
    fail(made, 'a');
    expect(hosts(made)).toBe('DIRECT; a; b');
    made.set({ proxyRules: 'a,b' });
    fail(made, 'b');
    fail(made, 'a');
    expect(hosts(made)).toBe('a; b');
  });
  test('a new configuration knows nothing of it; nor does what goes direct', () => {
    const { made } = three();
    fail(made, 'a');
    made.failed({ type: 'direct' });
    made.set({ proxyRules: 'a,b,direct://' });
    expect(hosts(made)).toBe('a; b; DIRECT');
  });
  test('another port is another proxy', () => {
    const { made } = three();
    made.failed({ type: 'http', host: 'a', port: 81 });
    expect(hosts(made)).toBe('a; b; DIRECT');
  });
});
