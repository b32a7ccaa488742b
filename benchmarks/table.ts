export interface Row {
  readonly name: string;
  /** The first is what the ratio is of. */
  readonly values: Record<string, number>;
}

export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const shown = (n: number): string => {
  if (Number.isNaN(n)) return '-';
  if (Math.abs(n) >= 1000) return Math.round(n).toLocaleString('en');
  return n.toFixed(Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : 2);
};

/** A table of medians; the ratio is to the first row, and says which way is better. */
export function printTable(name: string, unit: string, better: 'more' | 'less', rows: readonly Row[]): void {
  const keys = Object.keys(rows[0]!.values);
  const base = rows[0]!.values[keys[0]!]!;
  const cells = [
    [`${name} (${unit}, ${better} is better)`, ...keys, 'ratio'],
    ...rows.map((row) => [
      row.name,
      ...keys.map((key) => shown(row.values[key]!)),
      (row.values[keys[0]!]! / base).toFixed(2),
    ]),
  ];
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  for (const line of cells) {
    process.stdout.write(
      `${line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')}\n`,
    );
  }
  process.stdout.write('\n');
}
