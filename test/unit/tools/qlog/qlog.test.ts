import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { createHost, memoryPair } from '../../../../index';
import { registerPacketdrill } from '../../../../tools/packetdrill/command';
import { MemorySink } from '../../../../tools/pcap/sink';
import { QlogFile, QlogWriter, qlogFormatOf } from '../../../../tools/qlog/writer';

interface Record {
  time: number;
  name: string;
  group_id?: string;
  data: { [key: string]: unknown; header?: { flags?: string[] }; trigger?: string };
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tw-qlog-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function packetdrill(script: string): Record[] {
  const file = join(folder, 'run.ndjson');
  const program = new Command().exitOverride();
  const said: string[] = [];
  const io = { out: (text: string) => said.push(text), err: (text: string) => said.push(text), exit: () => {} };
  registerPacketdrill(program, undefined, io);
  program.parse(['packetdrill', `test/scripts/${script}.pkt`, '--qlog', file], { from: 'user' });
  expect(said.join('')).toContain(': ok');
  const [header, ...events] = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(header).toEqual({
    qlog_version: '0.4',
    qlog_format: 'NDJSON',
    title: 'tapwire',
    trace: {
      vantage_point: { name: 'tapwire', type: 'unknown' },
      common_fields: { protocol_type: ['TCP'], time_format: 'relative', reference_time: 0 },
    },
  });
  return events as Record[];
}

const short = ({ time, name, data }: Record): string =>
  [time, name.split(':')[1], data.trigger, data.header?.flags?.join('+'), data['new']]
    .filter((part) => part !== undefined)
    .join(' ');

test('a fast retransmit: what arrived, what was concluded, what went out and by which rule', () => {
  const events = packetdrill('recovery/fast-retransmit');
  expect(new Set(events.map((event) => event.group_id))).toEqual(new Set(['fast-retransmit-1']));
  const at = (ms: number): string[] => events.filter(({ time }) => time === ms).map(short);
  expect(at(0)).toEqual([
    '0 connection_started',
    '0 packet_received SYN',
    '0 state_updated SYN-RECEIVED',
    '0 packet_sent syn SYN+ACK',
  ]);
  expect(at(200)).toEqual([
    '200 packet_received ACK',
    '200 congestion_state_updated Disorder',
    '200 metrics_updated',
    '200 packet_received ACK',
    '200 packet_received ACK',
    '200 packet_lost duplicate-acks',
    '200 metrics_updated',
    '200 congestion_state_updated Recovery',
    '200 metrics_updated',
    '200 packet_sent retransmit PSH+ACK',
  ]);
  const metrics = events.find(({ name }) => name === 'recovery:metrics_updated')!.data;
  expect(metrics).toMatchObject({ latest_rtt: 100, smoothed_rtt: 100, rto: 300, congestion_window: 10_000 });
});

test('a segment that is dropped names the reason, and whose it was', () => {
  const events = packetdrill('recovery/paws');
  const dropped = events.find(({ name }) => name === 'transport:packet_dropped')!;
  expect(dropped).toMatchObject({
    group_id: 'paws-1',
    data: { trigger: 'tcp-paws', header: { flags: ['PSH', 'ACK'] } },
  });
});

test('what the timer took to be lost, and the end that it led to', () => {
  const names = packetdrill('recovery/gives-up').map(short);
  expect(names.filter((name) => name.includes('packet_lost timeout')).length).toBeGreaterThan(2);
  expect(names.filter((name) => name.includes('timer_updated')).length).toBeGreaterThan(2);
  expect(names.at(-1)).toMatch(/connection_closed error$/);
});

const parse = (sink: MemorySink): { text: string; events: Record[] } => {
  const text = new TextDecoder().decode(sink.bytes());
  const records = text.split('\x1e').filter((one) => one !== '');
  return { text, events: records.slice(1).map((one) => JSON.parse(one)) };
};

async function conversation(withLog: (host: ReturnType<typeof createHost>) => void): Promise<void> {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1 });
  const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2 });
  withLog(client);
  const listening = server.net.createServer((socket) => socket.end('bye')).listen(80);
  await once(listening, 'listening');
  const socket = client.net.connect(80, '10.0.0.2');
  await once(socket.resume(), 'close');
  const refused = client.net.connect(81, '10.0.0.2');
  await expect(once(refused, 'connect')).rejects.toThrow('ECONNREFUSED');
  client.close();
  server.close();
}

test('a live host: every record begins with RS and ends with LF; connections have groups', async () => {
  const sink = new MemorySink();
  const writer = new QlogWriter(sink, 'JSON-SEQ', { vantagePoint: 'client', epochMs: 5 });
  await conversation((host) => writer.attach(host.stack, () => host.now(), 'client-'));
  writer.close();
  const { text, events } = parse(sink);
  for (const record of text.split('\x1e').slice(1)) expect(record).toMatch(/^\{[^\n]*\}\n$/);
  expect(text.startsWith('\x1e')).toBe(true);
  const first = events.filter((event) => event.group_id === 'client-1').map(({ name, data }) => [name, data['new']]);
  expect(first[0]).toEqual(['connectivity:connection_started', undefined]);
  expect(first).toContainEqual(['connectivity:state_updated', 'ESTABLISHED']);
  expect(first).toContainEqual(['api:open', undefined]);
  expect(first).toContainEqual(['api:close', undefined]);
  expect(
    events.find(({ name, group_id }) => name === 'connectivity:connection_closed' && group_id === 'client-2'),
  ).toMatchObject({
    data: { trigger: 'error', error: 'ECONNREFUSED' },
  });
});

test('a connection that was there before is followed; ended, nothing more comes', async () => {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1 });
  const server = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2 });
  server.net.createServer((socket) => socket.pipe(socket)).listen(80);
  const socket = client.net.connect(80, '10.0.0.2');
  await once(socket, 'connect');
  const sink = new MemorySink();
  const writer = new QlogWriter(sink, 'JSON-SEQ');
  const end = writer.attach(client.stack, () => client.now());
  socket.write('x');
  await once(socket, 'data');
  end();
  writer.flush();
  const before = sink.bytes().length;
  socket.write('x');
  await once(socket, 'data');
  writer.close();
  expect(sink.bytes().length).toBe(before);
  const { events } = parse(sink);
  expect(events[0]!.name).toBe('connectivity:connection_started');
  expect(events.map(short).filter((line) => line.includes('packet_sent data PSH+ACK'))).toHaveLength(1);
  client.close();
  server.close();
});

test('host.qlog writes a file until the host is closed', async () => {
  const path = join(folder, 'a.sqlog');
  await conversation((host) => host.qlog(path));
  const [header] = readFileSync(path, 'utf8').split('\n');
  const parsed = JSON.parse(header!.slice(1));
  expect(parsed.qlog_format).toBe('JSON-SEQ');
  expect(parsed.trace.common_fields.reference_time).toBeCloseTo(performance.timeOrigin, 0);
  expect(readFileSync(path, 'utf8')).toContain('"error":"ECONNREFUSED"');
});

test('a disk that is full ends the log, not the program', async () => {
  const said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const log = new QlogFile('/dev/full');
  await conversation((host) => log.record(host));
  expect(() => log.close()).not.toThrow();
  expect(said.mock.calls.join('')).toMatch(/^tapwire: the log \/dev\/full ends early: ENOSPC/);
  said.mockRestore();
});

test.each([
  ['a.ndjson', 'NDJSON'],
  ['a.jsonl', 'NDJSON'],
  ['a.sqlog', 'JSON-SEQ'],
  ['-', 'JSON-SEQ'],
  ['json', 'JSON-SEQ'],
])('%s is written as %s', (path, format) => expect(qlogFormatOf(path)).toBe(format));
