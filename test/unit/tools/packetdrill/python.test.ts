import fc from 'fast-check';
import { type PythonFailure, type PythonValue, runPython } from '../../../../tools/packetdrill/python/evaluate';
import { parsePython } from '../../../../tools/packetdrill/python/parse';
import { PythonError } from '../../../../tools/packetdrill/python/tokens';

interface Ran {
  failure: PythonFailure | null;
  printed: string[];
  variables: Map<string, PythonValue>;
}

function run(text: string, names: Record<string, PythonValue> = {}): Ran {
  const printed: string[] = [];
  const variables = new Map<string, PythonValue>();
  const lookup = (name: string): PythonValue | undefined => (Object.hasOwn(names, name) ? names[name] : undefined);
  const failure = runPython(parsePython(text), { variables, lookup, print: (line) => void printed.push(line) });
  return { failure, printed, variables };
}

const value = (expression: string, names: Record<string, PythonValue> = {}): PythonValue | undefined =>
  run(`x = ${expression}`, names).variables.get('x');

describe('expressions', () => {
  test.each<[string, PythonValue]>([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['7 // 2', 3],
    ['-7 // 2', -4],
    ['7 / 2', 3.5],
    ['7 % 3', 1],
    ['-7 % 3', 2],
    ['7 % -3', -2],
    ['2 ** 3 ** 2', 512],
    ['-2 ** 2', -4],
    ['2 ** -1', 0.5],
    ['1 << 40', 2 ** 40],
    ['0x7fffffff & 0xf0', 0xf0],
    ['1 | 6 ^ 2 & 3', 1 | (6 ^ (2 & 3))],
    ['~5', -6],
    ['~0xffffffff', -0x1_0000_0000],
    ['2 ** 40 | 1', 2 ** 40 + 1],
    ['-17 >> 2', -5],
    ['1 < 2 < 3', true],
    ['1 < 3 < 2', false],
    ['3 > 2 == 2', true],
    ['not 1 == 2', true],
    ['1 and 0 or 5', 5],
    ['0 or ""', ''],
    ['1 != 2', true],
    ['1 if 0 else 2', 2],
    ['2 in (1, 2)', true],
    ['2 not in [1, 2]', false],
    ['"b" in "abc"', true],
    ['None is None', true],
    ['1 is not 2', true],
    ['True + True', 2],
    ['"a" "b" + \'c\'', 'abc'],
    ['"\\x41\\n"', 'A\n'],
    ['r"\\n"', '\\n'],
    ['1_000', 1000],
    ['0b101 + 0o17', 20],
    ['1e3', 1000],
    ['.5', 0.5],
    ['min(3, 1, 2)', 1],
    ['max((3, 1))', 3],
    ['abs(-4)', 4],
    ['int("12") + int(3.9)', 15],
    ['round(2.5) + round(3.5)', 6],
    ['len("abc") + len((1,))', 4],
    ['str(5) + "x"', '5x'],
    ['bool(())', false],
    ['95*1000', 95_000],
  ])('%s', (expression, expected) => {
    expect(value(expression)).toEqual(expected);
  });

  test.each<[string, string]>([
    ['"%d" % 3.9', '3'],
    ['"%5d|%-5d|%05d" % (42, 42, -42)', '   42|42   |-0042'],
    ['"%x %X %#x %o" % (255, 255, 255, 8)', 'ff FF 0xff 10'],
    ['"%s %r" % ("a", "b")', "a 'b'"],
    ['"%.2f %e" % (1.005, 1234.5)', '1.00 1.234500e+03'],
    ['"%+d %i%%" % (5, 7)', '+5 7%'],
    ['"%s" % ((1, None),)', '(1, None)'],
    ['"rtt=%d" % tcpi_rtt', 'rtt=1234'],
    ['"%c%c" % (65, "B")', 'AB'],
  ])('%s', (expression, expected) => {
    expect(value(expression, { tcpi_rtt: 1234 })).toBe(expected);
  });

  test.each([
    ['nosuch', 'the name nosuch is not defined'],
    ['toString', 'the name toString is not defined'],
    ['1 // 0', 'division by zero'],
    ['1 % 0', 'division by zero'],
    ['"a" - 1', "expected a number, found 'a'"],
    ['1.5 & 1', 'expected an integer, found 1.5'],
    ['1 << 5000', 'a shift by 5000'],
    ['"%d" % "x"', "%d needs a number, found 'x'"],
    ['"%d %d" % 1', 'not enough values for the format'],
    ['"%d" % (1, 2)', 'more values than the format takes'],
    ['"%9999d" % 1', 'a field that is too wide'],
    ['len(5)', 'len of 5'],
    ['min(())', 'min of nothing'],
    ['1 in 5', 'expected something to look in, found 5'],
  ])('%s fails', (expression, message) => {
    expect(() => value(expression)).toThrow(new PythonError(0, message));
  });
});

describe('statements', () => {
  test('an assertion that fails says what was asserted, the message and the values', () => {
    expect(
      run('a = 1; assert a == 1\nassert tcpi_snd_cwnd == 10, tcpi_snd_cwnd', { tcpi_snd_cwnd: 8 }).failure,
    ).toEqual({
      at: 21,
      condition: 'tcpi_snd_cwnd == 10',
      message: '8',
      values: 'tcpi_snd_cwnd = 8',
    });
  });

  test('nothing after a failed assertion runs', () => {
    expect(run('assert 0\nprint("no")').printed).toEqual([]);
  });

  test('a condition over several lines', () => {
    expect(run('assert 5 <= tcpi_rtt <= 7, \\\n  "x"', { tcpi_rtt: 6 }).failure).toBeNull();
    expect(run('assert (tcpi_options &\n   32) != 0', { tcpi_options: 32 }).failure).toBeNull();
  });

  test('assignments last, and change with an operator', () => {
    const { variables } = run('cwnd = 10; cwnd += 5\ncwnd <<= 1; s = "a"; s += "b"; t = 1, 2');
    expect(Object.fromEntries(variables)).toEqual({ cwnd: 30, s: 'ab', t: [1, 2] });
  });

  test('a variable hides a name that is provided', () => {
    expect(value('tcpi_rtt', { tcpi_rtt: 5 })).toBe(5);
    expect(run('tcpi_rtt = None\nassert tcpi_rtt is None', { tcpi_rtt: 5 }).failure).toBeNull();
  });

  test('print', () => {
    expect(run('print(1, "a", None, True); print()\nprint((1,), 2.5)').printed).toEqual([
      '1 a None True',
      '',
      '(1,) 2.5',
    ]);
  });

  test('comments, empty lines, pass', () => {
    expect(run('\n  # x\n\npass ;; pass  # y\n').failure).toBeNull();
  });

  test.each<[string, string, number, boolean]>([
    ['if x: y', '"if" is not part of the supported Python', 0, true],
    ['import os', '"import" is not part of the supported Python', 0, true],
    [
      '__import__("os")',
      'unknown function __import__ (known: print, abs, min, max, int, float, round, len, str, bool)',
      0,
      true,
    ],
    ['x = a.b', 'attributes', 5, true],
    ['x = (1, 2)[0]', 'subscripts', 10, true],
    ['a. 5', 'expected a new line or ";", found .', 1, false],
    ['+0.2 > R. 9:9(0) ack 1', 'expected a new line or ";", found .', 8, false],
    ['1 = 2', 'only a name can be assigned to', 0, false],
    ['assert', 'expected an expression, found the end of the code block', 6, false],
    ['x = (1', 'a bracket that is not closed', 6, false],
    ['x = 1)', 'a closing bracket without an opening one', 5, false],
    ['x = 012', '"012" is not a number', 4, false],
    ['x = 1 2', 'expected a new line or ";", found 2', 6, false],
    ['x = "abc', 'unexpected """', 4, false],
    ['x = and', 'expected an expression, found and', 4, false],
    [`x = ${'('.repeat(500)}1${')'.repeat(500)}`, 'nested too deeply', 204, false],
    [`x = ${'not '.repeat(1000)}1`, 'nested too deeply', 800, false],
  ])('%j is refused', (text, message, at, unsupported) => {
    let thrown: unknown;
    try {
      parsePython(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PythonError);
    expect(thrown).toMatchObject({ message, at, unsupported });
  });

  test('a long block is refused', () => {
    expect(() => parsePython(`x = 1${' + 1'.repeat(3000)}`)).toThrow('a code block that is too long');
  });
});

test('whatever the text, it runs, fails an assertion or is a PythonError', () => {
  const piece = fc.constantFrom(
    ...[
      'assert',
      'print',
      'x',
      '=',
      '==',
      '1',
      '0',
      '"%d"',
      '%',
      '(',
      ')',
      ',',
      'and',
      'not',
      'in',
      '-',
      '**',
      '//',
      '\n',
    ],
    ...['<', '<=', '&', '~', '<<', "'a'", 'tcpi_rtt', ';', 'if', 'else', 'min', '[', ']', '0x1f', '1e400', '\\'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      try {
        run(pieces.join(' '), { tcpi_rtt: 5 });
      } catch (error) {
        expect(error).toBeInstanceOf(PythonError);
      }
    }),
    { numRuns: 3000 },
  );
});
