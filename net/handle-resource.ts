import { AsyncResource } from 'node:async_hooks';

interface Referable {
  hasRef(): boolean;
}

/**
 * What asynchronous hooks see of a handle. Tools that look for what keeps a process ask it, as they ask Node's handles, and
 * hear of its end when the handle is closed.
 */
export class HandleResource extends AsyncResource {
  private readonly handle: Referable | undefined;

  constructor(type: string, handle: Referable) {
    super(type, { requireManualDestroy: true });
    this.handle = handle;
  }

  hasRef(): boolean {
    // Hooks hear of it before it knows its handle.
    return this.handle?.hasRef() ?? true;
  }
}
