import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Namespace } from './serve/lab';

// Unmodified programs under the drop-in that share one network of TUN devices: with each other and with the kernel.

const DIST = join(resolve(__dirname, '../..'), 'dist', 'register');
const REGISTER = join(DIST, 'index.js');
/** The transport alone, under Node's own HTTP. */
const TRANSPORT = join(DIST, 'transport.js');
const SERVER = `
  const http = require('node:http');
  http.createServer((req, res) => res.end(req.socket.remoteAddress + ' asks ' + process.env.NAME + ' for ' + req.url))
    .listen(80, () => console.log('listens'));`;
const CLIENT = `
  const [url, times] = process.argv.slice(1);
  (async () => {
    const texts = await Promise.all(Array.from({ length: Number(times) }, async (_, i) => (await fetch(url + i)).text()));
    console.log(JSON.stringify(texts));
  })();`;

const open: { close(): void }[] = [];
afterEach(() => {
  register = REGISTER;
  for (const it of open.splice(0).reverse()) it.close();
});

function namespace(): Namespace {
  const made = new Namespace();
  open.push(made);
  return made;
}

let register = REGISTER;

const command = (wire: string, name: string, source: string, ...args: string[]): string[] => [
  'env',
  `TAPWIRE=${wire}`,
  `NAME=${name}`,
  process.execPath,
  '--require',
  register,
  '-e',
  source,
  ...args,
];

/** A server, once it listens. */
async function serve(inside: Namespace, wire: string, name: string): Promise<ChildProcess> {
  const child = inside.spawn(command(wire, name, SERVER));
  open.push({ close: () => child.kill('SIGKILL') });
  let complaint = '';
  child.stderr!.on('data', (data) => (complaint += data));
  await new Promise<void>((found, fail) => {
    child.stdout!.once('data', () => found());
    child.once('close', (code) => fail(new Error(`exit ${code}: ${complaint}`)));
  });
  return child;
}

const ended = (child: ChildProcess): Promise<unknown> => new Promise((done) => child.once('close', done));

async function ask(inside: Namespace, wire: string, url: string, times = 1): Promise<string[]> {
  const { code, stdout, stderr } = await inside.run(command(wire, 'client', CLIENT, url, String(times)));
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout.toString()) as string[];
}

test('processes share a network, each with an address of its own', async () => {
  const inside = namespace();
  const wire = 'network:10.77.0.0/24';
  const [one, two] = await Promise.all([serve(inside, wire, 'one'), serve(inside, wire, 'two')]);
  const third = await serve(inside, `${wire} --address 10.77.0.9/24`, 'three');

  // From the kernel, and from one process to the others; two that start at once take one address each.
  const curl = (address: string): string => inside.sh(`curl -sS --max-time 10 http://${address}/x`);
  const told = ['10.77.0.2', '10.77.0.3'].map(curl).sort();
  expect(told).toEqual(['::ffff:10.77.0.1 asks one for /x', '::ffff:10.77.0.1 asks two for /x']);
  expect(curl('10.77.0.9')).toBe('::ffff:10.77.0.1 asks three for /x');
  const answers = await ask(inside, wire, 'http://10.77.0.9/', 50);
  expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => `::ffff:10.77.0.4 asks three for /${i}`));

  // An address is free again when its process has ended, and the others live on.
  const gone = [ended(one), ended(two)];
  one.kill('SIGTERM');
  two.kill('SIGKILL');
  await Promise.all(gone);
  expect(await ask(inside, wire, 'http://10.77.0.9/')).toEqual(['::ffff:10.77.0.2 asks three for /0']);
  const over = ended(third);
  third.kill('SIGTERM');
  await over;
  expect(inside.sh('ip -o link')).not.toContain('tw0a4d');
}, 120_000);

test('an address that is taken, or none of the network, is refused with the cure', async () => {
  const inside = namespace();
  await serve(inside, 'network:10.77.0.0/24 --address 10.77.0.9/24', 'first');
  const refusal = async (wire: string): Promise<string> => (await inside.run(command(wire, 'x', SERVER))).stderr;
  expect(await refusal('network:10.77.0.0/24 --address 10.77.0.9/24')).toContain(
    '10.77.0.9 is taken by another process: choose one that is free',
  );
  expect(await refusal('network:10.77.0.0/24 --address 10.78.0.9/24')).toContain("is none of 10.77.0.0/24's");
  expect(await refusal('network:10.77.0.0/31')).toContain('takes an IPv4 network from /16 to /30');
  inside.sh('ip link set lo up; ip addr add 10.79.0.5/24 dev lo');
  expect(await refusal('network:10.79.0.0/24')).toContain('lo has the address 10.79.0.5 of it');
}, 120_000);

test('a file can hold the wire', async () => {
  const inside = namespace();
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-test-'));
  open.push({ close: () => rmSync(folder, { recursive: true }) });
  const file = join(folder, 'wire');
  writeFileSync(file, '# The lab of room 7\nnetwork:10.77.7.0/24   # shared\n--address 10.77.7.5/24\n');
  await serve(inside, file, 'filed');
  expect(inside.sh('curl -sS --max-time 10 http://10.77.7.5/y')).toBe('::ffff:10.77.7.1 asks filed for /y');
}, 60_000);

test("the transport alone, under Node's own HTTP, takes the same wires", async () => {
  const inside = namespace();
  register = TRANSPORT;
  await serve(inside, 'tun:lab0 --address 10.77.8.2/24', 'transport');
  expect(inside.sh('curl -sS --max-time 10 http://10.77.8.2/z')).toBe('::ffff:10.77.8.1 asks transport for /z');
}, 60_000);
