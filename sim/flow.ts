import { addressOf } from '../net/host';
import { Random } from '../stack/base/random';
import type { OpenError } from '../stack/tcp/calls';
import type { Connection } from '../stack/tcp/connection';
import type { Listener } from '../stack/tcp/listener';
import type { FlowPlan } from './plan';
import { Side } from './side';
import type { SimHost } from './sim-host';
import type { World } from './world';

const CLIENT_PORT = 20_000;

/** One connection of a flow, its two ends. The server's is missing when it never heard of it. */
export interface Pair {
  readonly client: Side;
  server: Side | null;
  openError: OpenError | null;
  /** The client's port, by which the server's end is found. */
  clientPort: number;
}

/** The connections of one flow: opens them when their time comes, and judges them at the end. */
export class Flow {
  readonly pairs: Pair[] = [];
  private listener: Listener | null = null;
  private readonly clientKey: number;
  private readonly serverKey: number;
  private readonly random: Random;

  constructor(
    world: World,
    private readonly client: SimHost,
    private readonly server: SimHost,
    private readonly serverAddress: string,
    private readonly clientAddress: string,
    readonly plan: FlowPlan,
  ) {
    this.random = new Random(Math.imul(world.seed, 31) ^ plan.port);
    this.clientKey = this.random.int32();
    this.serverKey = this.random.int32();
  }

  start(): void {
    if (this.plan.open === 'listener') this.listen();
    for (let i = 0; i < this.plan.count; i++) {
      this.client.loop.post(this.plan.atMs + i * this.plan.everyMs, () => this.open(i));
    }
  }

  private side(host: SimHost, isClient: boolean): Side {
    const { plan } = this;
    const [mine, theirs] = isClient ? [plan.client, plan.server] : [plan.server, plan.client];
    const [key, peerKey] = isClient ? [this.clientKey, this.serverKey] : [this.serverKey, this.clientKey];
    return new Side(host, mine, theirs, plan.rounds, isClient, key, peerKey, this.random.fork());
  }

  private listen(): void {
    const { host } = this.server;
    const listener = host.listen(null, 0, this.plan.port, this.plan.backlog, {
      onAcceptable: (ready) => {
        while (ready.accepted.length > 0) this.accept(ready);
      },
    });
    if (typeof listener === 'string') throw new Error(`listening on ${this.plan.port}: ${listener}`);
    this.listener = listener;
  }

  private accept(listener: Listener): void {
    const side = this.side(this.server, false);
    const c = this.server.host.accept(listener, side);
    if (c === null) return;
    const same = this.pairs.filter(({ clientPort }) => clientPort === c.remotePort);
    // A SYN cookie may open it again, after a reset that only the server heard of: then the client's peer is the new one.
    const pair = same.find(({ server }) => server === null) ?? same.reverse().find(({ server }) => server?.isOver);
    if (pair !== undefined) pair.server = side;
    side.begins(c);
  }

  private open(i: number): void {
    const side = this.side(this.client, true);
    const localPort = this.plan.open === 'simultaneous' ? CLIENT_PORT + i : 0;
    const pair: Pair = { client: side, server: null, openError: null, clientPort: localPort };
    this.pairs.push(pair);
    const remote = addressOf(this.serverAddress);
    const c = this.client.host.connect(remote, this.portOf(i), null, localPort, side);
    if (typeof c === 'string') {
      pair.openError = c;
      return;
    }
    side.connection = c;
    pair.clientPort = c.localPort;
    if (this.plan.open === 'simultaneous') this.openBack(pair, c);
  }

  private portOf(i: number): number {
    return this.plan.open === 'simultaneous' ? this.plan.port + i : this.plan.port;
  }

  /** The other end opens at the same moment, towards this one. */
  private openBack(pair: Pair, c: Connection): void {
    const side = this.side(this.server, false);
    pair.server = side;
    const back = this.server.host.connect(addressOf(this.clientAddress), c.localPort, null, c.remotePort, side);
    if (typeof back === 'string') pair.openError = back;
    else side.connection = back;
  }

  stop(): void {
    if (this.listener !== null && !this.server.isDown) this.server.host.closeListener(this.listener);
  }

  /** No end waits for anything any more. */
  get isOver(): boolean {
    if (this.pairs.length < this.plan.count) return false;
    return this.pairs.every(
      ({ client, server, openError }) => openError !== null || (client.isOver && (server === null || server.isOver)),
    );
  }

  /**
   * What is wrong with how it went; null: nothing. `lossless` says that nothing happened that TCP does not make good: then
   * every byte must have arrived, both directions must have ended in order, and no application may have seen an error.
   * `honest` says that no end of a stream was forged.
   */
  verdict(lossless: boolean, honest: boolean): string | null {
    for (const pair of this.pairs) {
      const wrong = this.pairVerdict(pair, lossless, honest);
      if (wrong !== null) {
        const ends = [pair.client.describe(), pair.server?.describe() ?? 'no server side'].join('; ');
        return `flow on port ${this.plan.port}, client port ${pair.clientPort}: ${wrong} (${ends})`;
      }
    }
    return null;
  }

  private pairVerdict(pair: Pair, lossless: boolean, honest: boolean): string | null {
    const { client, server, openError } = pair;
    if (openError !== null) return lossless ? `could not be opened: ${openError}` : null;
    if (!client.isOver) return 'the client side never ended';
    if (server !== null && !server.isOver) return 'the server side never ended';
    if (this.plan.open === 'nobody')
      return client.error === null ? 'a port where nobody listens was connected to' : null;
    const partial = this.endVerdict(client, server, honest) ?? (server && this.endVerdict(server, client, honest));
    if (partial !== null) return partial;
    if (!lossless) return null;
    const aborts = this.plan.client.end === 'abort' || this.plan.server.end === 'abort';
    if (aborts) return null;
    if (server === null) return this.meetsItsPast(pair) ? null : 'the server never heard of it';
    if (client.error !== null || server.error !== null) return 'an error although nothing unrecoverable happened';
    if (client.received !== this.plan.server.bytes || server.received !== this.plan.client.bytes)
      return 'bytes are missing';
    return null;
  }

  /**
   * A host whose first number is always the same one cannot open the four-tuple again that its peer holds in TIME-WAIT:
   * RFC 6191 asks for a number beyond the last.
   */
  private meetsItsPast(pair: Pair): boolean {
    if (this.client.host.stack.tcp.initialSequenceFixed === null) return false;
    const before = this.pairs.slice(0, this.pairs.indexOf(pair));
    return pair.client.error === 'ETIMEDOUT' && before.some((other) => other.clientPort === pair.clientPort);
  }

  /** A side that saw the end must have seen all that was written before it. */
  private endVerdict(side: Side, peer: Side | null, honest: boolean): string | null {
    if (peer !== null && side.received > peer.written) return 'more was read than written';
    if (honest && side.ended && peer !== null && side.received !== peer.written) return 'the end came before all bytes';
    return null;
  }
}
