/**
 * `tapwire/vitest`: `tapwire/jest`, with types for the `expect` that is imported from 'vitest'. Without vitest's globals:
 * `install(expect, { afterEach })`.
 */

import type { FaultMatchers } from './jest';

export * from './jest';

// @ts-expect-error vitest belongs to those who import this
declare module 'vitest' {
  // The type parameter is that of the interface that is extended.
  interface Assertion<T> extends FaultMatchers<void> {}
}
