import { type ChildProcess, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Namespace, Serve, where, withTools } from './serve/lab';

// What `tapwire serve` makes of the wire that it is given, each in a namespace of its own.

const COMMAND = join(resolve(__dirname, '../..'), 'dist', 'tools', 'tapwire.js');

const open: { close(): void }[] = [];
afterEach(() => {
  for (const it of open.splice(0).reverse()) it.close();
});

function namespace(): Namespace {
  const made = new Namespace();
  open.push(made);
  return made;
}

async function serve(inside: Namespace, ...args: string[]): Promise<Serve> {
  const made = await Serve.start(inside, args);
  open.push({ close: () => made.kill() });
  return made;
}

/** Runs it to its end; for what fails at once. */
async function fails(
  inside: Namespace,
  prefix: readonly string[],
  ...args: string[]
): Promise<[number | null, string]> {
  const { code, stderr } = await inside.run([...prefix, process.execPath, COMMAND, 'serve', ...args], 20);
  return [code, stderr];
}

const curl = (inside: Namespace, url: string): string => inside.sh(`curl -sS --max-time 5 ${url}`);
const NO_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];

/** What a child says first; fails with its complaint when it ends before that. */
function firstLine(child: ChildProcess): Promise<string> {
  let complaint = '';
  child.stderr!.on('data', (data: Buffer) => {
    complaint += data.toString();
  });
  return new Promise((found, fail) => {
    child.stdout!.once('data', (data: Buffer) => found(data.toString()));
    child.once('close', (code) => fail(new Error(`exit ${code}: ${complaint}`)));
  });
}

describe('without a wish', () => {
  test('it takes TUN, and a second one the next subnet', async () => {
    const inside = namespace();
    const first = await serve(inside);
    const second = await serve(inside);
    const told = [first, second].map(({ events }) => [events[0]!['wire'], events[0]!['url'], events[0]!['device']]);
    expect(told).toEqual([
      ['tun', 'http://10.77.0.2/', 'tapwire0'],
      ['tun', 'http://10.77.1.2/', 'tapwire1'],
    ]);
    for (const url of ['http://10.77.0.2/status/200', 'http://10.77.1.2/status/200']) {
      expect(curl(inside, url)).toBe('200\n');
    }
    expect(await first.stop()).toBe(0);
    expect(curl(inside, 'http://10.77.1.2/status/200')).toBe('200\n');
    expect(await second.stop()).toBe(0);
    expect(inside.sh('ip -o link')).not.toContain('tapwire');
  }, 30_000);

  withTools('setpriv')(
    'without privileges it runs in memory, and says why',
    async () => {
      const inside = namespace();
      inside.sh('ip link set lo up');
      const child = inside.spawn([...NO_CAPABILITIES, process.execPath, COMMAND, 'serve', '--json']);
      open.push({ close: () => child.kill('SIGKILL') });
      const line = await new Promise<string>((found) =>
        child.stdout!.once('data', (data: Buffer) => found(String(data))),
      );
      const event = JSON.parse(line) as Record<string, string>;
      expect(event).toMatchObject({ wire: 'memory', url: 'http://127.0.0.1:8077/' });
      expect(event['why']).toMatch(/^TUN is not available: .*\(EPERM\).*sudo/);
      expect(curl(inside, event['url']!)).toContain('wants a connection');
    },
    30_000,
  );
});

describe('one line and exit 2', () => {
  withTools('setpriv')(
    'no permission',
    async () => {
      const [code, said] = await fails(namespace(), NO_CAPABILITIES, '--tun', 'lab0');
      expect(code).toBe(2);
      expect(said).toMatch(/^tapwire serve: Cannot open TUN device lab0: .*\(EPERM\)\. Run it with sudo[^\n]*\n$/);
    },
    30_000,
  );

  test('a name that another kind of interface has', async () => {
    const inside = namespace();
    inside.sh('ip link add lab0 type veth peer name lab1');
    const [code, said] = await fails(inside, [], '--tun', 'lab0');
    expect([code, said]).toEqual([
      2,
      expect.stringMatching(/^tapwire serve: Cannot open TUN device lab0: [^\n]*Choose another name[^\n]*\n$/),
    ]);
  }, 30_000);

  test('a device that another program has open', async () => {
    const inside = namespace();
    await serve(inside, '--tun', 'lab0');
    const [code, said] = await fails(inside, [], '--tun', 'lab0', '--address', '10.78.0.2/24');
    expect([code, said]).toEqual([2, expect.stringMatching(/another program has the interface open \(EBUSY\)/)]);
  }, 30_000);

  test('a subnet that is in use', async () => {
    const inside = namespace();
    await serve(inside, '--tun', 'lab0');
    const [code, said] = await fails(inside, [], '--tun', 'lab1');
    expect(code).toBe(2);
    expect(said).toMatch(
      /^tapwire serve: 10\.77\.0\.2\/24 is in use: lab0 has the address 10\.77\.0\.1 .*--address 10\.78\.0\.2\/24[^\n]*\n$/,
    );
  }, 30_000);

  test('an interface that is not there, or has our address', async () => {
    const inside = namespace();
    const [code, said] = await fails(inside, [], '--packet', 'nosuch0', '--address', '10.0.0.2/24');
    expect([code, said]).toEqual([2, expect.stringMatching(/no such interface .*`ip link`/)]);
    inside.sh(
      'ip link add left0 type veth peer name right0; ip addr add 10.0.0.2/24 dev left0; ip link set left0 up; ip link set right0 up',
    );
    const [again, words] = await fails(inside, [], '--packet', 'left0', '--address', '10.0.0.2/24');
    expect([again, words]).toEqual([2, expect.stringMatching(/10\.0\.0\.2 is the kernel's own address on left0/)]);
  }, 30_000);

  test('a descriptor that is no device', async () => {
    const [code, said] = await fails(namespace(), [], '--tun-fd', '0');
    expect([code, said]).toEqual([2, expect.stringMatching(/^tapwire serve: Cannot use descriptor 0: [^\n]*\n$/)]);
  }, 30_000);
});

test('IPv6, another port, another MTU', async () => {
  const inside = namespace();
  const made = await serve(inside, '--tun', 'lab0', '--address', 'fd77::2/64', '--port', '8080', '--mtu', '1400');
  expect(made.events[0]!['url']).toBe('http://[fd77::2]:8080/');
  expect(inside.sh('ip -o link show lab0')).toContain(' mtu 1400 ');
  const page = curl(inside, "'http://[fd77::2]:8080/'");
  expect(page).toContain('fd77::1:');
  // 20 bytes for TCP, 40 for IPv6, 12 for timestamps.
  expect(page).toContain('segments of 1328 bytes');
}, 30_000);

where('unshare -n sh -c "echo 1 > /proc/sys/net/ipv4/ip_forward"')(
  'what lies beyond the kernel is reached through it',
  async () => {
    const [inside, beyond] = [namespace(), namespace()];
    inside.sh(`
    ip link add left0 type veth peer name right0
    ip link set right0 netns ${beyond.pid}
    ip addr add 192.168.9.1/24 dev left0
    ip link set left0 up
    echo 1 > /proc/sys/net/ipv4/ip_forward`);
    beyond.sh('ip addr add 192.168.9.2/24 dev right0; ip link set right0 up; ip route add default via 192.168.9.1');
    await serve(inside, '--tun', 'lab0');
    expect(curl(beyond, 'http://10.77.0.2/')).toContain('192.168.9.2:');
  },
  30_000,
);

withTools('setpriv')(
  'a descriptor that a privileged parent opened, used without privileges',
  async () => {
    const inside = namespace();
    // The parent opens and sets up the device, and then gives all privileges away.
    const parent = `
    const { openTun } = require(${JSON.stringify(join(COMMAND, '../../index.js'))});
    const device = openTun({ name: 'lab0', address: '10.77.0.2/24', hostAddress: '10.77.0.1/24' });
    const args = [...${JSON.stringify(NO_CAPABILITIES.slice(1))}, process.execPath, ${JSON.stringify(COMMAND)}, 'serve', '--tun-fd', '3', '--json'];
    const child = require('child_process').spawn('setpriv', args, { stdio: ['ignore', 'inherit', 'inherit', device.fd] });
    child.on('exit', (code) => process.exit(code));
    process.on('SIGTERM', () => child.kill('SIGINT'));`;
    const child = inside.spawn([process.execPath, '-e', parent]);
    open.push({ close: () => child.kill('SIGKILL') });
    const line = await firstLine(child);
    expect(JSON.parse(line)).toMatchObject({ wire: 'tun', device: 'lab0', url: 'http://10.77.0.2/' });
    expect(curl(inside, 'http://10.77.0.2/status/200')).toBe('200\n');
    const ended = new Promise((found) => child.on('close', found));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  },
  30_000,
);

test('an interface that is removed ends it: one line, exit 1', async () => {
  const inside = namespace();
  const made = await serve(inside, '--tun', 'lab0');
  inside.sh('ip link del lab0');
  expect(await made.ended).toBe(1);
  expect(made.stderr).toMatch(/^tapwire serve: .*lab0.*\n$/);
}, 30_000);

where('unshare -Urn true')(
  'in a network of its own, without root',
  () => {
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      [
        '-Urn',
        'sh',
        '-c',
        `${process.execPath} ${COMMAND} serve --tun lab0 & sleep 1.5; curl -sS --max-time 5 http://10.77.0.2/status/200; kill -INT $!; wait $!`,
      ],
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('\n200\n');
  },
  30_000,
);

test('killed, it leaves no interface behind', async () => {
  const inside = namespace();
  const made = await serve(inside, '--tap', 'lab0');
  made.kill();
  await made.ended;
  expect(inside.sh('ip -o link')).not.toContain('lab0');
}, 30_000);

test('get through a TUN device', async () => {
  const [inside] = [namespace()];
  const origin = inside.spawn([
    process.execPath,
    '-e',
    "require('http').createServer((q, s) => s.end('from the kernel')).listen(80, () => console.log('up'))",
  ]);
  open.push({ close: () => origin.kill('SIGKILL') });
  await new Promise((up) => origin.stdout!.once('data', up));
  const { code, stdout, stderr } = await inside.run(
    [process.execPath, COMMAND, 'get', '--tun', 'lab0', 'http://10.77.0.1/'],
    20,
  );
  expect([code, stdout.toString(), stderr]).toEqual([0, 'from the kernel', '']);
}, 30_000);
