import type { Address } from '../stack/base/address';
import { defineFlags } from '../stack/base/flags';
import type { Slab } from '../stack/base/memory';
import type { Connection } from '../stack/tcp/connection';
import type { DirectConsumer } from './direct';
import type { HandleOwner } from './handle-owner';
import { HandleResource } from './handle-resource';
import type { Host } from './host';
import { handleOpened } from './live-handles';
import { HOLD_FLAGS, ProcessHold } from './process-hold';
import type { SendQueue } from './send-queue';

/** The connection ended while a direct consumer looked at text of it. */
export interface ClosedWhileLent {
  /** Where that lies: not to be written to. */
  readonly slab: Slab;
  /** What had arrived behind it. */
  readonly rest: Buffer | null;
}

/** What a handle knows, and the two things that follow from it: whether it keeps the process, and in whose context it calls. */
export abstract class HandleState extends ProcessHold {
  /** Whether text may be delivered. Node's socket code sets and reads it. */
  declare reading: boolean;
  bytesRead = 0;
  owner: HandleOwner | null = null;
  /** Gets the text in place instead of the owner's stream. */
  direct: DirectConsumer | null = null;
  /** Where text goes instead of fresh buffers (the `onread` option). */
  declare userBuffer: Uint8Array | null;
  connection: Connection | null = null;
  declare readonly fd: number;
  declare protected connecting: boolean;
  declare protected mayConnectAgain: boolean;
  /** The end of text, or the error, has been told: there is nothing more to read. */
  declare protected eof: boolean;
  declare protected errorTold: boolean;
  /** Bytes that the direct consumer looks at now. */
  protected lent = 0;
  declare protected closedWhileLent: ClosedWhileLent | null;
  /** Bytes that the direct consumer did not take yet of what libuv would have read at once. */
  declare protected heldBack: number;
  /** Text was handed over in this wake-up. */
  declare protected textTold: boolean;
  /** The turn of the host in which text was told last. */
  protected textToldIn = -1;
  /** The reader stopped, and went on at once: the error behind the text reads as if he had not. */
  protected endsAsText = false;
  /** The turn of the host in which it was accepted: libuv begins to read in its next. */
  declare protected acceptedIn: number;
  /** What tools see in the place of `getAsyncId`, if anything: an agent's idle socket belongs to nobody. */
  declare asyncIdShown: number | undefined;
  declare protected bound: { address: Address; port: number } | null;
  declare protected reader: ((...told: unknown[]) => unknown) | null;
  /** The socket waits in a pool of Node's, where it must get nothing. */
  declare protected guarded: boolean;
  protected resource: HandleResource;
  /** Made for the first write that does not go the direct way. */
  protected queue: SendQueue | null = null;
  /** Bytes handed to the connection, and those that still wait to be, as Node counts them. */
  bytesWritten = 0;
  declare protected ownerOfAcknowledged: (() => void) | null;
  protected acknowledgedBefore = 0;
  protected shutdownDone: (() => void) | null = null;

  declare protected mapped: boolean;

  /** @param mapped the socket is an IPv6 one even if its connection is IPv4. */
  constructor(
    readonly host: Host,
    mapped = false,
  ) {
    super();
    this.mapped = mapped;
    this.resource = new HandleResource('TCPWRAP', this);
    handleOpened(this);
  }

  get kind(): string {
    return 'TCPSocketWrap';
  }

  get requests(): string[] {
    const all: string[] = [];
    if (this.connecting) all.push('ConnectWrap');
    if (this.writeQueueSize > 0) all.push('SimpleWriteWrap');
    if (this.shutdownDone !== null) all.push('SimpleShutdownWrap');
    return all;
  }

  /** Bytes of a write that did not fit the send buffer yet. */
  get writeQueueSize(): number {
    return this.queue === null ? 0 : this.queue.waiting;
  }

  /**
   * Node's rule for what keeps a process alive: requests under way always, the wish to read only of a ref'd handle. A
   * connection that nobody reads from and nobody waits to write to does not.
   */
  protected get awaited(): boolean {
    const requests = this.connecting || this.writeQueueSize > 0 || this.shutdownDone !== null;
    return requests || (this.refed && this.reading && !this.eof);
  }

  getAsyncId(): number {
    return this.resource.asyncId();
  }

  /** Node's number of the kind of resource; its agent asks when it lends a socket to another request. */
  getProviderType(): number {
    return 0;
  }

  /** From now on events run in the caller's context: a pooled connection serves somebody else. */
  asyncReset(): void {
    this.resource.emitDestroy();
    this.resource = new HandleResource('TCPWRAP', this);
  }
}

const FLAGS = ['reading', 'connecting', 'mayConnectAgain', 'eof', 'errorTold', 'textTold', 'guarded', 'mapped'];
defineFlags(HandleState.prototype, FLAGS, HOLD_FLAGS);
/** What hardly any handle has stands here until it does: every one of a hundred thousand would pay for a field of its own. */
Object.assign(HandleState.prototype, {
  fd: -1,
  acceptedIn: -1,
  userBuffer: null,
  closedWhileLent: null,
  heldBack: 0,
  bound: null,
  reader: null,
  asyncIdShown: undefined,
  ownerOfAcknowledged: null,
});
