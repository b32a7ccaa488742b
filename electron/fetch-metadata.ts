import type { RequestHeaders } from './headers';

/** How far a chain of redirects has been from the request's initiator: it never gets nearer again. */
export interface Site {
  readonly relation: 'same-origin' | 'same-site' | 'cross-site';
  /** Two origins in a row were not the initiator's: the initiator is told to nobody any more. */
  readonly tainted: boolean;
}

const ORDER = ['same-origin', 'same-site', 'cross-site'] as const;

/** What a destination other than a document's may not claim without mode navigate. */
const DOCUMENTS = new Set(['document', 'frame', 'iframe', 'fencedframe']);

/** Where a request begins. */
export const FIRST_PARTY: Site = { relation: 'same-origin', tainted: false };

/**
 * One step: from the origin that redirected (the initiator itself at the start) to `to`.
 * @param sameSite whether two hosts belong to one registrable domain
 */
export function step(
  site: Site,
  initiator: string,
  from: string | null,
  to: URL,
  sameSite: (a: string, b: string) => boolean,
): Site {
  if (initiator === '') return FIRST_PARTY;
  const tainted = site.tainted || (from !== null && from !== initiator && from !== to.origin);
  const near = to.origin === initiator ? 0 : isSameSite(initiator, to, sameSite) ? 1 : 2;
  return { relation: ORDER[Math.max(near, ORDER.indexOf(site.relation))]!, tainted };
}

function isSameSite(initiator: string, to: URL, sameSite: (a: string, b: string) => boolean): boolean {
  if (!URL.canParse(initiator)) return false;
  const from = new URL(initiator);
  return from.protocol === to.protocol && sameSite(from.hostname, to.hostname);
}

/** Sec-Fetch-Site: 'none' when nobody but the program itself asked. */
export const siteOf = (initiator: string, site: Site): string => (initiator === '' ? 'none' : site.relation);

/** What is wrong with the Sec-Fetch fields that an application set, or null. */
export function metadataOffence(headers: RequestHeaders): string | null {
  const dest = headers.text('sec-fetch-dest');
  if (dest === undefined || !DOCUMENTS.has(dest) || headers.text('sec-fetch-mode') === 'navigate') return null;
  return `Sec-Fetch-Dest "${dest}" requires Sec-Fetch-Mode "navigate"`;
}
