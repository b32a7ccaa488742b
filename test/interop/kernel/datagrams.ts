import { execFile } from 'node:child_process';
import kernelDgram from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { openPacket } from '../../../device/packet';
import { createDgram } from '../../../net/dgram';
import { createHost } from '../../../net/host';
import { digest, ip, Lab, pattern, settled, until, type Wire } from './lab';

type Side = 'kernel' | 'stack';

const run = promisify(execFile);

/** The kernel pings the stack with `bytes` bytes of text. Returns how many of ten answers came. */
export async function ping(wire: Wire, bytes: number): Promise<{ answered: number; left: object }> {
  const lab = new Lab(wire);
  const args = ['-n', '-c', '10', '-i', '0.02', '-W', '2', '-s', String(bytes), lab.stack];
  const { stdout } = await run('ping', args);
  const left = await settled(lab);
  lab.close();
  return { answered: Number(/(\d+) received/.exec(stdout)?.[1]), left };
}

function sockets(lab: Lab, side: Side, wire: Wire) {
  const type = wire.v6 === true ? 'udp6' : 'udp4';
  const kernel = kernelDgram.createSocket(type);
  const stack = createDgram(lab.host).createSocket(type) as unknown as kernelDgram.Socket;
  return side === 'kernel'
    ? { client: kernel, server: stack, address: lab.stack, own: lab.kernel }
    : { client: stack, server: kernel, address: lab.kernel, own: lab.stack };
}

/** Datagrams of these sizes go there and back; they are cut and put together on the way. */
export async function echo(wire: Wire, side: Side, sizes: number[]): Promise<{ back: number[]; left: object }> {
  const lab = new Lab(wire);
  const { client, server, address } = sockets(lab, side, wire);
  for (const socket of [client, server]) {
    socket.bind(0, socket === server ? address : undefined);
    await once(socket, 'listening');
  }
  server.on('message', (text, from) => server.send(text, from.port, from.address));
  const { port } = server.address();
  const back: number[] = [];
  for (const size of sizes) {
    const text = pattern(size);
    const answer = once(client, 'message');
    client.send(text, port, address);
    const [got] = (await answer) as [Buffer];
    back.push(digest(got) === digest(text) ? got.length : -1);
  }
  client.close();
  server.close();
  const left = await settled(lab);
  lab.close();
  return { back, left };
}

/** Nobody has the port: a connected socket hears of it. */
export async function unreachable(wire: Wire, side: Side): Promise<string> {
  const lab = new Lab(wire);
  const { client, server, address } = sockets(lab, side, wire);
  server.close();
  client.connect(9, address);
  await once(client, 'connect');
  client.send('x');
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  client.close();
  lab.close();
  return `${error.syscall} ${error.code}`;
}

/** `side` speaks to everybody, and to a group that the other has joined. */
export async function toMany(wire: Wire, side: Side): Promise<{ heard: string[]; left: object }> {
  const lab = new Lab({ ...wire, link: 'tap' });
  const v6 = wire.v6 === true;
  const group = v6 ? 'ff05::114' : '239.1.2.3';
  ip(
    ...(v6 ? ['-6'] : []),
    'route',
    'add',
    ...(v6 ? ['multicast'] : []),
    group,
    'dev',
    'lab0',
    ...(v6 ? ['table', 'local'] : []),
  );
  const { client, server, own } = sockets(lab, side, wire);
  for (const socket of [client, server]) {
    socket.bind(socket === server ? 4444 : 0);
    await once(socket, 'listening');
  }
  const heard: string[] = [];
  server.on('message', (text) => heard.push(text.toString()));
  server.addMembership(group, v6 ? undefined : side === 'kernel' ? lab.stack : lab.kernel);
  client.setMulticastInterface(v6 ? (side === 'kernel' ? '::%lab0' : own) : own);
  client.send('to the group', 4444, group);
  await until('heard', () => heard.length === 1, 10_000).catch(() => {});
  if (!v6) {
    client.setBroadcast(true);
    client.send('to everybody', 4444, '10.0.0.255');
    await until('heard', () => heard.length === 2, 10_000).catch(() => {});
  }
  client.close();
  server.close();
  const left = await settled(lab);
  lab.close();
  return { heard, left };
}

/** One call of `send` for several datagrams of one size, as programs that speak QUIC do (UDP_SEGMENT). */
const JOINED_SENDER = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, int(sys.argv[3]))
s.sendto(sys.stdin.buffer.read(), (sys.argv[1], int(sys.argv[2])))
`;

/** `bytes` bytes that the kernel sends in one call, to be cut by its device, which is a cable to the stack. Their lengths. */
export async function joined(v6: boolean, bytes: number, each: number): Promise<number[] | null> {
  const [kernel, own, bits] = v6 ? ['fd00::1', 'fd00::2', 64] : ['10.0.0.1', '10.0.0.2', 24];
  ip('link', 'add', 'left0', 'type', 'veth', 'peer', 'name', 'right0');
  ip('address', 'add', `${kernel}/${bits}`, 'dev', 'left0', ...(v6 ? ['nodad'] : []));
  for (const name of ['left0', 'right0']) ip('link', 'set', name, 'up');
  const host = createHost({
    devices: [{ device: openPacket({ interface: 'right0' }), addresses: [`${own}/${bits}`] }],
    poison: true,
  });
  const socket = createDgram(host).createSocket(v6 ? 'udp6' : 'udp4');
  const got: Buffer[] = [];
  socket.on('message', (text: Buffer) => got.push(text));
  socket.bind(9000);
  await once(socket, 'listening');
  const text = pattern(bytes);
  const sent = run('python3', ['-c', JOINED_SENDER, own, '9000', String(each)]);
  sent.child.stdin!.end(text);
  try {
    await sent;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  await until('heard', () => got.reduce((sum, piece) => sum + piece.length, 0) >= bytes);
  socket.close();
  host.close();
  if (digest(Buffer.concat(got)) !== digest(text)) throw new Error('other bytes came than were sent');
  return got.map((piece) => piece.length);
}
