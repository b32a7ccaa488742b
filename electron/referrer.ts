/** The Referer field under a policy: W3C Referrer Policy §8.3, as a function of two URLs. */

/** All policies; '' is the default, strict-origin-when-cross-origin. */
export const REFERRER_POLICIES = [
  '',
  'no-referrer',
  'no-referrer-when-downgrade',
  'origin',
  'origin-when-cross-origin',
  'unsafe-url',
  'same-origin',
  'strict-origin',
  'strict-origin-when-cross-origin',
] as const;

/** How much of the referring URL a request tells (Referrer Policy §3). */
export type ReferrerPolicy = (typeof REFERRER_POLICIES)[number];

/** A longer one is cut down to its origin (§8.3 step 6). */
const REFERRER_MAX = 4096;

export const isReferrerPolicy = (value: unknown): value is ReferrerPolicy =>
  REFERRER_POLICIES.includes(value as ReferrerPolicy);

/** Nobody on the way can have changed what comes from there: TLS, or this machine. */
export const isTrustworthy = (url: URL): boolean =>
  url.protocol === 'https:' || /^(127\.|localhost$|\[::1\]$)/.test(url.hostname) || url.hostname.endsWith('.localhost');

/** Without what must never be told: user, password, fragment (§8.4). */
function stripped(url: URL): string {
  const bare = new URL(url.href);
  bare.username = bare.password = bare.hash = '';
  return bare.href;
}

/**
 * What of `referrer` a request to `to` may tell; undefined when nothing. Text that is no http(s) URL tells nothing.
 */
export function referrerFor(referrer: string, to: URL, policy: ReferrerPolicy): string | undefined {
  if (policy === 'no-referrer' || !URL.canParse(referrer)) return undefined;
  const from = new URL(referrer);
  if (from.protocol !== 'http:' && from.protocol !== 'https:') return undefined;
  const origin = `${from.origin}/`;
  const full = stripped(from);
  const whole = full.length > REFERRER_MAX ? origin : full;
  const sameOrigin = from.origin === to.origin;
  const downgrade = isTrustworthy(from) && !isTrustworthy(to);
  switch (policy) {
    case 'unsafe-url':
      return whole;
    case 'origin':
      return origin;
    case 'same-origin':
      return sameOrigin ? whole : undefined;
    case 'origin-when-cross-origin':
      return sameOrigin ? whole : origin;
    case 'strict-origin':
      return downgrade ? undefined : origin;
    case 'no-referrer-when-downgrade':
      return downgrade ? undefined : whole;
    default:
      if (sameOrigin) return whole;
      return downgrade ? undefined : origin;
  }
}

/** The last policy of a Referrer-Policy field that is known (§8.1); undefined when there is none. */
export function policyFrom(field: string | readonly string[] | undefined): ReferrerPolicy | undefined {
  if (field === undefined) return undefined;
  const words = String(field)
    .split(',')
    .map((word) => word.trim().toLowerCase());
  return words.filter((word): word is ReferrerPolicy => word !== '' && isReferrerPolicy(word)).pop();
}
