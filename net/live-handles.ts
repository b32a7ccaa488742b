/** A handle that is open, to those who list what a program has. */
export interface LiveHandle {
  /** Its kind, as `process.getActiveResourcesInfo()` calls it. */
  readonly kind: string;
  /** What waits for it, in the same terms. */
  readonly requests: readonly string[];
  /** Its socket or server. */
  readonly owner: object | null;
  hasRef(): boolean;
}

/** All of them in the order in which they were made; null: nobody lists them. */
let handles: Set<LiveHandle> | null = null;

/** From now on they are counted: what was opened before is not among them. */
export function listHandles(): ReadonlySet<LiveHandle> {
  handles ??= new Set();
  return handles;
}

export function handleOpened(handle: LiveHandle): void {
  handles?.add(handle);
}

export function handleClosed(handle: LiveHandle): void {
  handles?.delete(handle);
}
