import { Address, parseCidr } from '../stack/base/address';
import { i32, u16 } from '../stack/base/bytes';
import { TX_FIXED } from '../stack/base/tx-queue';
import type { Interface } from '../stack/ip/interface';
import { writeIpv4 } from '../stack/ip/ipv4';
import { DEFAULT_CONFIG, Stack, type StackConfig, type StackLimits } from '../stack/stack';
import { consume, listen } from '../stack/tcp/calls';
import type { Connection, ConnectionOwner } from '../stack/tcp/connection';
import { ACK, PSH, SYN, TCP_HEADER_BYTES, writeHeader } from '../stack/tcp/header';
import type { Listener } from '../stack/tcp/listener';
import { type Seq, seqAdd } from '../stack/tcp/seq';

const PORT = 80;
const LOCAL = 0x0aff0001;
const HEADERS = 20 + TCP_HEADER_BYTES;
/** Ports of each address that peers come from. */
const PORTS = 50_000;

const NOBODY: ConnectionOwner = { onSignals() {} };

/**
 * One stack, in virtual time and without a host, and any number of peers whose segments are made by hand: the cheapest way
 * to have many connections. Peer `i` is always the same address and port; its text is counted, nothing else is kept.
 */
export class RawPeers {
  readonly stack: Stack;
  readonly listener: Listener;
  now = 1_000_000;
  private readonly iface: Interface;
  private readonly local = Address.v4(LOCAL);

  constructor(limits: Partial<StackLimits> = {}, config: Partial<StackConfig> = {}, backlog = 1024) {
    this.stack = new Stack({ ...DEFAULT_CONFIG, seed: 1, ...config, limits: { ...DEFAULT_CONFIG.limits, ...limits } });
    this.iface = this.stack.addInterface({
      name: 'bench',
      link: 'ip',
      mtu: 1500,
      mac: null,
      addresses: [parseCidr('10.255.0.1/8')!],
      checksumOffload: true,
      tso4: false,
      tso6: false,
    });
    const listener = listen(this.stack.tcp, null, 4, PORT, backlog);
    if (typeof listener === 'string') throw new Error(listener);
    this.listener = listener;
  }

  /** One segment of peer `i`, followed by `bytes` zero bytes of text. The stack answers at the next `poll`. */
  segment(i: number, seq: number, ack: number, flags: number, bytes = 0, window = 0xffff): void {
    const { stack } = this;
    if (!stack.rotateSlab()) throw new Error('no slab has room');
    const slab = stack.slabs.current;
    const at = slab.fill;
    const from = 0x0a000002 + Math.floor(i / PORTS);
    writeIpv4(slab.bytes, at, HEADERS + bytes, 0, 0, 0, 64, 6, from, LOCAL);
    const port = 1024 + (i % PORTS);
    writeHeader(slab.bytes, at + 20, port, PORT, seq as Seq, ack as Seq, TCP_HEADER_BYTES, flags, window, 0);
    slab.fill += HEADERS + bytes;
    stack.receive(this.iface, slab, at, HEADERS + bytes, true, 0, this.now);
    // Nothing of it was kept: the place is free again.
    if (slab.refs === 0 && !slab.escaped) slab.fill = 0;
  }

  /** Called, if set, for each segment that the stack sends: to which port, with which number and flags. */
  onSent: ((port: number, seq: Seq, flags: number) => void) | null = null;

  private tellSent(): void {
    const { header, records } = this.iface.tx;
    let record = 0;
    for (let left = this.iface.tx.frames; left > 0; left--) {
      const at = records[record + TX_FIXED + 1]! + 20;
      this.onSent!(u16(header, at + 2), i32(header, at + 4) as Seq, header[at + 13]!);
      record = this.iface.tx.next(record);
    }
  }

  /** Sends what is due into the void, and tells nobody. Returns how many frames that were. */
  poll(): number {
    const { stack } = this;
    let frames = 0;
    for (let all = false; !all; ) {
      all = stack.poll(this.now);
      frames += this.iface.tx.frames;
      if (this.onSent !== null) this.tellSent();
      this.iface.tx.clear();
      stack.blocks.settle();
    }
    const { tcp } = stack;
    for (let c = tcp.signalled.take(); c !== null; c = tcp.signalled.take()) c.signals = 0;
    for (let l = tcp.acceptable.take(); l !== null; l = tcp.acceptable.take()) l.signalled = false;
    return frames;
  }

  /** Time passes, and what was due in it happens at its time. */
  wait(ms: number): void {
    const end = this.now + ms;
    for (let next = this.stack.nextDeadline(); next <= end; next = this.stack.nextDeadline()) {
      this.now = Math.max(this.now, next);
      this.poll();
    }
    this.now = end;
    this.poll();
  }

  connectionOf(i: number): Connection | null {
    const remote = Address.v4(0x0a000002 + Math.floor(i / PORTS));
    return this.stack.tcp.connections.lookup(this.local, PORT, remote, 1024 + (i % PORTS));
  }

  /** The whole handshake of peer `i`, whose sequence numbers begin at 1000; the connection is accepted. */
  open(i: number): Connection {
    this.segment(i, 1000, 0, SYN);
    this.poll();
    const half = this.connectionOf(i);
    if (half === null) throw new Error('the SYN was not taken');
    this.segment(i, 1001, seqAdd(half.iss, 1), ACK);
    this.poll();
    const c = this.listener.accepted.shift();
    if (c === undefined) throw new Error('nobody to accept');
    c.owner = NOBODY;
    return c;
  }

  /** Peer `i` sends `bytes` bytes and acknowledges all that came; whoever owns the connection reads them. */
  ask(i: number, c: Connection, bytes: number): void {
    this.segment(i, c.rcvNxt, c.sndNxt, ACK | PSH, bytes);
    consume(this.stack.tcp, c, bytes, this.now);
  }
}
