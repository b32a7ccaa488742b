/**
 * The rows of the truth table over the kernel, in a network namespace of its own: raw peers on a TUN device put every segment
 * on the wire, and Node's own net, http and fetch are what is told. Prints what each row said.
 */
import { execFileSync } from 'node:child_process';
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
import { HOST, PEER, type TruthWorld } from '../../unit/fault/truth/world';
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
    const dialled = dial();
    // Frames are read by hand: the loop, which would accept, does not turn.
    (this.medium as unknown as { ports: { left: { readable(): void } } }).ports.left.readable();
    await dialled;
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

/** Waits are as short as the kernel lets them be. */
function shorten(): void {
  writeFileSync('/proc/sys/net/ipv4/tcp_syn_retries', '1');
  writeFileSync('/proc/sys/net/ipv4/tcp_retries2', '3');
  // Few enough to be used up.
  execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=1024:1024']);
}

async function main(): Promise<void> {
  shorten();
  const world = new KernelTruth();
  const said: Record<string, readonly string[]> = {};
  const runs: Promise<void>[] = [];
  for (const [s, [section, rows]] of Object.entries(SECTIONS).entries()) {
    for (const [r, row] of rows.entries()) {
      if (row.only?.here === 'ours') continue;
      const limit = new Promise<string[]>((resolve) => setTimeout(resolve, 30_000, ['no end within 30 s']).unref());
      const made = row.run(world, portOf(s, r)).catch((error: Error) => [`broken: ${error.stack}`]);
      runs.push(Promise.race([made, limit]).then((lines) => void (said[`${section}: ${row.name}`] = lines)));
      // So that the rows' turns do not fall on one another.
      await world.sleep(20);
    }
  }
  await Promise.all(runs);
  process.stdout.write(JSON.stringify(said));
  process.exit(0);
}

void main();
