import type { Connection } from '../../../../stack/tcp/connection';

/**
 * The connection has these values. Compares nothing else: what `toMatchObject` prints when it fails is the connection with
 * its whole stack, more than a process has memory for.
 */
export function expectFields(c: Connection, expected: Partial<Record<keyof Connection, unknown>>): void {
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, c[name as keyof Connection]]));
  expect(found).toEqual(expected);
}
