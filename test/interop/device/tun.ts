import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as netConnect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCidr, parseMac } from '../../../device/cidr';
import { addAddress, addNeighbor, findLink, listAddresses } from '../../../device/netlink';
import { openPacket } from '../../../device/packet';
import { openTap, openTun } from '../../../device/tun';
import { Arenas, heapRegions } from '../../../stack/base/memory';
import {
  PIECE_FIELDS,
  TX_CHECKSUM_PARTIAL,
  TX_FIXED,
  TX_FLAGS,
  TX_PIECES,
  TX_SEGMENT,
  TxQueue,
} from '../../../stack/base/tx-queue';
import { put, putOffloaded, receiveOnce, send } from '../../unit/device/frames';
import {
  bytes4,
  CrudeTcp,
  firstFrame,
  interfaces,
  ip,
  isUdp4,
  sum16,
  tcp4,
  tcpOf,
  text,
  udp4,
  udp6,
  vethPair,
  word,
} from './shared';

/** A datagram from the kernel reaches the device, and one from the device a socket of the kernel. */
export async function tunBothWays(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: ['10.0.0.1/24', 'fd00::1/64'] });
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  const socket6 = createSocket('udp6').bind(700, 'fd00::1');
  await Promise.all([once(socket, 'listening'), once(socket6, 'listening')]);
  socket.send('to the stack', 9, '10.0.0.2');
  const out = await firstFrame(device, isUdp4);
  const arrived = once(socket, 'message');
  send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('to the kernel')));
  const [message, info] = await arrived;
  const mine6 = parseCidr('fd00::2').address;
  socket6.send('six', 9, 'fd00::2');
  const out6 = await firstFrame(device, (f) => f.bytes[0]! >>> 4 === 6 && f.bytes[6] === 17);
  const arrived6 = once(socket6, 'message');
  send(device, udp6(mine6, parseCidr('fd00::1').address, 9, 700, text('six back')));
  const [message6] = await arrived6;
  const { counters, linkType, mtu, mac, offloads } = device;
  const result = {
    toStack: Buffer.from(out.bytes.subarray(28)).toString(),
    toStackFlags: out.flags,
    toKernel: [String(message), info.address, info.port],
    toStack6: Buffer.from(out6.bytes.subarray(48)).toString(),
    toKernel6: String(message6),
    txFrames: counters.txFrames,
    txBytes: counters.txBytes,
    txErrors: counters.txErrors,
    rxAtLeastTwo: counters.rxFrames >= 2 && counters.rxBytes >= out.bytes.length + out6.bytes.length,
    device: { linkType, mtu, mac, offloads },
  };
  device.close();
  socket.close();
  socket6.close();
  return result;
}

export async function tapBothWays(): Promise<unknown> {
  const device = openTap({
    name: 'tap7',
    mac: '02:00:00:00:00:07',
    hostMac: '02:00:00:00:00:08',
    hostAddress: ['10.0.0.1/24', 'fd00::1/64'],
  });
  const tentative = ip('-6', 'address', 'show', 'dev', 'tap7', 'to', 'fd00::1').includes('tentative');
  const link = findLink('tap7')!;
  addNeighbor(link.index, parseCidr('10.0.0.2'), device.mac!);
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  socket.send('ethernet', 9, '10.0.0.2');
  const out = await firstFrame(device, (f) => f.bytes[12] === 8 && f.bytes[13] === 0 && f.bytes[23] === 17);
  const arrived = once(socket, 'message');
  const back = udp4('10.0.0.2', 9, '10.0.0.1', 700, text('back'));
  send(device, Uint8Array.from([...link.mac, ...device.mac!, 8, 0, ...back]));
  const [message] = await arrived;
  device.close();
  socket.close();
  return {
    to: Buffer.from(out.bytes.subarray(0, 6)).toString('hex'),
    from: Buffer.from(out.bytes.subarray(6, 12)).toString('hex'),
    ipAligned: (out.at + 14) % 4 === 0,
    payload: Buffer.from(out.bytes.subarray(42)).toString(),
    message: String(message),
    linkType: device.linkType,
    tentative,
    gone: findLink('tap7') === null,
  };
}

/** Large segments and partial checksums, both ways: a kernel's TCP connection against CrudeTcp. */
export async function tunOffload(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const client: Socket = netConnect({ host: '10.0.0.2', port: 80 });
  client.on('error', () => {});
  const syn = await firstFrame(device, (f) => tcpOf(f) !== null);
  const tcp = new CrudeTcp(device, tcpOf(syn)!.getUint16(0), 80, 1460);
  tcp.peerNext = tcpOf(syn)!.getUint32(4) + 1;
  tcp.send(0x12);
  await once(client, 'connect');
  const sent = Buffer.alloc(14_000, 'kernel ');
  client.write(sent);
  const large = await firstFrame(device, (f) => tcpOf(f) !== null && f.bytes.length > 1500);
  tcp.peerNext += sent.length;
  const back = Uint8Array.from({ length: 40_000 }, (_, i) => (i * 7) & 0xff);
  const got: Buffer[] = [];
  let bytes = 0;
  const whole = new Promise<void>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      got.push(chunk);
      bytes += chunk.length;
      if (bytes >= back.length) resolve();
    });
  });
  tcp.send(0x18, back);
  await Promise.race([whole, sleep(2000, undefined, { ref: false })]);
  const result = {
    synFlags: syn.flags,
    largeFlags: large.flags,
    largeBytes: large.bytes.length,
    largeIsWhatWasSent:
      Buffer.compare(Buffer.from(large.bytes.subarray(40)), sent.subarray(0, large.bytes.length - 40)) === 0,
    segmentBytes: large.segmentBytes,
    kernelGot: Buffer.compare(Buffer.concat(got), back),
    txErrors: device.counters.txErrors,
  };
  client.destroy();
  device.close();
  return result;
}

/** The same connection without offload: nothing above the MTU arrives, nothing is marked, checksums are complete. */
export async function tunNoOffload(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24', offload: false });
  const client = netConnect({ host: '10.0.0.2', port: 80 }).on('error', () => {});
  const syn = await firstFrame(device, (f) => tcpOf(f) !== null);
  const segment = syn.bytes.subarray(20);
  const pseudo = Uint8Array.from([...syn.bytes.subarray(12, 20), 0, 6, ...word(segment.length)]);
  const tcp = new CrudeTcp(device, tcpOf(syn)!.getUint16(0), 80, 1460);
  tcp.send(0x12);
  client.destroy();
  const result = {
    offloads: device.offloads,
    flags: syn.flags,
    checksum: sum16(segment, sum16(pseudo)),
    partialRefused: device.counters.txErrors,
    queueLength: findLink(device.name)!.queueLength,
  };
  device.close();
  return result;
}

export function addresses(): unknown {
  const device = openTun({
    name: 'lab%d',
    address: ['10.0.0.2/24', '192.0.2.9', '2001:db8::9'],
    hostAddress: ['10.0.0.1/24', '10.1.0.1/16', 'fd00::1/64'],
    routes: ['198.51.100.0/24'],
    mtu: 1400,
    queueLength: 321,
  });
  const link = findLink(device.name)!;
  const up = {
    name: device.name,
    mtu: [device.mtu, link.mtu],
    up: link.up,
    queueLength: link.queueLength,
    addresses: ip('-br', 'address', 'show', device.name)
      .trim()
      .split(/\s+/)
      .filter((word) => !word.startsWith('fe80')),
    routes: ip('route', 'show', 'dev', device.name)
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    routes6: ip('-6', 'route', 'show', 'dev', device.name)
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
  };
  device.close();
  device.close();
  return { up, after: [interfaces(), ip('route').trim()] };
}

/** No IPv6 was asked for, so the kernel says nothing by itself when the interface comes up. */
export async function quiet(): Promise<unknown> {
  const device = openTap({ hostAddress: '10.0.0.1/24' });
  let frames = 0;
  device.onReadable(() => {
    frames += receiveOnce(device).length;
  });
  await sleep(300);
  device.close();
  return frames;
}

/** A persistent interface stays and may be opened again; what was set on it is taken back. */
export function persistent(): unknown {
  const first = openTun({ name: 'keep0', persist: true });
  const before = ip('-br', 'address', 'show', 'dev', 'keep0').trim().split(/\s+/).length;
  first.close();
  const stays = findLink('keep0') !== null;
  const second = openTun({ name: 'keep0', hostAddress: '10.0.0.1/24', routes: ['10.9.0.0/16'] });
  const during = [listAddresses(findLink('keep0')!.index).length, ip('route').trim().split('\n').length];
  second.close();
  const after = [listAddresses(findLink('keep0')!.index).length, ip('route').trim()];
  const third = openTun({ name: 'keep0', persist: false });
  third.close();
  return { before, stays, during, after, gone: findLink('keep0') === null };
}

/** Two queues of one interface; the kernel sends each flow to one of them. */
export async function multiQueue(): Promise<unknown> {
  const first = openTun({ name: 'multi0', multiQueue: true, address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const second = openTun({ name: 'multi0', multiQueue: true });
  const counts = [0, 0];
  for (const [i, device] of [first, second].entries()) {
    device.onReadable(() => {
      counts[i]! += receiveOnce(device).filter(isUdp4).length;
    });
  }
  const sockets = Array.from({ length: 64 }, () => createSocket('udp4'));
  for (const socket of sockets) socket.send('x', 9, '10.0.0.2');
  await sleep(100);
  first.close();
  const staysWithOne = findLink('multi0') !== null;
  second.close();
  for (const socket of sockets) socket.close();
  return {
    total: counts[0]! + counts[1]!,
    both: counts.every((n) => n > 0),
    staysWithOne,
    gone: findLink('multi0') === null,
  };
}

/** Frames that point outside of their arenas, or that the device cannot carry, are refused and counted. */
export function badFrames(): unknown {
  const device = openTun({ hostAddress: '10.0.0.1/24' });
  const results: number[][] = [];
  const attempt = (spoil: (queue: TxQueue) => void): void => {
    const queue = new TxQueue(new Arenas(heapRegions));
    put(queue, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('payload')), 28);
    spoil(queue);
    const before = device.counters.txErrors;
    results.push([device.transmit(queue, 0, 1), device.counters.txErrors - before]);
  };
  attempt(() => {});
  attempt((queue) => (queue.records[TX_FIXED] = 99));
  attempt((queue) => (queue.records[TX_FIXED + 1] = -1));
  attempt((queue) => (queue.records[TX_FIXED + 2] = 0x7fffffff));
  attempt((queue) => (queue.records[TX_FIXED + PIECE_FIELDS + 2] += 100));
  attempt((queue) => (queue.records[TX_PIECES] = 0));
  attempt((queue) => (queue.records[TX_PIECES] = 41));
  const asking = (flags: number, segmentBytes: number, start: number, field: number) => (queue: TxQueue) =>
    queue.records.set([flags, segmentBytes, start, field], TX_FLAGS);
  attempt(asking(TX_SEGMENT, 3, 20, 16));
  attempt(asking(TX_SEGMENT | TX_CHECKSUM_PARTIAL, 3, 20, 6));
  attempt(asking(TX_CHECKSUM_PARTIAL, 0, 60_000, 16));
  attempt((queue) => queue.header.fill(0xff, 0, 1));
  device.close();
  return results;
}

/**
 * A frame of 10,000 bytes of text, forwarded by the kernel to a link that cannot cut: what comes out are the segments that
 * the frame stood for. Neither end of it is a TCP; only the cutting is looked at.
 */
export async function tunSegments(): Promise<unknown> {
  vethPair();
  execFileSync('ethtool', ['-K', 'left0', 'tso', 'off', 'gso', 'off', 'tx', 'off'], { stdio: 'ignore' });
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  addAddress(findLink('left0')!.index, parseCidr('10.3.0.1/24'));
  addNeighbor(findLink('left0')!.index, parseCidr('10.3.0.2'), parseMac('02:00:00:00:09:09'));
  const wire = openPacket({ interface: 'right0', mac: '02:00:00:00:09:09', offload: false });
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const payload = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 11) & 0xff);
  const PSH_ACK_CWR = 0x98;
  const frame = tcp4('10.0.0.2', '10.3.0.2', [1, 2], [7000, 1], PSH_ACK_CWR, payload);
  const ends = [...bytes4('10.0.0.2'), ...bytes4('10.3.0.2'), 0, 6, ...word(20 + payload.length)];
  frame.set(word(sum16(Uint8Array.from(ends))), 36);
  const queue = new TxQueue(new Arenas(heapRegions));
  putOffloaded(queue, frame, 40, 20, 16, 1400);
  device.transmit(queue, 0, 1);
  const segments: Uint8Array[] = [];
  for (let i = 0; i < 50 && segments.length < 8; i++) {
    await sleep(10);
    segments.push(
      ...receiveOnce(wire)
        .filter((f) => f.bytes[23] === 6)
        .map((f) => f.bytes.subarray(14)),
    );
  }
  const texts = segments.map((bytes) => bytes.subarray(40, (bytes[2]! << 8) | bytes[3]!));
  const result = {
    lengths: texts.map((bytes) => bytes.length),
    numbers: segments.map((bytes) => Buffer.from(bytes).readUInt32BE(24)),
    flags: segments.map((bytes) => bytes[33]),
    checksums: segments.map((bytes, i) => {
      const tcp = bytes.subarray(20, 40 + texts[i]!.length);
      return sum16(tcp, sum16(Uint8Array.from([...bytes.subarray(12, 20), 0, 6, ...word(tcp.length)])));
    }),
    whole: Buffer.compare(Buffer.concat(texts), payload),
    errors: device.counters.txErrors,
  };
  device.close();
  wire.close();
  return result;
}
