import { validateHeaderName, validateHeaderValue } from '../http/validators';
import { type NetError, netError } from './errors';

export type HeaderValue = string | number | boolean | readonly string[];

/** One field as an application set it. */
interface Field {
  name: string;
  value: unknown;
}

/** Fields that only the network stack may set. */
const FORBIDDEN = new Set([
  'content-length',
  'host',
  'trailer',
  'te',
  'upgrade',
  'cookie2',
  'keep-alive',
  'transfer-encoding',
]);

/** What becomes of a field's value on the wire: one line a string. @throws TypeError for what is no text */
function linesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

/**
 * The extra fields of a request, by name without regard to case. They are sent in the order and the spelling in which they
 * were set; setting one again replaces spelling and value in its place.
 */
export class RequestHeaders {
  private readonly fields = new Map<string, Field>();

  /**
   * @throws TypeError when the name is no string or no token, or the value cannot stand in a field; Error without a value
   */
  set(name: unknown, value: unknown): void {
    if (typeof name !== 'string') throw new TypeError('`name` should be a string in setHeader(name, value)');
    if (value === null || value === undefined) throw new Error(`\`value\` required in setHeader("${name}", value)`);
    validateHeaderName(name);
    for (const line of linesOf(value)) validateHeaderValue(name, line);
    this.fields.set(name.toLowerCase(), { name, value });
  }

  /** The value as it was given. */
  get(name: string): unknown {
    return this.fields.get(name.toLowerCase())?.value;
  }

  /** The value as it goes out; undefined when it was not set. */
  text(name: string): string | undefined {
    const field = this.fields.get(name);
    return field === undefined ? undefined : linesOf(field.value).join(', ');
  }

  has(name: string): boolean {
    return this.fields.has(name);
  }

  remove(name: string): void {
    this.fields.delete(name.toLowerCase());
  }

  /** A copy: what a redirect takes away is taken from one of its own. */
  clone(): RequestHeaders {
    const copy = new RequestHeaders();
    for (const [key, field] of this.fields) copy.fields.set(key, field);
    return copy;
  }

  /** Names and values in turn, one pair a line. */
  lines(): string[] {
    const lines: string[] = [];
    for (const { name, value } of this.fields.values()) for (const line of linesOf(value)) lines.push(name, line);
    return lines;
  }

  /** Why these fields cannot be sent, or null: some are the network stack's own affair. */
  offence(): NetError | null {
    for (const [key, { name, value }] of this.fields) {
      const upgrades = key === 'connection' && linesOf(value).some((line) => /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(line));
      if (FORBIDDEN.has(key) || upgrades) {
        return netError('ERR_INVALID_ARGUMENT', new TypeError(`The header "${name}" cannot be set by a request`));
      }
    }
    return null;
  }
}
