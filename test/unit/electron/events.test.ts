import type { ClientRequest } from '../../../electron/client-request';
import type { IncomingMessage } from '../../../electron/incoming-message';
import type { LoginCallback } from '../../../electron/transaction';
import { headsOf, Lab, once, outcomeOf, redirectTo, run, until, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

test('E-060: a response comes once, and listeners may be added to it then', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const outcome = await run(lab.request(origin));
  expect(outcome.body).toBe('hello');
  expect(outcome.events).toEqual(['finish', 'response', 'response end', 'response close', 'close']);
});

test('without anybody to read it, a response goes nowhere and the request ends', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const request = lab.request(origin);
  request.end();
  await once(request, 'close');
});

describe('abort', () => {
  const events = async (request: ClientRequest, act: (request: ClientRequest) => void): Promise<string[]> => {
    const outcome = outcomeOf(request);
    act(request);
    return (await outcome).events;
  };

  test('E-051, E-052: before anything: abort, close', async () => {
    const { origin, requests } = await wire(lab);
    const request = lab.request(origin);
    expect(await events(request, () => request.abort())).toEqual(['abort', 'close']);
    expect(requests).toEqual([]);
  });

  test('E-052: in the tick of end(): nothing is sent', async () => {
    const { origin, requests } = await wire(lab);
    const request = lab.request(origin);
    const told = await events(request, () => {
      request.end();
      request.abort();
    });
    expect(told).toEqual(['finish', 'abort', 'close']);
    expect(requests).toEqual([]);
  });

  test('E-052: while it connects', async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    request.on('finish', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'abort', 'close']);
  });

  test('E-052: in the middle of an upload', async () => {
    let socket: NodeJS.EventEmitter | undefined;
    const origin = await lab.accept((accepted) => {
      socket = accepted.resume();
    });
    const request = lab.post(origin);
    request.chunkedEncoding = true;
    request.once('upload-progress', () => request.abort());
    expect(await events(request, () => request.write(Buffer.alloc(1000)))).toEqual(['abort', 'close']);
    await once(socket!, 'close');
  });

  test('E-052: while the server thinks', async () => {
    let reached = (): void => {};
    const origin = await lab.serve(() => reached());
    const request = lab.request(origin);
    reached = () => request.abort();
    expect(await events(request, () => request.end())).toEqual(['finish', 'abort', 'close']);
  });

  test.each(['response', 'data'])(
    "E-052, E-073, E-089, E-091: at the response's %s it is told 'aborted', and never 'end'",
    async (when) => {
      const origin = await lab.serve((_request, response) => void response.write('part'));
      const request = lab.request(origin);
      request.on('response', (response) => {
        if (when === 'response') request.abort();
        else response.on('data', () => request.abort());
      });
      const told = ['finish', 'response', 'abort', 'response aborted', 'response close', 'close'];
      expect(await events(request, () => request.end())).toEqual(told);
    },
  );

  test("at the response's end it has nothing left to abort there", async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    request.on('response', (response) => response.on('end', () => request.abort()));
    const told = ['finish', 'response', 'response end', 'abort', 'response close', 'close'];
    expect((await events(request, () => request.end())).sort()).toEqual(told.sort());
  });

  test("E-080: in 'redirect' there is no further hop", async () => {
    const { origin, requests } = await wire(lab, [redirectTo('/next')]);
    const request = lab.request(origin);
    request.on('redirect', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'redirect', 'abort', 'close']);
    expect(headsOf(requests)).toEqual(['GET / HTTP/1.1']);
  });

  test("in 'login', and before the answer to it", async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="r"\r\nContent-Length: 0\r\n\r\n',
    ]);
    const request = lab.request(origin);
    let answer: LoginCallback | undefined;
    request.on('login', (_info, callback) => {
      answer = callback;
      request.abort();
    });
    expect(await events(request, () => request.end())).toEqual(['finish', 'login', 'abort', 'close']);
    answer!('u', 'p');
  });

  test("in 'error': abort, and close as ever", async () => {
    const request = lab.request('http://127.0.0.1:1');
    request.on('error', () => request.abort());
    expect(await events(request, () => request.end())).toEqual(['finish', 'error', 'abort', 'close']);
  });

  test.each(['before it is sent', 'while the server thinks', 'at its response'])('E-071: once, %s', async (when) => {
    let reached = (): void => {};
    const origin = await lab.serve((_request, response) => {
      reached();
      if (when === 'at its response') response.write('part');
    });
    const request = lab.request(origin);
    const twice = (): void => {
      request.abort();
      request.abort();
      request.destroy();
      request.on('abort', () => request.abort());
      request.on('close', () => request.abort());
    };
    if (when === 'while the server thinks') reached = twice;
    if (when === 'at its response') request.on('response', twice);
    const told = await events(request, () => {
      request.end();
      if (when === 'before it is sent') twice();
    });
    expect(told.filter((name) => name === 'abort')).toHaveLength(1);
    expect(told.at(-1)).toBe('close');
  });

  test('E-051, E-071, E-073: once; and after close nothing happens any more', async () => {
    const { origin } = await wire(lab);
    const request = lab.request(origin);
    const told = await events(request, () => {
      request.abort();
      request.abort();
    });
    expect(told).toEqual(['abort', 'close']);
    request.on('error', () => told.push('late error'));
    request.abort();
    request.write('x');
    request.end();
    const done = lab.request(origin);
    const after = await events(done, () => done.end());
    done.abort();
    done.destroy(new Error('late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([told.length, after.at(-1)]).toEqual([2, 'close']);
  });

  test('nothing can be written after it, and callbacks learn of that', async () => {
    const request = lab.post('http://127.0.0.1:1');
    const outcome = outcomeOf(request);
    request.abort();
    const error = await new Promise<unknown>((resolve) => request.write('x', resolve));
    expect(error).toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
    expect((await outcome).events).toEqual(['abort', 'close']);
  });

  test('destroy is abort, with an error an error', async () => {
    const { origin } = await wire(lab);
    const one = lab.request(origin);
    expect(await events(one, () => one.destroy())).toEqual(['abort', 'close']);
    const two = lab.request(origin);
    expect(await events(two, () => two.destroy(new Error('mine')))).toEqual(['error', 'close']);
  });

  test('a destroyed response ends its request and its connection', async () => {
    let closed = false;
    const origin = await lab.serve((request, response) => {
      request.socket.on('close', () => {
        closed = true;
      });
      response.write('part');
    });
    const request = lab.request(origin);
    request.on('response', (response) => response.destroy());
    expect(await events(request, () => request.end())).toEqual(['finish', 'response', 'response close', 'close']);
    await until(() => closed);
  });
});

test('E-072: what could not be sent is error, then close, without a response', async () => {
  const { events, error } = await run(lab.request('http://127.0.0.1:1'));
  expect(events).toEqual(['finish', 'error', 'close']);
  expect(error?.message).toBe('net::ERR_CONNECTION_REFUSED');
});

test('E-073: close comes after everything, and once', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello']);
  const request = lab.request(origin);
  const responses: IncomingMessage[] = [];
  request.on('response', (response) => responses.push(response));
  const { events } = await run(request);
  const late: string[] = [];
  expect(responses).toHaveLength(1);
  for (const name of ['data', 'end', 'aborted', 'error', 'close', 'download-progress']) {
    responses[0]!.on(name, () => late.push(`response ${name}`));
  }
  for (const name of ['response', 'finish', 'abort', 'error', 'close', 'redirect', 'login', 'upload-progress']) {
    request.on(name, () => late.push(name));
  }
  request.abort();
  request.write('x');
  request.end();
  request.destroy();
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(late).toEqual([]);
  expect(events.at(-1)).toBe('close');
});

test('E-082: an error after the body was sent is told', async () => {
  const origin = await lab.accept((socket) => void socket.once('data', () => socket.destroy()));
  const { events, error } = await run(lab.post(origin), 'x');
  expect(events).toEqual(['finish', 'error', 'close']);
  expect(error?.message).toBe('net::ERR_EMPTY_RESPONSE');
});
