/**
 * Of a name with several addresses Node gives each but the last a quarter of a second, and gives up one that takes longer:
 * when the others are refused, a server is not reached that is only far away, or this machine busy. Chromium goes on
 * waiting for all. So what failed for want of patience is tried once more, with patience.
 */
const ATTEMPT_MS = 60_000;

/** What connections are asked for with the second time. */
export const PATIENT = { autoSelectFamilyAttemptTimeout: ATTEMPT_MS } as const;

/** Whether an address was given up that might have answered: the last one was not what took the time. */
export function wasHasty(error: unknown): boolean {
  const { errors } = (error ?? {}) as { errors?: unknown };
  if (!Array.isArray(errors) || errors.length === 0) return false;
  const late = (errors as NodeJS.ErrnoException[]).map((one) => one?.code === 'ETIMEDOUT');
  return late.includes(true) && late[late.length - 1] === false;
}
