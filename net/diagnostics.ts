import diagnostics from 'node:diagnostics_channel';
import type { Connection, State, TcpError } from '../stack/tcp/connection';
import type { TcpObserver } from '../stack/tcp/observer';
import type { Host } from './host';
import { microtask } from './time';

/** A connection in a message of the channels below: plain data, as it was when it happened. */
export interface ConnectionFacts {
  /** The number under which traces, qlog and `tapwire ss` name it. */
  readonly id: number;
  readonly state: State;
  readonly passive: boolean;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

const open = diagnostics.channel('tapwire:tcp:open');
const state = diagnostics.channel('tapwire:tcp:state');
const close = diagnostics.channel('tapwire:tcp:close');
const error = diagnostics.channel('tapwire:tcp:error');
const retransmit = diagnostics.channel('tapwire:tcp:retransmit');

/**
 * Publishes what happens to a host's connections on `diagnostics_channel`: tapwire:tcp:open, :state { from }, :error
 * { error }, :close and :retransmit { bytes }, each with { host, connection, at }. Subscribers are called after the batch
 * of frames that caused it, so that whatever they do to sockets is done from outside the stack. Without a subscriber it
 * costs a test for each such event, and nothing for a segment.
 */
export class HostDiagnostics implements TcpObserver {
  private waiting: { channel: diagnostics.Channel; message: object }[] = [];

  constructor(private readonly host: Host) {}

  opened(c: Connection, now: number): void {
    if (open.hasSubscribers) this.tell(open, c, now, {});
  }

  entered(c: Connection, from: State, now: number): void {
    if (state.hasSubscribers) this.tell(state, c, now, { from });
    if (c.state === 'CLOSED' && close.hasSubscribers) this.tell(close, c, now, { from, error: c.error });
  }

  failed(c: Connection, why: TcpError, now: number): void {
    if (error.hasSubscribers) this.tell(error, c, now, { error: why });
  }

  retransmitted(c: Connection, bytes: number, now: number): void {
    if (retransmit.hasSubscribers) this.tell(retransmit, c, now, { bytes });
  }

  private tell(channel: diagnostics.Channel, c: Connection, at: number, more: object): void {
    if (this.waiting.length === 0) microtask(() => this.publish());
    this.waiting.push({ channel, message: { host: this.host, connection: factsOf(c), at, ...more } });
  }

  private publish(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const { channel, message } of waiting) channel.publish(message);
  }
}

function factsOf(c: Connection): ConnectionFacts {
  return {
    id: c.id,
    state: c.state,
    passive: c.passive,
    localAddress: String(c.local),
    localPort: c.localPort,
    remoteAddress: String(c.remote),
    remotePort: c.remotePort,
  };
}
