/** `tapwire/<version>`: what requests call themselves unless their session says otherwise. */
export function defaultUserAgent(): string {
  // Two up from electron/session/, three up from dist/electron/session/.
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      return `tapwire/${(require(path) as { version: string }).version}`;
    } catch {
      // Not this one.
    }
  }
  return 'tapwire';
}

/** No tag of a list of languages has anything else in it. */
const LANGUAGES = /^[a-z\d-]*(\s*,\s*[a-z\d-]+)*$/i;

/**
 * Accept-Language for a list in order of preference: "en-US,fr" is sent as "en-US,fr;q=0.9".
 * @throws TypeError for what is no list of language tags
 */
export function acceptLanguageOf(list: string): string {
  if (!LANGUAGES.test(list)) throw new TypeError(`'${list}' is no list of languages`);
  const tags = list.split(',').map((tag) => tag.trim());
  return tags.map((tag, i) => (i === 0 ? tag : `${tag};q=0.${Math.max(1, 10 - i)}`)).join(',');
}

/** @throws TypeError for what would not stay in its field */
export function checkUserAgent(text: unknown): string {
  if (typeof text !== 'string' || !/^[\x20-\x7e\t]*$/.test(text)) {
    throw new TypeError('a user agent is a line of ASCII text');
  }
  return text;
}
