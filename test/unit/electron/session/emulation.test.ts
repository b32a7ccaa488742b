import { once } from 'node:events';
import type * as NodeHttp from 'node:http';
import type { AddressInfo } from 'node:net';
import { memoryPair } from '../../../../device/memory';
import { modulesOf } from '../../../../electron/modules';
import { createElectronNet, type ElectronNet } from '../../../../electron/net';
import { createSessions, type ElectronSessions } from '../../../../electron/session';
import { type Conn, type FaultDevice, faultDevice, faultLink, type Rule } from '../../../../fault';
import { createHost, type Host } from '../../../../net/host';
import { run } from '../lab';

let fault: FaultDevice;
let hosts: Host[];
let sessions: ElectronSessions;
let electron: ElectronNet;
let origin: string;

/** Two hosts with a fault device between them: real time. */
beforeEach(async () => {
  const [near, far] = memoryPair();
  fault = faultDevice(near);
  const client = createHost({ devices: [{ device: fault.device, addresses: ['10.0.0.1/24'] }] });
  const server = createHost({ devices: [{ device: far, addresses: ['10.0.0.2/24'] }] });
  hosts = [client, server];
  const modules = modulesOf(client);
  sessions = createSessions(modules, { link: faultLink(fault) });
  electron = createElectronNet(modules, sessions, () => true);
  const { http } = modulesOf(server) as unknown as { http: typeof NodeHttp };
  const serving = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('x'.repeat(Number(request.url!.slice(1)))));
  });
  serving.listen(0, '10.0.0.2');
  await once(serving, 'listening');
  origin = `http://10.0.0.2:${(serving.address() as AddressInfo).port}`;
});
afterEach(async () => {
  await sessions.defaultSession.closeAllConnections();
  for (const host of hosts) host.close();
  fault.close();
});

const active = (): Rule[] => fault.engine.rules.filter((rule) => rule.active);

test('E-102: latency is the round trip’s, for this session’s connections and nobody else’s', async () => {
  sessions.defaultSession.enableNetworkEmulation({ latency: 100 });
  const began = performance.now();
  expect((await run(electron.request(`${origin}/10`))).body).toHaveLength(10);
  // Two round trips at least: the handshake's, and the request's. A timer may be a millisecond early.
  expect(performance.now() - began).toBeGreaterThan(190);
  expect((await run(electron.request({ url: `${origin}/10`, partition: 'other' }))).status).toBe(200);
  const concerns = active()[0]!.match.conn as (conn: Conn) => boolean;
  expect(fault.engine.conns.map(concerns)).toEqual([true, false]);
  await sessions.fromPartition('other').closeAllConnections();
});

test('E-102: throughput, each way', async () => {
  sessions.defaultSession.enableNetworkEmulation({ downloadThroughput: 100_000, uploadThroughput: 50_000 });
  let began = performance.now();
  expect((await run(electron.request(`${origin}/20000`))).body).toHaveLength(20_000);
  expect(performance.now() - began).toBeGreaterThan(180);
  began = performance.now();
  expect((await run(electron.request({ url: `${origin}/1`, method: 'POST' }), 'y'.repeat(10_000))).body).toBe('x');
  expect(performance.now() - began).toBeGreaterThan(180);
});

test('E-102: disableNetworkEmulation takes it all away, and enabling twice does not add up', async () => {
  const { defaultSession } = sessions;
  defaultSession.enableNetworkEmulation({ latency: 50, downloadThroughput: 1e6 });
  defaultSession.enableNetworkEmulation({ latency: 10 });
  expect(active()).toHaveLength(1);
  defaultSession.enableNetworkEmulation({ offline: true });
  expect(active()).toHaveLength(0);
  expect((await run(electron.request(origin))).error?.message).toBe('net::ERR_INTERNET_DISCONNECTED');
  defaultSession.disableNetworkEmulation();
  expect((await run(electron.request(`${origin}/5`))).body).toBe('xxxxx');
  expect(active()).toHaveLength(0);
});
