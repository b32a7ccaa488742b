/** What the sketches share: a title, a check, and the real time that it took. */
import type http from 'node:http';
import type { Reply, Wire } from 'tapwire/fault';

/** Runs a sketch and says how it went; the process fails with it. */
export async function sketch(title: string, body: () => Promise<void>): Promise<void> {
  const began = performance.now();
  const before = process.cpuUsage();
  const took = (): string => {
    const { user, system } = process.cpuUsage(before);
    const cpu = ((user + system) / 1000).toFixed(0);
    return `${(performance.now() - began).toFixed(0)} ms (${cpu} ms of CPU)`;
  };
  try {
    await body();
    console.log(`${title}: passed in ${took()}`);
  } catch (error) {
    console.log(`${title}: FAILED in ${took()}\n${(error as Error).message}`);
    process.exitCode = 1;
  }
}

/** A server that says which path it was asked for. */
export const echo: http.RequestListener = (request, response) => response.end(`this is ${request.url}`);

/** A client that tries again when a connection was reset, as many do. */
export async function withRetry(wire: Wire, path: string, tries = 2): Promise<Reply> {
  for (let left = tries; ; left--) {
    try {
      return await wire.get(path);
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}

/** What a promise rejects with. */
export const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: unknown) => error,
  );
