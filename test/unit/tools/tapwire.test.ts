import { CommanderError } from 'commander';
import { commandLine } from '../../../tools/tapwire';

/** What a command line that is refused says on standard error. */
function refusal(...args: string[]): string {
  let said = '';
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  try {
    expect(() => commandLine(args).parse(args, { from: 'user' })).toThrow(CommanderError);
  } finally {
    stderr.mockRestore();
  }
  return said;
}

test.each([
  [['bogus'], 'tapwire'],
  [['serv'], 'tapwire'],
  [['decode'], 'tapwire decode'],
  [['decode', '--bogus', 'x'], 'tapwire decode'],
  [['serve', '--port', 'x'], 'tapwire serve'],
  [['fault', 'bogus'], 'tapwire fault'],
  [['fault', 'run'], 'tapwire fault run'],
])('%j is refused with the help that says what there is', (args, command) => {
  const lines = refusal(...args)
    .trimEnd()
    .split('\n');
  expect(lines[0]).toMatch(/^error: /);
  expect(lines.at(-1)).toBe(`(${command} --help shows what there is)`);
});
