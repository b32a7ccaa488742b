import { TlsRecords } from '../../../http/tls-records';

const record = (length: number): Uint8Array =>
  Uint8Array.from([23, 3, 3, length >> 8, length & 255, ...new Uint8Array(length).fill(23)]);
const text = Buffer.concat([record(1), record(0), record(300), record(256), record(7)]);
const ENDS = [6, 11, 316, 577, 589];

function cutsOf(pieces: Uint8Array[]): number[] {
  const records = new TlsRecords();
  const cuts: number[] = [];
  let before = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; cuts.push(before + at)) at = records.cut(piece, at, piece.length);
    before += piece.length;
  }
  return cuts;
}

test('text is cut behind each record', () => {
  expect(cutsOf([text])).toEqual(ENDS);
});

test('wherever it is cut already', () => {
  for (let at = 1; at < text.length; at++) {
    const both = [...new Set([...ENDS, at])].sort((a, b) => a - b);
    expect(cutsOf([text.subarray(0, at), text.subarray(at)])).toEqual(both);
  }
  expect(cutsOf([...text].map((byte) => Uint8Array.of(byte)))).toEqual([...text.keys()].map((at) => at + 1));
});

test('what is no TLS is cut somewhere, and each cut leads on', () => {
  const records = new TlsRecords();
  const rubbish = Buffer.alloc(200_000, 'GET / HTTP/1.1\r\n\r\n');
  let cuts = 0;
  for (let at = 0; at < rubbish.length; cuts++) {
    const to = records.cut(rubbish, at, rubbish.length);
    expect(to).toBeGreaterThan(at);
    at = to;
  }
  expect(cuts).toBeGreaterThan(0);
});
