/**
 * A bug of ours, never a peer's doing: peers get a counted drop, callers a clear error.
 * Not caught anywhere inside the core.
 */
export class AssertionFailed extends Error {
  constructor(what: string) {
    super(`tapwire is wrong: ${what}`);
    this.name = 'AssertionFailed';
  }
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailed(what);
}
