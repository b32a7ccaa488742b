/** Whether a URL fits. */
export type UrlPattern = (url: URL) => boolean;

const PATTERN = /^(\*|[a-z][a-z0-9+.-]*):\/\/(\[[^\]]*\]|[^/:]*)(?::(\d+|\*))?(\/.*)$/i;

/** Whether a text is the parts in their order, anything between them. In linear time: a peer chooses where a redirect leads. */
function fitsParts(text: string, parts: readonly string[]): boolean {
  const first = parts[0]!;
  const last = parts[parts.length - 1]!;
  if (parts.length === 1) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

/**
 * Reads Chromium's URL patterns: scheme or "*", "://", host, "*" or "*.name", a port if need be, a path and query with
 * "*" for anything. "<all_urls>" is what it says.
 *
 * @throws TypeError for what is none
 */
export function urlPattern(text: string): UrlPattern {
  if (text === '<all_urls>') return () => true;
  const match = typeof text === 'string' ? PATTERN.exec(text) : null;
  if (match === null) throw new TypeError(`Invalid url pattern ${String(text)}`);
  const [, scheme, host, port = '*', path] = match as unknown as [string, string, string, string | undefined, string];
  const bare = host.replace(/^\*\.?/, '').toLowerCase();
  const below = host.startsWith('*');
  if (bare.includes('*') || (host === '' && scheme !== 'file') || /^\*[^.]/.test(host)) {
    throw new TypeError(`Invalid url pattern ${text}`);
  }
  const parts = path.split('*');
  const portOf = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80');
  return (url) => {
    if (scheme !== '*' && `${scheme.toLowerCase()}:` !== url.protocol) return false;
    if (port !== '*' && port !== portOf(url)) return false;
    const fitsHost = bare === '' || url.hostname === bare || (below && url.hostname.endsWith(`.${bare}`));
    return fitsHost && fitsParts(`${url.pathname}${url.search}`, parts);
  };
}
