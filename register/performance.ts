import { PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { type Entry, observers } from '../net/observed';

/** How Node hands an entry to an observer: by a method of its own, under a symbol. */
const TAKE = Object.getOwnPropertySymbols(PerformanceObserver.prototype).find(
  (key) => key.description === 'kMaybeBuffer',
);

type Observing = PerformanceObserver & Record<symbol, (entry: object) => void>;

const observing = new Set<Observing>();

/** An entry that is to programs what Node's are. */
function told(entry: Entry): void {
  const fields: PropertyDescriptorMap = {
    toJSON: { value: () => ({ ...entry }), enumerable: false },
  };
  for (const key of Object.keys(entry)) fields[key] = { value: entry[key as keyof Entry], enumerable: true };
  const shown = Object.create(PerformanceEntry.prototype, fields) as object;
  // Each takes only what it observes.
  for (const observer of observing) observer[TAKE!]!(shown);
}

/** Observers of Node's hear of our sockets and messages as they would of Node's. Where Node changed its ways, they do not. */
export function tellObservers(): void {
  if (TAKE === undefined) return;
  const { observe, disconnect } = PerformanceObserver.prototype;
  Object.assign(PerformanceObserver.prototype, {
    observe(this: Observing, ...args: Parameters<typeof observe>): void {
      observe.apply(this, args);
      observing.add(this);
      observers.http = observers.net = told;
    },
    disconnect(this: Observing): void {
      disconnect.call(this);
      observing.delete(this);
      if (observing.size === 0) observers.http = observers.net = null;
    },
  });
}
