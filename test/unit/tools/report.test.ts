import { memoryPair } from '../../../device/memory';
import { createNet } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { reportOn, reportText } from '../../../tools/report';

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

function twoHosts(): [Host, Host] {
  const [a, b] = memoryPair();
  const client = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
  const server = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2 });
  hosts.push(client, server);
  return [client, server];
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a quiet stack holds nothing', () => {
  const [client] = twoHosts();
  const report = reportOn({ client });
  expect(report.hosts['client']).toMatchObject({
    connections: {},
    connectionsTotal: 0,
    timeWaits: 0,
    listeners: 0,
    acceptQueue: 0,
    receiveNodes: 0,
    sendBlocks: 0,
    sendBytes: 0,
    segmentsInFlight: 0,
    drops: {},
  });
  expect(report.hosts['client']!.slabs.pinned).toBe(0);
});

test('what connections hold is told, by stack and by state', async () => {
  const [client, server] = twoHosts();
  // Accepted and never read: text waits at the server.
  const listener = createNet(server).createServer({ pauseOnConnect: true }, () => {});
  await new Promise<void>((resolve) => listener.listen(7, () => resolve()));
  const socket = createNet(client).connect(7, '10.0.0.2');
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write('unread');
  for (let i = 0; i < 10; i++) await turn();
  const { hosts: told } = reportOn({ client, server });
  expect(told['client']!.connections).toEqual({ ESTABLISHED: 1 });
  expect(told['server']).toMatchObject({ connections: { ESTABLISHED: 1 }, listeners: 1, connectionsTotal: 1 });
  expect(told['server']!.tcp.passiveOpens).toBe(1);
  expect(told['client']!.devices[0]).toMatchObject({ name: 'memory-a', txErrors: 0 });
  expect(told['client']!.devices[0]!.txFrames).toBeGreaterThanOrEqual(2);
  expect(reportText(reportOn({ server }))).toMatch(
    /^server: 1 connection \(ESTABLISHED 1\), 0 in TIME-WAIT, 1 listener, 0 to accept\n {2}slots: .*, 1 piece unread, /m,
  );
  socket.destroy();
  listener.close();
});

test('dropped frames are told by reason', () => {
  const [client] = twoHosts();
  client.stack.drops.count('tcp-bad-checksum');
  client.stack.drops.count('tcp-bad-checksum');
  const report = reportOn({ client });
  expect(report.hosts['client']!.drops).toEqual({ 'tcp-bad-checksum': 2 });
  expect(reportText(report)).toContain('  drops: tcp-bad-checksum 2\n');
});

test('the text names the process, and every stack on lines of its own', () => {
  const [client, server] = twoHosts();
  const lines = reportText(reportOn({ client, server })).split('\n');
  expect(lines[0]).toMatch(new RegExp(`^process ${process.pid}: up \\d+ s, (\\d+|\\?) descriptors, heap [\\d.]+ MiB`));
  expect(lines).toContain('client: 0 connections (none), 0 in TIME-WAIT, 0 listeners, 0 to accept');
  expect(lines).toContain('server: 0 connections (none), 0 in TIME-WAIT, 0 listeners, 0 to accept');
  expect(lines).toContain('  memory-a: in 0 frames 0 bytes, out 0 frames 0 bytes, 0 errors');
});
