import { isIP } from 'node:net';
import { getPublicSuffix } from 'tough-cookie';

/** The domain that somebody registered: "example.co.uk"; a host that has none stands for itself. */
function registrableDomain(host: string): string {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0) return bare;
  return getPublicSuffix(bare, { allowSpecialUseDomain: true, ignoreError: true }) ?? bare;
}

/** Whether two hosts belong to one site. */
export const sameSite = (a: string, b: string): boolean => registrableDomain(a) === registrableDomain(b);
