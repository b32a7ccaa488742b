import { type Cookie, getPublicSuffix, MemoryCookieStore } from 'tough-cookie';

/** Why a cookie changed; the words are Electron's. */
export type CookieChange =
  | 'inserted'
  | 'inserted-no-change-overwrite' // the same again
  | 'inserted-no-value-change-overwrite' // the same value; it lasts longer, say
  | 'explicit' // somebody removed it
  | 'overwrite' // by the one that is told next
  | 'expired'
  | 'evicted'
  | 'expired-overwrite';

/** Chromium's numbers: beyond `max` the longest unused go until `kept` are left. */
const PER_SITE = { max: 180, kept: 150 };
const ALL = { max: 3300, kept: 3000 };

/** RFC 6265bis §5.6: nothing is kept for longer. */
const AGE_MAX_MS = 400 * 86_400_000;

type Done = (error: null) => void;

/** The domain that belongs to one owner: "a.b.example.co.uk" and "example.co.uk" share one. Else the name itself. */
export function siteOf(domain: string): string {
  try {
    return getPublicSuffix(domain, { allowSpecialUseDomain: true, ignoreError: true }) ?? domain;
  } catch {
    return domain;
  }
}

/** True of "co.uk" and of addresses: nobody owns what is below. */
export function isPublicSuffix(domain: string): boolean {
  try {
    return getPublicSuffix(domain, { allowSpecialUseDomain: true, ignoreError: true }) == null;
  } catch {
    return false;
  }
}

const isExpired = (cookie: Cookie, now: number): boolean => (cookie.expiryTime() ?? Number.POSITIVE_INFINITY) <= now;

/** What it is to put a cookie in the place of another. */
function insertionOf(old: Cookie, cookie: Cookie): CookieChange {
  if (old.value !== cookie.value) return 'inserted';
  const same =
    old.secure === cookie.secure &&
    old.httpOnly === cookie.httpOnly &&
    old.sameSite === cookie.sameSite &&
    old.isPersistent() === cookie.isPersistent() &&
    old.expiryTime() === cookie.expiryTime();
  return same ? 'inserted-no-change-overwrite' : 'inserted-no-value-change-overwrite';
}

/** The jar's memory: tells of each change, forgets what has expired, and never holds more than so many. */
export class CookieStore extends MemoryCookieStore {
  private readonly sites = new Map<string, Set<Cookie>>();
  private count = 0;

  constructor(private readonly onChange: (cookie: Cookie, cause: CookieChange, removed: boolean) => void) {
    super();
  }

  get size(): number {
    return this.count;
  }

  /** All that have not expired. Those that have are removed. */
  list(): Cookie[] {
    const now = Date.now();
    const found: Cookie[] = [];
    for (const site of [...this.sites.values()]) {
      for (const cookie of [...site]) {
        if (isExpired(cookie, now)) this.drop(cookie, 'expired');
        else found.push(cookie);
      }
    }
    return found;
  }

  /** Takes a cookie from a file: nobody is told. */
  restore(cookie: Cookie): void {
    if (!isExpired(cookie, Date.now())) this.keep(cookie);
  }

  drop(cookie: Cookie, cause: CookieChange): void {
    const { domain, path, key } = cookie;
    this.forget(cookie);
    void super.removeCookie(domain!, path!, key, () => {});
    this.onChange(cookie, cause, true);
  }

  private keep(cookie: Cookie): void {
    const latest = Date.now() + AGE_MAX_MS;
    if (cookie.isPersistent() && cookie.expiryTime()! > latest) {
      cookie.maxAge = null;
      cookie.expires = new Date(latest);
    }
    const name = siteOf(cookie.domain!);
    let site = this.sites.get(name);
    if (site === undefined) this.sites.set(name, (site = new Set()));
    site.add(cookie);
    this.count++;
    void super.putCookie(cookie, () => {});
    if (site.size > PER_SITE.max) this.evict([...site], PER_SITE.kept);
    if (this.count > ALL.max) this.evict(this.list(), ALL.kept);
  }

  private forget(cookie: Cookie): void {
    const name = siteOf(cookie.domain!);
    const site = this.sites.get(name);
    if (site === undefined || !site.delete(cookie)) return;
    this.count--;
    if (site.size === 0) this.sites.delete(name);
  }

  private evict(from: Cookie[], kept: number): void {
    const used = (cookie: Cookie): number => Number(cookie.lastAccessed ?? 0);
    from.sort((a, b) => used(a) - used(b) || a.creationIndex - b.creationIndex);
    for (const cookie of from.slice(0, Math.max(0, from.length - kept))) this.drop(cookie, 'evicted');
  }

  // ── what the jar calls ──

  override putCookie(cookie: Cookie): Promise<void>;
  override putCookie(cookie: Cookie, done: Done): void;
  override putCookie(cookie: Cookie, done?: Done): Promise<void> | undefined {
    // To set what has expired is how a cookie is removed: there was none.
    if (!isExpired(cookie, Date.now())) {
      this.keep(cookie);
      this.onChange(cookie, 'inserted', false);
    }
    return settle(done);
  }

  override updateCookie(old: Cookie, cookie: Cookie): Promise<void>;
  override updateCookie(old: Cookie, cookie: Cookie, done: Done): void;
  override updateCookie(old: Cookie, cookie: Cookie, done?: Done): Promise<void> | undefined {
    if (isExpired(cookie, Date.now())) {
      this.drop(old, 'expired-overwrite');
      return settle(done);
    }
    this.drop(old, 'overwrite');
    this.keep(cookie);
    this.onChange(cookie, insertionOf(old, cookie), false);
    return settle(done);
  }

  /** The jar removes what it finds expired. */
  override removeCookie(domain: string, path: string, key: string): Promise<void>;
  override removeCookie(domain: string, path: string, key: string, done: Done): void;
  override removeCookie(domain: string, path: string, key: string, done?: Done): Promise<void> | undefined {
    for (const cookie of this.sites.get(siteOf(domain)) ?? []) {
      if (cookie.domain === domain && cookie.path === path && cookie.key === key) this.drop(cookie, 'expired');
    }
    return settle(done);
  }
}

function settle(done: Done | undefined): Promise<void> | undefined {
  if (done === undefined) return Promise.resolve();
  done(null);
  return undefined;
}
