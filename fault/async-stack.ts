import { executionAsyncId } from 'node:async_hooks';

interface AsyncWrap {
  popAsyncContext(id: number): boolean;
}

interface Internals {
  binding?(name: string): AsyncWrap;
  _fatalException?(error: unknown, fromPromise: boolean): boolean;
}

const internals = process as unknown as Internals;
const [major] = process.versions.node.split('.').map(Number);

/**
 * Runs `task`, which runs ticks. When one throws, Node leaves its async scope entered and counts on the process to end; here
 * the error goes to whoever waits, so the scope is left. Otherwise the next outer one would abort the process.
 */
export function leavingScopes(task: () => void): void {
  const before = executionAsyncId();
  let done = false;
  try {
    task();
    done = true;
  } finally {
    if (!done) leaveTo(before);
  }
}

function leaveTo(before: number): void {
  try {
    if (executionAsyncId() === before) return;
    if (major! < 24) popTo(before);
    else leaveAll();
  } catch {
    // A Node that does not let it: the error is told all the same.
  }
}

function popTo(before: number): void {
  const wrap = internals.binding?.('async_wrap');
  for (let left = 16; left > 0 && executionAsyncId() !== before; left--) wrap?.popAsyncContext(executionAsyncId());
}

/**
 * From Node 24 on the scopes cannot be left one by one. They are left all together, the outer ones too, as after an error
 * that the program has caught with `setUncaughtExceptionCaptureCallback`; ends of scopes that are left already do nothing.
 */
function leaveAll(): void {
  if (process.hasUncaughtExceptionCaptureCallback()) return;
  process.setUncaughtExceptionCaptureCallback(() => {});
  try {
    internals._fatalException?.(new Error('the scopes of a tick that threw are left'), false);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
}
