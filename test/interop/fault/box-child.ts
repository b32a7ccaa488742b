/**
 * The rules between two kernels that know nothing of them: curl in one network namespace, nginx in another, a TUN device in
 * each, and this program in between. tshark watches both sides. Runs in a namespace of its own; prints what was seen.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTun } from '../../../device/tun';
import { blackhole, openMiddlebox, req, res, rst, Segment, split } from '../../../fault';
import { SYN } from '../../../fault/segment';

const [CLIENT, SERVER] = ['10.66.0.1', '10.66.0.2'];
const folder = mkdtempSync(join(tmpdir(), 'tw-box-'));
const children: ChildProcess[] = [];

const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await done())) {
    if (performance.now() > end) throw new Error(`${what}: not within 30 s`);
    await pass(10);
  }
}

/** A process whose network namespace lives as long as it does. */
async function namespaceHolder(): Promise<number> {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec sleep 300'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(holder);
  await new Promise((resolve) => holder.stdout!.once('data', resolve));
  return holder.pid!;
}

const inside = (pid: number, ...args: string[]): string[] => ['-t', String(pid), '-n', ...args];
const run = (pid: number, ...args: string[]): string =>
  execFileSync('nsenter', inside(pid, ...args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function settle(pid: number, name: string, address: string): void {
  execFileSync('ip', ['link', 'set', 'dev', name, 'netns', String(pid)]);
  run(pid, 'ip', 'address', 'add', `${address}/24`, 'dev', name);
  run(pid, 'ip', 'link', 'set', 'dev', name, 'up', 'mtu', '1500');
  run(pid, 'ip', 'link', 'set', 'dev', 'lo', 'up');
}

const establishedAt = (pid: number): number =>
  run(pid, 'ss', '-Htn', 'state', 'established')
    .split('\n')
    .filter((line) => line !== '').length;

interface Curl {
  readonly code: number;
  readonly bytes: number;
  readonly complaint: string;
}

function curl(pid: number, ...args: string[]): Promise<Curl> {
  return new Promise((resolve) => {
    const options = { encoding: 'buffer' as const, maxBuffer: 1 << 24, timeout: 60_000 };
    execFile('nsenter', inside(pid, 'curl', '-sS', '--max-time', '20', ...args), options, (error, stdout, stderr) =>
      resolve({
        code: (error as { code?: number } | null)?.code ?? 0,
        bytes: stdout.length,
        complaint: stderr.toString().trim(),
      }),
    );
  });
}

/** What tshark saw on a device. */
interface Seen {
  readonly from: 'c' | 's';
  readonly port: number;
  readonly flags: string;
  readonly seq: number;
  readonly length: number;
}

const FIELDS = ['udp.dstport', 'ip.src', 'tcp.srcport', 'tcp.dstport', 'tcp.flags.str', 'tcp.seq', 'tcp.len'];
let marks = 20_000;

/** tshark on a device. Marks, datagrams to an address that nobody has, tell where in its lines a moment is. */
class Watch {
  private readonly shark: ChildProcess;
  private lines: string[] = [];
  private rest = '';

  constructor(
    private readonly pid: number,
    device: string,
  ) {
    const fields = FIELDS.flatMap((field) => ['-e', field]);
    const args = ['tshark', '-l', '-n', '-i', device, '-f', 'tcp or udp', '-T', 'fields', ...fields];
    this.shark = spawn('nsenter', inside(pid, ...args), { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(this.shark);
    this.shark.stdout!.on('data', (chunk: Buffer) => {
      const lines = (this.rest + chunk.toString()).split('\n');
      this.rest = lines.pop()!;
      this.lines.push(...lines);
    });
  }

  private mark(port: number): void {
    run(this.pid, 'bash', '-c', `echo mark > /dev/udp/10.66.0.99/${port}`);
  }

  /** Resolves when tshark has seen a mark: everything from now on is seen, too. */
  async begin(): Promise<void> {
    const port = marks++;
    const seen = (): boolean => this.lines.some((line) => line.startsWith(`${port}\t`));
    await until('tshark captures', async () => {
      if (seen()) return true;
      this.mark(port);
      await pass(100);
      return seen();
    });
    this.lines = [];
  }

  async stop(): Promise<Seen[]> {
    const port = marks++;
    this.mark(port);
    await until('tshark has seen all', () => this.lines.some((line) => line.startsWith(`${port}\t`)));
    const over = new Promise((resolve) => this.shark.once('exit', resolve));
    this.shark.kill('SIGINT');
    await over;
    const rows = this.lines.map((line) => line.split('\t') as [string, string, string, string, string, string, string]);
    return rows
      .filter(([, , from]) => from !== '')
      .map(([, source, from, to, flags, seq, length]) => {
        const c = source === CLIENT;
        return {
          from: c ? 'c' : 's',
          port: Number(c ? from : to),
          flags: flags.replace(/[^A-Z]/g, ''),
          seq: Number(seq),
          length: Number(length),
        };
      });
  }
}

const textOf = (seen: readonly Seen[], from: 'c' | 's'): number => {
  // Bytes of the stream, each counted once.
  let end = 1;
  for (const s of seen) if (s.from === from && s.length > 0) end = Math.max(end, s.seq + s.length);
  return end - 1;
};
/** Of the connections that were opened in a step. */
const openedIn = (seen: readonly Seen[]): number[] => [
  ...new Set(seen.filter(({ from, flags }) => from === 'c' && flags === 'S').map(({ port }) => port)),
];

async function main(): Promise<void> {
  const left = openTun({ name: 'twboxl', offload: false });
  const right = openTun({ name: 'twboxr', offload: false });
  const [clients, servers] = [await namespaceHolder(), await namespaceHolder()];
  settle(clients, 'twboxl', CLIENT);
  settle(servers, 'twboxr', SERVER);
  const box = openMiddlebox(left, right, { seed: 1 });
  const { engine } = box;

  writeFileSync(join(folder, 'body'), Buffer.alloc(10_000, 'x'));
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
     events { worker_connections 64; }
     http { access_log off; keepalive_timeout 3600s; server { listen ${SERVER}:80; root ${folder}; } }`,
  );
  children.push(spawn('nsenter', inside(servers, 'nginx', '-c', join(folder, 'nginx.conf')), { stdio: 'ignore' }));
  const url = `http://${SERVER}/body`;
  await until('nginx answers', async () => (await curl(clients, '--max-time', '1', url)).code === 0);

  const said: Record<string, unknown> = {};
  /** One step, watched on both sides. */
  const step = async (name: string, play: () => Promise<object>): Promise<void> => {
    const watches = [new Watch(clients, 'twboxl'), new Watch(servers, 'twboxr')] as const;
    for (const watch of watches) await watch.begin();
    const outcome = await play();
    await pass(200);
    const [atClient, atServer] = await Promise.all(watches.map((watch) => watch.stop()));
    const ports = openedIn(atClient!);
    const mine = ({ port }: Seen): boolean => ports.includes(port);
    said[name] = { ...outcome, ...see(name, atClient!.filter(mine), atServer!.filter(mine)) };
    for (const rule of engine.rules) rule.off();
  };
  const next = (): number => engine.exchanges.list.length + 1;

  await step('clean', async () => curl(clients, url));
  await step('rst', async () => {
    engine.on(res(next()).bodyByte(4096)).do(split(), rst({ to: 'c' }));
    return curl(clients, url);
  });
  await step('lost-request', async () => {
    engine.on(req(next())).do(blackhole('c2s'));
    return curl(clients, '--max-time', '3', url);
  });
  await step('lost-response', async () => {
    engine.on(res(next()).bodyByte(1000)).do(blackhole('s2c'));
    return curl(clients, '--max-time', '3', url);
  });
  /** Two requests on one connection, and the silence between them; `rate` is curl's. */
  const silent = async (rate: string, leapToMs?: number): Promise<object> => {
    const before = establishedAt(servers);
    const first = next();
    const { medium } = box;
    const straight = medium.arrives;
    /** The client's port, and when a segment of the connection was seen last: those of earlier steps still retransmit. */
    let own = -1;
    let seenAt = 0;
    let silentMs = -1;
    medium.arrives = (from, frame) => {
      const seg = Segment.read(frame, medium.linkType);
      const port = from === 'left' ? seg?.sourcePort : seg?.destinationPort;
      if (own < 0 && from === 'left' && seg?.flags === SYN) own = port!;
      const isOwn = port === own;
      const isAnswered = engine.exchanges.list[first - 1]?.outcome === 'complete';
      if (isOwn && silentMs < 0 && from === 'left' && (seg?.length ?? 0) > 0 && isAnswered) {
        if (leapToMs !== undefined) medium.leap(leapToMs - (medium.now() - seenAt));
        // What the box is about to measure.
        silentMs = medium.now() - seenAt;
      }
      straight(from, frame);
      if (isOwn) seenAt = medium.now();
    };
    const noted = engine.trace.entries.length;
    const outcome = await curl(clients, '--rate', rate, url, url);
    await pass(200);
    medium.arrives = straight;
    const { id } = engine.exchanges.list[first - 1]!.conn;
    const forgotten = engine.trace.entries
      .slice(noted)
      .find(({ conn, text }) => conn === id && text.includes('has forgotten'));
    return {
      ...outcome,
      'left open at the server': establishedAt(servers) - before,
      'silence, in seconds': Math.floor(silentMs / 1000),
      forgotten: forgotten?.text ?? 'not',
    };
  };
  // The clock between the devices leaps when the first segment of the second request is there: what the box measures is
  // this, a fraction of it on the clocks of curl and nginx; five seconds are for a machine that is busy just then.
  engine.middlebox({ idle: 350_000, expired: 'rst-sender', label: 'the NAT of 350 s' });
  for (const seconds of [345, 350]) {
    await step(`silent for ${seconds} s of 350`, () => silent('20/m', seconds * 1000));
  }
  // And all of it in real time.
  engine.middlebox({ idle: 5000, expired: 'rst-sender', label: 'the NAT of 5 s' });
  await step('silent for 1 s of 5', () => silent('60/m'));
  await step('silent for 7 s of 5', () => silent('8/m'));
  process.stdout.write(JSON.stringify(said));
  box.close();
}

/** What both sides saw of a step, in numbers that can be promised. */
function see(name: string, atClient: readonly Seen[], atServer: readonly Seen[]): object {
  const resets = (seen: readonly Seen[], from: 'c' | 's'): Seen[] =>
    seen.filter((s) => s.from === from && s.flags.includes('R'));
  const rstAt = atClient.findIndex(({ flags, from }) => from === 's' && flags.includes('R'));
  const got = textOf(rstAt < 0 ? atClient : atClient.slice(0, rstAt), 's');
  const requests = atClient.filter(({ from, length }) => from === 'c' && length > 0);
  const isRst = ['rst', 'silent for 350 s of 350', 'silent for 7 s of 5'].includes(name);
  return {
    'connections opened': openedIn(atClient).length,
    'resets to the client': resets(atClient, 's').length,
    'resets of the server': resets(atServer, 's').length,
    // Exact: right behind the last byte that the client got.
    'the reset': isRst
      ? atClient[rstAt]?.seq === got + 1
        ? 'exact'
        : `at ${atClient[rstAt]?.seq}, not ${got + 1}`
      : undefined,
    'request sent': name === 'lost-request' ? (requests.length > 1 ? 'again and again' : 'once') : undefined,
    'text of the client at the server': textOf(atServer, 'c') > 0,
    'the client got all that the server sent': textOf(atServer, 's') === got,
  };
}

async function end(code: number): Promise<void> {
  const left = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(
    left.map((child) => {
      const over = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      return over;
    }),
  );
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

main().then(
  () => end(0),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    return end(1);
  },
);
