/** The host under test is ours: in memory, in virtual time. */
import type dgram from 'node:dgram';
import type http from 'node:http';
import type net from 'node:net';
import { createWire, stall, type Wire, type WireOptions } from '../../../../fault';
import { feedServer } from '../../../../fault/adapters';
import { createHttp } from '../../../../http';
import { createDgram } from '../../../../net/dgram';
import { lookupException } from '../../../../net/errors';
import type { TcpProfile } from '../../../../stack/tcp/profile';
import { RawPeer } from './raw-peer';
import { HOST, PEER, SHORT_WAITS, type TruthWorld } from './world';

export class VirtualTruth implements TruthWorld {
  readonly wire: Wire;
  private readonly peers = new Map<number, RawPeer>();
  private readonly servers: { close(): unknown }[] = [];
  private readonly io = {
    send: (frame: Uint8Array): void => this.wire.medium.deliver('left', frame),
    sleep: (ms: number): Promise<void> => this.wire.clock.sleep(ms),
  };

  constructor(options: WireOptions = {}) {
    this.wire = createWire({ profile: SHORT_WAITS, ...options });
    this.wire.tap((segment) => {
      this.peers.get(segment.destinationPort)?.arrives(segment);
      return 'drop';
    });
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
    return this.wire.clientNet.connect(options as never) as unknown as net.Socket;
  }
  createServer(options: net.ServerOpts, listener: (socket: net.Socket) => void): net.Server {
    const server = this.wire.clientNet.createServer(options as never, listener as never);
    this.servers.push(server);
    return server as unknown as net.Server;
  }
  agent(options: http.AgentOptions = {}): http.Agent {
    return this.wire.agent(options);
  }
  serve(server: http.Server, port: number): Promise<void> {
    const fed = feedServer(server, this.wire.clientNet);
    this.servers.push(fed);
    return this.wait(new Promise<void>((resolve) => void fed.listen({ port, host: HOST }, resolve)));
  }
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    return this.wire.fetch(url, init);
  }
  createHttpServer(options: http.ServerOptions, listener: http.RequestListener): http.Server {
    const server = createHttp(this.wire.clientNet as never).createServer(options as never, listener as never);
    this.servers.push(server);
    return server as unknown as http.Server;
  }
  createUdp(): dgram.Socket {
    return createDgram(this.host).createSocket('udp4') as unknown as dgram.Socket;
  }
  private get host() {
    return this.wire.medium.hosts.left.host;
  }
  scarce(what: 'ports' | 'descriptors', calls: () => void): void {
    const { tcp } = this.host.stack as unknown as { tcp: { profile: TcpProfile; limits: { connectionsMax: number } } };
    const { profile, limits } = tcp;
    if (what === 'ports') tcp.profile = { ...profile, ephemeralPorts: [40_000, 40_000] };
    else tcp.limits = { ...limits, connectionsMax: 0 };
    calls();
    process.nextTick(() => {
      tcp.profile = profile;
      tcp.limits = limits;
    });
  }
  async unaccepted(dial: () => Promise<void>): Promise<void> {
    this.wire.do(stall('client', 200));
    await this.wait(dial());
    await this.wire.clock.advance(50);
  }
  asNobody(calls: () => void): void {
    calls();
  }
  async exiting(port: number, text: string): Promise<void> {
    const socket = this.connect({ host: PEER, port });
    socket.on('error', () => {});
    await this.wait(new Promise<void>((resolve) => void socket.on('connect', () => resolve())));
    socket.write(text);
    await this.sleep(100);
    this.host.close();
  }
  readonly lookup: net.LookupFunction = (name, _, done) => {
    process.nextTick(() => done(lookupException('EAI_AGAIN', name), ''));
  };
  now(): number {
    return this.wire.clock.now();
  }
  sleep(ms: number): Promise<void> {
    return this.wire.clock.advance(ms);
  }
  async unseen(send: () => void): Promise<void> {
    this.wire.do(stall('client', 200));
    send();
    await this.wire.clock.advance(100);
    // The program polls when it has called what it calls in this turn: before its immediates, as Node's loop does.
    setImmediate(() => this.poll());
  }
  private poll(): void {
    const { medium } = this.wire;
    medium.wake('left');
    const world = medium.world as unknown as { readonly now: number; step(): boolean };
    for (const until = world.now + 1; world.now < until; ) if (!world.step()) break;
  }
  wait<T>(promise: PromiseLike<T>): Promise<T> {
    return this.wire.run(promise);
  }
  close(): void {
    for (const server of this.servers) server.close();
    this.wire.close();
  }
}
