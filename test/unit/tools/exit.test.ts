import { openSync } from 'node:fs';
import { DeviceError } from '../../../device/errors';
import { cureFor, UsageError } from '../../../tools/exit';

function failureOf(task: () => unknown): unknown {
  try {
    task();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

test('what the user can change is one line', () => {
  expect(cureFor(new UsageError('choose\n  another'))).toBe('choose another');
  const trouble = { what: 'Cannot open tap0', cause: 'no', code: 'EPERM', cure: 'Run it with sudo.' };
  expect(cureFor(new DeviceError(trouble))).toBe('Cannot open tap0: no (EPERM). Run it with sudo.');
  const missing = failureOf(() => openSync('/nonexistent/x', 'w'));
  expect(cureFor(missing)).toBe('/nonexistent/x: there is no such file or folder; check the path (ENOENT)');
});

test('what is ours keeps its stack trace', () => {
  expect(cureFor(new TypeError('x is not a function'))).toBeNull();
  expect(cureFor(Object.assign(new Error('x'), { code: 'EWEIRD', syscall: 'y', path: 'z' }))).toBeNull();
  expect(cureFor('text')).toBeNull();
});
