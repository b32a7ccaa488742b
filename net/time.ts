import timers from 'node:timers';

/**
 * What the sockets and the messages of HTTP know of time, as it was when this was loaded. Tests that put a clock of their own
 * in the place of Node's (`jest.useFakeTimers()`, sinon, lolex) stop the program's time, and Node's own sockets go on; so do
 * these. A simulated world, which means to stop them as well, puts its clock in here.
 */
export const time = {
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  now: performance.now.bind(performance),
  Date,
};

/** Node's own, too: nothing stops these. */
export const nextTick = process.nextTick;
export const microtask = queueMicrotask;
