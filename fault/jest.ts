/**
 * `tapwire/jest`: matchers for expect, and what belongs around a test: afterwards every wire is closed, and a test fails that
 * leaves sockets behind which nobody will ever close, or whose rules never acted. Works by being imported where `expect` and
 * `afterEach` are global (Jest, vitest with globals); elsewhere call `install(expect, { afterEach })`, or use `check` (plain
 * assertions). Timers and clocks of the runner are not touched. The same with types for an `expect` that is imported:
 * `tapwire/jest-globals` (of '@jest/globals'), `tapwire/vitest` (of 'vitest').
 */

import type { TcpState } from './match';
import { type ErrorDetails, matchers } from './matchers';
import { unusedFailure } from './misses';
import { openWires, unusedOfClosed } from './wire';

export * from './index';
export { check, matchers } from './matchers';

/** What `install` needs of a test runner. */
export interface Runner {
  afterEach?: (task: () => Promise<void> | void) => void;
}

/** Adds the matchers to `expect`; with `afterEach`, also the tear-down: no leaks, no rule in vain, and no wire stays open. */
export function install(expect: { extend(matchers: object): void }, runner: Runner = {}): void {
  expect.extend(matchers);
  runner.afterEach?.(tearDown);
}

/** Closes every wire that is open, whatever is left on it. */
export function closeWires(): void {
  for (const wire of openWires()) wire.close();
}

/**
 * The tear-down, for `afterEach`. It fails when a wire that is open holds sockets that nobody will ever close, or an error
 * that nobody was told; and when a rule or a middlebox of any wire since the last time never acted, since the test was then
 * about something else. What agents and servers keep on purpose is let go first; and all wires are closed. It leaves out what
 * `leaks: 'ignore'`, `unused: 'ignore'` and `optional()` say.
 */
export async function tearDown(): Promise<void> {
  const left: string[] = [];
  const said: string[] = [];
  const unused = unusedOfClosed();
  for (const wire of openWires()) {
    // Before the silence below, in which a rule could act that the test never came to.
    if (wire.options.unused !== 'ignore') unused.push(...wire.unused());
    try {
      if (wire.options.leaks !== 'ignore') {
        await wire.quiesce();
        left.push(...wire.leftovers());
      }
    } catch (error) {
      said.push((error as Error).message);
    } finally {
      wire.close();
    }
  }
  if (left.length > 0) said.push(`sockets are left: ${left.join(', ')}`);
  unusedOfClosed();
  if (unused.length > 0) said.push(unusedFailure(unused));
  if (said.length > 0) throw new Error(said.join('\n'));
}

const home = globalThis as unknown as { expect?: { extend(matchers: object): void }; afterEach?: Runner['afterEach'] };
if (home.expect !== undefined) install(home.expect, { afterEach: home.afterEach });

/** What they are to `expect`; R is what a matcher returns, a promise behind `.rejects`. */
export interface FaultMatchers<R> {
  toBeNodeError(code: string, details?: ErrorDetails): R;
  toHaveWire(expected: string): R;
  toRetry(n: number): R;
  toBeProcessedAtMostOnce(id: string): R;
  toDeliverBody(expected: string | Uint8Array): R;
  toLeakNoSockets(): Promise<R>;
  toReachState(end: 'c' | 's', state: TcpState): R;
  toSettleWithin(ms: number): Promise<R>;
  toEmitInOrder(expected: readonly string[]): R;
}

declare global {
  namespace jest {
    // The type parameters are those of the interface that is extended.
    interface Matchers<R> extends FaultMatchers<R> {}
  }
}
