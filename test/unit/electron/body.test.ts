import { memoryPair } from '../../../device/memory';
import { createElectron } from '../../../electron';
import { REPLAY_MAX } from '../../../electron/upload';
import { createHost } from '../../../net/host';
import { bodyOf, Lab, OK, type Outcome, once, outcomeOf, run, until, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

describe('chunkedEncoding', () => {
  test('E-030: false by default, the length is announced; true, the body comes in chunks without', async () => {
    const { origin, received } = await wire(lab);
    const plain = lab.post(origin);
    expect(plain.chunkedEncoding).toBe(false);
    await run(plain, 'hello');
    const chunked = lab.post(origin);
    chunked.chunkedEncoding = true;
    expect(chunked.chunkedEncoding).toBe(true);
    await run(chunked, 'hello');
    const [first, second] = received.join('').split(/(?=POST)/);
    expect(first).toMatch(/\r\nContent-Length: 5\r\n/);
    expect(first).not.toMatch(/Transfer-Encoding/i);
    expect(first).toMatch(/\r\n\r\nhello$/);
    expect(second).toMatch(/\r\nTransfer-Encoding: chunked\r\n/);
    expect(second).not.toMatch(/Content-Length/i);
    expect(second).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
  });

  test('E-031: may be set before the first write, not after, and once', async () => {
    const { origin } = await wire(lab);
    for (const chunked of [false, true]) {
      const request = lab.post(origin);
      if (chunked) request.chunkedEncoding = true;
      request.write('');
      expect(() => {
        request.chunkedEncoding = true;
      }).toThrow('chunkedEncoding can only be set before the request is started');
      await run(request);
    }
    const ended = lab.post(origin);
    ended.end();
    expect(() => {
      ended.chunkedEncoding = true;
    }).toThrow('chunkedEncoding can only be set before the request is started');
    await once(ended, 'close');
    const twice = lab.post(origin);
    twice.chunkedEncoding = false;
    expect(() => {
      twice.chunkedEncoding = true;
    }).toThrow('chunkedEncoding can only be set once');
  });

  test('E-032: the first write sends the head with chunks, and not before end() without', async () => {
    const { origin, received } = await wire(lab);
    const plain = lab.post(origin);
    plain.write('buffered');
    const chunked = lab.post(origin);
    chunked.chunkedEncoding = true;
    chunked.write('now');
    await until(() => received.join('').includes('now'));
    expect(received.join('')).not.toContain('buffered');
    chunked.write('then');
    await until(() => received.join('').includes('4\r\nthen\r\n'));
    chunked.abort();
    await run(plain);
    expect(received.join('')).toContain('buffered');
  });

  test('E-032, E-047: a first write of nothing sends the head, too', async () => {
    const { origin, received } = await wire(lab);
    const chunked = lab.post(origin);
    chunked.chunkedEncoding = true;
    chunked.write('');
    await until(() => received.join('').endsWith('\r\n\r\n'));
    expect(received[0]).toContain('Transfer-Encoding: chunked');
    await run(chunked);
    expect(received[0]).toMatch(/\r\n\r\n0\r\n\r\n$/);
  });

  test.each(['GET', 'POST', 'DELETE'])('E-033: %s without a write has an empty body of chunks', async (method) => {
    const { origin, received } = await wire(lab);
    const request = lab.request({ method, url: origin });
    request.chunkedEncoding = true;
    const { status } = await run(request);
    expect(status).toBe(200);
    expect(received[0]).toMatch(/\r\nTransfer-Encoding: chunked\r\n(.*\r\n)*\r\n0\r\n\r\n$/);
  });
});

test.each([
  ['GET', undefined],
  ['HEAD', undefined],
  ['DELETE', undefined],
  ['POST', '0'],
  ['PUT', '0'],
  ['PATCH', '0'],
])('%s without a body announces the length %s', async (method, length) => {
  const { origin, received } = await wire(lab);
  await run(lab.request({ method, url: origin }));
  expect(/^Content-Length: (.*)/m.exec(received[0]!)?.[1]).toBe(length);
});

describe('headers', () => {
  test('E-034, E-039: names go out as they are spelled, in the order in which they were set', async () => {
    const { origin, received } = await wire(lab);
    const request = lab.post(origin, { headers: { 'x-Given': '0' } });
    request.setHeader('X-CaSe', 'a');
    request.setHeader('b-second', 'b');
    request.setHeader('A-third', 'c');
    // Set again, it stays where it is.
    request.setHeader('x-case', 'd');
    await run(request);
    expect(received[0]).toContain('\r\nx-Given: 0\r\nx-case: d\r\nb-second: b\r\nA-third: c\r\n');
  });

  test('E-035, E-043, E-047: nothing changes after the first write, even one of nothing', async () => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    request.setHeader('x', '1');
    request.write('');
    expect(() => request.setHeader('x', '2')).toThrow("Can't set headers after they are sent");
    expect(() => request.removeHeader('x')).toThrow("Can't remove headers after they are sent");
    expect(request.getHeader('x')).toBe('1');
    await run(request);
    // One that the stream keeps back for now is a write all the same.
    const corked = lab.post(origin);
    corked.cork();
    corked.write('');
    expect(() => corked.setHeader('x', '2')).toThrow("Can't set headers after they are sent");
    corked.uncork();
    await run(corked);
    const ended = lab.post(origin);
    ended.end();
    expect(() => ended.setHeader('x', '2')).toThrow("Can't set headers after they are sent");
    expect(() => ended.removeHeader('x')).toThrow("Can't remove headers after they are sent");
    await once(ended, 'close');
  });

  test('E-036: what is no string becomes one on the wire, and is given back as it was', async () => {
    const { origin, received } = await wire(lab);
    const request = lab.post(origin);
    const odd = { toString: () => 'odd' };
    request.setHeader('X-Number', 900);
    request.setHeader('X-Odd', odd);
    expect([request.getHeader('x-number'), request.getHeader('x-odd')]).toEqual([900, odd]);
    await run(request);
    expect(received[0]).toContain('\r\nX-Number: 900\r\nX-Odd: odd\r\n');
  });

  test('E-037: wrong arguments are named', () => {
    const request = lab.post('http://localhost');
    expect(() => request.setHeader(7 as never, 'x')).toThrow(
      new TypeError('`name` should be a string in setHeader(name, value)'),
    );
    expect(() => request.setHeader('x', null)).toThrow('`value` required in setHeader("x", value)');
    expect(() => request.setHeader('x', undefined)).toThrow('`value` required in setHeader("x", value)');
    expect(() => request.setHeader('a b', 'x')).toThrow(/a b/);
    expect(() => request.setHeader('', 'x')).toThrow(TypeError);
    expect(() => request.setHeader('x-bad', 'a\r\nInjected: 1')).toThrow(/x-bad/);
    expect(request.getHeader('x-bad')).toBeUndefined();
  });

  test.each([
    ['Content-Length', '5'],
    ['HOST', 'other'],
    ['Trailer', 'x'],
    ['TE', 'trailers'],
    ['Upgrade', 'websocket'],
    ['Cookie2', 'x'],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
    ['Connection', 'upgrade'],
    ['connection', 'close, Upgrade'],
  ])('E-038: %s: %s is not for requests to set, and nothing is sent', async (name, value) => {
    const { origin, received } = await wire(lab);
    const request = lab.post(origin);
    request.setHeader(name, value);
    const { error, events } = await run(request);
    const cause = expect.objectContaining({ message: `The header "${name}" cannot be set by a request` });
    expect(error).toMatchObject({ message: 'net::ERR_INVALID_ARGUMENT', code: 'ERR_INVALID_ARGUMENT', cause });
    expect(events).toEqual(['finish', 'error', 'close']);
    expect(received).toEqual([]);
  });

  test('E-038: a connection may be asked to close', async () => {
    const { origin, received } = await wire(lab);
    await run(lab.post(origin, { headers: { Connection: 'close' } }));
    expect(received[0]!.match(/^Connection: .*/gim)).toEqual(['Connection: close']);
  });

  test('E-040, E-041, E-043: a name is the same in any case; set again, spelling and value are new', async () => {
    const { origin, received } = await wire(lab);
    const request = lab.post(origin);
    request.setHeader('x-a', '1');
    request.setHeader('x-b', '2');
    request.setHeader('X-A', '3');
    request.setHeader('x-gone', '4');
    request.removeHeader('X-Gone');
    expect([request.getHeader('x-A'), request.getHeader('x-gone')]).toEqual(['3', undefined]);
    await run(request);
    expect(received[0]!.match(/^x-.*/gim)).toEqual(['X-A: 3', 'x-b: 2']);
  });

  test('E-042, E-044: a name is required', () => {
    const request = lab.post('http://localhost') as unknown as {
      getHeader(name?: null): void;
      removeHeader(n?: null): void;
    };
    for (const name of [undefined, null]) {
      expect(() => request.getHeader(name as null)).toThrow('`name` is required for getHeader(name)');
      expect(() => request.removeHeader(name as null)).toThrow('`name` is required for removeHeader(name)');
    }
  });

  test('E-106: a Cookie that was set is sent as it is; the jar, where it has one, wins', async () => {
    const { origin, received } = await wire(lab);
    await run(lab.post(origin, { headers: { Cookie: 'own=1' } }));
    lab.session.storeCookies(new URL(origin), ['jar=1']);
    await run(lab.post(origin, { headers: { Cookie: 'own=1' } }));
    await run(lab.post(origin, { headers: { Cookie: 'own=1' }, useSessionCookies: true }));
    expect(received.join('').match(/^Cookie: .*/gim)).toEqual(['Cookie: own=1', 'Cookie: own=1', 'Cookie: jar=1']);
  });
});

describe('write and end', () => {
  test('E-045: text is encoded as asked, utf-8 by default', async () => {
    const { origin, received } = await wire(lab);
    const request = lab.post(origin);
    request.write('é');
    request.write('é', 'latin1');
    request.write(Buffer.from([1, 2]));
    await run(request, Buffer.from('end'));
    expect(received[0]).toMatch(/Content-Length: 8\r\n/);
    expect(received[0]!.endsWith('\xc3\xa9\xe9\x01\x02end')).toBe(true);
  });

  test('E-045: a buffer may be used again after the callback', async () => {
    const { origin, received } = await wire(lab);
    for (const chunked of [false, true]) {
      const request = lab.post(origin);
      request.chunkedEncoding = chunked;
      const buffer = Buffer.from('first');
      await new Promise<void>((resolve) => request.write(buffer, () => resolve()));
      buffer.fill('x');
      await run(request);
    }
    expect(received.join('').match(/first/g)).toHaveLength(2);
  });

  test.each([false, true])('E-046: a write calls back once, later (chunked: %s)', async (chunked) => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const calls: string[] = [];
    request.write('a', () => calls.push('a'));
    request.write('b', 'latin1', () => calls.push('b'));
    expect(calls).toEqual([]);
    request.end('c', () => calls.push('end'));
    expect(calls).toEqual([]);
    await once(request, 'close');
    expect(calls).toEqual(['a', 'b', 'end']);
  });

  test.each([false, true])('E-048: a write after end is an error and the end (chunked: %s)', async (chunked) => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const outcome = outcomeOf(request);
    request.end('a');
    request.write('b');
    const { error, events } = await outcome;
    expect(error?.code).toBe('ERR_STREAM_WRITE_AFTER_END');
    expect(events.filter((name) => name !== 'finish')).toEqual(['error', 'close']);
  });

  test.each([false, true])('E-048: so is an end after end that has something to say (chunked: %s)', async (chunked) => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const outcome = outcomeOf(request);
    request.end('a');
    request.end('b');
    const { error, events } = await outcome;
    expect(error?.code).toBe('ERR_STREAM_WRITE_AFTER_END');
    expect(events.filter((name) => name !== 'finish')).toEqual(['error', 'close']);
  });

  test('E-048: an end after end that says nothing is told so, and changes nothing', async () => {
    const { origin, requests } = await wire(lab);
    const request = lab.post(origin);
    const outcome = outcomeOf(request);
    request.end('a');
    const told = new Promise<unknown>((resolve) => request.end(resolve));
    const { status } = await outcome;
    expect([status, requests.length]).toEqual([200, 1]);
    await told;
  });

  test("E-049, E-070: 'finish' comes right after end(), before the response", async () => {
    const { origin } = await wire(lab);
    const { events } = await run(lab.post(origin), 'x');
    expect(events.slice(0, 2)).toEqual(['finish', 'response']);
  });

  test('E-050: end gives the request', async () => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    expect(request.end('x')).toBe(request);
    await once(request, 'close');
  });

  test('a body of chunks waits for a slow server, and its producer with it', async () => {
    let open = (): void => {};
    const origin = await lab.accept((socket) => {
      socket.pause();
      open = () => socket.resume();
      let tail = '';
      socket.on('data', (chunk: Buffer) => {
        tail = (tail + chunk.toString('latin1')).slice(-5);
        if (tail === '0\r\n\r\n') socket.end(OK);
      });
    });
    const request = lab.post(origin);
    request.chunkedEncoding = true;
    const outcome = outcomeOf(request);
    const piece = Buffer.alloc(64 * 1024);
    let written = 0;
    const produce = (): void => {
      while (written < 64) {
        written++;
        if (!request.write(piece)) return;
      }
      request.end();
    };
    request.on('drain', produce);
    produce();
    await once(request, 'upload-progress');
    // As long as nobody reads, at most the buffers on the way are filled.
    for (let last = -1; last !== written; ) {
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(written).toBeLessThan(64);
    open();
    expect((await outcome).status).toBe(200);
    expect(written).toBe(64);
  });
});

describe('getUploadProgress', () => {
  const idle = { active: false, started: false, current: 0, total: 0 };

  test('E-054 to E-056: nothing before the request is sent, and nothing after its end', async () => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    expect(request.getUploadProgress()).toEqual(idle);
    request.write('abc');
    expect(request.getUploadProgress()).toEqual(idle);
    await run(request);
    expect(request.getUploadProgress()).toEqual(idle);
  });

  test.each([false, true])('E-054: four members, each time in an object of its own (chunked: %s)', async (chunked) => {
    const answers: (() => void)[] = [];
    const origin = await lab.serve(async (request, response) => {
      await bodyOf(request);
      answers.push(() => response.end('ok'));
    });
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const outcome = outcomeOf(request);
    if (chunked) {
      request.write(Buffer.alloc(1000));
      await until(() => request.getUploadProgress().current === 1000);
      expect(request.getUploadProgress()).toStrictEqual({ active: true, started: true, current: 1000, total: 1000 });
      // More is written, and nobody has it yet.
      request.write(Buffer.alloc(500));
      expect(request.getUploadProgress()).toStrictEqual({ active: true, started: true, current: 1000, total: 1500 });
    } else {
      request.write(Buffer.alloc(1000));
      request.write(Buffer.alloc(500));
      expect(request.getUploadProgress()).toStrictEqual(idle);
    }
    request.end(Buffer.alloc(500));
    await until(() => answers.length === 1);
    const whole = { active: true, started: true, current: 2000, total: 2000 };
    await until(() => request.getUploadProgress().current === 2000);
    const first = request.getUploadProgress();
    expect(first).toStrictEqual(whole);
    Object.assign(first, idle);
    expect(request.getUploadProgress()).toStrictEqual(whole);
    answers[0]!();
    await outcome;
    Object.assign(request.getUploadProgress(), whole);
    expect(request.getUploadProgress()).toStrictEqual(idle);
  });

  test.each([
    ['aborted', 'abort', ['abort', 'close']],
    ['failed', 'reset', ['error', 'close']],
    ['destroyed', 'destroy', ['error', 'close']],
  ])('E-055: once it is %s nothing is active, and all is zero', async (_name, how, last) => {
    let socket: { destroy(): void; resetAndDestroy?(): void } | undefined;
    const origin = await lab.accept((accepted) => {
      socket = accepted;
      accepted.pause();
    });
    const request = lab.post(origin);
    const seen: [string, unknown][] = [];
    for (const name of ['abort', 'error', 'close'] as const) {
      request.on(name, () => seen.push([name, request.getUploadProgress()]));
    }
    request.end(Buffer.alloc(8 * 1024 * 1024));
    await until(() => request.getUploadProgress().current > 0);
    const closed = once(request, 'close').catch(() => {});
    if (how === 'abort') request.abort();
    else if (how === 'destroy') request.destroy(new Error('enough'));
    else socket!.resetAndDestroy!();
    if (how !== 'reset') expect(request.getUploadProgress()).toStrictEqual(idle);
    await closed;
    await until(() => seen.length === last.length);
    expect(seen).toEqual(last.map((name) => [name, idle]));
  });

  test('E-055: active until its response has ended, and not when that is closed', async () => {
    const { origin } = await wire(lab);
    const request = lab.post(origin);
    const seen: [string, boolean][] = [];
    request.on('response', (response) => {
      seen.push(['response', request.getUploadProgress().active]);
      response.on('data', () => {});
      response.on('end', () => seen.push(['end', request.getUploadProgress().active]));
      response.on('close', () => seen.push(['response close', request.getUploadProgress().active]));
    });
    request.on('close', () => seen.push(['close', request.getUploadProgress().active]));
    const closed = once(request, 'close');
    request.end('body');
    await closed;
    expect(seen).toEqual([
      ['response', true],
      ['end', true],
      ['response close', false],
      ['close', false],
    ]);
  });

  test.each([false, true])('E-058: whoever only polls sees it grow, too (chunked: %s)', async (chunked) => {
    const total = 5 * 1024 * 1024;
    const origin = await lab.serve(async (request, response) => {
      // One that takes its time.
      for await (const _ of request) await new Promise((resolve) => setImmediate(resolve));
      response.end('ok');
    });
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const outcome = outcomeOf(request);
    let answered = false;
    request.on('response', () => {
      answered = true;
    });
    request.end(Buffer.alloc(total));
    const polled: number[] = [];
    await until(() => {
      const progress = request.getUploadProgress();
      if (progress.started && progress.current !== polled.at(-1)) polled.push(progress.current);
      if (progress.started) expect(progress).toEqual({ active: true, started: true, current: polled.at(-1), total });
      return answered;
    });
    await outcome;
    expect(polled.length).toBeGreaterThan(10);
    expect(polled).toEqual([...polled].sort((a, b) => a - b));
    expect([polled[0]! < total, polled.at(-1)]).toEqual([true, total]);
  });

  test('E-056: a request without a body is active, and no upload has started', async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    let seen: unknown;
    request.on('response', () => {
      seen = request.getUploadProgress();
    });
    await run(request);
    expect(seen).toEqual({ ...idle, active: true });
  });

  test.each([
    ['buffered', false],
    ['chunked', true],
  ])('E-057 to E-059: %s, what the server acknowledged is counted, up to the last byte', async (_name, chunked) => {
    const total = 5 * 1024 * 1024;
    const origin = await lab.serve(async (request, response) => {
      response.end(String((await bodyOf(request)).length));
    });
    const request = lab.post(origin);
    request.chunkedEncoding = chunked;
    const told: number[] = [];
    request.on('upload-progress', (current: number, of: number) => {
      told.push(current);
      const progress = request.getUploadProgress();
      expect(progress).toEqual({ active: true, started: true, current, total: of });
    });
    let atResponse: unknown;
    request.on('response', () => {
      atResponse = request.getUploadProgress();
    });
    const { body } = await run(request, Buffer.alloc(total, 'x'));
    expect(body).toBe(String(total));
    expect(told.length).toBeGreaterThan(3);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(total);
    expect(atResponse).toEqual({ active: true, started: true, current: total, total });
  });

  test('E-056: as long as nobody answers the connection, nothing has started', async () => {
    const [device] = memoryPair();
    const host = createHost({ devices: [{ device, addresses: ['10.0.0.1/24'] }] });
    const electron = createElectron(host);
    const request = electron.net.request({ method: 'POST', url: 'http://10.0.0.2/' });
    const outcome = outcomeOf(request);
    request.end(Buffer.alloc(500_000));
    await until(() => [...host.stack.tcp.connections].some((c) => c.state === 'SYN-SENT'));
    expect(request.getUploadProgress()).toEqual({ ...idle, active: true });
    request.abort();
    await outcome;
    host.close();
  });

  test('E-057: what was handed on but not acknowledged does not count', async () => {
    let socket: { resume(): void } | undefined;
    const origin = await lab.accept((accepted) => {
      socket = accepted.pause();
    });
    const request = lab.post(origin);
    const outcome = outcomeOf(request);
    request.end(Buffer.alloc(32 * 1024 * 1024));
    await once(request, 'upload-progress');
    for (let last = -1; last !== request.getUploadProgress().current; ) {
      last = request.getUploadProgress().current;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // The server's buffer is full and nobody reads: it acknowledges no more.
    expect(request.getUploadProgress().current).toBeGreaterThan(0);
    expect(request.getUploadProgress().current).toBeLessThan(32 * 1024 * 1024);
    expect(socket).toBeDefined();
    request.abort();
    await outcome;
  });

  test('E-057: on a kept connection only what belongs to this request counts', async () => {
    const { origin } = await wire(lab);
    await run(lab.post(origin), Buffer.alloc(100_000));
    const request = lab.post(origin);
    const told: number[] = [];
    request.on('upload-progress', (current: number) => told.push(current));
    await run(request, Buffer.alloc(10));
    expect(told).toEqual([10]);
  });
});

describe('E-068: a body of chunks beyond what is kept cannot be sent again', () => {
  async function upload(status: number, headers: Record<string, string>): Promise<Outcome & { asked: number }> {
    const origin = await lab.serve((request, response) => {
      request.resume().on('end', () => response.writeHead(status, headers).end('why'));
    });
    const request = lab.post(origin);
    let asked = 0;
    request.on('login', (_info, callback) => {
      asked++;
      callback('u', 'p');
    });
    request.chunkedEncoding = true;
    const outcome = outcomeOf(request);
    const piece = Buffer.alloc(1024 * 1024);
    for (let i = 0; i <= REPLAY_MAX / piece.length; i++) {
      await new Promise<void>((resolve) => request.write(piece, () => resolve()));
    }
    request.end();
    return { ...(await outcome), asked };
  }

  test('a redirect that needs it is a failure', async () => {
    const { error } = await upload(307, { Location: '/again' });
    expect(error?.message).toBe('net::ERR_UPLOAD_STREAM_REWIND_NOT_SUPPORTED');
  });

  test('a challenge is delivered, and nobody is asked', async () => {
    const { status, body, asked } = await upload(401, { 'WWW-Authenticate': 'Basic realm="r"' });
    expect([status, body, asked]).toEqual([401, 'why', 0]);
  });
});
