import type { Cluster } from 'node:cluster';
import { type ListeningServer, sharedPort } from '../net/shared-port';

/**
 * What Node does for a worker of a `cluster`, apart from sharing out connections: its primary hears which servers listen,
 * and a worker that is disconnected listens no more.
 */
export function serveCluster(): void {
  // Whoever has no parent to talk to is no worker, and need not load the module.
  if (process.send === undefined) return;
  const cluster = require('node:cluster') as Cluster;
  if (!cluster.isWorker) return;
  const servers = new Set<ListeningServer>();
  sharedPort.asked = (server, asked) => {
    servers.add(server);
    server.once('close', () => servers.delete(server));
    server.once('listening', () => {
      if (!server.listening || !process.connected) return;
      (cluster.worker as unknown as { state: string }).state = 'listening';
      const name = server.address();
      const port = typeof name === 'object' && name !== null ? name.port : asked.port;
      // Node's own words between a worker and its primary.
      process.send!({ cmd: 'NODE_CLUSTER', act: 'listening', ...asked, port });
    });
  };
  closeBeforeDisconnect(cluster, servers);
}

/** A worker that is to disconnect closes its servers and waits for them first; that is how it ends. */
function closeBeforeDisconnect(cluster: Cluster, servers: ReadonlySet<ListeningServer>): void {
  const { disconnect } = process;
  process.disconnect = () => {
    const open = [...servers];
    if (!cluster.worker!.exitedAfterDisconnect || open.length === 0) return disconnect!.call(process);
    let left = open.length;
    const onClosed = (): void => {
      if (--left === 0) disconnect!.call(process);
    };
    for (const server of open) server.close(onClosed);
  };
}
