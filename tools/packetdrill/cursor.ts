import type { Lexer, Token } from './lexer';

const NESTING_MAX = 100;

/** Tokens with the small steps that every part of the parser takes. */
export class Cursor {
  /** Where the last token taken ended. */
  end = 0;
  private depth = 0;

  constructor(readonly lexer: Lexer) {}

  peek(): Token {
    return this.lexer.peek();
  }

  next(): Token {
    const token = this.lexer.next();
    this.end = token.end;
    return token;
  }

  fail(what: string, at = this.peek().at): never {
    return this.lexer.fail(at, what);
  }

  refuse(what: string, at = this.peek().at): never {
    return this.lexer.refuse(at, what);
  }

  /** Runs `parse` one level deeper; refuses to go on for ever. */
  nested<T>(parse: () => T): T {
    if (++this.depth > NESTING_MAX) this.fail('nested too deeply');
    const result = parse();
    this.depth--;
    return result;
  }

  /** How a token is named in "expected ..., found ...". */
  static describe(token: Token): string {
    if (token.kind === 'end') return 'the end of the script';
    if (token.kind === 'string') return `"${token.text}"`;
    if (token.kind === 'command') return 'a command in back quotes';
    if (token.kind === 'code') return 'a code block';
    if (token.kind === 'option') return `--${token.text}`;
    return `"${token.text}"`;
  }

  /** What stands next is not what an event has to go on with: where it breaks off, the end of its line is to blame. */
  expected(what: string): never {
    const { source } = this.lexer;
    const { at } = this.peek();
    if (this.end > 0 && source.line(at) > source.line(this.end))
      return this.fail(`expected ${what}, found the end of the line`, this.end);
    return this.unexpected(what);
  }

  /** The same where an event, or the script, may end. */
  unexpected(what: string): never {
    return this.fail(`expected ${what}, found ${Cursor.describe(this.peek())}`);
  }

  isSign(sign: string): boolean {
    const token = this.peek();
    return token.kind === 'sign' && token.text === sign;
  }

  isWord(word: string): boolean {
    const token = this.peek();
    return token.kind === 'word' && token.text === word;
  }

  /** Takes the sign if it is next. */
  acceptSign(sign: string): boolean {
    if (!this.isSign(sign)) return false;
    this.next();
    return true;
  }

  acceptWord(word: string): boolean {
    if (!this.isWord(word)) return false;
    this.next();
    return true;
  }

  sign(sign: string, after: string): void {
    if (!this.acceptSign(sign)) this.expected(`"${sign}" ${after}`);
  }

  word(what: string): Token {
    if (this.peek().kind !== 'word') this.expected(what);
    return this.next();
  }

  isNumber(): boolean {
    const kind = this.peek().kind;
    return kind === 'integer' || kind === 'hex';
  }

  /** An integer, decimal or hexadecimal, within bounds. */
  integer(what: string, low: number, high: number): number {
    const token = this.peek();
    if (!this.isNumber()) this.expected(what);
    if (token.value < low || token.value > high)
      this.fail(`expected ${what} from ${low} to ${high}, found ${token.text}`);
    this.next();
    return token.value;
  }

  u8 = (what: string): number => this.integer(what, 0, 0xff);
  u16 = (what: string): number => this.integer(what, 0, 0xffff);
  u32 = (what: string): number => this.integer(what, 0, 0xffff_ffff);
}
