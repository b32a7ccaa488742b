import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, connect as netConnect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCidr } from '../../../device/cidr';
import { addAddress, addNeighbor, bringLoopbackUp, findLink, setLink } from '../../../device/netlink';
import { openPacket } from '../../../device/packet';
import { Arenas, heapRegions } from '../../../stack/base/memory';
import { TxQueue } from '../../../stack/base/tx-queue';
import { put, type Received, receiveOnce, send } from '../../unit/device/frames';
import { ethernet, firstFrame, ip, text, udp4, vethPair } from './shared';

/** Two packet devices at the ends of a cable, and the kernel as a peer behind one of them. */
export async function packets(): Promise<unknown> {
  vethPair();
  const left = openPacket({ interface: 'left0' });
  const right = openPacket({ interface: 'right0' });
  const plain = ethernet(
    '020000000102',
    '020000000101',
    0x88b5,
    text('an experiment that is long enough to be a frame.'),
  );
  send(left, plain);
  const experiment = (f: Received): boolean =>
    f.bytes.subarray(12).join() !== '' && f.bytes[12] === 0x88 && f.bytes[13] === 0xb5;
  const seen = await firstFrame(right, experiment);
  await sleep(20);
  const own = receiveOnce(left).filter(experiment).length;
  const tagged = ethernet(
    '020000000102',
    '020000000101',
    0x8100,
    Uint8Array.from([0x20, 5, 0x88, 0xb5, ...text('tagged')]),
  );
  send(left, tagged);
  const vlan = await firstFrame(right, (f) => f.bytes[12] === 0x81 && f.bytes[13] === 0);
  right.close();
  addAddress(findLink('right0')!.index, parseCidr('10.0.0.1/24'));
  addNeighbor(findLink('right0')!.index, parseCidr('10.0.0.2'), left.mac!);
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  socket.send('over the wire', 9, '10.0.0.2');
  const datagram = await firstFrame(left, (f) => f.bytes[12] === 8 && f.bytes[23] === 17);
  const arrived = once(socket, 'message');
  send(left, ethernet('020000000102', '020000000101', 0x800, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('and back'))));
  const [message] = await arrived;
  const tooLong = send(left, new Uint8Array(1600));
  const result = {
    same: Buffer.compare(seen.bytes, plain),
    own,
    vlan: Buffer.compare(vlan.bytes, tagged),
    aligned: [(seen.at + 14) % 4, (vlan.at + 18) % 4],
    datagram: Buffer.from(datagram.bytes.subarray(42)).toString(),
    flags: datagram.flags,
    message: String(message),
    device: {
      name: left.name,
      linkType: left.linkType,
      mtu: left.mtu,
      mac: Buffer.from(left.mac!).toString('hex'),
      offloads: left.offloads,
    },
    tooLong: [tooLong, left.counters.txErrors],
  };
  left.close();
  socket.close();
  return result;
}

/** The interface goes down and comes back: the device goes on; then it is removed, which ends it. */
export async function packetDownAndGone(): Promise<unknown> {
  vethPair();
  const left = openPacket({ interface: 'left0' });
  const right = openPacket({ interface: 'right0' });
  const got: number[] = [];
  let calls = 0;
  right.onReadable(() => {
    calls++;
    got.push(...receiveOnce(right).map((f) => f.bytes.at(-1)!));
  });
  const frame = (mark: number): Uint8Array =>
    ethernet('020000000102', '020000000101', 0x88b5, new Uint8Array(50).fill(mark));
  send(left, frame(1));
  await sleep(30);
  setLink(findLink('right0')!.index, { up: false });
  await sleep(30);
  send(left, frame(2));
  setLink(findLink('right0')!.index, { up: true });
  await sleep(30);
  send(left, frame(3));
  await sleep(30);
  const failed = right.failure;
  calls = 0;
  ip('link', 'delete', 'left0');
  await sleep(100);
  const result = { got, failed, code: (right.failure as { code?: string } | null)?.code, calls };
  left.close();
  right.close();
  return result;
}

/** An own link address makes the interface promiscuous while the device is open. */
export function promiscuous(): unknown {
  vethPair();
  const flags = (): boolean => ip('-d', 'link', 'show', 'left0').includes('promiscuity 1');
  const device = openPacket({ interface: 'left0', mac: '02:00:00:00:09:09' });
  const during = flags();
  device.close();
  return { during, after: flags(), mac: Array.from(device.mac!) };
}

/** Loopback carries the kernel's own large segments; TCP over it is seen whole. */
export async function packetLoopback(): Promise<unknown> {
  bringLoopbackUp();
  const device = openPacket({ interface: 'lo' });
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = netConnect((server.address() as { port: number }).port, '127.0.0.1');
  await once(client, 'connect');
  client.write(Buffer.alloc(50_000));
  const large = await firstFrame(device, (f) => f.bytes.length > 20_000);
  client.destroy();
  server.close();
  device.close();
  return { flags: large.flags, mtu: device.mtu };
}

/** Behind a slow queue the socket's memory fills up: transmit takes fewer, and ready tells when there is room again. */
export async function packetPushBack(): Promise<unknown> {
  vethPair();
  execFileSync('tc', [
    'qdisc',
    'add',
    'dev',
    'left0',
    'root',
    'tbf',
    'rate',
    '40mbit',
    'burst',
    '3000',
    'limit',
    '10000000',
  ]);
  const device = openPacket({ interface: 'left0' });
  const queue = new TxQueue(new Arenas(heapRegions));
  for (let i = 0; i < 200; i++) put(queue, ethernet('020000000102', '020000000101', 0x88b5, new Uint8Array(1500)), 14);
  let record = 0;
  let left = 200;
  let calls = 0;
  let spurious = 0;
  const flush = (): number => {
    const taken = device.transmit(queue, record, left);
    for (let i = 0; i < taken; i++) record = queue.next(record);
    left -= taken;
    return taken;
  };
  const first = flush();
  device.onReadable(() => {
    calls++;
    receiveOnce(device);
    if (flush() === 0) spurious++;
  });
  for (let i = 0; left > 0 && i < 100; i++) await sleep(10);
  const done = calls;
  await sleep(50);
  const result = {
    first: first > 0 && first < 200,
    left,
    calls: calls > 0,
    spurious,
    afterwards: calls - done,
    errors: device.counters.txErrors,
  };
  device.close();
  return result;
}
