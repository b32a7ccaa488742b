import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IncomingMessage } from '../../../electron/incoming-message';
import { Lab, once, outcomeOf, run, until, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

/** The response to one request for what a server of bytes says. */
async function responseTo(
  answer: string,
  end = false,
): Promise<{ response: IncomingMessage; closed: Promise<unknown> }> {
  const { origin } = await wire(lab, [answer], end);
  const request = lab.request(origin);
  const closed = once(request, 'close');
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { response, closed };
}

test('E-083: a response is a Readable, and can be piped', async () => {
  const { response, closed } = await responseTo('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
  expect(response).toBeInstanceOf(Readable);
  const pieces: Buffer[] = [];
  await pipeline(response, async (source: AsyncIterable<Buffer>) => {
    for await (const piece of source) pieces.push(piece);
  });
  expect(Buffer.concat(pieces).toString()).toBe('hello');
  await closed;
});

test('E-083: what nobody reads stays with the server', async () => {
  const total = 25 * 1024 * 1024;
  let sent = 0;
  const origin = await lab.serve((_request, response) => {
    const piece = Buffer.alloc(64 * 1024);
    const more = (): void => {
      while (sent < total) {
        sent += piece.length;
        if (!response.write(piece)) return;
      }
      response.end();
    };
    response.on('drain', more);
    more();
  });
  const request = lab.request(origin);
  // When this test fails, its end breaks the body.
  request.on('error', () => {});
  const closed = once(request, 'close');
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let received = 0;
  response.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  await once(response, 'data');
  response.pause();
  // TCP's own word for it: the server may send nothing more.
  const { connections } = lab.host.stack.tcp;
  const isShut = (): boolean => [...connections].some((c) => c.state === 'ESTABLISHED' && c.sndWnd === 0);
  await until(() => response.readableLength > 0 && isShut());
  expect(sent).toBeLessThan(total / 2);
  // What has come and was not read is a buffer's worth, and the piece that filled it.
  expect(response.readableLength).toBeLessThanOrEqual(2 * 64 * 1024);
  response.resume();
  await closed;
  expect(received).toBe(total);
});

test('E-084, E-087: status, version and raw headers as they came', async () => {
  const { response } = await responseTo('HTTP/1.0 299 Very Fine\r\nX-a: 1\r\nx-A: 2\r\nContent-Length: 0\r\n\r\n');
  const { statusCode, statusMessage, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders } = response;
  expect([statusCode, statusMessage, httpVersion, httpVersionMajor, httpVersionMinor]).toEqual([
    299,
    'Very Fine',
    '1.0',
    1,
    0,
  ]);
  expect(rawHeaders).toEqual(['X-a', '1', 'x-A', '2', 'Content-Length', '0']);
});

test('E-085, E-086: headers by lower-case name: singletons once, set-cookie a list, others joined', async () => {
  const { response } = await responseTo(
    'HTTP/1.1 200 OK\r\nETag: 1\r\netag: 2\r\nSet-Cookie: a\r\nSET-COOKIE: b\r\nX: 1\r\nx: 2\r\nContent-Length: 0\r\n\r\n',
  );
  expect(response.headers).toEqual({ etag: '1', 'set-cookie': ['a', 'b'], x: '1, 2', 'content-length': '0' });
});

test('E-088: trailers are not supported, and say so', async () => {
  const { response } = await responseTo(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: 1\r\n\r\n',
  );
  expect(() => response.trailers).toThrow('HTTP trailers are not supported');
  expect(() => response.rawTrailers).toThrow('HTTP trailers are not supported');
});

test("E-059: 'download-progress' counts what came", async () => {
  const { response, closed } = await responseTo('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
  const told: number[] = [];
  response.on('download-progress', (bytes: number) => told.push(bytes));
  response.resume();
  await closed;
  expect(told.at(-1)).toBe(5);
});

test("E-059: 'download-progress' counts from the beginning of the body", async () => {
  const pieces = ['one', 'two', 'three'];
  let served: ServerResponse | undefined;
  const origin = await lab.serve((_request, response) => {
    served = response;
    response.write(pieces.shift());
  });
  const request = lab.request(origin);
  const told: number[] = [];
  request.on('response', (response) => {
    response.on('download-progress', (bytes: number) => told.push(bytes));
    response.on('data', () => {
      if (pieces.length > 0) served!.write(pieces.shift());
      else served!.end();
    });
  });
  expect((await run(request)).body).toBe('onetwothree');
  expect(told).toEqual([3, 6, 11]);
});

test.each([
  ['with a length', 'Content-Length: 10\r\n\r\nabc', 'net::ERR_CONTENT_LENGTH_MISMATCH'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nabc', 'net::ERR_INCOMPLETE_CHUNKED_ENCODING'],
])('E-090: a body cut short, %s: the response tells it before the request', async (_name, rest, message) => {
  const { origin } = await wire(lab, [`HTTP/1.1 200 OK\r\n${rest}`], true);
  const { events, error, body } = await run(lab.request(origin));
  expect(events).toEqual(['finish', 'response', 'response error', 'response close', 'error', 'close']);
  expect([error?.message, body]).toEqual([message, 'abc']);
});

test('E-090: a chunk that is none', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n']);
  const { events, error } = await run(lab.request(origin));
  expect(error).toMatchObject({
    message: 'net::ERR_INVALID_CHUNKED_ENCODING',
    cause: { code: 'HPE_INVALID_CHUNK_SIZE' },
  });
  expect(events).toEqual(['finish', 'response', 'response error', 'response close', 'error', 'close']);
});

test('E-090, E-095: a reset in the middle of a body', async () => {
  const { origin, sockets } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc']);
  const request = lab.request(origin);
  request.on('response', (response) => response.on('data', () => sockets[0]!.resetAndDestroy()));
  const { events, error } = await run(request);
  expect(error?.message).toBe('net::ERR_CONNECTION_RESET');
  expect(events).toEqual(['finish', 'response', 'response error', 'response close', 'error', 'close']);
});

test('E-090: a response that nobody listens to for errors does not end the program', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'], true);
  const request = lab.request(origin);
  request.on('response', (response) => response.resume());
  const errors: Error[] = [];
  request.on('error', (error) => errors.push(error));
  request.end();
  await new Promise((resolve) => request.on('close', resolve));
  expect(errors.map(({ message }) => message)).toEqual(['net::ERR_CONTENT_LENGTH_MISMATCH']);
});

test('a body without a length ends with its connection', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\n\r\nall of it'], true);
  const { body, error } = await run(lab.request(origin));
  expect([body, error]).toEqual(['all of it', undefined]);
});

test('E-092: the body of a 404 can be read', async () => {
  const { origin } = await wire(lab, ['HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nnothing']);
  const { status, body } = await run(lab.request(origin));
  expect([status, body]).toEqual([404, 'nothing']);
});

test.each([204, 304])('%i has no body', async (status) => {
  const { origin } = await wire(lab, [`HTTP/1.1 ${status} X\r\n\r\n`]);
  const outcome = await run(lab.request(origin));
  expect([outcome.status, outcome.events.at(-1)]).toEqual([status, 'close']);
});

test('what only informs is passed over', async () => {
  const answer = 'HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const { origin } = await wire(lab, [answer]);
  const { status, body } = await run(lab.request(origin));
  expect([status, body]).toEqual([200, 'ok']);
});

test('a connection serves one request after another', async () => {
  const { origin, received } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok']);
  for (let i = 0; i < 5; i++) await run(lab.request(origin));
  expect(received).toHaveLength(1);
});

describe('an answer before the body was sent', () => {
  const early = 'HTTP/1.1 413 Too much\r\nContent-Length: 4\r\n\r\nstop';

  test('is delivered; its end ends the upload', async () => {
    const origin = await lab.accept((socket) => {
      socket.once('data', () => {
        socket.pause();
        socket.write(early);
      });
    });
    const request = lab.request({ method: 'POST', url: origin });
    const { status, body, error } = await run(request, Buffer.alloc(20 * 1024 * 1024));
    expect([status, body, error]).toEqual([413, 'stop', undefined]);
  });

  test('and of one in chunks that has not ended, too', async () => {
    let closed = false;
    const origin = await lab.accept((socket) => {
      socket.on('data', () => socket.write(early));
      socket.on('close', () => {
        closed = true;
      });
    });
    const request = lab.request({ method: 'POST', url: origin });
    request.chunkedEncoding = true;
    const outcome = outcomeOf(request);
    request.write('abc');
    expect((await outcome).status).toBe(413);
    expect(request.write('more')).toBe(false);
    await until(() => closed);
  });
});

describe('a kept connection that the server has given up', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

  /** A server that resets each connection when the second request comes on it. */
  const forgetful = async (): Promise<{ origin: string; requests: string[] }> => {
    const requests: string[] = [];
    const origin = await lab.accept((socket) => {
      let before = 0;
      socket.on('data', (chunk: Buffer) => {
        requests.push(chunk.toString('latin1').split(' ')[0]!);
        if (before++ > 0) socket.resetAndDestroy();
        else socket.write(ok);
      });
    });
    return { origin, requests };
  };

  test('costs nothing when a request may be sent twice', async () => {
    const { origin, requests } = await forgetful();
    await run(lab.request(origin));
    expect((await run(lab.request(origin))).status).toBe(200);
    expect(requests).toEqual(['GET', 'GET', 'GET']);
  });

  test('is the end of one that reached it and may not', async () => {
    const { origin, requests } = await forgetful();
    await run(lab.request(origin));
    const { error } = await run(lab.request({ method: 'POST', url: origin }), 'once');
    expect(error?.message).toMatch(/^net::ERR_(CONNECTION_RESET|EMPTY_RESPONSE)$/);
    expect(requests).toEqual(['GET', 'POST']);
  });
});

test('closing all connections of a session fails its requests', async () => {
  let reached = false;
  const origin = await lab.serve(() => {
    reached = true;
  });
  const request = lab.request(origin);
  const outcome = outcomeOf(request);
  request.end();
  await until(() => reached);
  expect(lab.session.tracked.size).toBe(1);
  for (const tracked of [...lab.session.tracked]) tracked.fail('ERR_ABORTED');
  expect((await outcome).events).toEqual(['finish', 'error', 'close']);
  expect(lab.session.tracked.size).toBe(0);
});
