import { methods } from './construct';
import { invalidChar } from './errors';
import { OutgoingMessage } from './outgoing';
import { hasInvalidChar, validateHeaderName } from './validators';

/** One trailer line. @throws TypeError ERR_INVALID_CHAR */
function trailerLine(name: string, value: unknown): string {
  if (hasInvalidChar(value)) throw invalidChar('trailer content', name);
  return `${name}: ${value}\r\n`;
}

methods(OutgoingMessage.prototype, {
  /** Fields to send behind the last chunk, as an object or a list of pairs; other framings have no place for them. */
  addTrailers(headers: object) {
    let lines = '';
    this._trailer = '';
    for (const key of Object.keys(headers)) {
      const entry = (headers as Record<string, unknown>)[key];
      const [name, value] = Array.isArray(headers) ? (entry as [string, unknown]) : [key, entry];
      validateHeaderName(name, 'Trailer name');
      if (!Array.isArray(value)) lines += trailerLine(name, value);
      else if (value.length < 2 || this._uniqueHeaders?.has(name.toLowerCase())) {
        lines += trailerLine(name, value.join('; '));
      } else for (const one of value) lines += trailerLine(name, one);
      this._trailer = lines;
    }
  },
});
