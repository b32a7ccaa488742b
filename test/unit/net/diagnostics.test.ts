import { spawn } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { join } from 'node:path';
import { createHost, memoryPair, type TapwireHost } from '../../../index';
import { lineOf } from '../../../net/debug';
import type { ConnectionFacts } from '../../../net/diagnostics';
import { DROPS } from '../../../stack/base/drops';
import { TRACE_KINDS, type TraceKind } from '../../../stack/base/trace';

interface Message {
  host: TapwireHost;
  connection: ConnectionFacts;
  at: number;
  [more: string]: unknown;
}

const hosts: TapwireHost[] = [];
const unsubscribe: (() => void)[] = [];
afterEach(() => {
  for (const end of unsubscribe.splice(0)) end();
  for (const host of hosts.splice(0)) host.close();
});

function pair(): [client: TapwireHost, server: TapwireHost] {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1 });
  const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2 });
  hosts.push(client, server);
  return [client, server];
}

function hear(name: string, listener: (message: Message) => void): void {
  const channel = `tapwire:tcp:${name}`;
  const listen = (message: unknown): void => listener(message as Message);
  diagnostics.subscribe(channel, listen);
  unsubscribe.push(() => void diagnostics.unsubscribe(channel, listen));
}

test('a connection’s life, with both ends and the host that it is on', async () => {
  const [client, server] = pair();
  const said: string[] = [];
  hear('open', ({ host, connection }) => host === client && said.push(`open ${connection.passive}`));
  hear('state', ({ host, connection, from }) => host === client && said.push(`${from} -> ${connection.state}`));
  hear('close', ({ host, connection, error }) => host === client && said.push(`close ${connection.id} ${error}`));
  server.net.createServer((socket) => socket.end('bye')).listen(80);
  await once(client.net.connect(80, '10.0.0.2').resume(), 'close');
  expect(said.slice(0, 3)).toEqual(['open false', 'CLOSED -> SYN-SENT', 'SYN-SENT -> ESTABLISHED']);
  expect(said).toContain('ESTABLISHED -> CLOSE-WAIT');
});

test('a failure is told with its error, then the close', async () => {
  const [client] = pair();
  const said: object[] = [];
  hear('error', ({ connection, error }) => said.push({ remotePort: connection.remotePort, error }));
  hear('close', ({ from, error }) => said.push({ from, error }));
  await once(client.net.connect(81, '10.0.0.2'), 'error').catch(() => {});
  expect(said).toEqual([
    { remotePort: 81, error: 'ECONNREFUSED' },
    { from: 'SYN-SENT', error: 'ECONNREFUSED' },
  ]);
});

test('a retransmission tells how much goes again', async () => {
  const [client, server] = pair();
  server.net.createServer((socket) => socket.resume()).listen(80);
  const socket = client.net.connect(80, '10.0.0.2');
  await once(socket, 'connect');
  const [connection] = [...client.stack.tcp.connections];
  const told = new Promise<Message>((resolve) => hear('retransmit', resolve));
  // Nobody is there any more to acknowledge it.
  server.close();
  socket.write('lost');
  expect(await told).toMatchObject({ connection: { id: connection!.id }, bytes: 4 });
  socket.destroy();
});

test('a subscriber may use sockets: it is called outside of the stack', async () => {
  const [client, server] = pair();
  hear('state', ({ host, connection }) => {
    if (host !== server || connection.state !== 'ESTABLISHED') return;
    for (const c of [...server.stack.tcp.connections]) expect(c.signals).toBe(0);
    client.net.connect(80, '10.0.0.2').on('error', () => {});
    for (const end of unsubscribe.splice(0)) end();
  });
  let accepted = 0;
  await new Promise<void>((resolve) => {
    server.net
      .createServer(() => {
        if (++accepted === 2) resolve();
      })
      .listen(80);
    client.net.connect(80, '10.0.0.2');
  });
});

const PROGRAM = `
const { createHost, memoryPair } = require('./index.ts');
const [a, b] = memoryPair();
const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1 });
const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2 });
server.http.createServer((req, res) => res.end('hi')).listen(80, () => {
  client.http.get('http://10.0.0.2/x', (res) => res.resume().on('end', () => { client.close(); server.close(); }));
});`;

async function debugged(sections: string): Promise<string> {
  const args = ['-r', './test/typescript.cjs', '-e', PROGRAM];
  const env = { ...process.env, NODE_DEBUG: sections };
  const child = spawn(process.execPath, args, { cwd: join(__dirname, '../../..'), env });
  let text = '';
  child.stderr.on('data', (piece) => {
    text += piece;
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  return text;
}

describe('NODE_DEBUG', () => {
  jest.setTimeout(60_000);

  test('tapwire* tells of frames, segments, states and requests', async () => {
    const text = await debugged('tapwire*');
    expect(text).toMatch(/^TAPWIRE:IP \d+: [\d.]+ frame-out 0 60$/m);
    expect(text).toMatch(/^TAPWIRE:TCP \d+: [\d.]+ #1 10\.0\.0\.1:\d+ 10\.0\.0\.2:80 CLOSED -> SYN-SENT$/m);
    expect(text).toMatch(/^TAPWIRE:TCP .* > S \d+:\d+\(0\) ack 0 win 65535 \(syn\)$/m);
    expect(text).toMatch(/^TAPWIRE:TCP .* < S\. /m);
    expect(text).toMatch(/^TAPWIRE:HTTP \d+: "server: GET \/x answered 200"$/m);
    expect(text).toMatch(/^TAPWIRE:HTTP \d+: "client: GET \/x was answered 200"$/m);
  });

  test('one section is that one; other people’s sections are not ours', async () => {
    const text = await debugged('tapwire:http');
    expect(text).toMatch(/^TAPWIRE:HTTP /);
    expect(text).not.toContain('TAPWIRE:TCP');
    expect(await debugged('fs')).not.toContain('TAPWIRE');
  });
});

test('every kind of event has words', () => {
  for (const kind of Object.keys(TRACE_KINDS) as TraceKind[]) {
    const numbers = TRACE_KINDS[kind].map(() => 1);
    expect(lineOf({ at: 0, kind, connection: 1, numbers })).not.toMatch(/undefined|NaN|^$/);
  }
  expect(lineOf({ at: 0, kind: 'drop', connection: 0, numbers: [DROPS.indexOf('tcp-paws')] })).toBe(
    'dropped: tcp-paws',
  );
  const flags = 2 | 16 | 64 | 128;
  expect(lineOf({ at: 0, kind: 'segment-in', connection: 1, numbers: [flags, -1, 5, 2, 9] })).toBe(
    '< S.EW 4294967295:1(2) ack 5 win 9',
  );
});
