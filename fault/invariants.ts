import { toLeakNoSockets } from './matchers';
import type { Wire } from './wire';

/**
 * What holds after every run, whatever happened to it: for the option `invariant` of `explore` and `fuzz`. Each throws when
 * it does not hold.
 */

/** No socket is left once agents and servers let go of what is idle. */
export async function noLeak(wire: Wire): Promise<void> {
  const { pass, message } = await toLeakNoSockets(wire);
  if (!pass) throw new Error(message());
}

/** What must not happen twice: a request with a method that is not idempotent (RFC 9110 §9.2.2), and its twin. */
const isCommitting = (method: string): boolean => method === 'POST' || method === 'PATCH';

/**
 * No handler was called twice for the same POST or PATCH: the same target, Idempotency-Key and body. Requests that are meant
 * to be made twice need something in which they differ.
 */
export function atMostOnce(wire: Wire): void {
  for (const { handled } of wire.origins) {
    const seen = new Set<string>();
    for (const { method, url, headers, body } of handled) {
      if (!isCommitting(method)) continue;
      const key = JSON.stringify([method, url, headers['idempotency-key'] ?? null, body]);
      if (seen.has(key)) throw new Error(`${method} ${url} was processed twice`);
      seen.add(key);
    }
  }
}

/** Every response that `wire.get` and `wire.request` delivered has as many bytes of body as some server sent for that target. */
export function bodyIntact(wire: Wire): void {
  const { list } = wire.engine.exchanges;
  for (const { title, bytes } of wire.deliveries) {
    const sent = list.filter(({ req, res }) => req?.title === title && res !== null).map(({ res }) => res!.bodyBytes);
    if (!sent.includes(bytes) && sent.length > 0)
      throw new Error(
        `${title}: the client delivered ${bytes} bytes of body and reported nothing; ${sent.join(', ')} were sent`,
      );
  }
}
