import type { PythonValue } from './evaluate';
import { PythonError } from './tokens';

/** A value as `print` and `%s` show it. */
export function str(value: PythonValue): string {
  return typeof value === 'string' ? value : repr(value);
}

/** A value as it would be written. */
export function repr(value: PythonValue): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n')}'`;
  return `(${value.map(repr).join(', ')}${value.length === 1 ? ',' : ''})`;
}

const CONVERSION = /%(?:%|([-+ 0#]*)(\d+|\*)?(?:\.(\d+))?[hlL]?([diouxXeEfFgGcrs])|)/g;

const WIDTH_MAX = 1000;

/** `format % values`: the printf of Python, with a tuple of values or a single one. */
export function formatPercent(format: string, values: PythonValue, at: number): string {
  const list = Array.isArray(values) ? values : [values];
  let used = 0;
  const text = format.replace(CONVERSION, (whole, flags: string, width: string, precision: string, letter: string) => {
    if (whole === '%%') return '%';
    if (letter === undefined || width === '*')
      throw new PythonError(at, `a conversion that is not supported in ${repr(format)}`);
    if (used >= list.length) throw new PythonError(at, 'not enough values for the format');
    const digits = precision === undefined ? null : Number(precision);
    if (Number(width ?? 0) > WIDTH_MAX || (digits ?? 0) > 100) throw new PythonError(at, 'a field that is too wide');
    return pad(convert(letter, list[used++]!, flags, digits, at), flags, Number(width ?? 0));
  });
  if (used < list.length) throw new PythonError(at, 'more values than the format takes');
  return text;
}

function convert(letter: string, value: PythonValue, flags: string, precision: number | null, at: number): string {
  if (letter === 's' || letter === 'r') {
    const text = letter === 's' ? str(value) : repr(value);
    return precision === null ? text : text.slice(0, precision);
  }
  if (letter === 'c' && typeof value === 'string' && value.length === 1) return value;
  if (typeof value !== 'number' && typeof value !== 'boolean') {
    throw new PythonError(at, `%${letter} needs a number, found ${repr(value)}`);
  }
  const number = Number(value);
  const sign = number < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  return sign + unsigned(letter, Math.abs(number), flags.includes('#'), precision);
}

function unsigned(letter: string, value: number, prefixed: boolean, precision: number | null): string {
  const whole = Math.trunc(value);
  switch (letter) {
    case 'd':
    case 'i':
    case 'u':
      return String(whole).padStart(precision ?? 0, '0');
    case 'x':
      return (prefixed ? '0x' : '') + whole.toString(16).padStart(precision ?? 0, '0');
    case 'X':
      return (
        (prefixed ? '0X' : '') +
        whole
          .toString(16)
          .toUpperCase()
          .padStart(precision ?? 0, '0')
      );
    case 'o':
      return (prefixed ? '0o' : '') + whole.toString(8).padStart(precision ?? 0, '0');
    case 'c':
      return String.fromCodePoint(whole);
    case 'f':
    case 'F':
      return value.toFixed(precision ?? 6);
    case 'e':
    case 'E': {
      const text = value.toExponential(precision ?? 6).replace(/e([-+])(\d)$/, 'e$10$2');
      return letter === 'E' ? text.toUpperCase() : text;
    }
  }
  return String(Number(value.toPrecision(Math.max(1, precision ?? 6))));
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0')) return text.padStart(width);
  const sign = /^[-+ ]?/.exec(text)![0];
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}
