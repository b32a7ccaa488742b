import { type Bytes, u8 } from '../../stack/base/bytes';

const REQUEST = /^[A-Z][A-Z-]{0,19} [!-~]+ HTTP\/\d\.\d$/;
const STATUS = /^HTTP\/\d\.\d \d{3}( .*)?$/;
/** A request line that goes on in the next segment is recognised by its method. */
const BEGINNING = /^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) [!-~]+$/;
const LINE_BYTES_MAX = 2048;
const SHOWN_MAX = 100;

/** Bytes as text that a terminal can show: what is not printable ASCII is written as \xNN. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === '\n') return '\\n';
    if (c === '\r') return '\\r';
    if (c === '\t') return '\\t';
    const code = c.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** The start line when [at, end) begins with the head of an HTTP/1 message, for people to read; otherwise null. */
export function httpStartLine(b: Bytes, at: number, end: number): string | null {
  if (end - at < 5 || u8(b, at) < 0x41 || u8(b, at) > 0x5a) return null;
  const limit = Math.min(end, at + LINE_BYTES_MAX);
  let lineEnd = at;
  while (lineEnd < limit && u8(b, lineEnd) !== 0x0a) lineEnd++;
  const complete = lineEnd < limit;
  if (complete && u8(b, lineEnd - 1) === 0x0d) lineEnd--;
  let line = '';
  for (let i = at; i < lineEnd; i++) line += String.fromCharCode(u8(b, i));
  if (complete ? !REQUEST.test(line) && !STATUS.test(line) : !BEGINNING.test(line)) return null;
  if (line.length > SHOWN_MAX) return `${printable(line.slice(0, SHOWN_MAX))}...`;
  return complete ? printable(line) : `${printable(line)}...`;
}
