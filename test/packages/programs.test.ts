import { type Outcome, PROGRAMS, runTogether, type Wire } from './run';

// Unmodified packages: what a program sees on a stack of ours is word for word what it sees over the kernel's.

const OURS: Wire[] = ['register', 'register, imported', 'register-net'];

jest.setTimeout(330_000);

describe.each(PROGRAMS)('%s', (program) => {
  let kernel: Outcome;

  test('over the kernel every scenario comes to its end', async () => {
    kernel = await runTogether(program, 'kernel');
    const failed = Object.entries(kernel.transcript).filter(([, seen]) => !Array.isArray(seen) || seen.length === 0);
    expect(failed).toEqual([]);
    // What counts sockets does count.
    expect(kernel.kernelSockets).toBeGreaterThan(0);
  });

  test.each(OURS)('%s: the same words, and no socket of the kernel', async (wire) => {
    const ours = await runTogether(program, wire);
    expect(ours.transcript).toEqual(kernel.transcript);
    expect(ours.kernelSockets).toBe(0);
  });
});
