import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createHost, memoryPair, type TapwireHost } from 'tapwire';

// A flood of SYNs whose senders do not exist, and an honest client behind it: with SYN cookies and without.
// npm run example syn-cookies; what it shows is explained in docs/lessons/syn-cookies.md.
// npm run example syn-cookies wait: stays for a minute, for a look with `tapwire ss` from another terminal.

const SYNS = 300;
const BACKLOG = 100;
const PATIENCE_MS = 2500;
const SYN_ACK = 0x12;
const COMMAND = join(dirname(require.resolve('tapwire/package.json')), 'dist', 'tools', 'tapwire.js');

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What `tapwire ss` says of this process. */
const ss = (...words: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const args = [COMMAND, 'ss', ...words, '--pid', String(process.pid)];
    execFile(process.execPath, args, (error, text) => (error ? reject(error) : resolve(text)));
  });

/** Asks for a greeting, as anybody would, and stays connected; null: none came in time. */
const greeting = (host: TapwireHost): Promise<string | null> =>
  new Promise((resolve) => {
    const began = performance.now();
    const socket = host.net.connect(80, '10.0.0.2');
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('data', (text) => {
      clearTimeout(timer);
      resolve(`"${text}" after ${Math.round(performance.now() - began)} ms`);
    });
    socket.on('close', () => resolve(null));
  });

/** What the server's TCP knows of its open connections: what was agreed with the SYN. */
async function agreed(): Promise<string> {
  const text = await ss('-HtiO', 'state', 'established');
  return text.replace(/^.*\t ?| rto:.*$/gm, '').trim();
}

async function round(synCookies: boolean, timestamps: boolean): Promise<void> {
  const [honest, toHonest] = memoryPair();
  const [forger, toForger] = memoryPair();
  // Answers to the forged senders leave here, for nobody.
  const [elsewhere] = memoryPair();
  const server = createHost({
    devices: [
      { device: toHonest, addresses: ['10.0.0.2/24'] },
      { device: toForger, addresses: ['10.0.1.2/24'] },
      { device: elsewhere, addresses: ['192.0.2.1/24'] },
    ],
    routes: [{ destination: '203.0.113.0/24', gateway: '192.0.2.254' }],
    profile: { synCookies },
    trace: true,
    control: 'server',
  });
  const client = createHost({ device: honest, addresses: '10.0.0.1/24', profile: { timestamps } });
  const attacker = createHost({ device: forger, addresses: ['203.0.113.7/24', '10.0.1.1/24'] });

  server.net
    .createServer((socket) => socket.on('error', () => {}).write('hello'))
    .listen({ port: 80, backlog: BACKLOG });
  for (let i = 0; i < SYNS; i++) {
    attacker.net.connect({ host: '10.0.1.2', port: 80, localAddress: '203.0.113.7' }).on('error', () => {});
  }
  while (server.stats().tcp.segmentsIn < SYNS) await pause(10);

  console.log(`── SYN cookies ${synCookies ? 'on' : 'off'}, ${timestamps ? 'with' : 'without'} timestamps ──`);
  const states = (await ss('-Htan')).split('\n').map((line) => line.split(' ')[0]!);
  const count = (state: string): number => states.filter((other) => other === state).length;
  console.log(`tapwire ss -Htan: LISTEN ${count('LISTEN')}, SYN-RECV ${count('SYN-RECV')}`);
  console.log(`the honest client: ${(await greeting(client)) ?? `no answer in ${PATIENCE_MS} ms`}`);
  console.log(`tapwire ss -HtiO state established: ${(await agreed()) || 'nobody'}`);

  const { cookiesSent, cookiesReceived } = server.stats().tcp;
  console.log(`cookies: ${cookiesSent} given, ${cookiesReceived} came back`);
  console.log(`dropped: ${JSON.stringify(server.stats().drops)}`);
  const answers = [...server.trace.events()].filter(
    ({ kind, numbers }) => kind === 'segment-out' && (numbers[0]! & SYN_ACK) === SYN_ACK,
  );
  const kept = answers.filter(({ connection }) => connection !== 0).length;
  console.log(`SYN-ACKs in the trace: ${kept} of connections, ${answers.length - kept} of none`);
  if (process.argv[2] === 'wait') {
    console.log(`for a minute: npx tapwire ss -tano --pid ${process.pid}`);
    await pause(60_000);
  }
  for (const host of [attacker, client, server]) host.close();
}

async function main(): Promise<void> {
  await round(true, true);
  await round(true, false);
  await round(false, true);
}

void main();
