/** Fault catalogue §3, connecting and established connections: wire event, error object, order of events. */
import {
  type Action,
  ack,
  blackhole,
  call,
  coalesce,
  createWire,
  drop,
  fin,
  icmp,
  inject,
  type Match,
  nth,
  rst,
  stall,
  syn,
  synAck,
  type Wire,
  window,
} from '../../../fault';
import { saidWith } from '../../../fault/versions';
import type { Socket } from '../../../net';

let wire: Wire;
beforeEach(() => {
  wire = createWire({ rtt: 20 });
});
afterEach(() => wire.close());

interface Failure {
  message: string;
  code: string;
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
}

/** A socket with what it tells, in order. */
function open(events: string[] = []): { socket: Socket; events: string[]; over: Promise<Failure | null> } {
  const socket = wire.connect({ host: '10.0.0.2', port: 80 });
  let failure: Failure | null = null;
  for (const event of ['connect', 'data', 'end', 'timeout', 'error', 'close'])
    socket.on(event, (detail: unknown) => {
      if (event === 'error') failure = { ...(detail as object), message: (detail as Error).message } as Failure;
      const shown =
        event === 'close' ? `(${String(detail)})` : event === 'error' ? `(${(detail as Error).message})` : '';
      events.push(`${event}${shown}`);
    });
  const over = new Promise<Failure | null>((resolve) => socket.on('close', () => resolve(failure)));
  return { socket, events, over };
}

describe('connect', () => {
  test.each<[string, Match, Action[], string, number]>([
    ['SYN answered by RST,ACK', syn(), [drop(), rst({ to: 'c' })], 'ECONNREFUSED', -111],
    ['ICMP 3/0', syn(), [drop(), icmp(3, 0, { to: 'c' })], 'ENETUNREACH', -101],
    ['ICMP 3/1', syn(), [drop(), icmp(3, 1, { to: 'c' })], 'EHOSTUNREACH', -113],
    ['ICMP 3/2', syn(), [drop(), icmp(3, 2, { to: 'c' })], 'ENOPROTOOPT', -92],
    ['ICMP 3/3', syn(), [drop(), icmp(3, 3, { to: 'c' })], 'ECONNREFUSED', -111],
    ['ICMP 3/13', syn(), [drop(), icmp(3, 13, { to: 'c' })], 'EHOSTUNREACH', -113],
    ['ICMP 11/0', syn(), [drop(), icmp(11, 0, { to: 'c' })], 'EHOSTUNREACH', -113],
    ['SYN lost, every one', syn(), [drop()], 'ETIMEDOUT', -110],
    ['RST in the same wake-up as SYN,ACK', synAck(), [coalesce(), rst({ to: 'c' })], 'ECONNRESET', -104],
  ])('%s: %s', async (_, match, actions, code, errno) => {
    await wire.serve((_request, response) => response.end());
    wire.on(match).do(...actions);
    const { events, over } = open();
    const failure = await wire.run(over);
    const message = `connect ${code} 10.0.0.2:80`;
    expect(failure).toEqual({ message, code, errno, syscall: 'connect', address: '10.0.0.2', port: 80 });
    expect(events).toEqual([`error(${message})`, 'close(true)']);
  });

  test('nobody listens: ECONNREFUSED, by a reset of the server itself', async () => {
    const { over } = open();
    expect(await wire.run(over)).toMatchObject({ code: 'ECONNREFUSED', errno: -111 });
    expect(wire.trace().notation()).toBe('S RA');
  });

  test.each([
    // Four waits are not doubled: Linux from 6.5 on.
    ['linux-6.5', [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67], 131_000],
    // Kernels before 6.5.
    ['linux-node20', [0, 1, 3, 7, 15, 31, 63], 127_000],
  ])('SYN lost: sent again, case %#', async (profile, at, ms) => {
    wire.close();
    wire = createWire({ profile });
    wire.on(syn()).do(drop());
    const { over } = open();
    await wire.run(over);
    const seconds = wire
      .trace()
      .entries.filter((e) => e.kind === 'sent')
      .map((e) => Math.round(e.at / 1000));
    expect(seconds).toEqual(at);
    expect(wire.clock.now()).toBeCloseTo(ms, -1);
  });
});

/** A connection to a peer that says nothing by itself. */
async function established(): Promise<ReturnType<typeof open>> {
  await wire.peer(() => {});
  const made = open();
  await wire.run(new Promise((resolve) => made.socket.on('connect', resolve)));
  await wire.clock.settle();
  return made;
}

describe('established', () => {
  test('exact RST: read ECONNRESET, without an address', async () => {
    const { events, over } = await established();
    wire.do(rst({ to: 'c' }));
    expect(await wire.run(over)).toEqual({
      message: 'read ECONNRESET',
      code: 'ECONNRESET',
      errno: -104,
      syscall: 'read',
    });
    expect(events).toEqual(['connect', 'error(read ECONNRESET)', 'close(true)']);
  });

  test.each([
    ['inside the window', 100, /A$/],
    ['outside of it', 0x1000_0000, /RA$/],
  ])('inexact RST %s: the connection lives', async (_, off, notation) => {
    const { events } = await established();
    wire.do(rst({ to: 'c', exact: false, off }));
    await wire.clock.advance(500);
    expect(events).toEqual(['connect']);
    // Inside: a challenge ACK (RFC 5961 §3.2). Outside: nothing.
    expect(wire.trace().notation()).toMatch(notation);
  });

  test('data and RST in one wake-up: the data, an end, no error; newer ones tell the reset', async () => {
    const { events, over } = await established();
    wire.do(inject('bye', { as: 's2c' }), coalesce(), rst({ to: 'c' }));
    const error = (await wire.run(over)) as NodeJS.ErrnoException | null;
    expect(error?.message ?? null).toBe(saidWith<string | null>(null, { resetBehindText: 'read ECONNRESET' }));
    expect(events).toEqual(
      saidWith(['connect', 'data', 'end', 'close(false)'], {
        resetBehindText: ['connect', 'data', 'error(read ECONNRESET)', 'close(true)'],
      }),
    );
  });

  test('data and RST a wake-up apart: the data, then read ECONNRESET', async () => {
    const { events, over } = await established();
    wire.do(inject('bye', { as: 's2c' }));
    await wire.clock.advance(5);
    wire.do(rst({ to: 'c' }));
    expect(await wire.run(over)).toMatchObject({ message: 'read ECONNRESET' });
    expect(events).toEqual(['connect', 'data', 'error(read ECONNRESET)', 'close(true)']);
  });

  test('FIN: end, and Node ends its side', async () => {
    const { events, over } = await established();
    wire.do(fin({ to: 'c' }));
    expect(await wire.run(over)).toBeNull();
    expect(events).toEqual(['connect', 'end', 'close(false)']);
  });

  test('write with a RST that waits to be read: write ECONNRESET', async () => {
    const { events, over, socket } = await established();
    wire.do(stall('client', 400));
    wire.do(rst({ to: 'c' }));
    await wire.clock.advance(100);
    socket.write('late');
    expect(await wire.run(over)).toEqual({
      message: 'write ECONNRESET',
      code: 'ECONNRESET',
      errno: -104,
      syscall: 'write',
    });
    expect(events).toEqual(['connect', 'error(write ECONNRESET)', 'close(true)']);
  });

  test('RST in CLOSE-WAIT: silent until a write, which is EPIPE', async () => {
    await wire.peer(() => {});
    const socket = wire.clientNet.connect({ host: '10.0.0.2', port: 80, allowHalfOpen: true });
    const errors: Error[] = [];
    socket.on('error', (error: Error) => errors.push(error));
    socket.resume();
    await wire.run(new Promise((resolve) => socket.on('connect', resolve)));
    wire.do(fin({ to: 'c' }));
    await wire.run(new Promise((resolve) => socket.on('end', resolve)));
    wire.do(rst({ to: 'c' }));
    await wire.clock.advance(1000);
    expect(errors).toEqual([]);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write('x');
    await wire.run(closed);
    expect(errors).toMatchObject([{ message: 'write EPIPE', code: 'EPIPE', errno: -32, syscall: 'write' }]);
  });

  test('data that is never acknowledged: retransmitted, then read ETIMEDOUT after about 924 s', async () => {
    const { over, socket } = await established();
    const began = wire.clock.now();
    wire.on({ dir: 'c2s' }).do(drop());
    socket.write('into the void');
    expect(await wire.run(over)).toMatchObject({ message: 'read ETIMEDOUT', errno: -110 });
    expect(wire.clock.now() - began).toBeGreaterThan(800_000);
    expect(wire.clock.now() - began).toBeLessThan(1_100_000);
  });

  test('data unacknowledged and ICMP host unreachable on each: read EHOSTUNREACH at the end', async () => {
    const { over, socket } = await established();
    wire.on({ dir: 'c2s', len: [1, 9999] }).do(drop(), icmp(3, 1, { to: 'c' }));
    socket.write('into the void');
    expect(await wire.run(over)).toMatchObject({ message: 'read EHOSTUNREACH', errno: -113 });
  });

  test('keep-alive probes unanswered: read ETIMEDOUT after delay and ten probes a second apart', async () => {
    const { over, socket } = await established();
    socket.setKeepAlive(true, 1000);
    const began = wire.clock.now();
    wire.do(blackhole());
    expect(await wire.run(over)).toMatchObject({ message: 'read ETIMEDOUT', syscall: 'read' });
    const took = wire.clock.now() - began;
    expect(took).toBeGreaterThan(10_500);
    expect(took).toBeLessThan(12_500);
  });

  test('zero window: no error, only a timeout that was asked for', async () => {
    const { events, socket } = await established();
    wire.do(window('server', 0));
    await wire.clock.advance(50);
    socket.setTimeout(5000);
    socket.write(Buffer.alloc(100_000));
    await wire.clock.advance(30_000);
    expect(events.filter((event) => event !== 'timeout')).toEqual(['connect']);
    expect(events).toContain('timeout');
    expect(
      wire
        .trace()
        .delivered()
        .filter((e) => e.dir === 'c2s' && e.length > 1000).length,
    ).toBeLessThanOrEqual(1);
  });
});

describe('accept, then reset (2.37)', () => {
  test('a wake-up after the handshake: connected, then read ECONNRESET', async () => {
    await wire.peer(() => {});
    wire.on(ack()).do(rst({ to: 'c' }));
    const { events, over } = open();
    expect(await wire.run(over)).toMatchObject({ message: 'read ECONNRESET' });
    expect(events).toEqual(['connect', 'error(read ECONNRESET)', 'close(true)']);
  });
});

test('call runs code of the test, and nth counts', async () => {
  const seen: number[] = [];
  await wire.peer(() => {});
  wire.on(nth(2, { dir: 'c2s' })).do(call(() => seen.push(wire.clock.now())));
  const { socket } = open();
  await wire.run(new Promise((resolve) => socket.on('connect', resolve)));
  await wire.clock.settle();
  expect(seen).toHaveLength(1);
});
