import { time } from './time';
/**
 * What `perf_hooks` shows of sockets and messages: entries of the types `net` and `http`. Nobody observes, as a rule; then
 * one comparison is all that this costs.
 */

/** An entry, with the fields of Node's PerformanceEntry; times in milliseconds. */
export interface Entry {
  name: string;
  entryType: 'http' | 'net';
  startTime: number;
  duration: number;
  detail: object;
}

/** Who hears of entries, by type; set while somebody observes. */
export const observers: Record<Entry['entryType'], ((entry: Entry) => void) | null> = { http: null, net: null };

interface Begun {
  name: string;
  startTime: number;
  detail: object;
}

const begun = new WeakMap<object, Begun>();

/** Something that an entry is to tell of begins. To be called while somebody observes. */
export function entryBegins(of: object, name: string, detail: object): void {
  begun.set(of, { name, startTime: time.now(), detail });
}

/** It is over; `detail` is what has become known. */
export function entryEnds(type: Entry['entryType'], of: object, detail: object = {}): void {
  const begin = begun.get(of);
  if (begin === undefined) return;
  begun.delete(of);
  const { name, startTime } = begin;
  const duration = time.now() - startTime;
  observers[type]?.({ name, entryType: type, startTime, duration, detail: { ...begin.detail, ...detail } });
}
