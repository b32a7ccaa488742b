import { time } from '../net/time';

/** HTTP's date (RFC 9110 §5.6.7), made once a second. Head renderers append it for every response. */
let text = '';
/** Changes whenever `text` does: what depends on the date may be kept as long as this stays. */
let generation = 0;
/** The clock that told it. A simulated world has one of its own, and takes along the timer that was to make `text` expire. */
let clock: DateConstructor | null = null;

/** The date as of this second, such as "Fri, 20 Nov 2026 23:49:14 GMT". */
export function utcDate(): string {
  if (text === '' || clock !== time.Date) {
    clock = time.Date;
    const now = new time.Date();
    text = now.toUTCString();
    generation++;
    time.setTimeout(expire, 1000 - now.getMilliseconds()).unref();
  }
  return text;
}

/** Differs between any two calls between which the date may have changed. */
export function dateGeneration(): number {
  if (text === '' || clock !== time.Date) utcDate();
  return generation;
}

function expire(): void {
  text = '';
}
