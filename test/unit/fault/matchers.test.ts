/** Matchers fail when they must, and say why; the same as plain assertions for other runners. */
import { check, coalesce, createWire, fin, openWires, req, res, rst, tearDown, type Wire } from '../../../fault/jest';

let wire: Wire;
beforeEach(async () => {
  // These tests are about failing ones.
  wire = createWire({ leaks: 'ignore' });
  await wire.serve((_, response) => response.end('0123456789'));
});

const failing = (place = res(1).bodyByte(4), action = rst({ to: 'c' })): Promise<unknown> => {
  wire.on(place).do(action);
  return wire.get('/').catch((error: unknown) => error);
};

test('toBeNodeError', async () => {
  const error = await failing();
  expect(error).toBeNodeError('ECONNRESET');
  expect(error).toBeNodeError('ECONNRESET', {
    syscall: 'read',
    phase: 'body',
    reused: false,
    message: 'read ECONNRESET',
  });
  expect(error).not.toBeNodeError('EPIPE');
  expect(() => expect(error).toBeNodeError('EPIPE')).toThrow('code is ECONNRESET, not EPIPE');
  expect(() => expect(error).toBeNodeError('ECONNRESET', { syscall: 'write' })).toThrow('syscall is read');
  expect(() => expect(error).toBeNodeError('ECONNRESET', { phase: 'headers' })).toThrow('the phase is body');
  expect(() => expect(error).toBeNodeError('ECONNRESET', { reused: true })).toThrow('reused is false');
  expect(() => expect(undefined).toBeNodeError('ECONNRESET')).toThrow('received undefined');
});

test('toBeNodeError looks into the cause of a fetch error', async () => {
  wire.on(req(1).end()).do(rst({ to: 'c' }));
  const error = await wire.fetch('/').catch((failure: unknown) => failure);
  expect(error).toBeNodeError('ECONNRESET', { syscall: 'read', phase: 'request' });
});

test('toHaveWire', async () => {
  await failing();
  expect(wire).toHaveWire('S SA PA A RA');
  expect(wire).toHaveWire('> S < SA > PA < A < RA');
  expect(wire).toHaveWire('S ... RA');
  expect(wire).toHaveWire('. SA PA? P?A RA*'.replace('P?A', 'A+'));
  expect(wire).not.toHaveWire('S SA');
  expect(() => expect(wire).toHaveWire('S SA FA')).toThrow('S SA PA A RA');
  expect(() => expect(wire).toHaveWire('SYN')).toThrow("'SYN' is neither flags");
});

test('toRetry', async () => {
  await failing(req(1).end());
  expect(wire).toRetry(0);
  await wire.get('/');
  expect(wire).toRetry(1);
  expect(() => expect(wire).toRetry(0)).toThrow('GET / was sent 2 times');
});

test('toBeProcessedAtMostOnce', async () => {
  const [origin] = wire.origins;
  await wire.get('/pay/1');
  expect(origin).toBeProcessedAtMostOnce('pay/1');
  await wire.get('/pay/1');
  expect(() => expect(origin).toBeProcessedAtMostOnce('pay/1')).toThrow('was processed 2 times');
  expect(() => expect(wire).toBeProcessedAtMostOnce('x')).toThrow('what serve() gave');
});

test('toDeliverBody', async () => {
  const reply = await wire.get('/');
  expect(reply).toDeliverBody('0123456789');
  expect(reply).toDeliverBody('truncated-and-reported');
  expect(() => expect(reply).toDeliverBody('other')).toThrow('"0123456789"');
  wire.on(res(2).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
  const error = await wire.get('/').catch((failure: unknown) => failure);
  expect(error).toDeliverBody('truncated-and-reported');
  expect(() => expect('0123').toDeliverBody('truncated-and-reported')).toThrow('delivered 4 and reported nothing');
});

test('toLeakNoSockets', async () => {
  await wire.get('/');
  await expect(wire).toLeakNoSockets();
});

test('toLeakNoSockets sees a socket that nobody will ever close', async () => {
  const socket = wire.connect({ host: 'server', port: 80 });
  socket.on('error', () => {});
  await wire.clock.settle();
  await expect(expect(wire).toLeakNoSockets()).rejects.toThrow('sockets are left: client: port');
});

test('an error that nobody listens for is told to who waits, and the process lives', async () => {
  wire.connect({ host: 'server', port: 81 });
  await expect(wire.clock.advance(100)).rejects.toThrow('connect ECONNREFUSED 10.0.0.2:81');
});

test('toReachState', async () => {
  await failing(res(1).end(), fin({ to: 'c' }));
  await wire.clock.advance(100);
  expect(wire).toReachState('c', 'CLOSE-WAIT');
  expect(() => expect(wire).toReachState('c', 'TIME-WAIT')).toThrow('c went through SYN-SENT, ESTABLISHED, CLOSE-WAIT');
});

test('toSettleWithin', async () => {
  await expect(wire.clock.sleep(1000)).toSettleWithin(2000);
  await expect(expect(wire.clock.sleep(1000)).toSettleWithin(500)).rejects.toThrow('not settled within 500 ms');
});

test('toEmitInOrder', async () => {
  const error = (await failing()) as { events: string[] };
  await wire.clock.advance(100);
  expect(error).toEmitInOrder(['req.socket', 'sock.connect', 'req.response', 'req.error', 'res.aborted', 'sock.close']);
  expect(() => expect(error.events).toEmitInOrder(['req.error', 'req.response'])).toThrow('req.response does not come');
});

test('plain assertions', async () => {
  const error = await failing();
  check.toBeNodeError(error, 'ECONNRESET');
  expect(() => check.toBeNodeError(error, 'EPIPE')).toThrow('toBeNodeError: code is ECONNRESET, not EPIPE');
  await expect(check.toSettleWithin(new Promise(() => {}), 100)).rejects.toThrow('toSettleWithin');
});

describe('the tear-down, which importing tapwire/jest has added', () => {
  afterAll(() => expect(openWires()).toEqual([]));

  test('a socket that nobody will close fails it, and closes the wire all the same', async () => {
    wire.close();
    const leaky = createWire();
    await leaky.serve((_, response) => response.end());
    const socket = leaky.connect({ host: 'server', port: 80 });
    socket.on('error', () => {});
    await leaky.clock.settle();
    await expect(tearDown()).rejects.toThrow('sockets are left: client: port');
    expect([leaky.isClosed, openWires()]).toEqual([true, []]);
  });

  test('an error that nobody was told fails it', async () => {
    wire.close();
    const silent = createWire();
    silent.connect({ host: 'server', port: 81 });
    await expect(tearDown()).rejects.toThrow('connect ECONNREFUSED 10.0.0.2:81');
    expect(silent.isClosed).toBe(true);
  });

  test('what agents and servers keep on purpose is no leak', async () => {
    wire.close();
    const tidy = createWire();
    await tidy.serve((_, response) => response.end('0123456789'));
    await tidy.get('/');
    await (await tidy.fetch('/')).text();
    await tearDown();
  });
});

test('timers and clocks of the runner are as they were, and fake ones are nothing to a wire', async () => {
  const before = [setTimeout, setInterval, setImmediate, Date, performance.now];
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  try {
    const began = wire.clock.now();
    await wire.clock.advance(3_600_000);
    expect(wire.clock.now() - began).toBe(3_600_000);
    expect((await wire.get('/')).status).toBe(200);
  } finally {
    jest.useRealTimers();
  }
  expect([setTimeout, setInterval, setImmediate, Date, performance.now]).toEqual(before);
});
