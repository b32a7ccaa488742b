import type { Action, CorruptField, Duration } from './actions';
import type { DecisionLog } from './decisions';
import { Segment } from './segment';

/** Where verdicts send what is left of a segment. */
export interface Outlet {
  readonly decisions: DecisionLog;
  now(): number;
  pass(segment: Segment, delayMs: number, note: string): void;
  gap(ms: number): void;
  aside(segment: Segment, after: number, forMs: number): void;
  lost(segment: Segment, why: string): void;
}

const VERDICTS = new Set<Action['do']>([
  'drop',
  'delay',
  'duplicate',
  'reorder',
  'corrupt',
  'truncate',
  'modify',
  'slice',
  'throttle',
  'pace',
]);

/** Those actions that decide about the segment itself. */
export const verdictsOf = (actions: readonly Action[]): Action[] => actions.filter((a) => VERDICTS.has(a.do));

/** How many bytes a throttle's queue holds and when its link is free, by the action's own key. */
const links = new WeakMap<object, { freeAt: number }>();

/** Applies verdicts to one segment, in their order. */
export function emit(segment: Segment, verdicts: readonly Action[], outlet: Outlet): void {
  let seg = segment;
  let delayMs = 0;
  let copies = 0;
  let gapMs = 0;
  let aside: { after: number; forMs: number } | null = null;
  let sliced: { bytes: number; gapMs: number; vary?: number } | null = null;
  let broken = false;
  for (const a of verdicts) {
    switch (a.do) {
      case 'drop':
        return outlet.lost(seg, 'drop');
      case 'delay':
        delayMs += durationOf(a.ms, outlet.decisions);
        break;
      case 'duplicate':
        copies = a.copies;
        gapMs = a.gapMs;
        break;
      case 'reorder':
        aside = a;
        break;
      case 'slice':
        sliced = a;
        break;
      case 'corrupt':
        seg = corrupted(seg, a, outlet.decisions);
        broken ||= !a.repair;
        break;
      case 'truncate':
        seg = seg.slice(0, Math.max(0, seg.length - a.bytes));
        break;
      case 'modify': {
        const changed = modified(seg, a.change);
        if (changed === null) return outlet.lost(seg, 'modify');
        seg = changed;
        break;
      }
      case 'throttle': {
        const wait = waitFor(a.key, seg.frame.length * 8, a.bps, a.queueBytes * 8, outlet.now());
        if (wait === null) return outlet.lost(seg, 'queue full');
        delayMs += wait;
        break;
      }
      case 'pace': {
        const wait = waitFor(a.key, 1, a.pps, a.queue, outlet.now());
        if (wait === null) return outlet.lost(seg, 'queue full');
        delayMs += wait;
        break;
      }
      default:
        throw new Error(`${a.do} is no verdict`);
    }
  }
  if (aside !== null) return outlet.aside(seg, aside.after, aside.forMs);
  if (sliced !== null) passSliced(seg, sliced, delayMs, outlet);
  else outlet.pass(seg, delayMs, broken ? 'corrupt' : '');
  for (let i = 0; i < copies; i++) {
    if (gapMs > 0) outlet.gap(gapMs);
    outlet.pass(seg.copy(), delayMs, 'duplicate');
  }
}

function passSliced(
  seg: Segment,
  { bytes, gapMs, vary = 0 }: { bytes: number; gapMs: number; vary?: number },
  delayMs: number,
  outlet: Outlet,
): void {
  if (seg.length <= bytes - vary) return outlet.pass(seg, delayMs, '');
  for (let at = 0; at < seg.length; ) {
    if (at > 0 && gapMs > 0) outlet.gap(gapMs);
    const step = vary === 0 ? bytes : bytes - vary + outlet.decisions.below('slice', 2 * vary + 1);
    const to = Math.min(seg.length, at + Math.max(1, step));
    outlet.pass(seg.slice(at, to), delayMs, 'slice');
    at = to;
  }
}

function durationOf(ms: Duration, decisions: DecisionLog): number {
  if (typeof ms === 'number') return ms;
  if ('mean' in ms) return Math.max(0, ms.mean + ms.sd * normal(decisions));
  return ms.min + decisions.fraction('delay') * (ms.max - ms.min);
}

/** A number of the standard normal distribution, of two that are drawn (Box and Muller). */
function normal(decisions: DecisionLog): number {
  const radius = Math.sqrt(-2 * Math.log(1 - decisions.fraction('delay')));
  return radius * Math.cos(2 * Math.PI * decisions.fraction('delay'));
}

/** How long what costs `cost` waits for a link of `rate` a second, and takes on it; null: what waits is more than `queue`. */
function waitFor(key: object, cost: number, rate: number, queue: number, now: number): number | null {
  let link = links.get(key);
  if (link === undefined) {
    link = { freeAt: 0 };
    links.set(key, link);
  }
  const begins = Math.max(now, link.freeAt);
  if (((begins - now) * rate) / 1000 > queue) return null;
  link.freeAt = begins + (cost * 1000) / rate;
  return link.freeAt - now;
}

const FIELD_AT: Readonly<Record<Exclude<CorruptField, 'text'>, number>> = {
  port: 3,
  seq: 7,
  ack: 11,
  flags: 13,
  window: 14,
  checksum: 16,
};

function corrupted(
  seg: Segment,
  a: { bit?: number; field?: CorruptField; repair: boolean },
  decisions: DecisionLog,
): Segment {
  const made = seg.copy();
  const b = made.frame;
  if (a.field !== undefined && a.field !== 'text') {
    const at = made.tcpAt + FIELD_AT[a.field];
    b[at] = b[at]! ^ 1;
  } else if (made.length > 0) {
    const bits = made.length * 8;
    const bit = a.bit === undefined ? decisions.below('corrupt', bits) : a.bit % bits;
    const at = made.textAt + (bit >> 3);
    b[at] = b[at]! ^ (1 << (bit & 7));
  } else {
    b[made.tcpAt + 16] = b[made.tcpAt + 16]! ^ 1;
  }
  return a.repair ? made.seal() : made;
}

function modified(seg: Segment, change: (segment: Segment) => Segment | null | undefined | void): Segment | null {
  const copy = seg.copy();
  const result = change(copy);
  if (result === null) return null;
  const made = result ?? copy;
  if (!(made instanceof Segment)) throw new TypeError('modify returns a Segment, null, or nothing');
  return made.seal();
}
