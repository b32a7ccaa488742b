import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cidrText } from '../../../device/cidr';
import { memoryPair } from '../../../device/memory';
import type { NativeDevice } from '../../../device/native-device';
import { findLink, listAddresses } from '../../../device/netlink';
import { openPacket } from '../../../device/packet';
import { tunSupport } from '../../../device/support';
import { openTun } from '../../../device/tun';
import { receiveOnce, send } from '../../unit/device/frames';
import { firstFrame, isUdp4, text, udp4 } from './shared';

/** The parent opened the device; this child got its descriptor and no privileges. */
export async function inheritor(): Promise<unknown> {
  const device = openTun({ fd: 3 });
  process.stderr.write('ready\n');
  const frame = await firstFrame(device, isUdp4);
  send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('from the child')));
  device.close();
  return {
    uid: process.getuid!(),
    name: device.name,
    offloads: device.offloads,
    payload: Buffer.from(frame.bytes.subarray(28)).toString(),
  };
}

/** Runs another scenario as user nobody, its standard output collected. */
function asNobody(
  name: string,
  stdio: (number | 'pipe')[],
): { child: ReturnType<typeof spawn>; said: Promise<string> } {
  const child = spawn(process.execPath, [require.resolve('./child.cjs'), name], {
    uid: 65_534,
    gid: 65_534,
    stdio,
  });
  let out = '';
  child.stdout!.on('data', (chunk) => {
    out += chunk;
  });
  return { child, said: once(child, 'close').then(() => out) };
}

export async function inherited(): Promise<unknown> {
  const device = openTun({ address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' });
  const { child, said } = asNobody('inheritor', [0, 'pipe', 'pipe', device.fd]);
  const errors: string[] = [];
  child.stderr!.on('data', (chunk) => errors.push(String(chunk)));
  await once(child.stderr!, 'data');
  const socket = createSocket('udp4').bind(700, '10.0.0.1');
  await once(socket, 'listening');
  const answer = once(socket, 'message');
  socket.send('to the child', 9, '10.0.0.2');
  const out = await said;
  if (out === '') throw new Error(errors.join(''));
  const [message] = await answer;
  const stays = findLink(device.name) !== null;
  device.close();
  socket.close();
  return { child: JSON.parse(out), message: String(message), stays, gone: findLink(device.name) === null };
}

export function ownerOpens(): unknown {
  const attempts: Record<string, string> = {};
  const attempt = (what: string, open: () => NativeDevice): void => {
    try {
      const device = open();
      attempts[what] =
        `${device.name} ${send(device, udp4('10.0.0.2', 9, '10.0.0.1', 700, text('x')))} ${device.counters.txErrors}`;
      device.close();
    } catch (error) {
      attempts[what] = (error as Error).message;
    }
  };
  attempt('own', () => openTun({ name: 'own0' }));
  attempt('own, as it is', () => openTun({ name: 'own0', address: '10.0.0.2/24', hostAddress: '10.0.0.1/24' }));
  attempt('own, other address', () => openTun({ name: 'own0', hostAddress: '10.9.9.1/24' }));
  attempt('own, other mtu', () => openTun({ name: 'own0', mtu: 1400 }));
  attempt('new', () => openTun({ name: 'new0' }));
  attempt('packet', () => openPacket({ interface: 'lo' }));
  return { uid: process.getuid!(), attempts, support: tunSupport() };
}

/** A persistent device of user nobody's, opened by nobody (with a device node that all may open). */
export async function owner(): Promise<unknown> {
  openTun({ name: 'own0', persist: { uid: 65_534 }, hostAddress: '10.0.0.1/24' }).close();
  const link = findLink('own0')!;
  const stays = [link.up, ...listAddresses(link.index).map(cidrText)];
  const { said } = asNobody('ownerOpens', [0, 'pipe', 2]);
  return { stays, ...JSON.parse(await said) };
}

export async function unprivilegedNamespace(): Promise<unknown> {
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['-Urn', '--', process.execPath, require.resolve('./child.cjs'), 'tunBothWays'],
    { uid: 65_534, gid: 65_534, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Without the addon: everything in memory works, the rest says what is missing. */
export function withoutAddon(): unknown {
  const [a, b] = memoryPair();
  send(a, new Uint8Array(20).fill(0x45));
  const frames = receiveOnce(b).length;
  let error = new Error('no error') as Error & { code?: string };
  try {
    openTun();
  } catch (caught) {
    error = caught as Error;
  }
  return { frames, name: error.name, code: error.code, message: error.message, support: tunSupport() };
}
