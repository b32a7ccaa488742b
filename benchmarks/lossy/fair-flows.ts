/** Flows that share one link, their round trips spread evenly. */
export interface Flows {
  readonly count: number;
  /** Milliseconds. */
  readonly rtt: readonly [first: number, last: number];
}

/** 200 Mbit/s in bytes a millisecond, and bytes that may wait. */
export const RATE = 25_000;
export const QUEUE_BYTES = 65_536;
/** Of the receiver, for the first flow. */
export const FIRST_PORT = 20_000;
/** Flows begin one after the other. */
export const BEGIN_EVERY_MS = 10;

/** Milliseconds. */
export function roundTrip({ count, rtt: [first, last] }: Flows, flow: number): number {
  return count === 1 ? first : first + (flow * (last - first)) / (count - 1);
}

/** Jain's index: 1 when all are equal, 1/n when one has everything. */
export function jain(rates: readonly number[]): number {
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  return (total * total) / (rates.length * rates.reduce((sum, rate) => sum + rate * rate, 0));
}
