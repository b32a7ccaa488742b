/** Runs in a network namespace of its own: the kernel's programs, a TUN device with rules on it, and our server. */
import { execFile } from 'node:child_process';
import http from 'node:http';
import { openTun } from '../../../device/tun';
import { type Action, coalesce, drop, faultDevice, fin, icmp, type Match, req, res, rst, syn } from '../../../fault';
import { createHttp, type NetModule } from '../../../http';
import { createNet } from '../../../net';
import { createHost } from '../../../net/host';

const ADDRESS = '10.99.0.2';

function get(path: string): Promise<string> {
  return new Promise((resolve) => {
    let bytes = 0;
    const events: string[] = [];
    const request = http.get({ host: ADDRESS, path, agent: false, timeout: 5000 }, (response) => {
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('error', (error) => events.push(`res ${error.message}`));
      response.on('end', () => events.push('res end'));
      response.on('close', () => resolve(`${response.statusCode} ${bytes} ${events.join(', ')}`));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error) => {
      events.push(`req ${error.message}`);
      setTimeout(() => resolve(events.join(', ')), 50);
    });
  });
}

async function main(): Promise<void> {
  const tun = openTun({ name: 'twf0', address: `${ADDRESS}/24`, hostAddress: '10.99.0.1/24', offload: false });
  const fault = faultDevice(tun, { seed: 1 });
  const host = createHost({ devices: [{ device: fault.device, addresses: [`${ADDRESS}/24`] }], seed: 1 });
  const net = createNet(host);
  const server = createHttp(net as unknown as NetModule).createServer((_, response) => void response.end('0123456789'));
  await new Promise<void>((resolve) => server.listen(80, ADDRESS, () => resolve()));
  const said: string[] = [];
  const under = async (name: string, match: Match, ...actions: Action[]): Promise<void> => {
    const rule = fault.engine
      .on(match)
      .label(name)
      .do(...actions);
    said.push(`${name}: ${await get(`/${name}`)}`);
    rule.off();
  };
  said.push(`clean: ${await get('/')}`);
  await under('rst', res().bodyByte(4), rst({ to: 'c' }));
  await under('together', res().bodyByte(4), coalesce(), rst({ to: 'c' }));
  await under('fin', res().bodyByte(4), fin({ to: 'c' }));
  await under('nothing', req().end(), rst({ to: 'c' }));
  await under('refused', syn(), drop(), rst({ to: 'c' }));
  await under('unreachable', syn(), drop(), icmp(3, 1, { to: 'c' }));
  const curl = await new Promise<string>((resolve) => {
    fault.engine.on(res().bodyByte(4)).do(rst({ to: 'c' }));
    execFile('curl', ['-sS', '--max-time', '5', `http://${ADDRESS}/`], (error, stdout) =>
      resolve(`${(error as { code?: number } | null)?.code ?? 0} ${stdout}`),
    );
  });
  said.push(`curl: ${curl}`);
  process.stdout.write(`${JSON.stringify(said)}\n`);
  host.close();
  fault.close();
  process.exit(0);
}

void main();
