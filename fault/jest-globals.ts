/** `tapwire/jest-globals`: `tapwire/jest`, with types for the `expect` that is imported from '@jest/globals'. */

// What is extended has to be there.
import type {} from 'expect';
import type { FaultMatchers } from './jest';

export * from './jest';

declare module 'expect' {
  interface Matchers<R> extends FaultMatchers<R> {}
}
