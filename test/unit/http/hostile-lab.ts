import type * as nodeHttp from 'node:http';
import { memoryPair } from '../../../device/memory';
import { createHttp, type NetModule } from '../../../http';
import { createNet } from '../../../net';
import { addressOf, createHost, type Host, type HostOptions } from '../../../net/host';
import { abort, consume, peek, send, Text } from '../../../stack/tcp/calls';
import { CLOSED, CONNECTED, type Connection, type ConnectionOwner, END, READABLE } from '../../../stack/tcp/connection';
import { hostReport } from '../../../tools/report';

const text = new Text();
/** So much of what a peer received is kept to look at. */
const KEPT_MAX = 2000;

/** One connection of somebody who means no good: sends what it is told, reads only if it likes. */
export class Peer implements ConnectionOwner {
  readonly connection: Connection;
  connected = false;
  /** The server sent its FIN, or the connection is gone. */
  ended = false;
  reads = true;
  receivedBytes = 0;
  /** The first of what it received. */
  received = '';
  /** Bytes that the stack took of what was to be sent. */
  sentBytes = 0;
  /** What it sends, again and again, as fast as it may. */
  private flood: Buffer | null = null;
  private floodAt = 0;

  constructor(
    readonly host: Host,
    port: number,
  ) {
    const c = host.connect(addressOf('10.0.0.2'), port, null, 0, this);
    if (typeof c === 'string') throw new Error(c);
    this.connection = c;
  }

  onSignals(c: Connection, bits: number): void {
    if ((bits & CONNECTED) !== 0) this.connected = true;
    if ((bits & (CLOSED | END)) !== 0) this.ended = true;
    if ((bits & READABLE) !== 0 && this.reads) this.read(c);
    this.pour();
  }

  /** Takes all that is there. */
  read(c: Connection = this.connection): void {
    while (peek(this.host.stack.tcp, c, text)) {
      const bytes = text.end - text.at;
      if (this.received.length < KEPT_MAX) {
        this.received += Buffer.from(text.bytes.subarray(text.at, text.end)).toString('latin1');
      }
      this.receivedBytes += bytes;
      consume(this.host.stack.tcp, c, bytes, this.host.now());
    }
    this.host.schedule();
  }

  send(what: string): void {
    const bytes = Buffer.from(what, 'latin1');
    this.sentBytes += send(this.host.stack.tcp, this.connection, bytes, 0, bytes.length);
    this.host.schedule();
  }

  /** Sends `what` without end. */
  pourOut(what: string): void {
    this.flood = Buffer.from(what.repeat(Math.ceil(8192 / what.length)), 'latin1');
    this.pour();
  }

  private pour(): void {
    const { flood } = this;
    if (flood === null || this.ended) return;
    for (let rounds = 0; rounds < 64; rounds++) {
      const left = flood.length - this.floodAt;
      const taken = send(this.host.stack.tcp, this.connection, flood, this.floodAt, left);
      this.sentBytes += taken;
      this.floodAt = (this.floodAt + taken) % flood.length;
      if (taken < left) break;
    }
    this.host.schedule();
  }

  /** Goes away with a RST. */
  reset(): void {
    this.flood = null;
    abort(this.host.stack.tcp, this.connection, this.host.now());
    this.host.schedule();
  }
}

/** A server of ours, with an attacker and somebody polite on the other end of a link in memory. */
export class Lab {
  readonly client: Host;
  readonly server: Host;
  readonly http: typeof nodeHttp;
  readonly politeHttp: typeof nodeHttp;
  private readonly agent: nodeHttp.Agent;
  private readonly servers: nodeHttp.Server[] = [];

  constructor(server: Partial<HostOptions> = {}, client: Partial<HostOptions> = {}) {
    const [a, b] = memoryPair();
    this.client = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1, ...client });
    this.server = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2, ...server });
    this.http = createHttp(createNet(this.server) as unknown as NetModule) as unknown as typeof nodeHttp;
    this.politeHttp = createHttp(createNet(this.client) as unknown as NetModule) as unknown as typeof nodeHttp;
    this.agent = new this.politeHttp.Agent({ keepAlive: false });
    this.client.retain();
  }

  /** A server on port 80. */
  async serve(
    listener: nodeHttp.RequestListener = (_request, response) => response.end('ok'),
    options: nodeHttp.ServerOptions = {},
  ): Promise<nodeHttp.Server> {
    const server = this.http.createServer(options, listener);
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(80, '0.0.0.0', 20_000, resolve));
    return server;
  }

  /** Connections of the attacker's, all of them open. */
  async peers(count: number, reads = true): Promise<Peer[]> {
    const all: Peer[] = [];
    while (all.length < count) {
      // The ports of one address, and the link's queue, have an end.
      for (let i = Math.min(500, count - all.length); i > 0; i--) {
        const peer = new Peer(this.client, 80);
        peer.reads = reads;
        all.push(peer);
      }
      await until(() => all.every((peer) => peer.connected));
    }
    return all;
  }

  /** All of them go away; a stack keeps no more than so many RSTs to be sent. */
  async reset(peers: readonly Peer[]): Promise<void> {
    const { replies } = this.client.stack.tcp;
    for (let i = 0; i < peers.length; i += 200) {
      for (const peer of peers.slice(i, i + 200)) peer.reset();
      await until(() => replies.length === 0);
    }
  }

  /** Somebody polite asks: the answer's status and text. */
  ask(path = '/polite'): Promise<string> {
    return new Promise((resolve, reject) => {
      const { agent } = this;
      const request = this.politeHttp.get({ host: '10.0.0.2', port: 80, path, agent }, (response) => {
        let body = '';
        response.setEncoding('latin1').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
      });
      request.on('error', reject);
    });
  }

  /** What the server's stack holds. */
  get held(): ReturnType<typeof hostReport> {
    return hostReport(this.server);
  }

  close(): void {
    for (const server of this.servers) server.close();
    this.client.release();
    this.client.close();
    this.server.close();
  }
}

/** Waits for the thing itself; Jest's own time-out is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}
