import type { ProxyServer } from '../session-types';
import { ProxyBypass } from './proxy-bypass';
import { type ProxyLogin, type ProxyRules, pacText, parseProxyRules, proxiesOf, proxyKey } from './proxy-rules';

/** What `setProxy` takes. */
export interface ProxyConfig {
  mode?: 'direct' | 'auto_detect' | 'pac_script' | 'fixed_servers' | 'system';
  pacScript?: string;
  proxyRules?: string;
  proxyBypassRules?: string;
}

const DIRECT: readonly ProxyServer[] = [{ type: 'direct' }];

/** Chromium's: a proxy that could not be reached is tried last for so long, in milliseconds. */
const BAD_MS = 5 * 60_000;

const MODES = ['direct', 'auto_detect', 'pac_script', 'fixed_servers', 'system'];

/** The proxies of a session. Direct until it is told otherwise. */
export class ProxySettings {
  private rules: ProxyRules | null = null;
  private bypass = new ProxyBypass('');
  private logins = new Map<string, ProxyLogin>();
  /** Until when a proxy is tried last. */
  private readonly bad = new Map<string, number>();

  /** `now` counts milliseconds, from whenever. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * Takes all of a configuration, or nothing of it.
   * @throws TypeError for rules that cannot be read; Error for what needs more than a stack: scripts, the system's settings
   */
  set(config: ProxyConfig): void {
    const { pacScript = '', proxyRules = '', proxyBypassRules = '' } = config;
    for (const [name, value] of Object.entries({ pacScript, proxyRules, proxyBypassRules })) {
      if (typeof value !== 'string') throw new TypeError(`setProxy: ${name} is a string`);
    }
    const mode = config.mode ?? (pacScript !== '' ? 'pac_script' : proxyRules !== '' ? 'fixed_servers' : 'direct');
    if (!MODES.includes(mode)) throw new TypeError(`setProxy: mode '${String(mode)}' is none of ${MODES.join(', ')}`);
    if (mode === 'pac_script')
      throw new Error('setProxy: a PAC script needs a JavaScript sandbox, and there is none here');
    if (mode === 'auto_detect') throw new Error('setProxy: auto_detect finds a PAC script, and those are not run here');
    if (mode === 'system') throw new Error("setProxy: mode 'system' is not built: give proxyRules, or mode 'direct'");
    const logins = new Map<string, ProxyLogin>();
    const rules = mode === 'fixed_servers' ? parseProxyRules(proxyRules, logins) : null;
    this.bypass = new ProxyBypass(proxyBypassRules);
    this.rules = rules;
    this.logins = logins;
    this.forgive();
  }

  /** The ways to a URL, in the order to try them: those that failed lately come last. */
  proxiesFor(url: URL): readonly ProxyServer[] {
    if (this.rules === null || this.bypass.covers(url)) return DIRECT;
    const list = proxiesOf(this.rules, url.protocol) ?? DIRECT;
    if (this.bad.size === 0) return list;
    return [...list.filter((one) => !this.isBad(one)), ...list.filter((one) => this.isBad(one))];
  }

  /** It could not be reached, and the next of the list was tried. */
  failed(proxy: ProxyServer): void {
    if (proxy.type !== 'direct') this.bad.set(proxyKey(proxy), this.now() + BAD_MS);
  }

  /** All proxies are as good as they were. */
  forgive(): void {
    this.bad.clear();
  }

  private isBad(proxy: ProxyServer): boolean {
    const key = proxyKey(proxy);
    const until = this.bad.get(key);
    if (until === undefined) return false;
    if (until > this.now()) return true;
    this.bad.delete(key);
    return false;
  }

  /** The same as a PAC script would say it. */
  textFor(url: URL): string {
    return pacText(this.proxiesFor(url));
  }

  /** What stood before a SOCKS server's name. */
  loginOf(proxy: ProxyServer): ProxyLogin | undefined {
    return this.logins.get(proxyKey(proxy));
  }
}
