import { validateBoolean, validateInt32 } from './validate';

/** RFC 8305 §5 recommends 250 ms between attempts and nothing below 10 ms. */
const ATTEMPT_TIMEOUT_MIN = 10;
const ATTEMPT_TIMEOUT_DEFAULT = 250;

const flag = (name: string): string | undefined =>
  [...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/), ...process.execArgv].findLast(
    (word) => word === name || word.startsWith(`${name}=`),
  );

/** Node's command line and NODE_OPTIONS set the defaults. */
function attemptTimeoutFromFlags(): number {
  const value = flag('--network-family-autoselection-attempt-timeout')?.split('=')[1];
  return value === undefined ? ATTEMPT_TIMEOUT_DEFAULT : Math.max(ATTEMPT_TIMEOUT_MIN, Number(value));
}

let autoSelectFamily = flag('--no-network-family-autoselection') === undefined;
let attemptTimeout = attemptTimeoutFromFlags();

/** Whether sockets try all addresses of a name, unless their options say otherwise. */
export const getDefaultAutoSelectFamily = (): boolean => autoSelectFamily;

/** Whether sockets try all addresses of a name, unless their options say otherwise. */
export function setDefaultAutoSelectFamily(value: boolean): void {
  validateBoolean(value, 'value');
  autoSelectFamily = value;
}

/** Milliseconds that one address has before the next is tried. */
export const getDefaultAutoSelectFamilyAttemptTimeout = (): number => attemptTimeout;

/** Milliseconds that one address has before the next is tried; at least 10. */
export function setDefaultAutoSelectFamilyAttemptTimeout(value: number): void {
  validateInt32(value, 'value', 1);
  attemptTimeout = Math.max(ATTEMPT_TIMEOUT_MIN, value);
}

/** The option, checked, or the default. */
export function autoSelectOf(option: unknown): boolean {
  if (option == null) return autoSelectFamily;
  validateBoolean(option, 'options.autoSelectFamily');
  return option;
}

/** The option, checked, or the default; milliseconds. */
export function attemptTimeoutOf(option: unknown): number {
  if (option == null) return attemptTimeout;
  validateInt32(option, 'options.autoSelectFamilyAttemptTimeout', 1);
  return Math.max(ATTEMPT_TIMEOUT_MIN, option);
}
