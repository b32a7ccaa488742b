import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { digest, farNetwork, ip, Lab, pattern, settled, sysctl, until, type Wire } from './lab';

const FAR_SERVER = `
  const net = require('node:net'), { createHash } = require('node:crypto');
  net.createServer({ allowHalfOpen: true }, (s) => {
    const hash = createHash('sha1'); let bytes = 0;
    s.on('data', (c) => { hash.update(c); bytes += c.length; });
    s.on('end', () => s.end(bytes + ' ' + hash.digest('hex')));
  }).listen(7, process.argv[1], () => console.log('ready'));`;

/**
 * The kernel routes between the stack and a server in another network; in the middle of a transfer its route to there
 * takes smaller packets. The router says so by ICMP, and the stack must send smaller segments and lose nothing.
 */
export async function routerMtu(wire: Wire): Promise<{ mtus: number[]; bytes: number; intact: boolean; left: object }> {
  return behindRouter(wire, (lab, v6, there) => shrink(lab, v6, there));
}

/**
 * The way to the server swallows packets of more than 1300 bytes without a word (a veth whose other end has that MTU): no
 * ICMP ever comes, and RFC 4821 has to find it out.
 */
export async function blackHole(wire: Wire): Promise<{ bytes: number; intact: boolean; mss: number; left: object }> {
  return behindRouter(wire, async (lab, v6, there, far) => {
    far.run('ip', 'link', 'set', 'far0', 'mtu', '1300');
    const route = ['route', 'replace', 'default', 'via', v6 ? 'fd01::1' : '10.1.0.1', 'advmss', v6 ? '1440' : '1460'];
    far.run('ip', ...(v6 ? ['-6'] : []), ...route);
    const socket = lab.net.connect({ port: 7, host: there });
    await once(socket, 'connect');
    const [c] = [...lab.host.stack.tcp.connections];
    const answer = readAnswer(socket as never);
    const whole = pattern(1_000_000);
    await new Promise((resolve) => socket.write(whole, resolve));
    const { mss } = c!;
    socket.end();
    const [bytes, sha1] = (await answer).split(' ');
    return { bytes: Number(bytes), intact: sha1 === digest(whole), mss, left: await settled(lab) };
  });
}

type Far = Awaited<ReturnType<typeof farNetwork>>;

/** Lays a server in another network, behind the kernel as a router, and runs `work`. */
async function behindRouter<T>(
  wire: Wire,
  work: (lab: Lab, v6: boolean, there: string, far: Far) => Promise<T>,
): Promise<T> {
  const lab = new Lab(wire);
  const far = await farNetwork();
  const v6 = wire.v6 === true;
  const [near, there] = v6 ? ['fd01::1', 'fd01::2'] : ['10.1.0.1', '10.1.0.2'];
  const length = v6 ? '64' : '24';
  sysctl(v6 ? 'ipv6/conf/all/forwarding' : 'ipv4/ip_forward', 1);
  ip('addr', 'add', `${near}/${length}`, 'dev', 'near0');
  ip('link', 'set', 'near0', 'up');
  if (v6) far.run('sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.far0.accept_dad=0');
  far.run('ip', 'addr', 'add', `${there}/${length}`, 'dev', 'far0');
  far.run('ip', 'link', 'set', 'far0', 'up');
  far.run('ip', ...(v6 ? ['-6'] : []), 'route', 'add', 'default', 'via', near);
  const server = spawn('nsenter', ['-t', String(far.pid), '-n', process.execPath, '-e', FAR_SERVER, there], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(server.stdout, 'data');
    return await work(lab, v6, there, far);
  } finally {
    server.kill('SIGKILL');
    far.close();
    lab.close();
  }
}

async function shrink(lab: Lab, v6: boolean, there: string) {
  const socket = lab.net.connect({ port: 7, host: there });
  await once(socket, 'connect');
  const path = lab.host.stack.paths.knownTo([...lab.host.stack.tcp.connections][0]!.remote)[0]!;
  const mtus = [path.mtu];
  const answer = readAnswer(socket as never);
  const piece = pattern(400_000);
  for (const mtu of [1500, 1400, 1300]) {
    const route = v6 ? ['fd01::/64', 'metric', '256'] : ['10.1.0.0/24'];
    ip(...(v6 ? ['-6'] : []), 'route', 'replace', ...route, 'dev', 'near0', 'mtu', String(mtu));
    await new Promise((resolve) => socket.write(piece, resolve));
    await until('the path is known', () => path.mtu === mtu, 10_000).catch(() => {});
    mtus.push(path.mtu);
  }
  socket.end();
  const [bytes, sha1] = (await answer).split(' ');
  const whole = Buffer.concat([piece, piece, piece]);
  const left = await settled(lab);
  return { mtus, bytes: Number(bytes), intact: sha1 === digest(whole), left };
}

async function readAnswer(socket: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

/** On Ethernet both find each other's link address, the kernel may forget the stack's, and text goes on. */
export async function neighbors(wire: Wire): Promise<{ known: string; state: string; flushed: boolean; left: object }> {
  const lab = new Lab({ ...wire, link: 'tap' });
  const family = wire.v6 === true ? '-6' : '-4';
  const socket = lab.net.connect({ port: 7, host: lab.kernel }).on('error', () => {});
  await new Promise((resolve) => socket.on('close', resolve));
  const show = (): string => ip(family, 'neigh', 'show', lab.stack, 'dev', 'lab0').trim();
  const known = /lladdr (\S+)/.exec(show())?.[1] ?? '';
  const mac = [...lab.device.mac!].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
  const state = show().split(' ').pop()!;
  ip(family, 'neigh', 'flush', 'dev', 'lab0');
  const flushed = !show().includes('lladdr');
  await promisify(execFile)('ping', ['-c', '2', '-i', '0.05', '-W', '1', lab.stack]);
  const left = await settled(lab);
  lab.close();
  return { known: known === mac ? 'the stack' : known, state, flushed, left };
}
