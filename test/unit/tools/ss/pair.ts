import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createHost, memoryPair, type TapwireHost, type TcpProfile } from '../../../../index';

/** Two hosts in memory, a server on the second, and one connection that has carried a few bytes. */
export async function connectedPair(
  profile: Partial<TcpProfile> = {},
): Promise<{ client: TapwireHost; server: TapwireHost; close(): void }> {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1, profile });
  const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2, profile });
  const listening = server.net.createServer((socket) => socket.pipe(socket)).listen(80);
  await once(listening, 'listening');
  const socket = client.net.connect((listening.address() as AddressInfo).port, '10.0.0.2');
  socket.write('hello');
  await once(socket, 'data');
  return {
    client,
    server,
    close: () => {
      client.close();
      server.close();
    },
  };
}
