import { formatPercent, repr, str } from './format';
import type { BinaryOperator, Comparison, PythonExpression, PythonProgram, PythonStatement } from './parse';
import { PythonError } from './tokens';

/** A value of the subset. Integers and fractions are one kind; a tuple is an array. */
export type PythonValue = number | string | boolean | null | readonly PythonValue[];

/** Where a block finds its names and leaves its variables. */
export interface PythonScope {
  /** Variables that blocks assign; they live as long as the script. */
  readonly variables: Map<string, PythonValue>;
  /** A name that no block assigned: `tcpi_*` and the constants. Undefined when there is none. */
  lookup(name: string): PythonValue | undefined;
  print(line: string): void;
}

/** An assertion that did not hold. */
export interface PythonFailure {
  /** Offset of the statement in the block. */
  readonly at: number;
  /** The condition as written. */
  readonly condition: string;
  /** What the assertion's message says; null without one. */
  readonly message: string | null;
  /** The names in the condition with their values: `tcpi_snd_cwnd = 8`. */
  readonly values: string;
}

/** Runs a block up to its first failed assertion. Throws PythonError where it cannot be evaluated. */
export function runPython(program: PythonProgram, scope: PythonScope): PythonFailure | null {
  for (const statement of program.statements) {
    const failure = run(statement, program, scope);
    if (failure !== null) return failure;
  }
  return null;
}

function run(statement: PythonStatement, program: PythonProgram, scope: PythonScope): PythonFailure | null {
  switch (statement.kind) {
    case 'pass':
      return null;
    case 'expression':
      evaluate(statement.value, scope);
      return null;
    case 'assign': {
      const value = evaluate(statement.value, scope);
      const { name, operator } = statement;
      const before = operator === null ? null : nameValue(name, statement.at, scope);
      scope.variables.set(name, operator === null ? value : binary(operator, before, value, statement.at));
      return null;
    }
    case 'assert': {
      const { test, message } = statement;
      if (truth(evaluate(test, scope))) return null;
      return {
        at: statement.at,
        condition: program.text.slice(test.at, test.end).replace(/\s+/g, ' '),
        message: message === null ? null : str(evaluate(message, scope)),
        values: describeNames(test, scope),
      };
    }
  }
}

/** The value of an expression. Throws PythonError. */
export function evaluate(e: PythonExpression, scope: PythonScope): PythonValue {
  switch (e.kind) {
    case 'constant':
      return e.value;
    case 'name':
      return nameValue(e.name, e.at, scope);
    case 'tuple':
      return e.items.map((item) => evaluate(item, scope));
    case 'unary':
      return unary(e.operator, evaluate(e.operand, scope), e.at);
    case 'binary':
      return binary(e.operator, evaluate(e.left, scope), evaluate(e.right, scope), e.at);
    case 'logical':
      return logical(e.operator, e.parts, scope);
    case 'compare':
      return compareChain(e.first, e.rest, scope);
    case 'conditional':
      return evaluate(truth(evaluate(e.test, scope)) ? e.then : e.otherwise, scope);
    case 'call':
      return call(
        e.name,
        e.args.map((arg) => evaluate(arg, scope)),
        e.at,
        scope,
      );
  }
}

function nameValue(name: string, at: number, scope: PythonScope): PythonValue {
  const value = scope.variables.has(name) ? scope.variables.get(name) : scope.lookup(name);
  if (value === undefined) throw new PythonError(at, `the name ${name} is not defined`, true);
  return value;
}

/** What counts as true: everything but 0, '', None, False and the empty tuple. */
export function truth(value: PythonValue): boolean {
  return isTuple(value) ? value.length > 0 : Boolean(value);
}

function numeric(value: PythonValue, at: number): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  throw new PythonError(at, `expected a number, found ${repr(value)}`);
}

function integer(value: PythonValue, at: number): bigint {
  const n = numeric(value, at);
  if (!Number.isSafeInteger(n)) throw new PythonError(at, `expected an integer, found ${repr(n)}`);
  return BigInt(n);
}

function unary(operator: '-' | '+' | '~' | 'not', value: PythonValue, at: number): PythonValue {
  if (operator === 'not') return !truth(value);
  if (operator === '~') return Number(~integer(value, at));
  return operator === '-' ? 0 - numeric(value, at) : numeric(value, at);
}

function logical(operator: 'and' | 'or', parts: readonly PythonExpression[], scope: PythonScope): PythonValue {
  let value: PythonValue = null;
  for (const part of parts) {
    value = evaluate(part, scope);
    if (truth(value) === (operator === 'or')) return value;
  }
  return value;
}

const SHIFT_MAX = 1024n;

function binary(operator: BinaryOperator, a: PythonValue, b: PythonValue, at: number): PythonValue {
  if (operator === '+' && typeof a === 'string' && typeof b === 'string') return a + b;
  if (operator === '+' && isTuple(a) && isTuple(b)) return [...a, ...b];
  if (operator === '%' && typeof a === 'string') return formatPercent(a, b, at);
  switch (operator) {
    case '&':
      return Number(integer(a, at) & integer(b, at));
    case '|':
      return Number(integer(a, at) | integer(b, at));
    case '^':
      return Number(integer(a, at) ^ integer(b, at));
    case '<<':
    case '>>':
      return shift(operator, integer(a, at), integer(b, at), at);
    default:
      return arithmetic(operator, numeric(a, at), numeric(b, at), at);
  }
}

function shift(operator: '<<' | '>>', a: bigint, b: bigint, at: number): number {
  if (b < 0n || b > SHIFT_MAX) throw new PythonError(at, `a shift by ${b}`);
  return Number(operator === '<<' ? a << b : a >> b);
}

function arithmetic(operator: '+' | '-' | '*' | '/' | '//' | '%' | '**', a: number, b: number, at: number): number {
  if (b === 0 && (operator === '/' || operator === '//' || operator === '%')) {
    throw new PythonError(at, 'division by zero');
  }
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return Math.floor(a / b);
    case '%':
      // The result has the sign of the divisor.
      return a - b * Math.floor(a / b);
    case '**':
      return a ** b;
  }
}

function compareChain(
  first: PythonExpression,
  rest: readonly { readonly operator: Comparison; readonly operand: PythonExpression }[],
  scope: PythonScope,
): boolean {
  let left = evaluate(first, scope);
  for (const { operator, operand } of rest) {
    const right = evaluate(operand, scope);
    if (!compare(operator, left, right, operand.at)) return false;
    left = right;
  }
  return true;
}

const isTuple = (value: PythonValue): value is readonly PythonValue[] => Array.isArray(value);

function equal(a: PythonValue, b: PythonValue): boolean {
  if (isTuple(a) && isTuple(b)) {
    const other = b;
    return a.length === b.length && a.every((item, i) => equal(item, other[i]!));
  }
  if (typeof a === 'boolean') a = Number(a);
  if (typeof b === 'boolean') b = Number(b);
  return a === b;
}

function contains(container: PythonValue, item: PythonValue, at: number): boolean {
  if (isTuple(container)) return container.some((member) => equal(member, item));
  if (typeof container === 'string' && typeof item === 'string') return container.includes(item);
  throw new PythonError(at, `expected something to look in, found ${repr(container)}`);
}

function compare(operator: Comparison, a: PythonValue, b: PythonValue, at: number): boolean {
  switch (operator) {
    case '==':
    case 'is':
      return equal(a, b);
    case '!=':
    case 'is not':
      return !equal(a, b);
    case 'in':
      return contains(b, a, at);
    case 'not in':
      return !contains(b, a, at);
  }
  const strings = typeof a === 'string' && typeof b === 'string';
  const x = strings ? a : numeric(a, at);
  const y = strings ? b : numeric(b, at);
  return operator === '<' ? x < y : operator === '<=' ? x <= y : operator === '>' ? x > y : x >= y;
}

function call(name: string, args: readonly PythonValue[], at: number, scope: PythonScope): PythonValue {
  if (name === 'print') {
    scope.print(args.map(str).join(' '));
    return null;
  }
  const [first] = args;
  if (name === 'min' || name === 'max') {
    const list = (args.length === 1 && isTuple(first) ? first : args).map((value) => numeric(value, at));
    if (list.length === 0) throw new PythonError(at, `${name} of nothing`);
    return name === 'min' ? Math.min(...list) : Math.max(...list);
  }
  if (args.length !== 1 || first === undefined) throw new PythonError(at, `${name} takes one argument`);
  switch (name) {
    case 'abs':
      return Math.abs(numeric(first, at));
    case 'int':
      return Math.trunc(typeof first === 'string' ? fromText(first, at) : numeric(first, at));
    case 'float':
      return typeof first === 'string' ? fromText(first, at) : numeric(first, at);
    case 'round':
      return roundHalfEven(numeric(first, at));
    case 'str':
      return str(first);
    case 'bool':
      return truth(first);
  }
  if (typeof first !== 'string' && !isTuple(first)) throw new PythonError(at, `len of ${repr(first)}`);
  return first.length;
}

function fromText(text: string, at: number): number {
  const value = Number(text.trim());
  if (text.trim() === '' || Number.isNaN(value)) throw new PythonError(at, `${repr(text)} is not a number`);
  return value;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `name = value` for each name in an expression, once, constants in capitals left out. */
function describeNames(e: PythonExpression, scope: PythonScope): string {
  const names = new Set<string>();
  collect(e, names);
  const parts = [...names].filter((name) => name !== name.toUpperCase());
  return parts.map((name) => `${name} = ${repr(nameValue(name, e.at, scope))}`).join(', ');
}

function collect(e: PythonExpression, names: Set<string>): void {
  switch (e.kind) {
    case 'name':
      names.add(e.name);
      return;
    case 'tuple':
      for (const item of e.items) collect(item, names);
      return;
    case 'unary':
      collect(e.operand, names);
      return;
    case 'binary':
      collect(e.left, names);
      collect(e.right, names);
      return;
    case 'logical':
      for (const part of e.parts) collect(part, names);
      return;
    case 'compare':
      collect(e.first, names);
      for (const { operand } of e.rest) collect(operand, names);
      return;
    case 'conditional':
      collect(e.test, names);
      collect(e.then, names);
      collect(e.otherwise, names);
      return;
    case 'call':
      for (const arg of e.args) collect(arg, names);
  }
}
