import { BELOW_TCP } from './below-tcp';
import type { Mutant } from './mutant';
import { ARRIVALS } from './tcp-arrivals';
import { CALLS } from './tcp-calls';
import { RECOVERY } from './tcp-recovery';
import { SENDING } from './tcp-sending';
import { TIMERS } from './tcp-timers';

/** Every deliberate bug. `npm run mutants` proves that each is noticed by the tests that it names. */
export const MUTANTS: readonly Mutant[] = [...ARRIVALS, ...CALLS, ...SENDING, ...TIMERS, ...RECOVERY, ...BELOW_TCP];
