import { bytesText, durationText, ProgressBar, progressLine } from '../../../tools/progress';

const MiB = 1 << 20;

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [200 * 1024, '200 KiB'],
  [3.25 * MiB, '3.3 MiB'],
  [5 * 1024 * MiB, '5.0 GiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0, '0:00'],
  [61_000, '1:01'],
  [3_605_000, '1:00:05'],
])('%d ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test('a bar where the size is known', () => {
  const line = progressLine({ done: 25 * MiB, total: 100 * MiB, elapsedMs: 1000 }, 79);
  expect(line).toBe(`[${'='.repeat(8)}${' '.repeat(25)}]  25%  25.0 MiB of 100 MiB  25.0 MiB/s  0:03`);
});

test('what has come so far where it is not, or was a lie', () => {
  expect(progressLine({ done: MiB, total: null, elapsedMs: 500 }, 79)).toBe('1.0 MiB  2.0 MiB/s');
  expect(progressLine({ done: 2 * MiB, total: MiB, elapsedMs: 500 }, 79)).toBe('2.0 MiB  4.0 MiB/s');
});

test('no line is wider than the terminal, whatever the figures', () => {
  for (const total of [null, 0, 1, 10 ** 12]) {
    for (let columns = 1; columns < 120; columns++) {
      for (const done of [0, 1, 10 ** 6, 10 ** 12]) {
        expect(progressLine({ done, total, elapsedMs: 0 }, columns).length).toBeLessThanOrEqual(columns);
      }
    }
  }
});

describe('the bar', () => {
  function terminal(isTTY: boolean) {
    const written: string[] = [];
    return { isTTY, columns: 80, written, write: (text: string) => written.push(text) };
  }

  test('is drawn ten times a second at most, and stays at the end', () => {
    let now = 0;
    const tty = terminal(true);
    const bar = new ProgressBar(tty, () => now);
    for (now = 0; now < 1000; now++) bar.show({ done: now, total: 1000, elapsedMs: now });
    expect(tty.written.length).toBe(10);
    bar.finish({ done: 1000, total: 1000, elapsedMs: 1000 });
    expect(tty.written.at(-1)).toBe('\n');
    expect(tty.written.at(-2)).toContain('100%');
  });

  test('says nothing where nobody looks', () => {
    const file = terminal(false);
    const bar = new ProgressBar(file, () => 0);
    bar.show({ done: 1, total: 2, elapsedMs: 1 });
    bar.finish({ done: 2, total: 2, elapsedMs: 1 });
    bar.clear();
    expect(file.written).toEqual([]);
  });
});
