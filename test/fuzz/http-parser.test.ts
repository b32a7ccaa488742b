import { difference, fuzz, KNOWN_DIFFERENCES, runNode, runOurs } from './http-parser';
import type { Case } from './http-parser-cases';

describe("our parser and Node's, on random messages cut at random", () => {
  test.each([1, 2, 3])('seed %d', (seed) => {
    const tally = fuzz(seed, 10_000);
    expect(tally.bugs).toEqual([]);
    expect(tally.cases).toBe(10_000);
    // Both verdicts have to be frequent, or the generator tests nothing.
    expect(tally.accepted).toBeGreaterThan(2_000);
    expect(tally.refused).toBeGreaterThan(2_000);
  });

  test('the same seed makes the same cases', () => {
    expect(fuzz(4, 500)).toEqual(fuzz(4, 500));
  });
});

/** One case for each way in which we mean to differ, so that the table stays true. */
const SHOWN: Readonly<Record<string, Partial<Case> & { text: string }>> = {
  'no body after any 1xx': { role: 'response', text: 'HTTP/1.1 199 X\r\nContent-Length: 1\r\n\r\na' },
  'Transfer-Encoding without chunked in a request that upgrades': {
    text: 'GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: gzip\r\n\r\n',
  },
  'empty Transfer-Encoding': { text: 'GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n' },
  'CR CR after a status line': { role: 'response', text: 'HTTP/1.1 204 X\r\r\n\r\n' },
  'lengths from 2^53 on': { text: 'GET / HTTP/1.1\r\nContent-Length: 9007199254740992\r\n\r\n' },
  'too long and malformed': { text: `GET / HTTP/1.1\r\n${'a'.repeat(60)}@: b\r\n\r\n`, maxHeaderSize: 50 },
  'white space beyond measure': { text: `GET / HTTP/1.1\r\na:${' '.repeat(1500)}b\r\n\r\n`, maxHeaderSize: 50 },
  'separators of chunk extensions beyond measure': {
    text: `GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1${';'.repeat(17_000)}a\r\nb\r\n`,
  },
  'errors after an upgrade': {
    text: 'GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\nx',
  },
  'length left over from the message before': {
    role: 'response',
    lenient: 4,
    text: 'HTTP/1.1 304 X\r\nConnection: close\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nab',
  },
};

describe('where we mean to differ from Node', () => {
  test.each(KNOWN_DIFFERENCES.map((known) => [known.name, known] as const))('%s', (name, known) => {
    const c: Case = {
      role: 'request',
      cuts: [],
      lenient: 0,
      maxHeaderSize: 16_384,
      answer: 0,
      finish: false,
      ...SHOWN[name],
    } as Case;
    const ours = runOurs(c);
    const theirs = runNode(c);
    expect(difference(ours, theirs)).not.toBe('');
    expect(known.explains(c, ours, theirs)).toBe(true);
  });

  test('each is shown', () => {
    expect(Object.keys(SHOWN).sort()).toEqual(KNOWN_DIFFERENCES.map((known) => known.name).sort());
  });
});
