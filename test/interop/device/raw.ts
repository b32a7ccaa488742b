import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as netConnect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { bringLoopbackUp, findLink } from '../../../device/netlink';
import { openRaw } from '../../../device/raw';
import { receiveOnce, send } from '../../unit/device/frames';
import { bytes4, firstFrame, ip, ipv4, sum16, tcp4, tcpOf, text } from './shared';

function loopbackWith(...addresses: string[]): void {
  bringLoopbackUp();
  for (const address of addresses) ip('address', 'add', `${address}/32`, 'dev', 'lo');
}

/** A client of the kernel's in another network, which reads one answer. Its interface arrives once it is ready. */
export async function rawClient(): Promise<unknown> {
  process.stderr.write('ready\n');
  for (let i = 0; i < 200 && !findLink('right0')?.up; i++) await sleep(10);
  const client = netConnect({ host: '10.7.0.1', port: 8080 });
  client.on('error', () => {});
  const outcome = await Promise.race([
    once(client, 'connect').then(() => 'connected'),
    once(client, 'error').then(([error]) => (error as Error).message),
  ]).catch((error: Error) => error.message);
  client.write('hello raw');
  const [chunk] = await once(client, 'data');
  client.destroy();
  return { outcome, chunk: String(chunk) };
}

/** A connection from another network to a raw device, this kernel's own resets kept away by a rule. */
export async function rawTcp(): Promise<unknown> {
  const child = spawn('unshare', ['-n', '--', process.execPath, require.resolve('./child.cjs'), 'rawClient'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  await once(child.stderr, 'data');
  const there = (...args: string[]): string =>
    execFileSync('nsenter', ['-t', String(child.pid), '-n', 'ip', ...args], { encoding: 'utf8' });
  ip('link', 'add', 'left0', 'type', 'veth', 'peer', 'name', 'right0', 'netns', String(child.pid));
  ip('address', 'add', '10.7.0.1/24', 'dev', 'left0');
  there('address', 'add', '10.7.0.9/24', 'dev', 'right0');
  ip('rule', 'add', 'ipproto', 'tcp', 'sport', '8080', 'type', 'blackhole');
  const device = openRaw({ address: '10.7.0.1' });
  ip('link', 'set', 'left0', 'up');
  there('link', 'set', 'right0', 'up');
  const ended = once(child, 'close');
  const syn = await firstFrame(device, (f) => tcpOf(f) !== null);
  const port = tcpOf(syn)!.getUint16(0);
  const next = (tcpOf(syn)!.getUint32(4) + 1) >>> 0;
  send(device, tcp4('10.7.0.1', '10.7.0.9', [8080, port], [9000, next], 0x12));
  const data = await firstFrame(device, (f) => f.bytes.length > 40 && tcpOf(f)?.getUint32(4) === next);
  send(device, tcp4('10.7.0.1', '10.7.0.9', [8080, port], [9001, next + 9], 0x18, text('hello kernel')));
  await ended;
  const { counters, linkType, name, offloads } = device;
  device.close();
  device.close();
  return {
    client: JSON.parse(said),
    flags: syn.flags,
    data: Buffer.from(data.bytes.subarray(-9)).toString(),
    counters,
    linkType,
    name,
    offloads,
  };
}

/** ICMP on a second socket; datagrams of no socket and too long ones are counted; a small queue pushes back. */
export async function rawOthers(): Promise<unknown> {
  loopbackWith('10.7.0.1', '10.7.0.9');
  const device = openRaw({ address: ['10.7.0.1'], protocols: ['tcp', 'icmp'], queueFrames: 2 });
  const request = [8, 0, 0, 0, 0, 7, 0, 1, ...text('ping')];
  request.splice(2, 2, ...[~sum16(Uint8Array.from(request)) & 0xffff].flatMap((sum) => [sum >>> 8, sum & 0xff]));
  // From an address of the kernel's to itself, so that the kernel answers; the stack's address only looks on.
  const ping = Uint8Array.from([...ipv4('10.7.0.1', '10.7.0.9', 1, request.length), ...request]);
  const taken = [send(device, ping, ping, ping, ping)];
  let asked = 0;
  const replies: number[] = [];
  device.onReadable(() => {
    asked++;
    replies.push(...receiveOnce(device).map((f) => f.bytes[20]!));
  });
  await sleep(100);
  const udp = Uint8Array.from([...ipv4('10.7.0.1', '10.7.0.9', 17, 8), 0, 9, 0, 9, 0, 8, 0, 0]);
  taken.push(send(device, udp, new Uint8Array(1501).fill(0x45)), send(device, new Uint8Array(3)));
  const result = { taken, asked: asked > 0, replies, counters: { ...device.counters }, to: bytes4('10.7.0.9').length };
  device.close();
  return result;
}

/** Run as an ordinary user. */
export function rawRefused(): unknown {
  process.setuid!(65_534);
  try {
    openRaw({ address: '10.7.0.1' });
    return 'no error';
  } catch (error) {
    return (error as Error).message;
  }
}
