/**
 * A place in a code block that cannot be read or evaluated. `at` is an offset in the block. `unsupported` when it is
 * Python, or a name, that this interpreter does not have; else the block is wrong.
 */
export class PythonError extends Error {
  constructor(
    readonly at: number,
    what: string,
    readonly unsupported = false,
  ) {
    super(what);
    this.name = 'PythonError';
  }
}

export type PythonTokenKind = 'name' | 'number' | 'string' | 'operator' | 'newline' | 'end';

export interface PythonToken {
  readonly kind: PythonTokenKind;
  /** As written. */
  readonly text: string;
  /** Of a number. */
  readonly value: number;
  readonly at: number;
}

const BLANK = /(?:[ \t\r\f]|\\\r?\n|#[^\n]*)+/y;
const KINDS: readonly (readonly [PythonTokenKind, RegExp])[] = [
  ['string', /[rR]?(?:'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*")/y],
  ['name', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['number', /0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y],
  ['operator', /\*\*=|\/\/=|<<=|>>=|\*\*|\/\/|<<|>>|<=|>=|==|!=|[-+*/%&|^]=|[-+*/%&|^~<>()[\]{},:;=.]/y],
];

const TOKENS_MAX = 5000;

/**
 * Cuts a code block into tokens. A line inside brackets, or after a backslash, continues the one before. Indentation
 * means nothing, because the subset has no compound statements.
 */
export function pythonTokens(text: string): PythonToken[] {
  const tokens: PythonToken[] = [];
  let depth = 0;
  let at = 0;
  while ((at = skipBlank(text, at)) < text.length) {
    if (text[at] === '\n') {
      if (depth === 0) tokens.push({ kind: 'newline', text: '\n', value: 0, at });
      at++;
      continue;
    }
    if (tokens.length >= TOKENS_MAX) throw new PythonError(at, 'a code block that is too long');
    const token = scan(text, at);
    tokens.push(token);
    at += token.text.length;
    if (token.kind !== 'operator') continue;
    depth += '(['.includes(token.text) ? 1 : ')]'.includes(token.text) ? -1 : 0;
    if (depth < 0) throw new PythonError(token.at, 'a closing bracket without an opening one');
  }
  if (depth > 0) throw new PythonError(text.length, 'a bracket that is not closed');
  tokens.push({ kind: 'end', text: 'the end of the code block', value: 0, at });
  return tokens;
}

function skipBlank(text: string, at: number): number {
  BLANK.lastIndex = at;
  return at + (BLANK.exec(text)?.[0].length ?? 0);
}

function scan(text: string, at: number): PythonToken {
  for (const [kind, pattern] of KINDS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) continue;
    const value = kind === 'number' ? Number(found.replace(/_/g, '')) : 0;
    if (Number.isNaN(value) || /^0[0-9]/.test(found)) throw new PythonError(at, `"${found}" is not a number`);
    return { kind, text: found, value, at };
  }
  throw new PythonError(at, `unexpected "${text[at]}"`);
}
