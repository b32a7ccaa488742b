/** Content codings: what is asked for, and what becomes of bodies. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { decodersFor } from '../../../electron/decoding';
import { createUnzstd } from '../../../electron/zstd';
import { cert, key } from '../http/tls-identity';
import { Lab, type Outcome, once, outcomeOf, run, until, wire } from './lab';

const { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } = zlib;
/** Node 20 has none. */
const { zstdCompressSync: zstd } = zlib as unknown as {
  zstdCompressSync?: (data: Buffer, options?: object) => Buffer;
};
const ALL = zstd === undefined ? 'gzip, deflate, br' : 'gzip, deflate, br, zstd';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const TEXT = 'hello, '.repeat(1000);

/** A row of a table, where Node can make it. */
const zstdRows = (coded: () => Buffer): [string, Buffer][] => (zstd === undefined ? [] : [['zstd', coded()]]);

const answerOf = (coding: string, body: Buffer): string =>
  `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n${body.toString('latin1')}`;

async function ask(answer: string, end = false): Promise<Outcome> {
  const { origin } = await wire(lab, [answer], end);
  return run(lab.request(origin));
}

describe('Accept-Encoding', () => {
  const fieldOf = (head: string): string | undefined => /^Accept-Encoding: (.*)\r/m.exec(head)?.[1];

  test('br, and zstd where Node has it, is asked for where nobody can be on the way: on this machine, and over TLS', async () => {
    const { origin, requests } = await wire(lab);
    await run(lab.request(origin));
    await run(lab.request(origin.replace('127.0.0.1', 'other.test')));
    expect(requests.map(fieldOf)).toEqual([ALL, 'gzip, deflate']);
    let seen: unknown;
    const server = lab.modules.https.createServer({ key, cert }, (request, response) => {
      seen = request.headers['accept-encoding'];
      response.end();
    });
    await run(lab.request(`https://other.test:${await lab.listen(server)}/`));
    expect(seen).toBe(ALL);
  });

  test('a part is asked for as it is; what was set is sent as it was set, and bodies are decoded all the same', async () => {
    const { origin, requests } = await wire(lab, [answerOf('gzip', gzipSync(TEXT))]);
    await run(lab.request({ url: origin, headers: { Range: 'bytes=0-1' } }));
    const { body } = await run(lab.request({ url: origin, headers: { 'accept-encoding': 'zstd' } }));
    expect(requests.map((text) => text.match(/^accept-encoding: .*/gim))).toEqual([
      ['Accept-Encoding: identity'],
      ['accept-encoding: zstd'],
    ]);
    expect(body).toBe(TEXT);
  });

  test('a session that does not want it asks for nothing and gets what was sent', async () => {
    lab.session.contentDecoding = false;
    const coded = gzipSync(TEXT);
    const { origin, requests } = await wire(lab, [answerOf('gzip', coded)]);
    const { body } = await run(lab.request(origin));
    expect([fieldOf(requests[0]!), body]).toEqual([undefined, coded.toString('latin1')]);
  });
});

describe('bodies', () => {
  const plain = Buffer.from(TEXT);
  test.each([
    ['gzip', gzipSync(plain)],
    ['X-GZip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ...zstdRows(() => zstd!(plain)),
    ['gzip, br', brotliCompressSync(gzipSync(plain))],
    ['br, deflate , gzip', gzipSync(deflateSync(brotliCompressSync(plain)))],
  ])('%s', async (coding, coded) => {
    const { body, events, error } = await ask(answerOf(coding, coded));
    expect([error, body]).toEqual([undefined, TEXT]);
    expect(events).toEqual(['finish', 'response', 'response end', 'response close', 'close']);
  });

  test('of any size, over a kept connection, in chunks', async () => {
    const big = Buffer.alloc(3_000_000, 'many words, ');
    let connections = 0;
    const server = lab.modules.http.createServer((_request, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.write(gzipSync(big).subarray(0, 100));
      response.end(gzipSync(big).subarray(100));
    });
    server.on('connection', () => connections++);
    const origin = `http://127.0.0.1:${await lab.listen(server as never)}`;
    for (let i = 0; i < 3; i++) expect((await run(lab.request(origin))).body.length).toBe(big.length);
    expect(connections).toBe(1);
  });

  test('byte by byte, with all that a gzip head can have', async () => {
    const coded = gzipSync(plain);
    const head = Buffer.from([0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 3, 0, 9, 9, 9]);
    const whole = Buffer.concat([head, Buffer.from('name\0a comment\0'), Buffer.from([7, 7]), coded.subarray(10)]);
    const origin = await lab.serve(async (_request, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      for (const byte of whole) {
        if (!response.write(Buffer.of(byte))) await once(response, 'drain');
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    expect((await run(lab.request(origin))).body).toBe(TEXT);
  });

  test('zstd: frame after frame, some to pass over, however they are cut', async () => {
    if (zstd === undefined) {
      expect(() => createUnzstd()).toThrow(`Node ${process.version} does not decode zstd`);
      return;
    }
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const half = TEXT.length / 2;
    const parts = [zstd(plain.subarray(0, half)), skippable, zstd(plain.subarray(half)), Buffer.from('(junk')];
    const whole = Buffer.concat(parts);
    for (let at = 1; at <= whole.length; at++) {
      const decoder = createUnzstd();
      decoder.write(whole.subarray(0, at));
      decoder.end(whole.subarray(at));
      let text = '';
      for await (const piece of decoder) text += String(piece);
      expect([at, text === TEXT]).toEqual([at, true]);
    }
  });

  /** All that a decoder gives, to somebody who takes his time: what is full has to go on by itself. */
  const pourOut = (decoder: Duplex): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      decoder.on('data', (piece: Buffer) => {
        text += piece.toString('latin1');
        decoder.pause();
        setImmediate(() => decoder.resume());
      });
      decoder.on('end', () => resolve(text));
      decoder.on('error', (error) => resolve(`failed: ${(error as NodeJS.ErrnoException).code}`));
    });

  test.each([
    ['gzip', 'a little', gzipSync('hello, hello')],
    ['gzip', 'much', gzipSync(Buffer.alloc(150_000, 'hello, '))],
    ['deflate', 'a little', deflateSync('hello, hello')],
    ['deflate', 'bare', deflateRawSync('hello, hello')],
    ['br', 'a little', brotliCompressSync('hello, hello')],
    ['br', 'much', brotliCompressSync(Buffer.alloc(150_000, 'hello, '))],
    ...(zstd === undefined
      ? []
      : [['zstd', 'a little', zstd(Buffer.from('hello, hello'))] as [string, string, Buffer]]),
  ])('%s, %s: wherever it breaks off, and however it is cut, it comes to an end', async (coding, amount, coded) => {
    const whole = amount === 'much' ? 'hello, '.repeat(21_429).slice(0, 150_000) : 'hello, hello';
    let last = '';
    for (let length = 0; length <= coded.length; length++) {
      const places = Array.from({ length: length + 1 }, (_, at) => at);
      // Much is cut at one place: what matters there is who reads.
      const outcomes = (amount === 'much' ? [length >> 1] : places).map(async (at) => {
        const decoder = decodersFor(coding)[0]!;
        if (at > 0) decoder.write(coded.subarray(0, at));
        decoder.end(coded.subarray(at, length));
        last = await pourOut(decoder);
        return whole.startsWith(last) ? [] : [[length, at, last]];
      });
      expect((await Promise.all(outcomes)).flat()).toEqual([]);
    }
    expect(last).toBe(whole);
  });

  test.each([
    ['an unknown coding', 'zstandard'],
    ...(zstd === undefined ? [['one that this Node cannot undo', 'zstd']] : []),
    ['one unknown of two', 'gzip, compress'],
    ['none', 'identity'],
    ['a list of nothing', ' , '],
    ['more than anybody applies', 'gzip, gzip, gzip, gzip, gzip, gzip'],
    ['a name of every object', 'constructor'],
  ])('%s: as it was sent', async (_name, coding) => {
    expect((await ask(answerOf(coding, Buffer.from('as it is')))).body).toBe('as it is');
  });

  test('heads are told as they came', async () => {
    const coded = gzipSync('x');
    const { origin } = await wire(lab, [answerOf('gzip', coded)]);
    const request = lab.request(origin);
    let headers: unknown;
    request.on('response', (response) => {
      headers = response.headers;
    });
    await run(request);
    expect(headers).toEqual({ 'content-encoding': 'gzip', 'content-length': String(coded.length) });
  });

  test.each(['HEAD', 'GET'])('without a body there is nothing to decode (%s)', async (method) => {
    const status = method === 'HEAD' ? '200 OK\r\nContent-Length: 20' : '304 Not Modified';
    const { origin } = await wire(lab, [`HTTP/1.1 ${status}\r\nContent-Encoding: gzip\r\n\r\n`]);
    const { body, error, events } = await run(lab.request({ url: origin, method }));
    expect([body, error, events.at(-1)]).toEqual(['', undefined, 'close']);
  });

  test.each([
    ['gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['br', brotliCompressSync(plain)],
    ...zstdRows(() => zstd!(plain)),
  ])(
    '%s: what follows the end is passed over, one that ends early gives what there is, none is none',
    async (...all) => {
      const [coding, coded] = all;
      const padded = Buffer.concat([coded, Buffer.from('junk behind it')]);
      expect((await ask(answerOf(coding, padded))).body).toBe(TEXT);
      const early = await ask(answerOf(coding, coded.subarray(0, -6)));
      expect([early.error, TEXT.startsWith(early.body)]).toEqual([undefined, true]);
      const none = await ask(answerOf(coding, Buffer.alloc(0)));
      expect([none.error, none.body]).toEqual([undefined, '']);
    },
  );

  test('fetch gives them decoded', async () => {
    const { origin } = await wire(lab, [answerOf('br', brotliCompressSync('{"a":1}'))]);
    expect(await (await lab.electron.fetch(origin)).json()).toEqual({ a: 1 });
  });
});

describe('failures', () => {
  const broken = ['finish', 'response', 'response error', 'response close', 'error', 'close'];
  const CUT = 'net::ERR_CONTENT_LENGTH_MISMATCH';

  test.each([
    ['gzip', Buffer.from('this is no gzip at all')],
    ['gzip', Buffer.from([0x1f, 0x8c])],
    ['gzip', Buffer.from([0x1f, 0x8b, 9])],
    ['gzip', Buffer.concat([gzipSync('x').subarray(0, 10), Buffer.alloc(50, 0xff)])],
    ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0]), Buffer.alloc(300_000, 'n')])],
    ['deflate', Buffer.alloc(50, 0xff)],
    ['br', Buffer.alloc(500, 'nonsense')],
    ...zstdRows(() => Buffer.alloc(500, 'nonsense')),
    // More memory than anybody asks of a receiver (RFC 9659), though the text itself would fit.
    ...zstdRows(() => zstd!(randomBytes(9_000_000), { params: { [zlib.constants['ZSTD_c_windowLog' as never]]: 24 } })),
    ['gzip, br', brotliCompressSync('no gzip in it')],
  ])('%s that is none: ERR_CONTENT_DECODING_FAILED (%#)', async (coding, coded) => {
    const { error, events } = await ask(answerOf(coding, coded));
    const cause = expect.objectContaining({ code: expect.stringMatching(/^(Z_|ERR__ERROR_|ZSTD_error_)/) });
    expect(error).toMatchObject({ message: 'net::ERR_CONTENT_DECODING_FAILED', cause });
    expect(events).toEqual(broken);
  });

  test('a coded body cut short is a body cut short', async () => {
    const coded = gzipSync(TEXT);
    const { error, events } = await ask(answerOf('gzip', coded).slice(0, -3), true);
    expect([error?.message, events]).toEqual([CUT, broken]);
  });

  test.each([
    ['gzip', gzipSync('hello, hello')],
    ['deflate', deflateSync('hello, hello')],
    ['br', brotliCompressSync('hello, hello')],
    ...zstdRows(() => zstd!(Buffer.from('hello, hello'))),
  ])('%s: wherever a body is cut, and however it came, its request ends', async (coding, coded) => {
    // What comes, in two pieces, before the connection is closed: in order, or by a reset.
    let pieces: [Buffer, Buffer] = [coded, coded];
    let rude = false;
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${coded.length}\r\n\r\n`;
    const origin = await lab.accept((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.concat([Buffer.from(head), pieces[0]]));
        setImmediate(() => {
          if (!rude) return socket.end(pieces[1]);
          return socket.write(pieces[1], () => socket.resetAndDestroy());
        });
      });
    });
    for (let cut = 0; cut < coded.length; cut++) {
      for (const at of [0, cut >> 1, cut]) {
        pieces = [coded.subarray(0, at), coded.subarray(at, cut)];
        rude = (cut + at) % 2 === 1;
        const { error, events } = await run(lab.request(origin));
        if (!rude) expect([cut, at, error?.message, events]).toEqual([cut, at, CUT, broken]);
        // What came before a reset may be lost with it.
        else expect([cut, at, error?.code, events.at(-1)]).toEqual([cut, at, expect.any(String), 'close']);
      }
    }
  });
});

describe('a little that becomes very much', () => {
  const bytes = 200 * 1024 * 1024;
  const bomb = gzipSync(gzipSync(Buffer.alloc(bytes)));
  const serve = (): Promise<string> =>
    lab.serve((_request, response) => {
      response.setHeader('Content-Encoding', 'gzip, gzip');
      response.end(bomb);
    });

  test('is decoded no faster than it is read, and no more of it once nobody wants it', async () => {
    const request = lab.request(await serve());
    const outcome = outcomeOf(request);
    let received = 0;
    request.on('response', (response) => {
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        response.pause();
        setImmediate(() => (received < 1_000_000 ? response.resume() : request.abort()));
      });
    });
    request.end();
    const { events } = await outcome;
    expect(events.slice(-4)).toEqual(['abort', 'response aborted', 'response close', 'close']);
    // A little more than was read: what the buffers on the way hold.
    expect(received).toBeLessThan(2_000_000);
    await until(() => lab.session.tracked.size === 0);
  });
});
