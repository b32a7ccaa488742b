import { BELOW_TCP } from './below-tcp';
import type { Mutant } from './mutant';
import { ARRIVALS } from './tcp-arrivals';
import { SENDING } from './tcp-sending';

/** Every deliberate bug. `npm run mutants` proves that each is noticed by the tests that it names. */
export const MUTANTS: readonly Mutant[] = [...ARRIVALS, ...SENDING, ...BELOW_TCP];
