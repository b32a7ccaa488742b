/**
 * The rows of the truth table over the kernel, in a network namespace of its own: raw peers on a TUN device put every segment
 * on the wire, and Node's own net, http and fetch are what is told. Prints what each row said.
 */
import { execFile, execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { memoryPair } from '../../../device/memory';
import { openTun } from '../../../device/tun';
import { DeviceMedium } from '../../../fault/ports';
import { Segment } from '../../../fault/segment';
import { portOf, SECTIONS } from '../../unit/fault/truth';
import { RawPeer } from '../../unit/fault/truth/raw-peer';
import { HOST, PEER, type Row, type TruthWorld } from '../../unit/fault/truth/world';
import { unreachableFor } from './unreachable';

const UDP = 17;
const isDatagram = (frame: Uint8Array): boolean => frame[0] === 0x45 && frame[9] === UDP;

const PORT_RANGE = '/proc/sys/net/ipv4/ip_local_port_range';

class KernelTruth implements TruthWorld {
  private readonly peers = new Map<number, RawPeer>();
  private readonly medium: DeviceMedium;
  private readonly io = {
    send: (frame: Uint8Array): void => this.medium.deliver('left', frame),
    sleep: (ms: number): Promise<void> => this.sleep(ms),
  };

  constructor() {
    const tun = openTun({ name: 'twtruth', address: `${PEER}/24`, hostAddress: `${HOST}/24`, offload: false });
    const [unused] = memoryPair();
    this.medium = new DeviceMedium(tun, unused);
    this.medium.arrives = (_, frame) => {
      const segment = Segment.read(frame, 'ip');
      if (segment !== null) this.peers.get(this.keyOf(segment))?.arrives(segment);
      else if (isDatagram(frame)) this.medium.deliver('left', unreachableFor(frame));
    };
  }

  /** The port that tells rows apart: of the peer when it was called, of the host when it called. */
  private keyOf(segment: Segment): number {
    return segment.destinationPort;
  }

  peer(port: number): RawPeer {
    const made = new RawPeer(this.io);
    this.peers.set(port, made);
    return made;
  }
  client(port: number): RawPeer {
    return this.peer(port);
  }
  connect(options: net.NetConnectOpts): net.Socket {
    return net.connect(options);
  }
  createServer(options: net.ServerOpts, listener: (socket: net.Socket) => void): net.Server {
    return net.createServer(options, listener);
  }
  agent(options: http.AgentOptions = {}): http.Agent {
    return new http.Agent(options);
  }
  serve(server: http.Server, port: number): Promise<void> {
    return new Promise((resolve) => void server.listen(port, HOST, resolve));
  }
  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    return fetch(url, init);
  }
  createHttpServer(options: http.ServerOptions, listener: http.RequestListener): http.Server {
    return http.createServer(options, listener);
  }
  createUdp(): dgram.Socket {
    return dgram.createSocket('udp4');
  }
  scarce(what: 'ports' | 'descriptors', calls: () => void): void {
    const restore = what === 'ports' ? narrowPorts() : useUpDescriptors();
    calls();
    // The calls go to the kernel in this turn.
    process.nextTick(restore);
  }
  async unaccepted(dial: () => Promise<void>): Promise<void> {
    let done = false;
    const dialled = dial().finally(() => {
      done = true;
    });
    const { left } = (this.medium as unknown as { ports: { left: { readable(): void } } }).ports;
    // Frames are read by hand: the loop, which would accept, does not turn.
    for (let looks = 0; !done && looks < 10_000; looks++) {
      left.readable();
      await Promise.resolve();
    }
    await dialled;
  }
  asNobody(calls: () => void): void {
    process.seteuid!(65_534);
    calls();
    // The calls go to the kernel in this turn.
    process.nextTick(() => process.seteuid!(0));
  }
  exiting(port: number, text: string): Promise<void> {
    const program = `const s = require('node:net').connect(${port}, '${PEER}', () => {
      s.write('${text}');
      setTimeout(() => process.exit(), 100);
    })`;
    return new Promise((resolve, reject) =>
      execFile(process.execPath, ['-e', program], (error) => (error === null ? resolve() : reject(error))),
    );
  }
  readonly lookup = undefined;
  now(): number {
    return performance.now();
  }
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
  async unseen(send: () => void): Promise<void> {
    // The device takes the frames at once, and this program does not poll before it goes on.
    send();
  }
  wait<T>(promise: PromiseLike<T>): Promise<T> {
    return Promise.resolve(promise);
  }
}

function narrowPorts(): () => void {
  const range = readFileSync(PORT_RANGE, 'utf8');
  writeFileSync(PORT_RANGE, '40000 40000');
  return () => writeFileSync(PORT_RANGE, range);
}

function useUpDescriptors(): () => void {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch {
    // EMFILE: that was the last.
  }
  return () => held.forEach(closeSync);
}

/** Sets the kernel's constants, by their names in /proc/sys/net/ipv4; what it returns gives them back their values. */
function set(settings: Readonly<Record<string, number>>): () => void {
  const before: Record<string, number> = {};
  for (const [name, value] of Object.entries(settings)) {
    const path = `/proc/sys/net/ipv4/${name}`;
    before[name] = Number(readFileSync(path, 'utf8'));
    writeFileSync(path, String(value));
  }
  return () => void set(before);
}

type Place = readonly [section: string, row: Row, port: number];

async function runRows(world: KernelTruth, places: readonly Place[], said: Record<string, readonly string[]>) {
  const runs: Promise<void>[] = [];
  for (const [section, row, port] of places) {
    const limit = new Promise<string[]>((resolve) => setTimeout(resolve, 30_000, ['no end within 30 s']).unref());
    const made = row.run(world, port).catch((error: Error) => [`broken: ${error.stack}`]);
    runs.push(Promise.race([made, limit]).then((lines) => void (said[`${section}: ${row.name}`] = lines)));
    // So that the rows' turns do not fall on one another.
    await world.sleep(20);
  }
  await Promise.all(runs);
}

/** Waits are as short as the kernel lets them be. */
const SHORT = { tcp_syn_retries: 1, tcp_retries2: 3 };

async function main(): Promise<void> {
  set(SHORT);
  // Few enough to be used up.
  execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=1024:1024']);
  const world = new KernelTruth();
  const said: Record<string, readonly string[]> = {};
  const groups = new Map<string, Place[]>();
  for (const [s, [section, rows]] of Object.entries(SECTIONS).entries())
    for (const [r, row] of rows.entries()) {
      const key = JSON.stringify(row.settings ?? {});
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key)!.push([section, row, portOf(s, r)]);
    }
  // The constants are the whole namespace's: rows that want others run one group after the other.
  for (const [settings, places] of groups) {
    const restore = set(JSON.parse(settings) as Record<string, number>);
    await runRows(world, places, said);
    restore();
  }
  process.stdout.write(JSON.stringify(said));
  process.exit(0);
}

void main();
