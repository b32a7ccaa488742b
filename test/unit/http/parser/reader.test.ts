import {
  HEAD_GOES_ON,
  HEAD_NO_BODY,
  HEAD_NO_UPGRADE,
  HEAD_UPGRADE,
  type HttpHandler,
  HttpReader,
} from '../../../../http/connection';
import type { Head } from '../../../../http/head';
import { bytes, newReader, Recorder, read } from './reading';

const GET = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';
const POST = 'POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello';
const UPGRADE = 'GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
const CHUNKED = 'PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n';

const quiet: HttpHandler = {
  onBegin() {},
  onHead: () => HEAD_GOES_ON,
  onBody() {},
  onTrailers() {},
  onComplete() {},
};

describe('a head is read where it lies', () => {
  function headOf(feed: (reader: HttpReader) => void): { head: Head; bytes: Uint8Array; at: number; end: number } {
    let seen: { head: Head; bytes: Uint8Array; at: number; end: number } | undefined;
    const reader = newReader(
      {},
      {
        ...quiet,
        onHead(head) {
          seen = { head, bytes: head.bytes, at: head.at, end: head.end };
          return HEAD_GOES_ON;
        },
      },
    );
    feed(reader);
    return seen!;
  }

  test('in the packet when it is whole', () => {
    const packet = new Uint8Array(500);
    packet.set(bytes(`\r\n${GET}`), 100);
    const seen = headOf((reader) => reader.read(packet, 100, 102 + GET.length));
    expect(seen.bytes).toBe(packet);
    expect([seen.at, seen.end]).toEqual([102, 102 + GET.length]);
  });

  test('in memory of the reader when it came in pieces, and no byte behind it is missed', () => {
    const packet = bytes(GET + POST);
    const seen = headOf((reader) => {
      reader.read(packet, 0, 10);
      expect(reader.read(packet, 10, GET.length + 3)).toBe(GET.length + 3);
    });
    expect(seen.bytes).not.toBe(packet);
    expect(seen.end - seen.at).toBe(GET.length);
  });

  test('body in place: the very bytes, at their position', () => {
    const packet = bytes(POST);
    const pieces: [boolean, number, number][] = [];
    const reader = newReader({}, { ...quiet, onBody: (b, at, end) => pieces.push([b === packet, at, end]) });
    reader.read(packet, 0, packet.length);
    expect(pieces).toEqual([[true, POST.length - 5, POST.length]]);
  });

  test('one record serves all messages, and does not keep the room for an unusual one', () => {
    const many = `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(1000)}\r\n`;
    const reader = newReader({}, quiet);
    const usual = reader.head.fields.length;
    const packet = bytes(GET + many + GET + GET);
    let counts: number[] = [];
    let room: number[] = [];
    reader.handler = {
      ...quiet,
      onHead(head) {
        counts.push(head.fieldCount);
        room.push(head.fields.length);
        return HEAD_GOES_ON;
      },
    };
    reader.read(packet, 0, packet.length);
    expect(counts).toEqual([1, 1000, 1, 1]);
    expect(room).toEqual([usual, expect.any(Number), usual, usual]);
    expect(room[1]).toBeGreaterThanOrEqual(5000);
    counts = [];
    room = [];
  });

  test('what the record counts: hosts, Expect, length', () => {
    const heads: [number, number, number][] = [];
    const reader = newReader(
      {},
      {
        ...quiet,
        onHead(head) {
          heads.push([head.hostCount, head.expectField, head.contentLength]);
          return HEAD_NO_BODY;
        },
      },
    );
    const packet = bytes(
      `GET / HTTP/1.1\r\n\r\n${GET}PUT / HTTP/1.1\r\nHost: a\r\nexpect: 100-continue\r\nHOST: b\r\nContent-Length: 7\r\n\r\n`,
    );
    reader.read(packet, 0, packet.length);
    expect(heads).toEqual([
      [0, -1, 0],
      [1, -1, 0],
      [2, 1, 7],
    ]);
  });
});

describe('pause and resume', () => {
  /** Pauses in the n-th event; returns the events up to then and, after resuming, all. */
  function pausedAt(text: string, nth: number): { before: string[]; position: number; after: string[] } {
    let events = 0;
    const recorder = new Recorder(0);
    const pausing = (): void => {
      if (++events === nth) reader.pause();
    };
    const reader: HttpReader = newReader(
      {},
      {
        onBegin() {
          recorder.onBegin();
          pausing();
        },
        onHead(head) {
          const answer = recorder.onHead(head);
          pausing();
          return answer;
        },
        onBody(b, at, end) {
          recorder.onBody(b, at, end);
          pausing();
        },
        onTrailers(head) {
          recorder.onTrailers(head);
          pausing();
        },
        onComplete() {
          recorder.onComplete();
          pausing();
        },
      },
    );
    const packet = bytes(text);
    const position = reader.read(packet, 0, packet.length);
    const before = [...recorder.lines];
    expect(reader.read(packet, position, packet.length)).toBe(position);
    reader.resume();
    expect(reader.read(packet, position, packet.length)).toBe(packet.length);
    return { before, position, after: recorder.lines };
  }

  test('in every event: nothing is lost and nothing comes twice', () => {
    const text = GET + POST + CHUNKED + GET;
    const expected = read(text);
    for (let nth = 1; nth <= 15; nth++) expect(pausedAt(text, nth).after).toEqual(expected);
  });

  test('after a message: the next one is not begun', () => {
    expect(pausedAt(GET + GET, 3)).toMatchObject({ position: GET.length });
    expect(pausedAt(GET + GET, 3).before).toHaveLength(3);
  });

  test('in the head: its body has not come', () => {
    const { before, position } = pausedAt(POST, 2);
    expect(before).toHaveLength(2);
    expect(position).toBe(POST.length - 5);
  });
});

describe('where HTTP ends', () => {
  test('an upgrade: the rest is not read, now or later', () => {
    const reader = newReader({}, quiet);
    const packet = bytes(`${UPGRADE}other protocol`);
    expect(reader.read(packet, 0, packet.length)).toBe(UPGRADE.length);
    expect(reader.receiving).toBe('upgraded');
    expect(reader.read(packet, UPGRADE.length, packet.length)).toBe(UPGRADE.length);
    reader.finish();
    expect(reader.error).toBeNull();
  });

  test('an upgrade with a body: behind it', () => {
    const post = `${UPGRADE.slice(0, -2).replace('GET', 'POST')}Content-Length: 2\r\n\r\n`;
    expect(read(`${post}ab\x00\x00`).slice(2)).toEqual(['body ab', 'complete', `stops at ${post.length + 2}`]);
  });

  test('CONNECT has no body, whatever its fields say', () => {
    const connect = 'CONNECT h:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n';
    expect(read(`${connect}ab`).slice(2)).toEqual(['complete', `stops at ${connect.length}`]);
  });

  test('the handler may take no upgrade: HTTP goes on', () => {
    expect(read(UPGRADE + GET, { answer: HEAD_NO_UPGRADE })).toHaveLength(6);
    const connect = 'CONNECT h:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n';
    expect(read(`${connect}ab${GET}`, { answer: HEAD_NO_UPGRADE }).slice(2, 4)).toEqual(['body ab', 'complete']);
  });

  test('the handler may end HTTP: the response to CONNECT', () => {
    const response = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n';
    expect(read(`${response}xyz`, { role: 'response', answer: HEAD_UPGRADE }).at(-1)).toBe(
      `stops at ${response.length}`,
    );
  });

  test('the end of input completes a body that lasts until then; nothing may follow', () => {
    const recorder = new Recorder(0);
    const reader = newReader({ role: 'response' }, recorder);
    const packet = bytes('HTTP/1.1 200 OK\r\n\r\nabc');
    reader.read(packet, 0, packet.length);
    reader.finish();
    reader.finish();
    expect(recorder.lines.slice(-2)).toEqual(['body abc', 'complete']);
    reader.read(packet, 0, packet.length);
    expect(reader.error?.code).toBe('HPE_CLOSED_CONNECTION');
  });

  test('fields of a trailer section ask for no upgrade', () => {
    let upgrade = true;
    const reader = newReader({}, { ...quiet, onTrailers: (head) => void (upgrade = head.upgrade) });
    const packet = bytes(CHUNKED.replace('T: x', 'Connection: upgrade\r\nUpgrade: x') + GET);
    expect(reader.read(packet, 0, packet.length)).toBe(packet.length);
    expect(upgrade).toBe(false);
  });

  test('nothing is read any more once something was refused', () => {
    const reader = newReader({}, quiet);
    const packet = bytes(`GET / HTTP/9.9\r\n\r\n${GET}`);
    reader.read(packet, 0, packet.length);
    const error = reader.error;
    expect(error).toEqual({ code: 'HPE_INVALID_VERSION', reason: 'Invalid HTTP version' });
    expect(reader.read(packet, 18, packet.length)).toBe(18);
    reader.finish();
    expect(reader.error).toBe(error);
  });

  test('bytesParsed counts from where the call began', () => {
    const reader = newReader({}, quiet);
    const packet = bytes(`xxxxGET / HTTP/9.9`);
    reader.read(packet, 4, 10);
    reader.read(packet, 10, packet.length);
    expect(reader.errorAt - 10).toBe(8);
  });
});

describe('a reader is used for one connection after the other', () => {
  test.each([
    ['amid a head', 'GET / HT'],
    ['amid a body', POST.slice(0, -2)],
    ['amid a chunk', CHUNKED.slice(0, 55)],
    ['amid trailers', CHUNKED.slice(0, -3)],
    ['after an error', 'x'],
    ['after an upgrade', UPGRADE],
    ['after the last message', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ])('reset %s', (_when, text) => {
    const reader = newReader({}, quiet);
    reader.read(bytes(text), 0, text.length);
    const recorder = new Recorder(0);
    reader.reset(recorder);
    expect(reader.idle).toBe(true);
    const packet = bytes(GET + POST + CHUNKED);
    for (let at = 0; at < packet.length; at++) reader.read(packet, at, at + 1);
    expect(recorder.lines).toEqual(read(GET + POST + CHUNKED));
  });

  test('nothing of a head that was given up counts against the next one', () => {
    const reader = newReader({ maxHeaderSize: 40 }, quiet);
    reader.read(bytes(`GET /${'a'.repeat(30)}`), 0, 35);
    const recorder = new Recorder(0);
    reader.reset(recorder);
    const head = `GET / HTTP/1.1\r\na: ${'b'.repeat(30)}\r\n\r\n`;
    for (let at = 0; at < head.length; at++) reader.read(bytes(head), at, at + 1);
    expect(recorder.lines).toEqual(read(head));
  });

  test.each(['onBegin', 'onHead', 'onBody', 'onTrailers', 'onComplete'] as const)(
    'given up in %s and used by another connection at once: neither hears of the other',
    (event) => {
      const first = new Recorder(0);
      const second = new Recorder(0);
      const third = new Recorder(0);
      const giveUp = (): void => {
        reader.reset(second);
        const other = bytes(POST + GET);
        expect(reader.read(other, 0, POST.length + 7)).toBe(POST.length + 7);
      };
      const handler: HttpHandler = {
        onBegin: () => first.onBegin(),
        onHead: (head) => first.onHead(head),
        onBody: (b, at, end) => first.onBody(b, at, end),
        onTrailers: (head) => first.onTrailers(head),
        onComplete: () => first.onComplete(),
      };
      const before = handler[event] as (...args: unknown[]) => number;
      (handler as unknown as Record<string, unknown>)[event] = (...args: unknown[]) => {
        const answer = before(...args);
        giveUp();
        return answer;
      };
      const reader = newReader({}, handler);
      const packet = bytes(CHUNKED + POST);
      expect(reader.read(packet, 0, packet.length)).toBeLessThan(packet.length);
      first.flush();
      expect(read(CHUNKED).join('\n').startsWith(first.lines.join('\n'))).toBe(true);
      expect(first.lines.length).toBeLessThan(5 + Number(event === 'onComplete'));
      const rest = bytes(GET);
      expect(reader.read(rest, 7, rest.length)).toBe(rest.length);
      expect(second.lines).toEqual(read(POST + GET));
      reader.reset(third);
      reader.read(packet, 0, packet.length);
      expect(third.lines).toEqual(read(CHUNKED + POST));
    },
  );

  test('a body of known length, given up with its last byte', () => {
    const second = new Recorder(0);
    const reader: HttpReader = newReader({}, { ...quiet, onBody: () => reader.reset(second) });
    const packet = bytes(POST + POST);
    expect(reader.read(packet, 0, packet.length)).toBe(POST.length);
    expect(second.lines).toEqual([]);
    expect(reader.idle).toBe(true);
  });

  test.each(['onHead', 'onTrailers'] as const)('a handler that throws in %s is not given the same again', (event) => {
    const recorder = new Recorder(0);
    const reader = newReader(
      {},
      Object.assign(Object.create(recorder) as Recorder, {
        [event]: () => {
          throw new Error('from the application');
        },
      }),
    );
    const packet = bytes(CHUNKED);
    expect(() => reader.read(packet, 0, packet.length)).toThrow('from the application');
    expect(reader.read(packet, 10, packet.length)).toBe(10);
    expect(reader.receiving).toBe('failed');
    reader.reset(recorder);
    reader.read(packet, 0, packet.length);
    expect(recorder.lines.slice(-4)).toEqual(read(CHUNKED).slice(-4));
  });

  test('it is idle between messages only', () => {
    const reader = newReader({}, quiet);
    const idle: boolean[] = [];
    const packet = bytes(`${POST}\r\nG`);
    for (let at = 0; at < packet.length; at++) {
      reader.read(packet, at, at + 1);
      idle.push(reader.idle);
    }
    expect(idle.lastIndexOf(false)).toBe(packet.length - 1);
    expect(idle.slice(POST.length - 1, -1)).toEqual([true, true, true]);
    expect(idle.slice(0, POST.length - 1)).not.toContain(true);
  });

  test('an empty call changes nothing', () => {
    const reader = newReader({}, quiet);
    expect(reader.read(bytes(''), 0, 0)).toBe(0);
    expect(reader.idle).toBe(true);
  });
});

describe('pipelining (RFC 9112 §9.3.2)', () => {
  test('messages in one piece come in their order', () => {
    expect(read(GET.repeat(3) + CHUNKED + POST).filter((line) => line === 'complete')).toHaveLength(5);
  });
});

test('a reader takes any Uint8Array, also a Buffer from a stream', () => {
  const recorder = new Recorder(0);
  const reader = new HttpReader({ role: 'request', maxHeaderSize: 16_384, lenient: 0 }, recorder);
  const b = Buffer.from(GET + POST);
  expect(reader.read(b, 0, b.length)).toBe(b.length);
  expect(recorder.lines).toEqual(read(GET + POST));
});
