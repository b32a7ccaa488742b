/** No more of a line is shown. */
const EXCERPT_CHARACTERS = 160;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

/** A script's words as a terminal may have them: what would steer it is shown as what it is not, text. Tabs and lines stay. */
export const shown = (text: string): string => text.replace(CONTROLS, '\ufffd');

/** A script's name and text, and where in it something stands. Positions are character offsets. */
export class Source {
  private readonly starts: number[] = [0];

  constructor(
    readonly file: string,
    readonly text: string,
  ) {
    for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) this.starts.push(i + 1);
  }

  /** Line number of an offset, from 1. */
  line(at: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  /** Column of an offset, from 1. */
  column(at: number): number {
    return at - this.starts[this.line(at) - 1]! + 1;
  }

  /** The text of a line (from 1), without its end. */
  lineText(line: number): string {
    const from = this.starts[line - 1] ?? this.text.length;
    const to = line < this.starts.length ? this.starts[line]! - 1 : this.text.length;
    return this.text.slice(from, to).replace(/\r$/, '');
  }

  /** `file:line:column`. */
  place(at: number): string {
    return `${this.file}:${this.line(at)}:${this.column(at)}`;
  }

  /** The line an offset stands on, as far as it fits, with a caret below the column; tabs stay, so that the caret lines up. */
  excerpt(at: number): string {
    const column = this.column(at);
    const from = column > EXCERPT_CHARACTERS ? column - EXCERPT_CHARACTERS / 2 : 0;
    const text = this.lineText(this.line(at)).slice(from, from + EXCERPT_CHARACTERS);
    const pad = text.slice(0, column - 1 - from).replace(/[^\t]/g, ' ');
    return `${shown(text)}\n${pad}^`;
  }
}

/** 'parse': not the language. 'unsupported': the language, but not what this interpreter does. Both end with exit code 2. */
export type ScriptErrorKind = 'parse' | 'unsupported';

/** A script that cannot be run. The message begins with file:line:column and ends with the line and a caret. */
export class ScriptError extends Error {
  readonly line: number;
  readonly column: number;

  constructor(
    readonly source: Source,
    readonly at: number,
    readonly kind: ScriptErrorKind,
    /** The bare statement, without the place. */
    readonly what: string,
  ) {
    super(`${source.place(at)}: ${kind === 'unsupported' ? 'unsupported: ' : ''}${shown(what)}\n${source.excerpt(at)}`);
    this.name = 'ScriptError';
    this.line = source.line(at);
    this.column = source.column(at);
  }
}

/** Thrown where no position is known (a call, a socket option, a target's gap); the runner adds the line. Exit code 2. */
export class Unsupported extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'Unsupported';
  }
}
