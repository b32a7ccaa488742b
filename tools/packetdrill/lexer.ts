import { ScriptError, type Source } from './source';

export type TokenKind =
  | 'word'
  | 'integer'
  | 'hex'
  | 'float'
  | 'string'
  | 'command'
  | 'code'
  | 'option'
  | 'ellipsis'
  | 'sign'
  | 'end';

/** One token. `text` is the word or sign as written, or the inside of quotes; `value` the number of a number. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly value: number;
  readonly at: number;
  readonly end: number;
}

/** What a `--name` or `--name=value` says. `value` is null without `=`. */
export interface OptionToken extends Token {
  readonly optionValue: string | null;
}

const WORD = /[A-Za-z0-9_]+/y;
const FLOAT = /-?\d*\.\d+/y;
const INTEGER = /-?\d+/y;
const HEX = /0x[0-9a-fA-F]+/y;
const SPACE = /\s+/y;
const LINE_COMMENT = /\/\/[^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//y;
const STRING = /"(?:\\[\s\S]|[^"\\])*"/y;
const COMMAND = /`(?:\\[\s\S]|[^`\\])*`/y;
const CODE = /%\{[\s\S]*?\}%/y;
const OPTION = /--[A-Za-z0-9_]+/y;
const OPTION_VALUE = /[A-Za-z0-9_]+=(?:"(?:\\[\s\S]|[^"\\])*"|`[^`]*`)|"(?:\\[\s\S]|[^"\\])*"|[^\s]+/y;
const CONDITION = /#ifdef\s+([A-Za-z][A-Za-z0-9_]*)|#endif/y;

/**
 * Cuts a script into tokens, one at a time: a word that is a defined symbol is replaced, and symbols are only known once
 * the options in front have been read.
 */
export class Lexer {
  private at = 0;
  private peeked: Token | null = null;
  private condition = -1;

  constructor(
    readonly source: Source,
    /** Symbols and their values, as `define` gave them. Values in double quotes are strings, in back quotes commands. */
    readonly defines: Map<string, string>,
  ) {}

  /** The next token, which stays. */
  peek(): Token {
    this.peeked ??= this.scan();
    return this.peeked;
  }

  /** The next token, taken. */
  next(): Token {
    const token = this.peek();
    this.peeked = null;
    return token;
  }

  fail(at: number, what: string): never {
    throw new ScriptError(this.source, at, 'parse', what);
  }

  refuse(at: number, what: string): never {
    throw new ScriptError(this.source, at, 'unsupported', what);
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source.text);
    return found === null ? null : found[0];
  }

  private scan(): Token {
    this.skip();
    const text = this.source.text;
    const at = this.at;
    if (at >= text.length) {
      if (this.condition >= 0) this.fail(this.condition, '#ifdef without #endif');
      return { kind: 'end', text: 'end of script', value: 0, at, end: at };
    }
    if (text.startsWith('...', at)) return this.take('ellipsis', '...', 3);
    return this.scanOption(at) ?? this.scanQuoted(at) ?? this.scanNumberOrWord() ?? this.take('sign', text[at]!, 1);
  }

  private take(kind: TokenKind, text: string, length: number, value = 0): Token {
    const at = this.at;
    this.at += length;
    return { kind, text, value, at, end: this.at };
  }

  private skip(): void {
    for (;;) {
      const blank = this.match(SPACE) ?? this.match(LINE_COMMENT) ?? this.match(BLOCK_COMMENT);
      if (blank !== null) this.at += blank.length;
      else if (this.source.text[this.at] === '#') this.skipCondition();
      else if (this.source.text.startsWith('/*', this.at)) this.fail(this.at, 'a comment that does not end');
      else return;
    }
  }

  /** `#ifdef SYMBOL ... #endif`, not nested: left out when the symbol is not defined. */
  private skipCondition(): void {
    const at = this.at;
    CONDITION.lastIndex = at;
    const found = CONDITION.exec(this.source.text);
    if (found === null) this.fail(at, `expected "#ifdef SYMBOL" or "#endif"`);
    this.at += found[0].length;
    if (found[1] === undefined) {
      if (this.condition < 0) this.fail(at, '#endif without #ifdef');
      this.condition = -1;
      return;
    }
    if (this.condition >= 0) this.fail(at, '#ifdef inside #ifdef');
    if (this.defines.has(found[1])) {
      this.condition = at;
      return;
    }
    const end = this.source.text.indexOf('#endif', this.at);
    if (end < 0) this.fail(at, '#ifdef without #endif');
    this.at = end + '#endif'.length;
  }

  private scanOption(at: number): OptionToken | null {
    const name = this.match(OPTION);
    if (name === null) return null;
    this.at += name.length;
    let optionValue: string | null = null;
    if (this.source.text[this.at] === '=') {
      this.at++;
      optionValue = this.match(OPTION_VALUE);
      if (optionValue === null) this.fail(this.at, `expected a value for ${name}`);
      this.at += optionValue.length;
    }
    return { kind: 'option', text: name.slice(2), value: 0, at, end: this.at, optionValue };
  }

  private scanQuoted(at: number): Token | null {
    const first = this.source.text[at];
    if (first === '"') {
      const found = this.match(STRING) ?? this.fail(at, 'a string that does not end');
      return this.take('string', resolveEscapes(found.slice(1, -1)), found.length);
    }
    if (first === '`') {
      const found = this.match(COMMAND) ?? this.fail(at, 'a command in back quotes that does not end');
      return this.take('command', found.slice(1, -1), found.length);
    }
    if (this.source.text.startsWith('%{', at)) {
      const found = this.match(CODE) ?? this.fail(at, 'a code block that does not end with }%');
      return this.take('code', found.slice(2, -2), found.length);
    }
    return null;
  }

  /** The longest of word, integer, hexadecimal and decimal fraction; of equal length the number. */
  private scanNumberOrWord(): Token | null {
    const word = this.match(WORD) ?? '';
    const hex = this.match(HEX);
    if (hex !== null && hex.length >= word.length) return this.take('hex', hex, hex.length, this.number(hex));
    const float = this.match(FLOAT);
    if (float !== null && float.length > word.length) return this.take('float', float, float.length, Number(float));
    const integer = this.match(INTEGER);
    if (integer !== null && integer.length >= word.length) {
      return this.take('integer', integer, integer.length, this.number(integer));
    }
    return word === '' ? null : this.word(word);
  }

  private number(text: string): number {
    const value = Number(text);
    if (!Number.isSafeInteger(value)) this.fail(this.at, `the number ${text} is too large`);
    return value;
  }

  private word(word: string): Token {
    const value = this.defines.get(word);
    if (value === undefined) return this.take('word', word, word.length);
    if (value[0] === '"') return this.take('string', resolveEscapes(value.slice(1, -1)), word.length);
    if (value[0] === '`') return this.take('command', value.slice(1, -1), word.length);
    const number = /^[-+]?(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.test(value) ? parseC(value) : Number.NaN;
    if (!Number.isSafeInteger(number)) return this.take('word', value, word.length);
    return this.take('integer', value, word.length, number);
  }
}

/** A number as C's strtol with base 0 reads it: 0x is hexadecimal, a leading 0 octal. */
function parseC(text: string): number {
  const sign = text[0] === '-' ? -1 : 1;
  const digits = text.replace(/^[-+]/, '');
  if (/^0x/i.test(digits)) return sign * Number.parseInt(digits.slice(2), 16);
  return sign * Number.parseInt(digits, digits[0] === '0' ? 8 : 10);
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** Resolves the backslash escapes of a string; one character is one byte. */
export function resolveEscapes(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|[\s\S])/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return ESCAPES[code] ?? code;
  });
}
