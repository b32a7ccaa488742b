import type { RequestListener } from 'node:http';
import type { Trace } from '../../stack/base/trace';

/** Looked at so rarely that it costs nothing. */
const REQUESTS_PER_LOOK = 64;
/** So many requests in less than so long are no people. */
const BUSY_MS = 50;
const REST_MS = 1000;

/**
 * The event log is for people who look at the page, and costs each segment a little: while requests come faster than any
 * people send them, it rests, a second at a time.
 */
export function limitTrace(trace: Trace, listener: RequestListener): RequestListener {
  let left = REQUESTS_PER_LOOK;
  let lookedAt = performance.now();
  const look = (): void => {
    left = REQUESTS_PER_LOOK;
    const now = performance.now();
    const busy = now - lookedAt < BUSY_MS;
    lookedAt = now;
    if (!busy || !trace.on) return;
    trace.on = false;
    setTimeout(() => {
      trace.on = true;
    }, REST_MS).unref();
  };
  return (req, res) => {
    if (--left === 0) look();
    listener(req, res);
  };
}
