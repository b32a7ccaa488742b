import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Namespace } from '../serve/lab';

const root = resolve(__dirname, '../../..');
const identity = require('../../packages/programs/identity.cjs') as { key: string; cert: string };

export const SITE = 'http://10.77.0.2';
export const SECURE = 'https://10.77.0.2';

const BLOCK = 'a block of a body that is as long as it is asked to be; ';
const BLOCK_BYTES = 1 << 20;
/** Of one client's work. */
const SECONDS_MAX = 550;

const BROWSER = [
  'chromium',
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--ignore-certificate-errors',
  '--no-first-run',
  '--disable-extensions',
  '--disable-background-networking',
  '--remote-debugging-port=0',
];

/** Pages may keep files, also without TLS. */
const MAY_KEEP_FILES = `--unsafely-treat-insecure-origin-as-secure=${SITE}`;

/** A shell command that writes a body of `bytes` bytes. */
export const writesBody = (bytes: number): string => `yes '${BLOCK.trimEnd()}' | head -c ${bytes}`;

/** SHA-256 of the body of `/bytes/N`, made without the server. */
export function expectedHash(bytes: number): string {
  const hash = createHash('sha256');
  const block = Buffer.alloc(BLOCK_BYTES, BLOCK);
  for (let left = bytes; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)));
  return hash.digest('hex');
}

/** What Chromium says of `/transfer/N`. */
export interface Transferred {
  download: { bytes: number; wrong: number; ms: number };
  upload: { bytes: number; sha256: string; ms: number };
}

/** site.cjs in a namespace of its own, on our stack behind a TUN device, and what its clients do there. */
export class Site {
  /** What it said on standard error. */
  said = '';

  private constructor(
    private readonly inside: Namespace,
    readonly folder: string,
    private readonly site: ChildProcess,
  ) {
    site.stderr!.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
  }

  static async start(): Promise<Site> {
    const inside = new Namespace();
    inside.sh('ip link set lo up');
    const folder = mkdtempSync(join(tmpdir(), 'tapwire-clients-'));
    const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
    writeFileSync(files.key, identity.key);
    writeFileSync(files.cert, identity.cert);
    const register = join(root, 'dist/register/index.js');
    const program = ['--require', register, join(__dirname, 'site.cjs'), files.key, files.cert];
    const [command, ...args] = inside.argv([process.execPath, ...program]);
    const env = { ...process.env, TAPWIRE: '--tun tapwire0 --address 10.77.0.2/24 --host-address 10.77.0.1/24' };
    const child = spawn(command!, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const site = new Site(inside, folder, child);
    try {
      await new Promise((listening, reject) => {
        child.once('message', listening);
        child.once('exit', (code) => reject(new Error(`the site ended with ${code}\n${site.said}`)));
      });
    } catch (error) {
      site.close();
      throw error;
    }
    return site;
  }

  /** Runs a client; what became of it. */
  ask(command: readonly string[], seconds: number): ReturnType<Namespace['run']> {
    return this.inside.run(command, seconds);
  }

  /** Runs a client, which must succeed; what it printed. */
  async run(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.ask(command, SECONDS_MAX);
    if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return `${stdout}${stderr}`;
  }

  curl(...args: string[]): Promise<string> {
    return this.run('curl', '-sS', '--max-time', '500', ...args);
  }

  /** Has Chromium move a body of so many bytes in and out. */
  async transfer(origin: string, bytes: number): Promise<Transferred> {
    return (await this.visit(`${origin}/transfer/${bytes}`, [MAY_KEEP_FILES])) as Transferred;
  }

  /** Opens a page in Chromium; what the page tells, within `SECONDS_MAX`. */
  async visit(url: string, options: readonly string[] = []): Promise<unknown> {
    const data = mkdtempSync(join(this.folder, 'chromium-'));
    const [command, ...args] = this.inside.argv([...BROWSER, ...options, `--user-data-dir=${data}`, url]);
    // A process group of its own: its helpers end with it.
    const browser = spawn(command!, args, { stdio: 'ignore', detached: true, env: { ...process.env, HOME: data } });
    const gone = new Promise<void>((done) => browser.on('exit', () => done()));
    let timer: NodeJS.Timeout | undefined;
    let told: ((message: { result: unknown }) => void) | undefined;
    try {
      return await new Promise((found, reject) => {
        this.site.on(
          'message',
          (told = ({ result }) => {
            if (typeof result === 'string') reject(new Error(`${url}: the page failed, ${result}`));
            else found(result);
          }),
        );
        timer = setTimeout(() => reject(new Error(`${url}: nothing told within ${SECONDS_MAX} s`)), SECONDS_MAX * 1000);
        void gone.then(() => reject(new Error(`${url}: Chromium ended before the page was done`)));
      });
    } finally {
      clearTimeout(timer);
      this.site.off('message', told!);
      if (browser.exitCode === null && browser.signalCode === null) process.kill(-browser.pid!, 'SIGKILL');
      await gone;
      rmSync(data, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** The most memory that the site's process had, in MB. */
  get peakMb(): number {
    const status = readFileSync(`/proc/${this.site.pid}/status`, 'latin1');
    return Math.round((Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6);
  }

  close(): void {
    this.site.kill('SIGKILL');
    this.inside.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
