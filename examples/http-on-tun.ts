import { execFile } from 'node:child_process';
import { createHost, openTun, tunSupport } from 'tapwire';

// The same server, reached by the kernel's programs: packets go through a TUN device. Needs root, or `unshare -Urn`.
// npm run example http-on-tun

const support = tunSupport();
if (support.ok) main();
else console.log(`no TUN here: ${support.reason} ${support.cure}`);

function main(): void {
  const device = openTun({ address: '10.91.0.2/24', hostAddress: '10.91.0.1/24' });
  const host = createHost({ device, addresses: '10.91.0.2/24' });
  const server = host.http.createServer((_req, res) => res.end('hello from userspace\n'));
  server.listen(80, () => {
    console.log(`listening behind ${device.name}`);
    execFile('curl', ['-sS', '--max-time', '5', 'http://10.91.0.2/'], (error, stdout) => {
      process.stdout.write(error === null ? stdout : `${error.message}\n`);
      if (error !== null) process.exitCode = 1;
      server.close();
      host.close();
    });
  });
}
