import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLink } from '../../../device/netlink';
import { Tap, Tun, tuntap } from '../../../device/tuntap2';
import { interfaces, ip, text, udp4 } from './shared';

/** Every property, as `ip` sees it. */
export function tuntap2Properties(): unknown {
  const tun = new Tun();
  const before = [tun.name, tun.isTun, tun.isTap, tun.isUp, tun.ipv4, tun.ipv6, tun.mtu, tun.mac];
  tun.mtu = 1400;
  tun.ipv4 = '10.0.0.100/24';
  tun.ipv4 = '10.0.1.100/16';
  tun.ipv6 = 'abcd:1:2:3::/64';
  tun.isUp = true;
  const shown = ip('-br', 'address', 'show', 'tun0')
    .trim()
    .split(/\s+/)
    .filter((word) => !word.startsWith('fe80'));
  const after = [tun.isUp, tun.ipv4, tun.ipv6, tun.mtu, findLink('tun0')!.mtu];
  tun.isUp = false;
  const down = tun.isUp;
  const errors = [
    () => {
      tun.mac = '02:00:00:00:00:01';
    },
    () => {
      tun.ipv4 = 'fd00::1/64';
    },
    () => {
      tun.mtu = 1;
    },
  ].map((attempt) => {
    try {
      attempt();
      return 'no error';
    } catch (error) {
      return (error as Error).message.split('. ')[0];
    }
  });
  const tap = new Tap();
  tap.mac = '00:11:22:33:44:55';
  const { mac, name, isTap } = tap;
  tap.release();
  tun.release();
  let gone = '';
  try {
    gone = String(tun.mtu);
  } catch (error) {
    gone = (error as { code: string }).code;
  }
  return { before, shown, after, down, errors, tap: [name, isTap, mac], gone, interfaces: interfaces() };
}

/** Each chunk is one frame, both ways, also when nobody reads for a while. */
export async function tuntap2Frames(): Promise<unknown> {
  const tun = tuntap({ type: 'tun', addr: '10.0.0.1', mask: '255.255.255.0', mtu: 1300, up: true });
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  for (let i = 0; i < 5; i++) socket.send(`frame ${i}`, 9, '10.0.0.2');
  await sleep(50);
  const payloads: string[] = [];
  tun.on('data', (frame: Buffer) => {
    if (frame[0]! >>> 4 === 4 && frame[9] === 17) payloads.push(frame.subarray(28).toString());
  });
  const answer = once(socket, 'message');
  await new Promise((resolve) =>
    tun.write(Buffer.from(udp4('10.0.0.2', 9, '10.0.0.1', 700, text('written'))), resolve),
  );
  const [message] = await answer;
  for (let i = 5; payloads.length < 5 && i < 25; i++) await sleep(10);
  tun.pause();
  socket.send('while paused', 9, '10.0.0.2');
  await sleep(30);
  const paused = payloads.length;
  tun.resume();
  await sleep(50);
  socket.close();
  const closed = once(tun, 'close');
  await new Promise((resolve) => tun.release(resolve));
  await closed;
  await new Promise((resolve) => tun.close(resolve));
  return { payloads, paused, message: String(message), gone: findLink('tun0') === null };
}

/** A bad frame is an error of that write, and so is any while the interface is down; a removed interface one of the stream. */
export async function tuntap2Errors(): Promise<unknown> {
  const outcomes: string[] = [];
  for (const spoil of ['down', 'rubbish', 'long', 'removed'] as const) {
    const tun = new Tun();
    if (spoil !== 'down') tun.isUp = true;
    const failed = once(tun, 'error');
    tun.resume();
    if (spoil === 'removed') execFileSync('ip', ['link', 'delete', tun.name]);
    else tun.write(Buffer.alloc(spoil === 'long' ? 200_000 : 20, spoil === 'down' ? 0x45 : 0xff));
    const [error] = (await Promise.race([failed, sleep(1000, [new Error('no error')])])) as [Error];
    outcomes.push(error.message.replace(/tun\d/, 'TUN').split('. ')[0]!);
    tun.release();
  }
  return { outcomes, interfaces: interfaces() };
}
