import { resolveEscapes } from '../lexer';
import { PythonError, type PythonToken, pythonTokens } from './tokens';

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**' | '&' | '|' | '^' | '<<' | '>>';
export type Comparison = '<' | '<=' | '>' | '>=' | '==' | '!=' | 'in' | 'not in' | 'is' | 'is not';

/** An expression of the subset. `at` and `end` are offsets in the block. */
export type PythonExpression = { readonly at: number; readonly end: number } & (
  | { readonly kind: 'constant'; readonly value: number | string | boolean | null }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'tuple'; readonly items: readonly PythonExpression[] }
  | { readonly kind: 'unary'; readonly operator: '-' | '+' | '~' | 'not'; readonly operand: PythonExpression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: PythonExpression;
      readonly right: PythonExpression;
    }
  | { readonly kind: 'logical'; readonly operator: 'and' | 'or'; readonly parts: readonly PythonExpression[] }
  | {
      readonly kind: 'compare';
      readonly first: PythonExpression;
      readonly rest: readonly { readonly operator: Comparison; readonly operand: PythonExpression }[];
    }
  | {
      readonly kind: 'conditional';
      readonly test: PythonExpression;
      readonly then: PythonExpression;
      readonly otherwise: PythonExpression;
    }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly PythonExpression[] }
);

export type PythonStatement = { readonly at: number } & (
  | { readonly kind: 'assert'; readonly test: PythonExpression; readonly message: PythonExpression | null }
  | {
      readonly kind: 'assign';
      readonly name: string;
      /** Null for `=`, else the operator in front of it. */
      readonly operator: BinaryOperator | null;
      readonly value: PythonExpression;
    }
  | { readonly kind: 'expression'; readonly value: PythonExpression }
  | { readonly kind: 'pass' }
);

/** The statements of one code block. */
export interface PythonProgram {
  readonly text: string;
  readonly statements: readonly PythonStatement[];
}

/** Functions that a block may call. */
const FUNCTIONS = ['print', 'abs', 'min', 'max', 'int', 'float', 'round', 'len', 'str', 'bool'] as const;

const COMPOUND = new Set([
  'if',
  'for',
  'while',
  'def',
  'class',
  'import',
  'from',
  'with',
  'try',
  'return',
  'lambda',
  'global',
  'del',
  'raise',
  'elif',
  'else',
]);
const CONSTANTS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null };
const KEYWORDS = new Set([...COMPOUND, ...Object.keys(CONSTANTS), 'and', 'or', 'not', 'in', 'is', 'assert', 'pass']);
/** Binary operators from the loosest to the tightest; all of a row group to the left. */
const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '//', '%'],
];
const NESTING_MAX = 200;

/** Reads a code block. Throws PythonError where it is not in the subset. */
export function parsePython(text: string): PythonProgram {
  return new Parser(text).program();
}

class Parser {
  private readonly tokens: PythonToken[];
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {
    this.tokens = pythonTokens(text);
  }

  program(): PythonProgram {
    const statements: PythonStatement[] = [];
    for (;;) {
      while (this.isKind('newline') || this.is(';')) this.at++;
      if (this.isKind('end')) return { text: this.text, statements };
      statements.push(this.statement());
      if (!this.isKind('newline') && !this.isKind('end') && !this.is(';')) this.expected('a new line or ";"');
    }
  }

  private get token(): PythonToken {
    return this.tokens[this.at]!;
  }

  private get lastEnd(): number {
    const last = this.tokens[this.at - 1]!;
    return last.at + last.text.length;
  }

  private isKind(kind: PythonToken['kind']): boolean {
    return this.token.kind === kind;
  }

  private is(text: string): boolean {
    return (this.token.kind === 'operator' || this.token.kind === 'name') && this.token.text === text;
  }

  private accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.at++;
    return true;
  }

  private expected(what: string): never {
    const found = this.token.kind === 'newline' ? 'the end of the line' : this.token.text;
    throw new PythonError(this.token.at, `expected ${what}, found ${found}`);
  }

  private statement(): PythonStatement {
    const { at, kind, text } = this.token;
    if (kind === 'name' && COMPOUND.has(text))
      throw new PythonError(at, `"${text}" is not part of the supported Python`, true);
    if (this.accept('pass')) return { kind: 'pass', at };
    if (this.accept('assert')) {
      const test = this.expression();
      return { kind: 'assert', test, message: this.accept(',') ? this.expression() : null, at };
    }
    const value = this.tupleOrExpression();
    const assignment = /^(\*\*|\/\/|<<|>>|[-+*/%&|^])?=$/.exec(this.token.kind === 'operator' ? this.token.text : '');
    if (assignment === null) return { kind: 'expression', value, at };
    if (value.kind !== 'name') throw new PythonError(at, 'only a name can be assigned to');
    this.at++;
    const operator = (assignment[1] ?? null) as BinaryOperator | null;
    return { kind: 'assign', name: value.name, operator, value: this.tupleOrExpression(), at };
  }

  private tupleOrExpression(): PythonExpression {
    const first = this.expression();
    if (!this.is(',')) return first;
    const items = [first];
    while (this.accept(',')) {
      if (this.startsExpression()) items.push(this.expression());
      else break;
    }
    return { kind: 'tuple', items, at: first.at, end: this.lastEnd };
  }

  private startsExpression(): boolean {
    const { kind, text } = this.token;
    if (kind === 'operator') return ['(', '[', '-', '+', '~'].includes(text);
    if (kind === 'name') return !KEYWORDS.has(text) || Object.hasOwn(CONSTANTS, text) || text === 'not';
    return kind === 'number' || kind === 'string';
  }

  private expression(): PythonExpression {
    if (++this.depth > NESTING_MAX) throw new PythonError(this.token.at, 'nested too deeply');
    const then = this.or();
    this.depth--;
    if (!this.accept('if')) return then;
    const test = this.or();
    if (!this.accept('else')) this.expected('"else"');
    const otherwise = this.expression();
    return { kind: 'conditional', test, then, otherwise, at: then.at, end: this.lastEnd };
  }

  private or(): PythonExpression {
    return this.logical('or', () => this.logical('and', () => this.not()));
  }

  private logical(operator: 'and' | 'or', part: () => PythonExpression): PythonExpression {
    const first = part();
    if (!this.is(operator)) return first;
    const parts = [first];
    while (this.accept(operator)) parts.push(part());
    return { kind: 'logical', operator, parts, at: first.at, end: this.lastEnd };
  }

  private not(): PythonExpression {
    const at = this.token.at;
    if (!this.accept('not')) return this.comparison();
    if (++this.depth > NESTING_MAX) throw new PythonError(at, 'nested too deeply');
    const operand = this.not();
    this.depth--;
    return { kind: 'unary', operator: 'not', operand, at, end: this.lastEnd };
  }

  private comparison(): PythonExpression {
    const first = this.binary(0);
    const rest: { operator: Comparison; operand: PythonExpression }[] = [];
    for (let operator = this.comparisonOperator(); operator !== null; operator = this.comparisonOperator()) {
      rest.push({ operator, operand: this.binary(0) });
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest, at: first.at, end: this.lastEnd };
  }

  private comparisonOperator(): Comparison | null {
    for (const sign of ['<', '<=', '>', '>=', '==', '!='] as const) if (this.accept(sign)) return sign;
    if (this.accept('in')) return 'in';
    if (this.accept('is')) return this.accept('not') ? 'is not' : 'is';
    if (this.is('not') && this.tokens[this.at + 1]!.text === 'in') {
      this.at += 2;
      return 'not in';
    }
    return null;
  }

  private binary(level: number): PythonExpression {
    const operators = LEVELS[level];
    if (operators === undefined) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const operator = operators.find((sign) => this.accept(sign));
      if (operator === undefined) return left;
      const right = this.binary(level + 1);
      left = { kind: 'binary', operator, left, right, at: left.at, end: this.lastEnd };
    }
  }

  private unary(): PythonExpression {
    const at = this.token.at;
    const operator = (['-', '+', '~'] as const).find((sign) => this.accept(sign));
    if (operator === undefined) return this.power();
    if (++this.depth > NESTING_MAX) throw new PythonError(at, 'nested too deeply');
    const operand = this.unary();
    this.depth--;
    return { kind: 'unary', operator, operand, at, end: this.lastEnd };
  }

  /** `**` binds tighter than a sign on its left and looser than one on its right, and groups to the right. */
  private power(): PythonExpression {
    const left = this.atom();
    this.refuseTrailers();
    if (!this.accept('**')) return left;
    if (++this.depth > NESTING_MAX) throw new PythonError(left.at, 'nested too deeply');
    const right = this.unary();
    this.depth--;
    return { kind: 'binary', operator: '**', left, right, at: left.at, end: this.lastEnd };
  }

  private refuseTrailers(): void {
    const { at } = this.token;
    if (this.is('.') && this.tokens[this.at + 1]!.kind === 'name') throw new PythonError(at, 'attributes', true);
    if (this.is('[')) throw new PythonError(at, 'subscripts', true);
  }

  private atom(): PythonExpression {
    const { at, kind, text, value } = this.token;
    if (kind === 'number') {
      this.at++;
      return { kind: 'constant', value, at, end: this.lastEnd };
    }
    if (kind === 'string') return this.strings();
    if (kind === 'name') return this.named();
    if (text === '(' || text === '[') return this.bracket(at, text === '(' ? ')' : ']');
    return this.expected('an expression');
  }

  /** Strings that follow each other are one. */
  private strings(): PythonExpression {
    const at = this.token.at;
    let value = '';
    for (; this.token.kind === 'string'; this.at++) {
      const raw = /^[rR]/.test(this.token.text);
      const inside = this.token.text.slice(raw ? 2 : 1, -1);
      value += raw ? inside : resolveEscapes(inside);
    }
    return { kind: 'constant', value, at, end: this.lastEnd };
  }

  private named(): PythonExpression {
    const { at, text } = this.token;
    if (Object.hasOwn(CONSTANTS, text)) {
      this.at++;
      return { kind: 'constant', value: CONSTANTS[text]!, at, end: this.lastEnd };
    }
    if (KEYWORDS.has(text)) this.expected('an expression');
    this.at++;
    if (!this.accept('(')) return { kind: 'name', name: text, at, end: this.lastEnd };
    if (!(FUNCTIONS as readonly string[]).includes(text)) {
      throw new PythonError(at, `unknown function ${text} (known: ${FUNCTIONS.join(', ')})`, true);
    }
    const args = this.list(')');
    return { kind: 'call', name: text, args, at, end: this.lastEnd };
  }

  /** Parentheses around one expression, or a tuple; a list in square brackets is a tuple too. */
  private bracket(at: number, close: ')' | ']'): PythonExpression {
    this.at++;
    const single = this.at;
    const items = this.list(close);
    const comma = this.tokens[this.at - 2]!.text === ',';
    if (close === ')' && items.length === 1 && !comma && single < this.at)
      return { ...items[0]!, at, end: this.lastEnd };
    return { kind: 'tuple', items, at, end: this.lastEnd };
  }

  private list(close: ')' | ']'): PythonExpression[] {
    const items: PythonExpression[] = [];
    while (!this.accept(close)) {
      items.push(this.expression());
      if (!this.is(close) && !this.accept(',')) this.expected(`"," or "${close}"`);
    }
    return items;
  }
}
