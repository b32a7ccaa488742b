/** `tapwire/jest-globals`: `tapwire/jest`, with types for the `expect` that is imported from '@jest/globals'. */

import type { FaultMatchers } from './jest';

export * from './jest';

declare module 'expect' {
  interface Matchers<R> extends FaultMatchers<R> {}
}
