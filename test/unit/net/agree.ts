import type { Server, Socket } from '../../../net';
import { type Kit, once, pass, recordBoth } from './both';

/** Both modules must leave the same log; what is in it is Node's business. */
export function agrees(title: string, scenario: (kit: Kit) => Promise<void>): void {
  test(title, async () => {
    const { node, ours } = await recordBoth(scenario);
    expect(node.length).toBeGreaterThan(0);
    expect(ours).toEqual(node);
  });
}

/** Logs what `task` returns or throws. */
export const attempt = (kit: Kit, title: string, task: () => unknown): void => {
  try {
    const result = task();
    kit.log(title, 'returns', typeof result);
  } catch (error) {
    kit.log(title, 'throws', error);
  }
};

/** A connected pair whose events are logged; the server's end is `s`, the client's `c`. */
export async function pair(
  kit: Kit,
  options: object = {},
  serverOptions: object = {},
): Promise<{ c: Socket; s: Socket; server: Server }> {
  let s!: Socket;
  const server = await kit.listen((socket) => {
    kit.log('server.connection');
    s = kit.watch('s', socket);
  }, serverOptions);
  const c = kit.watch('c', kit.net.connect({ port: kit.port(server), host: '127.0.0.1', ...options }));
  await once(c, 'connect');
  // From here on scenarios run in a timer's turn, where the order of a loop's phases is simplest.
  await pass(1);
  return { c, s, server };
}

/** Bytes that neither a kernel nor we buffer whole. */
export const MANY = 12_000_000;
