import { once } from 'node:events';
import type nodeHttp from 'node:http';
import { openTap, openTun } from '../../../device/index';
import { createHttp, type NetModule } from '../../../http';
import { createHost, type Host, type HostOptions } from '../../../net/host';
import { createNet } from '../../../net/index';
import { type HostReport, hostReport } from '../../../tools/report';
import { command, ip, KERNEL4, pass, STACK4, sysctl, until } from '../kernel/lab';
import type { Plan } from './attacker';
import { Program } from './processes';

const PORT = 80;
/** Attackers have an address and a process each: neither descriptors nor ports run out. */
const ATTACKERS = [11, 12, 13, 14].map((last) => `10.0.0.${last}`);

/** What the server's process has taken since the stand was ready: bytes. */
export interface Growth {
  rss: number;
  arrayBuffers: number;
}

/** A server of ours in this process, over a device; the kernel's sockets, in other processes, attack it and ask it politely. */
export class Stand {
  readonly host: Host;
  readonly http: typeof nodeHttp;
  readonly mac: Uint8Array | null;
  private readonly programs: Program[] = [];
  private readonly server: nodeHttp.Server;
  private polite: Program | null = null;
  private before: Growth = { rss: 0, arrayBuffers: 0 };
  private readonly most: Growth = { rss: 0, arrayBuffers: 0 };
  private watch: NodeJS.Timeout | undefined;

  /** @param kernel settings by their names below /proc/sys/net. */
  constructor(
    listener: nodeHttp.RequestListener,
    options: nodeHttp.ServerOptions = {},
    limits: HostOptions['limits'] = {},
    wire: { link?: 'tap'; kernel?: Readonly<Record<string, number | string>> } = {},
  ) {
    command('mount', '-t', 'sysfs', 'sysfs', '/sys');
    ip('link', 'set', 'lo', 'up');
    for (const [name, value] of Object.entries(wire.kernel ?? {})) sysctl(name, value);
    const open = wire.link === 'tap' ? openTap : openTun;
    const device = open({ name: 'lab0', hostAddress: [`${KERNEL4}/24`], offload: wire.link !== 'tap' });
    for (const address of ATTACKERS) ip('addr', 'add', `${address}/24`, 'dev', 'lab0');
    this.mac = device.mac;
    this.host = createHost({
      devices: [{ device, addresses: [`${STACK4}/24`] }],
      routes: [{ destination: '0.0.0.0/0', gateway: KERNEL4 }],
      limits,
    });
    this.http = createHttp(createNet(this.host) as unknown as NetModule) as unknown as typeof nodeHttp;
    this.server = this.http.createServer(options, (request, response) => {
      if (request.url === '/polite') response.end('ok');
      else listener(request, response);
    });
  }

  get held(): HostReport {
    return hostReport(this.host);
  }

  /** Listens, and has itself asked politely from now on. */
  async start(setUp: (server: nodeHttp.Server) => void = () => {}): Promise<void> {
    setUp(this.server);
    this.server.listen(PORT, STACK4);
    await once(this.server, 'listening');
    this.polite = this.run('polite', { url: `http://${STACK4}:${PORT}/polite` });
    await this.polite.says('ready');
    globalThis.gc?.();
    this.before = this.taken();
    this.watch = setInterval(() => this.look(), 20);
  }

  private taken(): Growth {
    const { rss, arrayBuffers } = process.memoryUsage();
    return { rss, arrayBuffers };
  }

  private look(): void {
    const now = this.taken();
    for (const kind of ['rss', 'arrayBuffers'] as const) {
      this.most[kind] = Math.max(this.most[kind], now[kind] - this.before[kind]);
    }
  }

  private run(name: string, options: object): Program {
    const program = new Program(name, options);
    this.programs.push(program);
    return program;
  }

  /** Attackers with so many connections in all; resolves when they are open. */
  async attack(connections: number, plan: Pick<Plan, 'first' | 'flood' | 'reads'>): Promise<Attack> {
    const each = Math.ceil(connections / ATTACKERS.length);
    const target = { address: STACK4, port: PORT, connections: each };
    const attackers = ATTACKERS.map((from) => this.run('attacker', { ...target, ...plan, from }));
    await Promise.all(attackers.map((attacker) => attacker.says('open')));
    return new Attack(attackers);
  }

  /** Whoever asks politely now gets an answer. */
  async stillServes(): Promise<void> {
    this.polite!.tell('again');
    await this.polite!.says('again');
  }

  /** What those who asked politely got, and what it all took at most. */
  async end(): Promise<{ polite: Record<string, number>; most: Growth; left: object }> {
    this.polite!.tell('stop');
    const polite = await this.polite!.says<Record<string, number>>('answers');
    clearInterval(this.watch);
    this.look();
    const left = await this.settled();
    this.close();
    return { polite, most: this.most, left };
  }

  /** What nothing may be left of; {} is good. */
  private async settled(): Promise<object> {
    const left = (): [string, number][] => {
      const { connections, connectionsTotal, receiveNodes, sendBlocks, slabs, acceptQueue } = this.held;
      // Half-open ones have a limit of their own, and a minute.
      const all = {
        connections: connectionsTotal - (connections['SYN-RECEIVED'] ?? 0),
        receiveNodes,
        sendBlocks,
        pinned: slabs.pinned,
        acceptQueue,
      };
      return Object.entries(all).filter(([, count]) => count > 0);
    };
    this.server.closeAllConnections();
    await until('quiet', () => left().length === 0).catch(() => {});
    return Object.fromEntries(left());
  }

  private close(): void {
    for (const program of this.programs) program.kill();
    this.host.close();
  }
}

/** Some attackers at work. */
export class Attack {
  constructor(private readonly attackers: readonly Program[]) {}

  tell(words: { send?: string; leave?: true }): void {
    for (const attacker of this.attackers) attacker.tell(JSON.stringify(words));
  }

  /** Once all connections are over: how often they were told what. */
  async over(): Promise<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const told of await Promise.all(
      this.attackers.map((attacker) => attacker.says<Record<string, number>>('over')),
    )) {
      for (const [what, count] of Object.entries(told)) all[what] = (all[what] ?? 0) + count;
    }
    return all;
  }
}

export { pass, until };
