import { AsyncResource } from 'node:async_hooks';

/**
 * The asynchronous context outside of every program's: what the event loop itself runs in. Made when the project is
 * loaded, so that nobody's AsyncLocalStorage shows in it.
 */
export const rootContext = new AsyncResource('TAPWIRE');
