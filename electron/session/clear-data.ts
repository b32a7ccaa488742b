import { siteOf } from './cookie-store';

/** What `clearData` takes. */
export interface ClearDataOptions {
  /** Default: all. Of these a session has cookies only. */
  dataTypes?: readonly string[];
  /** Only what is of these: of cookies, those of their whole sites. */
  origins?: readonly string[];
  /** All but what is of these; not beside `origins`. */
  excludeOrigins?: readonly string[];
  /** Connections go on to be used. */
  avoidClosingConnections?: boolean;
  /** Cookies are of sites: both mean the same for them. */
  originMatchingMode?: 'third-parties-included' | 'origin-in-all-contexts';
}

const DATA_TYPES = [
  'backgroundFetch',
  'cache',
  'cookies',
  'downloads',
  'fileSystems',
  'indexedDB',
  'localStorage',
  'serviceWorkers',
  'webSQL',
];
const MATCHING = ['third-parties-included', 'origin-in-all-contexts'];

/** What is to be cleared. */
export interface Clearing {
  readonly cookies: boolean;
  /** Whether cookies of a domain are meant; null: all are. */
  readonly covers: ((domain: string) => boolean) | null;
  readonly everything: boolean;
}

/** Reads the options. @throws TypeError for what they do not know, or contradict */
export function readClearing(options: ClearDataOptions): Clearing {
  const { dataTypes, origins, excludeOrigins, originMatchingMode } = options;
  const unknown = dataTypes?.find((type) => !DATA_TYPES.includes(type));
  if (unknown !== undefined) throw new TypeError(`clearData: '${unknown}' is none of ${DATA_TYPES.join(', ')}`);
  if (originMatchingMode !== undefined && !MATCHING.includes(originMatchingMode)) {
    throw new TypeError(`clearData: originMatchingMode '${originMatchingMode}' is neither ${MATCHING.join(' nor ')}`);
  }
  if (origins !== undefined && excludeOrigins !== undefined) {
    throw new TypeError('clearData: origins and excludeOrigins exclude each other');
  }
  const listed = origins ?? excludeOrigins;
  const cookies = dataTypes?.includes('cookies') ?? true;
  if (listed === undefined) return { cookies, covers: null, everything: dataTypes === undefined };
  const sites = new Set(listed.map(siteOfOrigin));
  const wanted = origins !== undefined;
  return { cookies, covers: (domain) => sites.has(siteOf(domain)) === wanted, everything: false };
}

function siteOfOrigin(text: string): string {
  if (typeof text !== 'string' || !URL.canParse(text)) throw new TypeError(`clearData: '${String(text)}' is no origin`);
  return siteOf(new URL(text).hostname.replace(/^\[|\]$/g, ''));
}
