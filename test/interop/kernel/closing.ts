import { once } from 'node:events';
import kernelNet from 'node:net';
import { connected, kernelSockets, Lab, pass, readAll, type Socket, settled, until, type Wire } from './lab';

type Side = 'kernel' | 'stack';

const outcome = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let error = '';
    socket.on('error', (e: NodeJS.ErrnoException) => {
      error = `${e.syscall} ${e.code}`;
    });
    socket.on('close', () => resolve(error || 'closed'));
  });

/** `side` ends first and still hears everything that the other says afterwards. */
export async function halfClose(wire: Wire, side: Side): Promise<{ heard: number; left: object }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  client.end('question');
  const asked = await readAll(server);
  if (asked.bytes !== 8) throw new Error(`${asked.bytes} bytes asked`);
  const heard = readAll(client);
  for (let i = 0; i < 10; i++) {
    server.write(Buffer.alloc(50_000));
    await pass(3);
  }
  server.end();
  const { bytes } = await heard;
  const left = await settled(lab);
  lab.close();
  return { heard: bytes, left };
}

/** Both end at the same moment. */
export async function simultaneousClose(wire: Wire, side: Side): Promise<{ outcomes: string[]; left: object }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  const outcomes = [outcome(client), outcome(server)];
  for (const socket of [client, server]) socket.resume().end('bye');
  const both = await Promise.all(outcomes);
  const left = await settled(lab);
  lab.close();
  return { outcomes: both, left };
}

/** Both connect to each other's port at the same moment (RFC 9293 §3.5): one connection, nobody accepted. */
export async function simultaneousOpen(wire: Wire): Promise<{ heard: string[]; left: object }> {
  const lab = new Lab(wire);
  const [kernelPort, stackPort] = [46_001, 46_002];
  const ours = lab.net.connect({ port: kernelPort, host: lab.kernel, localPort: stackPort });
  const theirs = kernelNet.connect({ port: stackPort, host: lab.stack, localPort: kernelPort });
  await Promise.all([once(ours, 'connect'), once(theirs, 'connect')]);
  ours.end('from the stack');
  theirs.end('from the kernel');
  const heard = await Promise.all([ours, theirs].map(textOf));
  const left = await settled(lab);
  lab.close();
  return { heard, left };
}

async function textOf(socket: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

/** Nobody listens. */
export async function refused(wire: Wire, side: Side): Promise<string> {
  const lab = new Lab(wire);
  const { client, address } = lab.sides(side);
  const told = await outcome(client.connect({ port: 9, host: address }));
  lab.close();
  return told;
}

/** `side` opened the connection; `by` ends it with a RST. What both hear. */
export async function reset(
  wire: Wire,
  side: Side,
  by: 'client' | 'server',
): Promise<{ outcomes: string[]; left: object }> {
  const lab = new Lab(wire);
  const pair = await connected(lab, side);
  const outcomes = [outcome(pair.client), outcome(pair.server)];
  for (const socket of [pair.client, pair.server]) socket.resume();
  pair[by].resetAndDestroy();
  const both = await Promise.all(outcomes);
  const left = await settled(lab);
  lab.close();
  return { outcomes: both, left };
}

/** The server goes away with text that it never read: the client hears a reset, not an end. */
export async function unread(wire: Wire, side: Side): Promise<{ told: string; left: object }> {
  const lab = new Lab(wire);
  const { client, server } = await connected(lab, side);
  server.pause();
  // More than a paused socket reads ahead, and no more than buffers hold.
  await new Promise((resolve) => client.write(Buffer.alloc(200_000), resolve));
  const waits = (): boolean =>
    side === 'kernel'
      ? [...lab.host.stack.tcp.connections].some((c) => c.readable > 0)
      : /^[1-9]/.test(kernelSockets());
  await until('text waits', waits);
  const told = outcome(client);
  client.resume();
  server.destroy();
  const what = await told;
  const left = await settled(lab);
  lab.close();
  return { told: what, left };
}

/** Connections open and close one after the other, each side closing first in turn: ports and TIME-WAITs. */
export async function churn(wire: Wire, side: Side, connections: number): Promise<Record<string, number>> {
  const lab = new Lab(wire);
  for (let i = 0; i < connections; i++) {
    const { client, server } = await connected(lab, side);
    const [first, second] = i % 2 === 0 ? [client, server] : [server, client];
    first.end('x');
    await readAll(second);
    second.end();
    await readAll(first);
  }
  const left = await settled(lab);
  lab.close();
  return left;
}
