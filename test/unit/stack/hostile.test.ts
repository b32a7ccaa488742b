import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RawPeers } from '../../../benchmarks/raw-peers';
import { BLOCK_SIZES, NONE } from '../../../stack/base/memory';
import { consume, send } from '../../../stack/tcp/calls';
import type { Connection } from '../../../stack/tcp/connection';
import { ACK, FIN, PSH, RST, SYN } from '../../../stack/tcp/header';
import { NODE_COST } from '../../../stack/tcp/receive-store';
import { type Seq, seqAdd } from '../../../stack/tcp/seq';

/* What floods and hoarders can take from the core, in virtual time: every list has its cap, and others go on meanwhile. */

jest.setTimeout(120_000);

/** Somebody polite opens a connection amid a flood, by cookie if need be, and gets an answer. */
function served(peers: RawPeers, i: number): void {
  let iss = 0 as Seq;
  peers.onSent = (port, seq, flags) => {
    if (port === 1024 + (i % 50_000) && (flags & SYN) !== 0) iss = seq;
  };
  peers.segment(i, 5000, 0, SYN);
  peers.poll();
  peers.segment(i, 5001, seqAdd(iss, 1), ACK | PSH, 10);
  peers.poll();
  const c = peers.connectionOf(i)!;
  expect(c.state).toBe('ESTABLISHED');
  expect(c.readable).toBe(10);
  consume(peers.stack.tcp, c, 10, peers.now);
  send(peers.stack.tcp, c, new Uint8Array(100), 0, 100);
  expect(peers.poll()).toBe(1);
  peers.onSent = null;
  peers.segment(i, seqAdd(5001 as Seq, 10), c.sndNxt, RST | ACK);
  expect(c.state).toBe('CLOSED');
  peers.listener.accepted.length = 0;
}

describe('a SYN flood', () => {
  test('a hundred thousand SYNs take as many slots as the backlog has; cookies serve the others', () => {
    const peers = new RawPeers({}, {}, 256);
    const { tcp } = peers.stack;
    for (let i = 0; i < 100_000; i++) {
      peers.segment(i, i, 0, SYN);
      if (i % 100 === 0) peers.poll();
      if (i % 10_000 === 5000) served(peers, 200_000 + i);
    }
    peers.poll();
    expect(peers.listener.halfOpen).toBe(257);
    expect(tcp.connections.size).toBe(257);
    expect(tcp.counters.cookiesSent).toBeGreaterThan(90_000);
    expect(tcp.sent.inUse).toBe(257);
    expect(peers.stack.blocks.inUse).toBe(0);
    // Nobody answers them: in a while all are gone.
    peers.wait(200_000);
    expect([peers.listener.halfOpen, tcp.connections.size, tcp.sent.inUse]).toEqual([0, 0, 0]);
    expect(peers.stack.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test('guesses at cookies open nothing', () => {
    const peers = new RawPeers({}, {}, 16);
    for (let i = 0; i < 1000; i++) peers.segment(i, i, 0, SYN);
    for (let i = 2000; i < 22_000; i++) {
      peers.segment(i, i, i * 7919, ACK);
      if (i % 100 === 0) peers.poll();
    }
    peers.poll();
    expect(peers.listener.accepted.length).toBe(0);
    expect(peers.stack.tcp.counters.cookiesFailed).toBeGreaterThan(19_000);
    expect(peers.stack.tcp.connections.size).toBe(17);
  });
});

test('connections that are never accepted, and connections beyond the limit, are refused', () => {
  const queue = new RawPeers({}, {}, 50);
  for (let i = 0; i < 200; i++) {
    queue.segment(i, 1000, 0, SYN);
    queue.poll();
    const half = queue.connectionOf(i);
    if (half !== null) queue.segment(i, 1001, seqAdd(half.iss, 1), ACK);
  }
  expect(queue.listener.accepted.length).toBe(51);
  expect(queue.stack.drops.counts['tcp-accept-queue-full']).toBe(149);

  const few = new RawPeers({ connectionsMax: 100 });
  for (let i = 0; i < 100; i++) few.open(i);
  for (let i = 100; i < 1000; i++) few.segment(i, 1000, 0, SYN);
  expect(few.stack.tcp.connections.size).toBe(100);
  expect(few.stack.drops.counts['memory-pressure']).toBe(900);
  few.segment(5, 1001, few.connectionOf(5)!.sndNxt, RST | ACK);
  few.open(100);
});

describe('tiny segments', () => {
  const full = (c: Connection): number => c.receiveLimit + (c.receiveLimit >> 1) + 65_536;

  test('in order and never read: what they cost closes the window', () => {
    const peers = new RawPeers();
    const c = peers.open(0);
    const start = c.rcvNxt;
    for (let i = 0; i < 200_000; i++) peers.segment(0, seqAdd(start, i), c.sndNxt, ACK | PSH, 1);
    peers.poll();
    expect(c.charged).toBeLessThanOrEqual(full(c));
    expect(peers.stack.tcp.store.inUse).toBeLessThanOrEqual(full(c) / (NODE_COST + 1));
    expect(peers.stack.slabs.slabs.length).toBeLessThanOrEqual(2);
    served(peers, 7);
    peers.segment(0, c.rcvNxt, c.sndNxt, RST | ACK);
    expect(peers.stack.tcp.connections.size).toBe(0);
  });

  test('every second byte only: the queue beyond the hole has the same limit, and goes with the connection', () => {
    const peers = new RawPeers();
    const c = peers.open(0);
    const start = seqAdd(c.rcvNxt, 1);
    for (let i = 0; i < 60_000; i += 2) {
      peers.segment(0, seqAdd(start, i), c.sndNxt, ACK, 1);
      if (i % 1000 === 0) peers.poll();
    }
    expect(c.readable).toBe(0);
    expect(c.charged).toBeLessThanOrEqual(full(c));
    expect(peers.stack.tcp.store.inUse).toBe(c.oooNodes);
    served(peers, 7);
    // The byte that is missing still finds a place.
    peers.segment(0, c.rcvNxt, c.sndNxt, ACK | PSH, 1);
    expect(c.readable).toBeGreaterThan(0);
    peers.segment(0, c.rcvNxt, c.sndNxt, RST | ACK);
    expect(c.oooNodes).toBe(0);
    expect(peers.stack.tcp.store.held).toBe(c.readable);
  });

  test('a thousand connections with a little text each pin no more slabs than there are', () => {
    const peers = new RawPeers({ slabsMax: 4 });
    const all = Array.from({ length: 1000 }, (_, i) => peers.open(i));
    for (let round = 0; round < 12; round++) {
      all.forEach((c, i) => {
        peers.segment(i, c.rcvNxt, c.sndNxt, ACK | PSH, 1);
        // Others are busy, so the one byte stands at the end of much that is not kept.
        peers.segment(i, seqAdd(c.rcvNxt, -1000), c.sndNxt, ACK, 1000);
      });
      peers.poll();
      served(peers, 5000 + round);
    }
    expect(peers.stack.slabs.slabs.length).toBeLessThanOrEqual(4);
    expect(all.every((c) => c.readable === 12)).toBe(true);
  });
});

describe('send memory', () => {
  const sendBytesMax = 1 << 20;
  const page = new Uint8Array(65_536);

  /** So many connections, the first of which have written as much as they may, and are not acknowledged. */
  function stalled(count: number, writers: number): [RawPeers, Connection[]] {
    const peers = new RawPeers({ sendBytesMax });
    const all = Array.from({ length: count }, (_, i) => peers.open(i));
    for (const c of all.slice(0, writers)) while (send(peers.stack.tcp, c, page, 0, page.length) > 0);
    return [peers, all];
  }

  test('who has none gets a first block, however much others have taken', () => {
    const [peers, all] = stalled(100, 60);
    const { tcp, blocks } = peers.stack;
    expect(blocks.bytesInUse).toBeLessThanOrEqual(sendBytesMax);
    for (const c of all.slice(60)) expect(send(tcp, c, page, 0, 2000)).toBe(2000);
    // Those who come now do as well.
    for (let i = 100; i < 130; i++) expect(send(tcp, peers.open(i), page, 0, 2000)).toBe(2000);
    expect(blocks.bytesInUse).toBeLessThanOrEqual(sendBytesMax);
  });

  test('what becomes free wakes as many as it is enough for, in turns', () => {
    const [peers, all] = stalled(60, 60);
    const { tcp, blocks } = peers.stack;
    peers.poll();
    const woken = new Set<Connection>();
    let rounds = 0;
    for (const c of all) c.owner = { onSignals: () => {} };
    const before = blocks.room;
    expect(before).toBeLessThan(BLOCK_SIZES[1]);
    for (; rounds < 200 && woken.size < 40; rounds++) {
      const c = all[rounds % 10]!;
      peers.segment(rounds % 10, c.rcvNxt, c.sndNxt, ACK, 0, 0xffff);
      blocks.refused = true;
      const enough = Math.ceil(blocks.room / BLOCK_SIZES[1]);
      tcp.poll(peers.now);
      expect(tcp.signalled.size).toBeLessThanOrEqual(enough + 1);
      for (let s = tcp.signalled.take(); s !== null; s = tcp.signalled.take()) {
        s.signals = 0;
        woken.add(s);
        send(tcp, s, page, 0, page.length);
      }
      peers.poll();
    }
    expect(woken.size).toBeGreaterThanOrEqual(40);
    expect(blocks.bytesInUse).toBeLessThanOrEqual(sendBytesMax);
  });
});

test('a flood of closes fills the TIME-WAIT table to its cap, the oldest making room', () => {
  const peers = new RawPeers({ timeWaitsMax: 1000 });
  const { tcp } = peers.stack;
  for (let i = 0; i < 5000; i++) {
    const c = peers.open(i);
    tcp.enter(c, 'FIN-WAIT-1', peers.now);
    c.finQueued = true;
    tcp.wantsOutput(c);
    peers.poll();
    peers.segment(i, c.rcvNxt, c.sndNxt, ACK | FIN);
    peers.poll();
    peers.now += 1;
  }
  expect(tcp.timeWaits.size).toBe(1000);
  expect(tcp.counters.timeWaitsEvicted).toBe(4000);
  expect([...tcp.timeWaits].map((w) => w.remotePort)).toEqual(Array.from({ length: 1000 }, (_, i) => 1024 + 4000 + i));
  peers.wait(70_000);
  expect(tcp.timeWaits.size).toBe(0);
});

describe('an idle connection', () => {
  test('holds no block, no text and no record, and shares what it has not changed', () => {
    const peers = new RawPeers();
    const { tcp } = peers.stack;
    const c = peers.open(0);
    peers.ask(0, c, 100);
    send(tcp, c, new Uint8Array(3000), 0, 3000);
    peers.poll();
    expect(peers.stack.blocks.inUse).toBe(1);
    peers.segment(0, c.rcvNxt, c.sndNxt, ACK);
    peers.wait(5000);
    expect(peers.stack.blocks.inUse).toBe(0);
    expect([tcp.store.inUse, tcp.sent.inUse, c.readHead, c.sent.head]).toEqual([0, 0, NONE, NONE]);
    const other = peers.open(1);
    expect(other.trouble).toBe(c.trouble);
    expect(other.settings).toBe(c.settings);
    expect(other.remote).toBe(c.remote);
    expect(peers.stack.nextDeadline()).toBe(Number.POSITIVE_INFINITY);

    // What one changes is its own.
    other.lostOut = 3;
    other.undoable = true;
    other.hopLimit = 9;
    other.keepAlive = true;
    expect([c.lostOut, c.undoable, c.hopLimit, c.keepAlive]).toEqual([0, false, 64, false]);
    expect([other.lostOut, other.undoable, other.hopLimit, other.keepAlive]).toEqual([3, true, 9, true]);
  });

  test('costs less than 4 KiB', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const peers = new RawPeers();
    const open = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        const c = peers.open(i);
        peers.ask(i, c, 100);
        send(peers.stack.tcp, c, new Uint8Array(200), 0, 200);
        peers.poll();
        peers.segment(i, c.rcvNxt, c.sndNxt, ACK);
      }
      peers.wait(5000);
      gc();
    };
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external;
    open(0, 1000);
    const before = used();
    open(1000, 5000);
    expect((used() - before) / 4000).toBeLessThan(4096);
  });
});
