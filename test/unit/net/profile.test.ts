import { once } from 'node:events';
import { Controller, createHost, LINUX, memoryPair, type TcpProfile } from '../../../index';
import { parseAddress } from '../../../stack/base/address';
import { connect, send } from '../../../stack/tcp/calls';
import type { Connection } from '../../../stack/tcp/connection';
import { beginFastOpen } from '../../../stack/tcp/fast-open';
import { icmpForTcp } from '../../../stack/tcp/icmp';
import { Settings } from '../../../stack/tcp/settings';
import { hostSockets, type SocketEntry } from '../../../tools/ss/entries';

const hostWith = (profile: unknown): ReturnType<typeof createHost> =>
  createHost({ devices: [], profile: profile as Partial<TcpProfile> });

test.each<[string, unknown, string]>([
  ['a name', 'solaris', "unknown profile 'solaris': one of linux, rfc"],
  ['a name that every object has', 'toString', "unknown profile 'toString': one of linux, rfc"],
  ['a constant', { sackk: true }, "a profile has no 'sackk'"],
  ['a value', { rtoMinMs: '200' }, 'rtoMinMs of a profile is a number, not 200'],
  ['a controller', { congestion: 'vegas' }, "unknown congestion controller 'vegas': one of reno, cubic, bbr, hybla"],
])('%s that nobody knows is refused', (_what, profile, message) => {
  expect(() => hostWith(profile)).toThrow(new RangeError(message));
});

test('what a profile does not say is as in the one that it names, or in linux', () => {
  const profileOf = (profile: unknown): TcpProfile => hostWith(profile).stack.config.profile;
  expect(profileOf(undefined)).toBe(LINUX);
  expect(profileOf({ congestion: 'bbr', ecn: undefined })).toEqual({ ...LINUX, congestion: 'bbr' });
  expect(profileOf({ name: 'rfc', sack: false })).toMatchObject({
    timeWaitMs: 240_000,
    congestion: 'reno',
    sack: false,
  });
  expect(profileOf({ ...LINUX, name: 'mine', rtoMinMs: 50 })).toMatchObject({ name: 'mine', rtoMinMs: 50 });
});

/** Sends as much in a round trip, whatever happens. */
class Steady extends Controller {
  readonly name = 'steady';
  acknowledged(): void {}
  threshold(): number {
    return 10;
  }
}

test("a congestion controller of one's own governs the connections of its host", async () => {
  const [a, b] = memoryPair();
  const profile = { congestion: 'steady', controllers: { steady: () => new Steady() } };
  const client = createHost({ device: a, addresses: '10.0.0.1/24', profile });
  const server = createHost({ device: b, addresses: '10.0.0.2/24' });
  const listening = server.net
    .createServer((socket) => socket.on('end', () => socket.end('thanks')).resume())
    .listen(80);
  await once(listening, 'listening');
  const socket = client.net.connect(80, '10.0.0.2');
  const told = (): SocketEntry => [...hostSockets(client)].find(({ netid }) => netid === 'tcp')!;
  await new Promise((sent) => socket.write(Buffer.alloc(1_000_000), sent));
  expect(told()).toMatchObject({ congestion: 'steady', info: { tcpi_snd_cwnd: 10 } });
  socket.end();
  const [text] = (await once(socket, 'data')) as [Buffer];
  expect(String(text)).toBe('thanks');
  client.close();
  server.close();
});

test("MUST-56: by the RFC's profile an open goes on although a router knows no way for now", async () => {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', profile: 'rfc' });
  const socket = client.net.connect(80, '10.0.0.2');
  const { tcp } = client.stack;
  while (tcp.connections.size === 0) await new Promise(setImmediate);
  const [c] = [...tcp.connections];
  const { local, localPort: sourcePort, remote, remotePort: destinationPort, iss: seq } = c!;
  const quote = { sourcePort, destinationPort, seq };
  while (c!.sndNxt === c!.iss) await new Promise(setImmediate);
  expect(icmpForTcp(tcp, local, remote, quote, 'ENETUNREACH', false, false, client.now())).toBe(true);
  client.schedule();
  while (c!.signals !== 0) await new Promise(setImmediate);
  const server = createHost({ device: b, addresses: '10.0.0.2/24' });
  server.net.createServer((other) => other.end('here')).listen(80);
  const [text] = (await once(socket, 'data')) as [Buffer];
  expect(String(text)).toBe('here');
  client.close();
  server.close();
});

test('RFC 7413: by a profile that says so a server reads the text of a SYN', async () => {
  const [a, b] = memoryPair();
  const client = createHost({ device: a, addresses: '10.0.0.1/24', profile: { fastOpen: 1 } });
  const server = createHost({ device: b, addresses: '10.0.0.2/24', profile: { fastOpen: 0x402 } });
  const listening = server.net.createServer().listen(80);
  await once(listening, 'listening');
  const early = new Promise((read) => listening.on('connection', (socket) => socket.once('data', read)));
  const { tcp } = client.stack;
  const nobody = { onSignals: () => {} };
  const open = async (text: Buffer): Promise<Connection> => {
    const c = connect(tcp, parseAddress('10.0.0.2')!, 80, null, 0, nobody, client.now());
    if (typeof c === 'string') throw new Error(c);
    if (beginFastOpen(tcp, c, new Settings(), client.now()) > 0) send(tcp, c, text, 0, text.length);
    client.schedule();
    while (c.state !== 'ESTABLISHED') await new Promise(setImmediate);
    return c;
  };
  expect((await open(Buffer.from('no cookie yet'))).fast!.text).toBe(0);
  const c = await open(Buffer.from('early'));
  expect([c.fast!.textAcked, String(await early)]).toEqual([true, 'early']);
  client.close();
  server.close();
});
