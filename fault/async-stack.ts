import { executionAsyncId } from 'node:async_hooks';

interface AsyncWrap {
  popAsyncContext(id: number): boolean;
}

const binding = (process as unknown as { binding?: (name: string) => AsyncWrap }).binding;

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
    const wrap = binding?.call(process, 'async_wrap');
    for (let left = 16; left > 0 && executionAsyncId() !== before; left--) wrap?.popAsyncContext(executionAsyncId());
  } catch {
    // A Node that does not let it: the error is told all the same.
  }
}
